"""The COCO annotation interface: load, index, filter, convert and show annotations; load results.

`COCO` has the names, arguments, printed lines and exceptions of pycocotools' class of that name. Its attributes are the
plain dicts and lists of the file, shared between ``dataset`` and the indices: an edit in one place is an edit in all.
"""

from __future__ import annotations

import copy
import json
import time
from collections import defaultdict
from collections.abc import Container, Iterable
from itertools import chain
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.request import urlretrieve

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvbench.compat.pycocotools import mask as maskUtils
from cvbench.compat.pycocotools._collector import paused_collector
from cvbench.errors import MissingDependency

Annotation = dict[str, Any]


class COCO:
    """A COCO data set: its records, and indices into them.

    Parameters
    ----------
    annotation_file
        A JSON file of ground truth in COCO's form. Without it the data set is empty; fill ``dataset`` and call
        `createIndex`.

    Attributes
    ----------
    dataset : dict
        The content of the file.
    anns, imgs, cats : dict
        Annotations, images and categories by their id; of several with one id, the last.
    imgToAnns : defaultdict of list
        Annotations by image id.
    catToImgs : defaultdict of list
        Image id of each annotation, by category id.

    Raises
    ------
    AssertionError
        The file holds something else than an object.
    """

    def __init__(self, annotation_file: str | PathLike[str] | None = None) -> None:
        self.dataset: dict[str, Any] = {}
        self.anns: dict[Any, Annotation] = {}
        self.cats: dict[Any, dict[str, Any]] = {}
        self.imgs: dict[Any, dict[str, Any]] = {}
        self.imgToAnns: defaultdict[Any, list[Annotation]] = defaultdict(list)
        self.catToImgs: defaultdict[Any, list[Any]] = defaultdict(list)
        if annotation_file is not None:
            print("loading annotations into memory...")
            start = time.time()
            with paused_collector():
                dataset = _read_json(annotation_file)
            if type(dataset) is not dict:
                raise AssertionError(f"annotation file format {type(dataset)} not supported")
            print(f"Done (t={time.time() - start:0.2f}s)")
            self.dataset = dataset
            self.createIndex()

    def createIndex(self) -> None:
        """Build ``anns``, ``imgs``, ``cats``, ``imgToAnns`` and ``catToImgs`` anew from ``dataset``."""
        print("creating index...")
        with paused_collector():
            annotations = self.dataset.get("annotations", ())
            by_image: defaultdict[Any, list[Annotation]] = defaultdict(list)
            for annotation in annotations:
                by_image[annotation["image_id"]].append(annotation)
            by_id = {annotation["id"]: annotation for annotation in annotations}
            images = {image["id"]: image for image in self.dataset.get("images", ())}
            categories = {category["id"]: category for category in self.dataset.get("categories", ())}
            by_category: defaultdict[Any, list[Any]] = defaultdict(list)
            if "categories" in self.dataset:
                for annotation in annotations:
                    by_category[annotation["category_id"]].append(annotation["image_id"])
        print("index created!")
        self.anns, self.imgs, self.cats = by_id, images, categories
        self.imgToAnns, self.catToImgs = by_image, by_category

    def info(self) -> None:
        """Print the ``info`` of the file, one line for each entry."""
        for key, value in self.dataset["info"].items():
            print(f"{key}: {value}")

    def getAnnIds(self, imgIds: Any = (), catIds: Any = (), areaRng: Any = (), iscrowd: Any = None) -> list[Any]:
        """Ids of the annotations that pass every filter; an empty filter passes all.

        Parameters
        ----------
        imgIds, catIds
            One id or several. Annotations come in the order of `imgIds`.
        areaRng
            Two areas in square pixels; annotations strictly between them pass.
        iscrowd
            True or False: only annotations with that flag.
        """
        imgIds, catIds = _several(imgIds), _several(catIds)
        annotations: Iterable[Annotation]
        if len(imgIds) > 0:
            annotations = chain.from_iterable(self.imgToAnns[image] for image in imgIds if image in self.imgToAnns)
        else:
            annotations = self.dataset["annotations"]
        if len(catIds) > 0:
            wanted = _members(catIds)
            annotations = (annotation for annotation in annotations if annotation["category_id"] in wanted)
        if len(areaRng) > 0:
            low, high = areaRng[0], areaRng[1]
            annotations = (annotation for annotation in annotations if low < annotation["area"] < high)
        if iscrowd is not None:
            annotations = (annotation for annotation in annotations if annotation["iscrowd"] == iscrowd)
        return list(map(itemgetter("id"), annotations))

    def getCatIds(self, catNms: Any = (), supNms: Any = (), catIds: Any = ()) -> list[Any]:
        """Ids of the categories that pass every filter (names, names of supercategories, ids); an empty one passes all.

        As in the original, a filter given as a string passes every name that is a part of it.
        """
        categories = self.dataset["categories"]
        for key, values in (("name", catNms), ("supercategory", supNms), ("id", catIds)):
            if len(_several(values)) > 0:
                wanted = _members(_several(values))
                categories = [category for category in categories if category[key] in wanted]
        return [category["id"] for category in categories]

    def getImgIds(self, imgIds: Any = (), catIds: Any = ()) -> list[Any]:
        """Ids of the images among `imgIds` that have an annotation of every one of `catIds`; empty filters pass all."""
        imgIds, catIds = _several(imgIds), _several(catIds)
        if len(imgIds) == len(catIds) == 0:
            return list(self.imgs.keys())
        images = set(imgIds)
        for position, category in enumerate(catIds):
            if position == 0 and len(images) == 0:
                images = set(self.catToImgs[category])
            else:
                images &= set(self.catToImgs[category])
        return list(images)

    def loadAnns(self, ids: Any = ()) -> list[Annotation] | None:
        """The annotations with these ids, or the one with this id, as a list."""
        return _look_up(self.anns, ids)

    def loadCats(self, ids: Any = ()) -> list[dict[str, Any]] | None:
        """The categories with these ids, or the one with this id, as a list."""
        return _look_up(self.cats, ids)

    def loadImgs(self, ids: Any = ()) -> list[dict[str, Any]] | None:
        """The images with these ids, or the one with this id, as a list."""
        return _look_up(self.imgs, ids)

    def showAnns(self, anns: list[Annotation], draw_bbox: bool = False) -> int | None:
        """Draw annotations onto matplotlib's current axes, or print them where they are captions.

        Raises
        ------
        MissingDependency
            matplotlib is not installed.
        """
        if len(anns) == 0:
            return 0
        if "segmentation" in anns[0] or "keypoints" in anns[0]:
            self._draw(anns, draw_bbox)
        elif "caption" in anns[0]:
            for annotation in anns:
                print(annotation["caption"])
        else:
            raise Exception("datasetType not supported")
        return None

    def _draw(self, annotations: list[Annotation], with_boxes: bool) -> None:
        try:
            from matplotlib import pyplot as plt
            from matplotlib.collections import PatchCollection
            from matplotlib.patches import Polygon
        except ImportError as error:
            raise MissingDependency("showAnns draws with matplotlib; install cvbench[plots]") from error

        axes = plt.gca()
        axes.set_autoscale_on(False)
        patches, colors = [], []
        for annotation in annotations:
            color = [0.6 * part + 0.4 for part in _random_color()]
            outlines = []
            segmentation = annotation.get("segmentation")
            if type(segmentation) is list:
                outlines += [np.array(part).reshape(len(part) // 2, 2) for part in segmentation]
            elif segmentation is not None:
                axes.imshow(self._overlay(annotation))
            if type(annotation.get("keypoints")) is list:
                self._draw_keypoints(annotation, color)
            if with_boxes:
                x, y, width, height = annotation["bbox"]
                outlines.append(np.array([[x, y], [x, y + height], [x + width, y + height], [x + width, y]]))
            patches += [Polygon(outline) for outline in outlines]
            colors += [color] * len(outlines)
        axes.add_collection(PatchCollection(patches, facecolor=colors, linewidths=0, alpha=0.4))
        axes.add_collection(PatchCollection(patches, facecolor="none", edgecolors=colors, linewidths=2))

    def _overlay(self, annotation: Annotation) -> NDArray[np.float64]:
        """The annotation's mask as a half transparent RGBA image (H, W, 4): crowds green, objects of random colour."""
        mask = self.annToMask(annotation)
        color = np.array([2.0, 166.0, 101.0]) / 255 if annotation["iscrowd"] == 1 else np.array(_random_color())
        return np.dstack([np.broadcast_to(color, (*mask.shape, 3)), mask * 0.5])

    def _draw_keypoints(self, annotation: Annotation, color: list[float]) -> None:
        from matplotlib import pyplot as plt

        category = self.cats[annotation["category_id"]]
        x, y, visible = np.array(annotation["keypoints"]).reshape(-1, 3).T
        for bone in np.array(category["skeleton"]) - 1:
            if np.all(visible[bone] > 0):
                plt.plot(x[bone], y[bone], linewidth=3, color=color)
        for at_least, edge in ((1, "k"), (2, color)):
            shown = visible >= at_least
            plt.plot(
                x[shown], y[shown], "o", markersize=8, markerfacecolor=color, markeredgecolor=edge, markeredgewidth=2
            )

    def loadRes(self, resFile: str | NDArray[Any] | list[Annotation]) -> COCO:
        """A data set of the same images whose annotations are results.

        What kind of results they are is told by the first one, by its keys in this order: ``caption``, a ``bbox`` that
        is not empty, ``segmentation``, ``keypoints``. Every result gets an ``id`` (1, 2, ... in order); detections also
        get an ``area``, whatever they had before, and, unless they are keypoints, ``iscrowd``; ``segmentation`` or
        ``bbox`` is added where it is missing. All of this is written into the caller's own dicts.

        Parameters
        ----------
        resFile
            A JSON file, a list of results, or an array (N, 7) with rows of image id, x, y, width, height, score,
            category id.

        Raises
        ------
        AssertionError
            The results are not a list, or name an image that this data set does not have.
        IndexError
            There are no results.
        """
        res = COCO()
        res.dataset["info"] = copy.deepcopy(self.dataset.get("info", {}))
        res.dataset["images"] = list(self.dataset["images"])

        print("Loading and preparing results...")
        start = time.time()
        results: Any = resFile
        with paused_collector():
            if type(resFile) is str:
                results = _read_json(resFile)
            elif type(resFile) is np.ndarray:
                results = self.loadNumpyAnnotations(resFile)
        if type(results) is not list:
            raise AssertionError("results in not an array of objects")
        unknown = {result["image_id"] for result in results} - set(self.getImgIds())
        if unknown:
            raise AssertionError(
                f"Results do not correspond to current coco set: no image has the id {next(iter(unknown))!r}"
            )
        with paused_collector():
            self._complete(results, res.dataset)
        print(f"DONE (t={time.time() - start:0.2f}s)")

        res.dataset["annotations"] = results
        res.createIndex()
        return res

    def _complete(self, results: list[Annotation], dataset: dict[str, Any]) -> None:
        """Complete results, and the data set they are for, by what kind of results they are."""
        first = results[0]
        if "caption" in first:
            images = {result["image_id"] for result in results}
            dataset["images"] = [image for image in dataset["images"] if image["id"] in images]
            for number, result in enumerate(results, 1):
                result["id"] = number
            return
        if "bbox" in first and not (type(first["bbox"]) is list and not first["bbox"]):
            complete = _complete_boxes
        elif "segmentation" in first:
            complete = _complete_masks
        elif "keypoints" in first:
            complete = _complete_keypoints
        else:
            return
        dataset["categories"] = copy.deepcopy(self.dataset["categories"])
        complete(results)

    def download(self, tarDir: str | None = None, imgIds: Any = ()) -> int | None:
        """Fetch the images with these ids, or all, from their ``coco_url`` into a folder; files that are there stay."""
        if tarDir is None:
            print("Please specify target directory")
            return -1
        images = list(self.imgs.values()) if len(imgIds) == 0 else self.loadImgs(imgIds) or []
        folder = Path(tarDir)
        folder.mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images):
            start = time.time()
            file = folder / image["file_name"]
            if not file.exists():
                urlretrieve(image["coco_url"], file)
            print(f"downloaded {number}/{len(images)} images (t={time.time() - start:0.1f}s)")
        return None

    def loadNumpyAnnotations(self, data: NDArray[Any]) -> list[Annotation]:
        """Results from an array (N, 7) with rows of image id, x, y, width, height, score, category id."""
        print("Converting ndarray to lists...")
        if type(data) is not np.ndarray:
            raise AssertionError(f"results are {type(data)}, expected an array")
        print(data.shape)
        if data.shape[1] != 7:
            raise AssertionError(f"results have {data.shape[1]} columns, expected 7")
        results: list[Annotation] = []
        # Values stay NumPy scalars of the array's type: an area is computed in float32 where the array is float32.
        for number, (image, x, y, width, height, score, category) in enumerate(zip(*data.T, strict=True)):
            if number % 1_000_000 == 0:
                print(f"{number}/{len(data)}")
            results.append(
                {
                    "image_id": int(image),
                    "bbox": [x, y, width, height],
                    "score": score,
                    "category_id": int(category),
                }
            )
        return results

    def annToRLE(self, ann: Annotation) -> dict[str, Any]:
        """The annotation's segmentation (polygons, run lengths, or a run-length string) as a compressed RLE dict."""
        image = self.imgs[ann["image_id"]]
        height, width = image["height"], image["width"]
        segmentation = ann["segmentation"]
        if type(segmentation) is list:
            return maskUtils.merge(maskUtils.frPyObjects(segmentation, height, width))
        rle: dict[str, Any] = segmentation
        if type(segmentation["counts"]) is list:
            rle = maskUtils.frPyObjects(segmentation, height, width)
        return rle

    def annToMask(self, ann: Annotation) -> NDArray[np.uint8]:
        """The annotation's segmentation as an array (H, W) of 0 and 1."""
        return maskUtils.decode(self.annToRLE(ann))


def _isArrayLike(obj: object) -> bool:
    return hasattr(obj, "__iter__") and hasattr(obj, "__len__")


def _random_color() -> list[float]:
    color: list[float] = np.random.random(3).tolist()  # noqa: NPY002  follows np.random.seed, as the original's colours do
    return color


def _several(values: Any) -> Any:
    """`values` itself where it is a collection, a list of one where it is a single id or name."""
    return values if _isArrayLike(values) else [values]


def _members(values: Any) -> Container[Any]:
    """Something whose ``in`` answers as that of `values` does, sooner where `values` is a list or an array of ids."""
    if not isinstance(values, list | tuple | np.ndarray):
        return values  # type: ignore[no-any-return]  # a str, dict or set: `in` is right as it is
    try:
        return set(values)
    except TypeError:  # unhashable
        return values


def _look_up(records: dict[Any, dict[str, Any]], ids: Any) -> list[dict[str, Any]] | None:
    if _isArrayLike(ids):
        return [records[key] for key in ids]
    if type(ids) is int:
        return [records[ids]]
    return None


def _read_json(path: str | PathLike[str]) -> Any:
    data = Path(path).read_bytes()
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        # Python also reads what is not JSON: NaN, Infinity, 1e400, lone surrogates; else its error says what is wrong.
        return json.loads(data.decode())


def _complete_boxes(results: list[Annotation]) -> None:
    for number, result in enumerate(results, 1):
        box = result["bbox"]
        left, right, top, bottom = box[0], box[0] + box[2], box[1], box[1] + box[3]
        if "segmentation" not in result:
            result["segmentation"] = [[left, top, left, bottom, right, bottom, right, top]]
        result["area"] = box[2] * box[3]
        result["id"] = number
        result["iscrowd"] = 0


def _complete_masks(results: list[Annotation]) -> None:
    segmentations = [result["segmentation"] for result in results]
    areas, boxes = maskUtils.area(segmentations), maskUtils.toBbox(segmentations)
    for number, (result, area, box) in enumerate(zip(results, areas, boxes, strict=True), 1):
        result["area"] = area
        if "bbox" not in result:
            result["bbox"] = box
        result["id"] = number
        result["iscrowd"] = 0


def _complete_keypoints(results: list[Annotation]) -> None:
    for number, result in enumerate(results, 1):
        x, y = np.asarray(result["keypoints"][0::3]), np.asarray(result["keypoints"][1::3])
        left, right, top, bottom = x.min(), x.max(), y.min(), y.max()
        result["area"] = (right - left) * (bottom - top)
        result["id"] = number
        result["bbox"] = [left, top, right - left, bottom - top]
