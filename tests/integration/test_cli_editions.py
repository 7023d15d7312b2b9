"""What an operator types to undo and to mend: pull back, pause, pull a story, cancel, leave out, correct, special."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.support.office import Office


@pytest.fixture
def desk(newsroom: Office, feed: str) -> Office:
    """Today's edition is drafted; a Send by hand cools off for two minutes."""
    set_ = ("newsletters", "set", "post", "items_at_least=1")
    return newsroom.once("editions", set_, ("sources", "add", feed), ("collect",), ("edition", "compose"))


def shown(office: Office, *words: str) -> dict[str, Any]:
    return cast(dict[str, Any], office.data("edition", "show", *words))


def first_line(office: Office, *words: str) -> str:
    return office.says("edition", "show", *words).partition("\n")[0]


def test_a_send_says_when_it_takes_effect_and_how_to_stop_it(desk: Office) -> None:
    assert desk.says("edition", "send") == (
        "Morning Post of 2026-03-03 goes out at 05:22 UTC. To stop it: newsletter edition pull-back\n"
    )
    assert first_line(desk) == "Morning Post, 2026-03-03, 06:00 UTC: approved, goes out at 05:22 UTC"
    assert desk.says("edition", "pull-back") == "Pulled back and held: Morning Post of 2026-03-03.\n"
    assert first_line(desk).endswith("approved, held: pulled back by command line")
    assert "nobody has sent" in desk.fails("edition", "pull-back")


def test_send_now_does_not_wait(desk: Office) -> None:
    assert desk.says("edition", "send", "--now") == "Morning Post of 2026-03-03 goes to 0 readers.\n"
    assert desk.says("edition", "send") == "Morning Post of 2026-03-03 goes to 0 readers.\n"


def test_a_send_is_paused_goes_on_and_is_cancelled(desk: Office) -> None:
    assert "only what is going out" in desk.fails("edition", "pause")
    desk.says("edition", "send", "--now")
    assert desk.says("edition", "pause") == (
        "Paused: Morning Post of 2026-03-03. What has not gone out by 18:00 UTC expires.\n"
    )
    assert first_line(desk).endswith("sending, paused")
    assert desk.says("edition", "unpause") == "Goes on: Morning Post of 2026-03-03.\n"
    assert desk.says("edition", "cancel", "--reason", "a wrong name") == (
        "Cancelled: Morning Post of 2026-03-03 is cancelled.\n"
    )
    assert "cancelled" in desk.fails("edition", "send")


def test_a_story_is_pulled_by_its_number(desk: Office) -> None:
    first, second = (item["story_id"] for item in shown(desk)["items"])
    desk.says("edition", "approve")
    assert desk.says("edition", "pull-story", str(first)) == "Pulled out of Morning Post of 2026-03-03.\n"
    assert [item["story_id"] for item in shown(desk)["items"]] == [second]
    assert "any more" in desk.fails("edition", "pull-story", str(first))


def test_a_day_is_left_out(desk: Office) -> None:
    said = desk.says("edition", "skip", "--date", "2026-03-05", "--reason", "a holiday")
    assert said == "Left out: Morning Post of 2026-03-05.\n"
    assert first_line(desk, "--date", "2026-03-05") == "Morning Post, 2026-03-05, 06:00 UTC: skipped"
    assert "hour of 2026-03-01 is over" in desk.fails("edition", "skip", "--date", "2026-03-01")


def test_a_special_edition_has_a_number_by_which_it_is_sent(desk: Office) -> None:
    story = str(shown(desk)["items"][1]["story_id"])
    made = desk.says("edition", "special", "--subject", "What we know", "--story", story)
    assert made.startswith("Morning Post, 2026-03-03, special 1, 06:00 UTC: drafted\nSubject: What we know\n")
    assert len(shown(desk, "--number", "1")["items"]) == 1
    assert desk.says("edition", "send", "--number", "1", "--now") == (
        "Morning Post of 2026-03-03, special 1 goes to 0 readers.\n"
    )
    assert shown(desk)["state"] == "drafted"
    assert "number 2" in desk.fails("edition", "show", "--number", "2")
    assert "no story 99" in desk.fails("edition", "special", "--story", "99")


def test_what_nobody_received_cannot_be_corrected(desk: Office) -> None:
    assert "nobody has received" in desk.fails("edition", "correct")
    assert "revision 7" in desk.fails("edition", "correct", "--revision", "7")
