"""What is told of an edition's ledger: it adds up, it promises nothing without evidence, and any row is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter import privacy
from newsletter.delivery import counting, housekeeping, releasing, reporting
from newsletter.delivery.counting import Counted
from newsletter.delivery.engine import RELAY_ALERT
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, DeliveryTally
from newsletter.delivery.reporting import BEGINNING, Report, Row, Wanted, outlook
from newsletter.editions import publishing
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import alerts, safety
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import subscriber_at
from tests.conftest import House
from tests.support.ledgers import Copy, ledger_with
from tests.support.newsroom import delivery, ledger_of, sending

UNKNOWN = "550 5.1.1 <{}>: user unknown"
GREY = "451 4.7.1 greylisted for {} seconds"

MIXED = (
    *(Copy(f"a{n}@mail.example") for n in range(4)),
    Copy("d1@slow.example", "deferred", GREY.format(120), 3),
    Copy("d2@slow.example", "deferred", GREY.format(55), 1),
    Copy("d3@mail.example", "deferred", "421 too busy"),
    Copy("r1@mail.example", "refused", UNKNOWN.format("r1@mail.example")),
    Copy("r2@other.example", "refused", UNKNOWN.format("r2@other.example")),
    Copy("u1@other.example", "uncertain", "timed out"),
    Copy("s1@other.example", "skipped", skipped="left"),
    Copy("p1@mail.example", "pending"),
    Copy("p2@mail.example", "sending"),
)


def asked(house: House, edition_id: int, *, afresh: bool = False) -> Report:
    with house.app.app_context():
        return reporting.report(db.session.get_one(Edition, edition_id), house.now, afresh=afresh)


def figures(report: Report) -> Counted:
    assert report.counted is not None
    return report.counted


# What it adds up to


def test_the_states_add_up_to_the_audience_with_the_reasons_of_what_was_skipped(either_house: House) -> None:
    _, edition_id = ledger_with(either_house, *MIXED)
    report = asked(either_house, edition_id)
    counted = figures(report)
    assert {state.value: n for state, n in counted.states.items()} == {
        "pending": 1,
        "sending": 1,
        "accepted": 4,
        "deferred": 3,
        "refused": 2,
        "uncertain": 1,
        "skipped": 1,
    }
    assert sum(counted.states.values()) == report.audience == 13
    assert counted.skips == {"left": 1}
    assert (report.left, report.over, report.undecided) == (5, 8, 1)
    assert sum(ledger_of(either_house, edition_id).values()) == 13


def test_domains_are_told_by_size_by_slowness_and_by_refusals(either_house: House) -> None:
    _, edition_id = ledger_with(either_house, *MIXED)
    report = asked(either_house, edition_id)
    assert [(one.name, one.copies) for one in report.largest] == [
        ("mail.example", 8),
        ("other.example", 3),
        ("slow.example", 2),
    ]
    assert [(one.name, one.deferred, one.tries_each) for one in report.slowest] == [
        ("slow.example", 2, 2.0),
        ("mail.example", 1, 1.0),
    ]
    assert {one.name: one.refused for one in report.refusing} == {"mail.example": 1, "other.example": 1}


def test_replies_of_one_kind_are_one_line_with_one_of_them_as_it_was(either_house: House) -> None:
    _, edition_id = ledger_with(either_house, *MIXED)
    counted = figures(asked(either_house, edition_id))
    assert [(one.state, one.gist, one.count) for one in counted.reasons[:2]] == [
        ("deferred", "451 4.7.1 greylisted for … seconds", 2),
        ("refused", "550 5.1.1 …: user unknown", 2),
    ]
    assert {one.gist for one in counted.reasons[2:]} == {"421 too busy", "timed out"}
    with either_house.app.app_context():
        examples = [reporting.example_of(one) for one in counted.reasons[:2]]
        assert examples == [GREY.format(120), UNKNOWN.format("r1@mail.example")]


def test_welcome_copies_stand_apart_but_ask_for_a_hand_like_others(house: House) -> None:
    _, edition_id = ledger_with(house, Copy("ann@mail.example"), Copy("bob@mail.example", "uncertain"))
    with house.app.app_context(), transaction() as session:
        to_bob = Delivery.id == delivery(house, "bob@mail.example").id
        session.execute(sa.update(Delivery).where(to_bob).values(kind=DeliveryKind.WELCOME, shard=0))
    report = asked(house, edition_id)
    assert sum(figures(report).states.values()) == 1
    assert (report.welcome, report.undecided) == ({DeliveryState.UNCERTAIN: 1}, 1)


def test_nothing_of_an_erased_reader_is_told_but_that_there_was_one(house: House) -> None:
    refusal = Copy("only@rare.example", "refused", UNKNOWN.format("only@rare.example"))
    _, edition_id = ledger_with(house, Copy("ann@mail.example"), refusal)
    reasons = figures(asked(house, edition_id)).reasons
    with house.app.app_context():
        reader = subscriber_at("only@rare.example")
        assert reader is not None
        privacy.erase(reader.id, Origin(), house.now, house.keys, COMMAND)
        assert reporting.example_of(reasons[0]) is None
        rows = reporting.rows_of(db.session.get_one(Edition, edition_id), Wanted()).rows
        assert [row.address for row in rows] == ["ann@mail.example", None]
    counted = figures(asked(house, edition_id))
    assert sum(counted.states.values()) == 2
    assert [one.name for one in counted.domains] == ["mail.example", None] or [one.name for one in counted.domains] == [
        None,
        "mail.example",
    ]


def test_when_the_rows_are_deleted_the_sums_stay(house: House) -> None:
    _, edition_id = ledger_with(house, *MIXED[:4], MIXED[-3])
    for _ in range(2):
        house.work()
    house.later(days=91)
    with house.app.app_context():
        keep_a_tally(house, edition_id)
        housekeeping.tidy(house.now)
        assert db.session.get(DeliveryTally, edition_id) is None
    report = asked(house, edition_id)
    assert report.forgotten
    assert figures(report).states[DeliveryState.ACCEPTED] == 4
    assert figures(report).skips == {"left": 1}
    assert sum(figures(report).states.values()) == report.audience == 5


def keep_a_tally(house: House, edition_id: int) -> None:
    counting.keep(edition_id, counting.count(db.session.get_one(Edition, edition_id), house.now))


# Large ones


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every edition is a large one."""
    monkeypatch.setattr(counting, "AT_ONCE", 0)


@pytest.mark.usefixtures("large")
def test_a_large_edition_is_told_as_it_was_counted_last(either_house: House) -> None:
    house = either_house
    paper, edition_id = ledger_with(house, *MIXED)
    assert asked(house, edition_id).counted is None, "no page waits for it"
    assert "for the first time" in asked(house, edition_id).outlook.why
    with house.app.app_context():
        assert counting.count_due(house.now) == 1
    first = figures(asked(house, edition_id))
    assert sum(first.states.values()) == 13
    assert [one.name for one in first.domains] == ["mail.example"], "a domain with few copies is few people"
    assert first.where[DeliveryState.REFUSED] == (1,)
    house.clock.at += timedelta(seconds=4)
    with house.app.app_context():
        assert counting.count_due(house.now) == 0, "it rests for a while"
    house.later(seconds=60)
    with house.app.app_context():
        assert counting.count_due(house.now) == 1
    assert figures(asked(house, edition_id)).as_of == house.now
    assert paper.id


@pytest.mark.usefixtures("large")
def test_who_has_the_time_counts_a_large_edition_afresh_and_pages_have_it_too(house: House) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    assert figures(asked(house, edition_id, afresh=True)) == figures(asked(house, edition_id))


@pytest.mark.usefixtures("large")
def test_what_is_over_is_counted_once_more_and_then_left_alone(house: House) -> None:
    _, edition_id = ledger_with(house, Copy("ann@mail.example"), Copy("bob@mail.example", "pending"))
    house.work()
    with house.app.app_context():
        assert counting.count_due(house.now) == 1
        for hours in (1, 5, 60):
            house.clock.at += timedelta(hours=hours)
            counting.count_due(house.now)
        assert counting.kept([edition_id])[edition_id].as_of < house.now - timedelta(hours=50)
    assert figures(asked(house, edition_id)).states[DeliveryState.ACCEPTED] == 2


@pytest.mark.usefixtures("large")
def test_a_count_that_took_longer_does_not_overwrite_a_later_one(house: House) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    later = figures(asked(house, edition_id, afresh=True))
    with house.app.app_context():
        counting.keep(edition_id, replace(later, as_of=house.now - timedelta(seconds=9), undecided=7))
        assert counting.kept([edition_id])[edition_id] == later


def test_a_list_of_editions_counts_no_large_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    with house.app.app_context():
        found = db.session.get_one(Edition, edition_id)
        assert reporting.glance([found])[edition_id][DeliveryState.ACCEPTED] == 4
        monkeypatch.setattr(counting, "AT_ONCE", 0)
        assert reporting.glance([found]) == {}
        keep_a_tally(house, edition_id)
        assert reporting.glance([found])[edition_id][DeliveryState.ACCEPTED] == 4


# How fast, and until when


def test_the_rate_is_that_of_the_last_minutes_and_the_end_follows_from_it(either_house: House) -> None:
    """Of the last two minutes, since the edition has been going out for five."""
    many = [Copy(f"a{n}@mail.example", ago=3 * n) for n in range(40)]
    old = [Copy(f"o{n}@mail.example", ago=200) for n in range(5)]
    waiting = [Copy(f"p{n}@mail.example", "pending") for n in range(30)]
    _, edition_id = ledger_with(either_house, *many, *old, *waiting, seconds=300)
    told = asked(either_house, edition_id).outlook
    assert told.rate == pytest.approx(40 / 120)
    assert told.over_at == either_house.now + timedelta(seconds=90)
    assert told.why == "If it stays as fast as in the last 2 minutes."


def test_without_evidence_no_hour_is_promised(house: House) -> None:
    few = [Copy(f"a{n}@mail.example") for n in range(19)]
    _, edition_id = ledger_with(house, *few, Copy("p@mail.example", "pending"))
    told = asked(house, edition_id).outlook
    assert (told.rate, told.over_at) == (None, None)
    assert "Too few copies" in told.why


SENDING = {"state": EditionState.SENDING}


def counted_as(house: House, recent: int = 100, span: float = 20.0, **states: int) -> Counted:
    every = dict.fromkeys(DeliveryState, 0) | {DeliveryState(name): n for name, n in states.items()}
    return Counted(as_of=house.now, seconds=0.1, states=every, recent=recent, span=span)


@pytest.mark.parametrize(
    ("recent", "span", "states", "rate", "minutes", "why"),
    [
        (100, 20.0, {"pending": 300}, 5.0, 1, "If it stays as fast as in the last 20 seconds."),
        (100, 20.0, {"pending": 300, "deferred": 1}, 5.0, 1, "1 copy that was put off is tried again on top"),
        (100, 20.0, {"pending": 300, "deferred": 2000}, 5.0, 1, "2,000 copies that were put off are tried again"),
        (100, 20.0, {"pending": 3_000_000}, 5.0, 10_000, "That is after its end, and what has not gone out by then"),
        (19, 120.0, {"pending": 300}, None, None, "Too few copies have ended"),
        (100, 9.0, {"pending": 300}, None, None, "Too few copies have ended"),
        (0, 120.0, {"deferred": 3}, None, None, "What is left was put off"),
        (0, 120.0, {"accepted": 3}, None, None, "Every copy has come to its end."),
    ],
)
def test_what_is_promised_goes_by_what_was_seen(
    house: House,
    recent: int,
    span: float,
    states: dict[str, int],
    rate: float | None,
    minutes: int | None,
    why: str,
) -> None:
    going = Edition(state=EditionState.SENDING, finish_by=house.now + timedelta(hours=12))
    told = outlook(going, counted_as(house, recent, span, **states), house.now, None)
    assert told.rate == rate
    assert told.over_at == (None if minutes is None else house.now + timedelta(minutes=minutes))
    assert why in told.why


def held(house: House, edition_id: int) -> None:
    publishing.hold(edition_id, "the court decides", house.now, COMMAND)


def paused(house: House, edition_id: int) -> None:
    releasing.pause(edition_id, house.now, COMMAND)


def halted(house: House, edition_id: int) -> None:
    with transaction():
        safety.halt("the clock was moved.", house.now)


def without_relay(house: House, edition_id: int) -> None:
    with transaction():
        alerts.raise_(RELAY_ALERT, "The relay cannot be used.", "Check it.", house.now)


@pytest.mark.parametrize(
    ("stop", "why"),
    [
        (held, "It is held"),
        (paused, "It is paused"),
        (halted, "Nothing is sent: the clock was moved."),
        (without_relay, "Mails wait for the relay. The relay cannot be used."),
    ],
)
def test_what_does_not_go_out_has_no_end_and_says_why(
    house: House, stop: Callable[[House, int], None], why: str
) -> None:
    many = [Copy(f"a{n}@mail.example") for n in range(40)]
    _, edition_id = ledger_with(house, *many, Copy("p@mail.example", "pending"))
    assert asked(house, edition_id).outlook.over_at is not None
    with house.app.app_context():
        stop(house, edition_id)
    told = asked(house, edition_id).outlook
    assert (told.rate, told.over_at) == (None, None)
    assert why in told.why


def test_of_what_is_over_nothing_is_foretold(house: House) -> None:
    _, edition_id = sending(house, "ann@mail.example")
    house.work()
    told = asked(house, edition_id).outlook
    assert (told.rate, told.over_at, told.why) == (None, None, "")


# Row by row


def looked_for(house: House, edition_id: int, wanted: Wanted, limit: int = 3) -> list[str | None]:
    """The addresses on all pages, one after the other."""
    found: list[Row] = []
    after = BEGINNING
    with house.app.app_context():
        edition = db.session.get_one(Edition, edition_id)
        while True:
            page = reporting.rows_of(edition, wanted, after, limit)
            assert len(page.rows) <= limit
            found += page.rows
            if page.after is None:
                return [row.address for row in found]
            assert page.after > after
            after = page.after


WANTED: list[tuple[Wanted, Callable[[Copy], bool]]] = [
    (Wanted(), lambda one: True),
    (Wanted(DeliveryState.ACCEPTED), lambda one: one.state == "accepted"),
    (Wanted(DeliveryState.REFUSED), lambda one: one.state == "refused"),
    (Wanted(undecided=True), lambda one: one.state == "uncertain"),
    (Wanted(domain="other.example"), lambda one: one.address.endswith("@other.example")),
    (Wanted(DeliveryState.DEFERRED, "slow.example"), lambda one: "@slow" in one.address and one.state == "deferred"),
    (Wanted(domain="nowhere.example"), lambda one: False),
]


@pytest.mark.parametrize("is_large", [False, True])
def test_every_row_that_is_wanted_is_on_one_page_and_one_only(
    either_house: House, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """Also where only a stretch of the ledger is looked through for each page."""
    house = either_house
    monkeypatch.setattr("newsletter.delivery.shards.SIZE", 2)
    monkeypatch.setattr(reporting, "STRETCH", 2)
    _, edition_id = ledger_with(house, *MIXED)
    if is_large:
        monkeypatch.setattr(counting, "AT_ONCE", 0)
        asked(house, edition_id, afresh=True)
    for wanted, fits in WANTED:
        found = looked_for(house, edition_id, wanted)
        assert sorted(map(str, found)) == sorted(one.address for one in MIXED if fits(one)), wanted
    with house.app.app_context():
        assert sorted(str(row.address) for row in reporting.every_row(edition_id)) == sorted(
            one.address for one in MIXED
        )


def test_a_page_of_a_rare_state_reads_no_more_shards_than_it_has_rows(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.delivery.shards.SIZE", 2)
    monkeypatch.setattr(counting, "AT_ONCE", 0)
    every = [Copy(f"u{n}@mail.example", "uncertain" if n % 4 else "accepted") for n in range(24)]
    _, edition_id = ledger_with(house, *every)
    asked(house, edition_id, afresh=True)
    for limit in (1, 2, 5):
        found = looked_for(house, edition_id, Wanted(undecided=True), limit)
        assert sorted(map(str, found)) == sorted(one.address for one in every if one.state == "uncertain")
    with house.app.app_context():
        edition = db.session.get_one(Edition, edition_id)
        assert [row.address for row in reporting.undecided(edition)] == looked_for(
            house, edition_id, Wanted(undecided=True)
        )


def test_a_reader_s_copy_is_found_by_the_whole_address(house: House) -> None:
    _, edition_id = ledger_with(house, *MIXED)
    with house.app.app_context():
        found = reporting.row_to(edition_id, "u1@other.example")
        assert found is not None
        assert (found.state, found.last_reply, found.asks) == ("uncertain", "timed out", True)
        assert reporting.row_to(edition_id, "nobody@other.example") is None
        assert reporting.row_to(edition_id + 1, "u1@other.example") is None
