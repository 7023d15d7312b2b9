"""One act on everybody who meets some conditions, in the background, and its undoing.

It is worked through in the order of the readers' ids, some hundred in a transaction of their own, which carries how far
it has come: whatever is killed, nobody is done twice and nobody left out. A person's own word always wins: what they
changed since is not put back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, insert_into, locked, transaction
from newsletter.foundation.errors import Refused
from newsletter.foundation.text import one_line
from newsletter.mail.suppression import Suppression, SuppressionReason
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.subscribers import segments
from newsletter.subscribers.consent import Origin, remember_each
from newsletter.subscribers.desk_models import Among, BulkAct, BulkActUnknown, BulkChange, BulkKind, BulkState
from newsletter.subscribers.models import ConsentEvent, ConsentKind, Subscriber, Subscription, SubscriptionState
from newsletter.subscribers.preferences import PAUSE_AT_MOST
from newsletter.subscribers.segments import Condition, ConditionsOutdated, ConditionsUnreadable, Part

TYPED_ABOVE = 100
"""More than so many are changed only by who types how many they are."""

CHUNK = 500
CHUNKS_A_TICK = 20
UNDO_WITHIN = timedelta(hours=24)
AT_WORK = (BulkState.RUNNING, BulkState.UNDOING)


class NumberNeeded(Refused):
    """This changes {count} readers at once. Type that number, {count}. Nothing was changed."""


@dataclass(frozen=True)
class Wanted:
    """What is to be done: to leave `newsletter_id`, to pause it until a date, to move to one of its slots, or never to
    be mailed again."""

    kind: BulkKind
    newsletter_id: int | None = None
    slot_id: int | None = None
    until: date | None = None
    note: str = ""


@dataclass(frozen=True)
class Outlook:
    """What an act would do: how many meet the conditions, how many of them it changes, and some of their addresses."""

    matched: int
    changed: int
    sample: Sequence[str]


SAMPLE = 10


# Before


def outlook(wanted: Wanted, conditions: Sequence[Condition], now: datetime, among: Among) -> Outlook:
    """Raises Refused, ConditionsOutdated."""
    _check(wanted, conditions, now, among)
    where = segments.matching(conditions, now, among)
    changed = [*where, _has_target(wanted, among)]
    sample = sa.select(Subscriber.address).where(*changed).order_by(Subscriber.id.desc()).limit(SAMPLE)
    return Outlook(_count(where), _count(changed), db.session.scalars(sample).all())


def _count(where: Sequence[sa.ColumnElement[bool]]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(Subscriber).where(*where)) or 0


def _check(wanted: Wanted, conditions: Sequence[Condition], now: datetime, among: Among) -> None:
    part = segments.the(Part, conditions)
    if part and part.text.strip("@").count("@"):
        raise Refused(why="a whole address is one person. Open their page and do it there.")
    if wanted.kind is BulkKind.SUPPRESS:
        if among is not None:
            raise Refused(why="suppressing is for who works for all newsletters.")
        return
    about = db.session.get(Newsletter, wanted.newsletter_id or 0)
    if about is None or (among is not None and about.id not in among):
        raise Refused(why="choose the newsletter.")
    if wanted.kind is BulkKind.MOVE and wanted.slot_id not in {slot.id for slot in about.slots}:
        raise Refused(why="choose one of the newsletter’s times.")
    if wanted.kind is BulkKind.PAUSE:
        check_pause(wanted.until, about.slots, now)


def check_pause(until: date | None, slots: Sequence[Slot], now: datetime) -> None:
    """Raises Refused."""
    today = max(calendar.local_date_at(now, slot.zone) for slot in slots)
    if until is None or until <= today:
        raise Refused(why="choose a day after today, such as 2026-12-24.")
    if until > today + PAUSE_AT_MOST:
        raise Refused(why="a pause lasts a year at most.")


def begin(wanted: Wanted, conditions: Sequence[Condition], typed: str, now: datetime, by: Actor, among: Among) -> int:
    """Put it to work, and say its number. Raises Refused, of which NumberNeeded is one, and ConditionsOutdated."""
    ahead = outlook(wanted, conditions, now, among)
    if not ahead.changed:
        raise Refused(why="there is nobody whom it would change.")
    if ahead.changed > TYPED_ABOVE and typed.strip().replace(",", "") != str(ahead.changed):
        raise NumberNeeded(count=ahead.changed)
    with transaction() as session:
        act = BulkAct(
            kind=wanted.kind,
            newsletter_id=wanted.newsletter_id,
            slot_id=wanted.slot_id,
            until=wanted.until,
            note=one_line(wanted.note)[:300],
            conditions=segments.written(conditions),
            newsletter_ids=None if among is None else sorted(among),
            upper_id=session.scalar(sa.select(sa.func.max(Subscriber.id))) or 0,
            total=ahead.changed,
            by=by.name,
            ip=by.ip,
            created_at=now,
        )
        session.add(act)
        session.flush()
        _record(act, act.kind, now, by, readers=act.total, conditions=act.conditions, **_told(act))
        return act.id


def _told(act: BulkAct) -> dict[str, object]:
    until = act.until.isoformat() if act.until else None
    told = {"newsletter": act.newsletter_id, "slot": act.slot_id, "until": until, "note": act.note}
    return {name: value for name, value in told.items() if value}


def _record(act: BulkAct, what: str, now: datetime, by: Actor, **details: object) -> None:
    audit.record(by, f"bulk.{what}", f"bulk:{act.id}", now, **details)


# At work


def work_due(now: datetime) -> int:
    """Go on with what is at work for a while, and say in how many chunks; the rest is for the next time."""
    at_work = sa.select(BulkAct.id).where(BulkAct.state.in_(AT_WORK)).order_by(BulkAct.id)
    done = 0
    for act_id in db.session.scalars(at_work).all():
        while done < CHUNKS_A_TICK and step(act_id, now):
            done += 1
    return done


def step(act_id: int, now: datetime) -> bool:
    """One chunk, in a transaction of its own; whether there may be more."""
    with transaction():
        act = locked(BulkAct, act_id)
        if act is None or act.state not in AT_WORK:
            return False
        return _undo_some(act, now) if act.state is BulkState.UNDOING else _do_some(act, now)


def _do_some(act: BulkAct, now: datetime) -> bool:
    ids = _next(act)
    if not ids:
        _end(act, BulkState.DONE, now)
        return False
    try:
        where = segments.matching(segments.read(act.conditions), now, _among(act))
    except (ConditionsUnreadable, ConditionsOutdated) as error:
        act.problem = str(error)
        _end(act, BulkState.STOPPED, now)
        return False
    met = sa.select(Subscriber.id, Subscriber.address_hash).where(Subscriber.id.in_(ids), *where)
    people = {row[0]: row[1] for row in db.session.execute(met.order_by(Subscriber.id).with_for_update(of=Subscriber))}
    changed = _suppress(act, people, now) if act.kind is BulkKind.SUPPRESS else _change(act, people, now)
    act.position = ids[-1]
    act.done += changed
    act.skipped += len(people) - changed
    return True


def _next(act: BulkAct) -> Sequence[int]:
    """The next readers there are, whether or not they meet the conditions: so each chunk costs about the same."""
    ids = sa.select(Subscriber.id).where(Subscriber.id > act.position, Subscriber.id <= act.upper_id)
    return db.session.scalars(ids.order_by(Subscriber.id).limit(CHUNK)).all()


def _end(act: BulkAct, state: BulkState, now: datetime) -> None:
    act.state, act.ended_at = state, now
    act.undo_until = None if act.kind is BulkKind.SUPPRESS else now + UNDO_WITHIN


def _among(act: BulkAct) -> Among:
    return None if act.newsletter_ids is None else frozenset(act.newsletter_ids)


def _has_target(wanted: Wanted, among: Among) -> sa.ColumnElement[bool]:
    """Whether there is something to be changed about a reader."""
    if wanted.kind is BulkKind.SUPPRESS:
        return ~sa.exists().where(
            Suppression.address_hash == Subscriber.address_hash, Suppression.reason == SuppressionReason.BY_HAND
        )
    return sa.exists().where(Subscription.subscriber_id == Subscriber.id, *_target(wanted))


def _target(wanted: Wanted | BulkAct) -> list[sa.ColumnElement[bool]]:
    """A subscription that it changes. Who paused for longer by themselves is not made to come back sooner."""
    which = [
        Subscription.newsletter_id == wanted.newsletter_id,
        Subscription.state == SubscriptionState.ACTIVE,
    ]
    if wanted.kind is BulkKind.PAUSE:
        shorter = sa.or_(Subscription.paused_until.is_(None), Subscription.paused_until < wanted.until)
        return [*which, shorter]
    return [*which, Subscription.slot_id != wanted.slot_id] if wanted.kind is BulkKind.MOVE else which


def _change(act: BulkAct, people: dict[int, str], now: datetime) -> int:
    columns = (Subscription.id, Subscription.subscriber_id, Subscription.slot_id, Subscription.paused_until)
    found = sa.select(*columns).where(Subscription.subscriber_id.in_(people), *_target(act))
    rows = db.session.execute(found.order_by(Subscription.id).with_for_update(of=Subscription)).all()
    if not rows or act.newsletter_id is None:
        return 0
    db.session.execute(
        sa.update(Subscription)
        .where(Subscription.id.in_([row.id for row in rows]))
        .values(**_values(act, now))
        .execution_options(synchronize_session=False)
    )
    kind, note = _event(act)
    hashes = [people[row.subscriber_id] for row in rows]
    events = remember_each(kind, hashes, act.newsletter_id, Origin(ip=act.ip), now, by=act.by, note=note)
    db.session.execute(
        sa.insert(BulkChange),
        [
            {
                "act_id": act.id,
                "subscription_id": row.id,
                "slot_id": row.slot_id,
                "paused_until": row.paused_until,
                "event_id": event,
                "at": now,
            }
            for row, event in zip(rows, events, strict=True)
        ],
    )
    return len(rows)


def _values(act: BulkAct, now: datetime) -> dict[str, Any]:
    match act.kind:
        case BulkKind.PAUSE:
            return {"paused_until": act.until}
        case BulkKind.MOVE:
            return {"slot_id": act.slot_id}
        case _:
            return {"state": SubscriptionState.UNSUBSCRIBED, "unsubscribed_at": now}


def _event(act: BulkAct) -> tuple[ConsentKind, str]:
    match act.kind:
        case BulkKind.PAUSE:
            return ConsentKind.CHANGED, f"paused until {act.until}"
        case BulkKind.MOVE:
            return ConsentKind.CHANGED, "another slot"
        case _:
            return ConsentKind.UNSUBSCRIBED, ""


def _suppress(act: BulkAct, people: dict[int, str], now: datetime) -> int:
    """Who is on the list by hand already stays there as they are."""
    if not people:
        return 0
    shared = {"reason": SuppressionReason.BY_HAND, "note": act.note, "created_at": now}
    added = insert_into(Suppression).on_conflict_do_nothing().returning(Suppression.id)
    return len(db.session.scalars(added, [shared | {"address_hash": hashed} for hashed in people.values()]).all())


# Stopping and undoing


def stop(act_id: int, now: datetime, by: Actor) -> None:
    """Let nobody more be changed. Again, or when it is over, is no error. Raises BulkActUnknown."""
    with transaction():
        act = _locked(act_id)
        if act.state is BulkState.RUNNING:
            _end(act, BulkState.STOPPED, now)
            _record(act, "stop", now, by, done=act.done)


def may_undo(act: BulkAct, now: datetime) -> bool:
    ended = act.state in (BulkState.DONE, BulkState.STOPPED)
    return ended and bool(act.done) and act.undo_until is not None and now < act.undo_until


def undo(act_id: int, now: datetime, by: Actor) -> None:
    """Put to work that all is put back which nobody has changed since. Raises BulkActUnknown, Refused."""
    with transaction():
        act = _locked(act_id)
        if act.state in (BulkState.UNDOING, BulkState.UNDONE):
            return
        if not may_undo(act, now):
            raise Refused(why="an act can be undone for 24 hours after it has ended, and suppressing not at all.")
        act.state, act.undo_by = BulkState.UNDOING, by.name
        _record(act, "undo", now, by, done=act.done)


def _locked(act_id: int) -> BulkAct:
    found = locked(BulkAct, act_id)
    if found is None:
        raise BulkActUnknown(id=act_id)
    return found


def _undo_some(act: BulkAct, now: datetime) -> bool:
    """What was looked at is forgotten, so that it is never looked at again."""
    some = sa.select(BulkChange).where(BulkChange.act_id == act.id).order_by(BulkChange.id).limit(CHUNK)
    changes = {one.subscription_id: one for one in db.session.scalars(some)}
    if not changes:
        act.state, act.ended_at = BulkState.UNDONE, now
        return False
    rows = [row for row in _as_they_are(changes) if _is_untouched(act, changes[row.id], row)]
    later = _latest_events(act, [row.address_hash for row in rows])
    back = [row for row in rows if later.get(row.address_hash) == changes[row.id].event_id]
    if back and act.newsletter_id is not None:
        db.session.execute(sa.update(Subscription), [_put_back(act, changes[row.id]) for row in back])
        kind = ConsentKind.RETURNED if act.kind is BulkKind.UNSUBSCRIBE else ConsentKind.CHANGED
        hashes = [row.address_hash for row in back]
        remember_each(kind, hashes, act.newsletter_id, Origin(), now, by=act.undo_by or act.by, note=UNDONE)
    act.undone += len(back)
    act.kept += len(changes) - len(back)
    for one in changes.values():
        db.session.delete(one)
    return True


UNDONE = "undone by staff"


def _as_they_are(changes: dict[int, BulkChange]) -> Sequence[sa.Row[Any]]:
    """The subscriptions with their people, nobody else's to change now; people first, as who changes one does."""
    people = sa.select(Subscription.subscriber_id).where(Subscription.id.in_(changes))
    ids = db.session.scalars(
        sa.select(Subscriber.id).where(Subscriber.id.in_(people)).order_by(Subscriber.id).with_for_update()
    ).all()
    found = (
        sa.select(
            Subscription.id,
            Subscription.state,
            Subscription.slot_id,
            Subscription.paused_until,
            Subscription.unsubscribed_at,
            Subscriber.address_hash,
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.id.in_(changes), Subscriber.id.in_(ids))
    )
    return db.session.execute(found.order_by(Subscription.id).with_for_update(of=Subscription)).all()


def _is_untouched(act: BulkAct, change: BulkChange, row: sa.Row[Any]) -> bool:
    """Whether it is as the act left it."""
    if act.kind is BulkKind.UNSUBSCRIBE:
        return row.state is SubscriptionState.UNSUBSCRIBED and bool(row.unsubscribed_at == change.at)
    as_left = row.paused_until == act.until if act.kind is BulkKind.PAUSE else row.slot_id == act.slot_id
    return row.state is SubscriptionState.ACTIVE and bool(as_left)


def _latest_events(act: BulkAct, address_hashes: Sequence[str]) -> dict[str, int]:
    latest = sa.select(ConsentEvent.address_hash, sa.func.max(ConsentEvent.id)).where(
        ConsentEvent.address_hash.in_(address_hashes), ConsentEvent.newsletter_id == act.newsletter_id
    )
    return {row[0]: row[1] for row in db.session.execute(latest.group_by(ConsentEvent.address_hash))}


def _put_back(act: BulkAct, change: BulkChange) -> dict[str, Any]:
    match act.kind:
        case BulkKind.PAUSE:
            before: dict[str, Any] = {"paused_until": change.paused_until}
        case BulkKind.MOVE:
            before = {"slot_id": change.slot_id}
        case _:
            before = {"state": SubscriptionState.ACTIVE, "unsubscribed_at": None}
    return {"id": change.subscription_id} | before
