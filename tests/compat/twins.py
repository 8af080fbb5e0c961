"""pycocotools and its stand-in side by side."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pycocotools._mask
import pycocotools.coco
import pycocotools.cocoeval
import pycocotools.mask

import cvbench.compat.pycocotools._mask
import cvbench.compat.pycocotools.coco
import cvbench.compat.pycocotools.cocoeval
import cvbench.compat.pycocotools.mask


class Original:
    COCO = pycocotools.coco.COCO
    COCOeval = pycocotools.cocoeval.COCOeval
    Params = pycocotools.cocoeval.Params
    mask = pycocotools.mask
    _mask = pycocotools._mask


class Ours:
    COCO = cvbench.compat.pycocotools.coco.COCO
    COCOeval = cvbench.compat.pycocotools.cocoeval.COCOeval
    Params = cvbench.compat.pycocotools.cocoeval.Params
    mask = cvbench.compat.pycocotools.mask
    _mask = cvbench.compat.pycocotools._mask


class SlowEval(Ours.COCOeval):
    """An override, and with it every override's path through the code."""

    def evaluateImg(self, imgId, catId, aRng, maxDet):
        return super().evaluateImg(imgId, catId, aRng, maxDet)


class Slow(Ours):
    COCOeval = SlowEval


def assert_same(a: Any, b: Any, at: str = "") -> None:
    """Equal in type, shape, memory layout and every bit, all the way down."""
    assert type(a).__name__ == type(b).__name__, f"{at}: {type(a)} and {type(b)}"
    if isinstance(a, dict):
        assert list(a) == list(b), f"{at}: {list(a)} and {list(b)}"
        for key in a:
            assert_same(a[key], b[key], f"{at}[{key!r}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), f"{at}: {len(a)} and {len(b)} items"
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{at}[{i}]")
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{at}: {a.dtype} {a.shape} and {b.dtype} {b.shape}"
        assert a.flags.f_contiguous == b.flags.f_contiguous, f"{at}: memory layout"
        assert a.tobytes() == b.tobytes(), f"{at}: {a} and {b}"
    elif hasattr(a, "__dict__") and not callable(a):
        assert_same(dict(sorted(vars(a).items())), dict(sorted(vars(b).items())), at)
    else:
        assert a == b or (a != a and b != b), f"{at}: {a!r} and {b!r}"


def outcome(call: Callable[[], Any]) -> Any:
    """What `call` returns, or the type of what it raises."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation")  # pycocotools' decode is older than NumPy 2
        try:
            return call()
        except Exception as error:  # noqa: BLE001  whichever it is, both have to raise the same
            return type(error).__name__


def assert_same_outcome(call: Callable[[Any], Any]) -> Any:
    """`call`, with either API, returns or raises the same; returns that."""
    theirs, ours = outcome(lambda: call(Original)), outcome(lambda: call(Ours))
    assert_same(theirs, ours)
    return theirs


def printed(capsys: Any) -> str:
    """What was printed since the last time, without durations."""
    return re.sub(r"t=\d+\.\d+s", "t", capsys.readouterr().out)


def data_set(api: Any, dataset: dict[str, Any]) -> Any:
    coco = api.COCO()
    coco.dataset = copy.deepcopy(dataset)
    coco.createIndex()
    return coco


def evaluator(
    api: Any, gt: dict[str, Any], dt: Any, iou_type: str = "bbox", change: Callable[[Any], object] = lambda _: None
) -> Any:
    """An evaluator of copies of `gt` and of the results `dt`, before its evaluation; `change` works on its params."""
    truth = data_set(api, gt)
    found = truth.loadRes(copy.deepcopy(dt)) if len(dt) else data_set(api, {**gt, "annotations": []})
    result = api.COCOeval(truth, found, iou_type)
    change(result.params)
    return result


def evaluated(*args: Any, **kwargs: Any) -> Any:
    """`evaluator`, after its evaluation, accumulation and summary."""
    return finished(evaluator(*args, **kwargs))


def finished(result: Any) -> Any:
    """An evaluator after all three steps."""
    evaluate(result)
    result.accumulate()
    result.summarize()
    return result


def evaluate(result: Any) -> None:
    """Evaluate without a word on ids of 0."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"a (ground truth|detection) has the id 0")
        result.evaluate()


def assert_same_evaluation(theirs: Any, ours: Any) -> None:
    assert_same(_accumulated(theirs), _accumulated(ours), "eval")
    assert_same(theirs.stats, ours.stats, "stats")
    assert_same(theirs.ious, ours.ious, "ious")
    assert_same(theirs.evalImgs, ours.evalImgs, "evalImgs")
    assert_same(theirs.params, ours.params, "params")
    assert_same(theirs._paramsEval, ours._paramsEval, "_paramsEval")
    assert_same(theirs.cocoGt.dataset, ours.cocoGt.dataset, "cocoGt.dataset")
    assert_same(theirs.cocoDt.dataset, ours.cocoDt.dataset, "cocoDt.dataset")


def _accumulated(result: Any) -> dict[str, Any]:
    return {key: value for key, value in result.eval.items() if key != "date"}
