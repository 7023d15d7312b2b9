"""Which feeds a newsletter collects, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, AuditRecord
from newsletter.foundation.database import db, locked, transaction, violated
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.foundation.text import one_line
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter
from newsletter.newsletters.settings import SettingInvalid
from newsletter.stories.asking import Ask, answer_to
from newsletter.stories.fetching import Fetcher
from newsletter.stories.items import whole_address
from newsletter.stories.models import NewsletterSource, Source, SourceState, SourceUnknown
from newsletter.stories.outlines import Outline

NOT_ASKED = (SourceState.DISABLED, SourceState.GONE)
"""A source in one of these is left alone until a person says otherwise."""


class SourceExists(NewsletterError):
    """{newsletter} collects {url} already."""


class AddressTaken(NewsletterError):
    """Source {id} is at {url} already. See: newsletter sources list"""


class NotFollowed(NotFound):
    """{newsletter} does not collect source {id}. See: newsletter sources list"""


class NoWebAddress(NewsletterError):
    """“{url}” is no web address. Write it whole, like https://example.org/feed.xml."""


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
    page_fetch: bool = False,
) -> Source:
    """Let `newsletter` collect a feed. With a fetcher it is read first, so that a wrong address is told at once, one
    that has moved for good is followed, and the outlet may go by the feed's own title.

    Raises SourceExists, NoWebAddress, AddressTaken, FetchFailed, NotAFeed, AddressForbidden and the like.
    """
    newsletter_id, slug, name = newsletter.id, newsletter.slug, newsletter.name
    url = whole(url)
    if fetcher is not None:
        db.session.rollback()
        answer = answer_to(Ask(0, url), fetcher, now)
        if answer.error is not None:
            raise answer.error
        outlet = outlet or (answer.feed.title if answer.feed else None)
        url = whole((answer.fetched and answer.fetched.moved_to) or url)
    with _told_apart(url), transaction():
        found = source_at(url) or _new_source(url, outlet, now)
        if not _follow(newsletter_id, found, use or Use(), now):
            raise SourceExists(newsletter=name, url=url)
        found.page_fetch = found.page_fetch or page_fetch
        audit.record(by, "source.add", f"source:{found.id}", now, url=url, newsletter=slug)
    return found


def source_at(url: str) -> Source | None:
    return db.session.scalar(sa.select(Source).where(Source.url == url))


def whole(url: str) -> str:
    """An address as it is kept. Raises NoWebAddress."""
    address = whole_address(url, "")
    if not address:
        raise NoWebAddress(url=one_line(url)[:200])
    return address


def _new_source(url: str, outlet: str | None, now: datetime) -> Source:
    made = Source(url=url, outlet=(one_line(outlet or "") or url)[:200], next_poll_at=now, created_at=now)
    db.session.add(made)
    db.session.flush()
    return made


def _follow(newsletter_id: int, followed: Source, use: Use, now: datetime) -> bool:
    """False when the newsletter follows it already. What nobody followed any more is collected again."""
    if db.session.get(NewsletterSource, (newsletter_id, followed.id)):
        return False
    if followed.state in NOT_ASKED and not _is_followed(followed.id):
        _ask_again(followed, now)
    db.session.add(NewsletterSource(newsletter_id=newsletter_id, source_id=followed.id, **asdict(use)))
    db.session.flush()
    return True


def _is_followed(source_id: int) -> bool:
    return db.session.scalar(sa.select(sa.exists().where(NewsletterSource.source_id == source_id))) or False


def _ask_again(found: Source, now: datetime) -> None:
    found.state, found.next_poll_at = SourceState.NEW, now
    found.error, found.failing_since, found.failures = None, None, 0


def import_sources(
    newsletter: Newsletter, outlines: Sequence[Outline], now: datetime, by: Actor, *, on_topic: bool = False
) -> int:
    """Let `newsletter` collect every feed of a list, and say how many it did not collect before."""
    newsletter_id = newsletter.id
    with transaction():
        added = 0
        for outline in outlines:
            found = source_at(outline.url) or _new_source(outline.url, outline.outlet, now)
            added += _follow(newsletter_id, found, Use(on_topic=on_topic, section=outline.section), now)
        audit.record(by, "source.import", f"newsletter:{newsletter_id}", now, listed=len(outlines), added=added)
    return added


def move_source(source_id: int, url: str, now: datetime, by: Actor) -> None:
    """Point a source at another address; its stories stay. Raises SourceUnknown, NoWebAddress, AddressTaken."""
    with _told_apart(url), transaction():
        _move(_locked(source_id), whole(url), now, by)


def _move(moved: Source, url: str, now: datetime, by: Actor) -> None:
    if (other := source_at(url)) and other.id != moved.id:
        raise AddressTaken(id=other.id, url=url)
    audit.record(by, "source.move", f"source:{moved.id}", now, before=moved.url, after=url)
    moved.url, moved.etag, moved.last_modified, moved.next_poll_at = url, None, None, now
    if moved.state is SourceState.GONE:
        _ask_again(moved, now)


def change(source_id: int, newsletter: Newsletter | None, now: datetime, by: Actor, **settings: str) -> Source:
    """Change how `newsletter` uses a source (weight, own, on_topic, section), or the source itself for everyone
    (outlet, url, page_fetch, disabled); given as the texts that a person types.

    A source that is enabled again is asked at once, also one that was gone. Raises SourceUnknown, SettingInvalid,
    NotFollowed, NoWebAddress, AddressTaken.
    """
    values = {key: read(key, text) for key, text in settings.items()}
    newsletter_id, slug = (newsletter.id, newsletter.slug) if newsletter else (0, None)
    with _told_apart(settings.get("url", "")), transaction():
        changed = _locked(source_id)
        used = db.session.get(NewsletterSource, (newsletter_id, source_id))
        if used is None and USE.keys() & values.keys():
            raise NotFollowed(newsletter=newsletter.name if newsletter else "No newsletter that you name", id=source_id)
        before = {key: _present(changed, used, key) for key in values}
        after = {key: value for key, value in values.items() if before[key] != value}
        for key, value in after.items():
            _set(changed, used, key, value, now, by)
        if after:
            before = {key: before[key] for key in after}
            audit.record(by, "source.change", f"source:{source_id}", now, newsletter=slug, before=before, after=after)
    return changed


def _locked(source_id: int) -> Source:
    found = locked(Source, source_id)
    if found is None:
        raise SourceUnknown(id=source_id)
    return found


def read(key: str, text: str) -> Any:
    """A setting from the text that a person types. Raises SettingInvalid, NoWebAddress."""
    reader = READERS.get(key)
    if reader is None:
        raise SettingInvalid(key=key, problem=f"there is no such setting; there are {', '.join(READERS)}")
    try:
        return reader(text.strip())
    except ValueError as error:
        raise SettingInvalid(key=key, problem=str(error)) from error


def _present(source: Source, used: NewsletterSource | None, key: str) -> Any:
    if key == "disabled":
        return source.state in NOT_ASKED
    return getattr(used if key in USE else source, key)


def _set(source: Source, used: NewsletterSource | None, key: str, value: Any, now: datetime, by: Actor) -> None:
    if key == "url":
        _move(source, value, now, by)
    elif key == "disabled" and not value:
        _ask_again(source, now)
    elif key == "disabled":
        source.state = SourceState.DISABLED
    else:
        setattr(used if key in USE else source, key, value)


class SilenceInvalid(NewsletterError):
    """It cannot be silenced until then: {problem}."""


def silence(newsletter: Newsletter, source_id: int, until: date | None, now: datetime, by: Actor) -> Source:
    """Let a source's stories into none of the newsletter's drafts before a date, or for good. It is collected
    meanwhile, and what a hand pins is let in all the same.

    Raises SourceUnknown, NotFollowed, SilenceInvalid.
    """
    today = calendar.local_date_at(now, newsletter.default_slot.zone)
    if until is not None and until <= today:
        raise SilenceInvalid(problem="choose a day after today")
    return _hush(newsletter, source_id, True, until, now, by)


def hear(newsletter: Newsletter, source_id: int, now: datetime, by: Actor) -> Source:
    """Let its stories in again. Again is no error. Raises SourceUnknown, NotFollowed."""
    return _hush(newsletter, source_id, False, None, now, by)


def _hush(
    newsletter: Newsletter, source_id: int, silenced: bool, until: date | None, now: datetime, by: Actor
) -> Source:
    newsletter_id, slug, name = newsletter.id, newsletter.slug, newsletter.name
    with transaction() as session:
        changed = _locked(source_id)
        used = session.get(NewsletterSource, (newsletter_id, source_id))
        if used is None:
            raise NotFollowed(newsletter=name, id=source_id)
        before = _silence_in_words(used)
        used.silenced, used.silenced_until = silenced, until
        if (after := _silence_in_words(used)) != before:
            audit.record(by, "source.silence", f"source:{source_id}", now, newsletter=slug, before=before, after=after)
    return changed


def _silence_in_words(used: NewsletterSource) -> str:
    if not used.silenced:
        return "heard"
    return f"silent until {used.silenced_until}" if used.silenced_until else "silent"


def unfollow(newsletter: Newsletter, source_id: int, now: datetime, by: Actor) -> Source:
    """Let `newsletter` collect a source no more; its stories stay. One that nobody collects any more is disabled.

    Raises SourceUnknown, NotFollowed.
    """
    newsletter_id, slug, name = newsletter.id, newsletter.slug, newsletter.name
    with transaction() as session:
        left = _locked(source_id)
        used = session.get(NewsletterSource, (newsletter_id, source_id))
        if used is None:
            raise NotFollowed(newsletter=name, id=source_id)
        session.delete(used)
        session.flush()
        if not _is_followed(source_id):
            left.state = SourceState.DISABLED
        audit.record(by, "source.remove", f"source:{source_id}", now, url=left.url, newsletter=slug)
    return left


@contextmanager
def _told_apart(url: str) -> Iterator[None]:
    """Of two who use one address at the same time, the second is told so. Raises AddressTaken."""
    try:
        yield
    except IntegrityError as error:
        if violated(error, "uq_sources_url", "sources.url"):
            raise AddressTaken(id="that was added just now", url=url) from error
        raise


@dataclass(frozen=True)
class Move:
    """A source was at `before` until `at`."""

    before: str
    at: datetime


def last_moves(source_ids: Iterable[int]) -> dict[int, Move]:
    """The last move of each source that has moved."""
    subjects = {f"source:{id}": id for id in source_ids}
    query = sa.select(AuditRecord).where(AuditRecord.action == "source.move", AuditRecord.subject.in_(subjects))
    return {
        subjects[record.subject]: Move(str(record.details.get("before", "")), record.at)
        for record in db.session.scalars(query.order_by(AuditRecord.id))
    }


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0.1 <= weight <= 10:
        raise ValueError("write a number from 0.1 to 10, such as 1.5")
    return weight


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("write yes or no")
    return text == "yes"


def _line(longest: int, *, empty: bool = True) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) > longest or not text.isprintable() or not (text or empty):
            raise ValueError(f"write {'at most' if empty else '1 to'} {longest} characters on one line")
        return text

    return read


USE: dict[str, Callable[[str], Any]] = {
    "weight": _weight,
    "own": _yes_or_no,
    "on_topic": _yes_or_no,
    "section": _line(100),
}
READERS: dict[str, Callable[[str], Any]] = {
    **USE,
    "outlet": _line(200, empty=False),
    "url": whole,
    "page_fetch": _yes_or_no,
    "disabled": _yes_or_no,
}
"""Each setting that can be changed, with how the text that a person types is read; those of USE are a newsletter's."""
