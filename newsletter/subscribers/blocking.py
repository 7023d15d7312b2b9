"""Addresses and domains that staff let nobody sign up with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import addresses
from newsletter.subscribers.models import BlockedAddress


class TooManyLines(NewsletterError):
    """These are {count} lines; 500 at a time are the most. Nothing was changed."""


class PatternInvalid(NewsletterError):
    """“{text}” cannot be blocked. Write an address, or a domain like example.org."""


def block(text: str, note: str, now: datetime, by: Actor) -> bool:
    """Block an address, or a domain with all below it. False when it was blocked already. Raises PatternInvalid."""
    pattern = _pattern(text)
    with transaction() as session:
        if _found(pattern) is not None:
            return False
        session.add(BlockedAddress(pattern=pattern, note=note.strip()[:300], by=by.name, created_at=now))
        audit.record(by, "address.block", _about(pattern), now, pattern=pattern, note=note.strip()[:300])
    return True


def _about(pattern: str) -> str:
    """How the audit trail names a pattern. Its column is shorter than an address may be."""
    return f"pattern:{pattern}"[:64]


@dataclass(frozen=True)
class Blocked:
    """How many of several were blocked, how many were before, and what cannot be."""

    added: int
    known: int
    faults: tuple[str, ...]


def block_all(text: str, note: str, now: datetime, by: Actor) -> Blocked:
    """Block what stands on each line; an empty one, and what follows a #, is nothing. Raises TooManyLines."""
    lines = [one for line in text.splitlines() if (one := line.partition("#")[0].strip())]
    if len(lines) > LINES_AT_MOST:
        raise TooManyLines(count=len(lines))
    added, faults = 0, []
    with transaction():
        for line in lines:
            try:
                added += block(line, note, now, by)
            except PatternInvalid:
                faults.append(line)
    return Blocked(added, len(lines) - added - len(faults), tuple(faults))


LINES_AT_MOST = 500


def unblock(text: str, now: datetime, by: Actor) -> bool:
    """False when it was not blocked. Raises PatternInvalid."""
    pattern = _pattern(text)
    with transaction() as session:
        found = _found(pattern)
        if found is None:
            return False
        session.delete(found)
        audit.record(by, "address.unblock", _about(pattern), now, pattern=pattern)
    return True


def blocked(text: str = "", limit: int | None = None) -> Sequence[BlockedAddress]:
    """What is blocked; what has `text` in it or in its note, and what blocks `text`, when it is given."""
    found = sa.select(BlockedAddress).order_by(BlockedAddress.pattern).limit(limit)
    if words := text.strip().lower():
        note = sa.func.lower(BlockedAddress.note)
        like = BlockedAddress.pattern.contains(words, autoescape=True), note.contains(words, autoescape=True)
        found = found.where(sa.or_(*like, BlockedAddress.pattern.in_(_wider(words))))
    return db.session.scalars(found).all()


def _wider(words: str) -> list[str]:
    """An address's domain, and all above it."""
    labels = words.rpartition("@")[2].split(".")
    return [".".join(labels[n:]) for n in range(min(len(labels), 20))]


def how_many() -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(BlockedAddress)) or 0


def _found(pattern: str) -> BlockedAddress | None:
    return db.session.scalar(sa.select(BlockedAddress).where(BlockedAddress.pattern == pattern))


def _pattern(text: str) -> str:
    """As it is compared: an address without regard to case, a domain in its ASCII form."""
    text = text.strip().removeprefix("@")
    try:
        if "@" in text:
            return addresses.normalise(addresses.parse(text))
        return addresses.normalise(addresses.parse(f"x@{text}")).partition("@")[2]
    except addresses.AddressInvalid as error:
        raise PatternInvalid(text=text[:80]) from error
