"""Addresses that are never mailed again. Only their hashes are kept, so the list outlives the people on it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db, one_at_a_time, words


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
