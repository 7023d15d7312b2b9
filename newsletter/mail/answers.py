"""What the DNS answered, as plain data: what evaluates records is given a way to ask, and asks nobody itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import idna


class Heard(StrEnum):
    """`found`: there are records. `none`: the name exists, without such a record. `no_name`: nobody has that name
    (NXDOMAIN). `failed`: no answer that could be believed, so nothing is known."""

    FOUND = "found"
    NONE = "none"
    NO_NAME = "no_name"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """`records` are texts for TXT, addresses for A and AAAA, names for MX (best first) and PTR. `trouble` says why it
    failed, to be said after “the name server …”."""

    heard: Heard
    records: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def failed(self) -> bool:
        return self.heard is Heard.FAILED


Lookup = Callable[[str, str], Answer]
"""Asks for the records of a name and a type, such as ("example.org", "TXT"). It never raises."""


def found(*records: str) -> Answer:
    return Answer(Heard.FOUND, records)


NONE = Answer(Heard.NONE)
NO_NAME = Answer(Heard.NO_NAME)


def failed(trouble: str) -> Answer:
    return Answer(Heard.FAILED, trouble=trouble)


def ascii_name(name: str) -> str | None:
    """A name as the DNS spells it, in small letters and without a dot at its end; None where it is none."""
    name = name.strip().rstrip(".").lower()
    try:
        wire = name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None
    labels = wire.split(".")
    usable = wire.isprintable() and " " not in wire and len(wire) <= 253
    return wire if usable and all(0 < len(label) <= 63 for label in labels) else None


def domain_of(address: str) -> str:
    """The domain of an e-mail address, as the DNS spells it."""
    domain = address.rpartition("@")[2]
    return ascii_name(domain) or domain.lower()
