"""A real SMTP server that keeps what it is given, and misbehaves when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.ports import free_port


@dataclass
class Received:
    """One mail as the server was given it."""

    sender: str
    recipient: str
    octets: bytes

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.octets, policy=default))

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    def part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None, f"the mail has no {kind} part"
        return str(body.get_content())


@dataclass
class Inbox:
    """`answer_rcpt` and `answer_data` may be replaced to refuse: they get the address and give an SMTP reply."""

    host: str
    port: int
    mails: list[Received] = field(default_factory=list)
    answer_rcpt: Callable[[str], str] = lambda address: "250 OK"
    answer_data: Callable[[str], str] = lambda address: "250 OK"
    connections: int = 0

    def of(self, address: str) -> list[Received]:
        return [mail for mail in self.mails if mail.recipient == address]

    def editions_of(self, address: str) -> list[Received]:
        return [mail for mail in self.of(address) if mail.message["List-ID"]]

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        answer = self.answer_rcpt(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        (recipient,) = envelope.rcpt_tos
        answer = self.answer_data(recipient)
        if answer.startswith("250"):
            assert isinstance(envelope.original_content, bytes)
            self.mails.append(Received(envelope.mail_from or "", recipient, envelope.original_content))
        return answer


class PostOffice(Controller):
    """A server that outlives inboxes: whoever connects is served by the newest."""

    def new_inbox(self) -> Inbox:
        self.handler = Inbox(self.hostname, self.port)
        return self.handler


@contextmanager
def running_post_office() -> Iterator[PostOffice]:
    office = PostOffice(None, hostname="127.0.0.1", port=free_port())
    office.new_inbox()
    office.start()
    try:
        yield office
    finally:
        office.stop()
