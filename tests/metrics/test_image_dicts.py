"""What DetectionAP makes of images as dicts: columns of a batch, rows of words, one copy from another device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cvbench import DetectionAP, InputError
from cvbench.metrics.image_dicts import Layout, Side, copied, fetched

IMAGES = [
    {"labels": [3, 4], "scores": np.array([0.5, 0.25], np.float32)},
    {"labels": [], "scores": []},
    {"labels": torch.tensor([5], dtype=torch.uint8), "scores": torch.tensor([0.75]), "area": [2]},
]
BOXES = [[10.0, 10.0, 40.0, 50.0], [60.0, 5.0, 90.0, 25.0]]
GT = {"boxes": BOXES, "labels": [1, 2]}
PRED = GT | {"scores": [0.9, 0.8]}


def test_columns_of_a_batch_stand_one_after_another() -> None:
    side = Side(IMAGES, "pred", False)
    assert (side.labels.tolist(), side.offsets, len(side)) == ([3, 4, 5], [0, 2, 2, 3], 3)
    scores = side.column("scores", np.float64)
    assert (scores.tolist(), scores.dtype) == ([0.5, 0.25, 0.75], np.float64)
    assert [side.at(row) for row in range(3)] == [(0, 0), (0, 1), (2, 0)]
    assert Side([], "gt", False).column("boxes", np.float64, (4,)).shape == (0, 4)


def test_images_without_a_column_get_their_part_of_the_default() -> None:
    side = Side(IMAGES, "gt", False)
    assert side.column("area", np.float64, default=lambda: np.array([7.0, 8.0, 9.0])).tolist() == [7.0, 8.0, 2.0]
    assert side.column("ignore", np.int64, default=lambda: np.arange(3)).tolist() == [0, 1, 2]


def test_large_labels_of_several_types_stay_exact() -> None:
    large = 2**60 + 1
    images = [{"labels": np.array([large], np.uint64)}, {"labels": np.array([-1])}]
    assert Side(images, "gt", False).labels.tolist() == [large, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [0.5, np.nan]}, r"pred\[1\]\.scores\[1\]: is nan; expected finite numbers"),
        ({"scores": [0.5]}, r"pred\[1\]\.scores: has shape \(1,\); expected \(2\)"),
        ({"boxes": [[0, 0, 5, 5], [9, 9, 3, 20]]}, r"pred\[1\]\.boxes\[1\]: width -6.0, height 11.0 < 0"),
        ({"boxes": [[0, 0, 5, 5], [9, 9, np.inf, 20]]}, r"pred\[1\]\.boxes\[1, 2\]: is inf"),
        ({"labels": [0.5, 1.5]}, r"pred\[1\]\.labels: holds float64; expected integers"),
    ],
)
def test_what_is_wrong_in_a_batch_has_the_place_in_its_image(change: dict[str, Any], message: str) -> None:
    metric = DetectionAP()
    with pytest.raises(InputError, match=message):
        metric.update([GT, GT, GT], [PRED, PRED | change, PRED])
    assert len(metric.state) == 0


def test_a_label_that_is_no_category_is_found_in_its_image() -> None:
    with pytest.raises(InputError, match=r"gt\[1\]\.labels: label 2 is not among the categories 1"):
        DetectionAP(categories={1: "cat"}).update([{**GT, "labels": [1, 1]}, GT], [PRED, PRED])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ((1, 2, 1), "image_id 1 came before; an image is counted once"),
        ((1, 2, "a"), "image_id 'a' is a str and those before are int"),
        ((1, None, 2), "some images have an image_id and some have none"),
    ],
)
def test_a_batch_of_bad_ids_is_not_taken_in_part(ids: tuple[Any, ...], message: str) -> None:
    metric = DetectionAP()
    with pytest.raises(InputError, match=message):
        metric.update([GT | {"image_id": image_id} for image_id in ids], [PRED] * 3)
    assert len(metric.state) == 0
    assert len(metric.update([GT | {"image_id": "b"}], [PRED]).state) == 1


def test_arrays_of_the_caller_are_neither_kept_nor_changed() -> None:
    for box_format in ("xyxy", "xywh", "cxcywh"):
        gt = {name: np.array(value, np.float64 if name == "boxes" else np.int64) for name, value in GT.items()}
        pred = gt | {"scores": np.array([0.9, 0.8]), "boxes": gt["boxes"].copy()}
        expected = DetectionAP(box_format=box_format).update(gt, pred).compute()
        metric = DetectionAP(box_format=box_format).update(gt, pred)
        np.testing.assert_equal(gt["boxes"], BOXES)
        for array in (*gt.values(), *pred.values()):
            array[:] = 0
        assert metric.compute().same_scores(expected)


def test_what_waits_of_a_box_is_48_bytes() -> None:
    metric = DetectionAP().update(GT, PRED)
    assert [image.arrays["pred"].nbytes for image in metric._waiting] == [2 * 48]
    assert set(metric._waiting[0].arrays) == {"gt", "pred"}


def test_packed_columns_come_back() -> None:
    rng = np.random.default_rng(0)
    layout = Layout({"id": (np.int64, ()), "box": (np.float64, (4,)), "points": (np.float64, (3, 2))})
    columns = {
        "id": rng.integers(-(2**62), 2**62, 5),
        "box": np.array([[np.nan, -0.0, np.inf, 5e-324]] * 5),
        "points": rng.normal(size=(5, 3, 2)),
    }
    words = layout.pack(columns, 5)
    assert words.shape == (5, 11)
    for name, column in layout.unpack([words[:2], words[2:]]).items():
        assert column.flags.c_contiguous
        assert (column.shape, column.tobytes()) == (columns[name].shape, columns[name].tobytes())
    assert {name: column.shape for name, column in layout.unpack([]).items()} == {
        "id": (0,),
        "box": (0, 4),
        "points": (0, 3, 2),
    }


def test_tensors_are_copied_type_by_type() -> None:
    tensors = [
        torch.rand(3, 4),
        torch.arange(5),
        torch.rand(0, 4),
        torch.rand(2, requires_grad=True),
        torch.tensor([[1.5], [2.5]], dtype=torch.bfloat16),
        torch.arange(6).reshape(2, 3).T,
    ]
    for tensor, array in zip(tensors, copied(tensors), strict=True):
        np.testing.assert_array_equal(array, tensor.detach().float().numpy())
        assert array.shape == tuple(tensor.shape)


class Away:
    """Stands for a tensor on another device, which this machine need not have."""

    is_cpu = False

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


def test_only_what_is_away_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    here = torch.ones(1)
    images = [{"labels": here, "boxes": Away(torch.zeros(1, 4)), "masks": Away(here)}, {"labels": here}]
    monkeypatch.setattr(
        "cvbench.metrics.image_dicts.copied", lambda values: [value.tensor.numpy() + 7 for value in values]
    )
    found = fetched(images, ("labels", "boxes"))
    assert found[0]["boxes"].tolist() == [[7, 7, 7, 7]]
    assert found[0]["masks"] is images[0]["masks"]
    assert found[0]["labels"] is here
    assert isinstance(images[0]["boxes"], Away)
    assert fetched(images[1:], ("labels", "boxes"))[0] is images[1]
