"""The pictures of a draft: fetched, encoded anew and kept with us, so that its mail shows ours."""

from __future__ import annotations

from datetime import datetime

from newsletter.editions.models import Item, Revision
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Pictures
from newsletter.stories import pictures
from newsletter.stories.fetching import Fetcher
from newsletter.stories.pictures import PictureStore


def illustrate(revision_id: int, now: datetime, fetcher: Fetcher, store: PictureStore) -> int:
    """Give the items of a revision that is not sealed their pictures, and say how many have one.

    A picture that cannot be had leaves its item without one, with the reason in `picture_note`.
    """
    revision = db.session.get(Revision, revision_id)
    if revision is None or revision.edition.newsletter.pictures is not Pictures.OWN:
        return 0
    wanted = [item.image_url for item in revision.items if item.image_url]
    known = pictures.fetch_all(wanted, now, fetcher, store)
    with transaction():
        revision = db.session.get(Revision, revision_id)
        if revision is None or revision.sealed_at is not None:
            return 0
        return sum(_give(item, known) for item in revision.items)


def _give(item: Item, known: dict[str, pictures.Picture]) -> bool:
    picture = known.get(item.image_url or "")
    item.picture = picture.name if picture else None
    item.picture_note = picture.error if picture else None
    return item.picture is not None
