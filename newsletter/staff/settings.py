"""What a person of the staff gets as mail."""

from __future__ import annotations

from datetime import datetime

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import addresses
from newsletter.staff.models import Staff, StaffUnknown, staff_at

WISHES = ("wants_drafts", "wants_alerts")


class WishInvalid(NewsletterError):
    """{key}: {problem}"""


def change(address_text: str, now: datetime, by: Actor, **wishes: str) -> Staff:
    """Change what a person gets, given as yes or no. Raises AddressInvalid, StaffUnknown, WishInvalid."""
    address = addresses.normalise(addresses.parse(address_text))
    with transaction():
        person = staff_at(address)
        if person is None:
            raise StaffUnknown(address=address)
        changed = {key: wanted for key, text in wishes.items() if (wanted := _read(key, text)) != getattr(person, key)}
        for key, wanted in changed.items():
            setattr(person, key, wanted)
        if changed:
            audit.record(by, "staff.change", f"staff:{person.id}", now, **changed)
    return person


def _read(key: str, text: str) -> bool:
    if key not in WISHES:
        raise WishInvalid(key=key, problem=f"there is no such setting; there are {' and '.join(WISHES)}")
    if text.strip() not in ("yes", "no"):
        raise WishInvalid(key=key, problem="write yes or no")
    return text.strip() == "yes"
