from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.canonical import canonical

PAGE = "https://herald.example/2026/bridge"


@pytest.mark.parametrize(
    "spelling",
    [
        "https://herald.example/2026/bridge",
        "http://herald.example/2026/bridge",
        "https://www.herald.example/2026/bridge/",
        "https://HERALD.example:443/2026/bridge",
        "http://herald.example:80/2026/bridge#comments",
        "https://herald.example/2026/bridge?utm_source=rss&utm_medium=feed",
        "https://herald.example/2026/bridge?fbclid=abc&ref=home",
        "  https://herald.example/2026/bridge  ",
        "https://herald.example./2026/%62ridge?",
    ],
)
def test_spellings_of_one_page_are_one(spelling: str) -> None:
    assert canonical(spelling) == PAGE


@pytest.mark.parametrize(
    "other",
    [
        "https://herald.example/2026/Bridge",
        "https://herald.example/2026/bridge?id=7",
        "https://herald.example:8080/2026/bridge",
        "https://news.herald.example/2026/bridge",
        "https://herald.example/2026/bridges",
    ],
)
def test_other_pages_stay_others(other: str) -> None:
    assert canonical(other) != PAGE


def test_the_order_of_the_query_does_not_matter() -> None:
    assert canonical("https://a.example/?b=2&a=1") == canonical("https://a.example/?a=1&b=2")


@pytest.mark.parametrize(
    "odd", ["", "not an address", "http://[::1", "http://a:99999/", "https://[2001:db8::1]:80/x", "http://%zz/"]
)
def test_odd_addresses_are_taken_as_they_are(odd: str) -> None:
    assert canonical(canonical(odd)) == canonical(odd)


PARTS = st.text("abAB%2Fz./?#&=+:@ ü-_~", max_size=30)


@given(st.sampled_from(["http://", "https://", "HTTP://www.", "//", ""]), PARTS, PARTS)
def test_twice_is_the_same_as_once(scheme: str, host: str, rest: str) -> None:
    once = canonical(f"{scheme}{host}/{rest}")
    assert canonical(once) == once
