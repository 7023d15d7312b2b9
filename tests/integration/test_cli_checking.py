"""What an operator types to see whether an edition is ready, and to choose which mails a person gets."""

from __future__ import annotations

import json

import pytest

from tests.support.office import Office


@pytest.fixture
def drafted(newsroom: Office, feed: str) -> Office:
    newsroom.says("newsletters", "set", "post", "items_at_least=1", "postal_address=1 Main Street")
    newsroom.says("sources", "add", feed)
    newsroom.says("collect")
    newsroom.says("edition", "compose")
    return newsroom


def test_an_edition_without_anything_that_blocks_is_ready(drafted: Office) -> None:
    """The test's outlet is on this machine, whose network the config lets in."""
    said = drafted.says("edition", "check")
    assert said.startswith("Hint: The link of story 1 leads to localhost, which readers elsewhere cannot reach.\n    ")
    assert "Blocks:" not in said


def test_an_edition_with_something_that_blocks_ends_with_1_after_all_is_said(drafted: Office) -> None:
    drafted.says("stories", "add", "--headline", "TODO: write this", "--outlet", "Morning Post")
    drafted.says("edition", "compose")
    result = drafted.run("edition", "check")
    assert result.exit_code == 1
    assert "Blocks: “TODO:” in the headline of story 1 looks like words that were to be replaced.\n" in result.stdout
    assert result.stderr == "newsletter: It cannot be approved before this is mended; blocking: 1.\n"
    rows = json.loads(drafted.run("edition", "check", "--json").stdout)
    assert rows[0]["kind"] == "placeholder"
    assert (rows[0]["blocking"], rows[0]["item_position"]) == (True, 1)
    assert "not ready: “TODO:”" in drafted.fails("edition", "approve")


def test_there_is_nothing_to_check_without_an_edition(newsroom: Office) -> None:
    assert "compose it: newsletter edition compose" in newsroom.fails("edition", "check")


def test_who_gets_drafts_and_alerts_is_set_by_a_word(office: Office) -> None:
    office.says("staff", "add", "sue@example.org", "--role", "support")
    office.says("staff", "add", "olive@example.org", "--role", "owner")
    assert office.says("staff", "set", "Olive@example.org", "wants_drafts=yes") == (
        "olive@example.org gets drafts and alerts.\n"
    )
    assert office.says("staff", "set", "olive@example.org", "wants_drafts=no") == "olive@example.org gets alerts.\n"
    assert office.says("staff", "set", "sue@example.org", "wants_alerts=no") == "sue@example.org gets no mail.\n"
    assert office.fails("staff", "set", "sue@example.org", "wants_alerts=perhaps") == "wants_alerts: write yes or no"
    assert "there is no such setting" in office.fails("staff", "set", "sue@example.org", "wants=yes")
    assert "Nobody of the staff" in office.fails("staff", "set", "nobody@example.org", "wants_alerts=no")
    assert office.run("staff", "set", "sue@example.org").exit_code == 2
