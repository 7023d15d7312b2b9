"""How a source is: ok, failing, silent for itself, gone or disabled; and what is said of it."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest

from newsletter.foundation.audit import COMMAND
from newsletter.stories import following, health
from newsletter.stories.following import Move
from newsletter.stories.health import Health, in_words
from newsletter.stories.models import SourceState, sources
from tests.conftest import House
from tests.support.feeds import feed, follow, item, poll, source
from tests.support.raw_outlet import RawOutlet, Write, answer

HOURS = timedelta(hours=1)


def tells(house: House, outlet: RawOutlet, *hours_ago: float) -> None:
    """The feed has a story of each of these ages from now on."""
    outlet.pages["/feed"] = feed(
        *[
            item(f"Story of {ago}", f"https://a.example/{ago}", date=format_datetime(house.now - ago * HOURS))
            for ago in hours_ago
        ]
    )


def health_of(house: House, source_id: int) -> Health:
    with house.app.app_context():
        return health.of(sources())[source_id]


@pytest.fixture
def source_id(desk: House, outlet: RawOutlet) -> int:
    return follow(desk, outlet.url("/feed"))


def test_a_source_is_new_until_it_was_asked_and_then_ok(desk: House, outlet: RawOutlet, source_id: int) -> None:
    assert source(desk, source_id).state is SourceState.NEW
    assert health_of(desk, source_id) == Health()
    tells(desk, outlet, 2, 5)
    poll(desk, source_id)
    assert source(desk, source_id).state is SourceState.OK
    assert health_of(desk, source_id) == Health(stories=2, newest=desk.now - 2 * HOURS)


def test_a_source_that_usually_writes_every_few_hours_is_silent_after_a_day(
    desk: House, outlet: RawOutlet, source_id: int
) -> None:
    tells(desk, outlet, 1, 3, 5, 9, 11, 13)
    poll(desk, source_id)
    newest = desk.now - HOURS
    desk.later(hours=22)
    poll(desk, source_id)
    assert source(desk, source_id).state is SourceState.OK
    desk.later(hours=2)
    poll(desk, source_id)
    assert source(desk, source_id).state is SourceState.SILENT
    assert health_of(desk, source_id) == Health(stories=6, newest=newest, usual_pause=2 * HOURS)

    tells(desk, outlet, 0.5)
    poll(desk, source_id)
    assert source(desk, source_id).state is SourceState.OK
    assert health_of(desk, source_id).usual_pause is None


def test_a_source_that_answers_304_for_ever_is_silent_too(desk: House, outlet: RawOutlet, source_id: int) -> None:
    tells(desk, outlet, 1, 3, 5, 7, 9, 11)
    whole = outlet.pages["/feed"]
    assert isinstance(whole, bytes)

    def page(head: bytes, write: Write) -> None:
        known = b"if-none-match" in head.lower()
        write(
            answer(status="304 Not Modified") if known else whole.replace(b"Connection", b'ETag: "1"\r\nConnection', 1)
        )

    outlet.pages["/feed"] = page
    poll(desk, source_id)
    desk.later(hours=30)
    assert poll(desk, source_id).error is None
    assert source(desk, source_id).state is SourceState.SILENT


def test_a_source_that_writes_weekly_is_not_silent_after_four_days(
    desk: House, outlet: RawOutlet, source_id: int
) -> None:
    tells(desk, outlet, *(96 + week * 168 for week in range(6)))
    poll(desk, source_id)
    assert source(desk, source_id).state is SourceState.OK


def test_a_failing_source_keeps_the_moment_since_when_and_a_gone_one_too(
    desk: House, outlet: RawOutlet, source_id: int
) -> None:
    since = desk.now
    for page in (answer(status="500 Oh"), answer(b"<html>"), answer(status="410 Gone")):
        outlet.pages["/feed"] = page
        poll(desk, source_id)
        desk.later(hours=1)
    gone = source(desk, source_id)
    assert (gone.state, gone.failing_since, gone.failures) == (SourceState.GONE, since, 3)


def test_a_source_that_moved_says_from_where_and_when(desk: House, outlet: RawOutlet, source_id: int) -> None:
    outlet.pages |= {"/feed": answer(status="301 Moved", location="/there"), "/there": feed()}
    poll(desk, source_id)
    assert health_of(desk, source_id).moved == Move(outlet.url("/feed"), desk.now)
    desk.later(days=1)
    with desk.app.app_context():
        following.move_source(source_id, outlet.url("/again"), desk.now, COMMAND)
    assert health_of(desk, source_id).moved == Move(outlet.url("/there"), desk.now), "the last move counts"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(), "an hour"),
        (timedelta(minutes=80), "an hour"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(hours=60), "2 days"),
        (timedelta(days=7), "7 days"),
    ],
)
def test_a_pause_is_told_as_one_would_say_it(span: timedelta, words: str) -> None:
    assert in_words(span) == words
