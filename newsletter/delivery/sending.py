"""One shard: claim, message, SMTP, record."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

from newsletter.delivery import ledger
from newsletter.delivery.ledger import Claimed, Shard
from newsletter.editions.models import Revision
from newsletter.editions.rendering import Parts
from newsletter.foundation.clock import Clock
from newsletter.foundation.config import Config
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import Links, Purpose
from newsletter.mail import addresses
from newsletter.mail.envelopes import return_path
from newsletter.mail.message import Letter, Message, Reader, Sender
from newsletter.mail.signing import the_signer
from newsletter.mail.smtp import (
    Connection,
    ConversationBroken,
    Outcome,
    RelayUnavailable,
    Reply,
    SenderRefused,
    Transport,
)

log = logging.getLogger(__name__)

BROKEN_AT_MOST = 3
"""So many conversations in a row that end in the middle of a mail say that it is the relay, not the mails."""

RELAY_PAUSE = timedelta(minutes=1)
"""How long rows wait that a relay's absence left unsent; it is nobody's fault and costs no attempt."""


@dataclass(frozen=True)
class Job:
    """What sending a shard takes."""

    config: Config
    links: Links
    clock: Clock
    transport: Transport
    stop: Event


def deliver_next_shard(job: Job) -> bool:
    """Send one shard of an edition that is due; False when there is none.

    Raises RelayUnavailable when the relay is away; then what was not begun is due again in a minute. When `job.stop`
    is set, what is in flight is finished and the rest is given back.
    """
    shard = ledger.lease_shard(job.clock.now())
    if shard is None:
        return False
    run = _Run(job, shard)
    try:
        while run.goes_on():
            with job.transport.connected() as connection:
                run.through(connection)
    except SenderRefused:
        ledger.put_off(shard.edition_id, job.clock.now(), job.clock.now() + RELAY_PAUSE)
        raise
    finally:
        run.give_back_the_rest()
    return True


class _Run:
    """One shard, on one conversation after the other where a relay breaks them off.

    One commit carries the last result and the next start (rule 10).
    """

    def __init__(self, job: Job, shard: Shard) -> None:
        self._job = job
        self._left = deque(shard.rows)
        self._letters = _Letters(job, shard)
        self._result: tuple[Claimed, str, Reply] | None = None
        self._broken = 0

    def goes_on(self) -> bool:
        return bool(self._left) and not self._job.stop.is_set()

    def through(self, connection: Connection) -> None:
        """Send until the shard or the conversation ends. Raises RelayUnavailable when a fresh one was of no use."""
        fresh = True
        try:
            while self.goes_on():
                row = self._left.popleft()
                attempt = self._record_and_start(row)
                if attempt is not None and not self._send(connection, row, attempt, fresh):
                    return
                fresh = fresh and attempt is None
        finally:
            self._record_and_start(None)

    def _record_and_start(self, row: Claimed | None) -> str | None:
        if row is None and self._result is None:
            return None
        now = self._job.clock.now()
        with transaction():
            if self._result is not None:
                ledger.record(*self._result, now)
            attempt = ledger.start(row, now) if row is not None else None
        self._result = None
        return attempt

    def _send(self, connection: Connection, row: Claimed, attempt: str, fresh: bool) -> bool:
        """Hand over one mail; False when the conversation is of no use any more."""
        mail = self._made(row)
        if mail is None:
            self._result = (row, attempt, Reply(Outcome.DEFERRED, "its mail could not be made; our log says why"))
            return True
        try:
            self._result = (row, attempt, connection.send(*mail))
        except ConversationBroken as error:
            self._result = (row, attempt, Reply(Outcome.DEFERRED, str(error)))
            self._broken += 1
            if self._broken >= BROKEN_AT_MOST:
                raise
            return False
        except RelayUnavailable:
            ledger.take_back(row, attempt, self._job.clock.now())
            self._left.appendleft(row)
            if fresh:
                raise
            return False
        self._broken = 0
        return True

    def _made(self, row: Claimed) -> tuple[str, str, bytes] | None:
        try:
            return self._letters.to(row)
        except Exception:  # a fault of ours with one address must not stop the mails of the others
            log.exception("The mail of delivery %d could not be made.", row.id)
            return None

    def give_back_the_rest(self) -> None:
        now = self._job.clock.now()
        if self._left:
            ledger.give_back(list(self._left), now, now if self._job.stop.is_set() else now + RELAY_PAUSE)


class _Letters:
    """The shard's revision, addressed to each of its readers; encoded once in each form that one of them wants."""

    def __init__(self, job: Job, shard: Shard) -> None:
        self._job = job
        revision = db.session.get_one(Revision, shard.revision_id)
        newsletter = revision.edition.newsletter
        self._sender = Sender(newsletter.from_name, newsletter.from_address, newsletter.reply_to)
        self._domain = addresses.wire(self._sender.address).rpartition("@")[2]
        self._subject = revision.subject
        self._list_id = f"<{newsletter.slug}.{self._domain}>"  # RFC 2919
        self._parts = _parts(revision)
        self._messages: dict[tuple[str, bool], Message] = {}

    def to(self, row: Claimed) -> tuple[str, str, bytes]:
        """The envelope's two addresses and the mail itself."""
        links = self._job.links
        leave = links.link(Purpose.UNSUBSCRIBE, row.subscription_id)
        preferences = links.link(Purpose.PREFERENCES, row.subscriber_id)
        recipient = addresses.wire(row.address)
        reader = Reader(
            address=recipient,
            message_id=f"{links.verp('d', row.id)}@{self._domain}",
            words={"address": row.address, "unsubscribe_url": leave, "preferences_url": preferences},
            unsubscribe_url=leave,
        )
        message = self._message(row).to(reader)
        return (
            return_path(self._job.config, links, "d", row.id, self._sender.address),
            recipient,
            the_signer().signed(message, self._sender.address, self._job.clock.now()),
        )

    def _message(self, row: Claimed) -> Message:
        """In the reader's language where there is such a part, else in the newsletter's own."""
        form = row.language if row.language in self._parts else next(iter(self._parts)), row.text_only
        if form not in self._messages:
            self._messages[form] = Message(self._letter(*form))
        return self._messages[form]

    def _letter(self, language: str, text_only: bool) -> Letter:
        part = self._parts[language]
        return Letter(
            sender=self._sender,
            subject=self._subject,
            text=part.text,
            html=None if text_only else part.html,
            date=self._job.clock.now(),
            marker=part.marker,
            headers={"List-ID": self._list_id},
        )


def _parts(revision: Revision) -> dict[str, Parts]:
    """What was sealed by its language, the newsletter's own first."""
    return {part.language: Parts(part.html or "", part.text, part.marker) for part in revision.parts}
