"""Another address for the same reader: the new one confirms, and both are told."""

from __future__ import annotations

from datetime import datetime

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import LinkExpired, Links, Purpose
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, suppression
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.subscribers import asking, mails
from newsletter.subscribers.consent import FROM, TO, Origin, remember
from newsletter.subscribers.models import (
    ConsentKind,
    RequestKind,
    RequestOrigin,
    SignUpRequest,
    Subscriber,
    SubscriberUnknown,
    subscriber_at,
)
from newsletter.subscribers.signing_up import lift


class SameAddress(NewsletterError):
    """This is their address already. Nothing was changed."""


class AddressTaken(NewsletterError):
    """Another reader has this address by now. Nothing was changed."""


def request(token: str, address_text: str, origin: Origin, now: datetime, links: Links, language: str = "") -> None:
    """A reader asks for another address; nothing is done when they have been erased.

    The answer is the same whether or not the new address is known. Raises LinkInvalid, AddressInvalid, TooManyAsked,
    ProofNeeded.
    """
    address = asking.typed_address(address_text)
    with transaction():
        reader = locked(Subscriber, links.read(Purpose.PREFERENCES, token))
        if reader is None:
            return
        asking.count_in(origin, now)
        _write(reader, address, RequestOrigin.FORM, origin, now, language)


def request_for(subscriber_id: int, address_text: str, now: datetime, by: Actor) -> None:
    """Staff ask in the reader's name; the new address confirms, as if the reader had asked.

    Raises SubscriberUnknown, AddressInvalid, SameAddress.
    """
    address = addresses.parse(address_text)
    with transaction():
        reader = locked(Subscriber, subscriber_id)
        if reader is None:
            raise SubscriberUnknown(who=subscriber_id)
        if addresses.normalise(address) == reader.normalised:
            raise SameAddress
        _write(reader, address, RequestOrigin.STAFF, Origin(ip=by.ip), now, reader.language)
        audit.record(by, "subscriber.change-address", f"subscriber:{reader.id}", now)


def _write(
    reader: Subscriber, address: str, asked_by: RequestOrigin, origin: Origin, now: datetime, language: str
) -> None:
    in_name_of = reader.subscriptions[0].newsletter if reader.subscriptions else newsletters()[0]
    asking.write(
        RequestKind.CHANGE,
        address,
        in_name_of.id,
        asked_by,
        origin,
        now,
        language=language,
        subscriber_id=reader.id,
    )


def request_link(slug: str | None, address_text: str, origin: Origin, now: datetime, language: str = "") -> None:
    """Somebody who lost their mails asks for the link to their preferences; it goes to the address, if it is known.

    Raises AddressInvalid, NewsletterUnknown, TooManyAsked, ProofNeeded.
    """
    address = addresses.parse(address_text)
    with transaction():
        asking.count_in(origin, now)
        in_name_of = newsletter(slug) if slug else newsletters()[0]
        asking.write(RequestKind.LINK, address, in_name_of.id, RequestOrigin.FORM, origin, now, language=language)


def asked(token: str, now: datetime, links: Links) -> SignUpRequest:
    """The change behind a link; looking changes nothing. Raises LinkInvalid, LinkExpired."""
    found = db.session.get(SignUpRequest, links.read(Purpose.CHANGE, token))
    if found is None or found.kind is not RequestKind.CHANGE:
        raise LinkExpired(until=now)
    if found.confirmed_at is None and now >= found.expires_at:
        raise LinkExpired(until=found.expires_at)
    return found


def confirm(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> SignUpRequest:
    """The owner of the new address agrees: the reader has it from now on. A second call answers the same.

    Raises LinkInvalid, LinkExpired, AddressTaken, NotWelcome.
    """
    with transaction():
        wanted = locked(SignUpRequest, asked(token, now, links).id)
        if wanted is None or wanted.subscriber_id is None:
            raise LinkExpired(until=now)
        if wanted.confirmed_at is not None:
            return wanted
        one_at_a_time(f"the subscriber {addresses.normalise(wanted.address)}")
        reader = locked(Subscriber, wanted.subscriber_id)
        if reader is None:
            raise LinkExpired(until=now)
        _move(reader, wanted, origin, now, keys, links)
        wanted.confirmed_at = now
        return wanted


def _move(reader: Subscriber, wanted: SignUpRequest, origin: Origin, now: datetime, keys: Keys, links: Links) -> None:
    normalised = addresses.normalise(wanted.address)
    other = subscriber_at(normalised)
    if other is not None and other.id != reader.id:
        raise AddressTaken
    lift(wanted.address, wanted.newsletter, keys)
    old_address, never_mailed = reader.address, suppression.reasons(reader.address_hash)
    _remember(reader, TO, origin, now, keys)
    if reader.address_hash != (hashed := keys.address_hash(normalised)):
        reader.former_hashes = [*reader.former_hashes, reader.address_hash]
    reader.address, reader.normalised, reader.address_hash = wanted.address, normalised, hashed
    reader.bounced_at = None
    _remember(reader, FROM, origin, now, keys)
    mails.put_changed(reader, old_address, wanted.newsletter, now, links)
    if not never_mailed:
        mails.put_moved(reader, old_address, wanted.newsletter, now)


def _remember(reader: Subscriber, note: str, origin: Origin, now: datetime, keys: Keys) -> None:
    for one in reader.subscriptions:
        remember(ConsentKind.CHANGED, reader.address, one.newsletter_id, origin, now, keys, note=note)
