"""What staff keep about readers: notes, segments, and what they do to many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.subscribers.models import Subscriber, Subscription

Among = frozenset[int] | None
"""The ids of the newsletters that somebody works for; None for all."""


class SubscriberNote(Base):
    """What staff write down about a person, for each other. It goes with the person.

    `newsletter_id` is the newsletter that it belongs to; who does not work for that does not see it. None is for who
    works for all.
    """

    __tablename__ = "subscriber_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(sa.ForeignKey(Subscriber.id, ondelete="CASCADE"), index=True)
    newsletter_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(sa.Text)
    by: Mapped[str] = mapped_column(sa.String(340))
    at: Mapped[datetime]


class Segment(Base):
    """Conditions under a name, as `segments.written` gives them. It is for who works for all of `newsletter_ids`, and
    where that is None for who works for all there are."""

    __tablename__ = "segments"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    conditions: Mapped[list[Any]]
    newsletter_ids: Mapped[list[Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    by: Mapped[str] = mapped_column(sa.String(340))
    created_at: Mapped[datetime]


class BulkKind(StrEnum):
    UNSUBSCRIBE = "unsubscribe"
    PAUSE = "pause"
    MOVE = "move"
    SUPPRESS = "suppress"


class BulkState(StrEnum):
    """`stopped`: by a person, or because its conditions cannot be read any more; what was done until then is done."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    UNDOING = "undoing"
    UNDONE = "undone"


class BulkAct(Base):
    """One act on everybody who meets some conditions, worked through in the order of their ids.

    It is for those up to `upper_id`, who were there when it began; `position` is the last id that was looked at.
    `total` is how many it was for when it began, `done` those that it changed, `skipped` those who met the conditions
    and had nothing to be changed. Of an undoing `undone` were put back, and `kept` had been changed by somebody since.
    """

    __tablename__ = "bulk_acts"
    __table_args__ = (
        sa.Index(
            "ix_bulk_acts_at_work",
            "id",
            sqlite_where=sa.text("state IN ('running', 'undoing')"),
            postgresql_where=sa.text("state IN ('running', 'undoing')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[BulkKind] = mapped_column(words(BulkKind))
    newsletter_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    slot_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Slot.id, ondelete="CASCADE"))
    until: Mapped[date | None]
    note: Mapped[str] = mapped_column(sa.String(300), default="")
    conditions: Mapped[list[Any]]
    newsletter_ids: Mapped[list[Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    upper_id: Mapped[int]
    position: Mapped[int] = mapped_column(default=0)
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    undone: Mapped[int] = mapped_column(default=0)
    kept: Mapped[int] = mapped_column(default=0)
    state: Mapped[BulkState] = mapped_column(words(BulkState), default=BulkState.RUNNING)
    problem: Mapped[str] = mapped_column(sa.String(500), default="")
    by: Mapped[str] = mapped_column(sa.String(340))
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    undo_until: Mapped[datetime | None]
    undo_by: Mapped[str | None] = mapped_column(sa.String(340))


class BulkChange(Base):
    """A subscription that a bulk act changed: what was there before, and the consent event that tells of it. It is kept
    for as long as the act can be undone."""

    __tablename__ = "bulk_changes"
    __table_args__ = (sa.UniqueConstraint("act_id", "subscription_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    act_id: Mapped[int] = mapped_column(sa.ForeignKey(BulkAct.id, ondelete="CASCADE"))
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey(Subscription.id, ondelete="CASCADE"), index=True)
    slot_id: Mapped[int]
    paused_until: Mapped[date | None]
    event_id: Mapped[int]
    at: Mapped[datetime] = mapped_column(index=True)


class SegmentUnknown(NotFound):
    """There is no segment {id} any more."""


class BulkActUnknown(NotFound):
    """There is no act {id} on many readers."""


class NoteUnknown(NotFound):
    """There is no note {id} about this person any more."""


def notes_about(subscriber_id: int) -> Sequence[SubscriberNote]:
    """The latest first."""
    found = sa.select(SubscriberNote).where(SubscriberNote.subscriber_id == subscriber_id)
    return db.session.scalars(found.order_by(SubscriberNote.id.desc())).all()


def segments() -> Sequence[Segment]:
    return db.session.scalars(sa.select(Segment).order_by(sa.func.lower(Segment.name))).all()


def segment(id: int) -> Segment:
    """Raises SegmentUnknown."""
    if found := db.session.get(Segment, id):
        return found
    raise SegmentUnknown(id=id)


def bulk_act(id: int) -> BulkAct:
    """Raises BulkActUnknown."""
    if found := db.session.get(BulkAct, id):
        return found
    raise BulkActUnknown(id=id)


def bulk_acts(limit: int = 50) -> Sequence[BulkAct]:
    """The latest first."""
    return db.session.scalars(sa.select(BulkAct).order_by(BulkAct.id.desc()).limit(limit)).all()


def changes_to(subscriber_id: int) -> Sequence[BulkChange]:
    """What is kept of bulk acts on a person, to be undone."""
    theirs = sa.select(Subscription.id).where(Subscription.subscriber_id == subscriber_id)
    found = sa.select(BulkChange).where(BulkChange.subscription_id.in_(theirs))
    return db.session.scalars(found.order_by(BulkChange.id)).all()
