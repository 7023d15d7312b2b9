from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.pages import NotAPage, parse

URL = "https://www.herald.example/2026/bridge"


def test_open_graph_is_read_and_made_whole() -> None:
    page = parse(
        b"""<html><head><title>Bridge - Herald</title>
        <meta property="og:title" content="Bridge &amp; tunnel
          close"><meta property="og:site_name" content="Bay Herald">
        <meta name="description" content="Until spring.">
        <meta property="og:image" content="/p/bridge.jpg"><meta property="og:image:alt" content="The bridge">
        </head><body></body></html>""",
        URL,
    )
    assert (page.title, page.outlet, page.summary) == ("Bridge & tunnel close", "Bay Herald", "Until spring.")
    assert (page.image_url, page.image_alt) == ("https://www.herald.example/p/bridge.jpg", "The bridge")


def test_a_plain_page_is_known_by_its_title_and_host() -> None:
    page = parse(b"<title> A  plain page </title><p>Words", URL)
    assert (page.title, page.outlet, page.image_url, page.summary) == ("A plain page", "herald.example", "", "")


@pytest.mark.parametrize("image", ["javascript:alert(1)", "data:image/png;base64,xx", "http://[bad", "file:///x"])
def test_a_picture_that_is_not_on_the_web_is_none(image: str) -> None:
    assert parse(f'<meta property="og:image" content="{image}"><title>x</title>'.encode(), URL).image_url == ""


def test_nothing_is_no_page() -> None:
    with pytest.raises(NotAPage):
        parse(b"", URL)


@given(st.binary(max_size=500))
def test_any_octets_are_a_page_or_an_error_with_a_name(body: bytes) -> None:
    with suppress(NotAPage):
        assert parse(body, URL).url
