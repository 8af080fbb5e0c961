from __future__ import annotations

import math

import pytest
import torch

from reference_models.parts.joints import draw_joints, draw_people, find_people, hottest


@pytest.mark.parametrize("deviation", [1.0, 2.5])
def test_joints_are_gaussians_around_where_they_are(deviation: float) -> None:
    places = torch.tensor([[2.5, 1.5], [0.2, 3.9], [20.0, -3]])
    heat = draw_joints(places, torch.tensor([True, True, True]), (5, 7), deviation)
    for joint, (x, y) in enumerate(places.tolist()):
        for row in range(5):
            for column in range(7):
                distance = (row + 0.5 - y) ** 2 + (column + 0.5 - x) ** 2
                assert heat[joint, row, column] == pytest.approx(math.exp(-distance / (2 * deviation**2)), abs=1e-6)
    assert heat[0, 1, 2] == 1


def test_what_is_not_seen_has_no_heat() -> None:
    places, seen = torch.tensor([[2.5, 1.5], [math.nan, 0], [1, 1]]), torch.tensor([True, False, False])
    heat = draw_joints(places, seen, (4, 4))
    assert heat[0].max() == 1
    assert (heat[1:] == 0).all()


def test_the_hottest_place_is_moved_towards_the_hotter_neighbour() -> None:
    heat = torch.zeros(5, 4, 6)
    heat[0, 1, 2], heat[0, 1, 3], heat[0, 0, 2] = 0.9, 0.5, 0.3  # to the right and up
    heat[1, 2, 4], heat[1, 2, 3], heat[1, 3, 4] = 0.7, 0.2, 0.6  # to the left and down
    heat[2, 0, 0], heat[2, 0, 1] = 1.5, 1.0  # in a corner: nowhere
    heat[3, 3, 5] = 0.1
    heat[4] -= 0.5
    places, scores = hottest(heat, stride=4)
    expected = [[2.75, 1.25], [4.25, 2.75], [0.5, 0.5], [5.5, 3.5], [0.5, 0.5]]
    assert (places / 4).tolist() == expected
    assert scores.tolist() == pytest.approx([0.9, 0.7, 1, 0.1, 0])


def test_drawn_joints_are_found_within_a_quarter_of_a_cell() -> None:
    places = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([14.0, 10]) + 1
    found, scores = hottest(draw_joints(places, torch.ones(500, dtype=torch.bool), (12, 16)), stride=8)
    assert (found / 8 - places).abs().max() <= 0.25 + 1e-5
    assert scores.min() >= math.exp(-0.25) - 1e-6


def test_people_are_drawn_where_their_targets_say() -> None:
    places = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(0)) * 40
    seen = torch.tensor([[1, 0, 2], [1, 1, 1]])
    targets = [{"keypoints": keypoints, "visible": visible} for keypoints, visible in zip(places, seen, strict=True)]
    heat = draw_people(targets, 4, (10, 12))
    assert heat.shape == (2, 3, 10, 12)
    assert torch.equal(heat[1], draw_joints(places[1] / 4, torch.ones(3, dtype=torch.bool), (10, 12)))
    assert (heat[0, 1] == 0).all()
    assert heat[0, 2].max() > 0.5


def test_people_are_found_within_their_image() -> None:
    heat = torch.zeros(2, 1, 8, 8)
    heat[:, 0, 6, 7], heat[:, 0, 2, 4] = 0.9, 0.5
    whole, cut = find_people(heat, 4, [(32, 32), (28, 17)])  # of the column of 16 to 19, one pixel is in the image
    assert (whole["keypoints"].tolist(), whole["scores"].tolist()) == ([[30.0, 26.0]], [pytest.approx(0.9)])
    assert (cut["keypoints"].tolist(), cut["scores"].tolist()) == ([[17.0, 10.0]], [0.5])
    assert torch.equal(find_people(heat, 4)[1]["keypoints"], whole["keypoints"])
