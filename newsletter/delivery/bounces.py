"""What comes back, and what is done about it: DSN, ARF and the rest -> hard, soft, complaint -> suppression.

A mail counts once, whichever way and however often it comes. Nothing here ever answers a mail.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery import owning, passing_on, tallying
from newsletter.delivery.bounce_models import Bounce, Deed, bounce
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.delivery.owning import Owner
from newsletter.foundation import alerts, audit, safety
from newsletter.foundation.audit import SYSTEM, Actor
from newsletter.foundation.config import Config, the_config
from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.links import Links, Purpose, the_links
from newsletter.foundation.secrets import Keys, the_keys
from newsletter.mail import addresses, mailboxes, returned, suppression
from newsletter.mail.mailboxes import MailboxUnavailable
from newsletter.mail.returned import Recipient, Returned
from newsletter.mail.suppression import SuppressionReason
from newsletter.mail.verdicts import BOUNCES, Kind, code_in, mildest, verdict
from newsletter.subscribers import preferences
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import Subscriber, SubscriptionState

KEPT = 64 * 1024
SOFT_AT_MOST = 5
SOFT_FOR = timedelta(days=10)
BOUNCES_WITHIN = timedelta(days=5)
"""A mail server tries for five days (RFC 5321 §4.5.4.1); after them, no bounce is a sign that a mail arrived."""

MAILBOX = "bounce-mailbox"
STAFF_BOUNCED = "staff-mail-bounced"
BY_MAIL = Origin(user_agent="a mail to the unsubscribe address")
COMPLAINED = "a complaint by their mail provider"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """One mail, whose it is, and what its handling takes."""

    found: Returned
    owner: Owner | None
    row: Bounce
    now: datetime
    config: Config
    keys: Keys
    links: Links


def receive(octets: bytes, now: datetime, envelope_to: str | None = None) -> Bounce:
    """Take one mail in: durable, and acted upon, when this returns. The same mail again changes nothing.

    Raises only what the database raises, so that whoever hands the mail over keeps it and comes again.
    """
    found = returned.read(octets, envelope_to)
    try:
        return _receive(found, octets, now)
    except sa.exc.SQLAlchemyError:
        raise
    except Exception:
        log.exception("A mail that came back could not be handled; staff see it.")
        return _receive(found, octets, now, _for_people)


Deeds = Callable[[Case], Deed]


def _receive(found: Returned, octets: bytes, now: datetime, do: Deeds | None = None) -> Bounce:
    with transaction() as session:
        one_at_a_time(f"bounce {found.digest}")
        known = session.scalar(sa.select(Bounce).where(Bounce.digest == found.digest))
        if known is not None:
            return known
        config, keys, links = the_config(), the_keys(), the_links()
        owner = owning.owner(found, links, keys)
        case = Case(found, owner, _row(found, owner, now), now, config, keys, links)
        case.row.kind = _kind(case)
        session.add(case.row)
        session.flush()
        _mark_reader(case)
        case.row.deed = (do or DEEDS[case.row.kind])(case)
        case.row.needs_staff = case.row.deed is Deed.STAFF
        if case.row.deed in (Deed.STAFF, Deed.PASSED_ON):
            case.row.raw = octets[:KEPT]
    return case.row


def refused_in(edition_id: int, shard: int, now: datetime) -> int:
    """Do about the mails of a shard that the relay refused at once what is done about a bounce, and say how many there
    were. Again is no error."""
    told_of = sa.exists().where(Bounce.delivery_id == Delivery.id)
    rows = db.session.execute(
        sa.select(Delivery.id, Delivery.last_reply).where(
            Delivery.edition_id == edition_id,
            Delivery.shard == shard,
            Delivery.state == DeliveryState.REFUSED,
            ~told_of,
        )
    ).all()
    for id, reply in rows:
        _receive(_refusal(id, reply or "", the_links()), b"", now)
    return len(rows)


def _refusal(delivery_id: int, reply: str, links: Links) -> Returned:
    kind = verdict("failed", code_in(reply), reply)
    said = Recipient("", "", "failed", code_in(reply), reply, kind)
    digest = hashlib.sha256(f"refused {delivery_id}".encode()).hexdigest()
    return Returned(kind, digest, recipients=(said,), tokens=(links.verp("d", delivery_id),))


def _row(found: Returned, owner: Owner | None, now: datetime) -> Bounce:
    reported = found.recipients[0] if found.recipients else None
    return Bounce(
        received_at=now,
        digest=found.digest,
        status=found.status,
        diagnostic=found.diagnostic,
        address=(reported.original or reported.address) if reported else "",
        sender=found.sender,
        subject=found.subject,
        delivery_id=owner.delivery_id if owner else None,
        outbox_id=owner.outbox_id if owner else None,
        edition_id=owner.edition_id if owner else None,
        subscriber_id=owner.subscriber.id if owner and owner.subscriber else None,
    )


def _mark_reader(case: Case) -> None:
    """Who looks for readers whose mails come back asks the readers, not the mails, which are kept for 90 days."""
    owner = case.owner
    if owner and owner.subscriber and not owner.moved and case.row.kind in (Kind.HARD, Kind.SOFT):
        owner.subscriber.bounced_at = case.now


def _kind(case: Case) -> Kind:
    """What the report says of this reader, where it speaks of several addresses; else the mildest of it."""
    hashed = case.owner.address_hash if case.owner else None
    theirs = [
        one.kind
        for one in case.found.recipients
        if hashed in (_hash(one.original, case.keys), _hash(one.address, case.keys))
    ]
    return mildest(theirs) if theirs and case.found.kind in (*BOUNCES, Kind.AUTOMATIC) else case.found.kind


def _hash(address: str, keys: Keys) -> str:
    return keys.address_hash(addresses.normalise(address))


def _for_people(case: Case) -> Deed:
    return Deed.STAFF


def _nothing(case: Case) -> Deed:
    return Deed.NOTHING


def _hard(case: Case) -> Deed:
    """Suppressed at once, unless it is nobody's, came too late, or its edition has too many of them."""
    if case.owner is None:
        return Deed.STAFF
    if case.owner.is_staff:
        return _staff_bounced(case)
    if case.owner.moved:
        return Deed.LATE
    if case.owner.address_hash is None:
        return Deed.NOTHING  # they were erased, and are on the list for it
    if _bounced_before(case):
        return Deed.COUNTED
    return _suppress(case, case.owner.address_hash, case.row.diagnostic or case.row.status)


def _suppress(case: Case, address_hash: str, note: str) -> Deed:
    assert case.owner is not None
    if case.owner.edition_id is not None:
        deed = tallying.may_suppress(case.owner.edition_id, case.now)
        if deed is not Deed.SUPPRESSED:
            return deed
    _put_on_the_list(case, address_hash, SuppressionReason.HARD_BOUNCE, note)
    return Deed.SUPPRESSED


def _put_on_the_list(case: Case, address_hash: str, reason: SuppressionReason, note: str) -> None:
    if suppression.suppress(address_hash, reason, case.now, note):
        about = f"address:{address_hash[:16]}"
        audit.record(SYSTEM, "bounce.suppress", about, case.now, reason=reason, bounce=case.row.id)


def _bounced_before(case: Case) -> bool:
    """Whether this delivery has a hard bounce already: relays and servers may both tell of it."""
    assert case.owner is not None
    if case.owner.delivery_id is None:
        return False
    same = sa.exists().where(
        Bounce.delivery_id == case.owner.delivery_id, Bounce.kind == Kind.HARD, Bounce.id != case.row.id
    )
    return bool(db.session.scalar(sa.select(same)))


def _staff_bounced(case: Case) -> Deed:
    """Staff's own addresses are not suppressed: who is not told of trouble must hear of that."""
    alerts.raise_(
        STAFF_BOUNCED,
        f"A mail to the newsroom came back from {case.row.address or 'an address'}: {case.row.diagnostic[:200]}",
        "Mend that person's address, or the newsletter's reply address. Then settle the mail on the bounces page.",
        case.now,
    )
    return Deed.STAFF


def _soft(case: Case) -> Deed:
    """Counted; five over ten days, without a mail that arrived between them, are as good as a hard one."""
    if case.owner is None:
        return Deed.STAFF
    reader = case.owner.subscriber
    if reader is None or case.owner.delivery_id is None or case.owner.address_hash is None or case.owner.moved:
        return Deed.COUNTED
    locked(Subscriber, reader.id)
    row = _softly_bounced(reader.id, case.now)
    if len(row) < SOFT_AT_MOST or row[-1] - row[0] < SOFT_FOR:
        return Deed.COUNTED
    if SuppressionReason.HARD_BOUNCE in suppression.reasons(case.owner.address_hash):
        return Deed.COUNTED
    return _suppress(case, case.owner.address_hash, f"{len(row)} soft bounces since {row[0]:%Y-%m-%d}")


def _softly_bounced(subscriber_id: int, now: datetime) -> list[datetime]:
    """When soft bounces came of what was sent since the last mail that arrived, the first first; one for each mail."""
    soft = (
        sa.select(sa.func.min(Bounce.received_at))
        .join(Delivery, Delivery.id == Bounce.delivery_id)
        .where(Bounce.subscriber_id == subscriber_id, Bounce.kind == Kind.SOFT)
        .group_by(Bounce.delivery_id)
        .order_by(sa.func.min(Bounce.received_at))
    )
    if (arrived := _last_arrived(subscriber_id, now)) is not None:
        soft = soft.where(Delivery.updated_at > arrived)
    return list(db.session.scalars(soft))


def _last_arrived(subscriber_id: int, now: datetime) -> datetime | None:
    """When the last mail was accepted that did not bounce although a later one did, or that had time enough for it. Of
    those sent since, nobody can know yet: a server may try for days before it says so."""
    bounced = sa.exists().where(Bounce.delivery_id == Delivery.id, Bounce.kind.in_(BOUNCES))
    theirs = sa.select(sa.func.max(Delivery.updated_at)).where(
        Delivery.subscriber_id == subscriber_id, Delivery.state == DeliveryState.ACCEPTED
    )
    last_bounced = db.session.scalar(theirs.where(bounced))
    settled = max(filter(None, (last_bounced, now - BOUNCES_WITHIN)))
    return db.session.scalar(theirs.where(~bounced, Delivery.updated_at < settled))


def _policy(case: Case) -> Deed:
    """Never a reason to suppress: it is about us."""
    if case.owner is None or case.owner.is_staff:
        return Deed.STAFF
    if case.owner.edition_id is not None:
        tallying.count_refusal(case.owner.edition_id, case.row.diagnostic, case.now)
    return Deed.COUNTED


def _complaint(case: Case) -> Deed:
    """Suppressed and unsubscribed from everything, at once and for good (rule 14)."""
    if case.owner is None or case.owner.is_staff:
        return Deed.STAFF
    reader = case.owner.subscriber
    hashes = {case.owner.address_hash, reader.address_hash if reader else None} - {None}
    for hashed in sorted(filter(None, hashes)):
        _put_on_the_list(case, hashed, SuppressionReason.COMPLAINT, "")
    for one in reader.subscriptions if reader else ():
        if one.state is SubscriptionState.ACTIVE:
            preferences.leave(one, Origin(), case.now, case.keys, by=COMPLAINED)
    return Deed.SUPPRESSED if hashes else Deed.NOTHING


def _unsubscribe(case: Case) -> Deed:
    """As the one-click button does; the mail's words do not matter."""
    id = owning.leaving(case.found, case.links)
    if id is None:
        return Deed.STAFF
    left = preferences.unsubscribe(case.links.make(Purpose.UNSUBSCRIBE, id), BY_MAIL, case.now, case.keys, case.links)
    case.row.subscriber_id = left.subscriber_id if left else None
    return Deed.UNSUBSCRIBED if left else Deed.NOTHING


def _reply(case: Case) -> Deed:
    if case.owner and passing_on.pass_on(case.found, case.owner, case.now, case.config, case.links):
        return Deed.PASSED_ON
    return Deed.STAFF


DEEDS: dict[Kind, Deeds] = {
    Kind.HARD: _hard,
    Kind.SOFT: _soft,
    Kind.POLICY: _policy,
    Kind.COMPLAINT: _complaint,
    Kind.AUTOMATIC: _nothing,
    Kind.CHALLENGE: _nothing,
    Kind.UNSUBSCRIBE: _unsubscribe,
    Kind.REPLY: _reply,
    Kind.UNKNOWN: _for_people,
}


def settle(id: int, now: datetime, by: Actor) -> bool:
    """People have looked at it. False when they had before. Raises BounceUnknown."""
    with transaction():
        found = locked(Bounce, id) or bounce(id)
        if not found.needs_staff:
            return False
        tallying.settle(found, now, by)
        audit.record(by, "bounce.settle", f"bounce:{id}", now)
        if not _open_about_staff():
            alerts.resolve(STAFF_BOUNCED, now)
    return True


def _open_about_staff() -> bool:
    db.session.flush()
    still = sa.exists().where(Bounce.needs_staff, Bounce.outbox_id.is_not(None), Bounce.kind == Kind.HARD)
    return bool(db.session.scalar(sa.select(still)))


def poll_due(now: datetime) -> int:
    """The same for the scheduler, which comes again in a minute anyway. What is halted may be a copy, and must not
    empty the mailbox of the one that it is a copy of."""
    if safety.halted() is not None:
        return 0
    try:
        return poll(now)
    except MailboxUnavailable as error:
        log.warning("%s", error)
        return 0


def poll(now: datetime) -> int:
    """Take in what lies in the mailbox, if there is one, and say how many mails. A broken one is told of once.

    Raises MailboxUnavailable after that.
    """
    config = the_config()
    if config.bounces.imap_host is None:
        return 0
    try:
        taken = mailboxes.empty(config.bounces, config.imap_password, lambda octets: receive(octets, now))
    except MailboxUnavailable as error:
        with transaction():
            remedy = "What came back waits there, and is read when it answers. Look at [bounces] in the config."
            alerts.raise_(MAILBOX, str(error), remedy, now)
        raise
    if any(alert.key == MAILBOX for alert in alerts.open_alerts()):
        with transaction():
            alerts.resolve(MAILBOX, now)
    return taken
