"""The score of a model on a benchmark: what it is shown, what it may return, what the result says of itself."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from torch import nn

from cvbench import scenes
from cvbench.errors import InputError
from cvbench.metrics.mean_iou import mean_iou
from cvbench.running import evaluate, evaluation
from mode import JIT
from perfect import shared
from runnable_models import SKY, Boxes, Labels, Returns

LIMIT = 6 if JIT else 2


def test_the_score_is_that_of_the_metric():
    result = evaluate(Labels(), shared("scenes.semantic"), limit=LIMIT).result
    samples = list(scenes.dataset("val", LIMIT))
    found = [
        np.where(sample.image.astype(np.float32).mean(axis=2) / 255 > 0.5, SKY, SKY + 1).astype(np.int64)
        for sample in samples
    ]
    expected = mean_iou(
        [sample.labels for sample in samples], found, tuple(scenes.CATEGORIES.values()), ignore_index=255
    )
    # a pixel whose mean is 127.5 / 255 to the last bit may fall on either side
    assert result.values["mIoU"] == pytest.approx(expected.values["mIoU"], abs=1e-3)
    assert 0 < result.values["mIoU"] < 0.2


@pytest.mark.parametrize("name", ["scenes.detection", "scenes.semantic"])
def test_batches_do_not_matter(name):
    model = Boxes() if name == "scenes.detection" else Labels()
    results = [evaluate(model, shared(name), limit=LIMIT, batch=batch) for batch in (1, 4, 16)]
    assert all(other.result.same_scores(results[0].result) for other in results)
    assert len({other.images for other in results}) == 1


def test_people_are_shown_one_by_one_and_judged_by_picture():
    shown = []

    class Middle(nn.Module):
        def forward(self, images):
            shown.append(tuple(images.shape))
            return [{"keypoints": torch.full((14, 2), 32.0)} for _ in images]

    benchmark = shared("scenes.pose")
    result = evaluate(Middle(), benchmark, limit=LIMIT, batch=2).result
    people = sum(len(picture.images) for picture in benchmark.pictures("val", LIMIT))
    assert sum(shape[0] for shape in shown) == people == result.counts["instances"]
    assert {shape[1:] for shape in shown} == {(3, 64, 64)}
    assert result.counts["images"] == LIMIT


def test_the_result_says_what_it_is_of():
    one, two = (evaluate(Labels(), shared("scenes.semantic"), limit=limit).result for limit in (1, 2))
    assert str(one.signature).endswith("|images:first 1")
    assert one.inputs["gt"]["path"] == "scenes.semantic"
    assert one.inputs["gt"]["sha256"] != two.inputs["gt"]["sha256"]
    assert evaluate(Labels(), shared("scenes.semantic"), limit=1).result.inputs == one.inputs


def test_values_are_from_0_to_1_and_the_mode_is_that_of_evaluation():
    class Watching(Labels):
        def forward(self, images):
            assert images.dtype == torch.float32
            assert 0 <= images.min() <= images.max() <= 1
            assert not self.training
            assert not torch.is_grad_enabled()
            return super().forward(images)

    evaluate(Watching(), shared("scenes.semantic"), limit=1)


def test_models_may_prepare_images_themselves():
    class Own(Labels):
        def prepare(self, images):
            return torch.zeros(len(images), 3, *images.shape[1:3])

    kept = []
    evaluate(Own(), shared("scenes.semantic"), limit=1, keep=lambda picture, found: kept.append((picture.id, found)))
    ((image, ((found),)),) = kept
    assert image == 0
    assert (found["labels"] == SKY + 1).all()


def test_progress_is_told():
    told = []
    evaluate(Labels(), shared("scenes.semantic"), limit=2, name="toy", progress=lambda *stage: told.append(stage))
    assert told == [("toy on scenes.semantic", 1, 2), ("toy on scenes.semantic", 2, 2)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(2), "toy: postprocess returned a Tensor for 2 images; expected a list of one dict for each"),
        ([{}], "toy: postprocess returned a list of 1 for 2 images"),
        ([{"label": 1}] * 2, r"prediction for image 0: has no 'labels'; it has 'label'; expected 'labels': \(H, W\)"),
        ([torch.zeros(1)] * 2, "prediction for image 0: is of type Tensor; expected a dict of 'labels'"),
        ([{"labels": torch.zeros(128, 128)}] * 2, "prediction for image 0: pred: holds float32; expected labels"),
        ([{"labels": torch.full((128, 128), 14)}] * 2, "prediction for image 0: pred: has label 14 in 16,384 pixels"),
    ],
)
def test_what_a_model_returns_is_checked(value, message):
    with pytest.raises(InputError, match=message):
        evaluate(Returns(value), shared("scenes.semantic"), limit=2, name="toy")


def test_examples():
    assert doctest.testmod(evaluation).attempted > 0
