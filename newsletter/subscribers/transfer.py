"""What is brought along from the system one comes from: who must not be mailed. It lifts nothing, and mails nobody."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, insert_into, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses
from newsletter.mail.addresses import AddressInvalid
from newsletter.mail.suppression import Suppression, SuppressionReason
from newsletter.subscribers.models import ConsentEvent, ConsentKind

MAY, LEFT = "subscribed", "unsubscribed"
BATCH = 1000
LONGEST_FIELD = 10_000
DELIMITERS = ",;\t|"

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
HARMLESS = ("active", "subscribed", "confirmed", "enabled", "cleared", "soft", "soft bounce", "transient", "pending")
"""Words that say nothing against mailing somebody. A soft bounce is none: mailboxes are emptied."""

EMAIL = ("email", "e mail", "email address", "e mail address", "address", "subscriber", "member email", "recipient")
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

PLAIN = re.compile(r"[a-z0-9][a-z0-9._+-]{0,60}@(?:[a-z0-9-]{1,60}\.){1,4}[a-z]{2,20}", re.ASCII)
"""Addresses about which there can be no question; looking at each more closely takes twenty times as long."""


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
    done = Imported(charset=_charset(file))
    with file.open(encoding=done.charset, newline="") as text:
        rows = _Reader(file, keys, otherwise, done, report).rows(text)
        while batch := list(islice(rows, BATCH)):
            _take(batch, now, done, dry)
            progress(done.rows)
    if not dry:
        with transaction():
            added = {reason.value: count for reason, count in done.added.items() if count}
            audit.record(by, "suppressions.import", "suppressions", now, rows=done.rows, added=added)
    return done


def _charset(file: Path) -> str:
    """What the whole file is written in; read once from end to end, because a file may go wrong in its last line."""
    try:
        with file.open("rb") as octets:
            start = octets.read(4)
            if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            octets.seek(0)
            decoder = codecs.getincrementaldecoder("utf-8")()
            try:
                for piece in iter(lambda: octets.read(1 << 16), b""):
                    if b"\0" in piece:
                        raise FileUnreadable(file=file, cause="it is no text; save it as CSV")
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return "cp1252"
    except OSError as error:
        raise FileUnreadable(file=file, cause=error.strerror or error) from error
    return "utf-8-sig"


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

    def rows(self, text: Iterator[str]) -> Iterator[Row]:
        columns: _Columns | None = None
        for line, cells in self._lines(text):
            if columns is None:
                columns = _columns(cells, self._file, self._otherwise)
                if not _is_address(cells[columns.email]):
                    continue
            self._done.rows += 1
            found = self._row(cells, line, columns)
            if found is not None:
                yield found
        if columns is None:
            raise FileUnreadable(file=self._file, cause="there is nothing in it")

    def _lines(self, text: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Each with the number of its first line; empty ones are passed over."""
        first = next(text, "")
        table = csv.reader(chain([first], text), delimiter=max(DELIMITERS, key=first.count))
        csv.field_size_limit(LONGEST_FIELD)
        while True:
            line = table.line_num + 1
            try:
                cells = next(table, None)
            except csv.Error as error:
                self._refuse(line, f"from here to line {table.line_num} it is no CSV ({error})")
                continue
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield line, cells

    def _row(self, cells: Sequence[str], line: int, columns: _Columns) -> Row | None:
        try:
            normalised = _normalised(_cell(cells, columns.email))
            reason = _reason(_word(_cell(cells, columns.reason)), columns)
        except (AddressInvalid, ValueError) as error:
            self._refuse(line, str(error))
            return None
        if reason is None:
            self._done.harmless += 1
            return None
        return Row(self._keys.address_hash(normalised), reason, _moment(_cell(cells, columns.date)))

    def _refuse(self, line: int, problem: str) -> None:
        self._done.faults += 1
        self._report(Fault(line, problem))


def _columns(cells: Sequence[str], file: Path, otherwise: SuppressionReason | None) -> _Columns:
    """By the names in the first line; where an address stands there, the order is address, reason, date."""
    if (at := next((n for n, cell in enumerate(cells) if _is_address(cell)), None)) is not None:
        return _Columns(at, at + 1, at + 2, otherwise)
    names = [_word(cell) for cell in cells]
    email = _named(names, EMAIL)
    if email is None:
        raise FileUnreadable(file=file, cause=f"no column of its first line is called email ({', '.join(cells)[:200]})")
    date, telling = _named(names, DATE), next((TELLING[name] for name in names if name in TELLING), None)
    for wanted, yes_no in ((REASON, ("", "")), (NO_MEANS_LEFT, (MAY, LEFT)), (YES_MEANS_LEFT, (LEFT, MAY))):
        if (reason := _named(names, wanted)) is not None:
            return _Columns(email, reason, date, otherwise or telling, yes_no)
    if otherwise is None and telling is None:
        raise FileUnreadable(file=file, cause="no column says why; name one reason, or say it with --reason")
    return _Columns(email, None, date, otherwise or telling)


def _named(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _word(cell: str) -> str:
    return " ".join(re.split(r"[\s_-]+", cell.strip().lower())).strip()


def _is_address(text: str) -> bool:
    return "@" in text and addresses.is_one(text)


def _cell(cells: Sequence[str], column: int | None) -> str:
    return cells[column].strip() if column is not None and column < len(cells) else ""


def _normalised(text: str) -> str:
    lowered = text.lower()
    if PLAIN.fullmatch(lowered) and ".." not in lowered:
        return lowered
    return addresses.normalise(addresses.parse(text))


def _reason(word: str, columns: _Columns) -> SuppressionReason | None:
    """None for somebody who may be mailed. Raises ValueError for what is not known: nobody must be lost by guessing."""
    if columns.yes_no != ("", "") and word in (*YES, *NO):
        word = columns.yes_no[word in NO]
    if word in HARMLESS:
        return None
    found = WORDS.get(word) or columns.otherwise
    if found is None:
        raise ValueError(f"the reason “{word[:40]}” is not known" if word else "no reason is given")
    return found


def _moment(text: str) -> datetime | None:
    """As ISO 8601, without a zone in UTC. In another form it is as good as none: then the row counts in any case."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _take(batch: list[Row], now: datetime, done: Imported, dry: bool) -> None:
    wanted = {(row.address_hash, row.reason): row for row in batch}
    done.known += len(batch) - len(wanted)
    hashes = {hashed for hashed, _ in wanted}
    with transaction() as session:
        there = {
            tuple(row)
            for row in session.execute(
                sa.select(Suppression.address_hash, Suppression.reason).where(Suppression.address_hash.in_(hashes))
            )
        }
        confirmed = _confirmed(hashes)
        new = []
        for key, row in wanted.items():
            if key in there:
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
