"""What an operator reads and types when everything is halted."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tests.support.office import Office

YESTERDAY = "2026-03-02 13:00:00.000000"


@pytest.fixture
def halted(newsroom: Office, feed: str) -> Office:
    """A newsroom with a draft, whose scheduler was last seen yesterday at one."""
    newsroom.says("newsletters", "set", "post", "items_at_least=1")
    newsroom.says("sources", "add", feed, "--own")
    newsroom.says("collect")
    newsroom.says("edition", "compose")
    with closing(sqlite3.connect(newsroom.folder / "newsletter.db")) as database:
        database.execute(
            "INSERT INTO leases (name, holder, until, taken_at, renewed_at) VALUES ('scheduler', 'one', ?, ?, ?)",
            (YESTERDAY,) * 3,
        )
        database.commit()
    return newsroom


WHY = (
    "Nothing is sent, and nothing is lost: the scheduler last ran at 2026-03-02 13:00 UTC, 16 hours ago. "
    "This may be an older copy of the database; or the service was away. "
    "When this may send, run: newsletter db accept-restore"
)


def test_every_command_that_sends_says_why_it_does_not_and_what_to_do(halted: Office) -> None:
    assert halted.fails("db", "check") == WHY, "before anybody else has looked"
    assert halted.fails("deliver", "--until-idle") == WHY
    assert halted.fails("db", "check") == WHY
    assert halted.fails("edition", "send") == WHY
    assert halted.mails() == []
    halted.says("edition", "show")
    halted.says("edition", "compose")


def test_accepting_says_what_was_found_and_lets_it_send_again(halted: Office) -> None:
    halted.fails("deliver", "--until-idle")
    said = halted.says("db", "accept-restore").splitlines()
    assert said[0].startswith("Found: the scheduler last ran at 2026-03-02 13:00 UTC, 16 hours ago.")
    assert said[-1] == "This database may send again. What is held waits for you."
    assert halted.says("db", "check") == "The database is ready.\n"
    assert json.loads((halted.folder / "generation.json").read_text()) == {"generation": 0, "sure": True}
    halted.says("deliver", "--until-idle")


def test_accepting_before_anything_was_started_is_as_good(halted: Office) -> None:
    """An operator who restores a database and knows what to do."""
    assert "16 hours ago" in halted.says("db", "accept-restore")
    halted.says("deliver", "--until-idle")


def test_where_nothing_is_wrong_nothing_is_changed(newsroom: Office) -> None:
    expected = "Nothing is halted, and nothing speaks against sending. Nothing was changed.\n"
    assert newsroom.says("db", "accept-restore") == expected


def test_a_file_that_cannot_be_written_is_told_in_one_line_and_nothing_is_changed(
    halted: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_GENERATION_FILE", "away/generation.json")
    line = halted.fails("db", "accept-restore")
    assert line.startswith(f"The file {halted.folder}/away/generation.json cannot be written")
    assert halted.fails("db", "check") == WHY
