from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.polling import (
    FASTEST,
    SLOWEST,
    asked_less,
    is_silent,
    next_interval,
    usual_pause,
    wait_after_failure,
)

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
MINUTES, HOURS = timedelta(minutes=1), timedelta(hours=1)

spans = st.timedeltas(timedelta(), timedelta(days=3))


@given(spans, st.booleans(), st.none() | spans)
def test_a_source_is_asked_every_five_minutes_to_six_hours(
    interval: timedelta, found_new: bool, asked_for: timedelta | None
) -> None:
    assert FASTEST <= next_interval(interval, found_new, asked_for) <= SLOWEST


def test_news_brings_the_next_look_closer_and_silence_moves_it_away() -> None:
    assert next_interval(15 * MINUTES, True) < 15 * MINUTES < next_interval(15 * MINUTES, False)


def test_the_feeds_own_wish_is_honoured() -> None:
    assert next_interval(5 * MINUTES, True, 60 * MINUTES) == 60 * MINUTES


def test_failures_are_asked_again_ever_more_slowly() -> None:
    waits = [wait_after_failure(15 * MINUTES, failures) for failures in range(1, 8)]
    assert waits[:3] == [15 * MINUTES, 30 * MINUTES, 60 * MINUTES]
    assert waits == sorted(waits)
    assert waits[-1] == SLOWEST


def test_a_server_that_asks_for_time_gets_it_but_not_more_than_a_day() -> None:
    assert wait_after_failure(15 * MINUTES, 1, 8 * HOURS) == 8 * HOURS
    assert wait_after_failure(15 * MINUTES, 1, 1000 * HOURS) == 24 * HOURS
    assert wait_after_failure(15 * MINUTES, 3, 1 * MINUTES) == 60 * MINUTES


@pytest.mark.parametrize(
    ("hours_ago", "silent"),
    [
        ([1, 2, 3, 4, 5, 6], False),
        ([30, 31, 32, 33, 34, 35], True),
        ([23, 24, 25, 26, 27, 28], False),
        ([100, 268, 436, 604, 772, 940], False),  # a weekly, four days after its last issue
        ([600, 768, 936, 1104, 1272, 1440], True),
        ([300], False),
        ([], False),
        ([60, 61, 62, 362, 363, 364], True),  # one summer break does not make every pause usual
    ],
)
def test_silence_is_unusual_only_for_who_usually_speaks(hours_ago: list[int], silent: bool) -> None:
    assert is_silent([NOW - timedelta(hours=hours) for hours in hours_ago], NOW) is silent


def test_the_usual_pause_is_the_longest_but_one() -> None:
    assert usual_pause([NOW - timedelta(hours=hours) for hours in (1, 3, 303, 306, 310)]) == 4 * HOURS
    assert usual_pause([NOW] * 4) is None


@given(spans)
def test_who_is_asked_too_often_is_asked_half_as_often_up_to_a_bound(interval: timedelta) -> None:
    assert asked_less(interval) == min(max(2 * interval, 2 * FASTEST), SLOWEST)
