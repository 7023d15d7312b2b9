"""Whose mail came back: found by what we signed, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.delivery.models import Delivery
from newsletter.editions.models import Edition
from newsletter.foundation.database import db
from newsletter.foundation.links import LinkInvalid, Links
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses
from newsletter.mail.message import Sender
from newsletter.mail.outbox import OutboxMail
from newsletter.mail.returned import LEAVING, Returned
from newsletter.subscribers.models import ConsentEvent, ConsentKind, Subscriber, subscriber_at

TO_READERS = ("confirm", "remind", "already", "welcome", "preferences", "change", "changing", "changed", "moved")
"""The single mails that readers get. All others go to staff, whose addresses are never suppressed."""


@dataclass(frozen=True)
class Owner:
    """The mail that came back, and its reader.

    `address_hash` is of the address that it went to; None when that is not known any more. `moved`: the reader
    confirmed anew, or gave another address, since it was sent. `answers_go_to` is whom its answers are for.
    """

    subscriber: Subscriber | None
    address_hash: str | None
    sent_at: datetime
    moved: bool
    sender: Sender
    newsletter_name: str
    delivery_id: int | None = None
    edition_id: int | None = None
    outbox_id: int | None = None
    is_staff: bool = False

    @property
    def answers_go_to(self) -> str:
        return self.sender.reply_to or self.sender.address


def owner(found: Returned, links: Links, keys: Keys) -> Owner | None:
    """By the signed return path first, then by a Message-ID that only we can have given. None when there is neither,
    or what they name is not kept any more."""
    for kind, id in _signed(found, links):
        delivery = db.session.get(Delivery, id) if kind == "d" else None
        if delivery is not None and (owned := _of_delivery(delivery)):
            return owned
        mail = db.session.get(OutboxMail, id) if kind == "o" else None
        if mail is not None:
            return _of_mail(mail, keys)
    for message_id in found.message_ids:
        mail = db.session.scalar(sa.select(OutboxMail).where(OutboxMail.message_id == message_id))
        if mail is not None:
            return _of_mail(mail, keys)
    return None


def _signed(found: Returned, links: Links) -> Iterator[tuple[str, int]]:
    for token in (*found.tokens, *(one.partition("@")[0] for one in found.message_ids)):
        try:
            yield links.read_verp(token)
        except LinkInvalid:
            continue


def leaving(found: Returned, links: Links) -> int | None:
    """The subscription that a mail to the unsubscribe address names."""
    return next((id for kind, id in _signed(found, links) if kind == LEAVING), None)


def is_our_own(found: Returned, links: Links) -> bool:
    """Whether we wrote that mail ourselves, by its Message-ID."""
    try:
        links.read_verp(found.own_id.partition("@")[0])
    except LinkInvalid:
        known = sa.select(OutboxMail.id).where(OutboxMail.message_id == found.own_id)
        return bool(found.own_id) and db.session.scalar(known) is not None
    return True


def _of_delivery(delivery: Delivery) -> Owner | None:
    edition = db.session.get(Edition, delivery.edition_id)
    if edition is None:
        return None
    reader = db.session.get(Subscriber, delivery.subscriber_id)
    paper = edition.newsletter
    gone_to_another = reader is not None and _has_another_address(reader, delivery.updated_at)
    return Owner(
        subscriber=reader,
        address_hash=reader.address_hash if reader and not gone_to_another else None,
        sent_at=delivery.updated_at,
        moved=gone_to_another or (reader is not None and confirmed_since(reader.address_hash, delivery.updated_at)),
        sender=Sender(paper.from_name, paper.from_address, paper.reply_to),
        newsletter_name=paper.name,
        delivery_id=delivery.id,
        edition_id=edition.id,
    )


def _of_mail(mail: OutboxMail, keys: Keys) -> Owner:
    normalised = addresses.normalise(mail.recipient)
    hashed, sent_at = keys.address_hash(normalised), mail.sent_at or mail.created_at
    return Owner(
        subscriber=subscriber_at(normalised),
        address_hash=hashed,
        sent_at=sent_at,
        moved=confirmed_since(hashed, sent_at),
        sender=Sender(mail.sender_name, mail.sender_address, mail.reply_to),
        newsletter_name=mail.sender_name,
        outbox_id=mail.id,
        is_staff=mail.name not in TO_READERS,
    )


def confirmed_since(address_hash: str, since: datetime) -> bool:
    """Whether somebody at the address said since then that mail reaches them, by a link in one."""
    said = sa.exists().where(
        ConsentEvent.address_hash == address_hash,
        ConsentEvent.kind.in_((ConsentKind.CONFIRMED, ConsentKind.RETURNED)),
        ConsentEvent.at > since,
    )
    return bool(db.session.scalar(sa.select(said)))


def _has_another_address(reader: Subscriber, since: datetime) -> bool:
    changed = sa.exists().where(
        ConsentEvent.address_hash == reader.address_hash,
        ConsentEvent.kind == ConsentKind.CHANGED,
        ConsentEvent.note == "from another address",
        ConsentEvent.at > since,
    )
    return bool(reader.former_hashes) and bool(db.session.scalar(sa.select(changed)))
