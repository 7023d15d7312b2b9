"""Feeds as outlets write them, and what a test asks of a house that collects them."""

from __future__ import annotations

import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.database import db
from newsletter.newsletters.models import newsletter
from newsletter.stories import collecting, following
from newsletter.stories.collecting import Collected
from newsletter.stories.following import Use
from newsletter.stories.models import Source, Story
from tests.conftest import BuildHouse, House
from tests.support.newsroom import found
from tests.support.raw_outlet import answer

LONG_AGO = "Sat, 28 Feb 2026 08:00:00 GMT"


def rss(*items: str, title: str = "Bay Herald", more: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:media="http://search.yahoo.com/mrss/" xmlns:content="http://purl.org/rss/1.0/modules/content/">'
        f"<channel><title>{title}</title>{more}{''.join(items)}</channel></rss>"
    ).encode()


def item(
    title: str,
    link: str,
    summary: str = "All about it.",
    date: str | None = LONG_AGO,
    guid: str = "",
    more: str = "",
) -> str:
    return (
        f"<item><title>{title}</title><link>{link}</link><description>{summary}</description>"
        + (f"<pubDate>{date}</pubDate>" if date is not None else "")
        + (f"<guid isPermaLink='false'>{guid}</guid>" if guid else "")
        + f"{more}</item>"
    )


def feed(*items: str, more: str = "", **headers: str) -> bytes:
    return answer(rss(*items, more=more), content_type="application/rss+xml", **headers)


def collecting_house(build_house: BuildHouse, url: str, **fetching: float) -> House:
    """A house with a newsletter, which may ask outlets on 127.0.0.1."""
    house = build_house(url, fetching=FetchingConfig(allow_networks=("127.0.0.1/32",), **fetching))
    found(house)
    return house


def follow(house: House, url: str, use: Use | None = None) -> int:
    """Let the newsletter collect a feed that was not looked at yet; its id."""
    with house.app.app_context():
        return following.add_source(newsletter(None), url, "Bay Herald", house.now, COMMAND, use=use).id


def poll(house: House, source_id: int) -> Collected:
    with house.app.app_context():
        return collecting.collect(source_id, house.now, house.fetcher)


def poll_due(house: House) -> list[Collected]:
    with house.app.app_context():
        return collecting.collect_due(house.now, house.fetcher)


def source(house: House, source_id: int) -> Source:
    with house.app.app_context():
        found = db.session.get_one(Source, source_id)
        db.session.expunge(found)
        return found


def stories(house: House) -> list[Story]:
    with house.app.app_context():
        every = list(db.session.scalars(sa.select(Story).order_by(Story.position, Story.id)))
        db.session.expunge_all()
        return every
