"""What is published and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound


class Approval(StrEnum):
    """Who says that an edition may go out: a person, or the service itself at the slot."""

    MANUAL = "manual"
    AUTO = "auto"


class Pictures(StrEnum):
    """What an edition shows: pictures of our own making, the outlets' own by link, or none."""

    OWN = "own"
    LINK = "link"
    NONE = "none"


class ThinDay(StrEnum):
    """What becomes of an edition with too few stories: a person looks, it is left out, or it looks further back."""

    HOLD = "hold"
    SKIP = "skip"
    WIDEN = "widen"


class Typeface(StrEnum):
    SERIF = "serif"
    SANS = "sans"


class Newsletter(Base):
    """One publication.

    `days` are ISO weekdays (1 = Monday) as digits, such as "1234567". `cutoff_minutes` is how long before its slot
    an edition is drafted; `window_hours` how far back it looks for stories. `own_at_least` are places kept for the
    paper's own stories. `sections` are those that the edition is divided into, in their order. `topic` lets through
    what is about it: the name of one that comes with the product, or one's own words as TOML; empty for everything.
    `sites` are the origins whose pages may sign readers up by script; `noindex` asks search engines to stay away from
    its archive, and without `has_archive` there is none. `welcome_text` is the newsroom's own word in the mail that
    welcomes a reader. `skip_dates` are local dates without an edition, as ISO 8601. `cooling_minutes` is how long a
    Send by hand can be pulled back. `subject_pattern` holds {lead}, {name}, {date} or {count}; empty for the lead's
    headline. `link_tags` is a query that is added to the stories' links. The `block_…` columns are a labelled note or
    sponsor's word that stands after so many stories; without a text there is none.
    """

    __tablename__ = "newsletters"
    __table_args__ = (
        sa.CheckConstraint("cutoff_minutes BETWEEN 0 AND 720", name="cutoff"),
        sa.CheckConstraint("items_at_most BETWEEN 1 AND 50", name="items"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(60), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    tagline: Mapped[str] = mapped_column(sa.String(200), default="")
    promise: Mapped[str] = mapped_column(sa.String(300), default="")
    publisher: Mapped[str] = mapped_column(sa.String(120), default="")
    from_name: Mapped[str] = mapped_column(sa.String(120))
    from_address: Mapped[str] = mapped_column(sa.String(254))
    reply_to: Mapped[str | None] = mapped_column(sa.String(254))
    postal_address: Mapped[str] = mapped_column(sa.String(300), default="")
    accent: Mapped[str] = mapped_column(sa.String(7), default="#9b1c1c")
    language: Mapped[str] = mapped_column(sa.String(12), default="en")
    days: Mapped[str] = mapped_column(sa.String(7), default="1234567")
    cutoff_minutes: Mapped[int] = mapped_column(default=45)
    approval: Mapped[Approval] = mapped_column(words(Approval), default=Approval.AUTO)
    pictures: Mapped[Pictures] = mapped_column(words(Pictures), default=Pictures.OWN)
    items_at_most: Mapped[int] = mapped_column(default=10)
    items_at_least: Mapped[int] = mapped_column(default=3)
    per_outlet_at_most: Mapped[int] = mapped_column(default=3)
    own_at_least: Mapped[int] = mapped_column(default=0)
    window_hours: Mapped[int] = mapped_column(default=30)
    grouping_threshold: Mapped[float] = mapped_column(default=0.175)
    sections: Mapped[list[Any]] = mapped_column(default=list)
    topic: Mapped[str] = mapped_column(sa.Text, default="")
    sites: Mapped[list[Any]] = mapped_column(default=list)
    noindex: Mapped[bool] = mapped_column(default=False)
    has_archive: Mapped[bool] = mapped_column(default=True)
    welcome_text: Mapped[str] = mapped_column(sa.String(600), default="")
    skip_dates: Mapped[list[Any]] = mapped_column(default=list)
    thin_day: Mapped[ThinDay] = mapped_column(words(ThinDay), default=ThinDay.HOLD)
    cooling_minutes: Mapped[int] = mapped_column(default=2)
    subject_pattern: Mapped[str] = mapped_column(sa.String(200), default="")
    link_tags: Mapped[str] = mapped_column(sa.String(300), default="")
    typeface: Mapped[Typeface] = mapped_column(words(Typeface), default=Typeface.SERIF)
    logo_url: Mapped[str] = mapped_column(sa.String(1000), default="")
    block_label: Mapped[str] = mapped_column(sa.String(60), default="")
    block_text: Mapped[str] = mapped_column(sa.String(600), default="")
    block_link: Mapped[str] = mapped_column(sa.String(100), default="")
    block_url: Mapped[str] = mapped_column(sa.String(1000), default="")
    block_after: Mapped[int] = mapped_column(default=3)
    created_at: Mapped[datetime]

    slots: Mapped[list[Slot]] = relationship(
        back_populates="newsletter",
        order_by="Slot.id",
        cascade="all, delete-orphan",
        primaryjoin="and_(Newsletter.id == Slot.newsletter_id, Slot.closed_at.is_(None))",
    )
    every_slot: Mapped[list[Slot]] = relationship(order_by="Slot.id", viewonly=True)
    """With those that are closed, whose past editions stay."""
    sign_up_texts: Mapped[list[SignUpText]] = relationship(order_by="SignUpText.version", cascade="all, delete-orphan")

    @property
    def default_slot(self) -> Slot:
        return next((slot for slot in self.slots if slot.is_default), self.slots[0])

    @property
    def sign_up_text(self) -> SignUpText:
        """The words that a reader agrees to today."""
        return self.sign_up_texts[-1]


class Slot(Base):
    """When and where a newsletter goes out. Its zone never changes: another zone is another slot (rule 1).

    One that is closed has no readers and no more editions; those that went out stay under it.
    """

    __tablename__ = "slots"
    __table_args__ = (sa.UniqueConstraint("newsletter_id", "zone", "local_time"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    zone: Mapped[str] = mapped_column(sa.String(64))
    local_time: Mapped[time] = mapped_column(sa.Time)
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    newsletter: Mapped[Newsletter] = relationship(back_populates="slots")

    @validates("zone")
    def _zone_stays(self, _key: str, zone: str) -> str:
        if self.zone is not None and zone != self.zone:
            raise ValueError("a slot's zone never changes; make another slot")
        return zone

    @property
    def label(self) -> str:
        return f"{self.local_time:%H:%M} {self.zone.rpartition('/')[2].replace('_', ' ')}"


class SignUpText(Base):
    """One version of the words that readers agree to. Kept for ever; a change is a new version."""

    __tablename__ = "sign_up_texts"
    __table_args__ = (sa.UniqueConstraint("newsletter_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    version: Mapped[int]
    text: Mapped[str] = mapped_column(sa.Text)
    by: Mapped[str] = mapped_column(sa.String(340), default="")
    created_at: Mapped[datetime]


def lock_slot(slot_id: int, *, shared: bool = False) -> None:
    """Until the caller's transaction ends, nobody decides about the slot's editions but the holder.

    A reader who confirms holds it `shared`, the freeze alone: nobody who confirmed before is missed (rule 8). Rows that
    refer to the slot may be written meanwhile.
    """
    held = sa.select(Slot.id).where(Slot.id == slot_id)
    db.session.execute(held.with_for_update(read=shared, key_share=not shared))


class NewsletterUnknown(NotFound):
    """There is no newsletter “{slug}”. The newsletters are: {known}."""


class WhichNewsletter(NotFound):
    """There are several newsletters; name one: {known}."""


class NoNewsletter(NotFound):
    """There is no newsletter yet. Make one: newsletter newsletters add SLUG --name NAME --from ADDRESS"""


def open_slot(slot_id: int) -> int:
    """The slot, or where it was closed meanwhile the newsletter's default one; held `shared` until the caller's
    transaction ends, so that nobody goes into one that is being closed."""
    held = sa.select(Slot.newsletter_id, Slot.closed_at).where(Slot.id == slot_id).with_for_update(read=True)
    about, closed_at = db.session.execute(held).one()
    if closed_at is None:
        return slot_id
    others = sa.select(Slot.id).where(Slot.newsletter_id == about, Slot.closed_at.is_(None))
    return db.session.scalars(others.order_by(Slot.is_default.desc(), Slot.id).with_for_update(read=True)).all()[0]


def newsletters() -> Sequence[Newsletter]:
    return db.session.scalars(sa.select(Newsletter).order_by(Newsletter.id)).all()


def newsletter(slug: str | None, among: Sequence[Newsletter] | None = None) -> Newsletter:
    """The newsletter of that name, or the only one, of those that there are or of some of them.

    Raises NewsletterUnknown, WhichNewsletter, NoNewsletter.
    """
    every = newsletters() if among is None else among
    known = ", ".join(one.slug for one in every)
    if not every:
        raise NoNewsletter
    if slug is None:
        if len(every) > 1:
            raise WhichNewsletter(known=known)
        return every[0]
    for one in every:
        if one.slug == slug:
            return one
    raise NewsletterUnknown(slug=slug, known=known)


@dataclass(frozen=True)
class Offer:
    """What a sign-up needs to know of a newsletter, and what the answer's page shows of it.

    `slots` are ids with their zones, the default one first.
    """

    slots: tuple[tuple[int, str], ...]
    newsletter_id: int
    sign_up_text_id: int
    slug: str
    name: str
    tagline: str
    publisher: str
    postal_address: str
    from_address: str
    language: str
    has_archive: bool


_OFFERED = (
    sa.select(
        Slot.id.label("slot_id"),
        Slot.zone,
        Newsletter.id,
        sa.select(sa.func.max(SignUpText.id)).where(SignUpText.newsletter_id == Newsletter.id).scalar_subquery(),
        Newsletter.slug,
        Newsletter.name,
        Newsletter.tagline,
        Newsletter.publisher,
        Newsletter.postal_address,
        Newsletter.from_address,
        Newsletter.language,
        Newsletter.has_archive,
    )
    .join(Slot, sa.and_(Slot.newsletter_id == Newsletter.id, Slot.closed_at.is_(None)))
    .where(Newsletter.slug.in_(sa.bindparam("slugs", expanding=True)))
    .order_by(Slot.is_default.desc(), Slot.id)
)
"""Asked with each sign-up, so it is made once."""


def offers(slugs: Sequence[str]) -> list[Offer]:
    """Those newsletters, each once, or the only one, by one question: in a flood of sign-ups it is asked each time.

    Raises NewsletterUnknown, WhichNewsletter, NoNewsletter.
    """
    wanted = list(dict.fromkeys(slugs)) or [newsletter(None).slug]
    asked = [slug for slug in wanted if slug.isprintable()]  # no database takes a NUL
    found = db.session.connection().execute(_OFFERED, {"slugs": asked}).all()
    rows = {slug: [row for row in found if row.slug == slug] for slug in wanted}
    for slug in wanted:
        if not rows[slug]:
            newsletter(slug)  # raises what is wrong with it
    return [_offer(of) for of in rows.values()]


def _offer(rows: Sequence[sa.Row[Any]]) -> Offer:
    return Offer(tuple((row.slot_id, row.zone) for row in rows), *rows[0][2:])
