from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from cvbench.metrics.mean_iou import MeanIoU
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    check_maps_are_cut,
    cost_of,
    nano_of,
    noise,
    picture_of,
    two_objects,
)
from reference_models.model import Target
from reference_models.parts.labels import VOID
from reference_models.semantic.deeplabv3 import AtrousPyramid, build

nano = partial(nano_of, build)


def labels(side: int) -> Target:
    return {"labels": two_objects(side)["semantic"]}


def test_without_its_second_head_it_costs_what_is_published() -> None:
    found = cost_of(build, auxiliary=False)
    assert (found.params, found.macs) == (39_638_869, 168_731_205_888)


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (1, 17)])
def test_every_pixel_gets_a_class(size: tuple[int, int]) -> None:
    model = nano().eval()
    (found,) = model.postprocess(model(torch.rand(1, 3, *size)))
    assert found["labels"].shape == size
    assert found["labels"].max() < 14


def test_the_published_model_runs_on_images_of_any_size() -> None:
    with torch.device("meta"):
        raw = build("paper").eval()(torch.zeros(2, 3, 65, 131))
    assert {name: tuple(logits.shape) for name, logits in raw.items()} == {
        "logits": (2, 21, 65, 131),
        "auxiliary": (2, 21, 65, 131),
    }


def test_filled_up_images_are_cut_to_their_size() -> None:
    check_maps_are_cut(nano())


def test_the_pyramid_sees_a_cell_its_neighbours_at_each_rate_and_the_image() -> None:
    torch.manual_seed(0)
    pyramid, x = AtrousPyramid(3, 4, (1, 3)).eval(), torch.randn(2, 3, 7, 9)
    kernels = [view[0].weight for view in (*pyramid.views, pyramid.whole[1])]
    small = 1 / math.sqrt(1 + 1e-5)  # norms that have seen nothing
    expected = [
        F.conv2d(x, kernels[0]),
        F.conv2d(x, kernels[1], padding=1),
        F.conv2d(x, kernels[2], padding=3, dilation=3),
        F.conv2d(x.mean((2, 3), keepdim=True), kernels[3]).expand(2, 4, 7, 9),
    ]
    views = torch.cat([(view * small).relu() for view in expected], 1)
    torch.testing.assert_close(pyramid(x), pyramid.merge(views))
    assert pyramid(x).shape == (2, 4, 7, 9)


def test_a_batch_equals_singles() -> None:
    check_batch_equals_singles(nano(), noise(3, 32))


@pytest.mark.parametrize("auxiliary", [False, True])
def test_images_without_labels_train(auxiliary: bool) -> None:
    void, images = {"labels": torch.full((32, 32), VOID)}, noise(2, 32).float()
    terms = check_everything_learns(nano(auxiliary=auxiliary), images, [labels(32), void])
    assert terms.keys() == ({"labels", "auxiliary"} if auxiliary else {"labels"})
    assert terms["labels"].item() == pytest.approx(math.log(14), rel=0.05), "undecided at first"
    assert check_everything_learns(nano(), images, [void, void])["labels"] == 0


def test_the_loss_is_the_entropy_of_pixels_with_a_class() -> None:
    model = nano()
    logits = torch.zeros(1, 14, 2, 2)
    logits[0, 3, 0, 0], logits[0, 5, 1] = math.log(13), 100
    target = {"labels": torch.tensor([[3, 0], [VOID, 5]])}  # a half, one in 14, nothing, surely
    terms = model.loss({"logits": logits, "auxiliary": logits}, [target])
    assert terms["labels"].item() == pytest.approx((math.log(2) + math.log(14)) / 3, rel=1e-5)
    assert terms["auxiliary"] == terms["labels"] / 2


def test_a_picture_is_learnt_by_heart() -> None:
    target, images = labels(64), picture_of(two_objects(64)).expand(2, -1, -1, -1)
    found = check_learns_by_heart(nano(), images, [target] * 2, steps=40, rate=1e-2)
    metric = MeanIoU(14, ignore_index=VOID).update(target["labels"].numpy(), found[0]["labels"].numpy())
    assert metric.compute().values["mIoU"] > 0.9
