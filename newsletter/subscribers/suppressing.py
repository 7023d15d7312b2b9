"""Staff decide that somebody is never mailed again, and an owner that this was a mistake.

An entry by hand is staff's own word and nobody else's, so they may take it back; what the person did, or their mail
provider said, or another system brought along, is not theirs to lift (DESIGN.md, rule 14)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, ActorKind, AuditRecord
from newsletter.foundation.database import db, one_at_a_time, transaction
from newsletter.foundation.errors import Refused
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, suppression
from newsletter.mail.suppression import SuppressionReason


class NotTheirsToTakeBack(Refused):
    """{address} is not on the list by the hand of this newsroom's staff, so nobody here can take it off."""


class ReasonWanted(Refused):
    """Say why it was a mistake; it is written down. Nothing was changed."""


def suppress(address_text: str, note: str, now: datetime, keys: Keys, by: Actor) -> bool:
    """Put an address on the suppression list, whether or not it is a subscriber's. False when it was there already.

    Raises AddressInvalid.
    """
    hashed = hash_of(address_text, keys)
    with transaction():
        added = suppression.suppress(hashed, SuppressionReason.BY_HAND, now, note)
        if added:
            audit.record(by, "subscriber.suppress", about(hashed), now, note=note)
    return added


def hash_of(address_text: str, keys: Keys) -> str:
    """Under which a typed address stands on the list, if it does. Raises AddressInvalid."""
    return keys.address_hash(addresses.normalise(addresses.parse(address_text)))


def about(address_hash: str) -> str:
    """How the audit trail names an address."""
    return f"address:{address_hash[:16]}"


def take_back(address_text: str, why: str, now: datetime, keys: Keys, by: Actor) -> None:
    """Staff's own entry was a mistake. Other reasons for the same address stay, so it may still not be mailed.

    Raises AddressInvalid, ReasonWanted, NotTheirsToTakeBack.
    """
    hashed = hash_of(address_text, keys)
    if not why.strip():
        raise ReasonWanted
    with transaction():
        one_at_a_time(f"suppression {hashed}")
        if not may_take_back(hashed):
            raise NotTheirsToTakeBack(address=address_text.strip())
        suppression.take_off(hashed, SuppressionReason.BY_HAND)
        audit.record(by, "subscriber.unsuppress", about(hashed), now, why=why.strip()[:300])


def may_take_back(address_hash: str) -> bool:
    """Whether there is an entry by hand that somebody of this newsroom made, by the audit trail. One that came along
    with an import may be a person's own wish, and is nobody's here to lift."""
    by_hand = SuppressionReason.BY_HAND in suppression.reasons(address_hash)
    return by_hand and (address_hash, SuppressionReason.BY_HAND) in who([address_hash])


def who(address_hashes: Iterable[str]) -> dict[tuple[str, SuppressionReason], str]:
    """Who put addresses on the list, where the audit trail names somebody: people for what was done by hand, and for an
    erasure that somebody asked staff for."""
    named = {about(one): one for one in address_hashes}
    people = AuditRecord.actor_kind.in_((ActorKind.STAFF, ActorKind.COMMAND))
    found = sa.select(AuditRecord).where(AuditRecord.subject.in_(named), AuditRecord.action.in_(ACTS), people)
    records = db.session.scalars(found.order_by(AuditRecord.id))
    return {(named[one.subject], ACTS[one.action]): one.actor_name for one in records}


ACTS = {"subscriber.suppress": SuppressionReason.BY_HAND, "subscriber.erase": SuppressionReason.ERASURE}
