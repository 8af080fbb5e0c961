from __future__ import annotations

import torch
from torch import Tensor

from reference_models.parts.ops import roi_align
from reference_models.parts.regions import Pooling, image_of, parts_of

SIZE = (48, 64)
STRIDES = (4, 8)


def maps_of(images: int, seed: int = 0, channels: int = 3) -> list[Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    return [torch.randn(images, channels, SIZE[0] // s, SIZE[1] // s, generator=numbers) for s in STRIDES]


def boxes_of(count: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=numbers) * torch.tensor([64.0, 48.0])
    half = torch.rand(count, 2, generator=numbers) * 30 + 0.5
    return torch.cat([centre - half, centre + half], 1)


def test_regions_are_taken_from_the_map_in_which_they_are_large_enough() -> None:
    pooling = Pooling((4, 8, 16), cells=7)
    sides = torch.tensor([1.0, 27, 28, 55.9, 56, 111, 112, 5000])
    boxes = torch.stack([torch.zeros(8), torch.zeros(8), sides * 2, sides / 2], 1)
    assert pooling.levels(boxes).tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    published = Pooling((4, 8, 16, 32))
    assert published.levels(torch.tensor([[0.0, 0, 224, 224], [0, 0, 112, 112]])).tolist() == [2, 1]


def test_pooling_keeps_the_order_of_regions() -> None:
    pooling, maps = Pooling(STRIDES, cells=4), maps_of(3)
    regions = [boxes_of(6, 1), boxes_of(0, 2), boxes_of(9, 3)]
    assert set(pooling.levels(torch.cat(regions)).tolist()) == {0, 1}
    content = pooling(maps, regions, size=3)
    assert content.shape == (15, 3, 3, 3)
    assert image_of(regions).tolist() == [0] * 6 + [2] * 9
    for image, own in enumerate(parts_of(content, regions)):
        for box, values in zip(regions[image], own, strict=True):
            level = int(pooling.levels(box[None]))
            alone = roi_align(maps[level][image, None], [box[None]], 3, STRIDES[level])[0]
            torch.testing.assert_close(values, alone)


def test_no_regions_have_no_content() -> None:
    maps = [fmap.requires_grad_() for fmap in maps_of(2)]
    content = Pooling(STRIDES)(maps, [torch.zeros(0, 4)] * 2, size=3)
    assert content.shape == (0, 3, 3, 3)
    content.sum().backward()
