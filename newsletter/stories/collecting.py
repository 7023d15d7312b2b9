"""Polling sources: fetch, read, and keep what is new."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import SYSTEM, Actor
from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters.models import Newsletter
from newsletter.stories import polling
from newsletter.stories.asking import Answer, Ask, answer_to, answers
from newsletter.stories.fetching import AnsweredWith, FeedGone, Fetcher
from newsletter.stories.models import NewsletterSource, Source, SourceState, Story, latest_of, source
from newsletter.stories.outlines import Outline
from newsletter.stories.parsing import NotAFeed, ParsedStory

log = logging.getLogger(__name__)


class SourceExists(NewsletterError):
    """{newsletter} collects {url} already."""


@dataclass(frozen=True)
class Collected:
    """What one poll brought. `error` in plain words, or None."""

    source_id: int
    outlet: str
    new: int
    updated: int
    error: str | None


@dataclass(frozen=True)
class Use:
    """How a newsletter uses a source; see NewsletterSource."""

    weight: float = 1.0
    own: bool = False
    on_topic: bool = False
    section: str = ""


def add_source(
    newsletter: Newsletter,
    url: str,
    outlet: str | None,
    now: datetime,
    by: Actor,
    *,
    fetcher: Fetcher | None = None,
    use: Use | None = None,
) -> Source:
    """Let `newsletter` collect a feed. With a fetcher it is read first, so that a wrong address is told at once and
    the outlet may go by the feed's own title.

    Raises SourceExists, FetchFailed, NotAFeed, AddressForbidden and the like.
    """
    newsletter_id, slug, name = newsletter.id, newsletter.slug, newsletter.name
    if fetcher is not None:
        db.session.rollback()
        answer = answer_to(Ask(0, url), fetcher, now)
        if answer.error is not None:
            raise answer.error
        outlet = outlet or (answer.feed.title if answer.feed else None)
    with transaction():
        found = _source_at(url) or _new_source(url, outlet, now)
        if not _follow(newsletter_id, found, use or Use()):
            raise SourceExists(newsletter=name, url=url)
        audit.record(by, "source.add", f"source:{found.id}", now, url=url, newsletter=slug)
    return found


def _source_at(url: str) -> Source | None:
    return db.session.scalar(sa.select(Source).where(Source.url == url))


def _new_source(url: str, outlet: str | None, now: datetime) -> Source:
    made = Source(url=url, outlet=(outlet or url)[:200], next_poll_at=now, created_at=now)
    db.session.add(made)
    db.session.flush()
    return made


def _follow(newsletter_id: int, followed: Source, use: Use) -> bool:
    """False when the newsletter follows it already."""
    if db.session.get(NewsletterSource, (newsletter_id, followed.id)):
        return False
    db.session.add(NewsletterSource(newsletter_id=newsletter_id, source_id=followed.id, **asdict(use)))
    return True


def import_sources(
    newsletter: Newsletter, outlines: Sequence[Outline], now: datetime, by: Actor, *, on_topic: bool = False
) -> int:
    """Let `newsletter` collect every feed of a list, and say how many it did not collect before."""
    newsletter_id = newsletter.id
    with transaction():
        added = 0
        for outline in outlines:
            found = _source_at(outline.url) or _new_source(outline.url, outline.outlet, now)
            added += _follow(newsletter_id, found, Use(on_topic=on_topic, section=outline.section))
        audit.record(by, "source.import", f"newsletter:{newsletter_id}", now, listed=len(outlines), added=added)
    return added


def move_source(source_id: int, url: str, now: datetime, by: Actor) -> None:
    """Point a source at another address; its stories stay."""
    with transaction():
        moved = source(source_id)
        audit.record(by, "source.move", f"source:{source_id}", now, before=moved.url, after=url)
        moved.url, moved.etag, moved.last_modified, moved.next_poll_at = url, None, None, now


def collect_due(now: datetime, fetcher: Fetcher) -> list[Collected]:
    """Poll every source whose time has come, many at once, and keep each answer as it arrives.

    What cannot be asked within the round's time stays due for the next one.
    """
    query = sa.select(Source).where(
        Source.next_poll_at <= now, Source.state.not_in((SourceState.DISABLED, SourceState.GONE))
    )
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
    """Write down what came of a poll. A source that was removed meanwhile is left alone."""
    with transaction():
        polled = locked(Source, answer.ask.source_id)
        if polled is None:
            return Collected(answer.ask.source_id, "", 0, 0, "the source was removed")
        polled.polled_at = now
        if answer.error is not None:
            _fail(polled, answer.error, now)
            return Collected(polled.id, polled.outlet, 0, 0, polled.error)
        new, updated = _take(polled, answer, now)
        return Collected(polled.id, polled.outlet, new, updated, None)


def _fail(polled: Source, error: NewsletterError, now: datetime) -> None:
    polled.state = SourceState.GONE if isinstance(error, FeedGone) else SourceState.FAILING
    polled.error = str(error)
    polled.failing_since = polled.failing_since or now
    polled.failures += 1
    asked_for = error.wait(now) if isinstance(error, AnsweredWith) else None
    interval = timedelta(seconds=polled.interval_seconds)
    polled.next_poll_at = now + polling.wait_after_failure(interval, polled.failures, asked_for)


def _take(polled: Source, answer: Answer, now: datetime) -> tuple[int, int]:
    fetched, feed = answer.fetched, answer.feed
    new, updated = take_stories(polled.id, feed.stories, now) if feed else (0, 0)
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
    silent = polling.is_silent([story.published_at for story in latest_of(polled.id, 50)], now)
    polled.state = SourceState.SILENT if silent else SourceState.OK
    return new, updated


def _validator(text: str | None, longest: int) -> str | None:
    """A validator as it is sent back; one that is too long to keep, or that no header may hold, is done without."""
    return text if text and len(text) <= longest and text.isascii() and text.isprintable() else None


def _move(polled: Source, url: str, now: datetime) -> None:
    """Follow a permanent redirect, unless another source is there already."""
    if len(url) > 2000 or _source_at(url):
        return
    audit.record(SYSTEM, "source.move", f"source:{polled.id}", now, before=polled.url, after=url)
    polled.url = url


def take_stories(source_id: int, parsed: Sequence[ParsedStory], now: datetime) -> tuple[int, int]:
    """Insert what is new and update what has changed, in the caller's transaction; say how many of each."""
    known = _known(source_id, parsed)
    new = updated = 0
    for seen in parsed:
        story = known.get(seen.identity) or known.get(seen.page)
        if story is None:
            story = Story(source_id=source_id, first_seen_at=now, updated_at=now, **_values(seen))
            db.session.add(story)
            known[seen.identity] = known[seen.page] = story
            new += 1
        else:
            updated += _update(story, seen, now)
    return new, updated


def _known(source_id: int, parsed: Sequence[ParsedStory]) -> dict[str, Story]:
    """The stories that the feed may be speaking of, by identity and by page; the identity goes first."""
    keys = {key for seen in parsed for key in (seen.identity, seen.page)}
    query = sa.select(Story).where(Story.source_id == source_id, sa.or_(Story.identity.in_(keys), Story.page.in_(keys)))
    found = db.session.scalars(query).all()
    return {story.page: story for story in found} | {story.identity: story for story in found}


def _values(seen: ParsedStory) -> dict[str, object]:
    return asdict(seen) | {"tags": list(seen.tags)}


CHANGEABLE = ("url", "title", "summary", "author", "section", "image_url", "image_alt", "image_credit")


def _update(known: Story, seen: ParsedStory, now: datetime) -> bool:
    """A story keeps its first date, so that touching an old item does not make it news."""
    known.position = seen.position
    changed = [name for name in CHANGEABLE if getattr(known, name) != getattr(seen, name)]
    for name in changed:
        setattr(known, name, getattr(seen, name))
    if changed:
        known.updated_at = now
    return bool(changed)
