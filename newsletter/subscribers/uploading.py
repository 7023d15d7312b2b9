"""A file of readers on its way in: kept in parts, looked into, and thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import IO

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import SYSTEM, Actor
from newsletter.foundation.database import Base, db, locked, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers import columns, tables
from newsletter.subscribers.import_models import (
    AT_WORK,
    OVER,
    Import,
    ImportPart,
    ImportRefusal,
    ImportSeen,
    ImportState,
)
from newsletter.subscribers.tables import BEGINNING, Charset, NoTable, Place, Row, Shape

PART = 1 << 20
LARGEST = 200 << 20
"""Octets of a whole file."""

KEPT_FOR = timedelta(days=7)
"""After the run; or, of what nobody went on with, after the upload."""

SHOWN = 5
LOOKED_AT = 30
"""Rows of the beginning."""

FORGOTTEN_AT_ONCE = 1000
PARTS_AT_ONCE = 20


class FileUnusable(NewsletterError):
    """{name} cannot be read: {cause}. Nothing was changed."""


class FileTooLarge(NewsletterError):
    """{name} is larger than {most} MB. Split it, and bring the parts one after the other. Nothing was changed."""


@dataclass(frozen=True)
class Beginning:
    """How a file begins, read in a certain way."""

    table: columns.Table
    rows: Sequence[Sequence[str]]


def keep(octets: IO[bytes], file_name: str, published: Newsletter, now: datetime, by: Actor) -> int:
    """Store a file for an import into a newsletter, part after part, and give the import's id.

    Raises FileUnusable, FileTooLarge; then nothing of it is kept.
    """
    name = one_line(file_name)[:200] or "The file"
    id = _begin(name, published.id, now, by)
    try:
        shape, size = _keep_parts(octets, id, name)
    except BaseException:
        throw_away(id)
        raise
    with transaction():
        made = locked(Import, id)
        assert made is not None
        made.size, made.charset, made.separator = size, shape.charset, shape.separator
        found = look(made).table
        made.has_names, made.columns = found.has_names, {what.value: at for what, at in found.guessed.items()}
        made.state = ImportState.UPLOADED
        audit.record(by, "import.upload", f"import:{id}", now, newsletter=published.slug, file=name, octets=size)
    return id


def _begin(name: str, newsletter_id: int, now: datetime, by: Actor) -> int:
    with transaction() as session:
        made = Import(
            newsletter_id=newsletter_id,
            state=ImportState.UPLOADING,
            file_name=name,
            size=0,
            by=by.name,
            created_at=now,
        )
        session.add(made)
        session.flush()
        return made.id


def _keep_parts(octets: IO[bytes], id: int, name: str) -> tuple[Shape, int]:
    charset, size, number, start = Charset(), 0, 0, b""
    try:
        while part := octets.read(PART):
            charset.look(part)
            start, size = start or part, size + len(part)
            if size > LARGEST:
                raise FileTooLarge(name=name, most=LARGEST >> 20)
            with transaction() as session:
                session.execute(sa.insert(ImportPart).values(import_id=id, number=number, octets=part))
            number += 1
        found = charset.found()
    except NoTable as problem:
        raise FileUnusable(name=name, cause=problem) from problem
    return Shape(found, tables.separator(start[: 1 << 16].decode(found, "replace"))), size


def shape_of(one: Import) -> Shape:
    return Shape(one.charset, one.separator)


def pieces(import_id: int, octet: int = 0, most: int = PART) -> Iterator[bytes]:
    """A file's octets from one on, so many at a time."""
    number, within = divmod(octet, PART)
    part = ImportPart.import_id == import_id
    while True:
        wanted = sa.func.substr(ImportPart.octets, within + 1, most) if within or most < PART else ImportPart.octets
        found = db.session.scalar(sa.select(wanted).where(part, ImportPart.number == number))
        if not found:
            return
        yield bytes(found)
        within += len(found)
        if within >= PART or most >= PART:
            number, within = number + 1, 0


def look(one: Import) -> Beginning:
    """How its file begins, by the character set and the separator that are chosen."""
    first = [row.cells for row in islice(tables.rows(pieces(one.id, most=1 << 16), shape_of(one)), LOOKED_AT)]
    table = columns.look([cells for cells in first if cells])
    return Beginning(table, first[1 if table.has_names else 0 :][:SHOWN])


def row_at(one: Import, place: Place) -> Row | None:
    """A row of its file once more."""
    return next(tables.rows(pieces(one.id, place.octet, most=1 << 14), shape_of(one), place), None)


def rows_at(id: int, shape: Shape, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[Row, str]]:
    """Rows of a file once more, by their lines in order, each with the word that came with its line."""
    line, said = next(lines, (0, ""))
    for row in tables.rows(pieces(id), shape, BEGINNING):
        if row.line == line:
            yield row, said
            line, said = next(lines, (0, ""))
        if not line:
            return


def throw_away(id: int) -> None:
    """An import of which nothing has become anything, with its file."""
    forget_file(id)
    with transaction() as session:
        session.execute(sa.delete(Import).where(Import.id == id))


def forget_file(id: int) -> None:
    """The file, and what could be told of it only with it."""
    for table, key, many in (
        (ImportPart, ImportPart.number, PARTS_AT_ONCE),
        (ImportRefusal, ImportRefusal.line, FORGOTTEN_AT_ONCE),
        (ImportSeen, ImportSeen.digest, FORGOTTEN_AT_ONCE),
    ):
        while forget_some(table, key, id, many) == many:
            pass


def forget_some(table: type[Base], key: sa.orm.InstrumentedAttribute[object], id: int, many: int) -> int:
    """So few rows of an import at a time that nobody waits long for SQLite's one writer."""
    of_it = sa.column("import_id") == id
    some = sa.select(key).where(of_it).limit(many).scalar_subquery()
    with transaction() as session:
        gone = session.execute(
            sa.delete(table).where(of_it, key.in_(some)).execution_options(synchronize_session=False)
        )
    return int(gone.rowcount)  # type: ignore[attr-defined]


def tidy(now: datetime) -> int:
    """Forget files past their time, and say how many; what nobody went on with is cancelled."""
    since = sa.func.coalesce(Import.ended_at, Import.created_at)
    over = sa.select(Import.id).where(
        Import.file_gone_at.is_(None),
        Import.state.not_in(AT_WORK),
        since < sa.literal(now - KEPT_FOR, Import.created_at.type),
    )
    found = db.session.scalars(over).all()
    for id in found:
        forget_file(id)
        with transaction():
            one = locked(Import, id)
            assert one is not None
            if one.state not in OVER:
                one.state, one.ended_at = ImportState.CANCELLED, now
                audit.record(SYSTEM, "import.cancel", f"import:{id}", now, why="nobody went on with it for 7 days")
            one.file_gone_at = now
    return len(found)
