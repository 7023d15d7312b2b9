"""The single mails that readers get: what each is told. How often is decided before (asking, answering).

Their data is plain JSON, moments as ISO 8601, slots as a time and a zone; the templates make words of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from newsletter.foundation.database import db
from newsletter.foundation.languages import spoken
from newsletter.foundation.links import Links, Purpose
from newsletter.mail import addresses, outbox, suppression
from newsletter.mail.message import Sender
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import (
    SignUpRequest,
    Subscriber,
    Subscription,
    SubscriptionState,
    subscriber_at,
)


def sender_of(wanted: Newsletter) -> Sender:
    return Sender(wanted.from_name, wanted.from_address, wanted.reply_to)


def described(wanted: Newsletter) -> dict[str, str]:
    """What every mail in a newsletter's name needs of it; `contact` is where a person can write to."""
    names = ("name", "postal_address", "accent", "language", "typeface")
    return {name: getattr(wanted, name) for name in names} | {"contact": wanted.reply_to or wanted.from_address}


def preferences_link(reader: Subscriber, links: Links) -> str:
    return links.link(Purpose.PREFERENCES, reader.id)


def put_confirmation(asked: SignUpRequest, now: datetime, links: Links) -> None:
    _put_asked("confirm", asked, now, links)


def put_reminder(asked: SignUpRequest, now: datetime, links: Links) -> None:
    _put_asked("remind", asked, now, links)


def _put_asked(name: str, asked: SignUpRequest, now: datetime, links: Links) -> None:
    outbox.put(
        name,
        to=asked.address,
        sender=sender_of(asked.newsletter),
        now=now,
        language=spoken(asked.language or asked.newsletter.language),
        newsletter=described(asked.newsletter),
        newsletters=[wish.newsletter.name for wish in asked.wishes],
        address=asked.address,
        link=links.link(Purpose.CONFIRM, asked.id, asked.expires_at),
        requested_at=asked.requested_at.isoformat(),
        until=asked.expires_at.isoformat(),
    )


def put_already(asked: SignUpRequest, now: datetime, links: Links) -> None:
    if reader := subscriber_at(addresses.normalise(asked.address)):
        wanted = {wish.newsletter_id for wish in asked.wishes}
        reading = [one for one in reader.subscriptions if one.newsletter_id in wanted]
        _put("already", reader, asked.newsletter, reading, now, links)


def put_welcome(reader: Subscriber, begun: Sequence[Newsletter], now: datetime, links: Links) -> None:
    ids = {one.id for one in begun}
    reading = [one for one in reader.subscriptions if one.newsletter_id in ids]
    _put("welcome", reader, begun[0], reading, now, links)


def put_preferences_link(asked: SignUpRequest, now: datetime, links: Links) -> None:
    if reader := subscriber_at(addresses.normalise(asked.address)):
        _put("preferences", reader, asked.newsletter, reader.subscriptions, now, links)


def _put(
    name: str,
    reader: Subscriber,
    wanted: Newsletter,
    reading: Sequence[Subscription],
    now: datetime,
    links: Links,
    **more: str,
) -> None:
    """A mail to somebody who reads, or did: it may name their newsletters and lead to their preferences."""
    outbox.put(
        name,
        to=reader.address,
        sender=sender_of(wanted),
        now=now,
        language=spoken(reader.language or wanted.language),
        text_only=reader.text_only,
        newsletter=described(wanted),
        subscriptions=[_told(one, links) for one in reading if one.state is SubscriptionState.ACTIVE],
        address=reader.address,
        preferences_link=preferences_link(reader, links),
        **more,
    )


def _told(one: Subscription, links: Links) -> dict[str, str]:
    return {
        "name": one.newsletter.name,
        "welcome": one.newsletter.welcome_text,
        "time": f"{one.slot.local_time:%H:%M}",
        "zone": one.slot.zone,
        "unsubscribe_link": links.link(Purpose.UNSUBSCRIBE, one.id),
    }


def put_change(asked: SignUpRequest, now: datetime, links: Links) -> None:
    """To the new address, which confirms, and to the old one, which may be surprised, unless it is never mailed."""
    reader = reader_of(asked)
    if reader is None:
        return
    outbox.put(
        "change",
        to=asked.address,
        sender=sender_of(asked.newsletter),
        now=now,
        language=spoken(reader.language or asked.newsletter.language),
        newsletter=described(asked.newsletter),
        address=asked.address,
        link=links.link(Purpose.CHANGE, asked.id, asked.expires_at),
        until=asked.expires_at.isoformat(),
    )
    if not suppression.reasons(reader.address_hash):
        _put("changing", reader, asked.newsletter, reader.subscriptions, now, links, new_address=asked.address)


def put_changed(reader: Subscriber, old_address: str, wanted: Newsletter, now: datetime, links: Links) -> None:
    """To the new address."""
    _put("changed", reader, wanted, reader.subscriptions, now, links, old_address=old_address)


def put_moved(reader: Subscriber, old_address: str, wanted: Newsletter, now: datetime) -> None:
    """To the old address, which learns nothing that would open the preferences of the new one."""
    outbox.put(
        "moved",
        to=old_address,
        sender=sender_of(wanted),
        now=now,
        language=spoken(reader.language or wanted.language),
        text_only=reader.text_only,
        newsletter=described(wanted),
        address=old_address,
        new_address=reader.address,
    )


def reader_of(asked: SignUpRequest) -> Subscriber | None:
    """Who changes to the address of a request; None when the person was erased."""
    return db.session.get(Subscriber, asked.subscriber_id) if asked.subscriber_id is not None else None
