"""Calls in processes of their own: what they return and tell, what ends them, and that no process is left."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import closing

import pytest

from cvbench.errors import InputError
from cvbench.running.workers import call_all, packed

Tell = Callable[[str, int, int], object]


def square(number: int, tell: Tell) -> tuple[int, int]:
    tell("half", 1, 2)
    tell("whole", 2, 2)
    return number * number, os.getpid()


def dies(tell: Tell) -> None:
    os._exit(3)


def fails(tell: Tell) -> None:
    raise ValueError("told on standard error")


def waits(tell: Tell) -> None:
    tell("begun", 0, 1)
    while True:
        pass


def ready(function: Callable[..., object], *arguments: object) -> bytes:
    call = packed(function, *arguments)
    assert call is not None
    return call


def test_calls_are_shared_out() -> None:
    told: list[tuple[int, str, int, int]] = []
    calls = {number: ready(square, number) for number in (3, 5, 7, 9)}
    answers = dict(call_all(calls, 2, lambda *each: told.append(each)))
    assert {number: answer[0] for number, answer in answers.items()} == {3: 9, 5: 25, 7: 49, 9: 81}
    processes = {process for _, process in answers.values()}
    assert len(processes) <= 2
    assert os.getpid() not in processes
    assert sorted(told) == sorted((number, *each) for number in calls for each in (("half", 1, 2), ("whole", 2, 2)))


def test_a_process_that_ends_takes_no_other_call_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    calls = {0: ready(dies), 1: ready(fails), 2: ready(square, 4)}
    answers = dict(call_all(calls, 1, lambda *_: None))
    assert str(answers[0]).startswith("the process ended with code 3 before its work did: out of memory, ")
    assert str(answers[1]).startswith("the process ended with code 1 ")
    assert isinstance(answers[0], InputError)
    assert answers[2][0] == 16
    assert "ValueError: told on standard error" in capfd.readouterr().err


@pytest.mark.parametrize("how", ["closed", "interrupted"])
def test_no_process_is_left(how: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if how == "closed":
        with closing(call_all({0: ready(square, 2), 1: ready(waits)}, 2, lambda *_: None)) as answers:
            assert next(answers)[0] == 0
    else:
        with pytest.raises(KeyboardInterrupt):
            list(call_all({0: ready(waits)}, 1, interrupt))
    assert multiprocessing.active_children() == []


def test_what_cannot_be_sent_is_said() -> None:
    assert packed(square, lambda: 0) is None
