"""Addresses that are never mailed again. Only their hashes are kept, so the list outlives the people on it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, Prepared, db, one_at_a_time, texts, words


class SuppressionReason(StrEnum):
    """`left`: they unsubscribed where they were sent mails before us, as an import said."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    ERASURE = "erasure"
    BY_HAND = "by_hand"
    LEFT = "left"


LIFTED_BY_CONFIRMING = (SuppressionReason.HARD_BOUNCE, SuppressionReason.ERASURE, SuppressionReason.LEFT)
"""A person's own confirming lifts these; never a complaint or what staff decided (DESIGN.md, rule 14)."""


class Suppression(Base):
    """One reason not to mail one address."""

    __tablename__ = "suppressions"
    __table_args__ = (sa.UniqueConstraint("address_hash", "reason"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[str] = mapped_column(sa.String(64))
    reason: Mapped[SuppressionReason] = mapped_column(words(SuppressionReason))
    note: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]


def reasons(address_hash: str) -> set[SuppressionReason]:
    """Why the address may not be mailed; empty when it may."""
    return set(db.session.scalars(sa.select(Suppression.reason).where(Suppression.address_hash == address_hash)))


def reasons_of(address_hashes: Collection[str]) -> dict[str, set[SuppressionReason]]:
    """Why those of these addresses may not be mailed that may not; for thousands at once."""
    found: dict[str, set[SuppressionReason]] = {}
    for row in _reasons_of(db.session.connection(), given=json.dumps([*address_hashes])):
        found.setdefault(row.address_hash, set()).add(row.reason)
    return found


@Prepared
def _reasons_of(dialect: str) -> sa.Executable:
    given = texts(dialect, "given")
    return sa.select(Suppression.address_hash, Suppression.reason).join_from(
        given, Suppression, Suppression.address_hash == given.c.text
    )


def suppress(address_hash: str, reason: SuppressionReason, now: datetime, note: str = "") -> bool:
    """Add to the list, in the caller's transaction. False when it was there for this reason already."""
    one_at_a_time(f"suppression {address_hash}")
    if reason in reasons(address_hash):
        return False
    db.session.add(Suppression(address_hash=address_hash, reason=reason, note=note, created_at=now))
    db.session.flush()
    return True


def lift_by_confirming(address_hash: str) -> None:
    """Take off the list what a person's own confirming takes off, in the caller's transaction."""
    db.session.execute(
        sa.delete(Suppression).where(
            Suppression.address_hash == address_hash, Suppression.reason.in_(LIFTED_BY_CONFIRMING)
        )
    )


def entries(address_hash: str) -> Sequence[Suppression]:
    """All that is said against mailing one address."""
    found = sa.select(Suppression).where(Suppression.address_hash == address_hash)
    return db.session.scalars(found.order_by(Suppression.id)).all()


def newest(before: int | None, limit: int) -> Sequence[Suppression]:
    """The latest first, continuing below the id `before`."""
    found = sa.select(Suppression).order_by(Suppression.id.desc()).limit(limit)
    return db.session.scalars(found if before is None else found.where(Suppression.id < before)).all()


def counts() -> dict[SuppressionReason, int]:
    """How many addresses each reason keeps from being mailed; one address may have several."""
    found = sa.select(Suppression.reason, sa.func.count()).group_by(Suppression.reason)
    told = {row[0]: row[1] for row in db.session.execute(found)}
    return {reason: told.get(reason, 0) for reason in SuppressionReason}


def take_off(address_hash: str, reason: SuppressionReason) -> None:
    """Take one reason off the list, in the caller's transaction, which makes sure that it may."""
    gone = Suppression.address_hash == address_hash, Suppression.reason == reason
    db.session.execute(sa.delete(Suppression).where(*gone))
