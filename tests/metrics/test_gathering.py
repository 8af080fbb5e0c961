"""States of several processes in one: how they travel, and what becomes of images that two of them have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import DetectionAP, InputError, MeanIoU, MismatchError
from cvbench.metrics.gathering import packed, united, unpacked
from generated import Knobs
from test_laws import Case, every_metric, fed, scores

TESTS = Path(__file__).parents[1]
IMAGES = Knobs(4, 5, 3, 4, 6, 5, False, True, 1, False)
BOXES = {"boxes": [[10, 10, 50, 50]], "labels": [1]}


def of_box(image_id: Any, score: float = 0.9) -> DetectionAP:
    return DetectionAP().update(BOXES | {"image_id": image_id}, BOXES | {"scores": [score]})


def test_two_processes_hold_what_one_would(tmp_path: Path) -> None:
    # compiled kernels have tests of their own, and two processes would wait for the compiler
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(TESTS)}
    workers = [
        subprocess.Popen(
            [sys.executable, TESTS / "sync_worker.py", str(rank), "2", tmp_path / "meeting"],
            env=environment,
            cwd=TESTS.parent,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank in range(2)
    ]
    said = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(said)


@every_metric
def test_a_state_survives_the_journey(case: Case) -> None:
    state, empty = fed(case, case.images(IMAGES)).state, fed(case, []).state
    arrived = unpacked(packed(state), empty)
    assert type(arrived) is type(state)
    for name, value in vars(state).items():
        np.testing.assert_equal(getattr(arrived, name), value, name)
        assert getattr(getattr(arrived, name), "dtype", None) == getattr(value, "dtype", None)


@every_metric
def test_copies_of_images_count_once(case: Case) -> None:
    images = case.images(IMAGES)
    states = [fed(case, part).state for part in (images[:3], images[4:1:-1], images[:1], [])]
    whole = case.metric()
    whole._states = [united(states)]
    assert whole.compute().same_scores(scores(case, images))


def test_the_first_copy_stays_where_copies_may_differ() -> None:
    states = [of_box(1, 0.9).merge(of_box(2, 0.8)).state, of_box(2, 0.7).merge(of_box(3, 0.6)).state]
    assert united(states, "first").score.tolist() == [0.9, 0.8, 0.6]
    with pytest.raises(MismatchError, match=r"image 2 was counted .* sync\(differing='first'\)"):
        united(states)


@pytest.mark.parametrize("strange", [1, 2, 6, 7])
def test_the_image_that_differs_is_named(strange: int) -> None:
    one, other = (
        DetectionAP().update(
            [BOXES | {"image_id": f"image {n}"} for n in range(8)],
            [BOXES | {"scores": [0.5 + (n == strange) * shift]} for n in range(8)],
        )
        for shift in (0.0, 0.1)
    )
    with pytest.raises(MismatchError, match=f"image 'image {strange}' was counted"):
        united([one.state, other.state])


def test_nothing_is_added_after_sync() -> None:
    metric = of_box(1).sync()
    with pytest.raises(InputError, match="reset before more are added"):
        metric.update(BOXES, BOXES | {"scores": [0.9]})
    assert metric.reset().update(BOXES, BOXES | {"scores": [0.9]}).compute().counts["images"] == 1


def test_processes_that_do_not_know_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match="WORLD_SIZE is 4 and torch.distributed is not initialised"):
        of_box(1).sync()


def test_choices_that_are_none() -> None:
    with pytest.raises(InputError, match="differing 'last' is unknown; expected one of refuse, first"):
        of_box(1).sync(differing="last")  # type: ignore[arg-type]  # on purpose


def test_bytes_that_are_no_state_of_this_metric() -> None:
    state = of_box(1).state
    data = packed(state)
    with pytest.raises(MismatchError, match="one process has a SemanticState and another a DetectionState"):
        unpacked(data, MeanIoU(3).state)
    with pytest.raises(MismatchError, match=r"params differs: .*max_dets=\(3,\).* and .*max_dets=\(1, 10, 100\)"):
        unpacked(data, DetectionAP(max_dets=(3,)).state)
    for broken in (data[:-1], data[:20], data[:0], np.zeros(40, np.uint8)):
        with pytest.raises(InputError, match="sent bytes that are not a state"):
            unpacked(broken, state)
    other = np.frombuffer(data.tobytes().replace(b'"gt_counted"', b'"gt_accepts"'), np.uint8)
    with pytest.raises(MismatchError, match="of another version"):
        unpacked(other, state)
    objects = np.frombuffer(data.tobytes().replace(b'"<f8"', b'"|O8"'), np.uint8)
    with pytest.raises(InputError, match="sent bytes that are not a state"):
        unpacked(objects, state)
