"""Acts on many readers: everybody once, whatever dies, and put back but for what somebody has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, time, timedelta

import pytest
import sqlalchemy as sa

from newsletter import privacy
from newsletter.delivery import housekeeping
from newsletter.foundation.audit import Actor, ActorKind, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import bulk, preferences
from newsletter.subscribers.bulk import NumberNeeded, Wanted
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.desk_models import BulkAct, BulkChange, BulkKind, BulkState
from newsletter.subscribers.models import ConsentEvent, ConsentKind, Subscriber, Subscription, subscriber_at
from newsletter.subscribers.segments import AtDomain, Condition, InState, OfNewsletter, Part, ReaderState
from tests.conftest import House
from tests.integration.subscribers import put_on_the_list, story_of, suppressed_for
from tests.support import newsroom
from tests.support.newsroom import Paper

SUE = Actor(ActorKind.STAFF, "sue@example.org", 1, "192.0.2.9")
TOM = Actor(ActorKind.STAFF, "tom@example.org", 2)
EVERYBODY: tuple[Condition, ...] = ()
LATER = date(2026, 4, 1)


def some(count: int) -> list[str]:
    return [f"reader{number}@example.org" for number in range(count)]


def begin(house: House, wanted: Wanted, *conditions: Condition, typed: str = "", **more: frozenset[int]) -> int:
    with house.app.app_context():
        return bulk.begin(wanted, conditions, typed, house.now, SUE, more.get("among"))


def leaves(paper: Paper) -> Wanted:
    return Wanted(BulkKind.UNSUBSCRIBE, paper.id)


def pauses(paper: Paper, until: date = LATER) -> Wanted:
    return Wanted(BulkKind.PAUSE, paper.id, until=until)


def finish(house: House) -> None:
    with house.app.app_context():
        while bulk.work_due(house.now):
            pass


def undo(house: House, id: int) -> None:
    with house.app.app_context():
        bulk.undo(id, house.now, TOM)
    finish(house)


def act_of(house: House, id: int) -> BulkAct:
    with house.app.app_context():
        found = db.session.get_one(BulkAct, id)
        db.session.expunge(found)
        return found


def rows(house: House) -> dict[str, tuple[object, ...]]:
    """Each subscription as it is, by its address."""
    columns = (Subscription.state, Subscription.slot_id, Subscription.paused_until, Subscription.unsubscribed_at)
    with house.app.app_context():
        found = db.session.execute(sa.select(Subscriber.address, *columns).join(Subscription.subscriber))
        return {row[0]: tuple(row[1:]) for row in found}


def told(house: House, address: str) -> list[tuple[str, str, str]]:
    return [(event.kind, event.note, event.by) for event in story_of(house, address)]


def token(house: House, address: str) -> str:
    with house.app.app_context():
        reader = subscriber_at(address)
        assert reader
        return house.links.make("preferences", reader.id)  # type: ignore[arg-type]


# What it does


def test_everybody_who_meets_the_conditions_is_changed_once_and_it_is_written_down(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house)
    paper.readers(*some(3), "other@example.net")
    paper.readers("gone@example.org", state="unsubscribed", unsubscribed_at=house.now)
    before = rows(house)
    id = begin(house, leaves(paper), AtDomain("example.org"))
    assert rows(house) == before, "it has only begun"
    finish(house)
    act = act_of(house, id)
    assert (act.state, act.total, act.done, act.skipped) == (BulkState.DONE, 3, 3, 1)
    after = rows(house)
    assert {name for name in after if after[name] != before[name]} == set(some(3))
    assert [after[name][0] for name in some(3)] == ["unsubscribed"] * 3
    assert told(house, some(1)[0]) == [(ConsentKind.UNSUBSCRIBED, "", "sue@example.org")]
    assert told(house, "gone@example.org") == []
    with house.app.app_context():
        (record,) = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action.startswith("bulk.")))
    assert (record.action, record.subject, record.actor_name) == ("bulk.unsubscribe", f"bulk:{id}", "sue@example.org")
    assert record.details == {
        "readers": 3,
        "conditions": [{"kind": "domain", "name": "example.org"}],
        "newsletter": paper.id,
    }


def test_a_pause_makes_nobody_s_own_pause_shorter(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers("ann@example.org")
    paper.readers("bob@example.org", paused_until=LATER + timedelta(days=1))
    paper.readers("cleo@example.org", paused_until=LATER - timedelta(days=1))
    id = begin(house, pauses(paper))
    finish(house)
    assert act_of(house, id).done == 2
    assert [row[2] for row in rows(house).values()] == [LATER, LATER + timedelta(days=1), LATER]
    assert told(house, "ann@example.org") == [(ConsentKind.CHANGED, "paused until 2026-04-01", "sue@example.org")]


def test_many_move_to_another_time_of_their_newsletter(house: House) -> None:
    paper, other = newsroom.found(house), newsroom.found(house, "ridge-courier")
    tokyo = paper.slot("Asia/Tokyo", time(7, 0))
    paper.readers("ann@example.org")
    paper.readers("bob@example.org", slot_id=tokyo)
    other.readers("cleo@example.org")
    id = begin(house, Wanted(BulkKind.MOVE, paper.id, tokyo))
    finish(house)
    assert (act_of(house, id).done, act_of(house, id).skipped) == (1, 2)
    assert [row[1] for row in rows(house).values()] == [tokyo, tokyo, other.slot_id]


def test_many_are_suppressed_for_good_and_there_is_no_undo(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house)
    paper.readers("ann@example.org", "bob@example.org", "cleo@example.org")
    put_on_the_list(house, SuppressionReason.BY_HAND, "ann@example.org")
    put_on_the_list(house, SuppressionReason.HARD_BOUNCE, "bob@example.org")
    id = begin(house, Wanted(BulkKind.SUPPRESS, note="bought list"))
    finish(house)
    assert act_of(house, id).done == 2
    by_hand = SuppressionReason.BY_HAND
    assert [suppressed_for(house, f"{name}@example.org") >= {by_hand} for name in ("ann", "bob", "cleo")] == [True] * 3
    with pytest.raises(Refused, match="suppressing not at all"):
        undo(house, id)
    assert suppressed_for(house, "cleo@example.org") == {by_hand}


@pytest.mark.parametrize(
    ("wanted", "conditions"),
    [
        (Wanted(BulkKind.PAUSE, 1), ()),
        (Wanted(BulkKind.PAUSE, 1, until=date(2026, 3, 3)), ()),
        (Wanted(BulkKind.PAUSE, 1, until=date(2027, 3, 6)), ()),
        (Wanted(BulkKind.PAUSE, until=LATER), ()),
        (Wanted(BulkKind.MOVE, 1), ()),
        (Wanted(BulkKind.MOVE, 1, 2), ()),
        (Wanted(BulkKind.MOVE, 1, 1), ()),
        (Wanted(BulkKind.UNSUBSCRIBE), ()),
        (Wanted(BulkKind.UNSUBSCRIBE, 99), ()),
        (Wanted(BulkKind.UNSUBSCRIBE, 1), (AtDomain("nowhere.example"),)),
        (Wanted(BulkKind.UNSUBSCRIBE, 1), (Part("ann@example.org"),)),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_begins(
    house: House, wanted: Wanted, conditions: tuple[Condition, ...]
) -> None:
    newsroom.found(house).readers("ann@example.org")
    newsroom.found(house, "ridge-courier")
    with pytest.raises(Refused):
        begin(house, wanted, *conditions)
    with house.app.app_context():
        assert db.session.scalars(sa.select(BulkAct)).all() == []


def test_more_than_a_hundred_want_their_number_typed(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(*some(100))
    begin(house, pauses(paper))
    paper.readers("one@example.net")
    for typed in ("", "100", "101x", "all"):
        with pytest.raises(NumberNeeded, match="101 readers"):
            begin(house, leaves(paper), typed=typed)
    begin(house, leaves(paper), typed=" 101 ")


def test_who_is_limited_changes_nobody_through_others(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    post.readers("ann@example.org")
    courier.readers("bob@example.org")
    mine = frozenset({post.id})
    for wanted in (leaves(courier), pauses(courier), Wanted(BulkKind.SUPPRESS)):
        with pytest.raises(Refused):
            begin(house, wanted, among=mine)
    id = begin(house, leaves(post), among=mine)
    finish(house)
    assert (act_of(house, id).done, act_of(house, id).skipped) == (1, 0)


# Whatever dies


class Killed(BaseException):
    pass


@contextmanager
def killed_at(statement: str, nth: int) -> Iterator[None]:
    """The process dies when it executes a statement that begins so for the nth time; at `COMMIT`, before it."""
    seen = 0

    def look(*given: object) -> None:
        nonlocal seen
        text = "COMMIT" if statement == "COMMIT" else str(given[2])
        seen += text.startswith(statement)
        if seen == nth and text.startswith(statement):
            raise Killed

    name = "commit" if statement == "COMMIT" else "before_cursor_execute"
    sa.event.listen(db.engine, name, look)
    try:
        yield
    finally:
        sa.event.remove(db.engine, name, look)


DEATHS = [
    *(("UPDATE subscriptions", nth) for nth in (1, 2)),
    *(("INSERT INTO consent_events", nth) for nth in (1, 3)),
    *(("INSERT INTO bulk_changes", nth) for nth in (1, 2)),
    *(("UPDATE bulk_acts", nth) for nth in (1, 2, 3)),
    *(("COMMIT", nth) for nth in (1, 2, 3)),
]


@pytest.mark.parametrize(("statement", "nth"), DEATHS)
def test_killed_anywhere_it_goes_on_and_does_nobody_twice(
    house: House, monkeypatch: pytest.MonkeyPatch, statement: str, nth: int
) -> None:
    """At work, and when it is undone."""
    monkeypatch.setattr(bulk, "CHUNK", 3)
    paper = newsroom.found(house)
    paper.readers(*some(8))
    before = rows(house)
    id = begin(house, leaves(paper), InState(ReaderState.ACTIVE))
    with house.app.app_context(), killed_at(statement, nth), pytest.raises(Killed):
        bulk.work_due(house.now)
    finish(house)
    act = act_of(house, id)
    assert (act.state, act.total, act.done, act.skipped) == (BulkState.DONE, 8, 8, 0)
    assert [len(told(house, one)) for one in some(8)] == [1] * 8
    with house.app.app_context():
        bulk.undo(id, house.now, TOM)
        with killed_at(statement, nth), suppress(Killed):  # not each statement is one of an undoing
            bulk.work_due(house.now)
    finish(house)
    act = act_of(house, id)
    assert (act.state, act.undone, act.kept) == (BulkState.UNDONE, 8, 0)
    assert rows(house) == before
    assert [len(told(house, one)) for one in some(8)] == [2] * 8


@pytest.mark.postgresql
def test_on_postgresql_too_killed_before_a_commit_nobody_is_done_twice(
    build_house: object, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build_house(postgres_url)  # type: ignore[operator]
    test_killed_anywhere_it_goes_on_and_does_nobody_twice(house, monkeypatch, "COMMIT", 2)


def test_who_came_after_it_began_is_left_alone(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers("ann@example.org")
    begin(house, leaves(paper))
    paper.readers("new@example.org")
    finish(house)
    assert [row[0] for row in rows(house).values()] == ["unsubscribed", "active"]


def test_it_stops_where_it_is_and_what_was_done_can_be_undone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 3)
    paper = newsroom.found(house)
    paper.readers(*some(8))
    id = begin(house, leaves(paper))
    with house.app.app_context():
        bulk.step(id, house.now)
        bulk.stop(id, house.now, TOM)
        bulk.stop(id, house.now, TOM)
    finish(house)
    assert [row[0] for row in rows(house).values()] == ["unsubscribed"] * 3 + ["active"] * 5
    undo(house, id)
    assert [row[0] for row in rows(house).values()] == ["active"] * 8


def test_conditions_that_cannot_be_read_any_more_stop_it_and_touch_nobody(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers("ann@example.org")
    before = rows(house)
    for spoilt in ([{"kind": "part"}], [{"kind": "newsletter", "id": 99}], "everybody"):
        id = begin(house, leaves(paper), OfNewsletter(paper.id))
        with house.app.app_context(), transaction() as session:
            session.get_one(BulkAct, id).conditions = spoilt  # type: ignore[assignment]
        finish(house)
        act = act_of(house, id)
        assert (act.state, act.done) == (BulkState.STOPPED, 0)
        assert "Nobody was touched" in act.problem
    assert rows(house) == before


# Put back


def test_undone_everything_is_as_it_was_and_the_story_says_both(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house)
    tokyo = paper.slot("Asia/Tokyo", time(7, 0))
    paper.readers("ann@example.org", "bob@example.org", paused_until=date(2026, 3, 9))
    before = rows(house)
    for wanted in (leaves(paper), pauses(paper), Wanted(BulkKind.MOVE, paper.id, tokyo)):
        id = begin(house, wanted)
        finish(house)
        assert rows(house) != before
        house.later(hours=23)
        undo(house, id)
        act = act_of(house, id)
        assert (act.state, act.undone, act.kept) == (BulkState.UNDONE, 2, 0)
        assert rows(house) == before
        with house.app.app_context():
            assert db.session.scalars(sa.select(BulkChange)).all() == []
    assert told(house, "ann@example.org") == [
        (ConsentKind.UNSUBSCRIBED, "", "sue@example.org"),
        (ConsentKind.RETURNED, "undone by staff", "tom@example.org"),
        (ConsentKind.CHANGED, "paused until 2026-04-01", "sue@example.org"),
        (ConsentKind.CHANGED, "undone by staff", "tom@example.org"),
        (ConsentKind.CHANGED, "another slot", "sue@example.org"),
        (ConsentKind.CHANGED, "undone by staff", "tom@example.org"),
    ]


def test_a_day_later_there_is_no_undo(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers("ann@example.org")
    id = begin(house, leaves(paper))
    with pytest.raises(Refused):
        undo(house, id)
    finish(house)
    house.later(hours=24)
    with pytest.raises(Refused, match="24 hours"):
        undo(house, id)
    house.later(days=3, seconds=1)
    with house.app.app_context():
        housekeeping.tidy(house.now)
        assert db.session.scalars(sa.select(BulkChange)).all() == []
    assert rows(house)["ann@example.org"][0] == "unsubscribed"


def test_what_a_person_has_done_since_stands(either_house: House) -> None:
    """Also when it looks as the act left it, because they went there and back."""
    house = either_house
    paper = newsroom.found(house)
    tokyo = paper.slot("Asia/Tokyo", time(7, 0))
    names = ("left@example.org", "back@example.org", "moved@example.org", "still@example.org")
    paper.readers(*names)
    id = begin(house, pauses(paper))
    finish(house)
    left, back, moved, _ = (token(house, one) for one in names)
    house.later(minutes=1)
    with house.app.app_context():
        given = (Origin(), house.now, house.keys)
        preferences.leave_all(left, *given, house.links)
        preferences.resume(back, *given, house.links)
        preferences.pause(back, LATER, *given, house.links)
        choices = preferences.Choices({paper.id: tokyo}, shown=[paper.id])
        preferences.save(moved, choices, *given, house.links)
    as_they_want_it = rows(house)
    undo(house, id)
    act = act_of(house, id)
    assert (act.undone, act.kept) == (1, 3)
    assert rows(house) == as_they_want_it | {"still@example.org": ("active", paper.slot_id, None, None)}


def test_who_left_by_themselves_before_or_after_is_never_brought_back(house: House) -> None:
    """Rule 14, although an act of staff lay between."""
    paper = newsroom.found(house)
    paper.readers("before@example.org", "after@example.org")
    paper.leave("before@example.org")
    id = begin(house, leaves(paper))
    finish(house)
    with house.app.app_context():
        given = (Origin(), house.now, house.keys)
        reader = subscriber_at("after@example.org")
        assert reader
        unsubscribe = house.links.make("unsubscribe", reader.subscriptions[0].id)  # type: ignore[arg-type]
        preferences.undo_leaving(unsubscribe, *given, house.links)
        house.later(minutes=1)
        preferences.unsubscribe(unsubscribe, Origin(), house.now, house.keys, house.links)
    undo(house, id)
    assert [row[0] for row in rows(house).values()] == ["unsubscribed"] * 2


def test_who_was_erased_meanwhile_stays_erased(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers("ann@example.org", "bob@example.org")
    id = begin(house, pauses(paper))
    finish(house)
    with house.app.app_context():
        ann = subscriber_at("ann@example.org")
        assert ann
        (change,) = privacy.about(ann.id)["changed_with_many"]
        assert change["newsletter"] == "Morning Post"
        assert privacy.erase(ann.id, Origin(), house.now, house.keys)
        assert len(db.session.scalars(sa.select(BulkChange)).all()) == 1
    undo(house, id)
    assert (act_of(house, id).undone, list(rows(house))) == (1, ["bob@example.org"])
    with house.app.app_context():
        assert db.session.scalar(sa.select(sa.func.count(ConsentEvent.id))) == 5
