"""Each day's readers are written down as they were, whatever people do and whichever way the clock is set."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa

from newsletter import privacy
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import Purpose
from newsletter.newsletters.models import newsletter
from newsletter.subscribers import changing, growing, preferences, signing_up
from newsletter.subscribers.consent import Origin, remember
from newsletter.subscribers.growing import SubscriberDay
from newsletter.subscribers.models import ConsentKind, SignUpRequest, Subscriber, SubscriptionOrigin, subscriber_at
from tests.conftest import House
from tests.support import newsroom

HERE = Origin()
POST, COURIER = "morning-post", "ridge-courier"


def confirms(house: House, address: str, slug: str) -> None:
    """As the button of a confirmation mail does it."""
    with house.app.app_context(), transaction() as session:
        paper = newsletter(slug)
        reader = subscriber_at(address)
        if reader is None:
            hashed = house.keys.address_hash(address)
            reader = Subscriber(address=address, normalised=address, address_hash=hashed, created_at=house.now)
            session.add(reader)
            session.flush()
        signing_up.lift(address, paper, house.keys)
        remember(ConsentKind.CONFIRMED, address, paper.id, HERE, house.now, house.keys)
        signing_up.begin(reader, paper.id, paper.default_slot.id, house.now, SubscriptionOrigin.STAFF)


def subscription_token(house: House, address: str, slug: str) -> str:
    reader = subscriber_at(address)
    assert reader is not None
    (theirs,) = [one for one in reader.subscriptions if one.newsletter.slug == slug]
    return house.links.make(Purpose.UNSUBSCRIBE, theirs.id)


def leaves(house: House, address: str, slug: str) -> None:
    with house.app.app_context():
        token = subscription_token(house, address, slug)
        preferences.unsubscribe(token, HERE, house.now, house.keys, house.links)


def takes_it_back(house: House, address: str, slug: str) -> None:
    with house.app.app_context():
        token = subscription_token(house, address, slug)
        preferences.undo_leaving(token, HERE, house.now, house.keys, house.links)


def is_erased(house: House, address: str) -> None:
    with house.app.app_context():
        reader = subscriber_at(address)
        assert reader is not None
        assert privacy.erase(reader.id, HERE, house.now, house.keys)


def moves(house: House, address: str, to: str) -> None:
    with house.app.app_context():
        reader = subscriber_at(address)
        assert reader is not None
        token = house.links.make(Purpose.PREFERENCES, reader.id)
        changing.request(token, to, HERE, house.now, house.links)
        asked = db.session.scalar(sa.select(sa.func.max(SignUpRequest.id)))
        changing.confirm(house.links.make(Purpose.CHANGE, asked or 0), HERE, house.now, house.keys, house.links)


def tick(house: House) -> int:
    with house.app.app_context():
        return growing.count_due(house.now)


def days_of(house: House, slug: str = POST) -> dict[date, tuple[int, int, int]]:
    """Who reads, who began and who left, by day."""
    with house.app.app_context():
        id = newsletter(slug).id
        found = growing.growth([id], house.now).get(id, ())
        return {one.day: (one.active, one.joined, one.left) for one in found}


def counted(house: House) -> dict[date, datetime]:
    with house.app.app_context():
        return {one.day: one.counted_at for one in db.session.scalars(sa.select(SubscriberDay))}


@dataclass
class Oracle:
    """Who reads what, by address, and what each day brought, in plain Python."""

    reads: set[tuple[str, str]] = field(default_factory=set)
    left_at: dict[tuple[str, str], datetime] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    joined: dict[tuple[str, date], int] = field(default_factory=dict)
    left: dict[tuple[str, date], int] = field(default_factory=dict)

    def turn(self, what: dict[tuple[str, date], int], slug: str, day: date) -> None:
        what[slug, day] = what.get((slug, day), 0) + 1

    def day(self, slug: str, day: date) -> tuple[int, int, int]:
        until = [
            (n, sign)
            for each, sign in ((self.joined, 1), (self.left, -1))
            for (s, d), n in each.items()
            if s == slug and d <= day
        ]
        return sum(n * sign for n, sign in until), self.joined.get((slug, day), 0), self.left.get((slug, day), 0)


def something_happens(house: House, known: Oracle, dice: random.Random) -> None:
    address, slug = f"reader{dice.randrange(6)}@example.org", dice.choice((POST, COURIER))
    today, key = house.now.date(), (address, slug)
    deed = dice.choice(("confirm", "confirm", "leave", "back", "erase", "move"))
    if deed == "confirm":
        confirms(house, address, slug)
        known.people.add(address)
        if key not in known.reads:
            known.turn(known.joined, slug, today)
        known.reads.add(key)
        known.left_at.pop(key, None)
    elif deed == "leave" and key in known.reads:
        leaves(house, address, slug)
        known.turn(known.left, slug, today)
        known.reads.discard(key)
        known.left_at[key] = house.now
    elif deed == "back" and key in known.left_at:
        takes_it_back(house, address, slug)
        if house.now - known.left_at[key] < preferences.RETURN_WITHIN:
            known.turn(known.joined, slug, today)
            known.reads.add(key)
            del known.left_at[key]
    elif deed == "erase" and address in known.people:
        is_erased(house, address)
        known.people.discard(address)
        for at, of in sorted(known.reads):
            if at == address:
                known.turn(known.left, of, today)
        known.reads = {one for one in known.reads if one[0] != address}
        known.left_at = {one: at for one, at in known.left_at.items() if one[0] != address}
    elif deed == "move" and address in known.people:
        to = f"reader{dice.randrange(6)}@example.org"
        if to not in known.people:
            moves(house, address, to)
            known.people = known.people - {address} | {to}
            known.reads = {(to if at == address else at, of) for at, of in known.reads}
            known.left_at = {(to if at == address else at, of): when for (at, of), when in known.left_at.items()}


def time_passes(house: House, dice: random.Random) -> None:
    """Mostly some hours, now and then weeks without a scheduler, or an hour by which the clock is set wrong."""
    kind = dice.random()
    if kind < 0.06:
        house.later(hours=-dice.randrange(1, 60))
        tick(house)
    elif kind < 0.1:
        house.later(days=dice.randrange(2, 12))
    else:
        house.later(minutes=dice.randrange(1, 9 * 60))
    if dice.random() < 0.4:
        tick(house)


@pytest.mark.parametrize("seed", range(4))
def test_every_day_is_as_an_oracle_counts_it(either_house: House, seed: int) -> None:
    house, dice, known = either_house, random.Random(seed), Oracle()
    newsroom.found(house, POST)
    newsroom.found(house, COURIER)
    for _ in range(60):
        something_happens(house, known, dice)
        time_passes(house, dice)
    house.clock.at = max(house.now, *(datetime.combine(d, time(23), UTC) for _, d in [*known.joined, *known.left]))
    house.later(days=1)
    tick(house)
    for slug in (POST, COURIER):
        found = days_of(house, slug)
        assert found == {day: known.day(slug, day) for day in found}
        assert list(found) == [min(found) + timedelta(days=n) for n in range(len(found))], "no day is left out"
        assert max(found) == house.now.date()


def test_the_first_look_tells_of_the_past_by_what_people_said_then(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    for n in range(3):
        confirms(house, f"r{n}@example.org", POST)
    house.later(days=100)
    leaves(house, "r0@example.org", POST)
    house.later(days=5)
    assert tick(house) == 90
    found = days_of(house)
    assert len(found) == 90
    assert min(found) == house.now.date() - timedelta(days=89)
    gone = house.now.date() - timedelta(days=5)
    assert found[gone] == (2, 0, 1)
    assert {found[day] for day in found if day < gone} == {(3, 0, 0)}
    assert {found[day] for day in found if day > gone} == {(2, 0, 0)}


def test_a_day_that_is_over_is_written_once_and_today_again_and_again(house: House) -> None:
    newsroom.found(house)
    begun = house.now.date()
    tick(house)
    confirms(house, "ann@example.org", POST)
    house.clock.at = datetime.combine(begun + timedelta(days=1), time(0, 5), UTC)
    tick(house)
    assert counted(house)[begun] == house.now, "what was decided a moment ago may not be there yet"
    house.later(minutes=10)
    tick(house)
    final = counted(house)[begun]
    assert final == house.now
    for _ in range(30):
        house.later(hours=1)
        tick(house)
    assert counted(house)[begun] == final
    assert counted(house)[house.now.date()] == house.now
    assert days_of(house)[begun] == (1, 1, 0)


def test_readers_who_came_without_a_word_of_theirs_are_of_every_day_before(house: House) -> None:
    """A list that was loaded into the tables has no consent events; who left of it is told of all the same."""
    paper = newsroom.found(house)
    paper.readers(*(f"r{n}@example.org" for n in range(5)))
    house.later(days=2)
    leaves(house, "r0@example.org", POST)
    tick(house)
    assert list(days_of(house).values()) == [(5, 0, 0), (5, 0, 0), (4, 0, 1)]


def test_who_confirms_what_they_read_already_does_not_begin_again(house: House) -> None:
    newsroom.found(house)
    for _ in range(3):
        confirms(house, "ann@example.org", POST)
        house.later(hours=1)
    tick(house)
    assert days_of(house)[house.now.date()] == (1, 1, 0)


def test_a_move_to_another_address_is_neither_a_beginning_nor_an_end(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    confirms(house, "ann@example.org", POST)
    confirms(house, "bob@example.org", POST)
    leaves(house, "bob@example.org", POST)
    house.later(days=1)
    moves(house, "ann@example.org", "ann@example.net")
    moves(house, "bob@example.org", "bob@example.net")
    moves(house, "ann@example.net", "ann@example.com")
    confirms(house, "ann@example.com", POST)
    confirms(house, "bob@example.net", POST)
    tick(house)
    assert list(days_of(house).values()) == [(1, 2, 1), (2, 1, 0)], "bob begins again, and ann went on all the while"


def test_a_clock_that_ran_ahead_leaves_no_days_to_come(house: House) -> None:
    newsroom.found(house)
    confirms(house, "ann@example.org", POST)
    right = house.now
    house.later(days=4)
    tick(house)
    house.clock.at = right + timedelta(hours=1)
    confirms(house, "bob@example.org", POST)
    tick(house)
    assert list(counted(house)) == [right.date()]
    assert days_of(house)[right.date()] == (2, 2, 0)
    house.later(days=1)
    tick(house)
    assert list(days_of(house).values()) == [(2, 2, 0), (2, 0, 0)]


def test_a_newsletter_has_no_days_before_it_was_made(house: House) -> None:
    newsroom.found(house)
    house.later(days=3)
    newsroom.found(house, COURIER)
    tick(house)
    assert len(days_of(house, POST)) == 4
    assert len(days_of(house, COURIER)) == 1
