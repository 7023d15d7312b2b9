"""Looking at a feed before it is collected."""

from __future__ import annotations

from email.utils import format_datetime

import pytest
import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError
from newsletter.stories import checking
from newsletter.stories.checking import Checked
from newsletter.stories.models import Source, Story
from tests.conftest import House
from tests.support.feeds import feed, item
from tests.support.raw_outlet import RawOutlet, answer

PICTURE = '<media:content url="https://a.example/p.jpg"><media:description>A ferry</media:description></media:content>'


def check(house: House, outlet: RawOutlet, page: bytes) -> Checked:
    outlet.pages["/feed"] = page
    with house.app.app_context():
        found = checking.check(outlet.url("/feed"), house.fetcher, house.now)
        for table in (Source, Story):
            assert db.session.scalar(sa.select(sa.func.count()).select_from(table)) == 0, "nothing is stored"
        return found


def test_a_feed_without_fault_has_no_problems(desk: House, outlet: RawOutlet) -> None:
    recent = format_datetime(desk.now)
    found = check(desk, outlet, feed(item("One", "https://a.example/1", date=recent, more=PICTURE)))
    assert (found.url, found.title) == (outlet.url("/feed"), "Bay Herald")
    assert [story.title for story in found.stories] == ["One"]
    assert found.problems == ()


def test_every_problem_is_seen_and_those_of_many_stories_are_told_once(desk: House, outlet: RawOutlet) -> None:
    bare = PICTURE.replace("<media:description>A ferry</media:description>", "")
    items = [
        item("Zone", "https://a.example/1", date="Sun, 01 Feb 2026 22:30:00 XYZ"),
        item("Zone", "https://a.example/2", date="Sun, 01 Feb 2026 23:30:00 XYZ", more=bare),
        item("Empty", "https://a.example/3", "", date="Mon, 02 Feb 2026 23:30:00 GMT", more=PICTURE),
    ]
    found = check(desk, outlet, feed(*items).replace(b"<title>Bay Herald</title>", b" " * 25))
    assert found.problems == (
        "The feed has no title, so its outlet wants a name from you.",
        "2 of 3: the date names no time zone that is known, so it is read as UTC.",
        "The newest story is 28 days old.",
        "1 of 3 have no summary; grouping has only their titles to go by.",
        "1 of 2 pictures have no description (alt text).",
    )


def test_dates_that_cannot_be_are_told_once_for_each_reason(desk: House, outlet: RawOutlet) -> None:
    dates = ["yesterday", "tomorrow", None, "Fri, 31 Dec 2099 00:00:00 GMT", "Thu, 30 Dec 2100 00:00:00 GMT"]
    found = check(desk, outlet, feed(*[item(f"{n}", f"/{n}", date=date) for n, date in enumerate(dates)]))
    assert found.problems == (
        "2 of 5: the date cannot be read, so the time it was first seen counts.",
        "1 of 5: the feed gives no date, so the time it was first seen counts.",
        "2 of 5: the date lies in the future, so the time it was first seen counts.",
        "No story has a picture; a look at their pages (page fetch) may find some.",
    )


def test_a_feed_that_leads_on_or_has_nothing_in_it_is_told(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/there"] = feed()
    found = check(desk, outlet, answer(status="302 Found", location="/there"))
    assert found.url == outlet.url("/there")
    assert found.problems == (
        f"The address leads on to {outlet.url('/there')}; add that one.",
        "There is no story with a title and an address in it.",
    )


@pytest.mark.parametrize("page", [answer(status="404 Not Found"), answer(b"<html></html>"), b""], ids=ascii)
def test_what_is_no_feed_is_an_error(desk: House, outlet: RawOutlet, page: bytes) -> None:
    with pytest.raises(NewsletterError):
        check(desk, outlet, page)
