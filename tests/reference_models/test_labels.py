from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from reference_models.parts.backbones import ResNet
from reference_models.parts.blocks import BasicBlock
from reference_models.parts.labels import VOID, DilatedNetwork, LabelHead, enlarged, label_entropy, label_maps


def test_the_entropy_is_the_mean_over_pixels_with_a_class() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    labels[0, :3], labels[1, 2, 2] = VOID, VOID
    losses = []
    for image in range(2):
        for row in range(4):
            for column in range(5):
                if labels[image, row, column] != VOID:
                    said = logits[image, :, row, column].tolist()
                    right = said[int(labels[image, row, column])]
                    losses.append(math.log(sum(map(math.exp, said))) - right)
    assert len(losses) == 24
    assert float(label_entropy(logits, labels)) == pytest.approx(sum(losses) / 24, rel=1e-5)


def test_without_any_class_there_is_no_loss() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = label_entropy(logits, torch.full((1, 4, 4), VOID))
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_labels_are_the_likeliest_classes_within_an_image() -> None:
    logits = torch.randn(2, 5, 6, 7)
    whole, cut = label_maps(logits), label_maps(logits, [(6, 7), (2, 3)])
    assert torch.equal(whole[0], cut[0])
    assert cut[1].shape == (2, 3)
    assert all(logits[1, :, y, x].argmax() == cut[1][y, x] for y in range(2) for x in range(3))


def test_enlarging_interpolates_between_centres_of_cells() -> None:
    x = torch.arange(4.0).expand(1, 1, 2, 4)
    assert enlarged(x, torch.zeros(1, 3, 4, 8))[0, 0, 1].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def network(auxiliary: bool) -> DilatedNetwork:
    torch.manual_seed(0)
    backbone = ResNet(BasicBlock, (1, 1), (8, 16), output_stride=4)
    return DilatedNetwork(backbone, LabelHead(16, 3), LabelHead(8, 3) if auxiliary else None).eval()


def test_the_published_auxiliary_head_has_the_published_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in LabelHead(1024, 21).parameters()) == 35_322_218 - 32_957_013


def test_each_head_reads_its_own_map() -> None:
    model, images = network(True), torch.rand(2, 3, 19, 30)
    raw, maps = model(images), model.backbone(images)
    assert raw["logits"].shape == (2, 3, 19, 30)
    assert torch.equal(raw["logits"], enlarged(model.head(maps[1]), images))
    assert isinstance(model.auxiliary, nn.Module)
    assert torch.equal(raw["auxiliary"], enlarged(model.auxiliary(maps[0]), images))
    assert network(False)(images).keys() == {"logits"}


def test_the_auxiliary_head_counts_half() -> None:
    model, labels = network(True), torch.randint(0, 3, (2, 19, 30))
    raw = model(torch.rand(2, 3, 19, 30))
    terms = model.loss(raw, labels)
    assert terms["labels"] == label_entropy(raw["logits"], labels)
    assert terms["auxiliary"] == label_entropy(raw["auxiliary"], labels) / 2
    assert model.loss({"logits": raw["logits"]}, labels).keys() == {"labels"}
