"""An edition as a mail's two parts, once for all its readers."""

from __future__ import annotations

import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace

from newsletter.editions.models import Edition, Item, Revision
from newsletter.foundation.languages import spoken
from newsletter.foundation.links import the_links
from newsletter.mail import templates
from newsletter.mail.message import fill, mark
from newsletter.newsletters.models import Newsletter, Pictures
from newsletter.stories.pictures import WIDTHS

READER_WORDS = ("address", "unsubscribe_url", "preferences_url")
"""What differs from reader to reader; each stands in the parts as a mark."""


@dataclass(frozen=True)
class Parts:
    """A rendered revision: HTML and text with marks made with `marker`."""

    html: str
    text: str
    marker: str


def render(revision: Revision, language: str | None = None) -> Parts:
    """`language` is that of the words around the stories, the newsletter's own unless told. Raises TemplateBroken."""
    edition = revision.edition
    marker = secrets.token_hex(8)
    rendered = templates.render(
        "edition",
        language=spoken(language or edition.newsletter.language),
        newsletter=edition.newsletter,
        edition=edition,
        day_text=day_text(edition.local_date),
        subject=revision.subject,
        preheader=revision.preheader,
        intro=revision.intro,
        items=[_item(item, edition.slot_at, edition.newsletter.pictures) for item in revision.items],
        reader=SimpleNamespace(**{word: mark(marker, word) for word in READER_WORDS}),
    )
    return Parts(rendered.html, rendered.text, marker)


def parts_of(revision: Revision) -> Parts:
    """What was sealed, word for word; or what would be, while nothing is."""
    if revision.parts:
        sealed = revision.parts[0]
        return Parts(sealed.html or "", sealed.text, sealed.marker)
    return render(revision)


def archive_path(edition: Edition) -> str:
    """Where anybody may read the edition once it has gone out; its corrections stand in its place."""
    slot = "" if edition.slot_id == edition.newsletter.default_slot.id else f"/{edition.slot_id}"
    return f"/editions/{edition.newsletter.slug}{slot}/{edition.local_date}"


def day_text(day: object) -> str:
    return f"{day:%A, %-d %B %Y}"


SHOWN = ("headline", "summary", "url", "outlet", "section", "image_alt", "image_credit", "is_update")


def _item(item: Item, at: datetime, shown: Pictures) -> SimpleNamespace:
    return SimpleNamespace(
        **{name: getattr(item, name) for name in SHOWN},
        image_url=picture_url(item, shown),
        also_covered=[SimpleNamespace(**other) for other in item.also_covered],
        more_outlets=max(0, item.outlets - 1 - len(item.also_covered)),
        published_text=_age(item.published_at, at),
    )


def picture_url(item: Item, shown: Pictures) -> str | None:
    """Where the item's picture is for a reader; the lead's in double width, for sharp screens."""
    if shown is Pictures.OWN:
        width = max(WIDTHS) if item.position == 1 else min(WIDTHS)
        return the_links().to(f"/pictures/{item.picture}-{width}.jpg") if item.picture else None
    return item.image_url if shown is Pictures.LINK else None


def _age(published_at: datetime, at: datetime) -> str:
    hours = int((at - published_at).total_seconds() // 3600)
    if hours < 1:
        return ""
    return f"{hours} h ago" if hours < 36 else f"{hours // 24} days ago"


def preview(parts: Parts, newsletter: Newsletter, form: str) -> str:
    """The HTML or the text as a reader would see it, with a made-up reader."""
    words: Mapping[str, str] = {
        "address": f"reader@{newsletter.from_address.rpartition('@')[2]}",
        "unsubscribe_url": "#",
        "preferences_url": "#",
    }
    if form == "text":
        return fill(parts.text, parts.marker, words)
    return fill(parts.html, parts.marker, words, html.escape)
