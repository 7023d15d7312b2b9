"""Staff decide that somebody is never mailed again."""

from __future__ import annotations

from datetime import datetime

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import transaction
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, suppression
from newsletter.mail.suppression import SuppressionReason


def suppress(address_text: str, note: str, now: datetime, keys: Keys, by: Actor) -> bool:
    """Put an address on the suppression list, whether or not it is a subscriber's. False when it was there already.

    Raises AddressInvalid.
    """
    address = addresses.parse(address_text)
    hashed = keys.address_hash(addresses.normalise(address))
    with transaction():
        added = suppression.suppress(hashed, SuppressionReason.BY_HAND, now, note)
        if added:
            audit.record(by, "subscriber.suppress", f"address:{hashed[:16]}", now, note=note)
    return added
