"""What went wrong once, and must not again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from newsletter.stories import parsing
from tests.conftest import BuildHouse, House
from tests.integration.stories.test_collecting import feed, follow, impatient, item, poll, poll_due, stories
from tests.support.raw_outlet import RawOutlet, Write, answer, running_outlet

NOW = datetime(2026, 3, 3, tzinfo=UTC)


@pytest.fixture
def outlet() -> Iterator[RawOutlet]:
    with running_outlet() as outlet:
        yield outlet


@pytest.fixture
def either_house(build_house: BuildHouse, either_database: str) -> House:
    return impatient(build_house, either_database)


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str) -> House:
    return impatient(build_house, sqlite_url)


def json_feed(**values: object) -> bytes:
    one = {"id": "1", "url": "https://a.example/1", "title": "One"} | values
    body = json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "J", "items": [one]})
    return answer(body.encode(), content_type="application/feed+json")


@pytest.mark.parametrize(
    "values",
    [
        {"url": "https://a.example/\x00"},
        {"url": "https://a.example/\ud800"},
        {"image": "https://a.example/\x00.jpg"},
        {"image": "https://a.example/\udfff.jpg"},
        {"id": "\ud800"},
        {
            "title": "\ud800 x",
            "summary": "\x00 \udfff",
            "tags": ["\ud800", "\x00"],
            "authors": [{"name": "\x00\ud800"}],
        },
    ],
    ids=ascii,
)
def test_characters_that_no_database_keeps_do_not_end_the_round_for_the_others(
    either_house: House, outlet: RawOutlet, values: dict[str, object]
) -> None:
    house = either_house
    outlet.pages["/hostile"] = json_feed(**values)
    outlet.pages["/good"] = feed(item("Good", "https://b.example/1"))
    for path in ("/hostile", "/good"):
        follow(house, outlet.url(path))
    assert len(poll_due(house)) == 2
    assert "Good" in {story.title for story in stories(house)}
    assert poll_due(house) == []


@pytest.mark.parametrize("link", ["", " ", "http://[::1"])
def test_an_item_without_an_address_is_left_out(house: House, outlet: RawOutlet, link: str) -> None:
    outlet.pages["/feed"] = feed(item("No", link), item("Yes", "https://a.example/1"))
    assert poll(house, follow(house, outlet.url("/feed"))).error is None
    assert [story.title for story in stories(house)] == ["Yes"]


def test_an_item_without_a_picture_has_none(house: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = json_feed()
    poll(house, follow(house, outlet.url("/feed")))
    assert [story.image_url for story in stories(house)] == [None]


def test_one_item_that_cannot_be_read_does_not_lose_the_others() -> None:
    """The first entry has no link for feedparser: it answers None where it should answer nothing."""
    body = b"<feed><entry<id<m</id><entry><title>Good</title><link href='https://a.example/1'/></entry></feed>"
    parsed = parsing.parse(body, "text/xml", "https://a.example/feed", NOW)
    assert [story.title for story in parsed.stories] in (["Good"], [])


def test_a_date_in_words_is_no_fault_and_no_warning(house: House, outlet: RawOutlet) -> None:
    """feedparser warns when it is asked for `updated_parsed` where there is only a broken `published`."""
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1", date="yesterday"))
    assert poll(house, follow(house, outlet.url("/feed"))).error is None
    assert "cannot be read" in (stories(house)[0].date_note or "")


def test_a_date_that_cannot_be_is_replaced_by_the_time_of_first_sight_and_the_note_says_why(
    house: House, outlet: RawOutlet
) -> None:
    dates = [None, "Fri, 31 Dec 2099 00:00:00 GMT", "yesterday", "Tue, 99 Foo 99999 99:99:99", "0000-00-00"]
    outlet.pages["/feed"] = feed(
        *[item(f"Story {n}", f"https://a.example/{n}", date=date) for n, date in enumerate(dates)],
        item("Soon", "https://a.example/soon", date=format_datetime(house.now + timedelta(minutes=5))),
    )
    source_id = follow(house, outlet.url("/feed"))
    assert poll(house, source_id).error is None
    first_sight = house.now
    house.later(hours=1)
    poll(house, source_id)

    *odd, soon = stories(house)
    assert [story.published_at for story in odd] == [first_sight] * 5
    notes = [story.date_note or "" for story in odd]
    assert ["no date" in notes[0], "future" in notes[1], *["cannot be read" in note for note in notes[2:]]] == [
        True
    ] * 5
    assert soon.date_note is None, "clocks differ by minutes"


def test_a_304_without_an_etag_keeps_the_one_that_we_have(house: House, outlet: RawOutlet) -> None:
    """RFC 9110 wants it there; many servers leave it out."""

    def page(head: bytes, write: Write) -> None:
        if b"if-none-match" in head.lower():
            write(answer(status="304 Not Modified"))
        else:
            write(feed(item("One", "https://a.example/1"), etag='"v1"'))

    outlet.pages["/feed"] = page
    source_id = follow(house, outlet.url("/feed"))
    for _ in range(3):
        poll(house, source_id)
        house.later(hours=1)
    assert [b"if-none-match" in head.lower() for head in outlet.requests] == [False, True, True]


def test_a_ttl_that_is_nonsense_is_ignored(house: House, outlet: RawOutlet) -> None:
    for number, nonsense in enumerate(("-5", "9" * 5000, "²", "soon", "<b/>", "0")):
        body = f"<rss version='2.0'><channel><title>t</title><ttl>{nonsense}</ttl>{item('x', 'https://a.example/1')}"
        outlet.pages[f"/{number}"] = answer(f"{body}</channel></rss>".encode())
        follow(house, outlet.url(f"/{number}"))
    assert [one.error for one in poll_due(house)] == [None] * 6


@pytest.mark.parametrize("validator", ["etag", "last_modified"])
def test_a_validator_that_no_header_may_hold_does_not_silence_the_source(
    house: House, outlet: RawOutlet, validator: str
) -> None:
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"), **{validator: '"\udcff\u00e4"'})
    source_id = follow(house, outlet.url("/feed"))
    assert [poll(house, source_id).error for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(
    "status", ["500 \udcff\udc80", "500 " + "x" * 5000, "999 ?", "600 Odd", "100 Continue"], ids=ascii
)
def test_a_status_in_strange_words_is_written_down(either_house: House, outlet: RawOutlet, status: str) -> None:
    house = either_house
    outlet.pages["/feed"] = answer(status=status)
    assert poll(house, follow(house, outlet.url("/feed"))).error


def test_a_content_type_in_strange_words_is_no_fault(either_house: House, outlet: RawOutlet) -> None:
    house = either_house
    for number, kind in enumerate(("text/html; charset=\udcff", "\udcff", "text/xml; charset=nonsense", "a" * 9000)):
        outlet.pages[f"/{number}"] = answer(
            feed(item("x", "https://a.example/1")).partition(b"\r\n\r\n")[2], content_type=kind
        )
        follow(house, outlet.url(f"/{number}"))
    assert len(poll_due(house)) == 4
    assert poll_due(house) == []
