"""The same story is one story, however its outlet spells it; and two stories are two."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from threading import Barrier, Thread

import pytest

from newsletter.stories import asking, collecting
from tests.conftest import House
from tests.support.feeds import feed, follow, item, poll, source, stories
from tests.support.raw_outlet import RawOutlet

ONE = "https://a.example/2026/one"


def polls(house: House, outlet: RawOutlet, *rounds: list[str]) -> list[str]:
    """The titles of all stories after the feed said this, and then that."""
    source_id = follow(house, outlet.url("/feed"))
    for items in rounds:
        outlet.pages["/feed"] = feed(*items)
        assert poll(house, source_id).error is None
        house.later(hours=1)
    return sorted(story.title for story in stories(house))


def test_collecting_twice_doubles_nothing(either_desk: House, outlet: RawOutlet) -> None:
    desk = either_desk
    outlet.pages["/feed"] = feed(item("One", "https://a.example/1"), item("Two", "https://a.example/2"))
    source_id = follow(desk, outlet.url("/feed"))

    first = poll(desk, source_id)
    again = poll(desk, source_id)
    assert (first.new, first.updated, first.error) == (2, 0, None)
    assert (again.new, again.updated, again.error) == (0, 0, None)
    assert [story.title for story in stories(desk)] == ["One", "Two"]
    assert source(desk, source_id).state == "ok"


def test_a_changed_title_updates_the_story_and_keeps_its_first_date(desk: House, outlet: RawOutlet) -> None:
    outlet.pages["/feed"] = feed(item("Fire", "https://a.example/1", guid="1"))
    source_id = follow(desk, outlet.url("/feed"))
    poll(desk, source_id)
    desk.later(hours=3)
    touched = format_datetime(desk.now)
    outlet.pages["/feed"] = feed(item("Fire is out", "https://a.example/1", "New words.", date=touched, guid="1"))

    assert poll(desk, source_id).updated == 1
    (story,) = stories(desk)
    assert (story.title, story.summary) == ("Fire is out", "New words.")
    assert story.published_at == datetime(2026, 2, 28, 8, tzinfo=UTC)
    assert story.updated_at == desk.now


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (item("One", ONE), item("One, updated", ONE)),
        (item("One", ONE, guid="7"), item("One, updated", ONE)),
        (item("One", ONE), item("One, updated", ONE, guid="7")),
        (item("One", ONE, guid="7"), item("One, updated", ONE, guid="8")),
        (item("One", ONE, guid="7"), item("One, updated", f"{ONE}-updated", guid="7")),
        (item("One", ONE, guid="http://a.example/?p=7"), item("One, updated", "", guid="https://a.example/?p=7")),
    ],
    ids=["no id", "id lost", "id gained", "id changed", "address changed", "id is an address"],
)
def test_a_missing_or_changing_id_or_address_makes_no_second_story(
    desk: House, outlet: RawOutlet, first: str, later: str
) -> None:
    later = later.replace("<link></link>", f"<link>{ONE}/moved</link>")
    assert polls(desk, outlet, [first], [later], [later]) == ["One, updated"]


@pytest.mark.parametrize(
    "spelling",
    [
        "http://a.example/2026/one",
        "https://www.a.example/2026/one/",
        "https://A.example:443/2026/one",
        "https://a.example/2026/one?utm_source=rss&amp;utm_medium=feed&amp;fbclid=x",
        "https://a.example/2026/one#comments",
        "https://a.example/2026/one?utm_campaign=&lt;b&gt;#top",
    ],
)
@pytest.mark.parametrize("permalink", [False, True], ids=["by its address", "by an id that is its address"])
def test_another_spelling_of_the_address_makes_no_second_story(
    desk: House, outlet: RawOutlet, spelling: str, permalink: bool
) -> None:
    first, later = (item("One", url, guid=url if permalink else "") for url in (ONE, spelling))
    assert polls(desk, outlet, [first], [later], [first]) == ["One"]


def test_an_address_that_differs_in_what_matters_is_another_story(desk: House, outlet: RawOutlet) -> None:
    addresses = [ONE, f"{ONE}?id=1", f"{ONE}?id=2", f"{ONE}/two", "https://b.example/2026/one"]
    items = [item(f"Story {n}", address) for n, address in enumerate(addresses)]
    assert polls(desk, outlet, items, items) == [f"Story {n}" for n in range(5)]


def test_a_republished_item_is_the_same_story_with_its_first_date(desk: House, outlet: RawOutlet) -> None:
    """It left the feed, and comes back on top with a new date and a new id."""
    again = item("One", ONE, date=format_datetime(desk.now), guid="9")
    other = item("Two", "https://a.example/2")
    assert polls(desk, outlet, [item("One", ONE, guid="1")], [other], [again, other]) == ["One", "Two"]
    one, _two = stories(desk)
    assert one.published_at == datetime(2026, 2, 28, 8, tzinfo=UTC)
    assert one.position == 1


def test_one_id_for_different_stories_is_none(desk: House, outlet: RawOutlet) -> None:
    """Whether they stand in the feed together or one after the other."""
    one, two = (item(f"Story {n}", f"https://a.example/{n}", guid="0") for n in (1, 2))
    assert polls(desk, outlet, [one, two], [two], [one], [two, one]) == ["Story 1", "Story 2"]


def test_one_id_that_turns_out_to_be_none_leaves_the_stories_apart(desk: House, outlet: RawOutlet) -> None:
    """The first poll saw one story only and believed the id; a later one sees another story with it alone."""
    one, two = (item(f"Story {n}", f"https://a.example/{n}", guid="0") for n in (1, 2))
    assert polls(desk, outlet, [one], [one, two], [two]) == ["Story 1", "Story 2"]
    assert {(story.title, story.url) for story in stories(desk)} == {
        ("Story 1", "https://a.example/1"),
        ("Story 2", "https://a.example/2"),
    }


def test_one_address_that_turns_out_to_be_none_leaves_the_stories_apart(desk: House, outlet: RawOutlet) -> None:
    """The same with a feed that links everything to its front page, and has one story now and then."""
    one, two, three = (item(f"Story {n}", "https://a.example/", guid=str(n)) for n in (1, 2, 3))
    assert polls(desk, outlet, [one, two], [three], [one], [two]) == ["Story 1", "Story 2", "Story 3"]


def test_one_address_for_different_stories_is_none(desk: House, outlet: RawOutlet) -> None:
    """A feed that links everything to its front page."""
    one, two, three = (item(f"Story {n}", "https://a.example/", guid=str(n)) for n in (1, 2, 3))
    found = polls(desk, outlet, [one, two], [two, three], [one, two, three])
    assert found == ["Story 1", "Story 2", "Story 3"]


def test_an_item_that_stands_twice_in_a_feed_is_one_story(desk: House, outlet: RawOutlet) -> None:
    double = item("One", ONE, guid="1")
    assert polls(desk, outlet, [double, double, item("One again", ONE, guid="1")]) == ["One"]


def test_the_same_address_from_two_outlets_is_two_stories(desk: House, outlet: RawOutlet) -> None:
    """They are one event; that is for the grouping to say."""
    outlet.pages["/a"] = outlet.pages["/b"] = feed(item("One", "https://wire.example/1"))
    for path in ("/a", "/b"):
        poll(desk, follow(desk, outlet.url(path)))

    assert len(stories(desk)) == 2


def test_a_story_that_left_the_feed_stays(desk: House, outlet: RawOutlet) -> None:
    two = item("Two", "https://a.example/2")
    assert polls(desk, outlet, [item("One", ONE)], [two]) == ["One", "Two"]


def test_two_who_collect_the_same_source_at_once_keep_each_story_once(
    either_desk: House, outlet: RawOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler, and somebody who types newsletter collect."""
    desk = either_desk
    outlet.pages["/feed"] = feed(*[item(f"Story {n}", f"https://a.example/{n}") for n in range(30)])
    source_id = follow(desk, outlet.url("/feed"))
    both, answer_to = Barrier(2), asking.answer_to

    def together(*args: object) -> asking.Answer:
        found = answer_to(*args)  # type: ignore[arg-type]
        both.wait(20)
        return found

    monkeypatch.setattr(collecting, "answer_to", together)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            poll(desk, source_id)
        except BaseException as error:  # handed to the test
            raised.append(error)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert raised == []
    assert len(stories(desk)) == 30
