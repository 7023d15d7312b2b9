"""Polling sources: fetch, read, and keep what is new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters.models import Newsletter
from newsletter.stories import parsing
from newsletter.stories.fetching import FeedGone, Fetched, Fetcher
from newsletter.stories.models import NewsletterSource, Source, SourceState, Story, source

INTERVAL = timedelta(minutes=15)
SLOWEST = timedelta(hours=6)


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


def add_source(
    newsletter: Newsletter,
    url: str,
    outlet: str | None,
    now: datetime,
    by: Actor,
    *,
    fetcher: Fetcher | None = None,
    weight: float = 1.0,
    own: bool = False,
) -> Source:
    """Let `newsletter` collect a feed. With a fetcher it is read first, so that a wrong address is told at once and
    the outlet may go by the feed's own title.

    Raises SourceExists, FetchFailed, NotAFeed, AddressForbidden and the like.
    """
    newsletter_id, slug, name = newsletter.id, newsletter.slug, newsletter.name
    if fetcher is not None:
        db.session.rollback()
        feed = _parse(fetcher.fetch(url), now)
        outlet = outlet or (feed.title if feed else None)
    with transaction() as session:
        found = session.scalar(sa.select(Source).where(Source.url == url))
        if found and session.get(NewsletterSource, (newsletter_id, found.id)):
            raise SourceExists(newsletter=name, url=url)
        if found is None:
            found = Source(url=url, outlet=(outlet or url)[:200], next_poll_at=now, created_at=now)
            session.add(found)
            session.flush()
        session.add(NewsletterSource(newsletter_id=newsletter_id, source_id=found.id, weight=weight, own=own))
        audit.record(by, "source.add", f"source:{found.id}", now, url=url, newsletter=slug)
    return found


def move_source(source_id: int, url: str, now: datetime, by: Actor) -> None:
    """Point a source at another address; its stories stay."""
    with transaction():
        moved = source(source_id)
        audit.record(by, "source.move", f"source:{source_id}", now, before=moved.url, after=url)
        moved.url, moved.etag, moved.last_modified, moved.next_poll_at = url, None, None, now


def collect_due(now: datetime, fetcher: Fetcher) -> list[Collected]:
    """Poll every source whose time has come, the longest waiting first."""
    query = sa.select(Source.id).where(
        Source.next_poll_at <= now, Source.state.not_in((SourceState.DISABLED, SourceState.GONE))
    )
    due = db.session.scalars(query.order_by(Source.next_poll_at, Source.id)).all()
    return [collect(source_id, now, fetcher) for source_id in due]


def collect(source_id: int, now: datetime, fetcher: Fetcher) -> Collected:
    """Poll one source. Whatever is wrong with it is written on the source, and raised to nobody."""
    asked = source(source_id)
    url, etag, last_modified = asked.url, asked.etag, asked.last_modified
    db.session.rollback()  # no transaction stays open while the network is waited for
    try:
        fetched = fetcher.fetch(url, etag, last_modified)
        feed = _parse(fetched, now)
    except NewsletterError as error:
        return _failed(source_id, error, now)
    return _kept(source_id, fetched, feed, now)


def _parse(fetched: Fetched, now: datetime) -> parsing.ParsedFeed | None:
    if fetched.body is None:
        return None
    return parsing.parse(fetched.body, fetched.content_type, fetched.url, now)


def _failed(source_id: int, error: NewsletterError, now: datetime) -> Collected:
    with transaction():
        failing = source(source_id)
        failing.state = SourceState.GONE if isinstance(error, FeedGone) else SourceState.FAILING
        failing.error = str(error)
        failing.failing_since = failing.failing_since or now
        failing.failures += 1
        failing.polled_at = now
        failing.next_poll_at = now + min(INTERVAL * 2 ** min(failing.failures - 1, 5), SLOWEST)
        outlet = failing.outlet
    return Collected(source_id, outlet, 0, 0, str(error))


def _kept(source_id: int, fetched: Fetched, feed: parsing.ParsedFeed | None, now: datetime) -> Collected:
    with transaction():
        well = source(source_id)
        new, updated = _keep(source_id, feed.stories, now) if feed else (0, 0)
        well.state, well.error, well.failing_since, well.failures = SourceState.OK, None, None, 0
        well.etag, well.last_modified = fetched.etag, fetched.last_modified
        well.polled_at = well.succeeded_at = now
        well.next_poll_at = now + INTERVAL
        outlet = well.outlet
    return Collected(source_id, outlet, new, updated, None)


def _keep(source_id: int, parsed: Iterable[parsing.ParsedStory], now: datetime) -> tuple[int, int]:
    """Insert what is new and update what has changed; say how many of each."""
    stories = {story.identity: story for story in parsed}
    query = sa.select(Story).where(Story.source_id == source_id, Story.identity.in_(stories))
    known = {story.identity: story for story in db.session.scalars(query)}
    updated = sum(_update(known[identity], stories[identity], now) for identity in known)
    for identity in stories.keys() - known.keys():
        values = asdict(stories[identity]) | {"tags": list(stories[identity].tags)}
        db.session.add(Story(source_id=source_id, first_seen_at=now, updated_at=now, **values))
    return len(stories) - len(known), updated


CHANGEABLE = ("url", "title", "summary", "author", "section", "image_url", "image_alt", "image_credit")


def _update(known: Story, seen: parsing.ParsedStory, now: datetime) -> bool:
    """A story keeps its first date, so that touching an old item does not make it news."""
    known.position = seen.position
    changed = [name for name in CHANGEABLE if getattr(known, name) != getattr(seen, name)]
    for name in changed:
        setattr(known, name, getattr(seen, name))
    if changed:
        known.updated_at = now
    return bool(changed)
