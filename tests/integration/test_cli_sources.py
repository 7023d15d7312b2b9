"""What an operator types about the feeds that are collected."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pytest_httpserver import HTTPServer

from tests.conftest import MORNING
from tests.support.office import Office
from tests.support.outlets import Piece, publish

USED = {"newsletter": "post", "weight": 1.0, "own": False, "on_topic": False, "section": ""}


@pytest.fixture
def desk(newsroom: Office, feed: str) -> Office:
    """With one source, 1, which nobody has asked yet, and a second newsletter."""
    add = ("newsletters", "add", "news", "--name", "Evening News", "--from", "news@example.org")
    return newsroom.once("sources", ("sources", "add", feed), add)


def listed(office: Office, *words: str) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], office.data("sources", "list", *words))


def test_a_source_is_added_with_all_that_can_be_said_of_it(newsroom: Office, feed: str) -> None:
    said = ("--outlet", "Herald", "--weight", "2.5", "--own", "--on-topic", "--section", "Coast", "--page-fetch")
    assert newsroom.says("sources", "add", feed, *said) == "Added Herald as source 1.\n"
    (row,) = listed(newsroom)
    assert (row["outlet"], row["page_fetch"], row["state"], row["stories"]) == ("Herald", True, "new", 0)
    assert row["newsletters"] == [USED | {"weight": 2.5, "own": True, "on_topic": True, "section": "Coast"}]


def test_what_one_newsletter_says_of_a_source_is_its_own(desk: Office) -> None:
    desk.says("sources", "add", listed(desk)[0]["url"], "--newsletter", "news")
    settings = ("weight=0.5", "section=Sea & shore", "own=yes")
    assert desk.says("sources", "set", "1", *settings, "--newsletter", "news") == "Changed Bay Herald.\n"
    (row,) = listed(desk)
    changed = {"newsletter": "news", "weight": 0.5, "own": True, "section": "Sea & shore"}
    assert row["newsletters"] == [USED, USED | changed]


def test_what_is_the_source_s_own_needs_no_newsletter(desk: Office, feed: str) -> None:
    desk.says("sources", "set", "1", "outlet=The Herald", "page_fetch=yes", f"url={feed}?all")
    (row,) = listed(desk)
    assert (row["outlet"], row["page_fetch"], row["url"]) == ("The Herald", True, f"{feed}?all")
    assert row["moved_from"] == feed
    assert f"Moved here from {feed} on 2026-03-03." in desk.says("sources", "list")


def test_a_source_is_disabled_and_asked_again(desk: Office) -> None:
    desk.says("sources", "set", "1", "disabled=yes")
    assert "disabled" in desk.says("sources", "list")
    assert desk.says("collect") == "No source is due.\n"
    desk.says("sources", "set", "1", "disabled=no")
    assert desk.says("collect") == "Bay Herald: 2 new, 0 updated\n"


def test_a_source_is_removed_and_its_stories_stay(desk: Office) -> None:
    desk.says("collect")
    desk.says("sources", "add", listed(desk)[0]["url"], "--newsletter", "news")
    said = desk.says("sources", "remove", "1", "--newsletter", "news")
    assert said == "Evening News no longer collects Bay Herald.\n"
    said = desk.says("sources", "remove", "1", "--newsletter", "post")
    assert said == "Morning Post no longer collects Bay Herald. Nobody does any more, so it is disabled.\n"
    (row,) = listed(desk)
    assert (row["state"], row["stories"], row["newsletters"]) == ("disabled", 2, [])
    assert "No newsletter collects it." in desk.says("sources", "list")


def test_the_sources_of_one_newsletter_are_listed(desk: Office, httpserver: HTTPServer) -> None:
    other = publish(httpserver, "/cape.xml", "Cape Courier", [])
    desk.says("sources", "add", other, "--newsletter", "news")
    assert [row["outlet"] for row in listed(desk)] == ["Bay Herald", "Cape Courier"]
    assert [row["outlet"] for row in listed(desk, "--newsletter", "news")] == ["Cape Courier"]
    assert "Bay Herald" not in desk.says("sources", "list", "--newsletter", "news")


def test_a_failing_source_says_why_and_since_when(desk: Office, httpserver: HTTPServer) -> None:
    httpserver.clear()
    httpserver.expect_request("/bay.xml").respond_with_data("no", status=404)
    result = desk.run("collect")
    assert (result.exit_code, "404 Not Found: there is nothing at this address" in result.stdout) == (1, True)
    assert (
        "\n      The server answered 404 Not Found: there is nothing at this address. Since 2026-03-03 05:20 UTC.\n"
    ) in desk.says("sources", "list")
    (row,) = listed(desk)
    assert row["state"] == "failing"
    assert row["failing_since"].startswith("2026-03-03 05:20")


def test_sections_go_out_as_nested_outlines_and_come_in_again(desk: Office, httpserver: HTTPServer) -> None:
    desk.says("sources", "set", "1", "section=Coast", "--newsletter", "post")
    other = publish(httpserver, "/cape.xml", "Cape Courier", [Piece("x", "y", MORNING)])
    desk.says("sources", "add", other, "--newsletter", "post")
    exported = desk.says("sources", "export", "--newsletter", "post")
    assert exported.index('<outline text="Coast">') < exported.index("/bay.xml") < exported.index("</outline>")
    file = desk.folder / "feeds.opml"
    file.write_text(exported, "utf-8")
    assert "2 are new" in desk.says("sources", "import", str(file), "--newsletter", "news")
    assert desk.says("sources", "export", "--newsletter", "news") == exported.replace("Morning Post", "Evening News")


FAILURES = {
    ("sources", "set", "1", "weight=11", "--newsletter", "post"): "weight: write a number from 0.1 to 10, such as 1.5",
    ("sources", "set", "1", "own=perhaps", "--newsletter", "post"): "own: write yes or no",
    ("sources", "set", "1", "outlet="): "outlet: write 1 to 200 characters on one line",
    (
        "sources",
        "set",
        "1",
        "colour=blue",
    ): "colour: there is no such setting; there are weight, own, on_topic, section,",
    ("sources", "set", "1", "url=nowhere"): "“nowhere” is no web address. Write it whole",
    ("sources", "set", "9", "outlet=Nobody"): "There is no source 9. See: newsletter sources list",
    ("sources", "set", "1", "weight=2"): "There are several newsletters; name one: post, news",
    ("sources", "set", "1", "weight=2", "--newsletter", "news"): "Evening News does not collect source 1.",
    ("sources", "remove", "1", "--newsletter", "news"): "Evening News does not collect source 1.",
    ("sources", "remove", "9", "--newsletter", "post"): "There is no source 9.",
    ("sources", "remove", "1"): "There are several newsletters; name one: post, news",
    ("sources", "list", "--newsletter", "nothing"): "There is no newsletter “nothing”.",
}


@pytest.mark.parametrize("words", FAILURES, ids=" ".join)
def test_what_cannot_be_is_told_in_one_line_and_changes_nothing(desk: Office, words: tuple[str, ...]) -> None:
    before = listed(desk)
    assert desk.fails(*words).startswith(FAILURES[words])
    assert listed(desk) == before


@pytest.mark.parametrize("words", [("1",), ("one", "weight=2"), ("1", "weight"), ()], ids=str)
def test_wrong_usage_ends_with_2(desk: Office, words: tuple[str, ...]) -> None:
    assert desk.run("sources", "set", *words).exit_code == 2
