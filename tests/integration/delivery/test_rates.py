"""How fast mails may go: what all machines together hold, by the second, the hour and the day."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import rates
from newsletter.delivery.models import RateMinute
from newsletter.delivery.rates import PORTION, Limit
from newsletter.foundation.database import db
from tests.conftest import House

NAME = "relay:first"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_without_a_rate_a_second_what_the_hour_leaves_may_go_at_once(either_house: House) -> None:
    house, limit = either_house, Limit(per_hour=PORTION + 30)
    with house.app.app_context():
        first, second, third = (rates.take(NAME, limit, house.now) for _ in range(3))

    assert (first.count, second.count, third.count) == (PORTION, 30, 0)
    assert first.begins == second.begins == house.now
    assert third.begins == house.now.replace(second=0, microsecond=0) + HOUR + timedelta(minutes=1)
    with house.app.app_context():
        assert rates.take(NAME, limit, third.begins - timedelta(seconds=1)).count == 0
        assert rates.take(NAME, limit, third.begins).count == PORTION


def test_a_rate_a_second_gives_each_mail_its_moment(either_house: House) -> None:
    house, limit = either_house, Limit(per_second=4)
    with house.app.app_context():
        portions = [rates.take(NAME, limit, house.now) for _ in range(3)]
        others = rates.take("relay:second", limit, house.now)

    assert [(one.count, one.apart) for one in portions] == [(4, timedelta(seconds=0.25))] * 3
    assert [one.begins - house.now for one in portions] == [timedelta(seconds=n) for n in range(3)]
    assert others.begins == house.now


def test_less_than_one_a_second_is_one_at_a_time(house: House) -> None:
    limit = Limit(per_second=0.1)
    with house.app.app_context():
        first, second = rates.take(NAME, limit, house.now), rates.take(NAME, limit, house.now)
    assert (first.count, second.count, second.begins - first.begins) == (1, 1, timedelta(seconds=10))


def test_time_that_was_not_used_is_not_made_up_for(house: House) -> None:
    with house.app.app_context():
        rates.take(NAME, Limit(per_second=10), house.now)
        house.later(minutes=5)
        later = rates.take(NAME, Limit(per_second=10), house.now)
    assert (later.count, later.begins) == (10, house.now)


def test_a_clock_that_goes_back_an_hour_keeps_nobody_waiting_for_it(house: House) -> None:
    with house.app.app_context():
        rates.take(NAME, Limit(per_second=10), house.now)
        house.later(hours=-1)
        portion = rates.take(NAME, Limit(per_second=10), house.now)
    assert portion.begins == house.now


def test_what_was_not_needed_can_be_given_back(either_house: House) -> None:
    house, limit = either_house, Limit(per_day=50)
    with house.app.app_context():
        assert rates.take(NAME, limit, house.now).count == 50
        taken_at = house.now
        house.later(minutes=3)
        assert rates.take(NAME, limit, house.now).count == 0
        rates.give_back(NAME, 20, taken_at)
        assert rates.take(NAME, limit, house.now).count == 20


def test_the_tightest_limit_decides_and_says_when_there_is_room_again(house: House) -> None:
    limit = Limit(per_second=1000, per_hour=10, per_day=15)
    with house.app.app_context():
        assert rates.take(NAME, limit, house.now).count == 10
        by_the_hour = rates.take(NAME, limit, house.now)
        house.clock.at = by_the_hour.begins
        assert rates.take(NAME, limit, house.now).count == 5
        by_the_day = rates.take(NAME, limit, house.now)
    assert by_the_hour.count == by_the_day.count == 0
    assert timedelta(hours=22) < by_the_day.begins - house.now <= DAY


@pytest.mark.parametrize("seed", range(3))
def test_no_hour_and_no_day_has_more_however_it_is_asked_for(house: House, seed: int) -> None:
    """Many workers at odd moments over three days; some give back, and the clock ticks on."""
    chance = random.Random(seed)
    limit = Limit(per_second=2, per_hour=20, per_day=150)
    sent: list[tuple[float, int]] = []
    with house.app.app_context():
        began = house.now
        while house.now - began < 3 * DAY:
            house.later(seconds=chance.choice([0, 1, 7, 59, 300, 1800]))
            portion = rates.take(NAME, limit, house.now)
            unused = chance.choice([0, 0, portion.count])
            if unused:
                rates.give_back(NAME, unused, house.now)
            elif portion.count:
                sent.append(((house.now - began).total_seconds(), portion.count))
    assert sum(count for _, count in sent) > 300, "else this shows nothing"
    for seconds, most in ((3600, 20), (86400, 150)):
        for start, _ in sent:
            assert sum(count for at, count in sent if start <= at < start + seconds) <= most


def test_the_minutes_add_up_to_what_was_allowed(either_house: House) -> None:
    house = either_house
    with house.app.app_context():
        for _ in range(5):
            rates.take(NAME, Limit(per_hour=7), house.now)
            house.later(seconds=40)
        assert db.session.scalar(sa.select(sa.func.sum(RateMinute.used))) == 7


def test_a_portion_that_would_begin_late_is_not_given_away(house: House) -> None:
    """Who had it would sit and wait, and nobody else might use its moments."""
    limit = Limit(per_second=1 / 15)
    with house.app.app_context():
        portions = [rates.take(NAME, limit, house.now) for _ in range(4)]
    assert [one.count for one in portions] == [1, 1, 0, 0]
    assert portions[2].begins == portions[3].begins == house.now + timedelta(seconds=30)
