"""Past editions for everybody to read, and feeds of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from email.utils import format_datetime

from flask import Blueprint, Flask, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.editions import archive
from newsletter.editions.archive import PastEdition, Told
from newsletter.editions.rendering import archive_path
from newsletter.foundation.errors import NotFound
from newsletter.foundation.languages import ENGLISH
from newsletter.foundation.links import the_links
from newsletter.newsletters.models import Newsletter, Slot, newsletter, newsletters
from newsletter.stories.pictures import WIDTHS, the_pictures
from newsletter.web.speaking import speaking
from newsletter.web.visitors import house

MONTHS_SHOWN = 2
FEED_LENGTH = 20
PICTURES_SHOWN = 3
KEPT_SECONDS = 300
AT_MOST = 2**31 - 1
"""A larger number is no column's."""

RSS, JSON_FEED = "application/rss+xml", "application/feed+json"

pages = Blueprint("archive", __name__)


def install(app: Flask) -> None:
    app.register_blueprint(pages)
    app.jinja_env.globals["archive_path"] = archive_path
    app.jinja_env.filters["mail_date"] = format_datetime  # RSS writes dates as mail does


@pages.get("/editions/", strict_slashes=False)
def index() -> ResponseReturnValue:
    """The newsletters that have past editions; where there is one newsletter, its list."""
    every = _readable()
    if len(every) == 1:
        return _list(every[0])
    found = [(one, past) for one in every if (past := _newest(one))]
    hidden = _hides([one for one, _ in found])
    return _kept(render_template("public/archive_index.html", found=found, noindex=hidden), hidden)


class NoArchive(NotFound):
    """{name} shows no past editions."""


def _readable() -> list[Newsletter]:
    """The newsletters whose past editions anybody may read."""
    return [one for one in newsletters() if one.has_archive]


def _open(slug: str) -> Newsletter:
    """Raises NewsletterUnknown, NoArchive."""
    found = newsletter(slug)
    if not found.has_archive:
        raise NoArchive(name=found.name)
    return found


def _newest(one: Newsletter) -> PastEdition | None:
    """Its last edition; the default slot's, if that has any."""
    slots = sorted(one.every_slot, key=lambda slot: not slot.is_default)
    return next(filter(None, map(archive.newest, slots)), None)


@pages.get("/editions/<slug>/", strict_slashes=False)
def of_newsletter(slug: str) -> ResponseReturnValue:
    return _list(_open(slug))


def _list(one: Newsletter) -> ResponseReturnValue:
    months = archive.months(one)
    return _page(
        "list",
        one,
        shown=[(month, archive.days_of(one, month)) for month in months[:MONTHS_SHOWN]],
        older=months[MONTHS_SHOWN:],
        canonical=_whole(url_for("archive.of_newsletter", slug=one.slug)),
    )


@pages.get("/editions/<slug>/<string(length=7):month>/", strict_slashes=False)
def of_month(slug: str, month: str) -> ResponseReturnValue:
    one, first = _open(slug), _date(f"{month}-01")
    months = archive.months(one)
    if first not in months:
        return _missing(one)
    at = months.index(first)
    return _page(
        "month",
        one,
        month=first,
        days=archive.days_of(one, first),
        later=months[at - 1] if at else None,
        earlier=months[at + 1] if at + 1 < len(months) else None,
        canonical=_whole(url_for("archive.of_month", slug=slug, month=month)),
    )


@pages.get("/editions/<slug>/<string(length=10):day>")
def of_day(slug: str, day: str) -> ResponseReturnValue:
    one = _open(slug)
    return _edition(one, one.default_slot, day)


@pages.get(f"/editions/<slug>/<int(max={AT_MOST}):slot_id>/<string(length=10):day>")
def of_slot(slug: str, slot_id: int, day: str) -> ResponseReturnValue:
    one = _open(slug)
    return _edition(one, _slot(one, slot_id), day)


@pages.get(f"/editions/<slug>/<string(length=10):day>/special-<int(min=1, max={AT_MOST}):number>")
def special_of_day(slug: str, day: str, number: int) -> ResponseReturnValue:
    one = _open(slug)
    return _edition(one, one.default_slot, day, number)


@pages.get(
    f"/editions/<slug>/<int(max={AT_MOST}):slot_id>/<string(length=10):day>/special-<int(min=1, max={AT_MOST}):number>"
)
def special_of_slot(slug: str, slot_id: int, day: str, number: int) -> ResponseReturnValue:
    one = _open(slug)
    return _edition(one, _slot(one, slot_id), day, number)


def _slot(one: Newsletter, slot_id: int) -> Slot | None:
    return next((slot for slot in one.every_slot if slot.id == slot_id), None)


def _edition(one: Newsletter, slot: Slot | None, text: str, number: int = 0) -> ResponseReturnValue:
    """The daily edition of the date, or with a number a special one."""
    day = _date(text)
    past = _past(slot, day, number) if slot and day else None
    if slot is None or day is None or past is None:
        return _missing(one)
    lead, *others = past.stories[:PICTURES_SHOWN]
    pictures = [picture_of(lead, max(WIDTHS)), *(picture_of(other, min(WIDTHS)) for other in others)]
    return _page(
        "edition",
        one,
        past=past,
        slot=slot,
        pictures=pictures,
        lead_url=_whole(pictures[0].url) if pictures[0] else None,
        earlier=archive.before(slot, day),
        later=archive.after(slot, day),
        canonical=_whole(archive_path(past.edition)),
    )


def _past(slot: Slot, day: date, number: int) -> PastEdition | None:
    return archive.special(slot, day, number) if number else archive.on(slot, day)


def _page(name: str, one: Newsletter, **words: object) -> Response:
    return _kept(render_template(f"public/archive_{name}.html", newsletter=one, **words), one.noindex)


def _missing(one: Newsletter) -> ResponseReturnValue:
    return render_template("public/archive_missing.html", newsletter=one), 404


def _date(text: str) -> date | None:
    """The date that stands there as 2026-03-03 and in no other way."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.isoformat() == text else None


@dataclass(frozen=True)
class ShownPicture:
    """A picture on a page. How large it is is known of our own."""

    url: str
    width: int | None = None
    height: int | None = None
    srcset: str = ""


def picture_of(story: Told, width: int) -> ShownPicture | None:
    """The story's picture, of our own ones those up to `width`."""
    if story.image_url:
        return ShownPicture(story.image_url)
    name, store = story.picture or "", the_pictures()
    there = [(wide, size) for wide in WIDTHS if wide <= width and (size := store.size(name, wide))]
    if not there:
        return None
    addresses = [url_for("public.picture", name=name, width=wide) for wide, _ in there]
    srcset = ", ".join(f"{address} {size[0]}w" for address, (_, size) in zip(addresses, there, strict=True))
    return ShownPicture(addresses[-1], *there[-1][1], srcset if len(there) > 1 else "")


@dataclass(frozen=True)
class Entry:
    """An edition in a feed. Its `id` stays when the edition is corrected and when this site moves."""

    id: str
    past: PastEdition
    link: str
    html: str
    image: str | None


@dataclass(frozen=True)
class Channel:
    """A feed before it is written down: of a newsletter's default slot, or of all of them."""

    title: str
    description: str
    language: str
    link: str
    address: str
    entries: list[Entry]
    noindex: bool


@pages.get("/feed.xml")
def feed() -> ResponseReturnValue:
    every = _readable()
    if len(every) == 1:
        return _rss(_channel(every[0]))
    found = [past for one in every for past in archive.latest(one.default_slot, FEED_LENGTH)]
    found.sort(key=lambda past: past.sent_at, reverse=True)
    with speaking(every[0].language if every else ENGLISH):
        title = house().name
    channel = Channel(
        title=title,
        description=", ".join(one.name for one in every),
        language="",
        link=_whole(url_for("archive.index")),
        address=_whole(request.path),
        entries=[_entry(past) for past in found[:FEED_LENGTH]],
        noindex=_hides(every),
    )
    return _rss(channel)


@pages.get("/editions/<slug>/feed.xml")
def rss(slug: str) -> ResponseReturnValue:
    return _rss(_channel(_open(slug)))


@pages.get("/editions/<slug>/feed.json")
def json_feed(slug: str) -> ResponseReturnValue:
    """See https://www.jsonfeed.org/version/1.1/."""
    channel = _channel(_open(slug))
    written = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "description": channel.description,
        "language": channel.language,
        "home_page_url": channel.link,
        "feed_url": channel.address,
        "items": [_json_item(entry) for entry in channel.entries],
    }
    return _kept(json.dumps(_filled(written), ensure_ascii=False), channel.noindex, JSON_FEED)


def _channel(one: Newsletter) -> Channel:
    return Channel(
        title=one.name,
        description=one.tagline or one.promise or one.name,
        language=one.language,
        link=_whole(url_for("archive.of_newsletter", slug=one.slug)),
        address=_whole(request.path),
        entries=[_entry(past) for past in archive.latest(one.default_slot, FEED_LENGTH)],
        noindex=one.noindex,
    )


def _entry(past: PastEdition) -> Entry:
    """In the newsletter's language, because a feed is fetched once for many readers."""
    edition, lead = past.edition, picture_of(past.stories[0], max(WIDTHS))
    image, link = _whole(lead.url) if lead else None, _whole(archive_path(edition))
    special = f"/special-{edition.stands_at}" if edition.stands_at else ""
    with speaking(edition.newsletter.language):
        html = render_template("public/archive_entry.html", past=past, image=image, link=link).strip()
    return Entry(
        id=f"{edition.newsletter.slug}/{edition.slot_id}/{edition.local_date}{special}",
        past=past,
        link=link,
        html=html,
        image=image,
    )


def _rss(channel: Channel) -> Response:
    return _kept(render_template("public/archive_feed.xml", channel=channel), channel.noindex, RSS)


def _json_item(entry: Entry) -> dict[str, object]:
    return _filled(
        {
            "id": entry.id,
            "url": entry.link,
            "title": entry.past.title,
            "summary": entry.past.summary,
            "content_html": entry.html,
            "image": entry.image,
            "date_published": entry.past.sent_at.isoformat(),
            "language": entry.past.edition.newsletter.language,
        }
    )


def _filled(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value not in ("", None)}


def _whole(address: str) -> str:
    """An address of ours in full; one of somebody else's is that already."""
    return the_links().to(address) if address.startswith("/") else address


def _hides(found: Sequence[Newsletter]) -> bool:
    return any(one.noindex for one in found)


def _kept(body: str, noindex: bool, mimetype: str = "text/html") -> Response:
    """An answer that may be kept for a while by everybody on its way, and asked for again only if it has changed."""
    answer = Response(body, mimetype=mimetype)
    answer.headers["Cache-Control"] = f"public, max-age={KEPT_SECONDS}"
    if noindex:
        answer.headers["X-Robots-Tag"] = "noindex"
    answer.add_etag()
    answer.make_conditional(request)
    return answer
