from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.dates import FUTURE_ALLOWED
from newsletter.stories.parsing import ITEMS_AT_MOST, SUMMARY_AT_MOST, NotAFeed, ParsedFeed, parse

NOW = datetime(2026, 3, 3, 5, 20, tzinfo=UTC)
URL = "https://a.example/feeds/all.xml"


def read(body: bytes, content_type: str = "") -> ParsedFeed:
    return parse(body, content_type, URL, NOW)


def is_within_its_caps(feed: ParsedFeed) -> bool:
    """Whether a feed can be kept in the tables as it is, and shown as it is."""
    assert len(feed.stories) <= ITEMS_AT_MOST
    assert feed.ttl is None or timedelta() <= feed.ttl <= timedelta(days=1)
    assert len({story.identity for story in feed.stories}) == len(feed.stories)
    for story in feed.stories:
        lengths = {"title": 500, "summary": SUMMARY_AT_MOST, "author": 200, "section": 100, "image_alt": 500}
        lengths |= {"image_credit": 200, "url": 2000}
        for name, longest in lengths.items():
            text = getattr(story, name)
            assert len(text) <= longest, name
            assert "\x00" not in text, name
            text.encode("utf-8")  # there are no halves of characters
        assert story.title
        assert (len(story.identity), len(story.page)) == (64, 64)
        assert len(story.tags) <= 20
        assert all(0 < len(tag) <= 100 for tag in story.tags)
        for address in filter(None, (story.url, story.image_url)):
            assert urlsplit(address).scheme in ("http", "https")
            assert urlsplit(address).hostname
            assert len(address) <= 2000
        assert 1 <= story.position <= ITEMS_AT_MOST
        assert story.published_at <= NOW + FUTURE_ALLOWED
        assert story.date_note is None or len(story.date_note) <= 200
    return True


PIECES = [
    *("<", ">", "</", "/>", "&", ";", "&amp;", "&#0;", "&nbsp;", "&x;", '"', "'", "=", " ", "\n", "\x00", "\x0b"),
    *("<?xml version='1.0' encoding='", "utf-16", "?>", "<!DOCTYPE rss [", "<!ENTITY x 'y'>", "]>", "<!--", "-->"),
    *("<![CDATA[", "]]>", "<rss version='2.0'>", "<channel>", "</channel>", "</rss>"),
    *("<feed xmlns='", "http://www.w3.org/2005/Atom'>", "<entry>", "</entry>", "<link href='", "'/>", "xml:base='"),
    *("<item>", "</item>", "<title>", "</title>", "<link>", "</link>", "<guid>", "<category>", "<author>", "@a.b"),
    *("<pubDate>", "</pubDate>", "Mon, 02 Mar 2026 22:30:00 +9999", "<description>", "<ttl>", "9", "</ttl>"),
    *("<media:content url='", "<media:description>", "<enclosure url='", "xmlns:media='http://search.yahoo.com/mrss/'"),
    *("https://a.example/", "//", "http://[", "javascript:x", "é", "\ud800", "\u2028", "<script>"),
    *('{"items":[', '{"url":"', '"title":"', '"}', "]}", ",", "null", "1e999", "\\ud800", "{", "["),
]  # fmt: skip


@given(
    st.binary(max_size=400),
    st.sampled_from(["", "text/xml", "application/rss+xml; charset=utf-16", "application/json"]),
)
def test_any_octets_are_stories_within_their_caps_or_an_error_with_a_name(body: bytes, content_type: str) -> None:
    with suppress(NotAFeed):
        assert is_within_its_caps(read(body, content_type))


@given(
    st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=60), st.sampled_from(["", "text/xml; charset=x"])
)
def test_any_pieces_of_feeds_are_stories_within_their_caps_or_an_error_with_a_name(
    pieces: list[str], content_type: str
) -> None:
    with suppress(NotAFeed):
        assert is_within_its_caps(read("".join(pieces).encode("utf-8", "surrogatepass"), content_type))


WHOLE = (
    "<rss version='2.0' xmlns:media='http://search.yahoo.com/mrss/'><channel><title>Bay Herald</title><ttl>60</ttl>"
    + "".join(
        f"<item><title>Story {n} &amp; more</title><link>https://a.example/{n}</link><guid>{n}</guid>"
        f"<description><![CDATA[<p>Words {n}</p>]]></description><pubDate>Mon, 02 Mar 2026 22:30:00 GMT</pubDate>"
        f"<media:content url='p{n}.jpg' medium='image'><media:description>Picture {n}</media:description>"
        "</media:content></item>"
        for n in range(4)
    )
    + "</channel></rss>"
).encode()


@given(st.integers(0, len(WHOLE)))
def test_a_feed_that_is_cut_off_anywhere_gives_the_stories_that_are_whole_and_no_half_ones(end: int) -> None:
    whole = WHOLE[:end].count(b"</item")
    try:
        found = read(WHOLE[:end]).stories
    except NotAFeed:
        found = ()
    assert [story.url for story in found] == [f"https://a.example/{n}" for n in range(whole)]
    assert [story.image_alt for story in found] == [f"Picture {n}" for n in range(whole)]


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_a_feed_that_is_damaged_anywhere_is_stories_or_an_error_with_a_name(at: int, damage: bytes) -> None:
    with suppress(NotAFeed):
        assert is_within_its_caps(read(WHOLE[:at] + damage + WHOLE[at + len(damage) :]))


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("https://a.example/1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "name", "title"]), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "id",
        "url",
        "title",
        "summary",
        "content_html",
        "tags",
        "authors",
        "author",
        "image",
        "attachments",
        "date_published",
    ]
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=4), VALUES)
def test_a_json_feed_of_any_values_is_stories_or_an_error_with_a_name(items: list[object], title: object) -> None:
    with suppress(NotAFeed):
        assert is_within_its_caps(read(json.dumps({"title": title, "items": items}).encode(), "application/json"))


def test_more_items_than_anybody_reads_are_not_read() -> None:
    items = "".join(f"<item><title>{n}</title><link>/{n}</link></item>" for n in range(ITEMS_AT_MOST + 50))
    found = read(f"<rss version='2.0'><channel>{items}</channel></rss>".encode()).stories
    assert [story.title for story in found] == [str(n) for n in range(ITEMS_AT_MOST)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the answer is empty"),
        (b"words", "neither items nor a known format"),
        (b"<html><body>Hi</body></html>", "web page; look for the feed's own address"),
        (
            b"<!doctype html><link rel='stylesheet alternate' type='application/atom+xml' href='atom.xml'>",
            "its feed seems to be https://a.example/feeds/atom.xml",
        ),
        (b"<html><link rel=alternate type='text/html' href='/de'>", "look for the feed's own address"),
    ],
)
def test_what_is_no_feed_says_why(body: bytes, why: str) -> None:
    with pytest.raises(NotAFeed, match=why):
        read(body)


def test_one_item_that_cannot_be_read_does_not_lose_the_others() -> None:
    body = b"<feed><entry<id<m</id><entry><title>Good</title><link href='https://a.example/1'/></entry></feed>"
    assert [story.title for story in read(body).stories] in (["Good"], [])
