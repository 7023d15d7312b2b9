from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.dates import EARLIEST, FUTURE_ALLOWED, moment

NOW = datetime(2026, 3, 3, 5, 20, tzinfo=UTC)
HALF_PAST = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 02 Mar 2026 22:30:00 GMT",
        "Mon, 02 Mar 2026 22:30 UT",
        "2 Mar 26 22:30:00 Z",
        "Mon, 02 Mar 2026 17:30:00 EST",
        "Mon, 02 Mar 2026 23:30:00 +0100",
        "Mon, 02 Mar 2026 23:30:00 GMT+01:00",
        "Mon, 02 Mar 2026 23:30:00 CET",
        "Tue, 03 Mar 2026 04:00:00 +0530",
        "Tue, 03 Mar 2026 07:30:00 JST",
        "2026-03-02T22:30:00Z",
        "2026-03-02 23:30:00+01:00",
        "2026-03-02T23:30:00+0100",
        " 2026-03-02T22:30Z ",
        "Mo, 02 Mär 2026 23:30:00 +0100",
        "lun., 2 mars 2026 23:30:00 +0100",
        "Seg, 02 Mar 2026 19:30:00 -0300",
    ],
)
def test_a_date_with_a_zone_is_the_moment_that_it_names(text: str) -> None:
    assert moment([(text, None)], NOW) == (HALF_PAST, None)


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 02 Mar 2026 22:30:00",
        "Mon, 02 Mar 2026 22:30:00 XYZ",
        "Mon, 02 Mar 2026 22:30:00 +9900",
        "Mon, 02 Mar 2026 22:30:00 +1500",
        "2026-03-02T22:30:00",
        "2026-03-02 22:30:00",
        "2026-03-02T22:30:00+99:00",
        "Mon Mar 02 22:30:00 2026",
    ],
)
def test_a_date_without_a_zone_or_with_a_wrong_one_is_read_as_utc_and_the_note_says_so(text: str) -> None:
    found, note = moment([(text, None)], NOW)
    assert found == HALF_PAST
    assert note == f"the date “{text}” names no time zone that is known, so it is read as UTC"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cannot be read"),
        ("yesterday", "cannot be read"),
        ("0000-00-00", "cannot be read"),
        ("Tue, 99 Foo 99999 99:99:99", "cannot be read"),
        ("02/03/2026", "cannot be read"),
        ("1772490600", "cannot be read"),
        ("Mon, 02 Mar 2026 24:61:00 GMT", "cannot be read"),
        ("9999-12-31T23:59:59-05:00", "cannot be read"),
        ("0001-01-01T00:00:00+05:00", "cannot be read"),
        ("Mon, 01 Jan 0001 00:00:00 GMT", "cannot be read"),
        ("0001-01-01T00:00:00Z", "is no date of news"),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "is no date of news"),
        ("Fri, 31 Dec 2099 00:00:00 GMT", "lies in the future"),
        ("Tue, 03 Mar 2026 14:20:00 GMT", "lies in the future"),  # nine hours ahead: local time that is called GMT
    ],
)
def test_a_date_that_cannot_be_is_the_time_of_first_sight_and_the_note_says_why(text: str, why: str) -> None:
    found, note = moment([(text, None)], NOW)
    assert found == NOW
    assert note is not None
    assert why in note
    assert note.endswith("so the time it was first seen counts")


def test_without_a_date_the_time_of_first_sight_counts() -> None:
    assert moment([], NOW) == (NOW, "the feed gives no date, so the time it was first seen counts")


def test_the_first_date_that_can_be_read_counts() -> None:
    assert moment([("soon", None), ("2026-03-02T22:30:00Z", None)], NOW) == (HALF_PAST, None)


def test_a_reading_of_the_feeds_library_helps_where_we_have_none() -> None:
    assert moment([("2026년 3월 2일", HALF_PAST)], NOW) == (HALF_PAST, None)


def test_clocks_may_differ_by_minutes() -> None:
    soon = NOW + timedelta(minutes=5)
    assert moment([(soon.isoformat(), None)], NOW) == (soon, None)


@given(st.lists(st.tuples(st.text(max_size=60), st.none() | st.datetimes(timezones=st.just(UTC))), max_size=3))
def test_any_text_gives_a_sane_time_and_a_note_that_fits_its_column(said: list[tuple[str, datetime | None]]) -> None:
    found, note = moment(said, NOW)
    assert found.tzinfo is UTC
    assert EARLIEST <= found <= NOW + FUTURE_ALLOWED
    assert note is None or (len(note) <= 200 and note.isprintable())


@given(st.integers(900_000_000, 1_700_000_000), st.integers(-14 * 60, 14 * 60), st.sampled_from("T "))
def test_whatever_the_zone_it_is_the_same_moment(seconds: int, minutes: int, between: str) -> None:
    at = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    for text in (at.isoformat(between), format_datetime(at)):
        assert moment([(text, None)], NOW) == (at, None)
