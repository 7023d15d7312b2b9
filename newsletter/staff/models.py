"""People who sign in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound


class Role(StrEnum):
    OWNER = "owner"
    EDITOR = "editor"
    SUPPORT = "support"


class Means(StrEnum):
    """By what somebody signed in."""

    PASSWORD = "password"
    LINK = "link"
    PASSKEY = "passkey"
    INVITATION = "invitation"


class Try(StrEnum):
    PASSWORD = "password"
    CODE = "code"
    LINK = "link"


class Staff(Base):
    """One person of the newsroom. `password_hash` is Argon2id, or None for who signs in by links or passkeys only.

    `may_send` gives the right to let editions go out, which an owner has anyway. Who is `limited` works for the
    newsletters in `limits` only. `wants_drafts` is who gets each draft as a mail to approve it there, `wants_alerts`
    who is told what needs a hand. `totp_salt` makes the secret of their codes, together with the installation's key;
    until `totp_since` it is only offered. `totp_step` is the last that a code was used of.
    """

    __tablename__ = "staff"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254), unique=True)
    role: Mapped[Role] = mapped_column(words(Role))
    may_send: Mapped[bool] = mapped_column(default=False)
    limited: Mapped[bool] = mapped_column(default=False)
    password_hash: Mapped[str | None] = mapped_column(sa.String(200))
    totp_salt: Mapped[str | None] = mapped_column(sa.String(32))
    totp_since: Mapped[datetime | None]
    totp_step: Mapped[int | None]
    wants_drafts: Mapped[bool] = mapped_column(default=False)
    wants_alerts: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    limits: Mapped[list[StaffNewsletter]] = relationship(
        cascade="all, delete-orphan", order_by="StaffNewsletter.newsletter_id"
    )
    passkeys: Mapped[list[Passkey]] = relationship(order_by="Passkey.id", viewonly=True)

    @property
    def newsletter_ids(self) -> frozenset[int] | None:
        """The newsletters that they work for; None for all."""
        return frozenset(one.newsletter_id for one in self.limits) if self.limited else None

    @property
    def has_codes(self) -> bool:
        return self.totp_since is not None

    @property
    def has_second_factor(self) -> bool:
        return self.has_codes or bool(self.passkeys)


class StaffNewsletter(Base):
    """One of the newsletters that somebody is limited to."""

    __tablename__ = "staff_newsletters"

    staff_id: Mapped[int] = mapped_column(sa.ForeignKey(Staff.id, ondelete="CASCADE"), primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey("newsletters.id", ondelete="CASCADE"), primary_key=True)


class Invitation(Base):
    """Somebody is asked to join. The mail holds the token, the database only its SHA-256; a new mail has a new one.

    `newsletter_ids` is None for all newsletters.
    """

    __tablename__ = "staff_invitations"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254), index=True)
    role: Mapped[Role] = mapped_column(words(Role))
    may_send: Mapped[bool]
    newsletter_ids: Mapped[list[Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    invited_by: Mapped[str] = mapped_column(sa.String(320))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class StaffSession(Base):
    """A browser that is signed in. The browser holds the token, the database only its SHA-256.

    While it `awaits_code`, it opens nothing. `proved_at` is when the person last proved that it is them.
    """

    __tablename__ = "staff_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey(Staff.id, ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    proved_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    means: Mapped[Means] = mapped_column(words(Means))
    awaits_code: Mapped[bool] = mapped_column(default=False)
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


class Passkey(Base):
    """A key of somebody's device or password manager; we have its public half."""

    __tablename__ = "passkeys"

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey(Staff.id, ondelete="CASCADE"), index=True)
    credential_id: Mapped[str] = mapped_column(sa.String(1400), unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    name: Mapped[str] = mapped_column(sa.String(60))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class SpentPrompt(Base):
    """What a passkey has signed once, so that nobody shows the same answer again."""

    __tablename__ = "spent_prompts"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[datetime]


class RecoveryCode(Base):
    """Opens once what a code of the app would; only its SHA-256 is kept."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey(Staff.id, ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInFailure(Base):
    """A password or a code that was wrong, or a link that was asked for; counted to slow down guessing, deleted after a
    day."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (
        sa.Index(None, "address", "at"),
        sa.Index(None, "ip", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[Try] = mapped_column(words(Try), default=Try.PASSWORD)
    address: Mapped[str] = mapped_column(sa.String(254))
    ip: Mapped[str] = mapped_column(sa.String(45))
    at: Mapped[datetime]


class StaffPolicy(Base):
    """What owners decided for everybody: the only row, or none yet."""

    __tablename__ = "staff_policy"
    __table_args__ = (sa.CheckConstraint("id = 1", name="only_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    second_factor_required: Mapped[bool]


class StaffUnknown(NotFound):
    """Nobody of the staff has the address {address}. Add them: newsletter staff add {address} --role editor"""


def staff_at(address: str) -> Staff | None:
    """Who has the normalised address, unless they are disabled."""
    return db.session.scalar(sa.select(Staff).where(Staff.address == address, Staff.disabled_at.is_(None)))


def staff_person(id: int) -> Staff | None:
    """Somebody by their id, unless they are disabled."""
    return db.session.scalar(sa.select(Staff).where(Staff.id == id, Staff.disabled_at.is_(None)))


def everybody() -> Sequence[Staff]:
    """The whole staff, who is disabled last."""
    return db.session.scalars(sa.select(Staff).order_by(Staff.disabled_at.is_not(None), Staff.address)).all()


def second_factor_required() -> bool:
    return bool(db.session.scalar(sa.select(StaffPolicy.second_factor_required)))


def who_wants_alerts() -> Sequence[Staff]:
    return _staff(Staff.wants_alerts.is_(True))


def who_wants_drafts() -> Sequence[Staff]:
    return _staff(Staff.wants_drafts.is_(True))


def _staff(*conditions: sa.ColumnElement[bool]) -> Sequence[Staff]:
    return db.session.scalars(sa.select(Staff).where(*conditions, Staff.disabled_at.is_(None)).order_by(Staff.id)).all()
