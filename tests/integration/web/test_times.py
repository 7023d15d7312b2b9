"""A newsletter's slots and its calendar, as an owner changes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.delivery import closing
from newsletter.editions import publishing
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.newsletters import settings, slots
from newsletter.newsletters.models import newsletter
from newsletter.web.admin import times
from tests.conftest import House
from tests.integration.subscribers import everything
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.forms import Sheet, open_page, words
from tests.support.newsroom import Paper

SLUG = "morning-post"
ONE = f"/admin/newsletters/{SLUG}"


@pytest.fixture
def paper(house: House) -> Paper:
    return newsroom.found(house)


@pytest.fixture
def desk(paper: Paper) -> Desk:
    return signed_in(paper.house)


def add(paper: Paper, zone: str, at: time = time(6, 0)) -> int:
    with paper.house.app.app_context():
        return slots.add(paper.slug, zone, at, paper.house.now, COMMAND).id


def labels(paper: Paper) -> list[str]:
    with paper.house.app.app_context():
        return [slot.label for slot in newsletter(paper.slug).slots]


def skipped(paper: Paper) -> list[str]:
    with paper.house.app.app_context():
        return list(newsletter(paper.slug).skip_dates)


def records(paper: Paper, *acts: str) -> list[Any]:
    with paper.house.app.app_context():
        query = sa.select(AuditRecord).where(AuditRecord.action.in_(acts)).order_by(AuditRecord.id)
        return [one.details for one in db.session.scalars(query)]


# Slots


def test_a_slot_is_added_and_readers_may_choose_it(paper: Paper, desk: Desk) -> None:
    added = open_page(desk, f"{ONE}/slots").after("Add it", zone="America/New_York", time="07:30")
    assert "The slot 07:30 New York is there. Readers may choose it from now on; nobody was moved." in added.words
    assert labels(paper) == ["06:00 UTC", "07:30 New York"]
    assert "07:30 New York time" in paper.house.browser.get("/subscribe").text
    assert records(paper, "slot.add") == [{"newsletter": SLUG, "zone": "America/New_York", "time": "07:30"}]


@pytest.mark.parametrize(
    ("zone", "at", "field", "problem"),
    [
        ("Mars/Olympus", "06:00", "zone", "“Mars/Olympus” is no time zone; write it like Europe/Berlin"),
        ("", "06:00", "zone", "is no time zone"),
        ("UTC", "06:00", "zone", "There is a slot at 06:00 UTC already"),
        ("Asia/Tokyo", "25:00", "time", "write it like 06:00"),
        ("Asia/Tokyo", "six", "time", "write it like 06:00"),
        ("Asia/Tokyo", "", "time", "write it like 06:00"),
    ],
)
def test_a_slot_that_cannot_be_is_told_beside_its_field(
    paper: Paper, desk: Desk, zone: str, at: str, field: str, problem: str
) -> None:
    before = everything(paper.house)
    again = open_page(desk, f"{ONE}/slots").after("Add it", zone=zone, time=at)
    assert again.status == 422
    assert again.wrong().keys() == {field}
    assert problem in again.wrong()[field]
    assert again.fields("Add it")["zone"] == zone
    assert everything(paper.house) == before


def test_another_slot_becomes_the_default_and_nobody_is_moved(paper: Paper, desk: Desk) -> None:
    tokyo = add(paper, "Asia/Tokyo")
    paper.readers("ann@example.org")
    page = open_page(desk, f"{ONE}/slots").after("Make it the default")
    assert "It is the default now: for who chooses no other. Nobody was moved." in page.words
    with paper.house.app.app_context():
        one = newsletter(SLUG)
        assert one.default_slot.id == tokyo
        assert sum(slot.is_default for slot in one.slots) == 1
        assert closing.readers_in(one.slots) == {paper.slot_id: 1}
    assert records(paper, "slot.default") == [{"newsletter": SLUG, "before": "06:00 UTC", "after": "06:00 Tokyo"}]


def test_a_slot_without_readers_is_closed_and_may_be_opened_again(paper: Paper, desk: Desk) -> None:
    add(paper, "Asia/Tokyo")
    page = open_page(desk, f"{ONE}/slots").after("Close 06:00 Tokyo time")
    assert "The slot 06:00 Tokyo is closed. Its past editions stay." in page.words
    assert labels(paper) == ["06:00 UTC"]
    assert "Tokyo" not in paper.house.browser.get("/subscribe").text
    assert "is there." in page.after("Open it again").words
    assert labels(paper) == ["06:00 UTC", "06:00 Tokyo"]


def test_a_slot_with_readers_is_closed_when_it_is_said_where_they_go(paper: Paper, desk: Desk) -> None:
    tokyo = add(paper, "Asia/Tokyo")
    paper.readers("ann@example.org", "bob@example.org", slot_id=tokyo)
    page = open_page(desk, f"{ONE}/slots")
    assert "Its 2 readers go into" in page.words
    refused = desk.post(f"{ONE}/slots/{tokyo}/close")
    assert refused.status_code == 303
    assert "Readers are in this slot (2), so say where they go." in open_page(desk, f"{ONE}/slots").words
    done = page.after("Close 06:00 Tokyo time", to=str(paper.slot_id))
    assert "2 readers are in another slot now." in done.words
    assert records(paper, "slot.close")[-1] == {
        "newsletter": SLUG,
        "slot": "06:00 Tokyo",
        "moved": 2,
        "to": "06:00 UTC",
    }


def test_many_readers_are_moved_only_with_their_number_typed(
    paper: Paper, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "TYPED_ABOVE", 2)
    tokyo = add(paper, "Asia/Tokyo")
    paper.readers(*(f"r{n}@example.org" for n in range(3)), slot_id=tokyo)
    page = open_page(desk, f"{ONE}/slots")
    assert "Type 3 to move so many" in page.words
    for typed in ("", "2", "three"):
        assert "type 3 to move so many readers" in page.after("Close 06:00 Tokyo time", count=typed).words
    assert "3 readers are in another slot now." in page.after("Close 06:00 Tokyo time", count="3").words


def test_a_slot_of_another_newsletter_is_not_there(paper: Paper, desk: Desk) -> None:
    courier = newsroom.found(paper.house, "ridge-courier")
    other = add(courier, "Asia/Tokyo")
    before = everything(paper.house)
    for deed in ("default", "close"):
        desk.post(f"{ONE}/slots/{other}/{deed}", to=str(paper.slot_id))
        assert "There is no such slot, or it was closed." in open_page(desk, f"{ONE}/slots").words
    assert everything(paper.house) == before


# The calendar


def calendar(desk: Desk, month: str = "") -> Sheet:
    return open_page(desk, f"{ONE}/calendar?month={month}" if month else f"{ONE}/calendar")


def days(page: Sheet) -> dict[str, str]:
    """What each day that can be pressed says of itself."""
    return {
        one.get("value"): one.get("aria-label") for one in page.root.xpath("//button[@name='skip' or @name='unskip']")
    }


def press(desk: Desk, day: str, *, undo: bool = False) -> Sheet:
    desk.post(f"{ONE}/calendar/date", **{"unskip" if undo else "skip": day}, month="2026-03")
    return calendar(desk, "2026-03")


def test_a_day_is_left_out_and_taken_back_with_what_it_means(paper: Paper, desk: Desk) -> None:
    assert days(calendar(desk))["2026-03-10"] == "10 March 2026: an edition. Leave it out"
    page = press(desk, "2026-03-10")
    assert (
        "There is no edition on Tuesday, 10 March 2026; readers get no mail, and nothing tells them why." in page.words
    )
    assert days(page)["2026-03-10"] == "10 March 2026: left out. Take it back"
    assert skipped(paper) == ["2026-03-10"]
    press(desk, "2026-03-10")
    assert skipped(paper) == ["2026-03-10"]
    assert "There is an edition on Tuesday, 10 March 2026 again." in press(desk, "2026-03-10", undo=True).words
    assert skipped(paper) == []
    said = records(paper, "newsletter.change")
    assert [(one["before"]["skip_dates"], one["after"]["skip_dates"]) for one in said] == [
        ("", "2026-03-10"),
        ("2026-03-10", ""),
    ]


def test_what_is_left_out_has_no_draft_and_what_is_drafted_goes_out_all_the_same(paper: Paper, desk: Desk) -> None:
    paper.tells(*newsroom.SUBJECTS)
    drafted = paper.draft()
    page = press(desk, "2026-03-03")
    assert "An edition of it is made already and goes out all the same; leave it out on its own page." in page.words
    assert page.links()["Tuesday, 3 March 2026, 06:00 UTC"] == f"/admin/editions/{drafted}"
    press(desk, "2026-03-04")
    paper.house.later(days=1)
    with paper.house.app.app_context():
        assert publishing.missing(paper.house.now) == []
    paper.house.later(days=1)
    with paper.house.app.app_context():
        assert len(publishing.missing(paper.house.now)) == 1


@pytest.mark.parametrize("day", ["2026-03-02", "2020-01-01", "", "soon", "2026-02-30", "2026-3-4", "9999-99-99"])
def test_what_is_over_or_no_day_changes_nothing(paper: Paper, desk: Desk, day: str) -> None:
    before = everything(paper.house)
    said = press(desk, day).words
    assert "that day is over. Nothing was changed." in said or "press a day of the calendar" in said
    assert everything(paper.house) == before


def test_past_days_cannot_be_pressed_and_today_is_where_it_began_last(paper: Paper, desk: Desk) -> None:
    assert min(days(calendar(desk))) == "2026-03-03"
    add(paper, "Pacific/Honolulu")
    assert min(days(calendar(desk))) == "2026-03-02", "there it is still yesterday"


def test_months_are_walked_through_and_no_further_than_is_sensible(paper: Paper, desk: Desk) -> None:
    first = calendar(desk)
    assert [words(one) for one in first.root.xpath("//table/caption")] == ["March 2026", "April 2026", "May 2026"]
    assert "Earlier" not in first.links()
    later = open_page(desk, first.links()["Later"])
    assert [words(one) for one in later.root.xpath("//table/caption")] == ["June 2026", "July 2026", "August 2026"]
    assert later.links()["Earlier"].endswith("month=2026-03")
    for strange in ("0000-00", "1999-12", "x", "2026-13"):
        assert words(calendar(desk, strange).root.xpath("//table/caption")[0]) == "March 2026"
    assert words(calendar(desk, "9999-12").root.xpath("//table/caption")[0]) == "March 2031"


def test_the_calendar_tells_what_the_clocks_do(paper: Paper, desk: Desk) -> None:
    add(paper, "Europe/Berlin", time(2, 30))
    add(paper, "America/New_York", time(6, 0))
    told = [words(one) for one in calendar(desk).root.xpath("//section[@aria-labelledby='odd']//li")]
    assert told == [
        "Sunday, 8 March 2026, 06:00 New York time: the clocks go forward by 60 minutes. It goes out at its time all "
        "the same.",
        "Sunday, 29 March 2026, 02:30 Berlin time: the clocks go forward by 60 minutes. That time is left out there, "
        "so it goes out at 03:00.",
    ]
    autumn = calendar(desk, "2026-10")
    assert "02:30 Berlin time: the clocks go back by 60 minutes. It goes out at its time all the same." in autumn.words


def test_a_date_that_a_zone_left_out_is_told_and_cannot_be_pressed(house: House) -> None:
    house.clock.at = datetime(2011, 12, 20, 12, tzinfo=UTC)
    paper = newsroom.found(house, zone="Pacific/Apia")
    page = calendar(signed_in(house))
    assert "2011-12-30" not in days(page)
    assert days(page)["2011-12-29"] == "29 December 2011: an edition. Leave it out"
    assert "30, there is no such date" in words(page.root.xpath("//table")[0])
    assert "Friday, 30 December 2011, 06:00 Apia time: there is no such date there" in page.words
    add(paper, "Pacific/Honolulu")
    assert "2011-12-30" in days(calendar(signed_in(house))), "elsewhere there is"


def test_the_days_of_the_week_are_saved_beside_the_calendar(paper: Paper, desk: Desk) -> None:
    saved = calendar(desk).after("Save the days", days=["1", "2", "3", "4", "5"])
    assert "Saved. Days: “1234567” → “12345”." in saved.words
    assert days(saved)["2026-03-07"] == "7 March 2026: no edition on this day of the week. Leave it out"
    none = saved.after("Save the days", days=[])
    assert none.status == 422
    assert words(none.find("days-error")) == "choose at least one day"
    with paper.house.app.app_context():
        assert newsletter(SLUG).days == "12345"
    weekend = press(desk, "2026-03-07", undo=True).words
    assert "is no longer left out, but that day of the week has no edition anyway." in weekend


@pytest.mark.parametrize("typed", [["0"], ["8"], ["1", "1"], ["x"], ["12345678"]])
def test_days_that_are_none_are_told_beside_the_boxes(paper: Paper, desk: Desk, typed: list[str]) -> None:
    again = calendar(desk).after("Save the days", days=typed)
    assert again.status == 422
    assert "write the weekdays as digits" in words(again.find("days-error"))


def test_of_two_who_save_the_days_the_second_is_told(paper: Paper, desk: Desk) -> None:
    mine, theirs = calendar(desk), calendar(desk)
    theirs.press("Save the days", days=["1", "3"])
    again = mine.after("Save the days", days=["2"])
    assert again.status == 409
    assert "Now it is 13, as the numbers of the days." in again.words
    assert "“13” → “2”" in again.after("Save the days").words


def test_of_two_who_press_different_days_both_are_heard(paper: Paper, desk: Desk) -> None:
    calendar(desk)
    press(desk, "2026-03-10")
    with paper.house.app.app_context():
        settings.skip(SLUG, date(2026, 3, 11), paper.house.now, COMMAND)
    press(desk, "2026-03-12")
    assert skipped(paper) == ["2026-03-10", "2026-03-11", "2026-03-12"]


def test_a_calendar_that_is_full_says_so(paper: Paper, desk: Desk) -> None:
    with paper.house.app.app_context():
        many = ", ".join(date.fromordinal(date(2027, 1, 1).toordinal() + n).isoformat() for n in range(366))
        settings.change(SLUG, paper.house.now, COMMAND, skip_dates=many)
    assert "write at most 366 dates" in press(desk, "2026-03-10").words
    assert "2026-03-10" not in skipped(paper)
