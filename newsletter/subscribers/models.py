"""Readers: who asked, who agreed to what, and who reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound
from newsletter.newsletters.models import Newsletter, SignUpText, Slot


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"


class Subscriber(Base):
    """A person's address: `address` as it is written in mails, `normalised` as it is compared."""

    __tablename__ = "subscribers"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254))
    normalised: Mapped[str] = mapped_column(sa.String(254), unique=True)
    address_hash: Mapped[str] = mapped_column(sa.String(64), index=True)
    created_at: Mapped[datetime]

    subscriptions: Mapped[list[Subscription]] = relationship(
        back_populates="subscriber", order_by="Subscription.id", cascade="all, delete-orphan"
    )


class Subscription(Base):
    """A person in one newsletter. `paused_until` is the first date mailed again (rule 15)."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        sa.UniqueConstraint("subscriber_id", "newsletter_id"),
        sa.Index(None, "slot_id", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(sa.ForeignKey(Subscriber.id, ondelete="CASCADE"))
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id))
    slot_id: Mapped[int] = mapped_column(sa.ForeignKey(Slot.id))
    state: Mapped[SubscriptionState] = mapped_column(words(SubscriptionState))
    paused_until: Mapped[date | None]
    confirmed_at: Mapped[datetime]
    unsubscribed_at: Mapped[datetime | None]

    subscriber: Mapped[Subscriber] = relationship(back_populates="subscriptions", lazy="joined")
    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    slot: Mapped[Slot] = relationship(lazy="joined")


class RequestOrigin(StrEnum):
    FORM = "form"
    STAFF = "staff"
    COMMAND = "command"


class RequestAnswer(StrEnum):
    """What the service did with a request: which mail it sent, or why none."""

    CONFIRM = "confirm"
    ALREADY = "already"
    CAPPED = "capped"
    SUPPRESSED = "suppressed"


class SignUpRequest(Base):
    """Somebody asked for a newsletter with this address. It changes nobody's subscription (rule 14).

    It is written by the form and answered a moment later by a tick, so the form's answer takes the same time for
    every address. `mailbox` is the address without its +tag and `network` the /64 or IPv4 address: what is counted.
    """

    __tablename__ = "sign_up_requests"
    __table_args__ = (
        sa.Index(None, "mailbox", "answered_at"),
        sa.Index(None, "network", "requested_at"),
        sa.Index(
            "ix_sign_up_requests_unanswered",
            "id",
            sqlite_where=sa.text("answer IS NULL"),
            postgresql_where=sa.text("answer IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254))
    mailbox: Mapped[str] = mapped_column(sa.String(254))
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id))
    slot_id: Mapped[int] = mapped_column(sa.ForeignKey(Slot.id))
    sign_up_text_id: Mapped[int] = mapped_column(sa.ForeignKey(SignUpText.id))
    origin: Mapped[RequestOrigin] = mapped_column(words(RequestOrigin))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    network: Mapped[str | None] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(300), default="")
    page_url: Mapped[str] = mapped_column(sa.String(1000), default="")
    answer: Mapped[RequestAnswer | None] = mapped_column(words(RequestAnswer))
    answered_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]

    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    slot: Mapped[Slot] = relationship(lazy="joined")
    sign_up_text: Mapped[SignUpText] = relationship(lazy="joined")


class ConsentKind(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class ConsentEvent(Base):
    """Append-only proof: what was asked, in which words, where, when, from which IP, and what was answered.

    It is found by the address's hash, because a request comes before there is a subscriber.
    """

    __tablename__ = "consent_events"
    __table_args__ = (sa.Index(None, "address_hash", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[str] = mapped_column(sa.String(64))
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id))
    kind: Mapped[ConsentKind] = mapped_column(words(ConsentKind))
    sign_up_text_id: Mapped[int | None] = mapped_column(sa.ForeignKey(SignUpText.id))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(sa.String(340))
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(300), default="")
    page_url: Mapped[str] = mapped_column(sa.String(1000), default="")

    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    sign_up_text: Mapped[SignUpText | None] = relationship(lazy="joined")


class SubscriberUnknown(NotFound):
    """There is no subscriber {who}."""


def subscriber(id: int) -> Subscriber:
    """Raises SubscriberUnknown."""
    if found := db.session.get(Subscriber, id):
        return found
    raise SubscriberUnknown(who=id)


def subscriber_at(normalised: str) -> Subscriber | None:
    return db.session.scalar(sa.select(Subscriber).where(Subscriber.normalised == normalised))


def search(text: str, *, before: int | None = None, limit: int = 50) -> Sequence[Subscriber]:
    """Subscribers with `text` anywhere in their address, the newest first, continuing below id `before`."""
    query = sa.select(Subscriber).order_by(Subscriber.id.desc()).limit(limit)
    if text:
        # An international domain is compared in its ASCII form, and typed as it is read.
        column = Subscriber.normalised if text.isascii() else sa.func.lower(Subscriber.address)
        query = query.where(column.contains(text.lower(), autoescape=True))
    if before is not None:
        query = query.where(Subscriber.id < before)
    return db.session.scalars(query.options(sa.orm.selectinload(Subscriber.subscriptions))).all()


def consent_story(address_hash: str) -> Sequence[ConsentEvent]:
    """Everything that was asked and answered for one address, in order."""
    return db.session.scalars(
        sa.select(ConsentEvent)
        .where(ConsentEvent.address_hash == address_hash)
        .order_by(ConsentEvent.at, ConsentEvent.id)
    ).all()


def active_counts() -> dict[int, int]:
    """How many active subscriptions each newsletter has, by its id."""
    rows = db.session.execute(
        sa.select(Subscription.newsletter_id, sa.func.count())
        .where(Subscription.state == SubscriptionState.ACTIVE)
        .group_by(Subscription.newsletter_id)
    )
    return {row[0]: row[1] for row in rows}
