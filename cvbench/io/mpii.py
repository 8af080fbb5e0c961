"""MPII files: annotations and predictions in MATLAB's ``.mat`` and in HDF5, as its evaluators exchange them.

Conventions
-----------
- ``detections_our_format.mat`` and ``gt_valid.mat`` hold annotations as (J, 2, N) ``pos_gt_src``, (J, N)
  ``jnt_missing``, (2, 2, N) ``headboxes_src`` and ``dataset_joints``. N are people; each is an image of its own, as the
  file does not say which of them share one.
- ``valid.h5`` holds annotations as (N, J, 2) ``part``, and 0.6 of the head box's diagonal as ``normalize``. A keypoint
  counts where both coordinates are above 1, as in pose-hg-demo. ``visible`` says what is occluded, and is not read;
  ``index`` numbers the images.
- Predictions are ``preds``, (N, J, 2 or 3); or (2 or 3, J, N), as one gets them where MATLAB wrote and another language
  reads. Two or three people in an array that reads both ways are taken for (N, J, 2 or 3).
- Coordinates are as stored, nothing is added: whether they count from 0 or 1 is a matter of the protocol.
- Files of MATLAB 7.3 are HDF5 with all axes in reverse, which is undone.
- HDF5 is read by h5py, an optional package: ``pip install 'cvbench[files]'``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float
from cvbench.errors import MissingDependency
from cvbench.io.arrays import hashed, numbers, split
from cvbench.io.instances import Instances, Side, Wrong
from cvbench.io.mat import Damaged, arrays_of_mat
from cvbench.io.source import Source, read_file

Arrays = Mapping[str, NDArray[Any]]

JOINTS = (
    *("rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor"),
    *("neck", "head", "rwri", "relb", "rsho", "lsho", "lelb", "lwri"),
)
"""The keypoints of MPII in their order, by the names of ``dataset_joints``: right ankle, right knee, ..."""

NAMES = (
    *("pos_gt_src", "jnt_missing", "headboxes_src", "dataset_joints"),
    *("part", "normalize", "index", "preds"),
)
"""What is read of such a file."""

LARGEST_RATIO = 1032
"""How much larger than stored the data of a compressed file can be: what deflate does with zeros."""


def read_mat(side: Side) -> Instances:
    """A ``.mat`` file of MATLAB 5 to 7.2."""
    stored = read_file(side.name)
    try:
        arrays, held = arrays_of_mat(stored, NAMES)
    except Damaged as error:
        raise side.wrong(f"the .mat file is damaged or cut short: {error}") from error
    return _instances(arrays, held, side, hashed(stored, side))


def read_hdf5(side: Side) -> Instances:
    """An HDF5 file, or a ``.mat`` file of MATLAB 7.3."""
    try:
        import h5py
    except ImportError as error:
        message = "h5py reads HDF5 files and is not installed; pip install 'cvbench[files]'"
        raise MissingDependency(message, where=side.name) from error
    stored = read_file(side.name)
    reverse = stored.startswith(b"MATLAB 7.3")
    try:
        with h5py.File(io.BytesIO(stored), "r") as file:
            held = list(map(str, file))  # names that are not UTF-8 come as bytes
            sets = {name: file[name] for name in NAMES if name in file}
            for name, found in sets.items():
                if found.size * found.dtype.itemsize > LARGEST_RATIO * len(stored):
                    raise side.wrong(
                        f"the file says that it holds {found.size:,} numbers, which it cannot", f"[{name!r}]"
                    )
            arrays = {name: _read(file, found, reverse) for name, found in sets.items()}
    except Wrong:
        raise
    except Exception as error:  # h5py raises whatever a wrong byte leads to
        raise side.wrong(f"the HDF5 file is damaged or cut short: {_reason(error)}") from error
    return _instances(arrays, held, side, hashed(stored, side))


def _read(file: Any, found: Any, reverse: bool) -> NDArray[Any]:
    """One array; MATLAB stores cells of text as references to arrays of characters."""
    array: NDArray[Any] = np.asarray(found[()])
    if array.dtype == object:
        texts = ["".join(map(chr, file[item][()].ravel().tolist())) for item in array.ravel()]
        return np.array(texts, np.str_)
    return array.transpose() if reverse else array


def _instances(arrays: Arrays, held: Sequence[str], side: Side, source: Source) -> Instances:
    if not side.truth:
        if "preds" not in arrays:
            swapped = "; are ground truth and predictions swapped?" if {"pos_gt_src", "part"} & set(arrays) else ""
            raise side.wrong(f"there is no `preds`; the file has {', '.join(held) or 'nothing'}{swapped}")
        points, _ = split(_people_first(arrays["preds"]), side, "['preds']")
        return Instances(side, source, points, lambda row: f"{side.name}[{row}]")
    if side.dims != 2:
        raise side.wrong("MPII is annotated in 2 dimensions, but 3 are asked for")
    if "pos_gt_src" in arrays:
        return _from_detections(arrays, side, source)
    if "part" in arrays:
        return _from_parts(arrays, side, source)
    expected = "expected `pos_gt_src` with `jnt_missing`, or `part`"
    if "preds" in arrays:
        expected += "; are ground truth and predictions swapped?"
    raise side.wrong(f"there are no annotations of MPII; the file has {', '.join(held) or 'nothing'}; {expected}")


def _from_detections(arrays: Arrays, side: Side, source: Source) -> Instances:
    """What ``detections_our_format.mat`` and ``gt_valid.mat`` hold."""
    stored = arrays["pos_gt_src"]
    if stored.ndim != 3 or stored.shape[1] != 2:
        raise side.wrong(f"found an array of shape {stored.shape}, expected (J, 2, N)", "['pos_gt_src']")
    joints, _, n = stored.shape
    points, _ = split(stored.transpose(2, 0, 1), side, "['pos_gt_src']")
    if "jnt_missing" not in arrays:
        raise side.wrong("there is no `jnt_missing`, which says what is annotated")
    missing = numbers(arrays["jnt_missing"], (joints, n), side, "jnt_missing")
    if not np.isin(missing, (0, 1)).all():
        raise side.wrong("found numbers other than 0 and 1", "['jnt_missing']")
    heads = None
    if "headboxes_src" in arrays:
        heads = numbers(arrays["headboxes_src"], (2, 2, n), side, "headboxes_src").transpose(2, 0, 1).reshape(n, 4)
    names = None
    if "dataset_joints" in arrays:
        names = tuple(map(str, arrays["dataset_joints"].ravel()))
    visible = np.ascontiguousarray(missing.T == 0)
    where = f"{side.name}[{{}}]".format
    return Instances(side, source, points, where, visible, head_boxes=heads, joint_names=names)


def _from_parts(arrays: Arrays, side: Side, source: Source) -> Instances:
    """What ``valid.h5`` holds."""
    points, _ = split(arrays["part"], side, "['part']")
    n, joints = points.shape[:2]
    size: Float | None = None
    if "normalize" in arrays:
        size = numbers(arrays["normalize"], (n,), side, "normalize")
    image_ids = None
    if "index" in arrays:
        index = numbers(arrays["index"], (n,), side, "index")
        if not (np.isfinite(index).all() and (index == np.rint(index)).all() and (np.abs(index) < 2**53).all()):
            raise side.wrong("found numbers that are no integers", "['index']")
        image_ids = index.astype(np.int64)
    visible: Bool = np.all(points > 1, axis=2)
    edge = int(np.count_nonzero((points > 0).any(axis=2) & ~visible))
    notes = [f"{edge:,} keypoints with a coordinate of 1 or less do not count, as in pose-hg-demo"] if edge else []
    return Instances(
        side,
        source,
        points,
        f"{side.name}[{{}}]".format,
        visible,
        image_ids=image_ids,
        size=size,
        joint_names=JOINTS if joints == len(JOINTS) else None,
        counts={"edge_keypoints": edge},
        notes=notes,
    )


def _people_first(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 3 and array.shape[2] not in (2, 3) and array.shape[0] in (2, 3):
        return np.asarray(array.transpose(2, 1, 0))
    return array


def _reason(error: Exception) -> str:
    """The first line of what another package says."""
    return str(error).partition("\n")[0] or type(error).__name__
