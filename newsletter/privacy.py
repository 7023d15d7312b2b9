"""Everything stored about one person: shown, exported, erased."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from newsletter.delivery.bounce_models import Bounce, bounces_of
from newsletter.delivery.models import Delivery, deliveries_to
from newsletter.editions.models import Edition
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, outbox, suppression
from newsletter.mail.outbox import OutboxMail
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import Slot
from newsletter.subscribers.consent import READER, Origin, remember
from newsletter.subscribers.desk_models import BulkChange, SubscriberNote, changes_to, notes_about
from newsletter.subscribers.models import (
    ConsentEvent,
    ConsentKind,
    SignUpRequest,
    Subscriber,
    Subscription,
    SubscriptionState,
    consent_story,
    subscriber,
    subscriber_at,
)

EVERY = 100_000
"""More rows than anybody has."""


def about(subscriber_id: int) -> dict[str, Any]:
    """What is stored about a person, in words that they understand; moments as ISO 8601 in UTC.

    Raises SubscriberUnknown.
    """
    reader = subscriber(subscriber_id)
    return {
        "address": reader.address,
        "known_since": reader.created_at.isoformat(),
        "language": reader.language or None,
        "text_only": reader.text_only,
        "newsletters": [_subscription(one) for one in reader.subscriptions],
        "consent": [_event(one) for one in consent_story(reader.address_hash, *reader.former_hashes)],
        "requests": [_request(one) for one in _requests(reader)],
        "editions": [_delivery(one) for one in deliveries_to(subscriber_id, EVERY)],
        "mails": [_mail(one) for one in outbox.mails_to(reader.address, EVERY)],
        "came_back": [_bounce(one) for one in bounces_of(subscriber_id, EVERY)],
        "last_came_back": reader.bounced_at.isoformat() if reader.bounced_at else None,
        "notes": [_staff_note(one) for one in reversed(notes_about(subscriber_id))],
        "changed_with_many": [_change(one) for one in changes_to(subscriber_id)],
        "never_mailed_because": sorted(suppression.reasons(reader.address_hash)),
    }


def _subscription(one: Subscription) -> dict[str, Any]:
    return {
        "newsletter": one.newsletter.name,
        "state": one.state,
        "time": one.slot.label,
        "confirmed": one.confirmed_at.isoformat(),
        "came_by": one.origin,
        "left": one.unsubscribed_at.isoformat() if one.unsubscribed_at else None,
        "paused_until": one.paused_until.isoformat() if one.paused_until else None,
    }


def _event(one: ConsentEvent) -> dict[str, Any]:
    return {
        "at": one.at.isoformat(),
        "newsletter": one.newsletter.name,
        "what": one.kind,
        "words": one.sign_up_text.text if one.sign_up_text else None,
        "note": one.note or None,
        "by": one.by,
        "ip_address": one.ip,
        "browser": one.user_agent or None,
        "page": one.page_url or None,
    }


def _requests(reader: Subscriber, former: Collection[str] = ()) -> list[SignUpRequest]:
    """Theirs in whichever case the address was typed, and not their +tagged ones, which may be other people's."""
    theirs = {reader.normalised, *former}
    mailboxes = SignUpRequest.mailbox.in_(addresses.without_tag(one) for one in theirs)
    found = sa.select(SignUpRequest).where(sa.or_(mailboxes, SignUpRequest.subscriber_id == reader.id))
    return [
        one
        for one in db.session.scalars(found.order_by(SignUpRequest.id))
        if one.subscriber_id == reader.id or addresses.normalise(one.address) in theirs
    ]


def _request(one: SignUpRequest) -> dict[str, Any]:
    return {
        "at": one.requested_at.isoformat(),
        "what": one.kind,
        "address": one.address,
        "newsletters": [wish.newsletter.name for wish in one.wishes],
        "ip_address": one.ip,
        "browser": one.user_agent or None,
        "page": one.page_url or None,
        "answer": one.answer,
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    edition = db.session.get(Edition, one.edition_id)
    return {
        "newsletter": edition.newsletter.name if edition else None,
        "date": one.local_date.isoformat(),
        "kind": one.kind,
        "state": one.state,
        "last_answer_of_the_mail_server": one.last_reply,
        "changed": one.updated_at.isoformat(),
    }


def _mail(one: OutboxMail) -> dict[str, Any]:
    return {
        "mail": one.name,
        "state": one.state,
        "written": one.created_at.isoformat(),
        "sent": one.sent_at.isoformat() if one.sent_at else None,
    }


def _bounce(one: Bounce) -> dict[str, Any]:
    return {"at": one.received_at.isoformat(), "what": one.kind, "done": one.deed, "said": one.diagnostic or None}


def _staff_note(one: SubscriberNote) -> dict[str, Any]:
    return {"at": one.at.isoformat(), "by": one.by, "text": one.text}


def _change(one: BulkChange) -> dict[str, Any]:
    """What it was before, as long as it can be put back."""
    subscription, slot = db.session.get_one(Subscription, one.subscription_id), db.session.get(Slot, one.slot_id)
    return {
        "at": one.at.isoformat(),
        "newsletter": subscription.newsletter.name,
        "time_before": slot.label if slot else None,
        "paused_until_before": one.paused_until.isoformat() if one.paused_until else None,
    }


def _forget_bounces(reader: Subscriber, theirs: Collection[str]) -> None:
    """What came back from them or names them, by its columns or in the mail that is kept, and what was passed on."""
    about = sa.or_(
        Bounce.subscriber_id == reader.id,
        sa.func.lower(Bounce.address).in_(theirs),
        sa.func.lower(Bounce.sender).in_(theirs),
    )
    db.session.execute(sa.delete(Bounce).where(about))
    with_mails = sa.select(Bounce.id, Bounce.raw, Bounce.subject, Bounce.diagnostic).where(
        sa.or_(Bounce.raw.is_not(None), Bounce.diagnostic.contains("@"), Bounce.subject.contains("@"))
    )
    rows = db.session.execute(with_mails.execution_options(yield_per=100))
    named = [row.id for row in rows if _is_named(f"{row.raw or b''!r} {row.subject} {row.diagnostic}", theirs)]
    db.session.execute(sa.delete(Bounce).where(Bounce.id.in_(named)))
    answered = OutboxMail.name == "answer", sa.func.lower(OutboxMail.reply_to).in_(theirs)
    db.session.execute(sa.delete(OutboxMail).where(*answered))


def _is_named(words: str, theirs: Collection[str]) -> bool:
    return any(one in words.lower() for one in theirs)


def _moves(reader: Subscriber, keys: Keys) -> list[OutboxMail]:
    """The mails that told their former addresses where they moved to."""
    hashes = {reader.address_hash, *reader.former_hashes}
    told = db.session.scalars(sa.select(OutboxMail).where(OutboxMail.name.in_(("changing", "moved"))))
    return [mail for mail in told if keys.address_hash(addresses.normalise(mail.data["new_address"])) in hashes]


def _former_addresses(reader: Subscriber, moves: Sequence[OutboxMail], keys: Keys) -> set[str]:
    """Those that can still be told, unless somebody else has them by now."""
    found = {addresses.normalise(mail.recipient) for mail in moves}
    return {one for one in found if keys.address_hash(one) in reader.former_hashes and subscriber_at(one) is None}


def erase(subscriber_id: int, origin: Origin, now: datetime, keys: Keys, by: Actor | None = None) -> bool:
    """Forget a person. False when there is none of that id (any more).

    What stays: a keyed hash on the suppression list, so that no import brings them back, the proof of what was agreed
    to under that hash, and in the ledger rows without an address, so that its sums stay right.
    """
    with transaction() as session:
        reader = locked(Subscriber, subscriber_id)
        if reader is None:
            return False
        for one in reader.subscriptions:
            who = by.name if by else READER
            if one.state is SubscriptionState.ACTIVE:
                remember(ConsentKind.UNSUBSCRIBED, reader.address, one.newsletter_id, origin, now, keys, by=who)
            remember(ConsentKind.ERASED, reader.address, one.newsletter_id, origin, now, keys, by=who)
        for hashed in (reader.address_hash, *reader.former_hashes):
            suppression.suppress(hashed, SuppressionReason.ERASURE, now)
        moves = _moves(reader, keys)
        former = _former_addresses(reader, moves, keys)
        for request in _requests(reader, former):
            session.delete(request)
        for mail in moves:
            session.delete(mail)
        session.flush()
        _forget_bounces(reader, {reader.address.lower(), reader.normalised, *former})
        for address in (reader.address, *former):
            session.execute(sa.delete(OutboxMail).where(outbox.is_to(address)))
        went_out = sa.select(Edition.id).where(Edition.frozen_at.is_not(None))
        copies = Delivery.edition_id.in_(went_out), Delivery.subscriber_id == subscriber_id  # which is indexed
        session.execute(sa.update(Delivery).where(*copies).values(last_reply=None))
        session.execute(sa.delete(SubscriberNote).where(SubscriberNote.subscriber_id == subscriber_id))
        if by is not None:
            audit.record(by, "subscriber.erase", f"address:{reader.address_hash[:16]}", now)
        session.delete(reader)
    return True
