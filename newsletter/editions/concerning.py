"""Which newsletter an alert is about, so that who works for another one is not told of it."""

from __future__ import annotations

from newsletter.editions.models import Edition
from newsletter.foundation.database import db
from newsletter.newsletters.models import Slot

OF_EDITIONS = ("edition-held", "edition-paused", "bounces-stopped", "bounces-policy")
OF_SLOTS = ("edition-overdue", "draft-failed")


def newsletter_of(key: str) -> int | None:
    """By what an alert's key begins with and the number after it; None for what concerns the whole house."""
    kind, _, rest = key.partition(":")
    number = rest.partition(":")[0]
    if not number.isdecimal():
        return None
    if kind == "sources-silent":
        return int(number)
    of: Edition | Slot | None = None
    if kind in OF_EDITIONS:
        of = db.session.get(Edition, int(number))
    elif kind in OF_SLOTS:
        of = db.session.get(Slot, int(number))
    return of.newsletter_id if of else None
