"""What staff say about stories, in one newsletter: hidden, pinned, together, apart. It stands until they unsay it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, one_at_a_time, transaction
from newsletter.foundation.errors import Refused
from newsletter.newsletters.models import Newsletter
from newsletter.stories.models import Mark, Story, StoryMark, story

OPPOSITE = {Mark.HIDDEN: Mark.PINNED, Mark.PINNED: Mark.HIDDEN, Mark.TOGETHER: Mark.APART, Mark.APART: Mark.TOGETHER}


def mark(newsletter: Newsletter, story_id: int, kind: Mark, now: datetime, by: Actor, other: int | None = None) -> None:
    """Say something about a story, or of two that they belong together or apart. It unsays the opposite.

    Said twice is said once. Raises StoryUnknown, Refused.
    """
    pair = kind in (Mark.TOGETHER, Mark.APART)
    if pair != (other is not None) or other == story_id:
        raise Refused(why="together and apart need two stories; hidden and pinned one.")
    with transaction() as session:
        one_at_a_time(f"story marks of newsletter {newsletter.id}")
        first, second = (
            sorted((story(story_id).id, story(other).id)) if other is not None else (story(story_id).id, None)
        )
        _unsay(newsletter.id, OPPOSITE[kind], first, second)
        if _said(newsletter.id, kind, first, second) is None:
            session.add(
                StoryMark(
                    newsletter_id=newsletter.id,
                    story_id=first,
                    mark=kind,
                    other_story_id=second,
                    by=by.name,
                    created_at=now,
                )
            )
            audit.record(by, f"story.{kind}", f"story:{first}", now, newsletter=newsletter.slug, other=second)


def unmark(
    newsletter: Newsletter, story_id: int, kind: Mark, now: datetime, by: Actor, other: int | None = None
) -> None:
    """Unsay it. Again is no error."""
    first, second = sorted((story_id, other)) if other is not None else (story_id, None)
    with transaction():
        if _unsay(newsletter.id, kind, first, second):
            audit.record(by, f"story.not-{kind}", f"story:{first}", now, newsletter=newsletter.slug, other=second)


def _said(newsletter_id: int, kind: Mark, first: int, second: int | None) -> StoryMark | None:
    return db.session.scalar(sa.select(StoryMark).where(*_is(newsletter_id, kind, first, second)))


def _unsay(newsletter_id: int, kind: Mark, first: int, second: int | None) -> bool:
    gone = db.session.execute(sa.delete(StoryMark).where(*_is(newsletter_id, kind, first, second)))
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def _is(newsletter_id: int, kind: Mark, first: int, second: int | None) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        StoryMark.newsletter_id == newsletter_id,
        StoryMark.mark == kind,
        StoryMark.story_id == first,
        StoryMark.other_story_id == second if second is not None else StoryMark.other_story_id.is_(None),
    )


def withdraw(story_id: int, reason: str, now: datetime, by: Actor) -> Story:
    """Take a story down in every newsletter: no page, feed or draft shows it any more, whichever feed its page came in.
    Again is no error.

    Joins the caller's transaction, in which the editions that hold it are changed. Raises StoryUnknown.
    """
    with transaction():
        taken = story(story_id)
        if taken.withdrawn_at is None:
            taken.withdrawn_at = now
            audit.record(by, "story.withdraw", f"story:{story_id}", now, title=taken.title, reason=reason)
    return taken


def restore(story_id: int, now: datetime, by: Actor) -> Story:
    """Let a story that was withdrawn by mistake be chosen again. Again is no error. Raises StoryUnknown."""
    with transaction():
        restored = story(story_id)
        if restored.withdrawn_at is not None:
            restored.withdrawn_at = None
            audit.record(by, "story.restore", f"story:{story_id}", now, title=restored.title)
    return restored
