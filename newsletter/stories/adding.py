"""Stories that staff add to a newsletter by hand, from a page or typed in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction, violated
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.foundation.text import JOINERS, one_line
from newsletter.newsletters.models import Newsletter
from newsletter.stories import marking, pages
from newsletter.stories.canonical import digest, page_of
from newsletter.stories.fetching import Fetcher
from newsletter.stories.models import Mark, Story, belongs_to, story
from newsletter.stories.pages import Page
from newsletter.stories.parsing import SUMMARY_AT_MOST


class StoryInvalid(NewsletterError):
    """The {name} cannot be used: {problem}"""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(name=NAMES.get(field, field), problem=problem)
        self.field = field
        self.problem = problem


NAMES = {
    "title": "headline",
    "url": "address",
    "image_url": "picture’s address",
    "image_alt": "picture’s description",
    "image_credit": "picture’s credit",
}
"""What staff call the fields."""


@dataclass(frozen=True)
class StoryByHand:
    """What staff write of a story; only the headline must be there. `outlet` is the newsletter's publisher if empty."""

    title: str
    url: str = ""
    summary: str = ""
    outlet: str = ""
    section: str = ""
    image_url: str = ""
    image_alt: str = ""
    image_credit: str = ""

    @classmethod
    def of(cls, page: Page) -> StoryByHand:
        """What a page says of itself, to be edited."""
        return cls(
            title=page.title,
            url=page.url,
            summary=page.summary,
            outlet=page.outlet,
            image_url=page.image_url,
            image_alt=page.image_alt,
        )

    def completed_by(self, page: Page) -> StoryByHand:
        """The same, with what a page says of itself where nothing was written; of its own picture only."""
        own = replace(page, image_alt="") if self.image_url.strip() not in ("", page.image_url) else page
        return replace(StoryByHand.of(own), **{name: text for name, text in asdict(self).items() if text.strip()})

    @classmethod
    def written(cls, known: Story) -> StoryByHand:
        """A story as it was written, to be edited further."""
        values = {field.name: getattr(known, field.name) or "" for field in fields(cls)}
        return cls(**values)


LONGEST = {
    "title": 500,
    "url": 2000,
    "summary": SUMMARY_AT_MOST,
    "outlet": 200,
    "section": 100,
    "image_url": 2000,
    "image_alt": 500,
    "image_credit": 200,
}


@dataclass(frozen=True)
class Added:
    """A story of the newsletter, and whether it is new or was there before and stands as it stood."""

    story: Story
    is_new: bool


def filled_in(new: StoryByHand, fetcher: Fetcher) -> StoryByHand:
    """The same, with what its page says of itself where nothing was written.

    Raises StoryInvalid, NotAPage, FetchFailed, AddressForbidden and the like.
    """
    url = one_line(new.url)
    if not url:
        raise StoryInvalid("url", "write it, and its page fills in the rest.")
    _check_address("url", url)
    db.session.rollback()  # no transaction stays open while the network is waited for
    return new.completed_by(pages.read(url, fetcher))


def add(newsletter: Newsletter, new: StoryByHand, now: datetime, by: Actor, *, pin: bool = True) -> Added:
    """Add a story to a newsletter, pinned if nothing else is said, so that it is in the next draft.

    A page that the newsletter has already, from a feed or by hand, is no second story: the one that is there is pinned.
    So is what was typed in twice on one day, without a page. Raises StoryInvalid.
    """
    checked = _checked(new, newsletter)
    columns = _columns(checked, now)
    try:
        with transaction() as session:
            known = _known(newsletter.id, checked, columns["page"])
            added = known or Story(
                newsletter_id=newsletter.id, published_at=now, first_seen_at=now, updated_at=now, tags=[], **columns
            )
            if known is None:
                session.add(added)
                session.flush()
                audit.record(by, "story.add", f"story:{added.id}", now, title=added.title, newsletter=newsletter.slug)
            if pin:
                marking.mark(newsletter, added.id, Mark.PINNED, now, by)
    except IntegrityError as error:
        if not _was_added(error):
            raise
        return add(newsletter, new, now, by, pin=pin)
    return Added(added, known is None)


def edit(story_id: int, new: StoryByHand, now: datetime, by: Actor) -> Story:
    """Write a story by hand anew. Raises StoryUnknown, StoryInvalid, Refused for an outlet's own story."""
    try:
        with transaction():
            changed = story(story_id)
            newsletter = _home_of(changed)
            before, checked = StoryByHand.written(changed), _checked(new, newsletter)
            columns = _columns(checked, changed.published_at)
            if columns["page"] != changed.page and (other := _known(newsletter.id, checked, columns["page"])):
                raise StoryInvalid(_key_of(checked), f"story {other.id} has it already.")
            if checked != before:
                for name, value in columns.items():
                    setattr(changed, name, value)
                changed.updated_at = now
                audit.record(by, "story.edit", f"story:{story_id}", now, before=asdict(before), after=asdict(checked))
    except IntegrityError as error:
        if not _was_added(error):
            raise
        return edit(story_id, new, now, by)
    return changed


def _home_of(known: Story) -> Newsletter:
    """The newsletter that a story was added to. Raises Refused."""
    if known.newsletter_id is None:
        raise Refused(why=f"its words are {known.outlet}’s own. Change them in the edition instead.")
    if known.withdrawn_at is not None:
        raise Refused(why="it is withdrawn. Restore it first.")
    return db.session.get_one(Newsletter, known.newsletter_id)


def _was_added(error: IntegrityError) -> bool:
    """Whether somebody else wrote the same story just now."""
    return violated(error, "uq_stories_newsletter_id_identity", "stories.newsletter_id", "stories.identity")


def _columns(new: StoryByHand, published_at: datetime) -> dict[str, Any]:
    key = page_of(new.url) if new.url else digest(f"typed in on {published_at:%Y-%m-%d}: {new.title}")
    columns = asdict(new) | {"identity": key, "page": key, "image_url": new.image_url or None}
    return columns | {"outlet_by_hand": columns.pop("outlet")}


def _known(newsletter_id: int, new: StoryByHand, page: str) -> Story | None:
    """The newsletter's story of that page; the one that is shown, when several outlets' feeds carry it.

    Raises StoryInvalid where the page was withdrawn, since it would be chosen nowhere.
    """
    alike = sa.select(Story).where(Story.page == page).order_by(Story.id)
    if taken := db.session.scalars(alike.where(Story.withdrawn_at.is_not(None))).first():
        raise StoryInvalid(_key_of(new), f"it was withdrawn, as story {taken.id}. Restore that one first.")
    return db.session.scalars(alike.where(belongs_to(newsletter_id))).first()


def _key_of(new: StoryByHand) -> str:
    """The field by which a story is known again."""
    return "url" if new.url else "title"


def _checked(new: StoryByHand, newsletter: Newsletter) -> StoryByHand:
    """The same on one line each. Raises StoryInvalid."""
    clean = StoryByHand(**{name: one_line(value) for name, value in asdict(new).items()})
    if not clean.title.strip(JOINERS + " "):
        raise StoryInvalid("title", "write one.")
    for name, longest in LONGEST.items():
        if len(getattr(clean, name)) > longest:
            raise StoryInvalid(name, f"it is over {longest} characters.")
    for name in ("url", "image_url"):
        _check_address(name, getattr(clean, name))
    return replace(clean, outlet=clean.outlet or newsletter.publisher or newsletter.name)


def _check_address(name: str, url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and " " not in url
    except ValueError:
        fits = False
    if not fits:
        raise StoryInvalid(name, "write it whole, like https://example.org/story.")
