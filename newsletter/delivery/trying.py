"""A test mail of a draft, to somebody of the staff: as readers would get it, and outside of the ledger."""

from __future__ import annotations

from datetime import datetime

from newsletter.editions import rendering
from newsletter.editions.models import edition
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import transaction
from newsletter.foundation.errors import Refused
from newsletter.foundation.languages import spoken
from newsletter.mail import outbox
from newsletter.staff import rights
from newsletter.staff.models import Staff, everybody, staff_at
from newsletter.subscribers.mails import sender_of


def who_may_get_it(newsletter_id: int) -> list[str]:
    """The addresses of the staff who work for the newsletter."""
    return [one.address for one in everybody() if one.disabled_at is None and rights.sees(one, newsletter_id)]


def send_test(edition_id: int, to: str, now: datetime, by: Actor) -> None:
    """Send the last revision to one of the staff, whatever state it is in. Raises EditionUnknown, Refused,
    TemplateBroken."""
    with transaction():
        found = edition(edition_id)
        person = _person(to, found.newsletter_id)
        if found.revision is None:
            raise Refused(why="the edition has no draft yet.")
        outbox.put(
            "edition",
            to=person.address,
            sender=sender_of(found.newsletter),
            now=now,
            language=spoken(found.newsletter.language),
            **rendering.trial(found.revision, person.address),
        )
        revision = found.revision.number
        audit.record(by, "edition.test", f"edition:{edition_id}", now, to=person.address, revision=revision)


def _person(address: str, newsletter_id: int) -> Staff:
    person = staff_at(address.strip().lower())
    if person is None or not rights.sees(person, newsletter_id):
        raise Refused(why="test mails go to people of the staff who work for this newsletter, and to nobody else.")
    return person
