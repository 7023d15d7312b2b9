"""What an operator is told at a glance."""

from __future__ import annotations

import json

from tests.support.office import Office


def test_the_status_says_who_lives_what_waits_and_what_was_done_last(newsroom: Office) -> None:
    said = newsroom.says("status")
    for words in (
        "Daily Headlines",
        "SQLite",
        "worker        none lives",
        "Single mails: 0",
        "backup        none is known",
    ):
        assert words in said
    newsroom.says("db", "backup", str(newsroom.folder / "monday.db"))
    assert "monday.db" in newsroom.says("status")
    assert str(newsroom.folder / "monday.db") not in newsroom.says("status")


def test_the_status_is_there_for_scripts_and_tells_no_secret(newsroom: Office) -> None:
    told = newsroom.says("status", "--json")
    found = json.loads(told)
    assert found["database"]["kind"] == "SQLite"
    assert [queue["due"] for queue in found["queues"]][:2] == [0, 0]
    assert found["missing"] == ["web", "scheduler", "worker"]
    for key in newsroom.folder.glob("*.key"):
        assert key.read_text().strip() not in told


def test_a_backup_that_cannot_be_made_is_told_in_one_line(newsroom: Office) -> None:
    assert newsroom.fails("db", "backup", str(newsroom.config)).startswith(f"There is {newsroom.config} already.")
