from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from reference_models.parts.ops import box_iou
from reference_models.parts.peaks import draw_peaks, gather_cells, peak_loss, peak_radius, pick_peaks


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("overlap", [0.3, 0.7, 0.9])
def test_corners_within_the_radius_leave_the_overlap(overlap: float) -> None:
    sizes = torch.rand(20, 2, generator=numbers(0), dtype=torch.float64) * 30 + 1
    for (height, width), radius in zip(sizes, peak_radius(sizes, overlap), strict=True):
        box = torch.stack([radius * 0, radius * 0, width, height])
        moves = torch.tensor([*product([-1.0, 0.0, 1.0], repeat=4)], dtype=torch.float64)
        left = box_iou(box[None], box + radius * moves).min()
        assert left.item() == pytest.approx(overlap, abs=1e-9), "the worst move leaves exactly that much"


def test_boxes_without_area_have_no_radius() -> None:
    assert peak_radius(torch.tensor([[0.0, 0.0], [0.0, 9.0]])).tolist() == [0, 0]


def drawn(cells: list[tuple[int, int]], labels: list[int], sizes: list[tuple[float, float]]) -> Tensor:
    """`draw_peaks` of 2 classes, 7 rows and 9 columns, cell by cell."""
    heat = torch.zeros(2, 7, 9)
    for (row, column), label, size in zip(cells, labels, sizes, strict=True):
        radius = math.floor(peak_radius(torch.tensor([size])))
        deviation = (2 * radius + 1) / 6
        for i, j in product(range(7), range(9)):
            if max(abs(i - row), abs(j - column)) <= radius:
                value = math.exp(-((i - row) ** 2 + (j - column) ** 2) / (2 * deviation**2))
                heat[label, i, j] = max(heat[label, i, j], value)
    return heat


def test_peaks_are_drawn_cell_by_cell() -> None:
    cells, labels, sizes = (
        [(0, 0), (3, 4), (3, 6), (6, 8)],
        [0, 1, 1, 1],
        [(8.0, 20.0), (9.0, 9.0), (12.0, 7.0), (1.0, 1.0)],
    )
    heat = draw_peaks(torch.tensor(cells), torch.tensor(labels), torch.tensor(sizes), (2, 7, 9))
    torch.testing.assert_close(heat, drawn(cells, labels, sizes))
    assert heat.eq(1).nonzero().tolist() == [[label, *cell] for label, cell in zip(labels, cells, strict=True)]


def test_no_objects_are_an_empty_map() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    heat = draw_peaks(torch.zeros(0, 2, dtype=torch.int64), none, torch.zeros(0, 2), (3, 4, 5))
    assert torch.equal(heat, torch.zeros(3, 4, 5))


def test_the_loss_is_that_of_the_paper() -> None:
    logits = torch.randn(2, 3, 3, generator=numbers(0))
    heat = torch.rand(2, 3, 3, generator=numbers(1))
    heat[0, 1, 1] = heat[1, 2, 0] = 1
    expected = 0.0
    for x, y in zip(logits.sigmoid().flatten().tolist(), heat.flatten().tolist(), strict=True):
        expected -= (1 - x) ** 2 * math.log(x) if y == 1 else (1 - y) ** 4 * x**2 * math.log(1 - x)
    assert peak_loss(logits, heat).item() == pytest.approx(expected / 2, rel=1e-5)
    assert peak_loss(logits, heat * 0).item() == pytest.approx(
        -sum(x**2 * math.log(1 - x) for x in logits.sigmoid().flatten().tolist()), rel=1e-5
    ), "without peaks all cells are background"


def test_the_loss_is_finite_where_the_network_is_sure_and_wrong() -> None:
    heat = torch.tensor([1.0, 0.0])
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    loss = peak_loss(logits, heat)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_peaks_are_cells_that_no_neighbour_exceeds() -> None:
    heat = torch.randint(1, 30, (2, 3, 6, 5), generator=numbers(0)).float()
    picked = pick_peaks(heat, 25)
    for image in range(2):
        expected = {}
        for label, i, j in product(range(3), range(6), range(5)):
            around = heat[image, label, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            if heat[image, label, i, j] == around.max():
                expected[label, i, j] = heat[image, label, i, j].item()
        places = zip(*(column[image].tolist() for column in picked[1:]), strict=True)
        found = dict(zip(places, picked.scores[image].tolist(), strict=True))
        real = {place: score for place, score in found.items() if score > 0}
        assert list(real.values()) == sorted(expected.values(), reverse=True)[: len(real)]
        assert all(expected[place] == score for place, score in real.items())
        assert len(real) == min(25, len(expected))


def test_values_are_those_of_the_cells() -> None:
    maps = torch.rand(2, 3, 4, 5, generator=numbers(0))
    rows, columns = torch.tensor([[0, 3], [2, 2]]), torch.tensor([[4, 0], [1, 3]])
    gathered = gather_cells(maps, rows, columns)
    for image, k in product(range(2), range(2)):
        assert torch.equal(gathered[image, k], maps[image, :, rows[image, k], columns[image, k]])
