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

from newsletter.delivery.models import Delivery, DeliveryState, SkipReason
from newsletter.editions.models import Edition, EditionState, Revision, editions_in
from newsletter.foundation import alerts
from newsletter.foundation.database import db, transaction
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
    """A row of a leased shard: whom it is for, and which revision he gets."""

    id: int
    revision_id: int
    subscription_id: int
    address: str
    lease: str


@dataclass(frozen=True)
class Shard:
    """Rows of one edition, leased together."""

    edition_id: int
    revision_id: int
    rows: tuple[Claimed, ...]


def lease_shard(now: datetime, size: int = SHARD) -> Shard | None:
    """Lease due rows of one edition that is being sent, the longest waiting first; None when nothing is due."""
    with transaction() as session:
        edition_id = session.scalar(_editions_with_due_rows(now))
        if edition_id is None:
            return None
        due = (
            sa.select(Delivery.id)
            .where(Delivery.edition_id == edition_id, *_is_due(now))
            .order_by(Delivery.next_attempt_at, Delivery.id)
            .limit(size)
            .with_for_update(skip_locked=True)
        )
        lease = secrets.token_hex(16)
        claimed = session.scalars(
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


def _editions_with_due_rows(now: datetime) -> sa.Select[tuple[int]]:
    return (
        sa.select(Edition.id)
        .where(
            Edition.state == EditionState.SENDING,
            Edition.held_at.is_(None),
            Edition.paused_at.is_(None),
            Edition.finish_by > now,
            sa.exists().where(Delivery.edition_id == Edition.id, *_is_due(now)),
        )
        .order_by(Edition.slot_at, Edition.id)
        .limit(1)
    )


def _shard(edition_id: int, claimed: Sequence[int], lease: str) -> Shard | None:
    rows = db.session.execute(
        sa.select(Delivery.id, Delivery.subscription_id, Subscriber.address)
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
        tuple(Claimed(r.id, revision_id, r.subscription_id, r.address, lease) for r in rows),
    )


def _is_sealed(
    edition_id: int | sa.orm.InstrumentedAttribute[int],
) -> tuple[sa.ColumnElement[bool], ...]:
    return Revision.edition_id == edition_id, Revision.sealed_at.is_not(None)


def start(row: Claimed, now: datetime) -> str | None:
    """Make a leased row `sending`, in the caller's transaction, and give the attempt its name.

    None when it may not be sent any more: the lease was lost, the edition is held or paused or has a new revision, or
    the person has left meanwhile; then the row says so.
    """
    attempt = secrets.token_hex(8)
    started = _change(
        row,
        sa.exists().where(
            Edition.id == Delivery.edition_id,
            Edition.held_at.is_(None),
            Edition.paused_at.is_(None),
            Edition.finish_by > now,
        ),
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
        (SkipReason.EXPIRED, sa.exists().where(Edition.id == Delivery.edition_id, Edition.finish_by <= now)),
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
    edition_id = sa.select(Delivery.edition_id).where(Delivery.id == row.id, Delivery.state == DeliveryState.DEFERRED)
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


def settle(now: datetime) -> int:
    """What time itself decides, and how many rows it decided: orphans become uncertain, what is past its edition's
    `finish_by` expires, and an edition without unfinished rows is sent."""
    if not editions_in(EditionState.SENDING):
        return 0  # every unfinished row belongs to an edition that is being sent
    with transaction() as session:
        orphans = session.execute(
            sa.update(Delivery)
            .where(Delivery.state == DeliveryState.SENDING, Delivery.lease_until <= now)
            .values(state=DeliveryState.UNCERTAIN, updated_at=now, **NO_LEASE)
            .execution_options(synchronize_session=False)
        )
        expired = session.execute(
            sa.update(Delivery)
            .where(
                Delivery.state.in_(DUE),
                sa.or_(Delivery.lease_until.is_(None), Delivery.lease_until <= now),
                Delivery.edition_id.in_(sa.select(Edition.id).where(Edition.finish_by <= now)),
            )
            .values(state=DeliveryState.SKIPPED, skip_reason=SkipReason.EXPIRED, updated_at=now, **NO_LEASE)
            .execution_options(synchronize_session=False)
        )
        decided = int(orphans.rowcount + expired.rowcount)  # type: ignore[attr-defined]
        return decided + _finish(now)


def _finish(now: datetime) -> int:
    finished = db.session.scalars(
        sa.select(Edition).where(
            Edition.state == EditionState.SENDING,
            ~sa.exists().where(Delivery.edition_id == Edition.id, Delivery.state.in_(UNFINISHED)),
        )
    ).all()
    for edition in finished:
        edition.state, edition.sent_at = EditionState.SENT, now
        edition.held_at = edition.held_reason = None
        alerts.resolve(f"edition-held:{edition.id}", now)
    return len(finished)
