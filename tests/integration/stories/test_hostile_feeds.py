"""Feeds that are broken, wrong or meant to hurt: what can be read of them is read, and nothing stands still."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape

import pytest

from newsletter.stories import reading
from newsletter.stories.models import SourceState
from newsletter.stories.parsing import ITEMS_AT_MOST
from tests.conftest import BuildHouse, House
from tests.support.feeds import collecting_house, feed, follow, item, poll, poll_due, rss, source, stories
from tests.support.raw_outlet import RawOutlet, answer, running_outlet

ONE, TWO = item("One", "https://a.example/1"), item("Two", "https://a.example/2")


def titles(house: House, outlet: RawOutlet, body: bytes, content_type: str = "application/rss+xml") -> list[str]:
    """What comes of a feed that is all right after all."""
    outlet.pages["/feed"] = answer(body, content_type=content_type)
    assert poll(house, follow(house, outlet.url("/feed"))).error is None
    return [story.title for story in stories(house)]


def problem(house: House, outlet: RawOutlet, body: bytes, content_type: str = "application/rss+xml") -> str:
    """What is said of a feed that is not."""
    outlet.pages["/feed"] = answer(body, content_type=content_type)
    source_id = follow(house, outlet.url("/feed"))
    assert poll(house, source_id).new == 0
    assert source(house, source_id).state is SourceState.FAILING
    assert stories(house) == []
    return source(house, source_id).error or ""


# Entities

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "a billion laughs": f'<!DOCTYPE rss [<!ENTITY l0 "ha">{LAUGHS}]>',
    "a square": f'<!DOCTYPE rss [<!ENTITY l9 "{"ha" * 5000}">]>',
    "parameters": '<!DOCTYPE rss [<!ENTITY % a "x"><!ENTITY % b "%a;%a;"><!ENTITY l9 "&l9;">]>',
    "itself": '<!DOCTYPE rss [<!ENTITY l9 "&l9;">]>',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_entities_that_unfold_are_an_error_on_the_source(desk: House, outlet: RawOutlet, bomb: str) -> None:
    body = rss(item("&l9;" * 50, "https://a.example/1")).replace(b"<rss", BOMBS[bomb].encode() + b"<rss", 1)
    assert "declares entities that unfold" in problem(desk, outlet, body)


@pytest.mark.parametrize("where", ["file:///etc/passwd", "http://127.0.0.2/secret", "{outlet}/secret"])
def test_an_entity_that_lies_elsewhere_is_not_fetched(desk: House, outlet: RawOutlet, where: str) -> None:
    where = where.format(outlet=outlet.url(""))
    doctype = f'<!DOCTYPE rss SYSTEM "{where}.dtd" [<!ENTITY x SYSTEM "{where}"><!ENTITY % y PUBLIC "-//A" "{where}">]>'
    body = rss(item("Before &x; after", "https://a.example/1")).replace(b"<rss", doctype.encode() + b"<rss", 1)
    assert titles(desk, outlet, body) == ["Before &x; after"]
    assert len(outlet.requests) == 1


def test_entities_of_html_and_harmless_ones_of_the_feed_itself_are_read(desk: House, outlet: RawOutlet) -> None:
    doctype = b"<!DOCTYPE rss [\n<!ENTITY bay \"Bay Herald\">\n<!ENTITY dash '&#8211;'>]>"
    body = rss(item("&bay; &dash; caf&eacute;&nbsp;&amp; &unknown; AT&T", "https://a.example/1"))
    assert titles(desk, outlet, body.replace(b"<rss", doctype + b"<rss", 1)) == ["Bay Herald – café & &unknown; AT&T"]


# Too much of everything


MANY: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty items": (lambda: rss(*["<item/>"] * 1_000_000), "application/rss+xml"),
    "items": (
        lambda: rss(*[item(f"{n}", f"https://a.example/{n}", "", None) for n in range(60_000)]),
        "application/rss+xml",
    ),
    "empty items of JSON": (lambda: b'{"items":[' + b"{}," * 999_999 + b"{}]}", "application/json"),
    "items of JSON": (
        lambda: json.dumps(
            {"items": [{"url": f"https://a.example/{n}", "title": str(n)} for n in range(100_000)]}
        ).encode(),
        "application/feed+json",
    ),
}


@pytest.mark.parametrize("what", MANY)
def test_of_a_million_items_the_first_few_hundred_are_read(
    build_house: BuildHouse, sqlite_url: str, outlet: RawOutlet, what: str
) -> None:
    desk = collecting_house(build_house, sqlite_url)
    body, content_type = MANY[what]
    found = titles(desk, outlet, body(), content_type)
    assert found == ([] if "empty" in what else [str(n) for n in range(ITEMS_AT_MOST)])


SLOW = item("x", "https://a.example/1", more="<author>" + "a" * 20_000 + "</author>") * 200
"""feedparser looks for an address of mail in this, from every letter to the end, for minutes."""


def test_a_feed_that_takes_our_reader_for_ever_is_given_up_and_the_others_are_read(
    build_house: BuildHouse, sqlite_url: str, outlet: RawOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SECONDS", 2.0)
    desk = collecting_house(build_house, sqlite_url)
    bad = []
    for n in range(reading.AT_ONCE):
        outlet.pages[f"/bad/{n}"] = feed(SLOW)
        bad.append(follow(desk, outlet.url(f"/bad/{n}")))
    with running_outlet() as other:
        other.pages["/good"] = feed(ONE)
        good = follow(desk, other.url("/good"))
        collected = {one.source_id: one for one in poll_due(desk)}
    assert (collected[good].new, collected[good].error) == (1, None)
    assert {collected[source_id].error for source_id in bad} == {
        "It could not be read within 2 seconds, so we stopped. What is meant to be read takes far less."
    }


ENDLESS = (
    b"<rss>" + b"<a>" * 60_000,
    b"<rss><channel><item>" + b"<title>" * 25_000,
    b"<feed>" + b"<entry>" * 25_000,
    b"<rss " + b" ".join(b"a%d='1'" % n for n in range(15_000)) + b"/>",
    b"<rss><channel>" + b"&" * 150_000,
    b"<" * 190_000,
    b"<rss>" + b"]]>" * 60_000,
    b"<rss>" + b"<![CDATA[" * 20_000,
    b"<rss>" + b"<!--" * 45_000,
    b"\n" * 190_000 + b"<rss/>",
    b"<?xml encoding='" + b"x'" * 90_000 + b"?><rss/>",
)


@pytest.mark.parametrize("part", [4, pytest.param(1, marks=pytest.mark.slow)], ids=["a quarter", "whole"])
def test_what_is_nested_or_repeated_without_end_is_read_or_refused(
    desk: House, outlet: RawOutlet, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """Without being given up, however slow the machine. The whole takes the libraries four to sixteen times as long."""
    monkeypatch.setattr(reading, "SECONDS", 600.0)
    for number, body in enumerate(ENDLESS):
        outlet.pages[f"/feed/{number}"] = answer(body[: len(body) // part], content_type="application/rss+xml")
        collected = poll(desk, follow(desk, outlet.url(f"/feed/{number}")))
        assert collected.new == 0, body[:40]
        assert "within" not in (collected.error or ""), body[:40]


# Broken in ways that are common

BROKEN = {
    "control characters": rss(item("O\x00n\x0be\x1b", "https://a.example/1", "\x07 \x1f"), TWO),
    "control characters in raw text": rss(item("<![CDATA[O\x00n\x0be]]>", "https://a.example/1"), TWO),
    "characters as numbers that are none": rss(item("One&#0;&#x1F;&#xFFFFFFFF;", "https://a.example/1"), TWO),
    "cut off in a description": rss(ONE, TWO, item("Three", "https://a.example/3"))[:-75],
    "cut off in an address": rss(ONE, TWO, item("Three", "https://a.example/3-and-more"))[:-150],
    "cut off in a tag": rss(ONE, TWO)[:-4],
    "not ended": rss(ONE, TWO).replace(b"</channel></rss>", b""),
    "a tag not ended": rss(item("One", "https://a.example/1", "All <b>about it"), TWO),
    "tags in the wrong order": rss("<i>" + ONE.replace("</item>", "</i></item>") + TWO),
    "a name without a namespace": rss("<weather:now>x</weather:now>" + ONE + TWO),
    "a bare ampersand": rss(item("One", "https://a.example/1", "Salt & pepper &c. &"), TWO),
    "words before it": b"Warning: a notice of the server\n\n" + rss(ONE, TWO),
    "a page before it": b"<br />\n<b>Warning</b>: mysql in <b>x.php</b>\n" + rss(ONE, TWO),
    "words after it": rss(ONE, TWO) + b"<!-- cached --> bye <p>",
    "two feeds": rss(ONE, TWO) + rss(ONE, TWO),
    "a declaration that is too late": b"\n\n  " + rss(ONE, TWO),
    "a mark and a declaration": b"\xef\xbb\xbf" + rss(ONE, TWO),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_feed_that_is_broken_as_feeds_are_is_read_as_far_as_it_is_whole(
    desk: House, outlet: RawOutlet, how: str
) -> None:
    assert titles(desk, outlet, BROKEN[how]) == ["One", "Two"]
    assert {story.url for story in stories(desk)} == {"https://a.example/1", "https://a.example/2"}


CAFE = item("Café “Zoë”", "https://a.example/1", "Ünter – żółw".replace("żółw", "Ä"))


@pytest.mark.parametrize(
    ("written", "declared", "called"),
    [
        ("utf-8", "utf-8", ""),
        ("utf-8", "", ""),
        ("utf-8", "iso-8859-1", "utf-8"),
        ("utf-8", "", "iso-8859-1"),
        ("utf-8", "us-ascii", ""),
        ("utf-8", "nonsense", "nonsense"),
        ("utf-8", "base64", "hex"),
        ("cp1252", "utf-8", "utf-8"),
        ("cp1252", "windows-1252", ""),
        ("cp1252", "", "windows-1252"),
        ("utf-16", "utf-16", ""),
        ("utf-16-le", "utf-16", ""),
        ("utf-16-be", "utf-16be", ""),
        ("utf-32", "utf-32", ""),
    ],
)
def test_a_wrong_charset_or_none_does_not_garble_the_words(
    desk: House, outlet: RawOutlet, written: str, declared: str, called: str
) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else '<?xml version="1.0"?>'
    text = rss(CAFE).decode().replace('<?xml version="1.0" encoding="utf-8"?>', declaration)
    kind = f"text/xml; charset={called}" if called else "application/xml"
    assert titles(desk, outlet, text.encode(written), kind) == ["Café “Zoë”"]
    assert stories(desk)[0].summary == "Ünter – Ä"


TRICKS = ("punycode", "idna", "utf-7", "unicode_escape", "zlib", "rot13", "\udcff", "a" * 9000)


def test_a_charset_that_is_a_trick_is_no_fault(either_desk: House, outlet: RawOutlet) -> None:
    for number, charset in enumerate(TRICKS):
        body = rss(ONE).replace(b"utf-8", charset.encode("utf-8", "replace"))
        outlet.pages[f"/feed/{number}"] = answer(body, content_type=f"text/xml; charset={charset}")
        follow(either_desk, outlet.url(f"/feed/{number}"))
    collected = poll_due(either_desk)
    assert [one.new == 1 or bool(one.error) for one in collected] == [True] * len(TRICKS)
    assert poll_due(either_desk) == []


# Characters and markup


UNKEPT: tuple[dict[str, object], ...] = (
    {"url": "https://a.example/\x00"},
    {"url": "https://a.example/\ud800"},
    {"image": "https://a.example/\x00.jpg"},
    {"image": "https://a.example/\udfff.jpg"},
    {"id": "\ud800"},
    {"date_published": "\x00\ud800"},
    {
        "title": "\ud800 x",
        "summary": "\x00 \udfff",
        "tags": ["\ud800", "\x00"],
        "authors": [{"name": "\x00\ud800"}],
    },
)


def test_characters_that_no_database_keeps_do_not_end_the_round_for_the_others(
    either_desk: House, outlet: RawOutlet
) -> None:
    desk = either_desk
    for number, values in enumerate(UNKEPT):
        body = json.dumps({"title": "J", "items": [{"id": "1", "url": "https://a.example/1", "title": "One"} | values]})
        outlet.pages[f"/hostile/{number}"] = answer(body.encode(), content_type="application/feed+json")
        outlet.pages[f"/good/{number}"] = feed(item(f"Good {number}", f"https://b.example/{number}"))
        follow(desk, outlet.url(f"/hostile/{number}"))
        follow(desk, outlet.url(f"/good/{number}"))
    assert len(poll_due(desk)) == 2 * len(UNKEPT)
    assert {f"Good {number}" for number in range(len(UNKEPT))} <= {story.title for story in stories(desk)}
    assert poll_due(desk) == []


def test_no_markup_of_an_outlet_reaches_a_title_or_a_summary(desk: House, outlet: RawOutlet) -> None:
    hostile = (
        "<script>alert(1)</script><p onclick='x()'>One<br>two</p><style>p{}</style>"
        "<img src=x onerror=alert(1)> &amp;lt;b&amp;gt; <!-- secret --> \u202eevil\u0007 <iframe src='//x'></iframe>"
        "<table><tr><td>three<table><tr><td>four</td></tr></table></td><td>five</td></tr></table> &amp;amp; &amp;nbsp;"
    )
    outlet.pages["/feed"] = feed(
        item(escape(hostile), "https://a.example/1", escape(hostile)),
        item("<![CDATA[" + hostile + "]]>", "https://a.example/2", "<![CDATA[" + hostile + "]]>"),
    )
    assert poll(desk, follow(desk, outlet.url("/feed"))).error is None

    for story in stories(desk):
        for text in (story.title, story.summary):
            assert "One two" in text
            assert "three four five &" in text
            for part in (
                "alert",
                "onerror",
                "<p",
                "<img",
                "<b",
                "secret",
                "iframe",
                "\u202e",
                "\u0007",
                "\n",
                "&a",
                "&n",
            ):
                assert part not in text, part


# Dates


def test_a_story_always_gets_a_sane_time_and_the_reason_is_kept(desk: House, outlet: RawOutlet) -> None:
    dates = {
        None: "the feed gives no date",
        "Fri, 31 Dec 2099 00:00:00 GMT": "in the future",
        "Thu, 01 Jan 1970 00:00:00 GMT": "no date of news",
        "yesterday": "cannot be read",
        "Tue, 99 Foo 99999 99:99:99": "cannot be read",
        "Mon, 02 Mar 2026 22:30:00 XYZ": "no time zone that is known",
        "Mon, 02 Mar 2026 22:30:00 CET": "",
    }
    outlet.pages["/feed"] = feed(
        *[item(f"Story {n}", f"https://a.example/{n}", date=date) for n, date in enumerate(dates)]
    )
    source_id = follow(desk, outlet.url("/feed"))
    assert poll(desk, source_id).error is None
    first_sight = desk.now
    desk.later(hours=1)
    assert poll(desk, source_id).updated == 0, "seen again, it is as old as it was"

    found = stories(desk)
    assert [why in (story.date_note or "") for story, why in zip(found, dates.values(), strict=True)] == [True] * 7
    assert [story.published_at == first_sight for story in found] == [True] * 5 + [False] * 2
    assert found[-1].date_note is None


def test_where_one_date_is_broken_another_one_counts(desk: House, outlet: RawOutlet) -> None:
    dates = "<published>soon</published><updated>2026-03-02T22:30:00Z</updated>"
    body = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>One</title><link href="/1"/>{dates}</entry></feed>'
    assert titles(desk, outlet, body.encode(), "application/atom+xml") == ["One"]
    assert f"{stories(desk)[0].published_at:%H:%M}" == "22:30"
