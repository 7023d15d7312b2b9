"""Rounds of collecting, through the real fetcher into a real database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from benchmarks import news, outlets
from benchmarks.apart import Spent, spending
from benchmarks.news import NOW
from newsletter.app import create_app
from newsletter.foundation import database
from newsletter.foundation.config import Config, FetchingConfig
from newsletter.stories import collecting
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import Source, Story
from newsletter.stories.parsing import parse

FETCHING = FetchingConfig(allow_networks=("127.0.0.0/8",))


def feeds(sources: int, items: int) -> list[bytes]:
    """One of each outlet."""
    stories = news.day(sources * items, outlets=sources)
    names = [f"outlet{number}.example" for number in range(sources)]
    return [
        outlets.rss(name, [replace(story, outlet=name) for story in stories[number::sources]])
        for number, name in enumerate(names)
    ]


def parse_all(bodies: Sequence[bytes]) -> Spent:
    with spending() as spent:
        for body in bodies:
            parse(body, "application/rss+xml", "https://www.outlet.example/feed.xml", NOW)
    return spent[0]


def collect_twice(config: Config, addresses: Sequence[str]) -> tuple[Spent, Spent]:
    """A round in which all is new, and one in which nothing is."""
    app = create_app(config)
    with app.app_context():
        _follow(addresses)
        fetcher = the_fetcher()
        with spending() as first:
            everything = collecting.collect_due(NOW, fetcher)
        with spending() as second:
            nothing = collecting.collect_due(NOW + timedelta(days=1), fetcher)
        assert [one.error for one in (*everything, *nothing) if one.error] == []
        assert len(everything) == len(nothing) == len(addresses)
        assert all(one.new for one in everything)
        assert not any(one.new or one.updated for one in nothing)
        database.db.engine.dispose()
    return first[0], second[0]


def _follow(addresses: Sequence[str]) -> None:
    """These sources and no others, none of them asked before."""
    with database.transaction() as session:
        session.execute(sa.delete(Story))
        session.execute(sa.delete(Source))
        values = [{"url": url, "outlet": url, "next_poll_at": NOW, "created_at": NOW} for url in addresses]
        session.execute(sa.insert(Source), values)
