"""The stream of random integers: known answers, ranges, independence of streams."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, strategies as st

from cvbench.scenes.draws import Draws, mixed


def test_words_are_those_of_splitmix64():
    """The first numbers of the published C program from the seed 1234567."""
    stream = Draws()
    stream._state = 1234567
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [stream.word() for _ in range(4)] == published


def test_mixing_loses_nothing():
    assert len({mixed(word) for word in range(5000)}) == 5000


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**6), st.integers(0, 10**9))
def test_numbers_are_within_their_range(low, width, key):
    assert low <= Draws(key).between(low, low + width) <= low + width


def test_all_numbers_are_equally_likely():
    draws = Draws(3)
    counts = Counter(draws.between(1, 6) for _ in range(6000))
    # 1000 each with a standard deviation of 29; five of these
    assert set(counts) == set(range(1, 7))
    assert max(abs(count - 1000) for count in counts.values()) < 145


def test_a_chance_is_a_share():
    draws = Draws(4)
    # 1500 with a standard deviation of 32
    assert abs(sum(draws.chance(1, 4) for _ in range(6000)) - 1500) < 168


def test_a_child_is_named_by_its_path_alone():
    parent = Draws(1, 2)
    parent.word()
    assert parent.child(3).word() == Draws(1, 2, 3).word()
    assert len({Draws(a, b).word() for a in range(30) for b in range(30)}) == 900


def test_picks_come_from_the_choices():
    draws = Draws(5)
    assert {draws.pick("abc") for _ in range(100)} == set("abc")
