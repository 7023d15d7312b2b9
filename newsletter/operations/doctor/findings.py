"""What the doctor says: one sentence on what was found, one on what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """`error`: mails do not go out, or do not arrive, or a secret is open. `warning`: that may happen, or mends itself.
    `not known`: nobody could look, which is no fault found."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Record:
    """A record for the DNS, as whoever keeps the domain types it in."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class Finding:
    """`check` is what was looked at, in a word or two."""

    check: str
    status: Status
    message: str
    remedy: str = ""
    records: tuple[Record, ...] = ()


class Found:
    """Makes the findings of one check."""

    def __init__(self, check: str) -> None:
        self.check = check

    def ok(self, message: str) -> Finding:
        return Finding(self.check, Status.OK, message)

    def warning(self, message: str, remedy: str = "", *records: Record) -> Finding:
        return Finding(self.check, Status.WARNING, message, remedy, records)

    def error(self, message: str, remedy: str = "", *records: Record) -> Finding:
        return Finding(self.check, Status.ERROR, message, remedy, records)

    def unknown(self, message: str, remedy: str = "") -> Finding:
        return Finding(self.check, Status.UNKNOWN, message, remedy)


def listed(words: list[str] | tuple[str, ...]) -> str:
    """“a, b and c”."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def counted(count: int, what: str) -> str:
    """“1 day”, “3 days”."""
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"
