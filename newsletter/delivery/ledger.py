"""Claim and record: with releasing, the only code that changes a delivery (DESIGN.md, rules 8-13).

A *lease* says who works on a row. `start` makes it `sending`, durably, before its mail's final dot can go out; `record`
writes what came of it. A row that is still `sending` when its lease has run out is `uncertain`: nobody can know.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, SkipReason
from newsletter.editions.models import Edition, EditionState, Revision
from newsletter.foundation import alerts
from newsletter.foundation.database import db, transaction
from newsletter.foundation.safety import IS_HALTED
from newsletter.mail.smtp import Outcome, Reply
from newsletter.mail.suppression import Suppression
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState

SHARD = 200
LEASE = timedelta(minutes=10)
RETRIES = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60))
UNFINISHED = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED)
DUE = (DeliveryState.PENDING, DeliveryState.DEFERRED)


@dataclass(frozen=True)
class Claimed:
    """A row of a leased shard: whom it is for, and in which form of which revision."""

    id: int
    revision_id: int
    subscriber_id: int
    subscription_id: int
    address: str
    language: str
    text_only: bool
    lease: str


@dataclass(frozen=True)
class Shard:
    """Rows of one edition, leased together."""

    edition_id: int
    revision_id: int
    rows: tuple[Claimed, ...]


def lease_shard(now: datetime, size: int = SHARD) -> Shard | None:
    """Lease due rows of one edition, the longest waiting first; None when nothing is due. Welcome copies go before all
    others: there a person waits who has just confirmed."""
    with transaction() as session:
        edition_id = session.scalar(_welcome_copies_due(now))
        if edition_id is not None:
            return _lease(edition_id, now, size, IS_WELCOME)
        edition_id = session.scalar(_going_out(now))
        return None if edition_id is None else _lease(edition_id, now, size)


def _lease(edition_id: int, now: datetime, size: int, *which: sa.ColumnElement[bool]) -> Shard | None:
    due = (
        sa.select(Delivery.id)
        .where(Delivery.edition_id == edition_id, *_is_due(now), *which)
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(size)
        .with_for_update(skip_locked=True)
    )
    lease = secrets.token_hex(16)
    claimed = db.session.scalars(
        sa.update(Delivery)
        .where(Delivery.id.in_(due))
        .values(lease=lease, lease_until=now + LEASE)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    ).all()
    return _shard(edition_id, claimed, lease)


def _is_due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Delivery.state.in_(DUE),
        Delivery.next_attempt_at <= now,
        sa.or_(Delivery.lease_until.is_(None), Delivery.lease_until <= now),
    )


IS_WELCOME = Delivery.kind == sa.literal_column(f"'{DeliveryKind.WELCOME}'")
"""Written out, so that a database sees that its index of welcome copies will do."""

STOPPED = sa.or_(Edition.held_at.is_not(None), Edition.paused_at.is_not(None), Edition.reason.is_not(None))
"""Held, paused, or ended for good, which has a reason: nothing of it begins."""


def _welcome_copies_due(now: datetime) -> sa.Select[tuple[int]]:
    return (
        sa.select(Delivery.edition_id)
        .join(Edition, Edition.id == Delivery.edition_id)
        .where(*_is_due(now), IS_WELCOME, Delivery.finish_by > now, ~STOPPED, ~IS_HALTED)
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(1)
    )


def _going_out(now: datetime) -> sa.Select[tuple[int]]:
    return (
        sa.select(Edition.id)
        .where(
            Edition.state == EditionState.SENDING,
            ~STOPPED,
            ~IS_HALTED,
            Edition.finish_by > now,
            sa.exists().where(Delivery.edition_id == Edition.id, *_is_due(now)),
        )
        .order_by(Edition.slot_at, Edition.id)
        .limit(1)
    )


def _ends() -> sa.ColumnElement[datetime]:
    """When a row expires: with its edition, unless it has an end of its own. To be joined with its edition."""
    return sa.func.coalesce(Delivery.finish_by, Edition.finish_by)


def _shard(edition_id: int, claimed: Sequence[int], lease: str) -> Shard | None:
    rows = db.session.execute(
        sa.select(
            Delivery.id,
            Delivery.subscriber_id,
            Delivery.subscription_id,
            Subscriber.address,
            Subscriber.language,
            Subscriber.text_only,
        )
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id, isouter=True)
        .where(Delivery.id.in_(claimed))
        .order_by(Delivery.id)
    ).all()
    if not rows:
        return None
    sealed = sa.select(sa.func.max(Revision.id)).where(*_is_sealed(edition_id))
    revision_id = db.session.scalars(sealed).one()
    return Shard(
        edition_id,
        revision_id,
        tuple(Claimed(**row._mapping, revision_id=revision_id, lease=lease) for row in rows),
    )


def _is_sealed(
    edition_id: int | sa.orm.InstrumentedAttribute[int],
) -> tuple[sa.ColumnElement[bool], ...]:
    return Revision.edition_id == edition_id, Revision.sealed_at.is_not(None)


def start(row: Claimed, now: datetime) -> str | None:
    """Make a leased row `sending`, in the caller's transaction, and give the attempt its name.

    None when it may not be sent any more: the lease was lost, everything is halted, the edition is held or paused or
    has a new revision, or the person has left meanwhile; then the row says so.
    """
    attempt = secrets.token_hex(8)
    started = _change(
        row,
        sa.exists().where(
            Edition.id == Delivery.edition_id,
            ~STOPPED,
            _ends() > now,
        ),
        ~IS_HALTED,
        sa.exists().where(*_reads_on(Delivery.local_date)),
        ~sa.exists().where(*_is_suppressed()),
        ~sa.exists().where(*_is_sealed(Delivery.edition_id), Revision.id > row.revision_id),
        state=DeliveryState.SENDING,
        revision_id=row.revision_id,
        attempt=attempt,
        attempts=Delivery.attempts + 1,
        lease_until=now + LEASE,
        updated_at=now,
    )
    if started:
        return attempt
    if not _skip(row, now):
        _change(row, lease=None, lease_until=None)
    return None


def _change(row: Claimed, *conditions: sa.ColumnElement[bool], **values: object) -> bool:
    """Compare and set: only while the row is due and leased by us, and only where the conditions hold."""
    done = db.session.execute(
        sa.update(Delivery)
        .where(Delivery.id == row.id, Delivery.lease == row.lease, Delivery.state.in_(DUE), *conditions)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount == 1)  # type: ignore[attr-defined]


def _reads_on(
    local_date: sa.ColumnElement[date] | sa.orm.InstrumentedAttribute[date],
) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Subscription.id == Delivery.subscription_id,
        Subscription.state == SubscriptionState.ACTIVE,
        sa.or_(Subscription.paused_until.is_(None), Subscription.paused_until <= local_date),
    )


def _is_suppressed() -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Subscriber.id == Delivery.subscriber_id,
        Suppression.address_hash == Subscriber.address_hash,
    )


def _skip(row: Claimed, now: datetime) -> bool:
    """Write down why the person is not mailed, if that is what it is."""
    active = sa.exists().where(
        Subscription.id == Delivery.subscription_id, Subscription.state == SubscriptionState.ACTIVE
    )
    reasons = (
        (SkipReason.SUPPRESSED, sa.exists().where(*_is_suppressed())),
        (SkipReason.LEFT, ~active),
        (SkipReason.EXPIRED, sa.exists().where(Edition.id == Delivery.edition_id, _ends() <= now)),
        (SkipReason.PAUSED, ~sa.exists().where(*_reads_on(Delivery.local_date))),
    )
    return any(
        _change(row, condition, state=DeliveryState.SKIPPED, skip_reason=reason, updated_at=now, **NO_LEASE)
        for reason, condition in reasons
    )


NO_LEASE: dict[str, object] = {"lease": None, "lease_until": None}


def record(row: Claimed, attempt: str, reply: Reply, now: datetime) -> None:
    """Write what came of an attempt, in the caller's transaction.

    A result carries its attempt's name; a late one still settles a row that became uncertain meanwhile (rule 11), and
    brings its edition back to work if the reader is still owed the mail.
    """
    db.session.execute(
        sa.update(Delivery)
        .where(
            Delivery.id == row.id,
            Delivery.attempt == attempt,
            Delivery.state.in_((DeliveryState.SENDING, DeliveryState.UNCERTAIN)),
        )
        .values(last_reply=reply.text[:500], updated_at=now, **NO_LEASE, **_result(reply, now))
        .execution_options(synchronize_session=False)
    )
    if reply.outcome is Outcome.DEFERRED:
        _owe_again(row)


def _owe_again(row: Claimed) -> None:
    edition_id = sa.select(Delivery.edition_id).where(
        Delivery.id == row.id, Delivery.state == DeliveryState.DEFERRED, ~IS_WELCOME
    )
    db.session.execute(
        sa.update(Edition)
        .where(Edition.id == edition_id.scalar_subquery(), Edition.state == EditionState.SENT)
        .values(state=EditionState.SENDING, sent_at=None)
        .execution_options(synchronize_session=False)
    )


def _result(reply: Reply, now: datetime) -> dict[str, object]:
    if reply.outcome is not Outcome.DEFERRED:
        return {"state": DeliveryState(reply.outcome.value)}
    after = sa.case(
        *((Delivery.attempts == number, now + pause) for number, pause in enumerate(RETRIES, 1)),
        else_=now + RETRIES[-1],
    )
    return {
        "state": DeliveryState.DEFERRED,
        "next_attempt_at": sa.type_coerce(after, Delivery.next_attempt_at.type),
    }


def take_back(row: Claimed, attempt: str, now: datetime) -> None:
    """Undo a start that led to nothing: the mail was not begun, so it costs no attempt. The lease stays."""
    with transaction() as session:
        session.execute(
            sa.update(Delivery)
            .where(Delivery.id == row.id, Delivery.attempt == attempt, Delivery.state == DeliveryState.SENDING)
            .values(state=DeliveryState.PENDING, attempt=None, attempts=Delivery.attempts - 1, updated_at=now)
            .execution_options(synchronize_session=False)
        )


def put_off(edition_id: int, now: datetime, until: datetime) -> None:
    """Let everything of an edition that is due and in nobody's hands wait, so that the others have their turn."""
    with transaction() as session:
        session.execute(
            sa.update(Delivery)
            .where(Delivery.edition_id == edition_id, *_is_due(now))
            .values(next_attempt_at=until, updated_at=now)
            .execution_options(synchronize_session=False)
        )


def give_back(rows: Sequence[Claimed], now: datetime, until: datetime) -> None:
    """End the lease of rows that were not begun; they are due again at `until`."""
    with transaction() as session:
        session.execute(
            sa.update(Delivery)
            .where(
                Delivery.id.in_([row.id for row in rows]),
                Delivery.state.in_(DUE),
                Delivery.lease == rows[0].lease,
            )
            .values(next_attempt_at=until, updated_at=now, **NO_LEASE)
            .execution_options(synchronize_session=False)
        )


def cancel(edition_id: int, now: datetime) -> None:
    """Send nothing more of an edition, in the caller's transaction. What is on its way at the moment still arrives."""
    db.session.execute(
        sa.update(Delivery)
        .where(Delivery.edition_id == edition_id, Delivery.state.in_(DUE))
        .values(state=DeliveryState.SKIPPED, skip_reason=SkipReason.CANCELLED, updated_at=now, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )


def distrust_copies(now: datetime) -> int:
    """Make every welcome copy that waits uncertain, in the caller's transaction, and say how many: this database may be
    older than what was sent from it. Editions are held instead."""
    doubted = db.session.execute(
        sa.update(Delivery)
        .where(IS_WELCOME, Delivery.state.in_(DUE))
        .values(state=DeliveryState.UNCERTAIN, updated_at=now, **NO_LEASE)
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
    unfinished = sa.exists().where(Delivery.state.in_(UNFINISHED))
    if not db.session.scalar(sa.select(sa.or_(unfinished, sa.exists().where(Edition.state == EditionState.SENDING)))):
        return 0
    with transaction() as session:
        orphans = session.execute(
            sa.update(Delivery)
            .where(Delivery.state == DeliveryState.SENDING, Delivery.lease_until <= now)
            .values(state=DeliveryState.UNCERTAIN, updated_at=now, **NO_LEASE)
            .execution_options(synchronize_session=False)
        )
        decided = int(orphans.rowcount)  # type: ignore[attr-defined]
        decided += _expire(now, IS_WELCOME, Delivery.finish_by <= now)
        for id in session.scalars(_GOING_OUT.where(Edition.reason.is_not(None))).all():
            cancel(id, now)  # what was on its way when it was ended, and has come back
        over = _GOING_OUT.where(Edition.finish_by <= now)
        if ids := session.scalars(over).all():  # asked before, because most often it is none, and the rows are many
            decided += _expire(now, Delivery.edition_id.in_(ids), Delivery.finish_by.is_(None))
        return decided + _finish(now)


_GOING_OUT = sa.select(Edition.id).where(Edition.state == EditionState.SENDING)


def _expire(now: datetime, *which: sa.ColumnElement[bool]) -> int:
    expired = db.session.execute(
        sa.update(Delivery)
        .where(Delivery.state.in_(DUE), sa.or_(Delivery.lease_until.is_(None), Delivery.lease_until <= now), *which)
        .values(state=DeliveryState.SKIPPED, skip_reason=SkipReason.EXPIRED, updated_at=now, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )
    return int(expired.rowcount)  # type: ignore[attr-defined]


def _finish(now: datetime) -> int:
    finished = db.session.scalars(
        sa.select(Edition).where(
            Edition.state == EditionState.SENDING,
            ~sa.exists().where(Delivery.edition_id == Edition.id, Delivery.state.in_(UNFINISHED), ~IS_WELCOME),
        )
    ).all()
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
    got_it = Delivery.state.in_((DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN))
    return bool(db.session.scalar(sa.select(sa.exists().where(Delivery.edition_id == edition_id, got_it))))
