"""Paired keypoints, annotated and predicted, from files and data of many forms into columns.

Conventions
-----------
- Either side is JSON of COCO's form, ``.csv``, ``.npy``, ``.npz``, MPII's ``.mat`` or HDF5, or the same data in memory:
  an array, a mapping with arrays, a COCO dict, a list of records. The two need not be of one form. A file's content
  says what it is, not its name. `cvbench.io.records`, `tables`, `arrays` and `mpii` describe the forms.
- Predictions belong to annotations by id where both sides have ids; else by image where both name images and every
  image has one instance; else row by row, with as many rows on both sides. Keypoints are
  paired by name where both sides name them.
- An annotation without prediction is refused, or all its keypoints are missed; one of which no keypoint counts needs
  no prediction. A prediction without annotation is refused.
- Form is checked here. What coordinates and sizes may be depends on the metric, which judges them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Int, Keypoints, offsets_of
from cvbench.errors import CvbenchError, FormatError, InputError
from cvbench.io.arrays import read_arrays, read_npy, read_npz
from cvbench.io.instances import Instances, Side, Wrong, problems_of_form
from cvbench.io.mpii import read_hdf5, read_mat
from cvbench.io.problems import Problem, refuse, shown, suggestion
from cvbench.io.records import read_records
from cvbench.io.source import GZIP, Source
from cvbench.io.tables import read_csv

KeypointInput = str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any] | NDArray[Any]
Unpaired = Literal["refuse", "miss"]

STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x93NUMPY", ".npy"),
    (b"PK\x03\x04", ".npz"),
    (b"PK\x05\x06", ".npz"),
    (b"MATLAB 7.3", ".h5"),
    (b"MATLAB ", ".mat"),
    (b"\x89HDF\r\n\x1a\n", ".h5"),
    (GZIP, ".json"),
)
"""How files begin, and what they are read as."""

MISSES = "missing=miss counts keypoints without prediction as misses, where a task has that"
"""How to go on without a prediction; `unpaired` here is what that parameter of tasks comes to."""

ENDINGS = {
    ".mat": ".mat",
    ".h5": ".h5",
    ".hdf5": ".h5",
    ".csv": ".csv",
    ".json": ".json",
    ".npy": ".npy",
    ".npz": ".npz",
}
"""What the end of a name says of a file whose beginning says nothing."""


@dataclass(frozen=True)
class KeypointReading:
    """What both sides hold, paired.

    Attributes
    ----------
    columns : Keypoints
        Rows grouped by image, within an image in the order of the ground truth.
    joint_names : J names, or None
        As the ground truth has them, else the predictions.
    gt_source, pred_source : Source
        Path, hash and size of each side.
    counts : dict of str to int
        ``images``, ``instances``, ``visible_keypoints``, ``unpredicted`` (instances of which a keypoint counts, without
        prediction), and ``edge_keypoints`` of MPII's ``valid.h5``.
    notes : list of str
        In words, whatever was left out, completed or taken for granted.
    """

    columns: Keypoints
    joint_names: tuple[str, ...] | None
    gt_source: Source
    pred_source: Source
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _places: tuple[Callable[[int], str], Callable[[int], str]] = (str, str)

    def gt_where(self, row: int) -> str:
        """What messages call the annotation in this row of the columns: ``gt.json.annotations[3]``."""
        return self._places[0](row)

    def pred_where(self, row: int) -> str:
        """What messages call the prediction in this row of the columns; that of the annotation where there is none."""
        return self._places[1](row)


def read_keypoints(
    gt: KeypointInput,
    pred: KeypointInput | None,
    *,
    dims: int = 2,
    joints: int | None = None,
    unpaired: Unpaired = "refuse",
    task: str = "TASK",
) -> KeypointReading:
    """Read annotated and predicted keypoints and pair them.

    Parameters
    ----------
    gt, pred
        Paths, or the data themselves; see the module's conventions. Without `pred`, annotations stand for their own
        predictions, which serves to judge them alone.
    dims : {2, 3}
        Coordinates of a keypoint.
    joints
        How many keypoints an instance must have; None for any number, the same for all.
    unpaired : {"refuse", "miss"}
        What becomes of an annotation without a prediction; "miss" needs sides that are paired by id or image.
    task
        What the command in a message that lists all problems is to check for.

    Returns
    -------
    KeypointReading
        Boxes are ``[x, y, width, height]`` as in COCO, those of heads two corners.

    Raises
    ------
    FormatError
        A file or record is not of its form, or the two sides do not fit together; the message names the first place.
    InputError
        An array in memory is not of its form, or an argument is none of the above.
    MissingDependency
        h5py is needed, for HDF5, and not installed.

    Examples
    --------
    >>> gt = {"annotations": [{"id": 7, "image_id": 1, "keypoints": [5, 5, 2, 9, 5, 0]}]}
    >>> reading = read_keypoints(gt, [{"annotation_id": 7, "keypoints": [5, 6, 1, 9, 5, 1]}])
    >>> reading.columns.pred.tolist(), reading.columns.visible.tolist(), reading.gt_where(0)
    ([[[5.0, 6.0], [9.0, 5.0]]], [[True, False]], 'gt.annotations[0]')
    >>> read_keypoints(np.zeros((2, 14, 2)), np.zeros((3, 14, 2)))
    Traceback (most recent call last):
        ...
    cvbench.errors.InputError: pred: found 3 instances, but 2 in gt; without ids on both sides rows are paired in order
    """
    problems, error, reading = _read(gt, pred, dims, joints, unpaired)
    if reading is not None:
        return reading
    files = isinstance(gt, (str, os.PathLike)) and isinstance(pred, (str, os.PathLike))
    refused = refuse(problems, f"cvbench check {task} GT PRED" if files else "cvbench.io.points.check_keypoints")
    raise error(refused.message, where=refused.where)


def check_keypoints(
    gt: KeypointInput,
    pred: KeypointInput | None,
    *,
    dims: int = 2,
    joints: int | None = None,
    unpaired: Unpaired = "refuse",
) -> list[Problem]:
    """Every problem for which `read_keypoints` would refuse the two sides; parameters as there."""
    return _read(gt, pred, dims, joints, unpaired)[0]


def _read(
    gt: KeypointInput, pred: KeypointInput | None, dims: int, joints: int | None, unpaired: Unpaired
) -> tuple[list[Problem], type[CvbenchError], KeypointReading | None]:
    """The problems, how the first one is to be raised, and what was read if there are none."""
    if dims not in (2, 3):
        raise InputError(f"dims is {dims!r}, expected 2 or 3")
    if unpaired not in get_args(Unpaired):
        raise InputError(f"unpaired is {unpaired!r}, expected one of {', '.join(get_args(Unpaired))}")
    if joints is not None and joints < 1:
        raise InputError(f"joints is {joints!r}, expected a number of keypoints from 1")
    sides: list[Instances] = []
    wrongs: list[Wrong] = []
    for source, argument, truth in ((gt, "gt", True), (pred, "pred", False)):
        if source is None:
            continue
        try:
            found = read_side(source, argument, truth, dims, joints)
            problems = list(problems_of_form(found, joints))
            if problems:
                raise Wrong(problems, found.side.error)
            sides.append(found)
        except Wrong as wrong:
            wrongs.append(wrong)
        except (FormatError, InputError) as error:
            wrongs.append(Wrong([Problem(error.where, error.message)], type(error)))
    if not wrongs:
        try:
            return [], FormatError, _paired(sides[0], sides[-1], unpaired)
        except Wrong as wrong:
            wrongs.append(wrong)
    return [problem for wrong in wrongs for problem in wrong.problems], wrongs[0].error, None


# One side ------------------------------------------------------------------------------------------------------------


def read_side(source: KeypointInput, argument: str, truth: bool, dims: int, joints: int | None) -> Instances:
    """One side, whatever its form; `argument` is what messages call data from memory."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        side = Side(path, path, truth, dims)
        kind = _kind(side)
        if kind == ".json":
            return read_records(path, side, joints)
        readers = {".npy": read_npy, ".npz": read_npz, ".csv": read_csv, ".mat": read_mat, ".h5": read_hdf5}
        return readers[kind](side)
    side = Side(argument, None, truth, dims)
    if isinstance(source, Mapping):
        return read_records(source, side, joints) if "annotations" in source else read_arrays(source, side)
    if isinstance(source, (list, tuple)) and all(isinstance(item, Mapping) for item in source):
        return read_records(source, side, joints)
    if hasattr(source, "shape") or isinstance(source, (list, tuple)):
        return read_arrays(source, side)
    expected = "expected a path, an array, a mapping with arrays, or annotations of COCO's form"
    raise InputError(f"found {type(source).__name__}, {expected}", where=argument)


def _kind(side: Side) -> str:
    """What a file is to be read as."""
    path = Path(side.name)
    if path.is_dir():
        raise side.wrong("this is a folder, expected a file of keypoints")
    ending = ENDINGS.get(path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix.lower())
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return ".json"  # whose reader says why
    for known, kind in STARTS:
        if start.startswith(known):
            return kind
    if not start:
        raise side.wrong("the file is empty (0 bytes), expected keypoints")
    if start.startswith(b"version https://git-lfs"):
        raise side.wrong("this is a pointer of Git LFS; fetch the file itself with `git lfs pull`")
    if ending in (".npy", ".npz", ".mat", ".h5"):
        raise side.wrong(f"this is no {ending} file: it starts with {start[:12]!r}")
    if ending is None and start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return ".json"
    if ending is None:
        raise side.wrong(
            f"this is of no known form, expected one of {', '.join(ENDINGS)}; it starts with {start[:12]!r}"
        )
    return ending


# Both sides ----------------------------------------------------------------------------------------------------------


def _paired(gt: Instances, pred: Instances, unpaired: Unpaired) -> KeypointReading:
    """The columns of two sides that are each sound."""
    joints = gt.joints or pred.joints or max(gt.points.shape[1], pred.points.shape[1])
    if gt.joints is not None and pred.joints is not None and gt.joints != pred.joints:
        raise pred.side.wrong(f"found {pred.joints} keypoints for each instance, but {gt.joints} in {gt.side.name}")
    found = _in_joint_order(gt, pred)
    n = len(gt)
    visible = np.ones((n, joints), np.bool_) if gt.visible is None or not n else gt.visible
    rows, notes = _pairing(gt, pred, np.any(visible, axis=1), unpaired)
    image_ids, order, offsets = _by_image(gt)
    rows = rows[order]
    missed = rows < 0
    dims = gt.points.shape[2]
    predicted = np.full((n, joints, dims), np.nan)
    predicted[~missed] = found[rows[~missed]] if len(pred) else 0
    groups, names = _membership(gt.labels)
    columns = Keypoints(
        image_ids,
        offsets,
        gt.points[order] if n else np.zeros((0, joints, dims)),
        predicted,
        visible[order],
        boxes=None if gt.boxes is None else gt.boxes[order],
        head_boxes=None if gt.head_boxes is None else gt.head_boxes[order],
        size=None if gt.size is None else gt.size[order],
        groups=None if groups is None else groups[order],
        group_names=names,
    )
    unpredicted = int(np.count_nonzero(missed & columns.visible.any(axis=1)))
    counts = {
        "images": len(image_ids),
        "instances": n,
        "visible_keypoints": int(np.count_nonzero(columns.visible)),
        "unpredicted": unpredicted,
        **gt.counts,
    }
    if unpredicted:
        notes.append(f"{unpredicted:,} of {n:,} instances have no prediction: all their keypoints are missed")
    if not n:
        notes.append("there are no instances")
    elif dims == 3 and gt.points[:, :, 2].any() and np.isin(gt.points[:, :, 2], (0, 1, 2)).all():
        notes.append(
            "every z of the ground truth is 0, 1 or 2: if that is visibility, these keypoints have 2 dimensions"
        )

    def gt_where(row: int) -> str:
        return gt.where(int(order[row]))

    def pred_where(row: int) -> str:
        return gt_where(row) if rows[row] < 0 else pred.where(int(rows[row]))

    joint_names = gt.joint_names or pred.joint_names
    notes = [*gt.notes, *pred.notes, *notes]
    return KeypointReading(columns, joint_names, gt.source, pred.source, counts, notes, (gt_where, pred_where))


def _in_joint_order(gt: Instances, pred: Instances) -> NDArray[Any]:
    """The predicted points with their keypoints in the order of the ground truth."""
    names, own = gt.joint_names, pred.joint_names
    if names is None or own is None or names == own or not len(pred):
        return pred.points
    unknown, lacking = [name for name in own if name not in names], [name for name in names if name not in own]
    if unknown or lacking:
        name = (unknown or lacking)[0]
        near = suggestion(name, names if unknown else own)
        hint = f"; did you mean `{near}`?" if near is not None else ""
        there = f"there is a keypoint `{name}`, which {gt.side.name} does not name"
        missing = f"there is no keypoint `{name}`, which {gt.side.name} has"
        raise pred.side.wrong((there if unknown else missing) + hint)
    order = [own.index(name) for name in names]
    return pred.points[:, order]


def _pairing(gt: Instances, pred: Instances, needed: Bool, unpaired: Unpaired) -> tuple[Int, list[str]]:
    """For each annotation the row of its prediction, -1 where there is none; and what there is to note.

    `needed` are the annotations of which a keypoint counts.
    """
    if gt.ids is not None and pred.ids is not None:
        rows = _matched(gt, pred, gt.ids, pred.ids, needed, unpaired, "id")
        _require_same_images(gt, pred, rows)
        return rows, []
    images, own = gt.image_ids, pred.image_ids
    if not len(pred) and (unpaired == "miss" or not needed.any()):
        return np.full(len(gt), -1), []
    both = images is not None and own is not None
    if images is not None and own is not None and max(map(_most, (images, own))) <= 1:
        return _matched(gt, pred, images, own, needed, unpaired, "image"), []
    if len(gt) != len(pred):
        hint = "without ids on both sides rows are paired in order"
        if not len(gt) or not len(pred):
            hint = MISSES if len(gt) else "do the two belong to the same set?"
        elif both and images is not None:
            hint = f"{_several(gt, images)}; give every prediction the `id` of its annotation"
        raise pred.side.wrong(f"found {len(pred):,} instances, but {len(gt):,} in {gt.side.name}; {hint}")
    rows = np.arange(len(gt), dtype=np.int64)
    _require_same_images(gt, pred, rows)
    half = any(column is not None for column in (gt.ids, pred.ids, *((images, own) if both else ())))
    return rows, ["ids do not say which predictions belong to which annotations: paired row by row"] if half and len(
        gt
    ) else []


def _matched(
    gt: Instances,
    pred: Instances,
    wanted: NDArray[Any],
    held: NDArray[Any],
    needed: Bool,
    unpaired: Unpaired,
    what: str,
) -> Int:
    """The row of `held` that equals each of `wanted`."""
    wanted, held = _of_one_type(gt, pred, wanted, held, what)
    order = np.argsort(held, kind="stable")
    place = np.searchsorted(held, wanted, sorter=order)
    rows = order[np.minimum(place, len(held) - 1)] if len(held) else np.full(len(wanted), -1)
    if len(held):
        rows = np.where(held[rows] == wanted, rows, -1)
    problems = list(_unmatched(gt, pred, wanted, held, rows, needed & (unpaired == "refuse"), what))
    if problems:
        raise Wrong(problems, pred.side.error)
    return rows.astype(np.int64)


def _unmatched(
    gt: Instances,
    pred: Instances,
    wanted: NDArray[Any],
    held: NDArray[Any],
    rows: NDArray[Any],
    needed: Bool,
    what: str,
) -> Iterator[Problem]:
    for row in np.flatnonzero((rows < 0) & needed).tolist():
        asks = f"there is no prediction of {what} {shown(wanted[row].item())}, which {gt.where(row)} asks for"
        yield Problem(pred.side.name, f"{asks}; {MISSES}")
    known = np.zeros(len(held), np.bool_)
    known[rows[rows >= 0]] = True
    for row in np.flatnonzero(~known).tolist():
        among = f"is not among the {len(gt):,} {'annotations' if what == 'id' else 'images'} of {gt.side.name}"
        hint = "do the two belong to the same set?"
        yield Problem(pred.where(row), f"{what} {shown(held[row].item())} {among}; {hint}")


def _of_one_type(
    gt: Instances, pred: Instances, wanted: NDArray[Any], held: NDArray[Any], what: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both as numbers or both as text, where a table does not say which of them they are."""
    if wanted.dtype.kind == held.dtype.kind or not len(wanted) or not len(held):
        return wanted, held
    if gt.typed and pred.typed:
        kinds = {True: "strings", False: "integers"}
        found = f"the {what}s are {kinds[held.dtype.kind == 'U']} (the first is {shown(held[0].item())})"
        other = f"those of {gt.side.name} are {kinds[wanted.dtype.kind == 'U']} ({shown(wanted[0].item())})"
        raise pred.side.wrong(f"{found}, but {other}; write them alike")
    return wanted.astype(np.str_), held.astype(np.str_)


def _require_same_images(gt: Instances, pred: Instances, rows: Int) -> None:
    """Refuse predictions that name another image than their annotation."""
    if gt.image_ids is None or pred.image_ids is None:
        return
    images, own = _of_one_type(gt, pred, gt.image_ids, pred.image_ids, "image")
    paired = np.flatnonzero(rows >= 0)
    problems = [
        Problem(
            pred.where(int(rows[row])),
            f"found image {shown(own[rows[row]].item())}, but {gt.where(row)} is of image {shown(images[row].item())}",
        )
        for row in paired[own[rows[paired]] != images[paired]].tolist()
    ]
    if problems:
        raise Wrong(problems, pred.side.error)


def _most(ids: NDArray[Any]) -> int:
    """How often the most frequent one of `ids` is there."""
    return int(np.unique(ids, return_counts=True)[1].max(initial=0))


def _several(gt: Instances, images: NDArray[Any]) -> str:
    values, counts = np.unique(images, return_counts=True)
    if not len(values) or counts.max() == 1:
        return f"images of {gt.side.name} have one instance each, those of the predictions do not"
    most = int(np.argmax(counts))
    return f"image {shown(values[most].item())} of {gt.side.name} has {counts[most]:,} instances"


def _by_image(gt: Instances) -> tuple[NDArray[Any], Int, Int]:
    """The ids of the images, ascending; the rows grouped by them; where each image starts."""
    if gt.image_ids is None:
        rows = np.arange(len(gt), dtype=np.int64)
        return rows, rows, np.arange(len(gt) + 1, dtype=np.int64)
    ids, image, counts = np.unique(gt.image_ids, return_inverse=True, return_counts=True)
    return ids, np.argsort(image, kind="stable"), offsets_of(counts)


def _membership(labels: Sequence[tuple[str, ...]] | None) -> tuple[Bool | None, tuple[str, ...]]:
    """Which instances have which label, and the labels in alphabetical order."""
    if labels is None:
        return None, ()
    names = sorted({name for own in labels for name in own})
    place = {name: index for index, name in enumerate(names)}
    member = np.zeros((len(labels), len(names)), np.bool_)
    for row, own in enumerate(labels):
        member[row, [place[name] for name in own]] = True
    return member, tuple(names)
