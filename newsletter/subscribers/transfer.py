"""What is brought along from the system one comes from: who must not be mailed. It lifts nothing, and mails nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, insert_into, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, suppression
from newsletter.mail.addresses import AddressInvalid
from newsletter.mail.suppression import Suppression, SuppressionReason
from newsletter.subscribers import tables
from newsletter.subscribers.columns import NAMES, Meaning, moment
from newsletter.subscribers.models import ConsentEvent, ConsentKind
from newsletter.subscribers.tables import Charset, NoTable, Shape, cell, named, word

MAY, LEFT = "subscribed", "unsubscribed"
BATCH = 1000
PIECE = 1 << 16

REASONS: dict[SuppressionReason, tuple[str, ...]] = {
    SuppressionReason.LEFT: (
        "unsubscribed", "unsubscribe", "unsub", "unsubscription", "left", "optout", "opted out", "opt out", "inactive",
        "removed", "unsubscribed by user", "manual unsubscribe", "blacklisted", "blocklisted", "disabled",
    ),
    SuppressionReason.HARD_BOUNCE: (
        "bounce", "bounced", "hard", "hard bounce", "hardbounce", "cleaned", "invalid", "undeliverable", "dead",
        "permanent", "permanent bounce", "nonexistent",
    ),
    SuppressionReason.COMPLAINT: (
        "complaint", "complained", "complainer", "spam", "spam complaint", "spam report", "spam reported", "abuse",
        "abuse complaint", "marked as spam", "reported",
    ),
    SuppressionReason.BY_HAND: ("by hand", "suppressed", "do not mail", "do not contact", "banned"),
}  # fmt: skip
"""The words of other systems, in small letters and with spaces for what joins them."""

SAID = {
    "unsubscribed": SuppressionReason.LEFT,
    "bounced": SuppressionReason.HARD_BOUNCE,
    "complaint": SuppressionReason.COMPLAINT,
    "by-hand": SuppressionReason.BY_HAND,
}
"""How people name a reason at the command line."""

WORDS = {word: reason for reason, known in REASONS.items() for word in known}
UNCONFIRMED = ("pending", "unconfirmed", "not confirmed", "not activated", "awaiting confirmation")
HARMLESS = (
    *("active", "paused", "subscribed", "confirmed", "enabled", "cleared", "soft", "soft bounce", "transient"),
    *UNCONFIRMED,
)
"""Words that say nothing against mailing somebody. A soft bounce is none: mailboxes are emptied."""

REASON = ("reason", "status", "state", "type", "bounce type", "suppression reason", "subscription status")
NO_MEANS_LEFT = ("subscribed to emails", "subscribed", "opted in")
YES_MEANS_LEFT = ("unsubscribed", "opted out", "blacklisted", "blocklisted")
YES, NO = ("true", "1", "yes", "y"), ("false", "0", "no", "n")
DATE = ("date", "unsubscribed at", "unsub time", "clean time", "bounced at", "complained at", "suppressed at")
"""Not when a row was created, which may be when somebody signed up."""

TELLING = {
    "unsub time": SuppressionReason.LEFT,
    "unsubscribed at": SuppressionReason.LEFT,
    "clean time": SuppressionReason.HARD_BOUNCE,
    "bounced at": SuppressionReason.HARD_BOUNCE,
    "complained at": SuppressionReason.COMPLAINT,
}
"""Columns that only stand in files of one kind, which therefore needs no column for the reason."""


class FileUnreadable(NewsletterError):
    """{file} cannot be read: {cause}. Nothing was changed."""


@dataclass(frozen=True)
class Fault:
    """A line that was not taken, and why."""

    line: int
    problem: str


@dataclass
class Imported:
    """What an import did, or would do. `later`: rows of people who confirmed here after that date."""

    rows: int = 0
    added: dict[SuppressionReason, int] = field(default_factory=lambda: dict.fromkeys(SuppressionReason, 0))
    known: int = 0
    later: int = 0
    harmless: int = 0
    faults: int = 0
    charset: str = "utf-8"


@dataclass(frozen=True)
class Row:
    """One address, and why and since when it must not be mailed."""

    address_hash: str
    reason: SuppressionReason
    at: datetime | None


def import_suppressions(
    file: Path,
    now: datetime,
    keys: Keys,
    by: Actor,
    *,
    otherwise: SuppressionReason | None = None,
    dry: bool = False,
    report: Callable[[Fault], None] = lambda fault: None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Imported:
    """Put everybody of a CSV file on the suppression list, a thousand rows at a time, each batch for good.

    `otherwise` is the reason of rows that give none. `report` is told of each line that cannot be taken. The same file
    again changes nothing more. Raises FileUnreadable before anything is changed.
    """
    shape = _shape(file)
    done = Imported(charset=shape.charset)
    with file.open("rb") as octets:
        rows = _Reader(file, keys, otherwise, done, report).rows(tables.rows(_pieces(octets), shape))
        while batch := list(islice(rows, BATCH)):
            _take(batch, now, done, dry)
            progress(done.rows)
    if not dry:
        with transaction():
            added = {reason.value: count for reason, count in done.added.items() if count}
            audit.record(by, "suppressions.import", "suppressions", now, rows=done.rows, added=added)
    return done


def _shape(file: Path) -> Shape:
    charset = Charset()
    try:
        with file.open("rb") as octets:
            for piece in _pieces(octets):
                charset.look(piece)
            octets.seek(0)
            found = charset.found()
            start = octets.read(PIECE).decode(found, "replace")
    except (OSError, NoTable) as error:
        raise FileUnreadable(file=file, cause=getattr(error, "strerror", None) or error) from error
    return Shape(found, tables.separator(start))


def _pieces(octets: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: octets.read(PIECE), b"")


@dataclass(frozen=True)
class _Columns:
    """Where what stands. `otherwise` is the reason of rows that give none; `yes_no` what yes and no say, where the
    reason is one of these."""

    email: int
    reason: int | None = None
    date: int | None = None
    otherwise: SuppressionReason | None = None
    yes_no: tuple[str, str] = ("", "")


class _Reader:
    """A file's rows, one after the other."""

    def __init__(
        self,
        file: Path,
        keys: Keys,
        otherwise: SuppressionReason | None,
        done: Imported,
        report: Callable[[Fault], None],
    ) -> None:
        self._file, self._keys, self._otherwise, self._done, self._report = file, keys, otherwise, done, report

    def rows(self, table: Iterator[tables.Row]) -> Iterator[Row]:
        columns: _Columns | None = None
        for read in table:
            if read.problem:
                self._refuse(read.line, read.problem)
                continue
            if columns is None:
                columns = _columns(read.cells, self._file, self._otherwise)
                if not _is_address(read.cells[columns.email]):
                    continue
            self._done.rows += 1
            found = self._row(read.cells, read.line, columns)
            if found is not None:
                yield found
        if columns is None:
            raise FileUnreadable(file=self._file, cause=tables.EMPTY)

    def _row(self, cells: Sequence[str], line: int, columns: _Columns) -> Row | None:
        try:
            _, normalised = addresses.read(cell(cells, columns.email))
            reason = _reason(word(cell(cells, columns.reason)), columns)
        except (AddressInvalid, ValueError) as error:
            self._refuse(line, str(error))
            return None
        if reason is None:
            self._done.harmless += 1
            return None
        return Row(self._keys.address_hash(normalised), reason, moment(cell(cells, columns.date)))

    def _refuse(self, line: int, problem: str) -> None:
        self._done.faults += 1
        self._report(Fault(line, problem))


def _columns(cells: Sequence[str], file: Path, otherwise: SuppressionReason | None) -> _Columns:
    """By the names in the first line; where an address stands there, the order is address, reason, date."""
    if (at := next((n for n, one in enumerate(cells) if _is_address(one)), None)) is not None:
        return _Columns(at, at + 1, at + 2, otherwise)
    names = [word(one) for one in cells]
    email = named(names, NAMES[Meaning.ADDRESS])
    if email is None:
        raise FileUnreadable(file=file, cause=f"no column of its first line is called email ({', '.join(cells)[:200]})")
    date, telling = named(names, DATE), next((TELLING[name] for name in names if name in TELLING), None)
    for wanted, yes_no in ((REASON, ("", "")), (NO_MEANS_LEFT, (MAY, LEFT)), (YES_MEANS_LEFT, (LEFT, MAY))):
        if (reason := named(names, wanted)) is not None:
            return _Columns(email, reason, date, otherwise or telling, yes_no)
    if otherwise is None and telling is None:
        raise FileUnreadable(file=file, cause="no column says why; name one reason, or say it with --reason")
    return _Columns(email, None, date, otherwise or telling)


def against(said: str, column: str) -> SuppressionReason | None:
    """What a cell says against mailing somebody, in a column of that name; None when it says nothing. Raises
    ValueError for what is not known."""
    if not said:
        return None
    yes_no = (MAY, LEFT) if column in NO_MEANS_LEFT else (LEFT, MAY) if column in YES_MEANS_LEFT else ("", "")
    return _reason(said, _Columns(0, yes_no=yes_no))


def _is_address(text: str) -> bool:
    return "@" in text and addresses.is_one(text)


def _reason(said: str, columns: _Columns) -> SuppressionReason | None:
    """None for somebody who may be mailed. Raises ValueError for what is not known: nobody must be lost by guessing."""
    if columns.yes_no != ("", "") and said in (*YES, *NO):
        said = columns.yes_no[said in NO]
    if said in HARMLESS:
        return None
    found = WORDS.get(said) or columns.otherwise
    if found is None:
        raise ValueError(f"the reason “{said[:40]}” is not known" if said else "no reason is given")
    return found


def _take(batch: list[Row], now: datetime, done: Imported, dry: bool) -> None:
    wanted = {(row.address_hash, row.reason): row for row in batch}
    done.known += len(batch) - len(wanted)
    hashes = {hashed for hashed, _ in wanted}
    with transaction() as session:
        there = suppression.reasons_of(hashes)
        confirmed = _confirmed(hashes)
        new = []
        for (hashed, reason), row in wanted.items():
            if reason in there.get(hashed, ()):
                done.known += 1
            elif _is_later(row, confirmed):
                done.later += 1
            else:
                new.append(row)
                done.added[row.reason] += 1
        if new and not dry:
            session.execute(_insert(), [_columns_of(row, now) for row in new])


def _is_later(row: Row, confirmed: dict[str, datetime]) -> bool:
    """Whether they agreed here after they left there; only what confirming lifts can be overtaken by it."""
    liftable = row.reason in (SuppressionReason.LEFT, SuppressionReason.HARD_BOUNCE)
    since = confirmed.get(row.address_hash)
    return liftable and row.at is not None and since is not None and since > row.at


def _confirmed(hashes: set[str]) -> dict[str, datetime]:
    said = sa.select(ConsentEvent.address_hash, sa.func.max(ConsentEvent.at)).where(
        ConsentEvent.address_hash.in_(hashes), ConsentEvent.kind == ConsentKind.CONFIRMED
    )
    return {row[0]: row[1] for row in db.session.execute(said.group_by(ConsentEvent.address_hash))}


def _insert() -> sa.Insert:
    """Somebody else may have added the same meanwhile."""
    return insert_into(Suppression).on_conflict_do_nothing()


def _columns_of(row: Row, now: datetime) -> dict[str, object]:
    since = f", {row.at:%Y-%m-%d}" if row.at else ""
    return {
        "address_hash": row.address_hash,
        "reason": row.reason,
        "note": f"imported{since}",
        "created_at": now,
    }
