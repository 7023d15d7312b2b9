"""Outlets' feeds, what they carried, and what staff say of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound
from newsletter.newsletters.models import Newsletter


class SourceState(StrEnum):
    """`new` until its first poll; `failing` with the error in words; `disabled` by hand."""

    NEW = "new"
    OK = "ok"
    FAILING = "failing"
    SILENT = "silent"
    GONE = "gone"
    DISABLED = "disabled"


class Source(Base):
    """One outlet's feed.

    `error` says in plain words why it is failing, `failing_since` since when. `interval_seconds` is how long it is left
    alone at the moment. `page_fetch` allows a look at an article's page for its picture.
    """

    __tablename__ = "sources"
    __table_args__ = (sa.Index(None, "next_poll_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(sa.String(2000), unique=True)
    outlet: Mapped[str] = mapped_column(sa.String(200))
    state: Mapped[SourceState] = mapped_column(words(SourceState), default=SourceState.NEW)
    error: Mapped[str | None] = mapped_column(sa.Text)
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    etag: Mapped[str | None] = mapped_column(sa.String(1000))
    last_modified: Mapped[str | None] = mapped_column(sa.String(100))
    polled_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    next_poll_at: Mapped[datetime]
    interval_seconds: Mapped[int] = mapped_column(default=900)
    page_fetch: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]

    newsletters: Mapped[list[NewsletterSource]] = relationship(back_populates="source", cascade="all, delete-orphan")


class NewsletterSource(Base):
    """A source as one newsletter uses it.

    `own` marks the paper's own feed; `on_topic` lets its stories through the newsletter's topics unread; `section` is
    where its stories go that name none. One that is `silenced` enters no drafts until `silenced_until`, the first date
    on which it is heard again; without a date for good.
    """

    __tablename__ = "newsletter_sources"
    __table_args__ = (sa.CheckConstraint("weight > 0 AND weight <= 10", name="weight"),)

    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True)
    source_id: Mapped[int] = mapped_column(sa.ForeignKey(Source.id, ondelete="CASCADE"), primary_key=True)
    weight: Mapped[float] = mapped_column(default=1.0)
    own: Mapped[bool] = mapped_column(default=False)
    on_topic: Mapped[bool] = mapped_column(default=False)
    section: Mapped[str] = mapped_column(sa.String(100), default="")
    silenced: Mapped[bool] = mapped_column(default=False)
    silenced_until: Mapped[date | None]

    source: Mapped[Source] = relationship(back_populates="newsletters", lazy="joined")

    def is_silent_on(self, day: date) -> bool:
        return self.silenced and (self.silenced_until is None or day < self.silenced_until)


class Story(Base):
    """One item of a source, or one that staff added by hand to one newsletter.

    `identity` (from its own id) or `page` (from its address) make it the same story at the next poll. `position` is its
    place in the feed when last seen, 1 for the first. `date_note` says why `published_at` is not simply what the feed
    said. A story by hand has no source; it has its newsletter and its own `outlet_by_hand`, and perhaps no `url`.
    """

    __tablename__ = "stories"
    __table_args__ = (
        sa.UniqueConstraint("source_id", "identity"),
        sa.UniqueConstraint("newsletter_id", "identity"),
        sa.CheckConstraint("(source_id IS NULL) <> (newsletter_id IS NULL)", name="origin"),
        sa.Index(None, "source_id", "page"),
        sa.Index(None, "published_at"),
        sa.Index(None, "withdrawn_at"),
        sa.Index(None, "page"),
        sa.Index(None, "source_id", "published_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Source.id, ondelete="CASCADE"))
    newsletter_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    identity: Mapped[str] = mapped_column(sa.String(64))
    page: Mapped[str] = mapped_column(sa.String(64))
    url: Mapped[str] = mapped_column(sa.String(2000))
    outlet_by_hand: Mapped[str] = mapped_column(sa.String(200), default="")
    title: Mapped[str] = mapped_column(sa.String(500))
    summary: Mapped[str] = mapped_column(sa.Text, default="")
    author: Mapped[str] = mapped_column(sa.String(200), default="")
    section: Mapped[str] = mapped_column(sa.String(100), default="")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    image_url: Mapped[str | None] = mapped_column(sa.String(2000))
    image_alt: Mapped[str] = mapped_column(sa.String(500), default="")
    image_credit: Mapped[str] = mapped_column(sa.String(200), default="")
    position: Mapped[int] = mapped_column(default=1)
    published_at: Mapped[datetime]
    date_note: Mapped[str | None] = mapped_column(sa.String(200))
    first_seen_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]

    source: Mapped[Source | None] = relationship(lazy="joined")

    @property
    def outlet(self) -> str:
        return self.source.outlet if self.source else self.outlet_by_hand


class Mark(StrEnum):
    """What staff said about a story in one newsletter."""

    HIDDEN = "hidden"
    PINNED = "pinned"
    TOGETHER = "together"
    APART = "apart"


class StoryMark(Base):
    """A word by hand that stands through later runs. Together and apart name a second story (rule 17)."""

    __tablename__ = "story_marks"
    __table_args__ = (
        sa.UniqueConstraint("newsletter_id", "story_id", "mark", "other_story_id"),
        sa.CheckConstraint("(mark IN ('together', 'apart')) = (other_story_id IS NOT NULL)", name="other_story"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    story_id: Mapped[int] = mapped_column(sa.ForeignKey(Story.id, ondelete="CASCADE"))
    mark: Mapped[Mark] = mapped_column(words(Mark))
    other_story_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Story.id, ondelete="CASCADE"))
    by: Mapped[str] = mapped_column(sa.String(320))
    created_at: Mapped[datetime]


class SourceUnknown(NotFound):
    """There is no source {id}. See: newsletter sources list"""


class StoryUnknown(NotFound):
    """There is no story {id}."""


def story(id: int) -> Story:
    """Raises StoryUnknown."""
    if found := db.session.get(Story, id):
        return found
    raise StoryUnknown(id=id)


def stories_among(ids: Iterable[int | None]) -> list[Story]:
    """The stories that there are, in the order of their ids here."""
    return [found for id in ids if id is not None and (found := db.session.get(Story, id))]


def source(id: int) -> Source:
    """Raises SourceUnknown."""
    if found := db.session.get(Source, id):
        return found
    raise SourceUnknown(id=id)


def sources() -> Sequence[Source]:
    return db.session.scalars(sa.select(Source).order_by(Source.outlet, Source.id)).all()


def sources_of(newsletter_id: int) -> Sequence[NewsletterSource]:
    return db.session.scalars(sa.select(NewsletterSource).where(NewsletterSource.newsletter_id == newsletter_id)).all()


def stories_between(newsletter_id: int, since: datetime, until: datetime) -> Sequence[Story]:
    """The newsletter's stories published in [since, until], the newest first, without withdrawn ones."""
    return db.session.scalars(
        sa.select(Story)
        .where(belongs_to(newsletter_id), Story.published_at.between(since, until), ~_withdrawn())
        .order_by(Story.published_at.desc(), Story.id.desc())
    ).all()


def pinned_since(newsletter_id: int, since: datetime) -> Sequence[Story]:
    """The stories that staff pinned since a moment, however old they are, without withdrawn ones."""
    return db.session.scalars(
        sa.select(Story)
        .join(StoryMark, StoryMark.story_id == Story.id)
        .where(
            StoryMark.newsletter_id == newsletter_id,
            StoryMark.mark == Mark.PINNED,
            StoryMark.created_at >= since,
            ~_withdrawn(),
        )
    ).all()


def newsletters_of_story(of: Story) -> set[int]:
    """The newsletters that it can be chosen for: its own, or all that follow its source."""
    if of.newsletter_id is not None:
        return {of.newsletter_id}
    following = sa.select(NewsletterSource.newsletter_id).where(NewsletterSource.source_id == of.source_id)
    return set(db.session.scalars(following))


def belongs_to(newsletter_id: int) -> sa.ColumnElement[bool]:
    followed = sa.select(NewsletterSource.source_id).where(NewsletterSource.newsletter_id == newsletter_id)
    return sa.or_(Story.source_id.in_(followed), Story.newsletter_id == newsletter_id)


def _withdrawn() -> sa.ColumnElement[bool]:
    """Whether a story is withdrawn, under whichever feed the same page came in."""
    taken = sa.select(Story.page).where(Story.withdrawn_at.is_not(None)).scalar_subquery()
    return Story.page.in_(taken)


def texts_before(newsletter_id: int, moment: datetime, since: datetime, at_most: int) -> list[tuple[str, str]]:
    """Titles and summaries of the newsletter's latest stories before a moment: what it usually writes about."""
    rows = db.session.execute(
        sa.select(Story.title, Story.summary)
        .where(belongs_to(newsletter_id), Story.published_at >= since, Story.published_at < moment)
        .order_by(Story.published_at.desc())
        .limit(at_most)
    )
    return [(row[0], row[1]) for row in rows]


def same_page(known: Story) -> set[int]:
    """The story, and those that other feeds brought of its page."""
    return set(db.session.scalars(sa.select(Story.id).where(Story.page == known.page)))


def newest_story_id(newsletter_id: int) -> int:
    """Of the story that came in last, whatever its date; 0 where there is none."""
    return db.session.scalar(sa.select(sa.func.max(Story.id)).where(belongs_to(newsletter_id))) or 0


def withdrawn_among(story_ids: Iterable[int]) -> set[int]:
    return set(db.session.scalars(sa.select(Story.id).where(Story.id.in_(set(story_ids)), _withdrawn())))


def search(newsletter_id: int, words: str, limit: int, offset: int = 0) -> Sequence[Story]:
    """The newsletter's stories that have all the words in title or outlet, the newest first, withdrawn ones too."""
    query = sa.select(Story).outerjoin(Source).where(belongs_to(newsletter_id))
    for word in words.split():
        outlet = sa.func.coalesce(Source.outlet, Story.outlet_by_hand)
        query = query.where(
            sa.or_(Story.title.icontains(word, autoescape=True), outlet.icontains(word, autoescape=True))
        )
    return db.session.scalars(
        query.order_by(Story.published_at.desc(), Story.id.desc()).limit(limit).offset(offset)
    ).all()


def marks_of(newsletter_id: int) -> Sequence[StoryMark]:
    return db.session.scalars(sa.select(StoryMark).where(StoryMark.newsletter_id == newsletter_id)).all()


def marks_on(story_id: int, newsletter_id: int) -> Sequence[StoryMark]:
    """What staff said of one story there, of it alone or with another."""
    named = sa.or_(StoryMark.story_id == story_id, StoryMark.other_story_id == story_id)
    query = sa.select(StoryMark).where(StoryMark.newsletter_id == newsletter_id, named)
    return db.session.scalars(query.order_by(StoryMark.id)).all()
