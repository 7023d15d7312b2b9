"""Start and record: with releasing, the only code that changes a delivery (DESIGN.md, rules 8-13).

`start` makes rows of a leased shard `sending`, durably, before their mails' final dots can go out; `record` writes what
came of them. Each takes as many rows as there are at the moment, so that a commit costs little a mail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import ReturningUpdate

from newsletter.delivery import shards
from newsletter.delivery.models import WELCOME, Delivery, DeliveryState, Doubt, Shard, SkipReason
from newsletter.delivery.shards import IS_DUE, STOPPED, Claimed
from newsletter.editions.models import Edition, EditionState, Revision, edition_to_decide
from newsletter.foundation import alerts
from newsletter.foundation.config import Uncertain, the_config
from newsletter.foundation.database import Book, Prepared, db, recordset, transaction
from newsletter.foundation.safety import IS_HALTED
from newsletter.mail.smtp import Outcome, Reply
from newsletter.mail.suppression import Suppression
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState

RETRIES = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60))

DELIVERIES = cast(sa.Table, Delivery.__table__)


NOW = sa.bindparam("now", type_=Delivery.updated_at.type)
ATTEMPT = sa.bindparam("attempt", type_=sa.String())


def keep(
    results: Sequence[Result], rows: Sequence[Claimed], attempt: str, lease: str, now: datetime, book: Book
) -> set[int]:
    """In one commit: be believed for longer to work on what one has leased, write down results (`record`), and begin
    rows (`start`). Says which rows are begun. The same again is no error."""
    if not (book.is_far and _are_usual(results, rows)):
        with book.transaction() as on:
            shards.renew(lease, now, on)
            record(results, now, on)
            return start(rows, attempt, now, on)
    with book.at_once() as on:
        values = {"until": now + shards.LEASE, "lease": lease, "attempt": attempt, "now": now}
        started = set(_keep_at_once(on, told=_told(results), given=_given(rows), **values).scalars())
    if len(started) < len(rows):
        with book.transaction() as on:
            _say_why_not([row for row in rows if row.id not in started], now, on)
    return started


def _are_usual(results: Sequence[Result], rows: Sequence[Claimed]) -> bool:
    """Nothing else follows from them, and no row is written twice."""
    known = (Outcome.ACCEPTED, Outcome.REFUSED)
    usual = all(one.attempt is not None and one.reply.outcome in known for one in results)
    return usual and {one.row.id for one in results}.isdisjoint(row.id for row in rows)


@Prepared
def _keep_at_once(dialect: str) -> sa.Executable:
    """The three as one statement. What is begun is of shards that were renewed by it, so that nobody has ended their
    lease meanwhile."""
    renewed = shards.renewing().returning(Shard.edition_id, Shard.number).cte("renewed")
    ours = sa.exists().where(renewed.c.edition_id == Delivery.edition_id, renewed.c.number == Delivery.shard)
    recorded = _recording(dialect, begun=True, deferred=False).cte("recorded")
    return _starting(_rows(dialect), ours).add_cte(recorded)


def start(rows: Sequence[Claimed], attempt: str, now: datetime, on: Connection) -> set[int]:
    """Make leased rows `sending`, in the caller's transaction `on` a connection, and say which are; `attempt` is the
    attempt's name, and the same again is no error.

    The others may not be sent any more: the lease was lost, everything is halted, the edition is held or paused or has
    a new revision, or the person has left meanwhile; then the row says so.
    """
    if not rows:
        return set()
    started = set(_start_given(on, given=_given(rows), attempt=attempt, now=now).scalars())
    if len(started) < len(rows):
        _say_why_not([row for row in rows if row.id not in started], now, on)
    return started


def skip(rows: Sequence[Claimed], now: datetime) -> None:
    """Write down of leased rows that cannot be begun why that is so."""
    with transaction() as session:
        _say_why_not(rows, now, session.connection())


def _say_why_not(rows: Sequence[Claimed], now: datetime, on: Connection) -> None:
    given = _given(rows)
    for skip, reason in _SKIPS:
        skip(on, given=given, reason=reason, now=now)


def _given(rows: Iterable[Claimed]) -> str:
    return json.dumps([{"id": row.id, "lease": row.lease, "revision_id": row.revision_id} for row in rows])


def _rows(dialect: str) -> sa.Subquery:
    return recordset(dialect, "given", id=sa.BigInteger(), lease=sa.String(), revision_id=sa.Integer())


@Prepared
def _start_given(dialect: str) -> sa.Executable:
    given = _rows(dialect)
    return _starting(given, _is_leased(given))


def _starting(given: sa.Subquery, is_ours: sa.ColumnElement[bool]) -> ReturningUpdate[Any]:
    begun = sa.and_(Delivery.state == DeliveryState.SENDING, Delivery.attempt == ATTEMPT)
    return (
        sa.update(DELIVERIES)
        .where(
            Delivery.id == given.c.id,
            is_ours,
            sa.or_(IS_DUE, begun),
            sa.exists().where(Edition.id == Delivery.edition_id, ~STOPPED, shards.ends() > NOW),
            ~IS_HALTED,
            sa.exists().where(*reads_on(Delivery.local_date)),
            ~sa.exists().where(*is_suppressed()),
            ~sa.exists().where(*shards.is_sealed(Delivery.edition_id), Revision.id > given.c.revision_id),
        )
        .values(
            state=DeliveryState.SENDING,
            revision_id=given.c.revision_id,
            attempt=ATTEMPT,
            attempts=Delivery.attempts + sa.case((begun, 0), else_=1),
            updated_at=NOW,
        )
        .returning(DELIVERIES.c.id)
    )


def _is_leased(given: sa.Subquery) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        Shard.edition_id == Delivery.edition_id, Shard.number == Delivery.shard, Shard.lease == given.c.lease
    )


def reads_on(
    local_date: sa.ColumnElement[date] | sa.orm.InstrumentedAttribute[date],
) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Subscription.id == Delivery.subscription_id,
        Subscription.state == SubscriptionState.ACTIVE,
        sa.or_(Subscription.paused_until.is_(None), Subscription.paused_until <= local_date),
    )


def is_suppressed() -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Subscriber.id == Delivery.subscriber_id,
        Suppression.address_hash == Subscriber.address_hash,
    )


def _skip(condition: sa.ColumnElement[bool]) -> Prepared:
    """Of rows that could not be started, those of which this is why: it is written down."""

    def make(dialect: str) -> sa.Executable:
        given = _rows(dialect)
        return (
            sa.update(DELIVERIES)
            .where(Delivery.id == given.c.id, _is_leased(given), IS_DUE, condition)
            .values(
                state=DeliveryState.SKIPPED,
                skip_reason=sa.bindparam("reason", type_=Delivery.skip_reason.type),
                updated_at=NOW,
            )
        )

    return Prepared(make)


_ACTIVE = sa.exists().where(Subscription.id == Delivery.subscription_id, Subscription.state == SubscriptionState.ACTIVE)
_SKIPS = (
    (_skip(sa.exists().where(*is_suppressed())), SkipReason.SUPPRESSED),
    (_skip(~_ACTIVE), SkipReason.LEFT),
    (_skip(sa.exists().where(Edition.id == Delivery.edition_id, shards.ends() <= NOW)), SkipReason.EXPIRED),
    (_skip(~sa.exists().where(*reads_on(Delivery.local_date))), SkipReason.PAUSED),
)


class Result(NamedTuple):
    """What came of a row. `attempt` is None when it ended before it was begun: its reader was refused, say."""

    row: Claimed
    attempt: str | None
    reply: Reply


def record(results: Sequence[Result], now: datetime, on: Connection) -> None:
    """Write what came of attempts, in the caller's transaction `on` a connection.

    A result carries its attempt's name; a late one still settles a row that became uncertain meanwhile (rule 11), and
    brings its edition back to work if the reader is still owed the mail. One that was to go again and has not begun is
    settled by it too, if it says that the reader has the mail, or never will.
    """
    kinds: dict[tuple[bool, bool], list[Result]] = {}
    for one in results:
        kinds.setdefault((one.attempt is not None, one.reply.outcome is Outcome.DEFERRED), []).append(one)
    for (begun, deferred), some in kinds.items():
        later = {f"later_{n}": now + pause for n, pause in enumerate(RETRIES, 1)} if deferred else {}
        _RECORDS[begun, deferred](on, told=_told(some), now=now, **later)
        if begun and deferred:
            _owe_again([one.row.id for one in some], now, on)
    doubtful = [one.row.id for one in results if one.reply.outcome is Outcome.UNCERTAIN]
    if doubtful and the_config().mail.uncertain is Uncertain.RESEND:
        _send_again(doubtful, now, on)


def _told(results: Iterable[Result]) -> str:
    return json.dumps(
        [
            {
                "id": one.row.id,
                "lease": one.row.lease,
                "revision_id": one.row.revision_id,
                "attempt": one.attempt,
                "state": one.reply.outcome.value,
                "reply": one.reply.text[:500].replace("\0", ""),
            }
            for one in results
        ]
    )


def _record(*, begun: bool, deferred: bool) -> Prepared:
    return Prepared(partial(_recording, begun=begun, deferred=deferred))


def _recording(dialect: str, *, begun: bool, deferred: bool) -> sa.Update:
    words = dict.fromkeys(("lease", "attempt", "state", "reply"), sa.String())
    told = recordset(dialect, "told", id=sa.BigInteger(), revision_id=sa.Integer(), **words)
    ours = _was_begun(told) if begun else sa.and_(_is_leased(told), IS_DUE)
    more: dict[str, Any] = {} if begun else {"attempts": Delivery.attempts + 1, "revision_id": told.c.revision_id}
    result = _deferred(0 if begun else 1) if deferred else {"state": told.c.state}
    changed = sa.update(DELIVERIES).where(Delivery.id == told.c.id, ours)
    return changed.values(last_reply=told.c.reply, updated_at=NOW, **more, **result)


def _was_begun(told: sa.Subquery) -> sa.ColumnElement[bool]:
    """Its attempt is the last one, and nothing has come of it. What is pending and has an attempt was uncertain, and is
    to go again."""
    known = sa.or_(told.c.state == DeliveryState.ACCEPTED, told.c.state == DeliveryState.REFUSED)
    return sa.and_(
        Delivery.attempt == told.c.attempt,
        sa.or_(
            Delivery.state == DeliveryState.SENDING,
            Delivery.state == DeliveryState.UNCERTAIN,
            sa.and_(Delivery.state == DeliveryState.PENDING, known),
        ),
    )


def _deferred(uncounted: int) -> dict[str, Any]:
    """When it is tried again; `uncounted` attempts are not in the row yet."""
    later = [sa.bindparam(f"later_{n}", type_=Delivery.next_attempt_at.type) for n in range(1, len(RETRIES) + 1)]
    after = sa.case(
        *((Delivery.attempts + uncounted == number, moment) for number, moment in enumerate(later, 1)),
        else_=later[-1],
    )
    return {"state": DeliveryState.DEFERRED, "next_attempt_at": after}


_RECORDS = {
    (begun, deferred): _record(begun=begun, deferred=deferred) for begun in (True, False) for deferred in (True, False)
}


def _owe_again(ids: Sequence[int], now: datetime, on: Connection) -> None:
    """Of shards that nobody works on any more, let somebody look at them again, and at their edition."""
    owed = sa.select(Delivery.edition_id, Delivery.shard).where(Delivery.id.in_(ids), IS_DUE)
    for edition_id, number in on.execute(owed.distinct()).all():
        left = sa.exists().where(
            Shard.edition_id == edition_id, Shard.number == number, Shard.lease.is_(None), Shard.due_at.is_(None)
        )
        if not on.scalar(sa.select(left)):
            continue
        shards.is_due(edition_id, number, now, on)
        if number != WELCOME:
            on.execute(
                sa.update(cast(sa.Table, Edition.__table__))
                .where(Edition.id == edition_id, Edition.state == EditionState.SENT)
                .values(state=EditionState.SENDING, sent_at=None)
            )


def _send_again(ids: Sequence[int], now: datetime, on: Connection) -> None:
    """What has just become uncertain goes again in a while, by the config's word: once, so that nobody gets three."""
    at = now + RETRIES[0]
    first = Delivery.id.in_(ids), Delivery.state == DeliveryState.UNCERTAIN, Delivery.decision.is_(None)
    again = {"state": DeliveryState.PENDING, "decision": Doubt.RESEND, "next_attempt_at": at}
    on.execute(sa.update(DELIVERIES).where(*first, shards.goes_on(at)).values(**again))
    _owe_again(ids, now, on)


def cancel(edition_id: int, now: datetime) -> None:
    """Send nothing more of an edition, in the caller's transaction. What is on its way at the moment still arrives."""
    unfinished = sa.select(Shard.number).where(Shard.edition_id == edition_id, Shard.due_at.is_not(None))
    db.session.execute(
        sa.update(Delivery)
        .where(Delivery.edition_id == edition_id, Delivery.shard.in_(unfinished), IS_DUE)
        .values(state=DeliveryState.SKIPPED, skip_reason=SkipReason.CANCELLED, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    shards.close([edition_id])


def distrust_copies(now: datetime) -> int:
    """Make every welcome copy that waits uncertain, in the caller's transaction, and say how many: this database may be
    older than what was sent from it. Editions are held instead."""
    waiting = sa.select(Shard.edition_id).where(Shard.number == WELCOME, Shard.due_at.is_not(None))
    doubted = db.session.execute(
        sa.update(Delivery)
        .where(Delivery.edition_id.in_(waiting), Delivery.shard == WELCOME, IS_DUE)
        .values(state=DeliveryState.UNCERTAIN, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(doubted.rowcount)  # type: ignore[attr-defined]


def end(edition: Edition, reason: str, now: datetime) -> None:
    """Send nothing more of an edition that is going out, for good, in the caller's transaction.

    What is on its way at the moment still arrives. Then the ledger says what the edition is: sent, with the reason, if
    it reached anybody, and else cancelled.
    """
    edition.reason = reason[:300]
    go_on(edition, now)
    cancel(edition.id, now)
    db.session.flush()
    settle(now)


def go_on(edition: Edition, now: datetime) -> None:
    """Take away what lies over an edition, in the caller's transaction."""
    edition.held_at = edition.held_reason = edition.paused_at = None
    for trouble in ("held", "paused"):
        alerts.resolve(f"edition-{trouble}:{edition.id}", now)


def settle(now: datetime) -> int:
    """What time itself decides, and how many rows it decided: orphans become uncertain, what is past its edition's
    `finish_by` or its own expires, and an edition without unfinished rows is sent."""
    unfinished = sa.exists().where(Shard.due_at.is_not(None))
    if not db.session.scalar(sa.select(sa.or_(unfinished, sa.exists().where(Edition.state == EditionState.SENDING)))):
        return 0
    with transaction() as session:
        decided = shards.free_orphans(now)
        decided += _expire(now, Shard.number == WELCOME, Delivery.finish_by <= now)
        for id in session.scalars(_GOING_OUT.where(Edition.reason.is_not(None))).all():
            cancel(id, now)  # what was on its way when it was ended, and has come back
        if ids := session.scalars(_GOING_OUT.where(Edition.finish_by <= now)).all():
            decided += _expire(now, Shard.edition_id.in_(ids), Shard.number != WELCOME)
            shards.close(ids, Shard.number != WELCOME)
        return decided + _finish(now)


_GOING_OUT = sa.select(Edition.id).where(Edition.state == EditionState.SENDING)


def _expire(now: datetime, *which: sa.ColumnElement[bool]) -> int:
    """Of shards that nobody works on; who does, finds out himself before he begins one."""
    expired = db.session.execute(
        sa.update(Delivery)
        .where(
            Delivery.edition_id == Shard.edition_id,
            Delivery.shard == Shard.number,
            Shard.due_at.is_not(None),
            Shard.lease.is_(None),
            IS_DUE,
            *which,
        )
        .values(state=DeliveryState.SKIPPED, skip_reason=SkipReason.EXPIRED, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(expired.rowcount)  # type: ignore[attr-defined]


def _finish(now: datetime) -> int:
    over = _GOING_OUT.where(~shards.are_open(Edition.id))
    # Locked, and looked at again: somebody may have said just now that a copy goes again.
    going = [edition_to_decide(id) for id in db.session.scalars(over.order_by(Edition.slot_id, Edition.id)).all()]
    finished = [edition for edition in going if db.session.scalar(over.where(Edition.id == edition.id)) is not None]
    for edition in finished:
        if edition.reason is not None and not _reached_anybody(edition.id):
            edition.state = EditionState.CANCELLED
        else:
            edition.state, edition.sent_at = EditionState.SENT, now
        if edition.held_at is not None or edition.paused_at is not None:  # what was wrong with it is so still
            edition.reason = f"stopped until its end: {edition.held_reason or 'paused'}"[:300]
            cancel(edition.id, now)
        go_on(edition, now)
    return len(finished)


def _reached_anybody(edition_id: int) -> bool:
    """Whether somebody has it, or may have it. Then it is part of what was published, however it ended."""
    got_it = sa.or_(
        Delivery.state.in_((DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN)), Delivery.decision == Doubt.RESEND
    )
    return bool(db.session.scalar(sa.select(sa.exists().where(Delivery.edition_id == edition_id, got_it))))
