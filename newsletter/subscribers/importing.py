"""Imports: columns are chosen, the file is tried dry, and then its people are taken (`import_runs`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.subscribers import uploading
from newsletter.subscribers.columns import Meaning
from newsletter.subscribers.import_models import (
    GOOD,
    OVER,
    Import,
    ImportMode,
    ImportRefusal,
    ImportState,
    Outcome,
    an_import,
)
from newsletter.subscribers.import_runs import LIFE
from newsletter.subscribers.tables import CHARSETS, SEPARATORS, Place, Row

AN_HOUR = (250, 500, 1000, 1500)
"""How many may be asked. In ten minutes, 1,500 an hour are as many as visitors' forms have before they become wary."""

PROOF_AT_MOST, SOURCE_AT_MOST = 200, 300
LINES_AT_ONCE = 1000


class ImportNotNow(NewsletterError):
    """This import is {state}, so that cannot be done any more. Nothing was changed."""


class ColumnMissing(NewsletterError):
    """Choose the column with the e-mail addresses. Nothing was changed."""


class ColumnTwice(NewsletterError):
    """A column can be only one thing: choose “{title}” once. Nothing was changed."""


class SourceMissing(NewsletterError):
    """Say where these people agreed, such as the page or the system they come from. Nothing was changed."""


class ProofMissing(NewsletterError):
    """Say how it can be proved that these people agreed; it is kept with each of them. Nothing was changed."""


@dataclass(frozen=True)
class Wish:
    """How a file is to be taken; columns by their numbers, from 0."""

    columns: Mapping[Meaning, int]
    source: str
    mode: ImportMode = ImportMode.ASK
    proof: str = ""
    slot_id: int | None = None
    an_hour: int = 1000


def read_as(id: int, charset: str, separator: str, has_names: bool | None) -> None:
    """Read the file in another way, and guess its columns anew. Raises ImportUnknown, ImportNotNow."""
    with transaction():
        one = _waiting(id)
        if charset in CHARSETS:
            one.charset = charset
        if separator in SEPARATORS:
            one.separator = separator
        found = uploading.look(one).table
        one.has_names = found.has_names if has_names is None else has_names
        one.columns = {what.value: at for what, at in found.guessed.items()}
        one.state = ImportState.UPLOADED


def check(id: int, wish: Wish, now: datetime, by: Actor, holder: str = "") -> None:
    """Begin the dry run; with a `holder`, nobody else works on it.

    Raises ImportUnknown, ImportNotNow, ColumnMissing, ColumnTwice, SourceMissing, ProofMissing.
    """
    with transaction():
        one = _waiting(id)
        _settle(one, wish)
        _begin(one, ImportState.CHECKING, now, by, holder)


def _waiting(id: int) -> Import:
    one = locked(Import, an_import(id).id)
    if one is None or one.state not in (ImportState.UPLOADED, ImportState.CHECKED):
        raise ImportNotNow(state=one.state if one else "gone")
    return one


def _settle(one: Import, wish: Wish) -> None:
    if Meaning.ADDRESS not in wish.columns:
        raise ColumnMissing
    twice = [at for at, count in Counter(wish.columns.values()).items() if count > 1]
    if twice:
        raise ColumnTwice(title=uploading.look(one).table.titles[twice[0]])
    one.source, one.proof = one_line(wish.source)[:SOURCE_AT_MOST], one_line(wish.proof)[:PROOF_AT_MOST]
    if not one.source:
        raise SourceMissing
    one.mode = wish.mode
    if one.mode is ImportMode.CONFIRMED and not one.proof:
        raise ProofMissing
    one.columns = {what.value: at for what, at in wish.columns.items()}
    slots = {slot.id for slot in one.newsletter.slots}
    one.slot_id = wish.slot_id if wish.slot_id in slots else one.newsletter.default_slot.id
    one.an_hour = wish.an_hour if wish.an_hour in AN_HOUR else AN_HOUR[2]


def _begin(one: Import, state: ImportState, now: datetime, by: Actor, holder: str) -> None:
    one.state, one.by = state, by.name
    one.octet, one.line, one.counts, one.swept = 0, 1, {}, False
    one.holder, one.leased_until, one.next_at = holder, now + LIFE if holder else None, None


def start(id: int, now: datetime, by: Actor, holder: str = "") -> None:
    """Begin to take people, after a dry run; with a `holder`, nobody else works on it.

    Raises ImportUnknown, ImportNotNow.
    """
    with transaction():
        one = _waiting(id)
        if one.state is not ImportState.CHECKED:
            raise ImportNotNow(state="not tried yet")
        expected = dict(one.counts)
        _begin(one, ImportState.RUNNING, now, by, holder)
        one.started_at = now
        audit.record(
            by,
            "import.start",
            f"import:{id}",
            now,
            newsletter=one.newsletter.slug,
            file=one.file_name,
            mode=one.mode,
            source=one.source,
            proof=one.proof,
            expected=expected,
        )


def cancel(id: int, now: datetime, by: Actor) -> bool:
    """Take nobody more; who was taken stays. What was never started goes with its file. False when it was over."""
    with transaction():
        one = locked(Import, an_import(id).id)
        if one is None or one.state in OVER:
            return False
        begun = one.state is ImportState.RUNNING
        one.state, one.ended_at, one.swept = ImportState.CANCELLED, now, False
        one.counts = one.counts if begun else {}
        audit.record(by, "import.cancel", f"import:{id}", now, counts=one.counts)
    if not begun:
        uploading.forget_file(id)
        with transaction():
            an_import(id).file_gone_at = now
    return True


# Looking


def samples(one: Import, each: int = 5) -> dict[Outcome, list[tuple[int, str]]]:
    """Of each kind of refusal the first few: the line, and what stands there for an address."""
    found: dict[Outcome, list[tuple[int, str]]] = {}
    if one.file_gone_at is not None:
        return found
    at = one.columns.get(Meaning.ADDRESS)
    for outcome in Outcome:
        if outcome in GOOD or not one.count(outcome):
            continue
        of_it = sa.select(ImportRefusal.octet, ImportRefusal.line).where(
            ImportRefusal.import_id == one.id, ImportRefusal.outcome == outcome
        )
        places = [Place(*place) for place in db.session.execute(of_it.order_by(ImportRefusal.line).limit(each))]
        found[outcome] = [(place.line, _shown(uploading.row_at(one, place), at)) for place in places]
    return found


def _shown(row: Row | None, at: int | None) -> str:
    if row is None or row.problem:
        return row.problem if row else ""
    return one_line(row.cells[at] if at is not None and at < len(row.cells) else " | ".join(row.cells))[:100]


def refused(one: Import) -> Iterator[tuple[Row, Outcome]]:
    """The rows that were not taken, in order, read once more from the file."""
    found = uploading.rows_at(one.id, uploading.shape_of(one), _refused_lines(one.id))
    return ((row, Outcome(outcome)) for row, outcome in found)


def _refused_lines(id: int) -> Iterator[tuple[int, str]]:
    after = 0
    query = sa.select(ImportRefusal.line, ImportRefusal.outcome).where(ImportRefusal.import_id == id)
    while found := db.session.execute(
        query.where(ImportRefusal.line > after).order_by(ImportRefusal.line).limit(LINES_AT_ONCE)
    ).all():
        after = found[-1].line
        for line, outcome in found:
            yield line, outcome.value
