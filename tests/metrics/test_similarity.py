"""Box IoU and OKS against their slow twins and the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as reference

from cvbench import COCO_SIGMAS, InputError, box_iou, oks
from cvbench.kernels.similarity import pairwise_sum, sum_room
from naive import similarity as naive

coordinates = st.sampled_from([0.0, 1.0, 2.0, 2.5, 5.0, 10.0]) | st.floats(0, 100)


def boxes(n: int = 4) -> st.SearchStrategy[np.ndarray]:
    return st.integers(0, n).flatmap(lambda n: arrays(np.float64, (n, 4), elements=coordinates))


def corners(xywh: np.ndarray) -> np.ndarray:
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou"])
@given(a=boxes(), b=boxes(), data=st.data())
def test_box_iou_equals_the_slow_twin(kind: str, a: np.ndarray, b: np.ndarray, data: st.DataObject) -> None:
    crowd = data.draw(arrays(np.bool_, len(b)))
    a, b = np.round(a * 64) / 64, np.round(b * 64) / 64  # sides of 1e-14 are nothing beside coordinates of 1
    expected = [[naive.box_iou(x, y, kind, c) for y, c in zip(corners(b), crowd, strict=True)] for x in corners(a)]
    expected_array = np.reshape(expected, (len(a), len(b)))
    found = box_iou(corners(a), corners(b), kind=kind, box_format="xyxy", crowd=crowd)
    # other orders of the same sums and products
    np.testing.assert_allclose(found, expected_array, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(box_iou(a, b, kind=kind, crowd=crowd), expected_array, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "value"), [("diou", -0.5625), ("ciou", -0.6125)])
def test_the_distance_of_very_small_boxes(kind: str, value: float) -> None:
    # the centre of `b` is at 1.5 of its hull's 2 sides; the squares of such numbers are 0
    a, b = np.zeros((1, 4)), np.full((1, 4), 5e-172)
    assert box_iou(a, b, kind=kind)[0, 0] == pytest.approx(value, rel=1e-12)


@given(a=boxes(), b=boxes(), data=st.data())
def test_box_iou_equals_pycocotools(a: np.ndarray, b: np.ndarray, data: st.DataObject) -> None:
    crowd = data.draw(arrays(np.bool_, len(b)))
    expected = reference.iou(a, b, crowd.tolist())
    np.testing.assert_array_equal(box_iou(a, b, crowd=crowd), np.reshape(expected, (len(a), len(b))))


@pytest.mark.parametrize("edges", [(np.nan, 10, 50, 50), (10, np.nan, 50, 50), (10, 10, np.nan, 50)])
def test_a_nan_edge_is_passed_over_as_in_c(edges: tuple[float, ...]) -> None:
    a, b = np.array([edges]), np.array([[10.0, 10.0, 50.0, 50.0]])
    for pair in ((a, b), (b, a)):
        np.testing.assert_array_equal(box_iou(*pair), reference.iou(*pair, [0]))


@given(a=boxes(), b=boxes())
def test_relations_between_the_kinds(a: np.ndarray, b: np.ndarray) -> None:
    iou, giou, diou, ciou = (box_iou(a, b, kind=kind) for kind in ("iou", "giou", "diou", "ciou"))
    assert (giou <= iou + 1e-12).all()
    assert (ciou <= diou + 1e-12).all()
    assert (diou <= iou + 1e-12).all()
    assert ((iou >= 0) & (iou <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(iou, box_iou(b, a).T)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2, 3]], [[1, 2, 3, 4]]), r"a has shape \(1, 3\); expected \(N, 4\)"),
        (([[1, 2, 3, 4]], [1, 2, 3, 4]), r"b has shape \(4,\)"),
    ],
)
def test_shapes_of_boxes(arguments: tuple[object, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        box_iou(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "eiou"}, "'eiou' is unknown; expected one of iou, giou"),
        ({"box_format": "yxyx"}, "'yxyx' is unknown"),
        ({"crowd": [True, False]}, r"crowd has shape \(2,\); expected \(1,\)"),
    ],
)
def test_options_of_box_iou(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        box_iou([[0, 0, 1, 1]], [[0, 0, 1, 1]], **options)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 3),
    m=st.integers(0, 3),
    joints=st.sampled_from([1, 5, 17, 133, 300]),
)
def test_oks_equals_the_slow_twin(seed: int, n: int, m: int, joints: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 50, (n, joints, 3)), rng.uniform(0, 50, (m, joints, 3))
    b[:, :, 2] = rng.choice([0, 1, 2], (m, joints)) * (rng.random((m, 1)) < 0.8)
    area, extents = rng.choice([0.0, 500.0, 1024.0], m), rng.uniform(0, 40, (m, 4))
    sigmas = rng.uniform(0.02, 0.2, joints)
    found = oks(a, b, area=area, boxes=extents, sigmas=sigmas)
    expected = [[naive.oks(x, b[j], area[j], extents[j], sigmas) for j in range(m)] for x in a]
    # exp of two libraries and sums in two orders
    np.testing.assert_allclose(found, np.reshape(expected, (n, m)), rtol=1e-12, atol=1e-300)
    np.testing.assert_array_equal(oks(a[:, :, :2], b, area=area, boxes=extents, sigmas=sigmas), found)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 100, 127, 128, 129, 133, 255, 256, 300, 1000, 4097])
def test_pairwise_sum_adds_as_numpy_does(n: int) -> None:
    values = np.random.default_rng(n).random(n)
    assert pairwise_sum(values, 0, n, *sum_room()) == values.sum()


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 5, 3)), np.zeros((1, 17, 3)), r"a has shape \(1, 5, 3\); expected \(N, 17, 2 or 3\) for 17"),
        (np.zeros((1, 17, 3)), np.zeros((1, 17, 2)), r"b has shape \(1, 17, 2\)"),
        (np.zeros((1, 17, 3)), np.zeros((2, 17, 3)), r"area has shape \(1,\) and boxes \(1, 4\); expected \(2,\)"),
    ],
)
def test_shapes_of_keypoints(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        oks(a, b, area=[1.0], boxes=[[0, 0, 1, 1]], sigmas=COCO_SIGMAS)
