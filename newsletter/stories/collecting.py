"""Polling sources: fetch, read, and keep what is new."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import SYSTEM
from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.stories import polling
from newsletter.stories.asking import Answer, Ask, answer_to, answers
from newsletter.stories.fetching import AnsweredWith, FeedGone, Fetcher
from newsletter.stories.following import NOT_ASKED, source_at
from newsletter.stories.health import latest_dates
from newsletter.stories.models import Source, SourceState, Story, source
from newsletter.stories.parsing import NotAFeed, ParsedStory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collected:
    """What one poll brought. `error` in plain words, or None."""

    source_id: int
    outlet: str
    new: int
    updated: int
    error: str | None


def collect_due(now: datetime, fetcher: Fetcher) -> list[Collected]:
    """Poll every source whose time has come, many at once, and keep each answer as it arrives.

    What cannot be asked within the round's time stays due for the next one.
    """
    query = sa.select(Source).where(Source.next_poll_at <= now, Source.state.not_in(NOT_ASKED))
    asks = [_ask_of(due) for due in db.session.scalars(query.order_by(Source.next_poll_at, Source.id))]
    db.session.rollback()  # no transaction stays open while the network is waited for
    return [_keep_or_say_why(answer, now) for answer in answers(asks, fetcher, now)]


def collect(source_id: int, now: datetime, fetcher: Fetcher) -> Collected:
    """Poll one source. Whatever is wrong with it is written on the source, and raised to nobody."""
    ask = _ask_of(source(source_id))
    db.session.rollback()
    return _keep_or_say_why(answer_to(ask, fetcher, now), now)


def _ask_of(due: Source) -> Ask:
    return Ask(due.id, due.url, due.etag, due.last_modified)


def _keep_or_say_why(answer: Answer, now: datetime) -> Collected:
    """An answer that cannot be kept is a fault of its source, and does not end the round for the others."""
    try:
        return _keep(answer, now)
    except Exception:
        log.exception("What %s answered could not be kept.", answer.ask.url)
        error = NotAFeed(problem="what it holds could not be kept, and our log says why")
        return _keep(Answer(answer.ask, error=error), now)


def _keep(answer: Answer, now: datetime) -> Collected:
    """Write down what came of a poll. A source that was removed or moved meanwhile is left alone, and one that was
    disabled stays so."""
    with transaction():
        polled = locked(Source, answer.ask.source_id)
        if polled is None or polled.url != answer.ask.url:
            return Collected(answer.ask.source_id, "", 0, 0, "the source was removed or moved meanwhile")
        disabled = polled.state is SourceState.DISABLED
        new = updated = 0
        if answer.error is not None:
            _fail(polled, answer.error, now)
        else:
            new, updated = _take(polled, answer, now)
        if disabled:
            polled.state = SourceState.DISABLED
        polled.polled_at = now
        return Collected(polled.id, polled.outlet, new, updated, polled.error)


def _fail(polled: Source, error: NewsletterError, now: datetime) -> None:
    polled.state = SourceState.GONE if isinstance(error, FeedGone) else SourceState.FAILING
    polled.error = str(error)
    polled.failing_since = polled.failing_since or now
    polled.failures += 1
    interval, asked_for = timedelta(seconds=polled.interval_seconds), None
    if isinstance(error, AnsweredWith):
        asked_for = error.wait(now)
        if error.asked_too_often:
            interval = polling.asked_less(interval)
            polled.interval_seconds = int(interval.total_seconds())
    polled.next_poll_at = now + polling.wait_after_failure(interval, polled.failures, asked_for)


def _take(polled: Source, answer: Answer, now: datetime) -> tuple[int, int]:
    fetched, feed = answer.fetched, answer.feed
    new, updated = take_stories(polled.id, feed.stories, now, keep_pictures=polled.page_fetch) if feed else (0, 0)
    silent = polling.is_silent(latest_dates(polled.id), now)
    polled.error, polled.failing_since, polled.failures = None, None, 0
    polled.succeeded_at = now
    if fetched:
        unchanged = fetched.body is None  # RFC 9110 wants the validators in a 304 too; many servers leave them out
        polled.etag = _validator(fetched.etag, 1000) or (polled.etag if unchanged else None)
        polled.last_modified = _validator(fetched.last_modified, 100) or (polled.last_modified if unchanged else None)
        if fetched.moved_to:
            _move(polled, fetched.moved_to, now)
    interval = polling.next_interval(timedelta(seconds=polled.interval_seconds), new > 0, feed.ttl if feed else None)
    polled.interval_seconds = int(interval.total_seconds())
    polled.next_poll_at = now + interval
    polled.state = SourceState.SILENT if silent else SourceState.OK
    return new, updated


def _validator(text: str | None, longest: int) -> str | None:
    """A validator as it is sent back; one that is too long to keep, or that no header may hold, is done without."""
    return text if text and len(text) <= longest and text.isascii() and text.isprintable() else None


def _move(polled: Source, url: str, now: datetime) -> None:
    """Follow a permanent redirect, unless another source is there already."""
    if len(url) > 2000 or source_at(url):
        return
    audit.record(SYSTEM, "source.move", f"source:{polled.id}", now, before=polled.url, after=url)
    polled.url = url


Values = dict[str, Any]
"""A story's columns by their names."""

PICTURE = ("image_url", "image_alt", "image_credit")
CHANGEABLE = ("url", "title", "summary", "author", "section", *PICTURE)


def take_stories(
    source_id: int, parsed: Sequence[ParsedStory], now: datetime, *, keep_pictures: bool = False
) -> tuple[int, int]:
    """Insert what is new and update what has changed, in the caller's transaction; say how many of each. With
    `keep_pictures` a story keeps the picture it has when its feed names none: it is from the story's page.

    A story keeps its first date, so that touching an old item does not make it news. Stories are plain values here,
    written all at once: as objects they cost a third of what parsing does, while others wait to write.
    """
    known = _known(source_id, parsed)
    new: list[Values] = []
    moved: list[Values] = []
    retold: list[Values] = []
    for seen in parsed:
        story = _known_as(seen, known)
        if story is None:
            story = {
                **vars(seen),
                "tags": list(seen.tags),
                "source_id": source_id,
                "first_seen_at": now,
                "updated_at": now,
            }
            known[seen.identity] = known[seen.page] = story
            new.append(story)
        elif told := _changes(story, seen, keep_pictures):
            story.update(told, position=seen.position, updated_at=now)
            retold.append(story)
        elif story["position"] != seen.position:
            story["position"] = seen.position
            moved.append(story)
    if new:
        db.session.execute(sa.insert(Story), new)
    _rewrite(moved, "position")
    _rewrite(retold, "position", "updated_at", *CHANGEABLE)
    return len(new), len(retold)


def _known(source_id: int, parsed: Sequence[ParsedStory]) -> dict[str, Values]:
    """The stories that the feed may be speaking of, by identity and by page; the identity goes first."""
    keys = {key for seen in parsed for key in (seen.identity, seen.page)}
    columns = (Story.id, Story.identity, Story.page, Story.position, *(getattr(Story, name) for name in CHANGEABLE))
    query = sa.select(*columns).where(
        Story.source_id == source_id, sa.or_(Story.identity.in_(keys), Story.page.in_(keys))
    )
    found = [dict(row) for row in db.session.execute(query).mappings()]
    return {story["page"]: story for story in found} | {story["identity"]: story for story in found}


def _known_as(seen: ParsedStory, known: dict[str, Values]) -> Values | None:
    """The story that an item tells again. Where its id is one story's and its page another's (an outlet that gives many
    stories one id, or one page), the headline decides."""
    by_id, by_page = known.get(seen.identity), known.get(seen.page)
    if by_id and by_page and by_id is not by_page and by_id["title"] != seen.title == by_page["title"]:
        return by_page
    return by_id or by_page


def _changes(story: Values, seen: ParsedStory, keep_picture: bool) -> Values:
    kept = PICTURE if keep_picture and not seen.image_url else ()
    said = {name: getattr(seen, name) for name in CHANGEABLE if name not in kept}
    return {name: value for name, value in said.items() if story[name] != value}


def _rewrite(stories: Sequence[Values], *columns: str) -> None:
    """Those that are stored already; what is told twice in one feed may be new."""
    rows = [{name: story[name] for name in ("id", *columns)} for story in stories if "id" in story]
    if rows:
        db.session.execute(sa.update(Story), rows)
