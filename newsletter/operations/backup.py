"""A copy of the database while it is in use, as of one moment. The two keys and the config belong beside it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from newsletter.delivery.standing import BACKED_UP
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.config import the_config
from newsletter.foundation.database import transaction
from newsletter.foundation.errors import NewsletterError

PRIVATE = 0o600


class BackupExists(NewsletterError):
    """There is {file} already. Name another file, or take that one away first."""


class BackupFailed(NewsletterError):
    """No backup was made: {cause} The service goes on as before."""


def back_up(file: Path, now: datetime, by: Actor) -> int:
    """Copy the database to a file that only its owner may read, and say how many octets it has. It appears there when
    it is whole. What is written down of it is its name, not its place.

    Raises BackupExists, BackupFailed.
    """
    if file.exists():
        raise BackupExists(file=file)
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    url = sa.make_url(the_config().database_url)
    try:
        try:
            _sqlite(Path(url.database or ""), part) if url.drivername == "sqlite" else _postgresql(url, part)
            octets = _settled(part)
            part.rename(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BackupFailed(cause=f"{error.strerror or error}.") from error
    with transaction():
        audit.record(by, BACKED_UP, "installation:1", now, file=file.name, octets=octets)
    return octets


def _settled(part: Path) -> int:
    """Durable, and nobody else's to read."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    return part.stat().st_size


def _sqlite(database: Path, part: Path) -> None:
    """VACUUM INTO copies what one moment knew and holds up no writer, since it only reads
    (https://www.sqlite.org/lang_vacuum.html#vacuuminto)."""
    part.touch(PRIVATE, exist_ok=False)
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as there:
            there.execute("VACUUM INTO ?", (str(part),))
        with closing(sqlite3.connect(part)) as copy:
            (found,) = copy.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        raise BackupFailed(cause=f"{error}.") from error
    if found != "ok":
        raise BackupFailed(cause=f"the copy is damaged ({found}).")


def _postgresql(url: URL, part: Path) -> None:
    """By its own pg_dump, in the form that pg_restore reads. The password goes by the environment, where no list of
    processes shows it."""
    part.touch(PRIVATE, exist_ok=False)
    known = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    whom = url.set(drivername="postgresql", password=None).render_as_string()
    command = ["pg_dump", "--format=custom", "--no-password", f"--file={part}", f"--dbname={whom}"]
    try:
        done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BackupFailed(
            cause="pg_dump is not installed here. It comes with PostgreSQL's client programs."
        ) from error
    if done.returncode != 0:
        with suppress(IndexError):
            raise BackupFailed(cause=f"pg_dump says: {done.stderr.strip().splitlines()[-1]}.")
        raise BackupFailed(cause=f"pg_dump ended with status {done.returncode}.")
