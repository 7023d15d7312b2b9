"""From a form to a confirmed reader (double opt-in).

The form writes a request and nothing else, so its answer takes the same time and looks the same for every address. A
moment later `answering` decides which mail the request deserves. Only the person's own POST on the confirmation page
makes a subscription.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.config import the_config
from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError, ReaderError
from newsletter.foundation.links import LinkExpired, Links, Purpose
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, suppression
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter, Offer, offers, open_slot
from newsletter.subscribers import asking, mails
from newsletter.subscribers.consent import READER, Origin, remember
from newsletter.subscribers.models import (
    ConsentKind,
    RequestKind,
    RequestOrigin,
    SignUpRequest,
    SignUpWish,
    Subscriber,
    Subscription,
    SubscriptionOrigin,
    SubscriptionState,
    active_subscription,
    subscriber_at,
)


class NeverMailed(NewsletterError):
    """{address} is on the suppression list by its owner's complaint or by hand, so it gets no mail."""


class NotWelcome(ReaderError):
    """This address cannot be signed up here. Please write to {contact}."""


@dataclass(frozen=True)
class Wishes:
    """What a visitor wants: newsletters by their slugs, and when.

    `slot_ids` are chosen slots; where a newsletter has none among them, `zone`, the browser's, tells the nearest.
    """

    slugs: Sequence[str]
    slot_ids: Collection[int] = field(default=())
    zone: str = ""
    language: str = ""


@dataclass(frozen=True)
class Requested:
    """A request as it was written, with the newsletters that it is for."""

    id: int
    address: str
    expires_at: datetime
    offers: Sequence[Offer]


def request(wishes: Wishes, address_text: str, origin: Origin, now: datetime, keys: Keys) -> Requested:
    """A visitor asks for newsletters. Raises AddressInvalid, NewsletterUnknown, TooManyAsked."""
    address = asking.typed_address(address_text)
    with transaction():
        asking.count_in(origin, now)
        return write(wishes, address, RequestOrigin.FORM, origin, now, keys, by=READER)


def request_for(slug: str, address_text: str, now: datetime, keys: Keys, by: Actor) -> Requested:
    """Staff ask in somebody's name: the person gets the same confirmation mail, and decides.

    Raises AddressInvalid, NewsletterUnknown, NeverMailed.
    """
    address = addresses.parse(address_text)
    if not asking.may_be_mailed(address, keys):
        raise NeverMailed(address=address)
    kind = RequestOrigin.STAFF if by.kind is ActorKind.STAFF else RequestOrigin.COMMAND
    with transaction():
        written = write(Wishes([slug]), address, kind, Origin(ip=by.ip), now, keys, by=by.name)
        audit.record(by, "subscriber.invite", f"request:{written.id}", now, newsletter=slug)
    return written


class NothingOpen(NewsletterError):
    """No sign-up of this address waits for its button any more. Nothing was sent; add the reader instead."""


def waiting_for(address: str, now: datetime) -> list[SignUpRequest]:
    """What was asked with an address and waits for its button, the latest first."""
    normalised = addresses.normalise(address)
    found = sa.select(SignUpRequest).where(
        SignUpRequest.mailbox == addresses.without_tag(address),
        SignUpRequest.kind == RequestKind.SIGN_UP,
        SignUpRequest.confirmed_at.is_(None),
        SignUpRequest.expires_at > now,
    )
    every = db.session.scalars(found.order_by(SignUpRequest.id.desc()))
    return [one for one in every if addresses.normalise(one.address) == normalised and not reads_all(one)]


def ask_again(request_id: int, now: datetime, keys: Keys, by: Actor, among: Collection[int] | None) -> Requested:
    """Staff have the confirmation mail of a sign-up sent again, as long as it waits; no more of them than an address
    gets in any case. `among` are the newsletters that they work for. Raises NothingOpen, NeverMailed."""
    with transaction():
        found = db.session.get(SignUpRequest, request_id)
        if found is None or found not in waiting_for(found.address, now):
            raise NothingOpen
        wishes = [one for one in found.wishes if among is None or one.newsletter_id in among]
        if not wishes:
            raise NothingOpen
        if not asking.may_be_mailed(found.address, keys):
            raise NeverMailed(address=found.address)
        wanted = Wishes(
            [one.newsletter.slug for one in wishes], {one.slot_id for one in wishes}, language=found.language
        )
        written = write(wanted, found.address, RequestOrigin.STAFF, Origin(ip=by.ip), now, keys, by=by.name)
        audit.record(by, "subscriber.ask-again", f"request:{written.id}", now, of=found.id)
    return written


def write(
    wishes: Wishes,
    address: str,
    kind: RequestOrigin,
    origin: Origin,
    now: datetime,
    keys: Keys,
    by: str,
    note: str = "",
) -> Requested:
    """Write a request and the proof that it was made, in the caller's transaction. Raises NewsletterUnknown."""
    wanted = offers(wishes.slugs)
    id = asking.write(
        RequestKind.SIGN_UP, address, wanted[0].newsletter_id, kind, origin, now, language=wishes.language
    )
    for one in wanted:
        about, text_id = one.newsletter_id, one.sign_up_text_id
        slot_id = slot_for(one, wishes, now)
        wish = {"request_id": id, "newsletter_id": about, "slot_id": slot_id, "sign_up_text_id": text_id}
        db.session.connection().execute(_WISH, wish)
        remember(ConsentKind.REQUESTED, address, about, origin, now, keys, sign_up_text_id=text_id, by=by, note=note)
    return Requested(id, address, now + asking.LINK_LIFE, wanted)


_WISH = sa.insert(SignUpWish)


def slot_for(offer: Offer, wishes: Wishes, now: datetime) -> int:
    """The slot that was chosen; else the one whose clocks are nearest to the visitor's, the default one first."""
    for slot_id, _ in offer.slots:
        if slot_id in wishes.slot_ids:
            return slot_id
    nearest = calendar.nearest_zone(wishes.zone, [zone for _, zone in offer.slots], now)
    return offer.slots[nearest or 0][0]


@dataclass(frozen=True)
class Asked:
    """What a confirmation page shows: the request, whether its button was pressed before, and whether the person
    reads everything of it now."""

    request: SignUpRequest
    already: bool
    reads: bool


def asked(token: str, now: datetime, links: Links) -> Asked:
    """The request behind a confirmation link; looking changes nothing. Raises LinkInvalid, LinkExpired."""
    found = db.session.get(SignUpRequest, links.read(Purpose.CONFIRM, token))
    if found is None or found.kind is not RequestKind.SIGN_UP:
        raise LinkExpired(until=now)  # it was ours, and it has been erased since
    if found.confirmed_at is None and now >= found.expires_at:
        raise LinkExpired(until=found.expires_at)
    return _asked(found, already=found.confirmed_at is not None)


def _asked(found: SignUpRequest, already: bool) -> Asked:
    return Asked(found, already, reads_all(found))


def reads_all(found: SignUpRequest) -> bool:
    """Whether there is nothing left to agree to. Who is on the suppression list gets nothing, so their word counts."""
    normalised = addresses.normalise(found.address)
    reader = subscriber_at(normalised)
    if reader is None or suppression.reasons(reader.address_hash):
        return False
    return all(active_subscription(normalised, wish.newsletter_id) for wish in found.wishes)


def expired_request(token: str, links: Links) -> SignUpRequest | None:
    """The request behind a link that has expired, as long as it is kept; for the page that offers a new mail."""
    return db.session.get(SignUpRequest, links.read(Purpose.CONFIRM, token))


def confirm(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> Asked:
    """The person's own word: makes or renews the subscriptions and puts the welcome mail. A second call answers the
    same and changes nothing.

    Lifts an unsubscribe, an erasure and a hard bounce. Raises LinkInvalid, LinkExpired, NotWelcome.
    """
    with transaction():
        found = asked(token, now, links)
        if found.already:
            return found
        wanted = locked(SignUpRequest, found.request.id)
        if wanted is None or wanted.confirmed_at is not None:
            return _asked(found.request, already=True)
        one_at_a_time(f"the subscriber {addresses.normalise(wanted.address)}")
        lift(wanted.address, wanted.newsletter, keys)
        reader = _reader(wanted, now, keys)
        came_by = _way_of(wanted)
        begun = [wish.newsletter for wish in wanted.wishes if _subscribe(reader, wish, origin, now, keys, came_by)]
        wanted.confirmed_at = now
        if begun:
            mails.put_welcome(reader, begun, now, links)
        return _asked(wanted, already=False)


def lift(address: str, contact: Newsletter, keys: Keys) -> None:
    """Take off the suppression list what the person's own word takes off. Raises NotWelcome when more is left."""
    hashed = keys.address_hash(addresses.normalise(address))
    suppression.lift_by_confirming(hashed)
    if suppression.reasons(hashed):
        raise NotWelcome(contact=contact.reply_to or contact.from_address)


def _reader(wanted: SignUpRequest, now: datetime, keys: Keys) -> Subscriber:
    normalised = addresses.normalise(wanted.address)
    reader = subscriber_at(normalised)
    if reader is None:
        reader = Subscriber(
            address=wanted.address,
            normalised=normalised,
            address_hash=keys.address_hash(normalised),
            created_at=now,
            language=wanted.language,
        )
        db.session.add(reader)
        db.session.flush()
    return reader


def _way_of(wanted: SignUpRequest) -> SubscriptionOrigin:
    """The box on another page tells that page's address."""
    if wanted.origin is not RequestOrigin.FORM:
        return SubscriptionOrigin(wanted.origin)
    elsewhere = wanted.page_url and not f"{wanted.page_url}/".startswith(f"{the_config().site_url}/")
    return SubscriptionOrigin.EMBED if elsewhere else SubscriptionOrigin.FORM


def _subscribe(
    reader: Subscriber, wish: SignUpWish, origin: Origin, now: datetime, keys: Keys, came_by: SubscriptionOrigin
) -> bool:
    """False when the person reads it already, perhaps by the link of another mail."""
    text_id = wish.sign_up_text_id
    remember(ConsentKind.CONFIRMED, reader.address, wish.newsletter_id, origin, now, keys, sign_up_text_id=text_id)
    return begin(reader, wish.newsletter_id, wish.slot_id, now, came_by)


def begin(reader: Subscriber, newsletter_id: int, slot_id: int, now: datetime, came_by: SubscriptionOrigin) -> bool:
    """Make or renew a subscription, in the caller's transaction. False when it is active already."""
    slot_id = open_slot(slot_id)
    reader.bounced_at = None
    found = next((one for one in reader.subscriptions if one.newsletter_id == newsletter_id), None)
    if found is not None and found.state is SubscriptionState.ACTIVE:
        return False
    if found is None:
        found = Subscription(newsletter_id=newsletter_id)
        reader.subscriptions.append(found)
    found.slot_id, found.confirmed_at, found.welcomed_at = slot_id, now, None
    found.unsubscribed_at = found.paused_until = None
    found.state, found.origin = SubscriptionState.ACTIVE, came_by
    db.session.flush()
    db.session.refresh(found)
    return True
