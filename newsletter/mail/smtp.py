"""Handing mails to a relay, and its replies sorted by what to do next."""

from __future__ import annotations

import re
import smtplib  # noqa: TID251 - the one place for it
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from newsletter.foundation.config import MailConfig, SmtpSecurity
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.parts import Part


class Outcome(StrEnum):
    """What a reply means for one mail.

    `accepted`: the relay has taken it over. `deferred`: try this address again later. `refused`: trying again is
    pointless. `uncertain`: the connection ended after the final dot and before the answer; nobody can know.
    """

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Reply:
    outcome: Outcome
    text: str


class RelayUnavailable(NewsletterError):
    """The relay {host}:{port} cannot be used: {cause}. Nothing is lost; it is tried again."""


class ConversationBroken(RelayUnavailable):
    """The relay {host}:{port} broke the conversation off: {cause}. Nothing is lost; it is tried again."""


class SenderRefused(RelayUnavailable):
    """The relay {host}:{port} does not send for {sender}: {cause}. Nothing is lost; it is tried again. Mend the
    address, or set bounce_address under [mail]."""


class Connection(Protocol):
    """One conversation with a relay."""

    def send(self, sender: str, recipient: str, message: bytes) -> Reply:
        """Hand over one mail.

        When it was not handed over, raises RelayUnavailable if the conversation ended before its recipient was named,
        so that another conversation may take it at once; ConversationBroken if it ended later and before the final
        dot, so that this very mail may be why.
        """
        ...


class Transport(Protocol):
    """Where mails go: a relay, or the demo's folder."""

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A conversation for as long as the block lasts. Raises RelayUnavailable."""
        ...


the_transport: Part[Transport] = Part("transport")


class SmtpTransport:
    """A relay reached by SMTP, with STARTTLS or TLS and a login where the settings say so."""

    def __init__(self, config: MailConfig, password: str | None) -> None:
        self._config = config
        self._password = password

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        smtp = self._open()
        try:
            yield _SmtpConnection(smtp, self._config)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                smtp.quit()
            smtp.close()

    def _open(self) -> smtplib.SMTP:
        config = self._config
        try:
            smtp = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            raise self._unavailable(error) from error
        try:
            smtp.ehlo_or_helo_if_needed()
            if config.security is SmtpSecurity.STARTTLS:
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo()
            if config.username:
                smtp.login(config.username, self._password or "")
        except (OSError, smtplib.SMTPException) as error:
            smtp.close()
            raise self._unavailable(error) from error
        return smtp

    def _connect(self) -> smtplib.SMTP:
        config = self._config
        if config.security is SmtpSecurity.TLS:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(config.host, config.port, timeout=config.timeout_seconds, context=context)
        return smtplib.SMTP(config.host, config.port, timeout=config.timeout_seconds)

    def _unavailable(self, cause: object) -> RelayUnavailable:
        return RelayUnavailable(host=self._config.host, port=self._config.port, cause=_words(cause))


class _SmtpConnection:
    def __init__(self, smtp: smtplib.SMTP, config: MailConfig) -> None:
        self._smtp = smtp
        self._relay = {"host": config.host, "port": config.port}

    def send(self, sender: str, recipient: str, message: bytes) -> Reply:
        self._begin(sender)
        try:
            for command in (f"RCPT TO:<{recipient}>", "DATA"):
                code, text = self._smtp.docmd(command)
                if code == 421:
                    raise ConversationBroken(**self._relay, cause=f"{code} {_decoded(text)}")
                if code not in (250, 251, 354):
                    self._forget()
                    return _sorted(code, text)
            self._smtp.send(_stuffed(message))
        except (OSError, smtplib.SMTPException) as error:
            raise ConversationBroken(**self._relay, cause=_words(error)) from error
        return self._answer_to_the_dot()

    def _begin(self, sender: str) -> None:
        """A relay that refuses our sender refuses us and no reader."""
        try:
            code, text = self._smtp.docmd(f"MAIL FROM:<{sender}>")
        except (OSError, smtplib.SMTPException) as error:
            raise RelayUnavailable(**self._relay, cause=_words(error)) from error
        if code != 250:
            self._forget()
            refused = RelayUnavailable if code == 421 else SenderRefused
            raise refused(**self._relay, sender=sender, cause=f"{code} {_decoded(text)}")

    def _forget(self) -> None:
        """End the mail that was refused. Where the relay has hung up, the next mail will find out."""
        with suppress(OSError, smtplib.SMTPException):
            self._smtp.rset()

    def _answer_to_the_dot(self) -> Reply:
        try:
            code, text = self._smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            return Reply(Outcome.UNCERTAIN, _words(error))
        return _sorted(code, text)


def _stuffed(message: bytes) -> bytes:
    """RFC 5321 §4.5.2: a dot more before a line's first dot, and a lone dot at the end."""
    body = re.sub(rb"(?m)^\.", b"..", message)
    return body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _sorted(code: int, text: bytes) -> Reply:
    words = f"{code} {_decoded(text)}"
    if 200 <= code < 300:
        return Reply(Outcome.ACCEPTED, words)
    return Reply(Outcome.REFUSED if 500 <= code < 600 else Outcome.DEFERRED, words)


def _decoded(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:400]


def _words(cause: object) -> str:
    if isinstance(cause, smtplib.SMTPResponseException):
        error = cause.smtp_error
        return f"{cause.smtp_code} {_decoded(error if isinstance(error, bytes) else str(error).encode())}"
    if isinstance(cause, TimeoutError):
        return "it did not answer in time"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
