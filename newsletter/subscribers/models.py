"""Readers: who asked, who agreed to what, and who reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound
from newsletter.foundation.languages import LANGUAGES
from newsletter.newsletters.models import Newsletter, SignUpText, Slot


class SubscriptionState(StrEnum):
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"


class Subscriber(Base):
    """A person's address: `address` as it is written in mails, `normalised` as it is compared.

    `language` is the person's own choice, empty for each newsletter's. `former_hashes` are of addresses that they had
    before, under which more of their consent story stands. An id is never used again: links of the erased live on.
    `bounced_at` is when a mail came back last, until they confirm anew or give another address.
    """

    __tablename__ = "subscribers"
    __table_args__ = (
        sa.Index(
            "ix_subscribers_bounced",
            "id",
            sqlite_where=sa.text("bounced_at IS NOT NULL"),
            postgresql_where=sa.text("bounced_at IS NOT NULL"),
        ),
        sa.Index(
            None,
            "language",
            sqlite_where=sa.text("language <> ''"),
            postgresql_where=sa.text("language <> ''"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254))
    normalised: Mapped[str] = mapped_column(sa.String(254), unique=True)
    address_hash: Mapped[str] = mapped_column(sa.String(64), index=True)
    created_at: Mapped[datetime]
    language: Mapped[str] = mapped_column(sa.String(12), default="")
    text_only: Mapped[bool] = mapped_column(default=False)
    former_hashes: Mapped[list[Any]] = mapped_column(default=list)
    bounced_at: Mapped[datetime | None]

    subscriptions: Mapped[list[Subscription]] = relationship(
        back_populates="subscriber", order_by="Subscription.id", cascade="all, delete-orphan"
    )


class SubscriptionOrigin(StrEnum):
    """By which way a subscription came: the form on our own pages, the box on another page, staff or the command line
    in the person's name, an import, or the person's preferences. Of old ones it may not be known."""

    FORM = "form"
    EMBED = "embed"
    STAFF = "staff"
    COMMAND = "command"
    IMPORT = "import"
    PREFERENCES = "preferences"
    UNKNOWN = "unknown"


class Subscription(Base):
    """A person in one newsletter. `paused_until` is the first date mailed again (rule 15).

    The indexes are those that staff find people by; in an import each grows at one place.

    `welcomed_at` is when its latest edition was sent after the confirmation; a tick looks for those without. `origin`
    is by which way it was asked for before it was last confirmed.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        sa.UniqueConstraint("subscriber_id", "newsletter_id"),
        sa.Index(None, "slot_id", "state"),
        sa.Index(None, "newsletter_id", "state", "subscriber_id"),
        sa.Index(None, "origin", "subscriber_id"),
        sa.Index(None, "confirmed_at"),
        sa.Index(
            "ix_subscriptions_left",
            "unsubscribed_at",
            sqlite_where=sa.text("unsubscribed_at IS NOT NULL"),
            postgresql_where=sa.text("unsubscribed_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_subscriptions_paused",
            "paused_until",
            sqlite_where=sa.text("paused_until IS NOT NULL"),
            postgresql_where=sa.text("paused_until IS NOT NULL"),
        ),
        sa.Index(
            "ix_subscriptions_unwelcomed",
            "id",
            sqlite_where=sa.text("welcomed_at IS NULL"),
            postgresql_where=sa.text("welcomed_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(sa.ForeignKey(Subscriber.id, ondelete="CASCADE"))
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id))
    slot_id: Mapped[int] = mapped_column(sa.ForeignKey(Slot.id))
    state: Mapped[SubscriptionState] = mapped_column(words(SubscriptionState))
    paused_until: Mapped[date | None]
    confirmed_at: Mapped[datetime]
    unsubscribed_at: Mapped[datetime | None]
    welcomed_at: Mapped[datetime | None]
    origin: Mapped[SubscriptionOrigin] = mapped_column(words(SubscriptionOrigin), default=SubscriptionOrigin.UNKNOWN)

    subscriber: Mapped[Subscriber] = relationship(back_populates="subscriptions", lazy="joined")
    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    slot: Mapped[Slot] = relationship(lazy="joined")


class RequestOrigin(StrEnum):
    FORM = "form"
    STAFF = "staff"
    COMMAND = "command"
    IMPORT = "import"


class RequestKind(StrEnum):
    """What is asked with an address: newsletters, a link to one's preferences, or mails to another address."""

    SIGN_UP = "sign-up"
    LINK = "link"
    CHANGE = "change"


class RequestAnswer(StrEnum):
    """What the service did with a request: which mail it sent, or why none.

    `taken`: the new address belongs to another reader. `unknown`: nobody with it reads anything.
    """

    CONFIRM = "confirm"
    ALREADY = "already"
    LINK = "link"
    TAKEN = "taken"
    UNKNOWN = "unknown"
    CAPPED = "capped"
    SUPPRESSED = "suppressed"
    BLOCKED = "blocked"


class SignUpRequest(Base):
    """Somebody asked for something with this address. It changes nobody's subscription (rule 14).

    It is written by the form and answered a moment later by a tick, so the form's answer takes the same time for
    every address. `mailbox` is the address without its +tag and `network` the /64 or IPv4 address: what is counted.
    `newsletter` is in whose name the mail is written, `wishes` what is asked for. `subscriber_id` is who changes to
    this address.
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
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(sa.String(254))
    mailbox: Mapped[str] = mapped_column(sa.String(254))
    kind: Mapped[RequestKind] = mapped_column(words(RequestKind), default=RequestKind.SIGN_UP)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id))
    subscriber_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Subscriber.id, ondelete="CASCADE"))
    language: Mapped[str] = mapped_column(sa.String(12), default="")
    origin: Mapped[RequestOrigin] = mapped_column(words(RequestOrigin))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    network: Mapped[str | None] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(300), default="")
    page_url: Mapped[str] = mapped_column(sa.String(1000), default="")
    answer: Mapped[RequestAnswer | None] = mapped_column(words(RequestAnswer))
    answered_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]

    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    wishes: Mapped[list[SignUpWish]] = relationship(
        order_by="SignUpWish.newsletter_id", cascade="all, delete-orphan", lazy="selectin"
    )


class SignUpWish(Base):
    """One newsletter of a request, with the slot it would come in and the words that the person reads to it."""

    __tablename__ = "sign_up_wishes"

    request_id: Mapped[int] = mapped_column(sa.ForeignKey(SignUpRequest.id, ondelete="CASCADE"), primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id), primary_key=True)
    slot_id: Mapped[int] = mapped_column(sa.ForeignKey(Slot.id))
    sign_up_text_id: Mapped[int] = mapped_column(sa.ForeignKey(SignUpText.id))

    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    slot: Mapped[Slot] = relationship(lazy="joined")
    sign_up_text: Mapped[SignUpText] = relationship(lazy="joined")


class BlockedAddress(Base):
    """An address or a whole domain that nobody may sign up with; what asks with it gets no mail."""

    __tablename__ = "blocked_addresses"

    id: Mapped[int] = mapped_column(primary_key=True)
    pattern: Mapped[str] = mapped_column(sa.String(254), unique=True)
    note: Mapped[str] = mapped_column(sa.String(300), default="")
    by: Mapped[str] = mapped_column(sa.String(340))
    created_at: Mapped[datetime]


class LeavingReason(Base):
    """Why somebody left, in their words; it is not kept who."""

    __tablename__ = "leaving_reasons"

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(sa.String(24))
    remark: Mapped[str] = mapped_column(sa.String(500), default="")
    at: Mapped[datetime]


class SpentChallenge(Base):
    """A proof of work, or a question after leaving, that was used: it opens the form, or is answered, once only."""

    __tablename__ = "spent_challenges"

    signature: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ConsentKind(StrEnum):
    """`returned`: took a leaving back. `changed`: preferences or address, see the note. `erased`: their own wish.
    `imported`: agreed elsewhere, as an owner says who brought them; it lifts nothing."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"
    RETURNED = "returned"
    CHANGED = "changed"
    ERASED = "erased"
    IMPORTED = "imported"


class ConsentEvent(Base):
    """Append-only proof: what was asked, in which words, where, when, from which IP, and what was answered.

    `note` says what was changed. An event is found by the address's hash, because a request comes before there is a
    subscriber.
    """

    __tablename__ = "consent_events"
    __table_args__ = (sa.Index(None, "address_hash", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[str] = mapped_column(sa.String(64))
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id))
    kind: Mapped[ConsentKind] = mapped_column(words(ConsentKind))
    sign_up_text_id: Mapped[int | None] = mapped_column(sa.ForeignKey(SignUpText.id))
    at: Mapped[datetime] = mapped_column(index=True)
    by: Mapped[str] = mapped_column(sa.String(340))
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(300), default="")
    page_url: Mapped[str] = mapped_column(sa.String(1000), default="")
    note: Mapped[str] = mapped_column(sa.String(300), default="")

    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    sign_up_text: Mapped[SignUpText | None] = relationship(lazy="joined")


class SubscriberUnknown(NotFound):
    """There is no subscriber {who}."""


def subscriber(id: int) -> Subscriber:
    """Raises SubscriberUnknown."""
    if found := db.session.get(Subscriber, id):
        return found
    raise SubscriberUnknown(who=id)


def active_subscription(normalised: str, newsletter_id: int) -> Subscription | None:
    """Of the person with that address in a newsletter; None when they do not read it now."""
    return db.session.scalar(
        sa.select(Subscription)
        .join(Subscriber)
        .where(
            Subscriber.normalised == normalised,
            Subscription.newsletter_id == newsletter_id,
            Subscription.state == SubscriptionState.ACTIVE,
        )
    )


def subscriber_at(normalised: str) -> Subscriber | None:
    return db.session.scalar(sa.select(Subscriber).where(Subscriber.normalised == normalised))


def consent_story(*address_hashes: str) -> Sequence[ConsentEvent]:
    """Everything that was asked and answered for a person's addresses, in order."""
    return db.session.scalars(
        sa.select(ConsentEvent)
        .where(ConsentEvent.address_hash.in_(address_hashes))
        .order_by(ConsentEvent.at, ConsentEvent.id)
    ).all()


def confirmations_of(text_ids: Collection[int]) -> dict[int, int]:
    """How often somebody agreed to each of these sign-up texts, by its id. It reads the whole story of everybody."""
    counted = sa.select(ConsentEvent.sign_up_text_id, sa.func.count()).where(
        ConsentEvent.kind == ConsentKind.CONFIRMED, ConsentEvent.sign_up_text_id.in_(text_ids)
    )
    return {row[0]: row[1] for row in db.session.execute(counted.group_by(ConsentEvent.sign_up_text_id))}


def languages_read(newsletter_id: int) -> set[str]:
    """The languages that a newsletter's active readers chose for themselves, of those that we have.

    Each is asked for by itself, because the first reader found is answer enough.
    """
    return {language for language in LANGUAGES if db.session.scalar(sa.select(_is_read_in(language, newsletter_id)))}


def _is_read_in(language: str, newsletter_id: int) -> sa.ColumnElement[bool]:
    reads = sa.exists().where(
        Subscription.subscriber_id == Subscriber.id,
        Subscription.newsletter_id == newsletter_id,
        Subscription.state == SubscriptionState.ACTIVE,
    )
    is_chosen = Subscriber.language != sa.literal_column("''")  # as the index has it, which holds those alone
    return sa.exists().where(Subscriber.language == language, is_chosen, reads)


def active_counts() -> dict[int, int]:
    """How many active subscriptions each newsletter has, by its id. They are counted by slot, for which an index is
    enough."""
    by_slot = (
        sa.select(Subscription.slot_id, sa.func.count().label("active"))
        .where(Subscription.state == SubscriptionState.ACTIVE)
        .group_by(Subscription.slot_id)
        .subquery()
    )
    rows = db.session.execute(
        sa.select(Slot.newsletter_id, sa.func.sum(by_slot.c.active))
        .join(by_slot, by_slot.c.slot_id == Slot.id)
        .group_by(Slot.newsletter_id)
    )
    return {row[0]: int(row[1]) for row in rows}
