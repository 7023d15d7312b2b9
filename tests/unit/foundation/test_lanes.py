"""Pieces that several threads are at, and that end in their order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from newsletter.foundation.database import db
from newsletter.foundation.lanes import LineClosed, Turn, in_lanes
from tests.conftest import House

LANES = pytest.mark.parametrize("lanes", [1, 3])


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "lane"]


@LANES
def test_what_becomes_of_pieces_comes_in_their_order(house: House, lanes: int) -> None:
    def work(piece: int, turn: Turn) -> int:
        turn.comes()
        return piece * 2

    with house.app.app_context():
        assert list(in_lanes(iter(range(50)), work, lanes)) == list(range(0, 100, 2))
        assert list(in_lanes(iter([]), work, lanes)) == []
    assert threads() == []


def test_several_are_at_work_at_once_each_with_a_session_of_its_own(house: House) -> None:
    together = threading.Barrier(3, timeout=30)

    def work(piece: int, turn: Turn) -> object:
        together.wait()
        return db.session()

    with house.app.app_context():
        assert len({id(session) for session in [db.session(), *in_lanes(iter(range(3)), work, 3)]}) == 4


def test_a_piece_that_is_done_waits_for_those_before_it_as_long_as_it_likes(house: House) -> None:
    second_waits, waited = threading.Event(), []

    def work(piece: int, turn: Turn) -> int:
        if piece == 0:
            assert second_waits.wait(30)
        else:
            waited.append(turn.comes(within=0))
            second_waits.set()
            waited.append(turn.comes())
        return piece

    with house.app.app_context():
        assert list(in_lanes(iter(range(2)), work, 2)) == [0, 1]
    assert waited == [False, True]


def test_nothing_ends_before_it_is_asked_for(house: House) -> None:
    ended: list[int] = []

    def work(piece: int, turn: Turn) -> int:
        turn.comes()
        ended.append(piece)
        return piece

    with house.app.app_context(), closing(in_lanes(iter(range(100)), work, 3)) as pieces:
        assert [next(pieces), next(pieces)] == [0, 1]
        assert ended == [0, 1]


@LANES
def test_what_goes_wrong_is_raised_after_the_pieces_before_it(house: House, lanes: int) -> None:
    def fetch() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the fourth cannot be fetched")

    def work(piece: int, turn: Turn) -> int:
        return 6 // (2 - piece)

    with house.app.app_context():
        ends = in_lanes(fetch(), work, lanes)
        assert [next(ends), next(ends)] == [3, 6]
        with pytest.raises(ZeroDivisionError):
            next(ends)
        ends = in_lanes(fetch(), lambda piece, turn: piece, lanes)
        assert [next(ends), next(ends), next(ends)] == [0, 1, 2]
        with pytest.raises(ValueError, match="the fourth"):
            next(ends)
    assert threads() == []


def test_who_stops_half_way_leaves_no_thread_and_nothing_that_ends(house: House) -> None:
    begun, ended, closed = [], [], []

    def work(piece: int, turn: Turn) -> int:
        begun.append(piece)
        try:
            turn.comes()
        except LineClosed:
            closed.append(piece)
            raise
        ended.append(piece)
        return piece

    with house.app.app_context(), closing(in_lanes(iter(range(1000)), work, 3)) as pieces:
        assert next(pieces) == 0
    assert (ended, threads()) == ([0], [])
    assert sorted(closed) == sorted(set(begun) - {0})
    assert len(begun) <= 5
