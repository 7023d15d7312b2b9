"""Addresses and domains that staff let nobody sign up with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import addresses
from newsletter.subscribers.models import BlockedAddress


class PatternInvalid(NewsletterError):
    """“{text}” cannot be blocked. Write an address, or a domain like example.org."""


def block(text: str, note: str, now: datetime, by: Actor) -> bool:
    """Block an address, or a domain with all below it. False when it was blocked already. Raises PatternInvalid."""
    pattern = _pattern(text)
    with transaction() as session:
        if _found(pattern) is not None:
            return False
        session.add(BlockedAddress(pattern=pattern, note=note.strip()[:300], by=by.name, created_at=now))
        audit.record(by, "address.block", f"pattern:{pattern}", now, note=note.strip()[:300])
    return True


def unblock(text: str, now: datetime, by: Actor) -> bool:
    """False when it was not blocked. Raises PatternInvalid."""
    pattern = _pattern(text)
    with transaction() as session:
        found = _found(pattern)
        if found is None:
            return False
        session.delete(found)
        audit.record(by, "address.unblock", f"pattern:{pattern}", now)
    return True


def blocked() -> Sequence[BlockedAddress]:
    return db.session.scalars(sa.select(BlockedAddress).order_by(BlockedAddress.pattern)).all()


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
