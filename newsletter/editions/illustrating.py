"""The pictures of a draft: fetched, encoded anew and kept with us, so that its mail shows ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.editions import reaching
from newsletter.editions.models import Item, Revision
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters.models import Pictures
from newsletter.stories import pages, pictures
from newsletter.stories.fetching import Fetcher
from newsletter.stories.models import Source, Story
from newsletter.stories.pages import Page
from newsletter.stories.pictures import PictureStore

PAGES_AT_ONCE = 4
PAGES_SECONDS = 30.0
"""No further page is looked at after this long: a draft waits for words, not for pictures."""

NO_PICTURE = "Neither the feed nor the article’s page names a picture."
NO_TIME = "There was no time to look at the article’s page for a picture."


def illustrate(revision_id: int, now: datetime, fetcher: Fetcher, store: PictureStore) -> int:
    """Give the items of a revision that is not sealed their pictures, and say how many have one of ours.

    Where the feed names none, the article's page is looked at, if its source allows it. A picture that cannot be had
    leaves its item without one, with the reason in `picture_note`.
    """
    revision = db.session.get(Revision, revision_id)
    if revision is None or revision.edition.newsletter.pictures is Pictures.NONE:
        return 0
    ours = revision.edition.newsletter.pictures is Pictures.OWN
    if found := _look_at_pages(revision_id, fetcher):
        _take_from_pages(revision_id, found)
    if ours:
        return _take_copies(revision_id, now, fetcher, store)
    _refuse_addresses(revision_id)
    return 0


@dataclass(frozen=True)
class _Looked:
    """What a page said, or why it said nothing."""

    page: Page | None = None
    note: str = ""


def _look_at_pages(revision_id: int, fetcher: Fetcher) -> dict[int, _Looked]:
    """What the pages of items without a picture say, by item: of sources that allow it, and each once."""
    query = (
        sa.select(Item.id, Item.url)
        .join(Story, Story.id == Item.story_id)
        .join(Source, Source.id == Story.source_id)
        .where(
            Item.revision_id == revision_id, Item.image_url.is_(None), Item.picture_note.is_(None), Source.page_fetch
        )
        .order_by(Item.position)
    )
    wanted = [(row[0], row[1]) for row in db.session.execute(query)]
    db.session.rollback()  # no transaction stays open while the network is waited for
    look = _looker(fetcher, time.monotonic() + PAGES_SECONDS)
    with ThreadPoolExecutor(PAGES_AT_ONCE, "pages") as pool:
        return dict(zip((id for id, _ in wanted), pool.map(look, [url for _, url in wanted]), strict=True))


def _looker(fetcher: Fetcher, until: float) -> Callable[[str], _Looked]:
    def look(url: str) -> _Looked:
        if time.monotonic() > until:
            return _Looked(note=NO_TIME)
        try:
            page = pages.read(url, fetcher)
        except NewsletterError as error:
            return _Looked(note=f"The article’s page could not be looked at for a picture. {error}"[:300])
        return _Looked(page) if page.image_url else _Looked(note=NO_PICTURE)

    return look


def _take_from_pages(revision_id: int, looked: dict[int, _Looked]) -> None:
    """Story and item get what the page said, unless somebody gave them a picture meanwhile."""
    with transaction():
        for item in _open_items(revision_id):
            if item.image_url is None and (found := looked.get(item.id)):
                item.picture_note = found.note or None
                if found.page:
                    item.image_url = found.page.image_url
                    if "image_alt" not in item.by_hand:
                        item.image_alt = found.page.image_alt
                    _remember(item)


def _remember(item: Item) -> None:
    told = db.session.get(Story, item.story_id) if item.story_id else None
    if told is not None and told.image_url is None:
        told.image_url, told.image_alt = item.image_url, item.image_alt


def _open_items(revision_id: int) -> Sequence[Item]:
    """None when the revision is sealed: from then on it never changes."""
    revision = db.session.get(Revision, revision_id)
    return revision.items if revision is not None and revision.sealed_at is None else ()


def _refuse_addresses(revision_id: int) -> None:
    """Readers are not sent to a picture that they cannot have: it would keep the edition from being approved."""
    with transaction():
        for item in _open_items(revision_id):
            if item.image_url and (wrong := reaching.fault(item.image_url)):
                item.image_url, item.picture_note = None, f"Its address {wrong}."[:300]


def _take_copies(revision_id: int, now: datetime, fetcher: Fetcher, store: PictureStore) -> int:
    wanted = db.session.scalars(
        sa.select(Item.image_url)
        .where(Item.revision_id == revision_id, Item.image_url.is_not(None))
        .order_by(Item.position)
    )
    known = pictures.fetch_all([address for address in wanted if address], now, fetcher, store)
    with transaction():
        return sum(_give(item, known) for item in _open_items(revision_id))


def _give(item: Item, known: dict[str, pictures.Picture]) -> bool:
    picture = known.get(item.image_url or "")
    item.picture = picture.name if picture else None
    if item.image_url:
        item.picture_note = picture.error if picture else None
    return item.picture is not None
