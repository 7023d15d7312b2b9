"""What staff do for one reader who asks them to: the same as the reader could, told apart by who did it (rule 14)."""

from __future__ import annotations

from datetime import date, datetime

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.errors import Refused
from newsletter.foundation.secrets import Keys
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers import bulk, preferences
from newsletter.subscribers.consent import Origin, remember
from newsletter.subscribers.desk_models import NoteUnknown, SubscriberNote
from newsletter.subscribers.models import (
    ConsentKind,
    Subscriber,
    SubscriberUnknown,
    Subscription,
    SubscriptionState,
    subscriber,
)

LONGEST_NOTE = 2000


class NoNote(Refused):
    """Nothing was kept. A note has some words, and 2,000 letters at most."""


class NotReading(Refused):
    """They do not read {newsletter} now, and only they themselves can take it up again. Nothing was changed."""


def pause(subscriber_id: int, newsletter_id: int, until: date | None, now: datetime, keys: Keys, by: Actor) -> None:
    """Send nothing before a date. Raises SubscriberUnknown, Refused, of which NotReading is one."""
    with transaction():
        one = _reading(subscriber_id, newsletter_id)
        bulk.check_pause(until, [one.slot], now)
        before, one.paused_until = one.paused_until, until
        _note(one, f"paused until {until}", "pause", now, keys, by, before=str(before or ""), after=str(until))


def end_pause(subscriber_id: int, newsletter_id: int, now: datetime, keys: Keys, by: Actor) -> None:
    """Again is no error. Raises SubscriberUnknown, NotReading."""
    with transaction():
        one = _reading(subscriber_id, newsletter_id)
        if one.paused_until is not None:
            before, one.paused_until = one.paused_until, None
            _note(one, "pause ended", "end-pause", now, keys, by, before=str(before))


def move(subscriber_id: int, newsletter_id: int, slot_id: int, now: datetime, keys: Keys, by: Actor) -> None:
    """To another of the newsletter's times. Again is no error. Raises SubscriberUnknown, Refused."""
    with transaction():
        one = _reading(subscriber_id, newsletter_id)
        if slot_id not in {slot.id for slot in one.newsletter.slots}:
            raise Refused(why="choose one of the newsletter’s times.")
        if one.slot_id != slot_id:
            before, one.slot_id = one.slot_id, slot_id
            _note(one, "another slot", "move", now, keys, by, before=before, after=slot_id)


def unsubscribe(subscriber_id: int, newsletter_id: int, now: datetime, keys: Keys, by: Actor) -> None:
    """Only they themselves come back from it. Raises SubscriberUnknown, NotReading."""
    with transaction():
        one = _reading(subscriber_id, newsletter_id)
        preferences.leave(one, Origin(ip=by.ip), now, keys, by=by.name)
        _record(one, "unsubscribe", now, by)


def _reading(subscriber_id: int, newsletter_id: int) -> Subscription:
    person = _locked(subscriber_id)
    for one in person.subscriptions:
        if one.newsletter_id == newsletter_id and one.state is SubscriptionState.ACTIVE:
            return one
    about = db.session.get(Newsletter, newsletter_id)
    raise NotReading(newsletter=about.name if about else "it")


def _locked(subscriber_id: int) -> Subscriber:
    found = locked(Subscriber, subscriber_id)
    if found is None:
        raise SubscriberUnknown(who=subscriber_id)
    return found


def _note(one: Subscription, what: str, act: str, now: datetime, keys: Keys, by: Actor, **details: object) -> None:
    address, origin = one.subscriber.address, Origin(ip=by.ip)
    remember(ConsentKind.CHANGED, address, one.newsletter_id, origin, now, keys, by=by.name, note=what)
    _record(one, act, now, by, **details)


def _record(one: Subscription, act: str, now: datetime, by: Actor, **details: object) -> None:
    about = f"subscriber:{one.subscriber_id}"
    audit.record(by, f"subscriber.{act}", about, now, newsletter=one.newsletter.slug, **details)


# Notes


def write_note(subscriber_id: int, text: str, newsletter_id: int | None, now: datetime, by: Actor) -> None:
    """Its words stand nowhere but in the note, so that they go with the person. Raises SubscriberUnknown, NoNote."""
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not 0 < len(text) <= LONGEST_NOTE:
        raise NoNote
    with transaction() as session:
        about = subscriber(subscriber_id)
        note = SubscriberNote(subscriber_id=about.id, newsletter_id=newsletter_id, text=text, by=by.name, at=now)
        session.add(note)
        session.flush()
        audit.record(by, "subscriber.note", f"subscriber:{about.id}", now, note=note.id)


def delete_note(subscriber_id: int, note_id: int, now: datetime, by: Actor) -> None:
    """Raises NoteUnknown."""
    with transaction() as session:
        note = locked(SubscriberNote, note_id)
        if note is None or note.subscriber_id != subscriber_id:
            raise NoteUnknown(id=note_id)
        audit.record(by, "subscriber.delete-note", f"subscriber:{subscriber_id}", now, note=note_id, written_by=note.by)
        session.delete(note)
