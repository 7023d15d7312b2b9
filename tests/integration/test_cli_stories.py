"""What an operator types about stories and about how they are chosen."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pytest_httpserver import HTTPServer

from newsletter.stories import topics
from tests.support.office import Office
from tests.support.outlets import article

SHIPS = 'name = "ships"\nstrong = ["ferry", "trawler"]\n'


@pytest.fixture
def desk(newsroom: Office, feed: str) -> Office:
    """With two stories of one feed: 1 and 2, in no particular order."""
    set_ = ("newsletters", "set", "post", "items_at_least=1")
    return newsroom.once("stories", set_, ("sources", "add", feed), ("collect",))


def rows(office: Office, *words: str) -> dict[str, dict[str, Any]]:
    """What is listed, by headline."""
    return {row["headline"]: row for row in cast(list[dict[str, Any]], office.data("stories", "list", *words))}


def number(office: Office, headline: str) -> str:
    return str(rows(office)[headline]["id"])


def marks(office: Office) -> dict[str, list[str]]:
    return {headline: row["marks"] for headline, row in rows(office).items() if row["marks"]}


def drafted(office: Office) -> list[str]:
    """The headlines of a draft that is composed now."""
    office.says("edition", "compose")
    shown = cast(dict[str, Any], office.data("edition", "show"))
    return [item["headline"] for item in shown["items"]]


# list


def test_the_stories_are_listed_with_who_tells_them_and_when(desk: Office) -> None:
    listed = desk.says("stories", "list")
    assert "2026-03-03 03:20  Harbor bridge closes  (Bay Herald)\n" in listed
    assert listed.count("\n") == 2
    row = rows(desk)["Harbor bridge closes"]
    assert row.keys() == {"id", "headline", "outlet", "url", "published", "marks"}
    assert (row["outlet"], row["published"], row["marks"]) == ("Bay Herald", "2026-03-03 03:20:00+00:00", [])
    assert row["url"].endswith("/harbor-bridge-closes")


def test_words_find_stories_by_headline_and_outlet_and_mean_nothing_else(desk: Office) -> None:
    assert rows(desk, "BRIDGE", "herald").keys() == {"Harbor bridge closes"}
    assert rows(desk, "bay herald").keys() == {"Harbor bridge closes", "New school opens"}
    assert rows(desk, "%") == rows(desk, "_") == rows(desk, "zeppelin") == {}
    assert len(rows(desk, "--limit", "1")) == 1


def test_a_list_of_nothing_says_what_to_do(newsroom: Office) -> None:
    assert newsroom.says("stories", "list") == "No such story. Collect some: newsletter collect\n"
    assert newsroom.data("stories", "list") == []


# add


def test_a_story_is_read_from_its_page_and_is_in_the_next_draft(desk: Office, httpserver: HTTPServer) -> None:
    said = {"title": "A kettle is found", "site_name": "Quay Times", "description": "In a box.", "image": "/k.jpg"}
    url = article(httpserver, "/kettle", "Kettle", said)
    added = desk.says("stories", "add", url, "--section", "Port")
    assert added == f"Story {number(desk, 'A kettle is found')}: A kettle is found (Quay Times).\n"
    assert marks(desk) == {"A kettle is found": ["pinned"]}
    assert drafted(desk)[0] == "A kettle is found"


def test_what_is_typed_counts_before_what_the_page_says(desk: Office, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/kettle", "Kettle", {"site_name": "Quay Times"})
    assert "Kettle (The Desk)." in desk.says("stories", "add", url, "--outlet", "The Desk")
    typed = ("--headline", "Our headline", "--summary", "Words", "--picture", "https://a.example/k.jpg", "--alt", "A k")
    assert "Our headline (Morning Post)." in desk.says("stories", "add", "https://a.example/never-asked", *typed)


def test_a_story_may_have_no_page_and_no_pin(desk: Office) -> None:
    assert "A word to our readers (Morning Post)." in desk.says(
        "stories", "add", "--headline", "A word to our readers", "--no-pin"
    )
    assert marks(desk) == {}
    assert rows(desk)["A word to our readers"]["url"] == ""
    assert "A word to our readers" in drafted(desk)


def test_a_page_that_is_there_already_is_told_so(desk: Office) -> None:
    known = rows(desk)["New school opens"]
    added = desk.says("stories", "add", known["url"] + "?utm_source=x", "--headline", "Other words")
    assert added == (
        f"Story {known['id']}: New school opens (Bay Herald). It was there already; its words stay as they were.\n"
    )
    assert marks(desk) == {"New school opens": ["pinned"]}
    assert len(rows(desk)) == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "The headline cannot be used: write one."),
        (("--headline", "\u202e"), "The headline cannot be used: write one."),
        (("javascript:alert(1)",), "The address cannot be used: write it whole, like https://example.org/story."),
        (("gazette.example/story", "--headline", "x"), "The address cannot be used: write it whole"),
        (("--headline", "x" * 501), "The headline cannot be used: it is over 500 characters."),
        (("--headline", "x", "--picture", "k.jpg"), "The picture’s address cannot be used: write it whole"),
        (("--headline", "x", "--alt", "x" * 501), "The picture’s description cannot be used: it is over"),
        (("http://10.0.0.1/story",), "10.0.0.1 is not a public address, so it is not fetched."),
        (("https://no-such-outlet.invalid/",), "no-such-outlet.invalid"),
        (("--headline", "x", "--newsletter", "nope"), "There is no newsletter “nope”."),
    ],
)
def test_what_cannot_be_added_is_one_line(desk: Office, words: tuple[str, ...], line: str) -> None:
    assert line in desk.fails("stories", "add", *words)
    assert len(rows(desk)) == 2


def test_a_page_that_is_none_is_one_line(desk: Office, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/paper.pdf").respond_with_data(b"%PDF", content_type="application/pdf")
    assert "is no page that can be read" in desk.fails("stories", "add", httpserver.url_for("/paper.pdf"))
    untitled = article(httpserver, "/untitled", "", {})
    assert desk.fails("stories", "add", untitled) == "The headline cannot be used: write one."


# hide, pin, tie, part


def test_hide_and_pin_take_each_others_place_and_can_be_unsaid(desk: Office) -> None:
    school = number(desk, "New school opens")
    assert desk.says("stories", "pin", school) == "Marked as pinned. It counts from the next draft on.\n"
    assert drafted(desk)[0] == "New school opens"
    desk.says("stories", "hide", school)
    assert marks(desk) == {"New school opens": ["hidden"]}
    assert drafted(desk) == ["Harbor bridge closes"]
    assert "[hidden]" in desk.says("stories", "list", "school")
    assert desk.says("stories", "hide", school, "--undo") == "Unsaid.\n"
    assert desk.says("stories", "hide", school, "--undo") == "Unsaid.\n"
    assert marks(desk) == {}


def test_tie_and_part_take_each_others_place_and_can_be_unsaid(desk: Office) -> None:
    desk.says("stories", "tie", "1", "2")
    assert len(drafted(desk)) == 1
    assert set(map(tuple, marks(desk).values())) == {("together",)}
    assert desk.says("stories", "part", "2", "1") == "Marked as apart. It counts from the next draft on.\n"
    assert len(drafted(desk)) == 2
    desk.says("stories", "part", "1", "2", "--undo")
    assert marks(desk) == {}


@pytest.mark.parametrize("command", ["hide", "pin"])
def test_of_a_story_that_there_is_not_nothing_is_said(desk: Office, command: str) -> None:
    assert desk.fails("stories", command, "999") == "There is no story 999."


@pytest.mark.parametrize("command", ["tie", "part"])
def test_a_pair_is_two_stories(desk: Office, command: str) -> None:
    assert desk.fails("stories", command, "1", "999") == "There is no story 999."
    assert "together and apart need two stories" in desk.fails("stories", command, "1", "1")
    assert marks(desk) == {}


def test_with_several_newsletters_one_must_be_named_and_only_it_is_meant(desk: Office) -> None:
    desk.says("newsletters", "add", "other", "--name", "Other Post", "--from", "other@example.org")
    assert "There are several newsletters; name one" in desk.fails("stories", "hide", "1")
    assert "There are several newsletters; name one" in desk.fails("stories", "list")
    desk.says("stories", "hide", "1", "--newsletter", "other")
    assert all(row["marks"] == [] for row in rows(desk, "--newsletter", "post").values())
    assert rows(desk, "--newsletter", "other") == {}


# withdraw, restore


def test_a_story_is_taken_down_and_comes_back(desk: Office) -> None:
    school = number(desk, "New school opens")
    assert "New school opens" in drafted(desk)
    taken = desk.says("stories", "withdraw", school, "--reason", "The outlet asked us to")
    assert taken == "Withdrawn. It was taken out of Morning Post of 2026-03-03.\n"
    assert desk.says("stories", "withdraw", school) == "Withdrawn. No edition that is not sent yet had it.\n"
    assert marks(desk) == {"New school opens": ["withdrawn"]}
    url = rows(desk)["New school opens"]["url"]
    refused = desk.fails("stories", "add", url, "--headline", "Again")
    assert refused == f"The address cannot be used: it was withdrawn, as story {school}. Restore that one first."
    assert desk.says("stories", "restore", school) == "It can be chosen again from the next draft on.\n"
    assert "New school opens" in drafted(desk)


@pytest.mark.parametrize("command", ["withdraw", "restore"])
def test_a_story_that_there_is_not_is_neither_taken_down_nor_restored(desk: Office, command: str) -> None:
    assert desk.fails("stories", command, "999") == "There is no story 999."


@pytest.mark.parametrize(
    "words",
    [
        ("hide",),
        ("hide", "one"),
        ("hide", "0"),
        ("hide", "99999999999999999999"),
        ("pin", "1", "2"),
        ("tie", "1"),
        ("part", "1", "two"),
        ("part", "1", "2", "3"),
        ("tie", "1", "99999999999999999999"),
        ("withdraw",),
        ("withdraw", "2147483648"),
        ("restore", "-1"),
        ("restore", "1", "--reason", "x"),
        ("list", "--limit", "0"),
        ("list", "--limit", "many"),
        ("add", "https://a.example/", "https://b.example/"),
        ("add", "--title", "x"),
        ("forget", "1"),
    ],
)
def test_what_is_typed_wrongly_ends_with_2_and_changes_nothing(office: Office, words: tuple[str, ...]) -> None:
    result = office.run("stories", *words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Error: " in result.stderr


# newsletters show, topic, set


def test_the_settings_are_shown_as_they_are_set(newsroom: Office) -> None:
    newsroom.says("newsletters", "set", "post", "sections=World,  Sport", "grouping_threshold=0.2", "days=531")
    shown = newsroom.says("newsletters", "show")
    lines = dict(line.split("=", 1) for line in shown.splitlines())
    assert (lines["sections"], lines["grouping_threshold"], lines["days"]) == ("World, Sport", "0.2", "135")
    assert newsroom.data("newsletters", "show", "post") == lines
    newsroom.says("newsletters", "set", "post", *shown.splitlines())
    assert newsroom.says("newsletters", "show", "post") == shown


def test_a_setting_that_cannot_be_is_one_line_and_none_of_them_is_changed(newsroom: Office) -> None:
    before = newsroom.says("newsletters", "show")
    for pair, line in {
        "items_at_most=0": "items_at_most: write a number from 1 to 50",
        "from_address=nobody": "from_address: “nobody” is not an e-mail address",
        "publisher=" + "x" * 121: "publisher: write at most 120 characters on one line",
        "topic=military": "topic: there is no such setting",
    }.items():
        assert line in newsroom.fails("newsletters", "set", "post", "name=Evening Post", pair)
    assert newsroom.says("newsletters", "show") == before


def test_newsletters_that_there_are_not_are_one_line(office: Office) -> None:
    assert "There is no newsletter yet." in office.fails("newsletters", "show")
    office.says("newsletters", "add", "post", "--name", "Morning Post", "--from", "post@example.org")
    for words in (("show", "nope"), ("topic", "nope"), ("topic", "nope", "military"), ("set", "nope", "name=x")):
        assert "There is no newsletter “nope”." in office.fails("newsletters", *words)


def test_a_topic_is_set_shown_and_taken_away(newsroom: Office) -> None:
    assert newsroom.says("newsletters", "topic", "post") == "Everything is let in: there is no topic.\n"
    taken = newsroom.says("newsletters", "topic", "post", "military")
    assert taken == "Morning Post takes stories of the topic Military.\n"
    assert newsroom.says("newsletters", "topic", "post") == topics.shipped_text("military").rstrip() + "\n"
    assert newsroom.says("newsletters", "topic", "post", "none") == "Morning Post takes stories about everything.\n"
    assert newsroom.says("newsletters", "topic", "post") == "Everything is let in: there is no topic.\n"


def test_a_topic_of_ones_own_comes_from_a_file_and_what_is_printed_can_be_put_back(desk: Office) -> None:
    file = desk.folder / "schools.toml"
    file.write_text('name = "schools"\nstrong = ["school"]\n', "utf-8")
    assert desk.says("newsletters", "topic", "post", str(file)) == "Morning Post takes stories of the topic schools.\n"
    assert drafted(desk) == ["New school opens"]
    file.write_text(desk.says("newsletters", "topic", "post"), "utf-8")
    desk.says("newsletters", "topic", "post", str(file))
    assert drafted(desk) == ["New school opens"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("name = [", "The topic cannot be used and was not changed: not TOML"),
        ('name = "x"\nstrong = "ferry"', "strong must be a list of texts"),
        ('name = "x"\nstrong = ' + "[" * 20_000, "its brackets stand too deep"),
    ],
)
def test_a_topic_that_cannot_be_used_is_one_line(newsroom: Office, content: str, line: str) -> None:
    file = newsroom.folder / "own.toml"
    file.write_text(content, "utf-8")
    assert line in newsroom.fails("newsletters", "topic", "post", str(file))
    assert "Everything" in newsroom.says("newsletters", "topic", "post")


def test_a_topic_that_there_is_not_is_one_line(newsroom: Office) -> None:
    line = newsroom.fails("newsletters", "topic", "post", "gardening")
    assert "there is no topic 'gardening', but there is: military" in line


def test_a_topic_file_that_cannot_be_read_is_wrong_usage(newsroom: Office) -> None:
    (newsroom.folder / "octets.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("no-such.toml", "octets.toml"):
        result = newsroom.run("newsletters", "topic", "post", str(newsroom.folder / name))
        assert result.exit_code == 2
        assert "cannot be read" in result.stderr


@pytest.mark.parametrize("words", [("topic",), ("topic", "post", "a", "b"), ("set", "post"), ("set", "post", "name")])
def test_settings_that_are_typed_wrongly_end_with_2(newsroom: Office, words: tuple[str, ...]) -> None:
    result = newsroom.run("newsletters", *words)
    assert (result.exit_code, result.stdout) == (2, "")
