"""The digest: an edition, its revisions, and the items in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, aliased, defer, mapped_column, relationship, selectinload

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound
from newsletter.newsletters.models import Newsletter, Slot, lock_slot


class EditionState(StrEnum):
    """Held and paused are no states: they lie over these (rule 2)."""

    PLANNED = "planned"
    DRAFTED = "drafted"
    APPROVED = "approved"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class EditionKind(StrEnum):
    """The daily one is number 0; only a person makes the others. A correction stands in for the daily one; a special
    one stands beside it, and so does what corrects a special one."""

    DAILY = "daily"
    SPECIAL = "special"
    CORRECTION = "correction"


class Edition(Base):
    """The digest of one newsletter, slot and local date; number 0 is the daily one, and at most one exists.

    `slot_at` is the slot's instant; `cutoff_at`, `start_by` and `finish_by` are counted from it in UTC (rule 6).
    `frozen_at` is when its audience was fixed. `send_at` is when a Send by hand takes effect, until which it can be
    pulled back. `corrects_id` is the revision whose receivers a correction goes to. `note` says what composing did
    about a thin day. `reason` says why it was skipped or cancelled, what ended it, or what held it until its end; then
    nothing more of it goes out, and nobody who confirms gets it either.
    """

    __tablename__ = "editions"
    __table_args__ = (
        sa.UniqueConstraint("newsletter_id", "slot_id", "local_date", "number"),
        sa.CheckConstraint("number >= 0", name="number"),
        sa.Index(None, "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id))
    slot_id: Mapped[int] = mapped_column(sa.ForeignKey(Slot.id))
    local_date: Mapped[date]
    number: Mapped[int] = mapped_column(default=0)
    kind: Mapped[EditionKind] = mapped_column(words(EditionKind), default=EditionKind.DAILY)
    corrects_id: Mapped[int | None]
    state: Mapped[EditionState] = mapped_column(words(EditionState), default=EditionState.PLANNED)
    reason: Mapped[str | None] = mapped_column(sa.String(300))
    slot_at: Mapped[datetime]
    cutoff_at: Mapped[datetime]
    start_by: Mapped[datetime]
    finish_by: Mapped[datetime]
    held_at: Mapped[datetime | None]
    held_reason: Mapped[str | None] = mapped_column(sa.String(300))
    paused_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None] = mapped_column(sa.String(340))
    send_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(sa.String(300), default="")
    frozen_at: Mapped[datetime | None]
    audience: Mapped[int | None]
    sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    newsletter: Mapped[Newsletter] = relationship(lazy="joined")
    slot: Mapped[Slot] = relationship(lazy="joined")
    revisions: Mapped[list[Revision]] = relationship(
        back_populates="edition", order_by="Revision.number", cascade="all, delete-orphan"
    )

    @property
    def goes_at(self) -> datetime | None:
        """When it may start by itself once it is approved: after a Send by hand, or at its slot. What a person makes
        besides the daily edition has no slot."""
        at_slot = self.slot_at if self.kind is EditionKind.DAILY else None
        return self.send_at or at_slot

    @property
    def stands_at(self) -> int:
        """The number by which readers find it among those of its date: 0 for the daily edition and for what corrects
        it, a special one's own for that and for what corrects it."""
        if self.kind is not EditionKind.SPECIAL:
            return 0
        wrong = db.session.get(Revision, self.corrects_id) if self.corrects_id is not None else None
        return wrong.edition.stands_at if wrong else self.number

    @property
    def revision(self) -> Revision | None:
        """The last saved revision."""
        return self.revisions[-1] if self.revisions else None

    @property
    def sealed(self) -> Revision | None:
        """The revision that readers get: the last one that was sealed."""
        return next((one for one in reversed(self.revisions) if one.sealed_at is not None), None)


class Revision(Base):
    """One state of an edition's content. Sealed at approval: from then on it never changes (rule 2).

    `passed_over` are the groups that did not make it, the nearest first: a list of {"story_id", "headline", "outlet",
    "url", "why", "reason", "others"}, the last being ids of stories. `newest_story_id` is of the latest story that was
    there to be chosen from. `block` is the newsletter's house or sponsor block as it stood then: {"label", "text",
    "link", "url", "after"}, or {}. `by_hand` names what a person changed, which composing anew leaves alone: "subject",
    "preheader", "intro", "order".
    """

    __tablename__ = "revisions"
    __table_args__ = (sa.UniqueConstraint("edition_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(sa.ForeignKey(Edition.id, ondelete="CASCADE"))
    number: Mapped[int]
    subject: Mapped[str] = mapped_column(sa.String(300))
    preheader: Mapped[str] = mapped_column(sa.String(300), default="")
    intro: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(340))
    sealed_at: Mapped[datetime | None]
    passed_over: Mapped[list[Any]] = mapped_column(default=list)
    newest_story_id: Mapped[int] = mapped_column(default=0)
    block: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by_hand: Mapped[list[Any]] = mapped_column(default=list)

    edition: Mapped[Edition] = relationship(back_populates="revisions")
    items: Mapped[list[Item]] = relationship(order_by="Item.position", cascade="all, delete-orphan", lazy="selectin")
    parts: Mapped[list[RenderedPart]] = relationship(order_by="RenderedPart.id", cascade="all, delete-orphan")


class Item(Base):
    """A story as it stands in an edition: a snapshot, so that later changes of the story do not change it.

    `picture` names our own copy of the picture at `image_url`, and `picture_note` says why there is none.
    `also_covered` is a list of {"story_id", "outlet", "title", "url"}, and `outlets` counts all who told it. `reason`
    says why it was chosen. An update tells what is new of an event that an earlier edition told. `told` holds the words
    of the whole group, by which a later edition knows the event again. A story by hand may have no `url`. `by_hand`
    names the columns that a person changed.
    """

    __tablename__ = "items"
    __table_args__ = (sa.UniqueConstraint("revision_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    revision_id: Mapped[int] = mapped_column(sa.ForeignKey(Revision.id, ondelete="CASCADE"))
    position: Mapped[int]
    story_id: Mapped[int | None] = mapped_column(sa.Integer)
    headline: Mapped[str] = mapped_column(sa.String(500))
    summary: Mapped[str] = mapped_column(sa.Text, default="")
    url: Mapped[str] = mapped_column(sa.String(2000))
    outlet: Mapped[str] = mapped_column(sa.String(200))
    section: Mapped[str] = mapped_column(sa.String(100), default="")
    image_url: Mapped[str | None] = mapped_column(sa.String(2000))
    image_alt: Mapped[str] = mapped_column(sa.String(500), default="")
    image_credit: Mapped[str] = mapped_column(sa.String(200), default="")
    picture: Mapped[str | None] = mapped_column(sa.String(32))
    picture_note: Mapped[str | None] = mapped_column(sa.String(300))
    also_covered: Mapped[list[Any]] = mapped_column(default=list)
    outlets: Mapped[int] = mapped_column(default=1)
    is_update: Mapped[bool] = mapped_column(default=False)
    told: Mapped[str] = mapped_column(sa.Text, default="")
    reason: Mapped[str] = mapped_column(sa.String(500), default="")
    by_hand: Mapped[list[Any]] = mapped_column(default=list)
    published_at: Mapped[datetime]


class Form(StrEnum):
    """The two shapes a mail comes in: HTML with its text part, or text only."""

    FULL = "full"
    TEXT = "text"


class RenderedPart(Base):
    """A sealed revision as it is sent, with marks where each reader's own words go (mail/message.py).

    There is one in the newsletter's language, which is the first, and one in each that a reader chose; only the words
    around the stories differ.
    """

    __tablename__ = "rendered_parts"
    __table_args__ = (sa.UniqueConstraint("revision_id", "form", "language"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    revision_id: Mapped[int] = mapped_column(sa.ForeignKey(Revision.id, ondelete="CASCADE"))
    form: Mapped[Form] = mapped_column(words(Form))
    language: Mapped[str] = mapped_column(sa.String(12))
    html: Mapped[str | None] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text)
    marker: Mapped[str] = mapped_column(sa.String(32))


class EditionUnknown(NotFound):
    """There is no edition {what}."""


def edition(id: int) -> Edition:
    """Raises EditionUnknown."""
    if found := db.session.get(Edition, id):
        return found
    raise EditionUnknown(what=id)


def edition_to_decide(id: int) -> Edition:
    """The edition, read afresh, with its slot locked until the caller's transaction ends: one decision about it at a
    time, on any machine. Raises EditionUnknown."""
    lock_slot(edition(id).slot_id)
    found = edition(id)
    db.session.refresh(found)
    return found


def next_number(slot_id: int, local_date: date) -> int:
    """For one more edition of the date; only while the slot is locked."""
    last = sa.select(sa.func.max(Edition.number)).where(Edition.slot_id == slot_id, Edition.local_date == local_date)
    return (db.session.scalar(last) or 0) + 1


def edition_of(slot_id: int, local_date: date, number: int = 0) -> Edition | None:
    return db.session.scalar(
        sa.select(Edition).where(Edition.slot_id == slot_id, Edition.local_date == local_date, Edition.number == number)
    )


def editions_on(newsletter_id: int, since: date, until: date) -> Sequence[Edition]:
    """The newsletter's daily editions of those dates, corrections and special ones aside."""
    of_dates = (Edition.newsletter_id == newsletter_id, Edition.local_date.between(since, until), Edition.number == 0)
    return db.session.scalars(sa.select(Edition).where(*of_dates).order_by(Edition.local_date, Edition.id)).all()


def others_of_the_day(found: Edition) -> Sequence[Edition]:
    """What else the slot's readers have of the date, or are to have."""
    same = (Edition.slot_id == found.slot_id, Edition.local_date == found.local_date, Edition.id != found.id)
    return db.session.scalars(sa.select(Edition).where(*same).order_by(Edition.number)).all()


def recent_editions(
    limit: int = 60, newsletter_id: int | None = None, among: Collection[int] | None = None
) -> Sequence[Edition]:
    """The latest, of one newsletter, of those with the ids in `among`, or of all."""
    query = sa.select(Edition).order_by(Edition.slot_at.desc(), Edition.id.desc()).limit(limit)
    if among is not None:
        query = query.where(Edition.newsletter_id.in_(among))
    if newsletter_id is not None:
        query = query.where(Edition.newsletter_id == newsletter_id)
    subjects = sa.orm.selectinload(Edition.revisions).lazyload(Revision.items)
    return db.session.scalars(query.options(subjects)).all()


def editions_in(*states: EditionState) -> Sequence[Edition]:
    return db.session.scalars(sa.select(Edition).where(Edition.state.in_(states)).order_by(Edition.slot_at)).all()


def editions_to_release(now: datetime) -> Sequence[Edition]:
    """Editions whose slot has come, or whose Send by hand takes effect, and that nobody holds."""
    at_slot = sa.and_(Edition.kind == EditionKind.DAILY, Edition.send_at.is_(None), Edition.slot_at <= now)
    return db.session.scalars(
        sa.select(Edition)
        .where(
            Edition.state.in_((EditionState.DRAFTED, EditionState.APPROVED)),
            sa.or_(at_slot, Edition.send_at <= now),
            Edition.held_at.is_(None),
        )
        .order_by(Edition.slot_at)
    ).all()


def subject_before(found: Edition) -> str:
    """What the slot's readers were last told in a subject, or are about to be; empty when they never were."""
    other = db.session.scalars(
        sa.select(Edition)
        .where(
            Edition.slot_id == found.slot_id,
            Edition.id != found.id,
            Edition.kind != EditionKind.CORRECTION,
            sa.or_(Edition.frozen_at.is_not(None), Edition.state == EditionState.APPROVED),
        )
        .order_by(Edition.slot_at.desc(), Edition.number.desc())
        .limit(1)
    ).first()
    return other.sealed.subject if other and other.sealed else ""


def items_sent(slot_id: int, since: datetime) -> Sequence[tuple[Item, date]]:
    """What the slot's sent editions carried since a moment, with each edition's date; for carry-over."""
    rows = db.session.execute(
        sa.select(Item, Edition.local_date)
        .join(Revision, Revision.id == Item.revision_id)
        .join(Edition, Edition.id == Revision.edition_id)
        .where(
            Edition.slot_id == slot_id,
            Edition.state.in_(OUT),
            Edition.slot_at >= since,
            Revision.sealed_at.is_not(None),
            ~_replaced(),
        )
    )
    return [(item, local_date) for item, local_date in rows]


def _replaced() -> sa.ColumnElement[bool]:
    """Whether a revision was sealed, opened again and sealed anew before anybody got it."""
    later = aliased(Revision)
    return sa.exists().where(
        later.edition_id == Revision.edition_id,
        later.number > Revision.number,
        later.sealed_at <= Edition.frozen_at,
    )


OUT = (EditionState.SENDING, EditionState.SENT)
"""An edition in one of these has gone out, or is going."""


def editions_out(
    newsletter_id: int,
    slot_ids: Iterable[int],
    since: date | None = None,
    until: date | None = None,
    *,
    limit: int | None = None,
    oldest_first: bool = False,
) -> Sequence[Edition]:
    """What readers of the slots have of each date in [since, until], the latest first: the last correction that went
    out, or the daily edition; not the special ones, which stand beside it."""
    daily = Edition.kind != EditionKind.SPECIAL
    query = sa.select(Edition).where(*_out_in(newsletter_id, slot_ids, since, until), daily, ~_corrected())
    order = Edition.local_date if oldest_first else Edition.local_date.desc()
    return db.session.scalars(query.order_by(order, Edition.slot_id).limit(limit)).all()


def specials_out(
    newsletter_id: int,
    slot_ids: Iterable[int],
    since: date | None = None,
    until: date | None = None,
    *,
    limit: int | None = None,
) -> Sequence[Edition]:
    """The special editions that went out, the latest first; in place of one that was corrected its last correction."""
    wrong, later = aliased(Revision), aliased(Edition)
    corrected = sa.exists().where(wrong.edition_id == Edition.id, later.corrects_id == wrong.id, later.state.in_(OUT))
    special = Edition.kind == EditionKind.SPECIAL
    query = sa.select(Edition).where(*_out_in(newsletter_id, slot_ids, since, until), special, ~corrected)
    return db.session.scalars(query.order_by(Edition.local_date.desc(), Edition.number.desc()).limit(limit)).all()


def _out_in(
    newsletter_id: int, slot_ids: Iterable[int], since: date | None = None, until: date | None = None
) -> Iterator[sa.ColumnElement[bool]]:
    """Of the dates in [since, until], as far as they are said."""
    yield Edition.newsletter_id == newsletter_id
    yield Edition.slot_id.in_(list(slot_ids))
    yield Edition.state.in_(OUT)
    if since is not None:
        yield Edition.local_date >= since
    if until is not None:
        yield Edition.local_date <= until


def _corrected() -> sa.ColumnElement[bool]:
    later = aliased(Edition)
    return sa.exists().where(
        later.newsletter_id == Edition.newsletter_id,
        later.slot_id == Edition.slot_id,
        later.local_date == Edition.local_date,
        later.number > Edition.number,
        later.kind == EditionKind.CORRECTION,
        later.state.in_(OUT),
    )


def months_out(newsletter_id: int, slot_ids: Iterable[int]) -> list[date]:
    """The first days of the months in which editions went out, the latest first."""
    year, month = sa.extract("year", Edition.local_date), sa.extract("month", Edition.local_date)
    rows = db.session.execute(sa.select(year, month).where(*_out_in(newsletter_id, slot_ids)).distinct())
    return sorted((date(int(row[0]), int(row[1]), 1) for row in rows), reverse=True)


def sealed_revisions(edition_ids: Iterable[int]) -> dict[int, Revision]:
    """The last sealed revision of each edition, by its id, without what only composing needs."""
    items = selectinload(Revision.items).options(defer(Item.told), defer(Item.reason))
    query = (
        sa.select(Revision)
        .where(Revision.edition_id.in_(list(edition_ids)), Revision.sealed_at.is_not(None))
        .order_by(Revision.number)
        .options(defer(Revision.passed_over), items)
    )
    return {revision.edition_id: revision for revision in db.session.scalars(query)}
