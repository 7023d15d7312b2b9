"""When a newsletter goes out: more slots, and which of them is for who does not choose. A slot's zone never changes."""

from __future__ import annotations

from datetime import datetime, time

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.newsletters.settings import SettingInvalid, opened

SLOTS_AT_MOST = 48


class SlotUnknown(NotFound):
    """There is no such slot, or it was closed. Nothing was changed."""


class SlotExists(NewsletterError):
    """There is a slot at {label} already."""


def read_time(text: str) -> time:
    """A local time as people type it. Raises SettingInvalid."""
    try:
        return datetime.strptime(text.strip(), "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise SettingInvalid(key="time", problem="write it like 06:00") from error


def read_zone(text: str) -> str:
    """Raises SettingInvalid."""
    if not calendar.is_zone(text.strip()):
        raise SettingInvalid(key="zone", problem=f"“{text.strip()[:60]}” is no time zone; write it like Europe/Berlin")
    return text.strip()


def add(slug: str, zone: str, local_time: time, now: datetime, by: Actor) -> Slot:
    """One more slot; where there was such a one, that one is opened again, with its past editions.

    Raises SettingInvalid, SlotExists.
    """
    with transaction() as session:
        held = opened(slug, None, ())
        session.expire(held)
        zone = read_zone(zone)
        known = next((one for one in held.every_slot if (one.zone, one.local_time) == (zone, local_time)), None)
        if known is not None and known.closed_at is None:
            raise SlotExists(label=known.label)
        if len(held.slots) >= SLOTS_AT_MOST:
            raise SettingInvalid(key="zone", problem=f"a newsletter has at most {SLOTS_AT_MOST} slots")
        made = known or Slot(newsletter_id=held.id, zone=zone, local_time=local_time)
        made.created_at, made.closed_at, made.is_default = now, None, False  # no edition before now was missed
        session.add(made)
        session.flush()
        session.expire(held)
        audit.record(by, "slot.add", f"slot:{made.id}", now, newsletter=slug, zone=zone, time=f"{local_time:%H:%M}")
    return made


def make_default(slug: str, slot_id: int, now: datetime, by: Actor) -> Slot:
    """Readers who choose none, and whose clocks are like no slot's, go there from now on; nobody is moved.

    Again is no error. Raises SlotUnknown.
    """
    with transaction() as session:
        held = opened(slug, None, ())
        session.expire(held)
        chosen, before = slot_of(held, slot_id), held.default_slot
        for one in held.slots:
            one.is_default = one.id == chosen.id
        if before.id != chosen.id:
            said = {"before": before.label, "after": chosen.label}
            audit.record(by, "slot.default", f"slot:{chosen.id}", now, newsletter=slug, **said)
    return chosen


def slot_of(newsletter: Newsletter, slot_id: int | None) -> Slot:
    """One of its open slots. Raises SlotUnknown."""
    found = db.session.get(Slot, slot_id) if slot_id is not None else None
    if found is None or found.newsletter_id != newsletter.id or found.closed_at is not None:
        raise SlotUnknown
    return found
