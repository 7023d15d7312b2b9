"""Readers of some domains go out in shards of their own, so that mails to them can go more slowly."""

from __future__ import annotations

from collections import defaultdict

import pytest
import sqlalchemy as sa

from newsletter.delivery import shards
from newsletter.delivery.models import WELCOME, Delivery, Shard
from newsletter.foundation.config import DomainsConfig, MailConfig
from newsletter.foundation.database import db, transaction
from newsletter.subscribers.models import Subscriber
from tests.conftest import BuildHouse, House
from tests.support.inbox import Inbox
from tests.support.newsroom import ledger_of, sending

BIG = DomainsConfig(name="big", domains=("big.example", "mail.big.example"), connections=1)
SMALL = DomainsConfig(name="small", domains=("büro.example",), per_hour=100)
SIZE = 3


@pytest.fixture(params=["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgresql)])
def house(
    request: pytest.FixtureRequest, build_house: BuildHouse, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> House:
    """With two lanes, on either database; three rows are a shard."""
    monkeypatch.setattr(shards, "SIZE", SIZE)
    mail = MailConfig(host=inbox.host, port=inbox.port, domains=(BIG, SMALL))
    return build_house(request.getfixturevalue(request.param), mail=mail)


def at(domain: str, count: int) -> list[str]:
    return [f"{domain}-reader{number}@{domain}" for number in range(count)]


def lanes_of(house: House, edition_id: int) -> dict[str, str | None]:
    """The lane of each reader's shard. Looks at what must be true of the shards themselves."""
    with house.app.app_context():
        rows = db.session.execute(
            sa.select(Subscriber.address, Shard.number, Shard.lane)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .join(Shard, sa.and_(Shard.edition_id == Delivery.edition_id, Shard.number == Delivery.shard))
            .where(Delivery.edition_id == edition_id)
        ).all()
    members = defaultdict(list)
    for address, number, _ in rows:
        members[number].append(address)
    assert WELCOME not in members
    assert max(map(len, members.values())) <= SIZE
    return {address: lane for address, _, lane in rows}


def shards_in(house: House, edition_id: int, lane: str | None) -> int:
    with house.app.app_context():
        found = sa.select(sa.func.count()).where(Shard.edition_id == edition_id, Shard.lane.is_not_distinct_from(lane))
        return db.session.scalar(found) or 0


def test_a_shard_is_wholly_of_one_lane_or_of_none(house: House) -> None:
    big, sub = at("big.example", 4), at("mail.big.example", 1)
    office, others = at("xn--bro-hoa.example", 2), at("example.org", 7)
    mixed = [address for four in zip(big, office * 2, others, sub * 4, strict=False) for address in four]
    readers = [*dict.fromkeys(mixed), *others[4:]]
    _, edition_id = sending(house, *readers)

    found = lanes_of(house, edition_id)
    assert found == dict.fromkeys(big + sub, "big") | dict.fromkeys(office, "small") | dict.fromkeys(others)
    assert [shards_in(house, edition_id, lane) for lane in ("big", "small", None)] == [2, 1, 3]
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": len(readers)}


@pytest.mark.parametrize(("readers", "in_shards"), [(SIZE, 1), (SIZE + 1, 2)])
def test_a_lane_s_full_shard_is_followed_by_another_one(house: House, readers: int, in_shards: int) -> None:
    _, edition_id = sending(house, *at("big.example", readers), *at("example.org", readers))

    assert set(lanes_of(house, edition_id).values()) == {"big", None}
    assert shards_in(house, edition_id, "big") == shards_in(house, edition_id, None) == in_shards


def test_a_lane_goes_by_the_whole_of_what_stands_after_the_last_at_sign(house: House) -> None:
    ours = ["Ann@BIG.example", "bob@büro.example", '"ann@example.org"@big.example']
    others = [
        "cleo@notbig.example",
        "dan@big.example.org",
        "eva@example",
        '"x@big.example"@example.org',
        "fay@big_example",
    ]
    _, edition_id = sending(house, *ours, *others)

    assert lanes_of(house, edition_id) == dict(zip(ours, ("big", "small", "big"), strict=True)) | dict.fromkeys(others)


def test_lanes_that_wait_are_not_leased_and_the_others_are(house: House) -> None:
    sending(house, *at("big.example", 2), *at("büro.example", 1), *at("example.org", 1))
    with house.app.app_context():
        first = shards.lease(house.now, but_not={"big", "small"})
        assert first is not None
        assert (first.lane, [row.address for row in first.rows]) == (None, at("example.org", 1))
        assert shards.lease(house.now, but_not={"big", "small"}) is None
        second = shards.lease(house.now, but_not=["small"])
        assert second is not None
        assert (second.lane, len(second.rows)) == ("big", 2)
        third = shards.lease(house.now, but_not=())
        assert third is not None
        assert third.lane == "small"
        assert shards.lease(house.now) is None


def test_nobody_s_lease_is_kept_by_a_lane_that_waits(house: House) -> None:
    """What an ended lease left is freed by whoever leases next, in whichever lane."""
    sending(house, *at("big.example", 1), *at("example.org", 1))
    with house.app.app_context():
        left = shards.lease(house.now, but_not={"small", "big"})
        assert left is not None
        house.clock.at += shards.LEASE
        again = shards.lease(house.now, but_not={"big"})
        assert again is not None
        assert again.rows[0].id == left.rows[0].id


def test_limits_that_change_after_the_freeze_move_no_row(
    house: House, build_house: BuildHouse, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is frozen keeps its lanes, and the next edition has the new ones."""
    _, edition_id = sending(house, *at("big.example", 4), *at("example.org", 1))
    before = lanes_of(house, edition_id)
    other = DomainsConfig(name="other", domains=("example.org",))
    with house.app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
    changed = build_house(url, mail=MailConfig(host=inbox.host, port=inbox.port, domains=(other,)))

    assert lanes_of(changed, edition_id) == before
    with changed.app.app_context():
        assert {leased.lane for _ in range(3) if (leased := shards.lease(house.now))} == {"big", None}


def test_without_lanes_a_freeze_looks_at_no_address(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url)
    seen: list[str] = []
    with house.app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    _, edition_id = sending(house, *at("big.example", 2))

    (insert,) = (text for text in seen if text.startswith("INSERT INTO deliveries "))
    assert "normalised" not in insert
    assert lanes_of(house, edition_id) == dict.fromkeys(at("big.example", 2))


def test_a_welcome_copy_is_in_no_lane(house: House) -> None:
    _, edition_id = sending(house, *at("big.example", 1))
    with house.app.app_context(), transaction() as session:
        shards.is_due(edition_id, WELCOME, house.now, session.connection())

    assert shards_in(house, edition_id, None) == 1
