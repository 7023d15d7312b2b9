"""An outlet is asked as often as it has news, as seldom as it wishes, and never for what we have already."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from threading import Event

import brotli
import pytest

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import FetchingConfig
from newsletter.stories import following
from newsletter.stories.collecting import Collected
from newsletter.stories.polling import FASTEST, SLOWEST
from tests.conftest import BuildHouse, House
from tests.support.feeds import LONG_AGO, feed, follow, item, poll, poll_due, rss, source, stories
from tests.support.newsroom import found
from tests.support.raw_outlet import RawOutlet, Write, answer, running_outlet

ONE = item("One", "https://a.example/1")
MINUTES, HOURS = timedelta(minutes=1), timedelta(hours=1)


def wait(house: House, source_id: int) -> timedelta:
    """How long the source is left alone from now on."""
    return source(house, source_id).next_poll_at - house.now


# What we have already


def test_a_feed_that_has_not_changed_is_not_sent_again(desk: House, outlet: RawOutlet) -> None:
    def page(head: bytes, write: Write) -> None:
        if b'if-none-match: "v1"' in head.lower():
            write(answer(status="304 Not Modified", etag='"v1"'))
        else:
            write(feed(ONE, etag='"v1"', last_modified=LONG_AGO))

    outlet.pages["/feed"] = page
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    for _ in range(2):
        desk.later(hours=1)
        assert poll(desk, source_id) == Collected(source_id, "Bay Herald", 0, 0, None)

    assert [b"if-none-match" in head.lower() for head in outlet.requests] == [False, True, True]
    assert f"if-modified-since: {LONG_AGO}".lower().encode() in outlet.requests[-1].lower()
    assert source(desk, source_id).state == "ok"
    assert source(desk, source_id).succeeded_at == desk.now
    assert len(stories(desk)) == 1


def test_a_304_without_an_etag_keeps_the_one_that_we_have(desk: House, outlet: RawOutlet) -> None:
    """RFC 9110 wants it there; many servers leave it out."""

    def page(head: bytes, write: Write) -> None:
        write(answer(status="304 Not Modified") if b"if-none-match" in head.lower() else feed(ONE, etag='"v1"'))

    outlet.pages["/feed"] = page
    source_id = follow(desk, outlet.url("/feed"))
    for _ in range(3):
        poll(desk, source_id)
        desk.later(hours=1)
    assert [b"if-none-match" in head.lower() for head in outlet.requests] == [False, True, True]


def test_a_304_that_nobody_asked_for_is_a_fault_of_the_server(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(status="304 Not Modified")
    assert "304" in (poll(desk, follow(desk, outlet.url("/feed"))).error or "")


def test_a_moved_source_is_asked_without_the_old_one_s_validators(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/old"] = feed(ONE, etag='"old"')
    outlet.pages["/new"] = feed(ONE)
    source_id = follow(desk, outlet.url("/old"))
    poll(desk, source_id)
    with desk.app.app_context():
        following.move_source(source_id, outlet.url("/new"), desk.now, COMMAND)
    (collected,) = poll_due(desk)

    assert (collected.new, collected.error) == (0, None), "its stories are known already"
    assert b"if-none-match" not in outlet.requests[-1].lower()


@pytest.mark.parametrize("validator", ["etag", "last_modified"])
def test_a_validator_that_no_header_may_hold_does_not_silence_the_source(
    desk: House, outlet: RawOutlet, validator: str
) -> None:
    outlet.pages["/feed"] = feed(ONE, **{validator: '"\udcff\u00e4"'})
    source_id = follow(desk, outlet.url("/feed"))
    assert [poll(desk, source_id).error for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress), ("identity", bytes)],
)
def test_a_packed_feed_is_asked_for_and_unpacked(
    desk: House, outlet: RawOutlet, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    outlet.pages["/feed"] = answer(pack(rss(ONE)), content_encoding=encoding, content_type="application/rss+xml")
    assert poll(desk, follow(desk, outlet.url("/feed"))).new == 1
    assert b"accept-encoding: gzip, deflate, br\r\n" in outlet.requests[0].lower()


# How often


def test_a_source_is_not_asked_before_its_time(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(ONE)
    source_id = follow(desk, outlet.url("/feed"))
    assert [len(poll_due(desk)) for _ in range(3)] == [1, 0, 0]

    desk.clock.at = source(desk, source_id).next_poll_at - timedelta(seconds=1)
    assert poll_due(desk) == []
    desk.later(seconds=1)
    assert len(poll_due(desk)) == 1


def test_an_outlet_with_news_is_asked_ever_more_often_and_a_quiet_one_ever_less(desk: House, outlet: RawOutlet) -> None:
    source_id = follow(desk, outlet.url("/feed"))

    def polled(number: int) -> timedelta:
        outlet.pages["/feed"] = feed(item("News", f"https://a.example/{number}"))
        assert poll(desk, source_id).error is None
        interval = wait(desk, source_id)
        desk.clock.at += interval
        return interval

    busy = [polled(number) for number in range(8)]
    quiet = [polled(7) for _ in range(25)]
    assert busy == sorted(busy, reverse=True)
    assert quiet == sorted(quiet)
    assert (busy[-1], quiet[-1]) == (FASTEST, SLOWEST) == (5 * MINUTES, 6 * HOURS)


@pytest.mark.parametrize(("ttl", "expected"), [("60", HOURS), (" 90 ", 90 * MINUTES), ("100000", 6 * HOURS)])
def test_the_feeds_own_ttl_is_honoured_up_to_the_longest_interval(
    desk: House, outlet: RawOutlet, ttl: str, expected: timedelta
) -> None:
    outlet.pages["/feed"] = feed(ONE, more=f"<ttl>{ttl}</ttl>")
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    assert wait(desk, source_id) == expected


def test_a_ttl_that_is_nonsense_is_ignored(desk: House, outlet: RawOutlet) -> None:
    for number, nonsense in enumerate(("-5", "9" * 5000, "²", "soon", "<b/>", "0")):
        outlet.pages[f"/{number}"] = feed(ONE, more=f"<ttl>{nonsense}</ttl>")
        follow(desk, outlet.url(f"/{number}"))
    polled = poll_due(desk)
    assert [one.error for one in polled] == [None] * 6
    assert all(wait(desk, one.source_id) < HOURS for one in polled)


# When it asks for time


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_a_server_that_asks_to_be_left_alone_is_left_alone(
    desk: House, outlet: RawOutlet, status: str, as_date: bool
) -> None:
    until = desk.now + 2 * HOURS
    outlet.pages["/feed"] = answer(status=status, retry_after=format_datetime(until) if as_date else "7200")
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)

    assert source(desk, source_id).next_poll_at == until
    desk.clock.at = until - timedelta(seconds=1)
    assert poll_due(desk) == []


def test_a_server_that_asks_for_a_year_is_asked_again_after_a_day(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = answer(status="503 Busy", retry_after=str(365 * 86400))
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    assert wait(desk, source_id) == 24 * HOURS


@pytest.mark.parametrize("nonsense", ["soon", "-5", "9" * 20, "Mon, 99 Foo 2026", "²", "", "Mon, 02 Mar 2026 00:00:00"])
def test_a_retry_after_that_is_nonsense_is_ignored(desk: House, outlet: RawOutlet, nonsense: str) -> None:
    outlet.pages["/feed"] = answer(status="503 Busy", retry_after=nonsense)
    source_id = follow(desk, outlet.url("/feed"))
    assert "503" in (poll(desk, source_id).error or "")
    assert FASTEST <= wait(desk, source_id) <= 24 * HOURS


def test_a_server_that_is_asked_too_often_is_asked_less_from_then_on(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(ONE)
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    before = source(desk, source_id).interval_seconds
    outlet.pages["/feed"] = answer(status="429 Too Many Requests")
    assert "too often" in (poll(desk, source_id).error or "")
    assert wait(desk, source_id) == HOURS, "it did not say how long"

    outlet.pages["/feed"] = feed(ONE)
    desk.later(hours=1)
    poll(desk, source_id)
    assert wait(desk, source_id) >= timedelta(seconds=2 * before)


def test_a_source_that_goes_on_failing_is_asked_less_and_less_and_never_given_up(
    desk: House, outlet: RawOutlet
) -> None:
    source_id = follow(desk, outlet.url("/feed"))
    waits = []
    for _ in range(12):
        poll(desk, source_id)
        waits.append(wait(desk, source_id))
        desk.clock.at += waits[-1]

    assert waits == sorted(waits)
    assert waits[0] <= 15 * MINUTES
    assert 6 * HOURS <= waits[-1] <= 24 * HOURS


# Many at once


def test_twenty_sources_of_a_host_that_hangs_do_not_keep_another_host_waiting(
    build_house: BuildHouse, sqlite_url: str, outlet: RawOutlet
) -> None:
    """The host hangs until the other one has been asked, so this would end in errors if it had to wait."""
    fetching = FetchingConfig(allow_networks=("127.0.0.0/8",), timeout_seconds=10)
    house = build_house(sqlite_url, fetching=fetching)
    found(house)
    asked = Event()

    def hangs(_head: bytes, write: Write) -> None:
        if asked.wait(20):
            write(feed(ONE))

    def fine(_head: bytes, write: Write) -> None:
        asked.set()
        write(feed(ONE))

    for number in range(20):
        outlet.pages[f"/{number}"] = hangs
        follow(house, outlet.url(f"/{number}"))
    with running_outlet("127.0.0.2") as other:
        other.pages["/feed"] = fine
        follow(house, other.url("/feed"))
        assert [one.error for one in poll_due(house)] == [None] * 21
