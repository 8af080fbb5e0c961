"""Draws of images against the published generator, intervals against sorted lists, and both against simulation."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest

from cvbench.errors import InputError, MismatchError
from cvbench.intervals import Bootstrap, Interval, bootstrap, bootstrap_state, draws
from cvbench.metrics.base import State
from generated import Knobs
from test_laws import CASES, Case, fed

NAN = math.nan
SOME = Knobs(3, 6, 3, 3, 4, 9, True, False, 1, False)

# Draws


def splitmix64(seed: int, number: int) -> list[int]:
    """The generator as its paper writes it, on whole numbers without end."""
    outputs, mask = [], 2**64 - 1
    for _ in range(number):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        outputs.append(z ^ (z >> 31))
    return outputs


@pytest.mark.parametrize(("images", "seed"), [(1, 0), (5, 7), (1000, 2**64 - 1)])
def test_draws_follow_the_generator(images: int, seed: int) -> None:
    chosen = [(output >> 32) * images >> 32 for output in splitmix64(seed, 3 * images)]
    for r, times in enumerate(draws(images, 3, seed)):
        expected = [chosen[r * images : (r + 1) * images].count(image) for image in range(images)]
        assert (times.dtype, times.tolist()) == (np.int64, expected)


def test_draws_are_the_same_everywhere() -> None:
    assert splitmix64(0, 2) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]  # as the author's C program prints them
    bits = b"".join(times.astype("<i8").tobytes() for times in draws(100, 50, seed=1))
    assert hashlib.sha256(bits).hexdigest()[:16] == "fc2d1539245464aa"


def test_draws_are_multinomial() -> None:
    times = np.array(list(draws(20, 4000, seed=5)))
    assert (times.sum(axis=1) == 20).all()
    # Five standard errors of the mean, and of the variance (about the square root of 3 / 4000, times 1).
    np.testing.assert_allclose(times.mean(axis=0), 1, atol=5 * math.sqrt(0.95 / 4000))
    np.testing.assert_allclose(times.var(axis=0), 0.95, atol=5 * math.sqrt(3 / 4000))
    covariance = np.cov(times.T)[np.triu_indices(20, 1)]
    np.testing.assert_allclose(covariance, -1 / 20, atol=5 * math.sqrt(1 / 4000))


@pytest.mark.parametrize(
    ("images", "replicates", "seed"), [(0, 1, 0), (2**32, 1, 0), (1, 0, 0), (1, 1, -1), (1, 1, 2**64)]
)
def test_impossible_draws_are_refused(images: int, replicates: int, seed: int) -> None:
    with pytest.raises(InputError, match=f"{images} images, {replicates} replicates, seed {seed}: expected"):
        next(draws(images, replicates, seed))


# Any metric


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_metric_can_be_drawn_again(case: Case) -> None:
    images = case.images(SOME)
    metric, seen = fed(case, images), []
    found = bootstrap(metric, replicates=3, seed=4, progress=lambda *said: seen.append(said))
    np.testing.assert_equal(found.values, metric.compute().values)
    for r, times in enumerate(draws(len(images), 3, seed=4)):
        weighted = metric.compute(weights={gt["image_id"]: n for (gt, _), n in zip(images, times, strict=True)})
        np.testing.assert_equal({name: row[r] for name, row in found.replicates.items()}, weighted.values)
    assert seen == [("bootstrap", n, 3) for n in (1, 2, 3)]
    # the same bits from parts that were counted and merged in another order
    parts = case.metric().merge(fed(case, images[3:]), fed(case, images[2::-1]))
    again = bootstrap(parts, replicates=3, seed=4)
    np.testing.assert_equal(again.replicates, found.replicates)
    assert again.images == found.images


def test_no_images_are_refused() -> None:
    with pytest.raises(InputError, match="0 images"):
        bootstrap(CASES["semantic"].metric())


# Intervals


def drawn(figures: dict[str, list[float]], values: dict[str, float] | None = None, **change: Any) -> Bootstrap:
    values = values or dict.fromkeys(figures, 0.5)
    return Bootstrap(
        values, {name: np.array(row) for name, row in figures.items()}, **({"seed": 0, "images": "x"} | change)
    )


def test_ends_are_counted_from_both_sides() -> None:
    row = np.random.default_rng(0).permutation(999).tolist()
    found = drawn({"AP": row, "AR": row})
    assert found.interval("AP") == Interval(24.0, 974.0, 0.95, 999, 0)
    assert found.intervals(0.99)["AR"] == Interval(4.0, 994.0, 0.99, 999, 0)


def test_what_is_undefined_is_left_out_and_counted() -> None:
    row = [NAN, *range(39), NAN]
    assert drawn({"AP": row}).interval("AP") == Interval(0.0, 38.0, 0.95, 41, 0, undefined=2)
    assert 20 in drawn({"AP": row}).interval("AP")
    for few in (drawn({"AP": row[:-2]}), drawn({"AP": row}, {"AP": NAN})):
        interval = few.interval("AP")
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
        assert 20 not in interval


def test_differences_are_of_pairs() -> None:
    common = np.random.default_rng(1).normal(0, 1, 999)
    a, b = drawn({"AP": common.tolist()}, {"AP": 0.1}), drawn({"AP": (common - 0.01).tolist()}, {"AP": 0.09})
    found = a.difference(b, "AP")
    assert found.interval.low == pytest.approx(0.01, abs=1e-15)  # of numbers around 1
    assert found.interval.high == pytest.approx(0.01, abs=1e-15)
    assert (found.tie, a.difference(a, "AP").tie, b.difference(a, "AP").tie) == (False, True, False)
    assert b.difference(a, "AP").value == 0.09 - 0.1
    assert a.difference(drawn({"AP": [NAN] * 999}, {"AP": NAN}), "AP").tie, "undefined is no difference"


@pytest.mark.parametrize("change", [{"seed": 1}, {"images": "y"}])
def test_differences_of_other_draws_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MismatchError, match="the two saw different draws"):
        drawn({"AP": [1.0]}).difference(drawn({"AP": [1.0]}, **change), "AP")
    with pytest.raises(MismatchError, match="number of replicates"):
        drawn({"AP": [1.0]}).difference(drawn({"AP": [1.0, 2.0]}), "AP")


def test_one_figure_can_be_kept_alone() -> None:
    both = Bootstrap({"AP": 0.1, "AR": 0.2}, {"AP": np.arange(3.0), "AR": np.ones(3)}, 5, "x")
    kept = both.only("AR")
    assert (kept.values, list(kept.replicates), kept.seed, kept.images) == ({"AR": 0.2}, ["AR"], 5, "x")
    assert kept.difference(both, "AR").value == 0
    with pytest.raises(InputError, match="there is no figure 'AQ'; expected one of AP, AR"):
        both.only("AQ")


def test_unknown_figures_and_confidences_are_refused() -> None:
    with pytest.raises(InputError, match="there is no figure 'APs'; did you mean 'AP'"):
        drawn({"AP": [1.0]}).interval("APs")
    with pytest.raises(InputError, match=r"confidence 95: expected a share between 0 and 1, such as 0.95"):
        drawn({"AP": [1.0]}).interval("AP", 95)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng, runs, held = np.random.default_rng(0), 400, 0
    state = State(np.arange(60), np.zeros(60, np.int64), {})
    for run in range(runs):
        errors = rng.normal(3.0, 1.0, 60)

        def figures(weights: Any, errors: Any = errors) -> dict[str, float]:
            return {"EPE": float(np.average(errors, weights=weights))}

        held += 3.0 in bootstrap_state(state, figures, replicates=199, seed=run).interval("EPE")
    # 95 % less what percentile intervals miss with 60 images, about 1 %; the standard error of 400 runs is 1.1 %
    assert 0.91 <= held / runs <= 0.97
