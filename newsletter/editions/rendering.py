"""An edition as a mail's two parts, once for all its readers."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from newsletter.editions.models import Edition, EditionKind, Item, Revision
from newsletter.editions.tagging import tagged
from newsletter.foundation import writing
from newsletter.foundation.languages import spoken
from newsletter.foundation.links import the_links
from newsletter.mail import templates
from newsletter.mail.message import fill, mark
from newsletter.mail.templates import Rendered
from newsletter.newsletters.models import Newsletter, Pictures
from newsletter.stories.pictures import WIDTHS

READER_WORDS = ("address", "unsubscribe_url", "preferences_url")
"""What differs from reader to reader; each stands in the parts as a mark."""


LARGEST = 100_000
"""Octets of HTML. Gmail cuts a mail off after 102 KB, and with it the way to leave."""

OTHERS_SHOWN = (None, 3, 1, 0)
"""How many of those that cover a story too are named, the fewer the larger the mail is."""


@dataclass(frozen=True)
class Parts:
    """A rendered revision: HTML and text with marks made with `marker`."""

    html: str
    text: str
    marker: str


def render(revision: Revision, language: str | None = None) -> Parts:
    """`language` is that of the words around the stories, the newsletter's own unless told. Raises TemplateBroken.

    Of a mail that would be cut off, those are named no more that cover a story too; they are counted instead.
    """
    marker = secrets.token_hex(8)
    words = {word: mark(marker, word) for word in READER_WORDS}
    rendered, _ = _fitting(revision, spoken(language or revision.edition.newsletter.language), words)
    return Parts(rendered.html, rendered.text, marker)


def _fitting(revision: Revision, ours: str, reader: Mapping[str, str]) -> tuple[Rendered, dict[str, Any]]:
    """The largest form that is not cut off, and what it is made of."""
    for others in OTHERS_SHOWN:
        data = _data(revision, ours, reader, others)
        rendered = templates.render("edition", language=ours, **data)
        if len(rendered.html.encode()) <= LARGEST:
            break
    return rendered, data


OF_NEWSLETTER = ("name", "language", "tagline", "logo_url", "publisher", "postal_address", "accent", "typeface")


def _data(revision: Revision, ours: str, reader: Mapping[str, str], others: int | None) -> dict[str, Any]:
    """All that the template says, as plain JSON values."""
    edition = revision.edition
    return {
        "newsletter": {name: getattr(edition.newsletter, name) for name in OF_NEWSLETTER},
        "edition": {"kind": str(edition.kind)},
        "day_text": writing.day(edition.local_date, ours),
        "archive_link": the_links().to(archive_path(edition)) if edition.newsletter.has_archive else "",
        "subject": revision.subject,
        "preheader": revision.preheader,
        "intro": revision.intro,
        "items": [_item(item, edition, others) for item in revision.items],
        "block": _block(revision),
        "reader": dict(reader),
    }


def trial(revision: Revision, address: str) -> dict[str, Any]:
    """What a test mail to one of the staff is made of; its links to leave and to choose lead to the site's own pages,
    since nobody is signed up by it. Raises TemplateBroken."""
    home = the_links().to("/")
    reader = {"address": address, "unsubscribe_url": home, "preferences_url": home}
    _, data = _fitting(revision, spoken(revision.edition.newsletter.language), reader)
    return data | {"subject": f"Test: {data['subject']}"}


def parts_of(revision: Revision) -> Parts:
    """What was sealed, word for word; or what would be, while nothing is."""
    if revision.parts:
        sealed = revision.parts[0]
        return Parts(sealed.html or "", sealed.text, sealed.marker)
    return render(revision)


def archive_path(edition: Edition) -> str:
    """Where anybody may read the edition once it has gone out; its corrections stand in its place, and a special one
    beside the daily one."""
    special = f"/special-{edition.stands_at}" if edition.stands_at else ""
    slot = "" if edition.slot_id == edition.newsletter.default_slot.id else f"/{edition.slot_id}"
    return f"/editions/{edition.newsletter.slug}{slot}/{edition.local_date}{special}"


SHOWN = ("headline", "summary", "outlet", "section", "image_alt", "image_credit", "is_update")


def _item(item: Item, edition: Edition, others: int | None) -> dict[str, Any]:
    """`others` is how many that cover the story too are named at most."""
    tags, named = edition.newsletter.link_tags, item.also_covered[:others]
    return {name: getattr(item, name) for name in SHOWN} | {
        "url": tagged(item.url, tags),
        "image_url": picture_url(item, edition.newsletter.pictures),
        "also_covered": [other | {"url": tagged(other["url"], tags)} for other in named],
        "more_outlets": max(0, item.outlets - 1 - len(named)),
        "hours_old": _hours(item.published_at, _as_of(edition)),
    }


def _block(revision: Revision) -> dict[str, Any] | None:
    """The house or sponsor block, after the story that it is to stand after or the last one."""
    if not revision.block:
        return None
    words = dict(revision.block)
    words["url"] = tagged(words["url"], revision.edition.newsletter.link_tags)
    words["after"] = min(max(1, words["after"]), max(1, len(revision.items)))
    return words


def picture_url(item: Item, shown: Pictures) -> str | None:
    """Where the item's picture is for a reader; the lead's in double width, for sharp screens."""
    if shown is Pictures.OWN:
        width = max(WIDTHS) if item.position == 1 else min(WIDTHS)
        return the_links().to(f"/pictures/{item.picture}-{width}.jpg") if item.picture else None
    return item.image_url if shown is Pictures.LINK else None


def _as_of(edition: Edition) -> datetime:
    """The moment that it tells the news of. A special edition is made for no slot."""
    return edition.created_at if edition.kind is EditionKind.SPECIAL else edition.slot_at


def _hours(published_at: datetime, at: datetime) -> int:
    """How old a story is, in whole hours; 0 when it came after that moment."""
    return max(0, int((at - published_at).total_seconds() // 3600))


DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)")
HEADLINE = re.compile(r'<h[23] class="ink headline')


def preview(parts: Parts, newsletter: Newsletter, form: str, scheme: str | None = None) -> str:
    """The HTML or the text as a reader would see it, with a made-up reader; the HTML in `scheme`, "light" or "dark",
    whichever the looker's own is. Each story's headline can be led to as story-1, story-2 …"""
    words: Mapping[str, str] = {
        "address": f"reader@{newsletter.from_address.rpartition('@')[2]}",
        "unsubscribe_url": "#",
        "preferences_url": "#",
    }
    if form == "text":
        return fill(parts.text, parts.marker, words)
    shown = fill(parts.html, parts.marker, words, html.escape)
    places = count(1)
    shown = HEADLINE.sub(lambda found: found[0].replace(" ", f' id="story-{next(places)}" ', 1), shown)
    return _in_scheme(shown, scheme) if scheme else shown


def _in_scheme(shown: str, scheme: str) -> str:
    shown = DARK.sub("@media all" if scheme == "dark" else "@media not all", shown)
    for before in ('content="light dark"', "color-scheme: light dark"):
        shown = shown.replace(before, before.replace("light dark", scheme))
    return shown
