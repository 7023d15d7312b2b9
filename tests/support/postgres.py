"""A PostgreSQL server of the tests' own, from the installed binaries, gone when the tests are."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.ports import free_port

NOBODY = "nobody"

EMPTY = """
DO $$
DECLARE
    one regclass;
BEGIN
    SET LOCAL session_replication_role = replica;  -- no foreign keys, no triggers
    FOR one IN SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
            AND pg_relation_size(oid) > 0
    LOOP
        IF pg_relation_size(one) > 8192 THEN
            EXECUTE format('TRUNCATE %s CASCADE', one);  -- ten times dearer than to empty a single page
        ELSE
            EXECUTE format('DELETE FROM %s', one);
        END IF;
    END LOOP;
    PERFORM setval(seqrelid::regclass, seqstart, false)
        FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL;
END $$
"""


def binaries() -> Path | None:
    """Where initdb and postgres are, the newest version first."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


@contextmanager
def server(folder: Path, *, durable: bool = False, options: str = "") -> Iterator[str]:
    """A running server; gives its address without driver and database. Unless `durable`, it does not fsync."""
    with restartable_server(folder, durable=durable, options=options) as (address, _):
        yield address


@contextmanager
def restartable_server(
    folder: Path, *, durable: bool = False, options: str = ""
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The same, and what stops it as a power cut would and starts it again."""
    with tempfile.TemporaryDirectory(prefix="newsletter-pg-", dir=_room()) as name:
        data = Path(name) / "data"
        demote = _demotion(Path(name))
        _run(folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", demote=demote)
        port = free_port()
        listen = f"{options} -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=80"
        settings = listen if durable else f"{listen} -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        _run(folder / "pg_ctl", "-D", data, "-w", "-s", "-l", data / "log", "-o", settings, "start", demote=demote)

        def restart() -> None:
            stop_and_start = ("-m", "immediate", "-l", data / "log", "-o", settings, "restart")
            _run(folder / "pg_ctl", "-D", data, "-w", "-s", *stop_and_start, demote=demote)

        try:
            yield f"postgres@127.0.0.1:{port}", restart
        finally:
            _run(folder / "pg_ctl", "-D", data, "-w", "-s", "-m", "immediate", "stop", demote=demote)


def empty(connection: psycopg.Connection) -> None:
    """Make a database as it was when it had just been migrated: nobody else in it, no row, and numbers from 1 again."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    connection.execute(EMPTY)


def _room() -> str | None:
    """A folder that another user may enter: pytest's own are closed to others."""
    return "/var/tmp" if os.geteuid() == 0 else None


def _demotion(folder: Path) -> dict[str, object]:
    """PostgreSQL refuses to run as root, so root runs it as somebody else."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(NOBODY)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(*command: object, demote: dict[str, object]) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        **demote,  # type: ignore[arg-type]
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
