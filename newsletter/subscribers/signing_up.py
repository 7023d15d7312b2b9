"""From a form to a confirmed reader (double opt-in).

The form writes a request and nothing else, so its answer takes the same time and looks the same for every address. A
moment later `answer_due` decides which mail the request deserves. Only the person's own POST on the confirmation page
makes a subscription.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import LinkExpired, Links, Purpose
from newsletter.foundation.network import network_of
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, outbox, suppression
from newsletter.mail.message import Sender
from newsletter.newsletters.models import Newsletter, lock_slot, newsletter
from newsletter.subscribers.consent import READER, Origin, remember
from newsletter.subscribers.models import (
    ConsentKind,
    RequestAnswer,
    RequestOrigin,
    SignUpRequest,
    Subscriber,
    Subscription,
    SubscriptionState,
    subscriber_at,
)

LINK_LIFE = timedelta(days=7)
MAIL_PAUSE = timedelta(minutes=15)
MAILS_A_DAY = 3
SIGN_UPS_AN_HOUR = 20


class TooManySignUps(NewsletterError):
    """Many sign-ups came from your network in the last hour. Nothing was saved; please try again in an hour."""


class NeverMailed(NewsletterError):
    """{address} is on the suppression list by its owner's complaint or by hand, so it gets no mail."""


class NotWelcome(NewsletterError):
    """This address cannot be signed up here. Please write to {contact}."""


def request(slug: str, address_text: str, origin: Origin, now: datetime, keys: Keys) -> SignUpRequest:
    """A visitor asks for a newsletter. Raises AddressInvalid, NewsletterUnknown, TooManySignUps."""
    address = addresses.parse(address_text)
    with transaction():
        if origin.ip:
            one_at_a_time(f"sign-ups from {network_of(origin.ip)}")
        if origin.ip and _recent_from(network_of(origin.ip), now) >= SIGN_UPS_AN_HOUR:
            raise TooManySignUps
        return _write(newsletter(slug), address, RequestOrigin.FORM, origin, now, keys, by=READER)


def request_for(slug: str, address_text: str, now: datetime, keys: Keys, by: Actor) -> SignUpRequest:
    """Staff ask in somebody's name: the person gets the same confirmation mail, and decides.

    Raises AddressInvalid, NewsletterUnknown, NeverMailed.
    """
    address = addresses.parse(address_text)
    if not _may_be_asked(address, keys):
        raise NeverMailed(address=address)
    kind = RequestOrigin.STAFF if by.kind is ActorKind.STAFF else RequestOrigin.COMMAND
    with transaction():
        written = _write(newsletter(slug), address, kind, Origin(ip=by.ip), now, keys, by=by.name)
        audit.record(by, "subscriber.invite", f"request:{written.id}", now, newsletter=slug)
    return written


def _recent_from(network: str, now: datetime) -> int:
    query = sa.select(sa.func.count()).where(
        SignUpRequest.network == network, SignUpRequest.requested_at > now - timedelta(hours=1)
    )
    return db.session.scalar(query) or 0


def _write(
    wanted: Newsletter, address: str, kind: RequestOrigin, origin: Origin, now: datetime, keys: Keys, by: str
) -> SignUpRequest:
    asked = SignUpRequest(
        address=address,
        mailbox=addresses.without_tag(address),
        newsletter_id=wanted.id,
        slot_id=wanted.default_slot.id,
        sign_up_text_id=wanted.sign_up_text.id,
        origin=kind,
        requested_at=now,
        expires_at=now + LINK_LIFE,
        network=network_of(origin.ip) if origin.ip and kind is RequestOrigin.FORM else None,
        **origin.kept,
    )
    db.session.add(asked)
    text_id = wanted.sign_up_text.id
    remember(ConsentKind.REQUESTED, address, wanted.id, origin, now, keys, sign_up_text_id=text_id, by=by)
    db.session.flush()
    return asked


def answer_due(now: datetime, keys: Keys, links: Links) -> int:
    """Give every unanswered request the mail it deserves, and say how many there were."""
    query = sa.select(SignUpRequest.id).where(SignUpRequest.answer.is_(None)).order_by(SignUpRequest.id)
    waiting = db.session.scalars(query).all()
    for request_id in waiting:
        _answer(request_id, now, keys, links)
    return len(waiting)


def _answer(request_id: int, now: datetime, keys: Keys, links: Links) -> None:
    with transaction():
        asked = locked(SignUpRequest, request_id)
        if asked is None or asked.answer is not None:
            return
        one_at_a_time(f"mails to {asked.mailbox}")
        asked.answer, asked.answered_at = _decide(asked, now, keys), now
        if asked.answer is RequestAnswer.CONFIRM:
            _put_confirmation(asked, now, links)
        elif asked.answer is RequestAnswer.ALREADY:
            _put_already(asked, now, links)


def _decide(asked: SignUpRequest, now: datetime, keys: Keys) -> RequestAnswer:
    if not _may_be_asked(asked.address, keys):
        return RequestAnswer.SUPPRESSED
    if _capped(asked.mailbox, now):
        return RequestAnswer.CAPPED
    reads = _active(addresses.normalise(asked.address), asked.newsletter_id)
    return RequestAnswer.ALREADY if reads else RequestAnswer.CONFIRM


def _may_be_asked(address: str, keys: Keys) -> bool:
    """Not after a complaint, and not when staff decided against it."""
    reasons = suppression.reasons(keys.address_hash(addresses.normalise(address)))
    return reasons <= set(suppression.LIFTED_BY_CONFIRMING)


def _capped(mailbox: str, now: datetime) -> bool:
    """One mail in 15 minutes, three a day, counted for the mailbox without its +tag (DESIGN.md §5)."""
    query = sa.select(SignUpRequest.answered_at).where(
        SignUpRequest.mailbox == mailbox,
        SignUpRequest.answer.in_((RequestAnswer.CONFIRM, RequestAnswer.ALREADY)),
        SignUpRequest.answered_at > now - timedelta(days=1),
    )
    mailed = [moment for moment in db.session.scalars(query) if moment is not None]
    return len(mailed) >= MAILS_A_DAY or any(moment > now - MAIL_PAUSE for moment in mailed)


def _active(normalised: str, newsletter_id: int) -> Subscription | None:
    return db.session.scalar(
        sa.select(Subscription)
        .join(Subscriber)
        .where(
            Subscriber.normalised == normalised,
            Subscription.newsletter_id == newsletter_id,
            Subscription.state == SubscriptionState.ACTIVE,
        )
    )


def sender_of(wanted: Newsletter) -> Sender:
    return Sender(wanted.from_name, wanted.from_address, wanted.reply_to)


def described(wanted: Newsletter) -> dict[str, str]:
    """What a mail's template says about a newsletter."""
    names = ("slug", "name", "tagline", "promise", "publisher", "postal_address", "accent", "language")
    return {name: getattr(wanted, name) for name in names}


def confirmation_link(asked: SignUpRequest, links: Links) -> str:
    return links.link(Purpose.CONFIRM, asked.id, asked.expires_at)


def _put_confirmation(asked: SignUpRequest, now: datetime, links: Links) -> None:
    outbox.put(
        "confirm",
        to=asked.address,
        sender=sender_of(asked.newsletter),
        now=now,
        newsletter=described(asked.newsletter),
        address=asked.address,
        link=confirmation_link(asked, links),
        days=LINK_LIFE.days,
        requested_text=f"{asked.requested_at:%-d %B %Y, %H:%M} UTC",
    )


def _put_already(asked: SignUpRequest, now: datetime, links: Links) -> None:
    subscription = _active(addresses.normalise(asked.address), asked.newsletter_id)
    if subscription is None:
        return
    outbox.put(
        "already",
        to=subscription.subscriber.address,
        sender=sender_of(asked.newsletter),
        now=now,
        newsletter=described(asked.newsletter),
        address=subscription.subscriber.address,
        unsubscribe_link=links.link(Purpose.UNSUBSCRIBE, subscription.id),
    )


@dataclass(frozen=True)
class Asked:
    """What a confirmation page shows: the request, whether its button was pressed before, and whether the person
    reads the newsletter now."""

    request: SignUpRequest
    already: bool
    reads: bool


def asked(token: str, now: datetime, links: Links) -> Asked:
    """The request behind a confirmation link; looking changes nothing. Raises LinkInvalid, LinkExpired."""
    found = db.session.get(SignUpRequest, links.read(Purpose.CONFIRM, token))
    if found is None:
        raise LinkExpired(until=now)  # it was ours, and it has been erased since
    if found.confirmed_at is None and now >= found.expires_at:
        raise LinkExpired(until=found.expires_at)
    return _asked(found, already=found.confirmed_at is not None)


def _asked(found: SignUpRequest, already: bool) -> Asked:
    reads = _active(addresses.normalise(found.address), found.newsletter_id) is not None
    return Asked(found, already, reads)


def expired_request(token: str, links: Links) -> SignUpRequest | None:
    """The request behind a link that has expired, as long as it is kept; for the page that offers a new mail."""
    return db.session.get(SignUpRequest, links.read(Purpose.CONFIRM, token))


def confirm(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> Asked:
    """The person's own word: makes or renews the subscription and puts the welcome mail. A second call answers the
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
        lock_slot(wanted.slot_id, shared=True)
        _lift(wanted, keys)
        subscription, begun = _subscribe(wanted, now, keys)
        wanted.confirmed_at = now
        text_id = wanted.sign_up_text_id
        remember(
            ConsentKind.CONFIRMED,
            wanted.address,
            wanted.newsletter_id,
            origin,
            now,
            keys,
            sign_up_text_id=text_id,
        )
        if begun:
            _put_welcome(subscription, now, links)
        return _asked(wanted, already=False)


def _lift(wanted: SignUpRequest, keys: Keys) -> None:
    hashed = keys.address_hash(addresses.normalise(wanted.address))
    suppression.lift_by_confirming(hashed)
    if suppression.reasons(hashed):
        raise NotWelcome(contact=wanted.newsletter.reply_to or wanted.newsletter.from_address)


def _subscribe(wanted: SignUpRequest, now: datetime, keys: Keys) -> tuple[Subscription, bool]:
    """The person's subscription, and whether it begins now; it may have begun by the link of another mail."""
    normalised = addresses.normalise(wanted.address)
    reader = subscriber_at(normalised)
    if reader is None:
        reader = Subscriber(
            address=wanted.address,
            normalised=normalised,
            address_hash=keys.address_hash(normalised),
            created_at=now,
        )
        db.session.add(reader)
    subscription = next((s for s in reader.subscriptions if s.newsletter_id == wanted.newsletter_id), None)
    if subscription is None:
        subscription = Subscription(newsletter_id=wanted.newsletter_id, slot_id=wanted.slot_id, confirmed_at=now)
        reader.subscriptions.append(subscription)
    begun = subscription.state is not SubscriptionState.ACTIVE
    if begun:
        subscription.slot_id, subscription.confirmed_at = wanted.slot_id, now
        subscription.unsubscribed_at = subscription.paused_until = None
        subscription.state = SubscriptionState.ACTIVE
    db.session.flush()
    return subscription, begun


def _put_welcome(subscription: Subscription, now: datetime, links: Links) -> None:
    db.session.refresh(subscription)
    outbox.put(
        "welcome",
        to=subscription.subscriber.address,
        sender=sender_of(subscription.newsletter),
        now=now,
        newsletter=described(subscription.newsletter),
        address=subscription.subscriber.address,
        slot_label=subscription.slot.label,
        unsubscribe_link=links.link(Purpose.UNSUBSCRIBE, subscription.id),
    )
