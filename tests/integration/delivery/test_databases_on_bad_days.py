"""The database goes away in the middle of a run: what the relay has answered is not forgotten."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock

import psycopg
import pytest

from newsletter.delivery import sending
from newsletter.foundation.config import MailConfig
from tests.conftest import BuildHouse, migrate, missing
from tests.support import newsroom, postgres
from tests.support.misbehaving_relay import MisbehavingRelay
from tests.support.newsroom import ledger_of
from tests.support.racing import beside

READERS = [f"reader{number}@example.org" for number in range(40)]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "DATABASE_SECONDS", 0.05)


@pytest.mark.slow
def test_a_server_that_is_restarted_twice_in_a_run_costs_nobody_a_copy(
    build_house: BuildHouse, relay: MisbehavingRelay
) -> None:
    folder = postgres.binaries()
    if folder is None:
        missing("postgresql", "PostgreSQL's server binaries are not installed")
        raise AssertionError
    with postgres.restartable_server(folder, durable=True) as (address, restart):
        with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE newsroom")
        url = f"postgresql+psycopg://{address}/newsroom"
        migrate(url)
        house = build_house(url, mail=MailConfig(port=relay.port, connections=4))
        _, edition_id = newsroom.sending(house, *READERS)
        dots, counting = [0], Lock()

        def restart_now_and_then(moment: str, _recipient: str) -> str | None:
            if moment == "dot":
                with counting:
                    dots[0] += 1
                    if dots[0] in (10, 25):
                        restart()
            return None

        relay.answer = restart_now_and_then
        house.work()

        assert sorted(relay.taken) == sorted(READERS)
        assert ledger_of(house, edition_id) == {"accepted": len(READERS)}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes of its own, which takes the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode:
        missing("mount", "nobody may mount a disk here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.slow
def test_a_disk_that_is_full_makes_mails_wait_until_there_is_room(
    build_house: BuildHouse, relay: MisbehavingRelay, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(f"sqlite:///{small_disk / 'newsletter.db'}")
    house = build_house(f"sqlite:///{small_disk / 'newsletter.db'}", mail=MailConfig(port=relay.port, connections=4))
    _, edition_id = newsroom.sending(house, *READERS)
    filler, counting = small_disk / "filler", Lock()

    def fill_it_once(moment: str, _recipient: str) -> str | None:
        with counting:
            if moment == "dot" and not filler.exists() and len(relay.taken) >= 10:
                fill(filler)
        return None

    relay.answer = fill_it_once
    with beside(house.work):
        wait_until(lambda: "full" in caplog.text)
        relay.answer = lambda moment, recipient: None
        filler.unlink()

    assert sorted(relay.taken) == sorted(READERS)
    assert ledger_of(house, edition_id) == {"accepted": len(READERS)}


def fill(file: Path) -> None:
    """With all that there is room for."""
    with file.open("wb", buffering=0) as growing, suppress(OSError):
        while True:
            growing.write(b"x" * 4096)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        Event().wait(0.01)
    raise AssertionError("it did not come to that")


@pytest.mark.slow
def test_a_database_that_is_locked_for_longer_than_is_waited_for_costs_nobody_a_copy(
    build_house: BuildHouse, relay: MisbehavingRelay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody's own tool has it open, say, for more than the thirty seconds that SQLite waits."""
    file = tmp_path / "newsletter.db"
    migrate(f"sqlite:///{file}")
    house = build_house(f"sqlite:///{file}", mail=MailConfig(port=relay.port, connections=4))
    _, edition_id = newsroom.sending(house, *READERS)
    meddler = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=60)
    counting, locked = Lock(), Event()

    def lock_it_once(moment: str, _recipient: str) -> str | None:
        with counting:
            if moment == "dot" and not locked.is_set() and len(relay.taken) >= 10:
                meddler.execute("BEGIN IMMEDIATE")
                locked.set()
        return None

    relay.answer = lock_it_once
    with beside(house.work):
        assert locked.wait(60)
        wait_until(lambda: "locked" in caplog.text)
        assert "locked" in caplog.text
        meddler.execute("ROLLBACK")
    meddler.close()

    assert sorted(relay.taken) == sorted(READERS)
    assert ledger_of(house, edition_id) == {"accepted": len(READERS)}
