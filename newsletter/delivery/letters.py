"""An edition's revision, addressed to its readers."""

from __future__ import annotations

from threading import Lock

from newsletter.delivery.shards import Claimed
from newsletter.editions.models import Revision
from newsletter.editions.rendering import Parts
from newsletter.foundation.clock import Clock
from newsletter.foundation.config import Config
from newsletter.foundation.links import Links, Purpose
from newsletter.mail import addresses
from newsletter.mail.envelopes import leaving_address, return_path
from newsletter.mail.message import Letter, Message, Reader, Sender
from newsletter.mail.signing import Signer
from newsletter.mail.smtp import Mail


class Letters:
    """What was sealed of one revision, encoded once in each form that a reader wants. Any thread may ask."""

    def __init__(self, revision: Revision, config: Config, links: Links, signer: Signer, clock: Clock) -> None:
        self._config, self._links, self._signer, self._clock = config, links, signer, clock
        newsletter = revision.edition.newsletter
        self._sender = Sender(newsletter.from_name, newsletter.from_address, newsletter.reply_to)
        self._domain = addresses.wire(self._sender.address).rpartition("@")[2]
        self._subject = revision.subject
        self._list_id = f"<{newsletter.slug}.{self._domain}>"  # RFC 2919
        self._parts = _parts(revision)
        self._messages: dict[tuple[str, bool], Message] = {}
        self._encoding = Lock()

    def to(self, row: Claimed) -> Mail:
        links = self._links
        leave = links.link(Purpose.UNSUBSCRIBE, row.subscription_id)
        preferences = links.link(Purpose.PREFERENCES, row.subscriber_id)
        recipient, tag = addresses.wire(row.address), links.verp("d", row.id)
        reader = Reader(
            address=recipient,
            message_id=f"{tag}@{self._domain}",
            words={"address": row.address, "unsubscribe_url": leave, "preferences_url": preferences},
            unsubscribe_url=leave,
            unsubscribe_address=leaving_address(self._config, links, row.subscription_id),
        )
        message = self._message(row).to(reader)
        return Mail(
            return_path(self._config, tag, self._sender.address),
            recipient,
            self._signer.signed(message, self._sender.address, self._clock.now()),
            dotless=True,
        )

    def _message(self, row: Claimed) -> Message:
        """In the reader's language where there is such a part, else in the newsletter's own."""
        form = row.language if row.language in self._parts else next(iter(self._parts)), row.text_only
        with self._encoding:
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
            date=self._clock.now(),
            marker=part.marker,
            headers={"List-ID": self._list_id},
        )


def _parts(revision: Revision) -> dict[str, Parts]:
    """What was sealed by its language, the newsletter's own first."""
    return {part.language: Parts(part.html or "", part.text, part.marker) for part in revision.parts}
