"""One of several processes has a lease, whatever happens to the others."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from newsletter.foundation import leases
from tests.conftest import House
from tests.support.racing import at_once

LIFE = timedelta(seconds=30)
NAME = "scheduler"


def take(house: House, holder: str, **later: float) -> bool:
    with house.app.app_context():
        return leases.take_or_renew(NAME, holder, house.now + timedelta(**later), LIFE)


def taken_at(house: House) -> datetime:
    with house.app.app_context():
        found = leases.lease(NAME)
        assert found is not None
        return found.taken_at


def test_the_first_who_comes_has_it_and_renews_it_and_nobody_else_gets_it(either_house: House) -> None:
    assert take(either_house, "ann")
    assert not take(either_house, "bob", seconds=5)
    assert take(either_house, "ann", seconds=25)
    assert not take(either_house, "bob", seconds=54.9)
    assert taken_at(either_house) == either_house.now, "renewed, not taken again"


def test_it_runs_out_when_its_holder_gives_no_sign_of_life(either_house: House) -> None:
    assert take(either_house, "ann")
    assert take(either_house, "bob", seconds=30)
    assert not take(either_house, "ann", seconds=31), "who was away must wait like anybody else"
    assert taken_at(either_house) == either_house.now + LIFE


def test_who_ends_in_order_lets_go_of_it_and_of_nobody_elses(either_house: House) -> None:
    assert take(either_house, "ann")
    with either_house.app.app_context():
        leases.release(NAME, "bob", either_house.now)
    assert not take(either_house, "bob")
    with either_house.app.app_context():
        leases.release(NAME, "ann", either_house.now)
        found = leases.lease(NAME)
        assert found is not None
        assert found.renewed_at == either_house.now, "its last sign of life stays"
    assert take(either_house, "bob")


@pytest.mark.parametrize("seconds", [-20, 20])
def test_clocks_that_differ_a_little_do_no_harm_to_one_that_is_renewed(house: House, seconds: float) -> None:
    """Ann's scheduler beats every five seconds; the clock of Bob's machine is wrong."""
    for beat in range(0, 60, 5):
        assert take(house, "ann", seconds=beat)
        assert not take(house, "bob", seconds=beat + 4.9 + seconds)


def test_one_made_by_a_clock_that_was_a_day_ahead_holds_nobody_up(house: House) -> None:
    assert take(house, "ann", days=1)
    assert take(house, "bob")


def test_of_many_who_come_together_one_gets_it(either_house: House) -> None:
    names = [leases.holder_here() for _ in range(6)]
    for round in range(5):
        took = at_once(6, lambda number, ahead=round: take(either_house, names[number], seconds=ahead * 30))
        assert sum(took) == 1


def test_two_processes_with_the_same_number_have_different_names() -> None:
    assert leases.holder_here() != leases.holder_here()
