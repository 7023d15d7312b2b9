"""Feeds into stories: RSS, RDF, Atom and JSON Feed; octets in, plain data out."""

from __future__ import annotations

from datetime import datetime

from newsletter.stories import json_feeds, xml_feeds
from newsletter.stories.items import ITEMS_AT_MOST, SUMMARY_AT_MOST, NotAFeed, ParsedFeed, ParsedStory

__all__ = ["ITEMS_AT_MOST", "SUMMARY_AT_MOST", "NotAFeed", "ParsedFeed", "ParsedStory", "parse"]


def parse(body: bytes, content_type: str, url: str, now: datetime) -> ParsedFeed:
    """Read a feed that was fetched from `url` at `now`. Items without a title or an address are left out.

    Some octets keep it busy for hours; see reading.apart. Raises NotAFeed.
    """
    if "json" in content_type.lower() or body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return json_feeds.read(body, url, now)
    return xml_feeds.read(body, content_type, url, now)
