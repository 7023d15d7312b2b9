"""What came back of the mails: a row for each, and a tally for each edition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.editions.models import Edition
from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound
from newsletter.mail.verdicts import Kind
from newsletter.subscribers.models import Subscription


class Deed(StrEnum):
    """What was done about it. `waiting`: its edition has too many of them, so staff decide. `late`: the address was
    confirmed, or another one given, since that mail. `staff`: people look at it."""

    SUPPRESSED = "suppressed"
    COUNTED = "counted"
    WAITING = "waiting"
    LATE = "late"
    UNSUBSCRIBED = "unsubscribed"
    PASSED_ON = "passed-on"
    STAFF = "staff"
    NOTHING = "nothing"


class Decision(StrEnum):
    """Of staff, on an edition of which too much came back: suppress all those addresses, or leave them alone."""

    RELEASE = "release"
    LEAVE = "leave"


class Bounce(Base):
    """One mail that came back, or came in. It never changes its delivery (rule 12), and has no foreign keys, as the
    ledger has none.

    `digest` tells the same mail from another. `address` is whom the report names; it alone leads to nothing. `raw` is
    the mail's beginning, kept while people may want to read it.
    """

    __tablename__ = "bounces"
    __table_args__ = (
        sa.Index(None, "subscriber_id", "kind"),
        sa.Index(None, "edition_id", "deed"),
        sa.Index(
            "ix_bounces_open",
            "id",
            sqlite_where=sa.text("needs_staff AND settled_at IS NULL"),
            postgresql_where=sa.text("needs_staff AND settled_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    kind: Mapped[Kind] = mapped_column(words(Kind))
    deed: Mapped[Deed] = mapped_column(words(Deed), default=Deed.NOTHING)
    status: Mapped[str] = mapped_column(sa.String(12), default="")
    diagnostic: Mapped[str] = mapped_column(sa.String(500), default="")
    address: Mapped[str] = mapped_column(sa.String(254), default="")
    sender: Mapped[str] = mapped_column(sa.String(254), default="")
    subject: Mapped[str] = mapped_column(sa.String(300), default="")
    delivery_id: Mapped[int | None] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), index=True)
    outbox_id: Mapped[int | None]
    subscriber_id: Mapped[int | None]
    edition_id: Mapped[int | None]
    needs_staff: Mapped[bool] = mapped_column(default=False)
    raw: Mapped[bytes | None]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(sa.String(340))


class BounceTally(Base):
    """How many readers of an edition its bounces would suppress, and how many servers refused it by their policy.

    `audience` is the edition's. From `stopped_at` on nobody is suppressed for it, until there is a decision.
    """

    __tablename__ = "bounce_tallies"

    edition_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    audience: Mapped[int]
    hard: Mapped[int] = mapped_column(default=0)
    policy: Mapped[int] = mapped_column(default=0)
    begun_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
    decision: Mapped[Decision | None] = mapped_column(words(Decision))
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(sa.String(340))


Among = Collection[int] | None
"""Newsletters' ids; None for all."""


class BounceUnknown(NotFound):
    """There is no bounce with the number {id}. They are kept for 90 days."""


OPEN = sa.and_(Bounce.needs_staff, Bounce.settled_at.is_(None))


def bounce(id: int) -> Bounce:
    """Raises BounceUnknown."""
    if found := db.session.get(Bounce, id):
        return found
    raise BounceUnknown(id=id)


def newsletters_of_bounce(of: Bounce) -> set[int]:
    """Its edition's, or all that the person reads; none for what nobody knows whom it is about."""
    if of.edition_id is not None:
        return set(db.session.scalars(sa.select(Edition.newsletter_id).where(Edition.id == of.edition_id)))
    theirs = sa.select(Subscription.newsletter_id).where(Subscription.subscriber_id == of.subscriber_id)
    return set(db.session.scalars(theirs))


def _about(newsletter_ids: Among) -> sa.ColumnElement[bool]:
    """The same for many; None for all."""
    if newsletter_ids is None:
        return sa.true()
    editions = sa.select(Edition.id).where(Edition.newsletter_id.in_(newsletter_ids))
    people = sa.select(Subscription.subscriber_id).where(Subscription.newsletter_id.in_(newsletter_ids))
    unsaid = sa.and_(Bounce.edition_id.is_(None), Bounce.subscriber_id.in_(people))
    return sa.or_(Bounce.edition_id.in_(editions), unsaid)


def for_staff(limit: int = 50, newsletter_ids: Among = None) -> Sequence[Bounce]:
    """What people have to look at, the latest first."""
    found = sa.select(Bounce).where(OPEN, _about(newsletter_ids))
    return db.session.scalars(found.order_by(Bounce.id.desc()).limit(limit)).all()


def waiting_for_staff(newsletter_ids: Among = None) -> int:
    found = sa.select(sa.func.count()).select_from(Bounce).where(OPEN, _about(newsletter_ids))
    return db.session.scalar(found) or 0


def latest(limit: int = 50, newsletter_ids: Among = None) -> Sequence[Bounce]:
    found = sa.select(Bounce).where(_about(newsletter_ids))
    return db.session.scalars(found.order_by(Bounce.id.desc()).limit(limit)).all()


def bounces_of(subscriber_id: int, limit: int = 50) -> Sequence[Bounce]:
    """The latest of what came back from one person."""
    found = sa.select(Bounce).where(Bounce.subscriber_id == subscriber_id)
    return db.session.scalars(found.order_by(Bounce.id.desc()).limit(limit)).all()


def stopped() -> Sequence[BounceTally]:
    """Editions of which too much came back, and nobody has decided yet."""
    found = sa.select(BounceTally).where(BounceTally.stopped_at.is_not(None), BounceTally.decision.is_(None))
    return db.session.scalars(found.order_by(BounceTally.edition_id)).all()
