"""People who sign in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound


class Role(StrEnum):
    OWNER = "owner"
    EDITOR = "editor"
    SUPPORT = "support"


class Staff(Base):
    """One person of the newsroom. `password_hash` is Argon2id, or None for who signs in by links only.

    `wants_drafts` is who gets each draft as a mail to approve it there, `wants_alerts` who is told what needs a hand.
    """

    __tablename__ = "staff"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254), unique=True)
    role: Mapped[Role] = mapped_column(words(Role))
    password_hash: Mapped[str | None] = mapped_column(sa.String(200))
    wants_drafts: Mapped[bool] = mapped_column(default=False)
    wants_alerts: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class StaffSession(Base):
    """A browser that is signed in. The browser holds the token, the database only its SHA-256."""

    __tablename__ = "staff_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey(Staff.id, ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(300), default="")

    staff: Mapped[Staff] = relationship(lazy="joined")


class SignInLink(Base):
    """A link that signs a person in once."""

    __tablename__ = "sign_in_links"

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey(Staff.id, ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    staff: Mapped[Staff] = relationship(lazy="joined")


class SignInFailure(Base):
    """A password that was wrong; counted to slow down guessing, deleted after a day."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (
        sa.Index(None, "address", "at"),
        sa.Index(None, "ip", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254))
    ip: Mapped[str] = mapped_column(sa.String(45))
    at: Mapped[datetime]


class StaffUnknown(NotFound):
    """Nobody of the staff has the address {address}. Add them: newsletter staff add {address} --role editor"""


def staff_at(address: str) -> Staff | None:
    """Who has the normalised address, unless they are disabled."""
    return db.session.scalar(sa.select(Staff).where(Staff.address == address, Staff.disabled_at.is_(None)))


def staff_person(id: int) -> Staff | None:
    """Somebody by their id, unless they are disabled."""
    return db.session.scalar(sa.select(Staff).where(Staff.id == id, Staff.disabled_at.is_(None)))


def who_wants_alerts() -> Sequence[Staff]:
    return _staff(Staff.wants_alerts.is_(True))


def who_wants_drafts() -> Sequence[Staff]:
    return _staff(Staff.wants_drafts.is_(True))


def _staff(*conditions: sa.ColumnElement[bool]) -> Sequence[Staff]:
    return db.session.scalars(sa.select(Staff).where(*conditions, Staff.disabled_at.is_(None)).order_by(Staff.id)).all()
