"""Conditions under a name, kept for those who may see everybody whom they find."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import locked, transaction, violated
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.subscribers import segments
from newsletter.subscribers.desk_models import Among, Segment, SegmentUnknown
from newsletter.subscribers.desk_models import segments as every
from newsletter.subscribers.segments import Condition, ConditionsOutdated, Part

__all__ = ["conditions_of", "delete", "every", "is_for", "named", "save"]


class NameWrong(NewsletterError):
    """A segment has a name of one to 80 letters. Nothing was kept."""


class NameTaken(NewsletterError):
    """There is a segment of that name already. Nothing was kept."""


class NoConditions(NewsletterError):
    """A segment has at least one condition that can be kept, and a whole address is one person. Nothing was kept."""


def save(name: str, conditions: Sequence[Condition], now: datetime, by: Actor, among: Among) -> int:
    """Raises NameWrong, NameTaken, NoConditions, ConditionsOutdated."""
    name = one_line(name)
    if not 0 < len(name) <= 80:
        raise NameWrong
    part = segments.the(Part, conditions)
    if not conditions or (part and part.text.strip("@").count("@")):
        raise NoConditions
    named = segments.newsletters_of(conditions)
    whose = among if named is None else named
    if among is not None and not among.issuperset(whose or ()):
        raise ConditionsOutdated
    kept = Segment(
        name=name,
        conditions=segments.written(conditions),
        newsletter_ids=None if whose is None else sorted(whose),
        by=by.name,
        created_at=now,
    )
    try:
        with transaction() as session:
            session.add(kept)
            session.flush()
            audit.record(by, "segment.save", f"segment:{kept.id}", now, name=name, conditions=kept.conditions)
            return kept.id
    except IntegrityError as error:
        if violated(error, "uq_segments_name", "segments.name"):
            raise NameTaken from error
        raise


def named(name: str) -> Segment:
    """Raises SegmentUnknown."""
    found = next((one for one in every() if one.name == one_line(name)), None)
    if found is None:
        raise SegmentUnknown(id=name)
    return found


def is_for(one: Segment, among: Among) -> bool:
    """Whether somebody who works for those newsletters may use it."""
    return among is None or (one.newsletter_ids is not None and among.issuperset(one.newsletter_ids))


def conditions_of(one: Segment) -> tuple[Condition, ...]:
    """Raises ConditionsUnreadable, ConditionsOutdated."""
    found = segments.read(one.conditions)
    segments.newsletters_of(found)
    return found


def delete(segment_id: int, now: datetime, by: Actor) -> None:
    """Raises SegmentUnknown."""
    with transaction() as session:
        found = locked(Segment, segment_id)
        if found is None:
            raise SegmentUnknown(id=segment_id)
        audit.record(by, "segment.delete", f"segment:{found.id}", now, name=found.name, conditions=found.conditions)
        session.delete(found)
