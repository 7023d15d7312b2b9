"""The ledger: one row for each edition and reader."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.editions.models import Edition
from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.database import Base, db, words


class DeliveryState(StrEnum):
    """`uncertain`: handed over or not, nobody can know; never sent again by itself (rule 11)."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    LEFT = "left"
    SUPPRESSED = "suppressed"
    PAUSED = "paused"
    EXPIRED = "expired"
    WARM_UP = "warm-up"
    CANCELLED = "cancelled"


class DeliveryKind(StrEnum):
    DAILY = "daily"
    WELCOME = "welcome"
    SPECIAL = "special"
    CORRECTION = "correction"


class Doubt(StrEnum):
    """What was decided about a row that was uncertain: it goes again, by a person's word or the config's, or it stays
    as it is."""

    RESEND = "resend"
    LEAVE = "leave"


class Delivery(Base):
    """One edition to one subscriber.

    It has no foreign keys, because freezing an audience of a million must take seconds (rule 8); a test looks for
    orphans. No index has a column that sending changes, so that PostgreSQL can put a row's new version beside the old
    one (heap-only tuples); which rows are due is found by their `shard`. Each index begins with what is new at a
    freeze, so that it grows at one place: where a freeze's entries lie between those of ninety days, it would write
    most of the index anew. `attempt` names the attempt whose result may be recorded. `finish_by` is its own end, where
    that is not its edition’s. `decision` is what became of a doubt, and whoever was decided to get it again may have
    it, whatever its state is by now.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        sa.UniqueConstraint("edition_id", "subscriber_id"),
        sa.Index(
            "uq_deliveries_one_daily",
            "local_date",
            "newsletter_id",
            "subscriber_id",
            unique=True,
            sqlite_where=sa.text("kind = 'daily'"),
            postgresql_where=sa.text("kind = 'daily'"),
        ),
        sa.Index(None, "edition_id", "shard"),
        sa.CheckConstraint("(state = 'skipped') = (skip_reason IS NOT NULL)", name="skip_reason"),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    edition_id: Mapped[int]
    shard: Mapped[int]
    subscriber_id: Mapped[int]
    subscription_id: Mapped[int]
    newsletter_id: Mapped[int]
    local_date: Mapped[date]
    kind: Mapped[DeliveryKind] = mapped_column(words(DeliveryKind))
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState))
    skip_reason: Mapped[SkipReason | None] = mapped_column(words(SkipReason))
    revision_id: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[str | None] = mapped_column(sa.String(32))
    next_attempt_at: Mapped[datetime]
    finish_by: Mapped[datetime | None]
    last_reply: Mapped[str | None] = mapped_column(sa.String(500))
    updated_at: Mapped[datetime]
    decision: Mapped[Doubt | None] = mapped_column(words(Doubt))


WELCOME = 0
"""The number of the shard that an edition's welcome copies are in."""


class Shard(Base):
    """Some hundred rows of an edition's ledger, which one worker takes on together.

    `due_at` is when there is something to do in it again, NULL when all of it is over. `lease` says who works on it,
    and `lease_until` how long he is believed. `lane` is the name in [[mail.domains]] of what all its readers have, as
    it was at the freeze; NULL when they have none of these.
    """

    __tablename__ = "shards"

    edition_id: Mapped[int] = mapped_column(sa.ForeignKey("editions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    lease: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    lease_until: Mapped[datetime | None]
    lane: Mapped[str | None] = mapped_column(sa.String(40))


class DeliveryTally(Base):
    """What a large edition's ledger added up to when it was last counted, which takes longer than a page may.

    `seconds` is how long it took. `figures` are those of counting.py. `stale`: somebody has decided something since.
    """

    __tablename__ = "delivery_tallies"

    edition_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    as_of: Mapped[datetime]
    seconds: Mapped[float]
    figures: Mapped[dict[str, Any]]
    stale: Mapped[bool] = mapped_column(default=False)


Counts = dict[DeliveryState, int]

COUNTED = "edition.counted"
"""The act by which housekeeping kept an edition's counts, whose rows are gone or going (rule 13)."""


def counted(edition_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What was kept of the editions whose rows housekeeping deletes: {"states": {…}, "skips": {…}}."""
    about = {f"edition:{id}": id for id in edition_ids}
    kept = sa.select(AuditRecord).where(AuditRecord.subject.in_(about), AuditRecord.action == COUNTED)
    return {about[record.subject]: record.details for record in db.session.scalars(kept)}


def states_of_each(edition_ids: Sequence[int]) -> dict[int, Counts]:
    """How many deliveries of each edition are in each state; together they are its audience. Welcome copies of it are
    not counted."""
    counts: dict[int, Counts] = {id: dict.fromkeys(DeliveryState, 0) for id in edition_ids}
    rows = db.session.execute(
        sa.select(Delivery.edition_id, Delivery.state, sa.func.count())
        .where(Delivery.edition_id.in_(edition_ids), Delivery.kind != DeliveryKind.WELCOME)
        .group_by(Delivery.edition_id, Delivery.state)
    )
    for edition_id, state, count in rows:
        counts[edition_id][state] = count
    for edition_id, kept in counted(edition_ids).items():
        counts[edition_id] |= {DeliveryState(state): count for state, count in kept["states"].items()}
    return counts


def states_of(edition_id: int) -> Counts:
    """How many of an edition's deliveries are in each state."""
    return states_of_each([edition_id])[edition_id]


def skips_of(edition_id: int) -> dict[SkipReason, int]:
    if kept := counted([edition_id]).get(edition_id):
        return {SkipReason(reason): count for reason, count in kept["skips"].items()}
    rows = db.session.execute(
        sa.select(Delivery.skip_reason, sa.func.count())
        .where(
            Delivery.edition_id == edition_id,
            Delivery.skip_reason.is_not(None),
            Delivery.kind != DeliveryKind.WELCOME,
        )
        .group_by(Delivery.skip_reason)
    )
    return {reason: count for reason, count in rows if reason}


def deliveries_to(
    subscriber_id: int, limit: int = 50, *, before: int | None = None, among: Collection[int] | None = None
) -> list[Delivery]:
    """The latest mails of editions to one person, of some newsletters or of all, continuing below the edition `before`.

    The ledger has no index by reader, so it is asked by edition and reader, one edition after the other until there are
    enough.
    """
    theirs = sa.and_(Delivery.edition_id == Edition.id, Delivery.subscriber_id == subscriber_id)
    query = sa.select(Delivery).join(Edition, theirs).where(Edition.frozen_at.is_not(None))
    if among is not None:
        query = query.where(Edition.newsletter_id.in_(among))
    if before is not None:
        query = query.where(Edition.id < before)
    return list(db.session.scalars(query.order_by(Edition.id.desc()).limit(limit)))


class Rate(Base):
    """When the next mail may go to a relay, or to a domain's mailboxes, that take so many a second."""

    __tablename__ = "rates"

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    next_at: Mapped[datetime | None]


class RateMinute(Base):
    """How many mails were allowed in a minute that begins then."""

    __tablename__ = "rate_minutes"
    __table_args__ = (sa.UniqueConstraint("name", "minute"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(60))
    minute: Mapped[datetime] = mapped_column(index=True)
    used: Mapped[int]
