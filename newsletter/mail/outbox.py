"""Durable transactional mail: confirmations, welcomes, notes to staff.

`put` writes a row in the caller's transaction, so a mail exists if and only if what it is about was committed. The
worker sends it at least once, always with the same Message-ID; while the relay is away it waits here.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation import alerts
from newsletter.foundation.clock import Clock
from newsletter.foundation.config import Config
from newsletter.foundation.database import Base, db, transaction, words
from newsletter.foundation.languages import ENGLISH
from newsletter.foundation.links import Links
from newsletter.foundation.safety import IS_HALTED
from newsletter.mail import addresses, templates
from newsletter.mail.envelopes import return_path
from newsletter.mail.message import Letter, Message, Reader, Sender
from newsletter.mail.signing import the_signer
from newsletter.mail.smtp import (
    Connection,
    ConversationBroken,
    Mail,
    Outcome,
    RelayUnavailable,
    Reply,
    SenderRefused,
    Transport,
)

LEASE = timedelta(minutes=5)
SENDER_PAUSE = timedelta(minutes=1)
RETRIES = tuple(timedelta(minutes=m) for m in (1, 5, 15, 30, 60, 120, 240, 480))


log = logging.getLogger(__name__)


class OutboxState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class OutboxMail(Base):
    """One mail to one person: a template's name and its data."""

    __tablename__ = "outbox_mails"
    __table_args__ = (sa.Index(None, "state", "next_attempt_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(60))
    recipient: Mapped[str] = mapped_column(sa.String(254))
    sender_name: Mapped[str] = mapped_column(sa.String(120))
    sender_address: Mapped[str] = mapped_column(sa.String(254))
    reply_to: Mapped[str | None] = mapped_column(sa.String(254))
    data: Mapped[dict[str, Any]]
    message_id: Mapped[str] = mapped_column(sa.String(200), unique=True)
    state: Mapped[OutboxState] = mapped_column(words(OutboxState), default=OutboxState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    last_reply: Mapped[str | None] = mapped_column(sa.String(500))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


def put(
    name: str,
    *,
    to: str,
    sender: Sender,
    now: datetime,
    language: str = ENGLISH,
    text_only: bool = False,
    **data: object,
) -> None:
    """Add a mail to the caller's transaction. `data` must be plain JSON values; `language` is that of our own words."""
    domain = addresses.wire(sender.address).rpartition("@")[2]
    db.session.add(
        OutboxMail(
            name=name,
            recipient=to,
            sender_name=sender.name,
            sender_address=sender.address,
            reply_to=sender.reply_to,
            data=data | {"language": language, "text_only": text_only},
            message_id=f"{secrets.token_hex(16)}@{domain}",
            next_attempt_at=now,
            created_at=now,
        )
    )


def send_due(transport: Transport, config: Config, links: Links, clock: Clock, stop: Event | None = None) -> int:
    """Send every mail that is due, until `stop` is set, and say how many the relay was asked to take.

    Raises RelayUnavailable when the relay is away; then what was not sent stays due.
    """
    handed_over = 0
    if not _any_due(clock.now()):
        return 0
    with transport.connected() as connection:
        while not (stop and stop.is_set()) and (mail := _claim(clock.now())) is not None:
            reply = _hand_over(mail, connection, config, links, clock)
            _record(mail.id, reply, clock.now())
            handed_over += 1
    return handed_over


def _hand_over(mail: OutboxMail, connection: Connection, config: Config, links: Links, clock: Clock) -> Reply:
    try:
        octets = _octets(mail, config, links)
    except Exception as error:  # a fault of ours in one mail must not stop the others
        log.exception("The mail “%s” (%d) could not be made.", mail.name, mail.id)
        return Reply(Outcome.DEFERRED, f"it could not be made: {type(error).__name__}: {error}")
    try:
        return connection.hand_over(octets)
    except ConversationBroken as error:
        _record(mail.id, Reply(Outcome.DEFERRED, str(error)), clock.now())
        raise
    except RelayUnavailable as error:
        pause = SENDER_PAUSE if isinstance(error, SenderRefused) else timedelta()
        _give_back(mail.id, clock.now() + pause)
        raise


def waiting() -> int:
    """How many mails wait to be sent."""
    query = sa.select(sa.func.count()).select_from(OutboxMail).where(OutboxMail.state == OutboxState.PENDING)
    return db.session.scalar(query) or 0


def mails_to(
    recipient: str, limit: int = 50, *, before: int | None = None, not_from: Collection[str] = ()
) -> list[OutboxMail]:
    """The latest transactional mails to one address, in whichever case it was written, continuing below the id `before`
    and without those from some senders."""
    query = sa.select(OutboxMail).where(is_to(recipient), OutboxMail.sender_address.not_in(not_from))
    if before is not None:
        query = query.where(OutboxMail.id < before)
    return list(db.session.scalars(query.order_by(OutboxMail.id.desc()).limit(limit)))


def is_to(recipient: str) -> sa.ColumnElement[bool]:
    return sa.func.lower(OutboxMail.recipient) == recipient.lower()


def _due(now: datetime) -> sa.Select[tuple[OutboxMail]]:
    return (
        sa.select(OutboxMail)
        .where(OutboxMail.state == OutboxState.PENDING, OutboxMail.next_attempt_at <= now, ~IS_HALTED)
        .order_by(OutboxMail.next_attempt_at, OutboxMail.id)
        .limit(1)
    )


def _any_due(now: datetime) -> bool:
    return db.session.scalar(_due(now)) is not None


def _claim(now: datetime) -> OutboxMail | None:
    """Lease the next mail: while the lease lasts nobody else takes it, afterwards it is due again."""
    with transaction() as session:
        mail = session.scalar(_due(now).with_for_update(skip_locked=True))
        if mail is not None:
            mail.next_attempt_at = now + LEASE
            mail.attempts += 1
    return mail


def _octets(mail: OutboxMail, config: Config, links: Links) -> Mail:
    rendered = templates.render(mail.name, **links.opened(mail.data))
    letter = Letter(
        sender=Sender(mail.sender_name, mail.sender_address, mail.reply_to),
        subject=rendered.subject,
        text=rendered.text,
        html=None if mail.data.get("text_only") else rendered.html,
        date=mail.created_at,
        marker=mail.message_id,
        headers={"Auto-Submitted": "auto-generated"},  # RFC 3834 §5: no vacation notes in answer
    )
    recipient = addresses.wire(mail.recipient)
    message = Message(letter).to(Reader(address=recipient, message_id=mail.message_id))
    signed = the_signer().signed(message, mail.sender_address, mail.created_at)
    return Mail(return_path(config, links.verp("o", mail.id), mail.sender_address), recipient, signed, dotless=True)


def _record(mail_id: int, reply: Reply, now: datetime) -> None:
    with transaction() as session:
        mail = session.get_one(OutboxMail, mail_id)
        if mail.state is not OutboxState.PENDING:
            return  # another worker was quicker, and what it was told stands
        mail.last_reply = reply.text[:500]
        if reply.outcome is Outcome.ACCEPTED:
            mail.state, mail.sent_at = OutboxState.SENT, now
        elif reply.outcome is Outcome.REFUSED:
            mail.state = OutboxState.FAILED
        elif mail.attempts > len(RETRIES):
            mail.state = OutboxState.FAILED
            _tell(mail, now)
        else:  # deferred or uncertain: at least once
            mail.next_attempt_at = now + RETRIES[mail.attempts - 1]


def _tell(mail: OutboxMail, now: datetime) -> None:
    alerts.raise_(
        f"mail-given-up:{mail.name}",
        f"The mail “{mail.name}” could not be sent after {mail.attempts} attempts: {mail.last_reply}",
        "Look at the subscriber's page for the mail and its last answer, and at the log.",
        now,
    )


def _give_back(mail_id: int, until: datetime) -> None:
    """The relay did not look at this mail: it is due again, and the attempt does not count."""
    with transaction() as session:
        mail = session.get_one(OutboxMail, mail_id)
        mail.next_attempt_at = until
        mail.attempts -= 1
