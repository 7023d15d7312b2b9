"""Editions that do not go out, or not to the end: cancelled, or a day that is left out beforehand."""

from __future__ import annotations

from datetime import date, datetime

from newsletter.delivery import ledger
from newsletter.editions import publishing
from newsletter.editions.models import Edition, EditionState, edition_of, edition_to_decide
from newsletter.editions.publishing import OPEN, let_go
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.newsletters.models import Slot, lock_slot


def cancel(edition_id: int, reason: str, now: datetime, by: Actor) -> Edition:
    """Send no edition, or nothing more of one that is going out. It is not composed again by itself.

    Of one that is going out, what waits becomes skipped(cancelled), and the ledger decides what the edition is: sent,
    with the reason, if it reached anybody, and else cancelled. Again is no error. Raises EditionUnknown, Refused.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        why = (reason.strip() or f"by {by.name}")[:300]
        if found.state in OPEN:
            _leave(found, EditionState.CANCELLED, why, now)
        elif found.state is EditionState.SENDING:
            ledger.end(found, why, now)
        elif found.state is EditionState.CANCELLED:
            return found
        else:
            raise Refused(why=f"the edition is {found.state}. What readers have can only be corrected.")
        audit.record(by, "edition.cancel", f"edition:{edition_id}", now, reason=why, state=found.state.value)
    return found


def skip(slot: Slot, local_date: date, reason: str, now: datetime, by: Actor) -> Edition:
    """Leave a day of a slot out beforehand, whether it has a draft or not. A person may still compose it.

    Again is no error. Raises Refused when the day's edition is out or its hour over.
    """
    newsletter_id, slot_id, moments = slot.newsletter_id, slot.id, publishing.schedule_of(slot, local_date)
    if now >= moments.start_by:
        raise Refused(why=f"the hour of {local_date} is over. Cancel its edition, if there is one.")
    with transaction():
        lock_slot(slot_id)
        found = edition_of(slot_id, local_date) or publishing.plan(newsletter_id, slot_id, moments, now)
        if found.state is EditionState.SKIPPED:
            return found
        if found.state not in OPEN:
            raise Refused(why=f"the edition of {local_date} is {found.state}.")
        why = (reason.strip() or f"by {by.name}")[:300]
        _leave(found, EditionState.SKIPPED, why, now)
        audit.record(by, "edition.skip", f"edition:{found.id}", now, reason=why)
    return found


def _leave(found: Edition, state: EditionState, why: str, now: datetime) -> None:
    found.state, found.reason, found.send_at = state, why, None
    if found.held_at is not None:
        let_go(found, now)
    db.session.flush()
