"""Free space where the database and the pictures are, and how long it lasts at the pace so far."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.installation import Installation
from newsletter.foundation.text import in_octets
from newsletter.operations.doctor.findings import Finding, Found, counted
from newsletter.operations.doctor.patient import Patient

LITTLE = 200_000_000
SCARCE = 1_000_000_000
MOUNTS = Path("/proc/self/mountinfo")
MOST_FILES = 200_000

A_WHILE = timedelta(days=3)
"""Before that, nobody can tell how fast it grows."""


def look(patient: Patient, found: Found) -> Iterator[Finding]:
    config = patient.config
    age = _age(patient)
    if (file := patient.sqlite_file) is not None:
        size = sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*")) if file.exists() else 0
        yield from _place("the database is", file.parent, size, age, found)
    else:
        yield found.unknown(_elsewhere(patient), "Watch the database server's disk there.")
    pictures = config.path(config.pictures.folder)
    yield from _place("the pictures are", pictures, _size_of(pictures), age, found)


def _age(patient: Patient) -> timedelta | None:
    try:
        with patient.database():
            made = db.session.scalar(sa.select(Installation.created_at))
    except NewsletterError:
        return None
    return patient.clock.now() - made if made else None


def _elsewhere(patient: Patient) -> str:
    try:
        with patient.database():
            size = int(db.session.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
    except NewsletterError:
        return "How much space the database server has cannot be asked."
    return f"The database takes {in_octets(size)}; how much space its server has left, only that machine knows."


def _size_of(folder: Path) -> int:
    size = 0
    for number, file in enumerate(folder.rglob("*")):
        if number > MOST_FILES:
            break
        if file.is_file():
            size += file.stat().st_size
    return size


def _place(what: str, folder: Path, size: int, age: timedelta | None, found: Found) -> Iterator[Finding]:
    there = _existing(folder)
    free = shutil.disk_usage(there).free
    words = f"{in_octets(free)} are free where {what} ({there}); {how_long(free, size, age)}"
    remedy = "Make room, or move it to a larger disk. A full disk stops everything, and loses nothing."
    if free < LITTLE or _files_left(there) == 0:
        yield found.error(words, remedy)
    elif free < SCARCE or (days_left(free, size, age) or 999) < 30:
        yield found.warning(words, remedy)
    else:
        yield found.ok(words)


def _files_left(folder: Path) -> int | None:
    """How many more files it takes; None where it does not count them."""
    there = os.statvfs(folder)
    return there.f_favail if there.f_files else None


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


def days_left(free: int, size: int, age: timedelta | None) -> float | None:
    """By what was used since the installation was made; None when nobody can tell."""
    if age is None or age < A_WHILE or size <= 0:
        return None
    return free / (size / (age / timedelta(days=1)))


def how_long(free: int, size: int, age: timedelta | None) -> str:
    days = days_left(free, size, age)
    if days is None:
        return "it is too early to say how long that lasts."
    if days > 3650:
        return "at the pace so far that lasts longer than ten years."
    if days > 730:
        return f"at the pace so far that lasts about {days / 365:.0f} years."
    if days > 60:
        return f"at the pace so far that lasts about {days / 30:.0f} months."
    return f"at the pace so far that lasts about {counted(int(days), 'day')}."


def filesystem_of(file: Path, mounts: str | None = None) -> str | None:
    """What kind of filesystem a file is on, by the kernel's name for it (proc(5), mountinfo); None when nobody says."""
    if mounts is None:
        try:
            mounts = MOUNTS.read_text("utf-8", "replace")
        except OSError:
            return None
    path, best, kind = os.path.realpath(file), "", None
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split()
        if not dash or len(fields) < 5 or not after:
            continue
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        if len(point) >= len(best) and f"{path}/".startswith(point.rstrip("/") + "/"):
            best, kind = point, after.split()[0]
    return kind
