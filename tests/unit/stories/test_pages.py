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


def test_a_picture_with_a_space_in_its_address_can_be_fetched() -> None:
    page = parse(b'<meta property="og:image" content="/p/the bridge.jpg"><title>x</title>', URL)
    assert page.image_url == "https://www.herald.example/p/the%20bridge.jpg"


@pytest.mark.parametrize("body", [b"", b" \n", b"<!-- nothing -->"])
def test_nothing_is_no_page(body: bytes) -> None:
    with pytest.raises(NotAPage, match="it is empty"):
        parse(body, URL)


TITLE = "<title>Brücke schließt</title>"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TITLE.encode(), ""),
        (b" " * 5000 + TITLE.encode(), "text/html"),
        (TITLE.encode() + b"<meta charset=utf-8>", "text/html"),
        (b"\xef\xbb\xbf" + TITLE.encode(), "text/html; charset=iso-8859-1"),
        (TITLE.encode("utf-16"), "text/html"),
        (TITLE.encode("latin-1"), "text/html; charset=ISO-8859-1"),
        (TITLE.encode("latin-1"), ""),
        (TITLE.encode() + b"<meta charset=latin-1>", "text/html; charset=UTF-8"),
        (TITLE.encode("latin-1") + b'<meta http-equiv="Content-Type" content="text/html; charset=latin-1">', ""),
        (b'<?xml version="1.0" encoding="iso-8859-1"?>' + TITLE.encode("latin-1"), "application/xhtml+xml"),
        (b"<meta charset=base64>" + TITLE.encode(), ""),
        (b"<meta charset=no-such>" + TITLE.encode(), "text/html; charset=neither"),
    ],
)
def test_letters_are_read_as_a_browser_reads_them(body: bytes, content_type: str) -> None:
    assert parse(body, URL, content_type).title == "Brücke schließt"


def test_a_page_of_another_script_is_read_by_what_the_server_says() -> None:
    assert parse("<title>Мост закрыт</title>".encode("cp1251"), URL, "text/html; charset=windows-1251").title == (
        "Мост закрыт"
    )


def test_hostile_words_come_out_as_one_line_of_text() -> None:
    page = parse("<title>a&lt;script&gt;\x00\u202eb\r\nc</title>".encode(), URL)
    assert "\u202e" not in page.title
    assert page.title.isprintable()
    assert page.title.startswith("a<script>")


@given(st.binary(max_size=500), st.text(max_size=40))
def test_any_octets_are_a_page_or_an_error_with_a_name(body: bytes, content_type: str) -> None:
    with suppress(NotAPage):
        assert parse(body, URL, content_type).url
