"""What every reference model has to do, asked of any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from cvbench.cost.counter import Count, count
from reference_models.model import Model, Prediction, Raw, Target
from reference_models.parts.joints import draw_joints

Own = TypeVar("Own", bound=Model)


def nano_of(build: Callable[..., Own], **options: Any) -> Own:
    """The nano size with the same random weights every time."""
    torch.manual_seed(0)
    return build("nano", **options)


def cost_of(build: Callable[..., Model], size: str = "paper", **options: Any) -> Count:
    """What a model costs on the input that it says; all of its operators have a formula."""
    with torch.device("meta"):
        model = build(size, **options)
    return count(model, model.spec, strict=True)


def noise(images: int, side: int, seed: int = 0) -> Tensor:
    """Images (images, 3, side, side) that show nothing."""
    return torch.rand(images, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def two_objects(side: int) -> Target:
    """A bright and a dark box: detection, instance and panoptic targets of one image."""
    masks = torch.zeros(2, side, side, dtype=torch.bool)
    masks[0, side // 8 : side // 2, side // 8 : side // 2] = True
    masks[1, side // 2 : side - 4, side // 4 : side - 4] = True
    semantic = torch.full((side, side), 8)
    semantic[masks[0]], semantic[masks[1]], semantic[:2] = 2, 5, 255
    low, high = side // 8, side // 2
    boxes = torch.tensor([[low, low, high, high], [side // 4, high, side - 4, side - 4]], dtype=torch.float32)
    return {"boxes": boxes, "labels": torch.tensor([2, 5]), "masks": masks, "semantic": semantic}


def picture_of(target: Target) -> Tensor:
    """(1, 3, H, W) the image whose target this is."""
    image = torch.full(target["semantic"].shape, 0.5)
    image[target["masks"][0]], image[target["masks"][1]] = 1.0, 0.0
    return image.expand(1, 3, -1, -1)


def nothing(side: int) -> Target:
    """The target of an image without objects, all of it stuff."""
    return {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, side, side, dtype=torch.bool),
        "semantic": torch.full((side, side), 8),
    }


def person(side: int, joints: int = 3, seed: int = 0) -> Target:
    """The target of an image with joints anywhere, all of them seen."""
    places = torch.rand(joints, 2, generator=torch.Generator().manual_seed(seed)) * (side - 16) + 8
    return {"keypoints": places, "visible": torch.ones(joints, dtype=torch.bool)}


def picture_of_person(target: Target, side: int) -> Tensor:
    """(1, 3, side, side) with each of three joints as a spot of a colour of its own."""
    return draw_joints(target["keypoints"], target["visible"], (side, side), deviation=3.0)[None]


def check_maps_are_cut(model: Model) -> None:
    """Of images that were filled up at the right and at the bottom, labels are those of the image."""
    raw = model.eval()(torch.rand(2, 3, 32, 32))
    whole, cut = model.postprocess(raw), model.postprocess(raw, [(32, 20), (9, 32)])
    assert [image["labels"].shape for image in cut] == [(32, 20), (9, 32)]
    assert torch.equal(cut[1]["labels"], whole[1]["labels"][:9])


def check_boxes_are_cut(model: Model, raw: Raw) -> None:
    """What anchors find in an image (64, 64) that was filled up ends where the image does; `raw` is of one image."""
    twice = {name: [torch.cat([each] * 2) for each in raw[name]] for name in ("logits", "codes")}
    full, cut = model.postprocess(raw | twice, [(64, 64), (40, 50)])
    assert torch.equal(full["boxes"], model.postprocess(raw)[0]["boxes"])
    assert cut["boxes"].amax(0)[2:].tolist() == [50, 40]


def check_batch_equals_singles(model: Model, images: Tensor) -> list[Prediction]:
    """An image is seen as if it were alone; in double precision, so that rounding cannot reorder what is found."""
    model = model.double().eval()
    with torch.inference_mode():
        together = model.postprocess(model(images))
        for image, found in zip(images, together, strict=True):
            (alone,) = model.postprocess(model(image[None]))
            assert alone.keys() == found.keys()
            for name, value in alone.items():
                if isinstance(value, Tensor):
                    torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-9)
                else:
                    assert found[name] == value
    return together


def check_everything_learns(model: Model, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
    """The terms of the loss are finite, and every parameter gets a gradient that is finite."""
    terms = model.train().loss(model(images), targets)
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    sum(terms.values(), torch.zeros(())).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    return terms


def check_what_is_learnt_is_found(model: Model, raw: Raw, target: Target) -> None:
    """Nothing is left to learn from raw outputs that say exactly the target, and they are decoded to its objects."""
    assert all(term < 1e-6 for term in model.loss(raw, [target]).values())
    (found,) = model.postprocess(raw)
    order, expected = found["boxes"][:, 0].argsort(), target["boxes"][:, 0].argsort()
    torch.testing.assert_close(found["boxes"][order], target["boxes"][expected])
    assert torch.equal(found["labels"][order], target["labels"][expected] + 1), "category ids begin at 1"


def check_learns_by_heart(model: Model, images: Tensor, targets: list[Target], steps: int, rate: float = 2e-3) -> Any:
    """What the model predicts of images that it has been shown `steps` times."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.train().parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values(), torch.zeros(())).backward()
        optimizer.step()
    with torch.inference_mode():
        return model.eval().postprocess(model(images))
