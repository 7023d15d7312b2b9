"""Who is at an edition's desk, and what they are in the middle of writing.

The desk saves while people type. Each pause is a revision, but not a record in the trail: a field is written down when
its writer leaves it, with what stood there before and what stands there now. Until then it is remembered here what
stood there before; when the writer does not come back, it is written down a little later all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.editions.models import Edition, Item, Revision, edition
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.database import Base, db, insert_into, transaction

HERE_FOR = timedelta(seconds=30)
"""A page says every ten seconds that somebody is there."""

LEFT_AFTER = timedelta(minutes=2)
"""Who has saved nothing for so long has stopped writing."""


class Sitting(Base):
    """One person at one edition. `place` is the story's key that they are at, "mail" for the mail's own words. `unsaid`
    holds by its field's name what stood there before they began to write, `wrote_at` when they saved it last."""

    __tablename__ = "sittings"
    __table_args__ = (sa.UniqueConstraint("edition_id", "staff_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(sa.ForeignKey(Edition.id, ondelete="CASCADE"))
    staff_id: Mapped[int]
    name: Mapped[str] = mapped_column(sa.String(320))
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    place: Mapped[str] = mapped_column(sa.String(40), default="")
    seen_at: Mapped[datetime]
    wrote_at: Mapped[datetime | None]
    unsaid: Mapped[dict[str, Any]] = mapped_column(default=dict)


def key_of(item: Item) -> str:
    """What the desk calls a story: the same in every revision that has it."""
    return str(item.story_id) if item.story_id is not None else f"place{item.position}"


def here(edition_id: int, place: str, now: datetime, by: Actor) -> None:
    """Somebody is at the desk. Raises EditionUnknown."""
    with transaction():
        found = edition(edition_id)
        sitting = _sitting(found.id, now, by)
        sitting.seen_at, sitting.place, sitting.ip = now, place[:40], by.ip
        _settle(found, [one for one in _writing(found.id) if _has_left(one, now)])


def others(edition_id: int, staff_id: int, now: datetime) -> Sequence[Sitting]:
    """Who else is there, in the order of their names."""
    there = Sitting.edition_id == edition_id, Sitting.staff_id != staff_id, Sitting.seen_at > now - HERE_FOR
    return db.session.scalars(sa.select(Sitting).where(*there).order_by(Sitting.name)).all()


def began(found: Edition, before: Mapping[str, str], now: datetime, by: Actor) -> None:
    """Remember what stood in fields before somebody wrote in them, in the caller's transaction."""
    sitting = _sitting(found.id, now, by)
    sitting.unsaid = dict(before) | sitting.unsaid
    sitting.wrote_at = now


def said(found: Edition, by: Actor) -> dict[str, str]:
    """What stood in the fields that a person wrote in and that the trail has not got: the caller tells it now."""
    sitting = _known(found.id, by.id) if by.id is not None else None
    if sitting is None or not sitting.unsaid:
        return {}
    before = dict(sitting.unsaid)
    sitting.unsaid, sitting.wrote_at = {}, None
    return before


def left(found: Edition, by: Actor) -> None:
    """Write down what a person wrote in fields that they have left, in the caller's transaction."""
    if by.id is not None and (one := _known(found.id, by.id)) is not None:
        _settle(found, [one])


def settle(found: Edition) -> None:
    """Write down what anybody wrote and has not left yet, in the caller's transaction: something is decided on it."""
    _settle(found, _writing(found.id))


def settle_due(now: datetime) -> int:
    """Write down what people wrote who did not come back, and say how many of them there are."""
    with transaction() as session:
        due = session.scalars(sa.select(Sitting).where(Sitting.wrote_at < now - LEFT_AFTER)).all()
        for one in due:
            _settle(edition(one.edition_id), [one])
    return len(due)


def changes_of(revision: Revision, before: Mapping[str, str], items: Sequence[Item] = ()) -> dict[str, Any]:
    """How the trail tells of fields: their names, by the places of `items` or the revision's own, and what stood there
    and stands there now."""
    stands = _stands(revision)
    told = {name: (was, stands.get(name)) for name, was in before.items() if stands.get(name) != was}
    places = {key_of(item): item.position for item in items or revision.items}
    named = {name: _named(name, places) for name in told}
    return {
        "words": [named[name] for name in told if "-" not in name],
        "items": [named[name] for name in told if "-" in name],
        "before": {named[name]: was for name, (was, _) in told.items()},
        "after": {named[name]: now for name, (_, now) in told.items()},
    }


WORDS = ("subject", "preheader", "intro")
WORDS_OF_ITEMS = ("headline", "summary", "url", "section", "image_alt")


def _stands(revision: Revision) -> dict[str, str]:
    words = {name: str(getattr(revision, name)) for name in WORDS}
    of_items = {
        f"{name}-{key_of(item)}": str(getattr(item, name)) for item in revision.items for name in WORDS_OF_ITEMS
    }
    return words | of_items


def _named(name: str, places: Mapping[str, int]) -> str:
    """The field as the trail calls it: 2:headline, or with its story's number when that is not there any more."""
    kind, _, key = name.partition("-")
    return f"{places.get(key, f'story {key}')}:{kind}" if key else kind


def _settle(found: Edition, sittings: Sequence[Sitting]) -> None:
    for one in sittings:
        by, at = Actor(ActorKind.STAFF, one.name, one.staff_id, one.ip), one.wrote_at or one.seen_at
        before = said(found, by)
        if before and found.revision is not None:
            details = changes_of(found.revision, before)
            if details["before"]:
                audit.record(by, "edition.edit", f"edition:{found.id}", at, revision=found.revision.number, **details)


def _writing(edition_id: int) -> Sequence[Sitting]:
    there = Sitting.edition_id == edition_id, Sitting.wrote_at.is_not(None)
    return db.session.scalars(sa.select(Sitting).where(*there)).all()


def _has_left(one: Sitting, now: datetime) -> bool:
    return one.wrote_at is not None and now - one.wrote_at > LEFT_AFTER


def _known(edition_id: int, staff_id: int) -> Sitting | None:
    return db.session.scalar(sa.select(Sitting).where(Sitting.edition_id == edition_id, Sitting.staff_id == staff_id))


def _sitting(edition_id: int, now: datetime, by: Actor) -> Sitting:
    if by.id is None:
        raise ValueError(f"{by.name} is nobody of the staff")
    values = {"edition_id": edition_id, "staff_id": by.id, "name": by.name, "ip": by.ip, "seen_at": now}
    db.session.execute(insert_into(Sitting).values(**values, place="", unsaid={}).on_conflict_do_nothing())
    found = _known(edition_id, by.id)
    assert found is not None
    return found
