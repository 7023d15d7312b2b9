"""Who works on which rows: shards are leased, and given back with what is left to do in them (DESIGN.md, rule 10).

A lease says who is believed to work on a shard, and its rows are not `sending` because of it. What was `sending` when
the lease ran out is an orphan.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.delivery import lanes
from newsletter.delivery.models import WELCOME, Delivery, DeliveryState, Doubt, Shard
from newsletter.editions.models import Edition, EditionState, Revision
from newsletter.foundation.config import Uncertain, the_config
from newsletter.foundation.database import Prepared, db, insert_into, transaction
from newsletter.foundation.safety import IS_HALTED
from newsletter.subscribers.models import Subscriber

SIZE = 500
LEASE = timedelta(minutes=10)
DUE = (DeliveryState.PENDING, DeliveryState.DEFERRED)
IS_DUE = sa.or_(*(Delivery.state == state for state in DUE))

STOPPED = sa.or_(Edition.held_at.is_not(None), Edition.paused_at.is_not(None), Edition.reason.is_not(None))
"""Held, paused, or ended for good, which has a reason: nothing of it begins."""


class Claimed(NamedTuple):
    """A row of a leased shard: whom it is for, and in which form of which revision."""

    id: int
    edition_id: int
    shard: int
    revision_id: int
    subscriber_id: int
    subscription_id: int
    address: str
    language: str
    text_only: bool
    lease: str

    @property
    def has_reader(self) -> bool:
        """Whether the reader was not erased since the freeze."""
        return self.address is not None  # what the join found, whatever the column is


@dataclass(frozen=True)
class Leased:
    """The rows of a shard that are due, in the hands of who has the lease, all of one lane or of none."""

    edition_id: int
    number: int
    revision_id: int
    lease: str
    rows: tuple[Claimed, ...]
    lane: str | None


def new_lease() -> str:
    return secrets.token_hex(16)


def lease(now: datetime, name: str | None = None, but_not: Collection[str] = ()) -> Leased | None:
    """Lease a shard with due rows, the longest waiting first; None when nothing is due. Welcome copies go before all
    others: there a person waits who has just confirmed. `name` is who leases, and may have other shards already. Shards
    of the lanes in `but_not` are left to wait."""
    is_due = Shard.due_at <= now, *_outside(but_not)
    if db.session.scalar(sa.select(~sa.exists().where(*is_due))):
        return None
    with transaction() as session:
        free_orphans(now)
        while (shard := session.scalar(_next(now, but_not))) is not None:
            rows = _rows(shard, now, name or new_lease())
            if rows:
                shard.lease, shard.lease_until = rows[0].lease, now + LEASE
                return Leased(shard.edition_id, shard.number, rows[0].revision_id, rows[0].lease, rows, shard.lane)
            _end(shard)
    return None


def _outside(waiting: Collection[str]) -> list[sa.ColumnElement[bool]]:
    return [sa.or_(Shard.lane.is_(None), Shard.lane.not_in(sorted(waiting)))] if waiting else []


def _next(now: datetime, but_not: Collection[str]) -> sa.Select[tuple[Shard]]:
    goes_out = sa.and_(Edition.state == EditionState.SENDING, Edition.finish_by > now)
    return (
        sa.select(Shard)
        .join(Edition, Edition.id == Shard.edition_id)
        .where(
            Shard.due_at <= now,
            Shard.lease.is_(None),
            *_outside(but_not),
            ~STOPPED,
            ~IS_HALTED,
            sa.or_(Shard.number == WELCOME, goes_out),
        )
        .order_by(Shard.number != WELCOME, Edition.slot_at, Edition.id, Shard.due_at, Shard.number)
        .limit(1)
        .with_for_update(of=Shard, skip_locked=True)
    )


def _rows(shard: Shard, now: datetime, name: str) -> tuple[Claimed, ...]:
    sealed = sa.select(sa.func.max(Revision.id)).where(*is_sealed(shard.edition_id)).scalar_subquery()
    rows = db.session.execute(
        sa.select(
            Delivery.id,
            Delivery.edition_id,
            Delivery.shard,
            sealed.label("revision_id"),
            Delivery.subscriber_id,
            Delivery.subscription_id,
            Subscriber.address,
            Subscriber.language,
            Subscriber.text_only,
        )
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id, isouter=True)
        .where(*_of(shard), IS_DUE, Delivery.next_attempt_at <= now)
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(SIZE)
    )
    return tuple(Claimed._make((*row, name)) for row in rows)


def _of(shard: Shard) -> tuple[sa.ColumnElement[bool], ...]:
    return Delivery.edition_id == shard.edition_id, Delivery.shard == shard.number


def is_sealed(
    edition_id: int | sa.orm.InstrumentedAttribute[int],
) -> tuple[sa.ColumnElement[bool], ...]:
    return Revision.edition_id == edition_id, Revision.sealed_at.is_not(None)


def renew(name: str, now: datetime, on: Connection) -> None:
    """Be believed for longer, in the caller's transaction, and let nobody end the lease before that one ends."""
    _renew_named(on, lease=name, until=now + LEASE)


def renewing() -> sa.Update:
    """The statement, with the parameters `lease` and `until`."""
    until = sa.bindparam("until", type_=Shard.lease_until.type)
    named = sa.cast(sa.bindparam("lease", type_=sa.String()), sa.String)
    return sa.update(cast(sa.Table, Shard.__table__)).where(Shard.lease == named).values(lease_until=until)


@Prepared
def _renew_named(dialect: str) -> sa.Executable:
    return renewing()


def give_back(leased: Leased, now: datetime, not_before: datetime | None = None) -> None:
    """End a lease; what is left of the shard is due when it is, and not before a moment. Where a row is `sending` still
    the lease runs on, for its result may come."""
    with transaction() as session:
        shard = session.scalar(
            sa.select(Shard)
            .where(Shard.edition_id == leased.edition_id, Shard.number == leased.number, Shard.lease == leased.lease)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if shard is None or _is_sending(shard):
            return
        _end(shard)
        if not_before and shard.due_at:
            shard.due_at = max(shard.due_at, not_before)


def _is_sending(shard: Shard) -> bool:
    return bool(db.session.scalar(sa.select(sa.exists().where(*_of(shard), Delivery.state == DeliveryState.SENDING))))


def _end(shard: Shard) -> None:
    """The shard must be locked: who adds a row to it waits, and then says himself that it is due."""
    left = sa.select(sa.func.min(Delivery.next_attempt_at)).where(*_of(shard), IS_DUE)
    shard.due_at, shard.lease, shard.lease_until = db.session.scalar(left), None, None


def free_orphans(now: datetime) -> int:
    """End the leases that have run out, in the caller's transaction, and say how many rows were on their way. They are
    uncertain; or, where the config says so, they go again, each once."""
    ran_out = sa.select(Shard).where(Shard.lease_until <= now).with_for_update(skip_locked=True)
    orphans = 0
    for shard in db.session.scalars(ran_out.execution_options(populate_existing=True)).all():
        if the_config().mail.uncertain is Uncertain.RESEND:
            again = {"state": DeliveryState.PENDING, "decision": Doubt.RESEND, "next_attempt_at": now}
            orphans += _end_sending(shard, now, again, Delivery.decision.is_(None), goes_on(now))
        orphans += _end_sending(shard, now, {"state": DeliveryState.UNCERTAIN})
        _end(shard)
    return orphans


def goes_on(at: datetime) -> sa.ColumnElement[bool]:
    """Of rows: whether they can still go out at that moment, as far as their edition and their end are concerned."""
    return sa.exists().where(Edition.id == Delivery.edition_id, Edition.reason.is_(None), ends() > at)


def ends() -> sa.ColumnElement[datetime]:
    """When a row expires: with its edition, unless it has an end of its own. To be joined with its edition."""
    return sa.func.coalesce(Delivery.finish_by, Edition.finish_by)


def _end_sending(shard: Shard, now: datetime, values: dict[str, Any], *which: sa.ColumnElement[bool]) -> int:
    ended = db.session.execute(
        sa.update(Delivery)
        .where(*_of(shard), Delivery.state == DeliveryState.SENDING, *which)
        .values(updated_at=now, **values)
        .execution_options(synchronize_session=False)
    )
    return int(ended.rowcount)  # type: ignore[attr-defined]


def open_for(edition_id: int, now: datetime) -> None:
    """Make the shards of an edition that was frozen, in the caller's transaction."""
    pending = (
        sa.select(Delivery.shard)
        .where(Delivery.edition_id == edition_id, Delivery.shard != WELCOME, Delivery.state == DeliveryState.PENDING)
        .distinct()
        .subquery()
    )
    made = sa.select(
        sa.literal(edition_id), pending.c.shard, sa.literal(now, Shard.due_at.type), lanes.lane_of(pending.c.shard)
    )
    db.session.execute(sa.insert(Shard).from_select(["edition_id", "number", "due_at", "lane"], made))


def is_due(edition_id: int, number: int, at: datetime, on: Connection) -> None:
    """Say that a row of a shard is due, in the caller's transaction; the shard is made where there is none."""
    made = insert_into(Shard).values(edition_id=edition_id, number=number, due_at=at)
    sooner = sa.case((Shard.due_at < at, Shard.due_at), else_=made.excluded.due_at)
    on.execute(made.on_conflict_do_update(index_elements=["edition_id", "number"], set_={"due_at": sooner}))


def put_off(now: datetime, until: datetime, *which: sa.ColumnElement[bool]) -> None:
    """Let every shard of a kind wait that is due and in nobody's hands, so that the others have their turn."""
    with transaction() as session:
        session.execute(
            sa.update(Shard)
            .where(Shard.due_at <= now, Shard.lease.is_(None), *which)
            .values(due_at=until)
            .execution_options(synchronize_session=False)
        )


def close(edition_ids: Iterable[int], *which: sa.ColumnElement[bool]) -> None:
    """Note that nothing is due any more in shards that nobody works on, in the caller's transaction; of the others it
    is noted when they are given back."""
    db.session.execute(
        sa.update(Shard)
        .where(Shard.edition_id.in_(list(edition_ids)), Shard.lease.is_(None), *which)
        .values(due_at=None)
        .execution_options(synchronize_session=False)
    )


def are_open(edition_id: int | sa.orm.InstrumentedAttribute[int]) -> sa.Exists:
    """Whether rows of an edition wait or are on their way, its welcome copies aside."""
    return sa.exists().where(Shard.edition_id == edition_id, Shard.due_at.is_not(None), Shard.number != WELCOME)
