"""The calendar driven through whole years, in zones whose clocks change in every way that there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from newsletter.newsletters import calendar
from newsletter.newsletters.calendar import Schedule, Stage

CUTOFF = 45
NONE: tuple[str, ...] = ()

YEARS = (
    ("America/New_York", 2028, NONE),  # a leap year; changes at two in the morning
    ("America/St_Johns", 2011, NONE),  # half an hour beside the others, and it changed at one minute past midnight
    ("America/Sao_Paulo", 2018, NONE),  # forward at midnight
    ("Africa/Cairo", 2024, NONE),  # forward at midnight, back to the day before; a leap year
    ("Africa/Casablanca", 2026, NONE),  # back for Ramadan and forward after it
    ("Europe/Berlin", 2026, NONE),
    ("Asia/Tokyo", 2024, NONE),  # never; a leap year
    ("Australia/Lord_Howe", 2026, NONE),  # by half an hour
    ("Pacific/Apia", 2011, ("2011-12-30",)),  # over the date line: a date less
    ("Pacific/Kiritimati", 1994, ("1994-12-31",)),  # the same, earlier
)
"""Each with the dates that it never had."""

TIMES = [
    time(0, 0),
    time(2, 30),
    *(pytest.param(at, marks=pytest.mark.slow) for at in (time(0, 30), time(23, 59))),
]


def dates_of(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days)]


def editions_of(
    zone: str, year: int, local_time: time, days: str = "1234567", skip: tuple[str, ...] = ()
) -> Iterator[Schedule]:
    """The year's editions, as one is told of them who asks for the next one at each cut-off."""
    now = datetime(year - 1, 12, 28, tzinfo=UTC)
    while found := calendar.next_schedule(now, local_time, zone, CUTOFF, days, skip):
        now = found.cutoff_at
        if found.local_date.year > year:
            return
        if found.local_date.year == year:
            yield found


@pytest.mark.parametrize(("zone", "year", "never"), YEARS, ids=lambda value: str(value))
@pytest.mark.parametrize("local_time", TIMES, ids=str)
def test_a_year_has_one_edition_for_each_local_date_and_each_is_after_the_one_before(
    zone: str, year: int, never: tuple[str, ...], local_time: time
) -> None:
    editions = list(editions_of(zone, year, local_time))

    assert [one.local_date for one in editions] == [day for day in dates_of(year) if day.isoformat() not in never]
    assert all(sooner.slot_at < later.slot_at for sooner, later in pairwise(editions))
    assert all(timedelta(hours=22) <= b.slot_at - a.slot_at <= timedelta(hours=26) for a, b in pairwise(editions))
    for one in editions:
        wall = one.slot_at.astimezone(ZoneInfo(zone))
        assert wall.date() == one.local_date, "and it goes out on its own date"
        assert (one.cutoff_at, one.start_by, one.finish_by) == (
            one.slot_at - timedelta(minutes=CUTOFF),
            one.slot_at + timedelta(hours=2),
            one.slot_at + timedelta(hours=12),
        )


@pytest.mark.parametrize(("zone", "year", "never"), YEARS, ids=lambda value: str(value))
@pytest.mark.parametrize("local_time", TIMES[1:], ids=str)
def test_a_scheduler_that_looks_every_eleven_hours_makes_each_edition_once(
    zone: str, year: int, never: tuple[str, ...], local_time: time
) -> None:
    made: dict[date, Schedule] = {}
    now, end = datetime(year - 1, 12, 31, tzinfo=UTC), datetime(year + 1, 1, 2, tzinfo=UTC)
    while now < end:
        for found in calendar.open_schedules(now, local_time, zone, CUTOFF):
            assert made.setdefault(found.local_date, found) == found, "whenever one looks, it is the same"
            assert calendar.stage(found, now) in (Stage.OPEN, Stage.DUE, Stage.LATE)
        now += timedelta(hours=11)

    wanted = [day for day in dates_of(year) if day.isoformat() not in never]
    assert [day for day in sorted(made) if day.year == year] == wanted


@pytest.mark.parametrize(
    ("zone", "day", "local", "utc"),
    [
        ("America/New_York", "2028-03-12", "03:00", "07:00"),
        ("America/New_York", "2028-11-05", "02:30", "07:30"),
        ("Europe/Berlin", "2026-03-29", "03:00", "01:00"),
        ("Europe/Berlin", "2026-10-25", "02:30", "00:30"),
        ("Africa/Casablanca", "2026-02-15", "02:30", "01:30"),
        ("Africa/Casablanca", "2026-03-22", "03:00", "02:00"),
    ],
)
def test_half_past_two_comes_once_on_the_days_on_which_the_clocks_change(
    zone: str, day: str, local: str, utc: str
) -> None:
    (found,) = [one for one in editions_of(zone, int(day[:4]), time(2, 30)) if one.local_date.isoformat() == day]

    assert f"{found.slot_at.astimezone(ZoneInfo(zone)):%H:%M}" == local
    assert f"{found.slot_at:%H:%M}" == utc
    opens = [at for at in hours(found.slot_at) if day in dates_open(at, zone)]
    assert opens == [at for at in hours(found.slot_at) if found.cutoff_at <= at < found.finish_by]


def hours(around: datetime) -> list[datetime]:
    """Every half hour of the two days around a moment."""
    return [around + timedelta(minutes=30 * number) for number in range(-48, 49)]


def dates_open(now: datetime, zone: str) -> list[str]:
    return [one.local_date.isoformat() for one in calendar.open_schedules(now, time(2, 30), zone, CUTOFF)]


def test_the_29th_of_february_has_its_edition_in_each_zone() -> None:
    for zone, *_ in YEARS:
        dates = [one.local_date for one in editions_of(zone, 2028, time(2, 30))]
        assert dates.count(date(2028, 2, 29)) == 1


def test_readers_on_both_sides_of_the_date_line_get_the_same_date_a_day_apart() -> None:
    first = {one.local_date: one.slot_at for one in editions_of("Pacific/Kiritimati", 2026, time(6))}
    last = {one.local_date: one.slot_at for one in editions_of("Pacific/Pago_Pago", 2026, time(6))}

    assert first.keys() == last.keys()
    assert {last[day] - first[day] for day in first} == {timedelta(hours=25)}


# Dates without an edition


def test_a_date_to_skip_has_no_edition_and_its_neighbours_have_theirs() -> None:
    skip = ("2026-12-24", "2026-12-25", "2026-12-26")
    dates = {one.local_date.isoformat() for one in editions_of("Europe/Berlin", 2026, time(6), skip=skip)}

    assert {day.isoformat() for day in dates_of(2026)} - dates == set(skip)
    christmas = datetime(2026, 12, 25, 5, 30, tzinfo=UTC)
    assert list(calendar.open_schedules(christmas, time(6), "Europe/Berlin", CUTOFF, skip=skip)) == []
    assert len(list(calendar.open_schedules(christmas, time(6), "Europe/Berlin", CUTOFF))) == 1


def test_a_date_to_skip_is_the_slots_own_date() -> None:
    """In Tokyo it is the 25th while it is the 24th in UTC."""
    evening = datetime(2026, 12, 24, 20, 30, tzinfo=UTC)
    assert list(calendar.open_schedules(evening, time(6), "Asia/Tokyo", CUTOFF, skip=["2026-12-25"])) == []
    assert len(list(calendar.open_schedules(evening, time(6), "Asia/Tokyo", CUTOFF, skip=["2026-12-24"]))) == 1


def test_a_weekly_paper_comes_back_after_a_holiday_of_months() -> None:
    """Every Saturday of the summer is skipped, and some dates that it would not have had anyway."""
    skip = [day.isoformat() for day in dates_of(2026) if day.month in (6, 7, 8)]
    found = calendar.next_schedule(datetime(2026, 5, 31, tzinfo=UTC), time(6), "UTC", CUTOFF, "6", skip)

    assert found is not None
    assert found.local_date == date(2026, 9, 5)


def test_who_begins_to_read_before_a_skipped_date_is_told_the_one_after_it() -> None:
    evening = datetime(2026, 12, 24, 20, tzinfo=UTC)
    assert calendar.first_date(evening, time(6), "UTC", "1234567", ["2026-12-25"]) == date(2026, 12, 26)


# A slot or a zone that changes


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((time(6), "Europe/Berlin"), (time(18), "Europe/Berlin")),
        ((time(18), "Europe/Berlin"), (time(6), "Europe/Berlin")),
        ((time(0, 30), "Europe/Berlin"), (time(23, 30), "Europe/Berlin")),
        ((time(23, 30), "Europe/Berlin"), (time(0, 30), "Europe/Berlin")),
        ((time(6), "Africa/Casablanca"), (time(6), "Europe/Lisbon")),  # as if the country gave up its rule
        ((time(2, 30), "Europe/Berlin"), (time(2, 30), "Africa/Tunis")),  # as if summer time were over for good
    ],
)
def test_a_slot_or_a_rule_that_changes_during_the_day_brings_back_no_date_and_costs_that_one_at_most(
    before: tuple[time, str], after: tuple[time, str]
) -> None:
    """At many hours of three days; who has made the edition of a date makes no other. A date is lost where the new time
    was long ago on the day of the change."""
    for changed in range(0, 72, 5):
        made: list[date] = []
        for hour in range(-48, 144):
            now = datetime(2026, 3, 27, tzinfo=UTC) + timedelta(hours=hour)
            for found in calendar.open_schedules(now, *(before if hour < changed else after), CUTOFF):
                if found.local_date not in made:
                    made.append(found.local_date)
        assert made == sorted(made), changed
        lost = {made[0] + timedelta(days=number) for number in range((made[-1] - made[0]).days)} - set(made)
        assert lost <= {(datetime(2026, 3, 27, tzinfo=UTC) + timedelta(hours=changed)).date()}


# Stages


@pytest.mark.parametrize(
    ("now", "stage"),
    [
        ("05:14:59", Stage.AHEAD),
        ("05:15:00", Stage.OPEN),
        ("05:59:59", Stage.OPEN),
        ("06:00:00", Stage.DUE),
        ("07:59:59", Stage.DUE),
        ("08:00:00", Stage.LATE),
        ("17:59:59", Stage.LATE),
        ("18:00:00", Stage.OVER),
    ],
)
def test_a_moment_belongs_to_the_stage_that_it_begins(now: str, stage: Stage) -> None:
    found = calendar.schedule(date(2026, 3, 3), time(6), "UTC", CUTOFF)
    assert found is not None
    assert calendar.stage(found, datetime.fromisoformat(f"2026-03-03T{now}+00:00")) is stage
