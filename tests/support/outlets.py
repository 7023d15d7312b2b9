"""Invented outlets whose feeds are served over loopback HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

from pytest_httpserver import HTTPServer


@dataclass(frozen=True)
class Piece:
    """An article as a feed tells of it."""

    title: str
    summary: str
    at: datetime
    slug: str = ""
    image: str = ""

    @property
    def path(self) -> str:
        return self.slug or "".join(c if c.isalnum() else "-" for c in self.title.lower())


def rss(outlet: str, site: str, pieces: Iterable[Piece]) -> str:
    items = "".join(
        f"<item><title>{escape(p.title)}</title><link>{site}/{p.path}</link><guid>{site}/{p.path}</guid>"
        f"<description>{escape(p.summary)}</description><pubDate>{format_datetime(p.at)}</pubDate>"
        + (f'<media:content url="{p.image}" medium="image"/>' if p.image else "")
        + "</item>"
        for p in pieces
    )
    return (
        '<?xml version="1.0"?><rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/">'
        f"<channel><title>{escape(outlet)}</title><link>{site}</link>{items}</channel></rss>"
    )


def publish(server: HTTPServer, path: str, outlet: str, pieces: Iterable[Piece]) -> str:
    """Serve a feed from now on, and give its address."""
    body = rss(outlet, server.url_for("").rstrip("/"), list(pieces))
    server.expect_request(path).respond_with_data(body, content_type="application/rss+xml")
    return server.url_for(path)


def article(server: HTTPServer, path: str, title: str, said: Mapping[str, str]) -> str:
    """Serve an article's page from now on, and give its address. `said` is what it says of itself in Open Graph's
    words: {"image:alt": "A bridge"}."""
    tags = "".join(f'<meta property="og:{name}" content="{escape(text)}">' for name, text in said.items())
    body = f"<!doctype html><html><head><title>{escape(title)}</title>{tags}</head><body><h1>…</h1></body></html>"
    server.expect_request(path).respond_with_data(body, content_type="text/html; charset=utf-8")
    return server.url_for(path)
