"""A backup is whole, nobody else's to read, and written down by its name and size."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.delivery import standing
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.operations import backup
from newsletter.operations.backup import BackupExists, BackupFailed
from tests.conftest import BuildHouse, House
from tests.support import newsroom, postgres


def back_up(house: House, file: Path) -> int:
    with house.app.app_context():
        return backup.back_up(file, house.now, COMMAND)


def test_it_holds_what_was_there_and_is_private(house: House, tmp_path: Path) -> None:
    newsroom.found(house).readers("ann@example.org")
    file = tmp_path / "copies" / "monday.db"
    file.parent.mkdir()
    with house.app.app_context():
        db.session.execute(sa.text("SELECT 1 FROM subscribers"))  # somebody reads meanwhile
        octets = back_up(house, file)
    assert octets == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file], "nothing else is left there"
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT address FROM subscribers").fetchall() == [("ann@example.org",)]


def test_it_is_known_by_its_name_and_size_and_not_by_its_place(house: House, tmp_path: Path) -> None:
    octets = back_up(house, tmp_path / "monday.db")
    with house.app.app_context():
        (known,) = standing.standing(house.now).backups
    assert (known.file, known.octets, known.by, known.at) == ("monday.db", octets, "command line", house.now)


def test_nothing_is_overwritten(house: House, tmp_path: Path) -> None:
    file = tmp_path / "monday.db"
    file.write_text("precious")
    with pytest.raises(BackupExists):
        back_up(house, file)
    assert file.read_text() == "precious"


def test_a_place_that_is_not_there_is_told_and_nothing_is_written_down(house: House, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="No such file or directory"):
        back_up(house, tmp_path / "nowhere" / "monday.db")
    with house.app.app_context():
        assert standing.standing(house.now).backups == []


@pytest.mark.postgresql
def test_postgresql_is_copied_by_its_own_program(
    build_house: BuildHouse, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build_house(postgres_url)
    newsroom.found(house).readers("ann@example.org")
    folder = postgres.binaries()
    assert folder is not None
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    file = tmp_path / "monday.dump"
    assert back_up(house, file) == file.stat().st_size
    listed = subprocess.run([f"{folder}/pg_restore", "--list", file], capture_output=True, text=True, check=True).stdout
    assert "TABLE DATA public subscribers" in listed
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed, match="pg_dump is not installed here"):
        back_up(house, tmp_path / "tuesday.dump")
