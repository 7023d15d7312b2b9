"""Pieces that are made in another thread, one ahead of who takes them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from newsletter.foundation.ahead import ahead
from newsletter.foundation.database import db
from tests.conftest import House


def test_pieces_come_in_order_and_are_made_elsewhere_with_a_session_of_their_own(house: House) -> None:
    def make() -> Generator[tuple[int, bool, bool], None, None]:
        for number in range(50):
            yield number, threading.current_thread() is not here, db.session() is not session

    with house.app.app_context():
        here, session = threading.current_thread(), db.session()
        assert list(ahead(make)) == [(number, True, True) for number in range(50)]
    assert [one for one in threading.enumerate() if one.name == "ahead"] == []


def test_what_goes_wrong_is_raised_after_the_pieces_before_it(house: House) -> None:
    def make() -> Generator[int, None, None]:
        yield 1
        raise ValueError("the second cannot be made")

    with house.app.app_context():
        pieces = ahead(make)
        assert next(pieces) == 1
        with pytest.raises(ValueError, match="the second"):
            next(pieces)


def test_who_stops_half_way_leaves_no_thread_and_nothing_far_ahead(house: House) -> None:
    made: list[int] = []

    def make() -> Generator[int, None, None]:
        for number in range(1000):
            made.append(number)
            yield number

    with house.app.app_context(), closing(ahead(make)) as pieces:
        assert next(pieces) == 0
    assert len(made) <= 3
    assert [one for one in threading.enumerate() if one.name == "ahead"] == []
