"""When editions are due, on the days on which clocks misbehave (DESIGN.md, rules 1, 3 and 6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.newsletters import calendar
from newsletter.newsletters.calendar import Oddity
from tests.conftest import EXAMPLES

ZONES = (
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",  # until 2019 at midnight
    "America/St_Johns",  # half an hour beside the others
    "Africa/Casablanca",  # back for Ramadan
    "Africa/Cairo",  # at midnight
    "Asia/Kathmandu",  # 45 minutes
    "Asia/Tokyo",
    "Australia/Lord_Howe",  # by half an hour
    "Europe/Berlin",
    "Europe/Dublin",  # its winter is the exception
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",  # the first to have a date
    "Pacific/Pago_Pago",  # the last
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instant(local: str, zone: str) -> datetime | None:
    moment = datetime.fromisoformat(local)
    return calendar.instant(moment.date(), moment.time(), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:00"),
        ("America/New_York", "2026-03-08 02:00", "2026-03-08 07:00"),
        ("America/New_York", "2026-03-08 01:59:59", "2026-03-08 06:59:59"),
        ("America/New_York", "2026-03-08 03:00", "2026-03-08 07:00"),
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:00"),
        ("Europe/Dublin", "2026-03-29 01:30", "2026-03-29 01:00"),
        ("Europe/London", "2026-03-29 01:30", "2026-03-29 01:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30"),
        ("Africa/Casablanca", "2026-03-22 02:30", "2026-03-22 02:00"),
        ("America/Sao_Paulo", "2018-11-04 00:30", "2018-11-04 03:00"),
        ("America/Santiago", "2026-09-06 00:00", "2026-09-06 04:00"),
        ("Africa/Cairo", "2026-04-24 00:30", "2026-04-23 22:00"),
        ("Asia/Beirut", "2026-03-29 00:15", "2026-03-28 22:00"),
    ],
)
def test_a_local_time_in_the_gap_is_the_first_instant_after_it(zone: str, local: str, expected: str) -> None:
    assert instant(local, zone) == utc(expected)


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30"),
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),
        ("Europe/Dublin", "2026-10-25 01:30", "2026-10-25 00:30"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),
        ("Africa/Casablanca", "2026-02-15 02:30", "2026-02-15 01:30"),
        ("America/Sao_Paulo", "2019-02-16 23:30", "2019-02-17 01:30"),
        ("Africa/Cairo", "2026-10-29 23:30", "2026-10-29 20:30"),
    ],
)
def test_a_local_time_in_the_fold_is_the_first_of_the_two(zone: str, local: str, expected: str) -> None:
    found = instant(local, zone)

    assert found == utc(expected)
    again = found.astimezone(ZoneInfo(zone))
    assert again.fold == 0
    assert again.replace(tzinfo=None) == datetime.fromisoformat(local)


@pytest.mark.parametrize(
    ("zone", "skipped"),
    [("Pacific/Apia", "2011-12-30"), ("Pacific/Fakaofo", "2011-12-30"), ("Pacific/Kiritimati", "1994-12-31")],
)
def test_a_date_that_a_zone_skipped_has_no_edition_and_its_neighbours_have(zone: str, skipped: str) -> None:
    for local_time in ("00:00", "06:00", "23:59:59"):
        assert instant(f"{skipped} {local_time}", zone) is None
    assert calendar.schedule(date.fromisoformat(skipped), time(6), zone, 45) is None
    for days in (-1, 1):
        neighbour = date.fromisoformat(skipped) + timedelta(days=days)
        found = calendar.schedule(neighbour, time(6), zone, 45)
        assert found is not None
        assert found.slot_at.astimezone(ZoneInfo(zone)).date() == neighbour


@pytest.mark.parametrize("zone", ["America/Nuuk", "America/Scoresbysund"])
@pytest.mark.parametrize("local_time", [time(23, 0), time(23, 30), time(23, 59, 59)], ids=str)
def test_a_gap_at_the_end_of_a_day_moves_the_edition_to_midnight_and_does_not_drop_it(
    zone: str, local_time: time
) -> None:
    """On 28 March 2026 Greenland's clocks go from 22:59:59 to 00:00 of the 29th."""
    assert calendar.instant(date(2026, 3, 28), local_time, ZoneInfo(zone)) == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_every_zone_has_an_edition_on_every_date_it_has() -> None:
    """Every zone of the world, each hour of the clock-change days of 2026."""
    for zone in ("America/Nuuk", "America/Godthab", "America/Scoresbysund", "Asia/Gaza", "America/Havana"):
        for month in (3, 10, 11):
            for day in range(1, 31):
                for hour in range(24):
                    assert calendar.instant(date(2026, month, day), time(hour, 30), ZoneInfo(zone)), (zone, month, day)


def test_the_day_after_a_skipped_one_follows_the_day_before_it() -> None:
    days = [f"2011-12-{day}" for day in (29, 30, 31)]
    moments = [found for day in days if (found := instant(f"{day} 06:00", "Pacific/Apia"))]

    assert len(moments) == 2
    assert moments[1] - moments[0] == timedelta(days=1)


def test_the_29th_of_february_has_an_edition_when_there_is_one() -> None:
    found = calendar.schedule(date(2028, 2, 29), time(6), "Europe/Berlin", 45)

    assert found is not None
    assert found.slot_at == utc("2028-02-29 05:00")
    dates = [one.local_date for one in each_open("2028-02-27 00:00", "2028-03-02 00:00", time(6), "Europe/Berlin")]
    assert date(2028, 2, 29) in dates


def test_the_date_line_lies_between_two_neighbours() -> None:
    """Kiritimati and Pago Pago see the same wall clock, shifted by one day and one hour."""
    now = utc("2026-03-03 10:30")
    assert calendar.local_date_at(now, "Pacific/Kiritimati") == date(2026, 3, 4)
    assert calendar.local_date_at(now, "Pacific/Pago_Pago") == date(2026, 3, 2)
    early, late = instant("2026-03-03 06:00", "Pacific/Kiritimati"), instant("2026-03-03 06:00", "Pacific/Pago_Pago")
    assert (early, late) == (utc("2026-03-02 16:00"), utc("2026-03-03 17:00"))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("local_time", [time(0, 0), time(2, 30), time(6, 0)], ids=str)
def test_a_year_has_one_instant_for_each_local_date_in_order(zone: str, local_time: time) -> None:
    """2011 has Apia's skipped date, Cairo's and Casablanca's changes, and Sao Paulo's at midnight."""
    for year in (2011, 2026):
        first = date(year, 1, 1)
        dates = [first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days)]
        moments = {day: calendar.instant(day, local_time, ZoneInfo(zone)) for day in dates}
        missing = [day for day, moment in moments.items() if moment is None]
        assert missing == ([date(2011, 12, 30)] if zone == "Pacific/Apia" and year == 2011 else [])
        there = [moment for moment in moments.values() if moment]
        assert all(timedelta(hours=22) <= later - sooner <= timedelta(hours=26) for sooner, later in pairwise(there))
        assert all(m.astimezone(ZoneInfo(zone)).date() == day for day, m in moments.items() if m)


@given(
    day=st.dates(date(1975, 1, 1), date(2037, 12, 31)),
    local_time=st.times().map(lambda t: t.replace(microsecond=0)),
    zone=st.sampled_from(ZONES),
)
@example(date(2026, 3, 29), time(2, 30), "Europe/Berlin")
@settings(max_examples=EXAMPLES * 3)
def test_an_instant_shows_its_local_time_or_lies_at_the_end_of_the_gap(day: date, local_time: time, zone: str) -> None:
    found = calendar.instant(day, local_time, ZoneInfo(zone))
    if found is None:
        return
    wall = found.astimezone(ZoneInfo(zone))
    if wall.replace(tzinfo=None) == datetime.combine(day, local_time):
        assert wall.fold == 0
    else:
        before = (found - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
        assert before.replace(tzinfo=None) < datetime.combine(day, local_time) < wall.replace(tzinfo=None)


# Windows


def test_all_deadlines_are_counted_in_utc_from_the_slot_s_instant() -> None:
    """On the day on which Berlin's clocks go forward: 06:00 there is 04:00 UTC, and nothing else moves."""
    found = calendar.schedule(date(2026, 3, 29), time(6), "Europe/Berlin", 360)

    assert found is not None
    assert found.slot_at == utc("2026-03-29 04:00")
    assert found.cutoff_at == utc("2026-03-28 22:00")
    assert found.start_by == utc("2026-03-29 06:00")
    assert found.finish_by == utc("2026-03-29 16:00")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-03 05:14:59", []),
        ("2026-03-03 05:15", [date(2026, 3, 3)]),
        ("2026-03-03 06:00", [date(2026, 3, 3)]),
        ("2026-03-03 17:59:59", [date(2026, 3, 3)]),
        ("2026-03-03 18:00", []),
    ],
)
def test_an_edition_is_open_from_its_cutoff_until_finish_by(now: str, expected: list[date]) -> None:
    assert [one.local_date for one in calendar.open_schedules(utc(now), time(6), "UTC", 45)] == expected


def test_a_cutoff_may_lie_on_the_day_before() -> None:
    (found,) = calendar.open_schedules(utc("2026-03-02 13:00"), time(0, 30), "UTC", 720)

    assert found.local_date == date(2026, 3, 3)
    assert found.cutoff_at == utc("2026-03-02 12:30")


def test_a_window_may_reach_into_the_next_day() -> None:
    (found,) = calendar.open_schedules(utc("2026-03-04 01:00"), time(23, 30), "UTC", 45)

    assert found.local_date == date(2026, 3, 3)


def test_only_publishing_days_are_open_by_the_slot_s_own_date() -> None:
    """Monday morning in Tokyo is Sunday evening in UTC."""
    sunday = utc("2026-03-01 20:30")

    assert [one.local_date for one in calendar.open_schedules(sunday, time(6), "Asia/Tokyo", 45, "1")] == [
        date(2026, 3, 2)
    ]
    assert list(calendar.open_schedules(sunday, time(6), "Asia/Tokyo", 45, "7")) == []


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo"])
def test_a_scheduler_that_looks_every_quarter_of_an_hour_sees_each_date_once(zone: str) -> None:
    """From Christmas 2011 to Epiphany: with Apia's skipped date, and no other gap."""
    seen = [one.local_date for one in each_open("2011-12-24 00:00", "2012-01-07 00:00", time(6), zone)]
    dates = sorted(set(seen))
    steps = {later - sooner for sooner, later in pairwise(dates)}

    assert steps == ({timedelta(days=1), timedelta(days=2)} if zone == "Pacific/Apia" else {timedelta(days=1)})
    assert len(dates) >= 12


def each_open(since: str, until: str, local_time: time, zone: str) -> Iterator[calendar.Schedule]:
    now = utc(since)
    while now < utc(until):
        yield from calendar.open_schedules(now, local_time, zone, 45)
        now += timedelta(minutes=15)


def test_the_next_edition_is_the_first_whose_cutoff_lies_ahead() -> None:
    found = calendar.next_schedule(utc("2026-03-03 05:15"), time(6), "UTC", 45, "1234567")
    assert found is not None
    assert found.local_date == date(2026, 3, 4)


def test_the_next_edition_of_a_weekly_paper_is_found_beyond_a_skipped_date() -> None:
    """2011-12-30 was a Friday that Apia never had; the next one came a week later."""
    found = calendar.next_schedule(utc("2011-12-24 00:00"), time(6), "Pacific/Apia", 45, "5")
    assert found is not None
    assert found.local_date == date(2012, 1, 6)


def test_a_paper_that_never_publishes_has_no_next_edition() -> None:
    assert calendar.next_schedule(utc("2026-03-03 05:15"), time(6), "UTC", 45, "") is None


def test_zones_are_known_by_their_names_only() -> None:
    assert calendar.is_zone("Europe/Berlin")
    for wrong in ("Europe/Atlantis", "", "../../etc/passwd", "/etc/localtime", "CEST", "UTC+1"):
        assert not calendar.is_zone(wrong)


# A calendar's page


def test_a_month_is_told_in_weeks_from_monday_to_sunday() -> None:
    weeks = calendar.weeks_of(date(2026, 2, 14))
    assert len(weeks) == 5
    assert weeks[0] == [None] * 6 + [date(2026, 2, 1)]
    assert weeks[-1] == [date(2026, 2, 23 + n) for n in range(6)] + [None]
    assert calendar.weeks_of(date(2027, 2, 1))[0][0] == date(2027, 2, 1)
    assert len(calendar.weeks_of(date(2027, 2, 1))) == 4, "February that begins on a Monday"


@pytest.mark.parametrize(
    ("by", "first"), [(0, (2026, 12)), (1, (2027, 1)), (13, (2028, 1)), (-11, (2026, 1)), (-12, (2025, 12))]
)
def test_months_are_counted_over_the_end_of_a_year(by: int, first: tuple[int, int]) -> None:
    assert calendar.later_month(date(2026, 12, 31), by) == date(*first, 1)


@pytest.mark.parametrize(
    ("day", "at", "zone", "told"),
    [
        (date(2026, 3, 3), time(6), "Europe/Berlin", None),
        (date(2026, 3, 29), time(6), "Europe/Berlin", Oddity(by=timedelta(hours=1))),
        (date(2026, 3, 29), time(2, 30), "Europe/Berlin", Oddity(by=timedelta(hours=1), goes_at=time(3))),
        (date(2026, 10, 25), time(2, 30), "Europe/Berlin", Oddity(by=timedelta(hours=-1))),
        (date(2026, 10, 4), time(6), "Australia/Lord_Howe", Oddity(by=timedelta(minutes=30))),
        (date(2011, 12, 30), time(6), "Pacific/Apia", Oddity(left_out=True)),
        (date(2026, 3, 29), time(6), "UTC", None),
    ],
)
def test_what_the_clocks_do_on_a_date(day: date, at: time, zone: str, told: Oddity | None) -> None:
    assert calendar.oddity(day, at, zone) == told
