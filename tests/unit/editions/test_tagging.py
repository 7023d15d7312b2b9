"""Tags on links: added once, and nothing else of an address changes."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions.tagging import tagged

TAGS = "utm_source=daily&utm_medium=email"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://post.example/a", f"https://post.example/a?{TAGS}"),
        ("https://post.example", f"https://post.example?{TAGS}"),
        ("https://post.example/a?", f"https://post.example/a?{TAGS}"),
        ("https://post.example/a?id=7", f"https://post.example/a?id=7&{TAGS}"),
        ("https://post.example/a?id=7&", f"https://post.example/a?id=7&{TAGS}"),
        ("https://post.example/a#top", f"https://post.example/a?{TAGS}#top"),
        ("https://post.example/a?id=7#top?x", f"https://post.example/a?id=7&{TAGS}#top?x"),
        ("HTTP://POST.example/a", f"HTTP://POST.example/a?{TAGS}"),
        ("https://post.example/ä?q=%20+;x", f"https://post.example/ä?q=%20+;x&{TAGS}"),
        ("https://post.example/a?utm_source=rss", "https://post.example/a?utm_source=rss&utm_medium=email"),
        ("https://post.example/a?utm%5Fsource=rss", "https://post.example/a?utm%5Fsource=rss&utm_medium=email"),
        ("https://post.example/a?utm_source", "https://post.example/a?utm_source&utm_medium=email"),
        (f"https://post.example/a?{TAGS}", f"https://post.example/a?{TAGS}"),
    ],
)
def test_tags_stand_at_the_end_of_the_query(url: str, expected: str) -> None:
    assert tagged(url, TAGS) == expected


@pytest.mark.parametrize(
    "url", ["", "#", "mailto:desk@example.org", "/a", "ftp://post.example/", "javascript:alert(1)"]
)
def test_what_is_no_web_address_is_left_alone(url: str) -> None:
    assert tagged(url, TAGS) == url


@pytest.mark.parametrize("url", ["https://post.example/a", "https://post.example/a?", "https://post.example/a#"])
def test_without_tags_nothing_changes(url: str) -> None:
    assert tagged(url, "") == url


def test_a_name_that_the_tags_say_twice_is_added_once() -> None:
    assert tagged("https://post.example/", "a=1&a=2&b=3") == "https://post.example/?a=1&b=3"


@given(
    path=st.text(st.characters(exclude_characters="?#", codec="utf-8"), max_size=20),
    query=st.text(st.characters(exclude_characters="#", codec="utf-8"), max_size=20),
    fragment=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_the_address_is_the_same_but_for_the_tags_and_twice_is_once(path: str, query: str, fragment: str) -> None:
    url = f"https://post.example/{path}?{query}#{fragment}"
    once = tagged(url, TAGS)
    assert tagged(once, TAGS) == once
    assert once.startswith(f"https://post.example/{path}?{query}")
    assert once.endswith(f"#{fragment}")
    if url.isascii() and url.isprintable():
        names = [name for name, _ in parse_qsl(urlsplit(once).query, keep_blank_values=True)]
        assert {"utm_source", "utm_medium"} <= set(names)
