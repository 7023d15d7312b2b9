"""Handing mails to a relay, and its replies sorted by what to do next.

A mail is handed over in two steps: `offer` says whom it is for and what is in it, `finish` ends it with the final dot.
Whoever keeps a ledger writes down between the two that it goes out now. Where the relay lets us (PIPELINING, RFC 2920),
the envelope goes in one write, and the next mail's envelope together with this one's final dot: then a mail costs one
round trip.
"""

from __future__ import annotations

import re
import smtplib  # noqa: TID251 - the one place for it
import socket  # noqa: TID251 - and for this
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from newsletter.foundation.config import RelayConfig, SmtpSecurity
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.parts import Part
from newsletter.mail.waiting import until_ready, waited


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
    """`by_policy`: the relay does not want such mails from us, and it is nothing about the reader."""

    outcome: Outcome
    text: str
    by_policy: bool = False


@dataclass(frozen=True)
class Mail:
    """An envelope's two addresses, and the whole message with CRLF line ends. `dotless`: none of its lines begins with
    a dot, and nobody has to look for one."""

    sender: str
    recipient: str
    octets: bytes
    dotless: bool = False


class RelayUnavailable(NewsletterError):
    """The relay {host}:{port} cannot be used: {cause}. Nothing is lost; it is tried again."""


class ConversationBroken(RelayUnavailable):
    """The relay {host}:{port} broke the conversation off: {cause}. Nothing is lost; it is tried again."""


class SenderRefused(RelayUnavailable):
    """The relay {host}:{port} does not send for {sender}: {cause}. Nothing is lost; it is tried again. Mend the
    address, or set bounce_address under [mail]."""


class RelayFails(RelayUnavailable):
    """The relay takes no mails any more. {cause}"""


class PolicyRefused(RelayUnavailable):
    """The relay does not want our mails: {cause}. They wait, and are tried again. Mend what it names, or ask whoever
    runs it."""


class Conversation(Protocol):
    """One conversation with a relay, which never waits by itself (`waiting`)."""

    async def offer(self, mail: Mail) -> Reply | None:
        """Tell a mail's envelope and content, all but the final dot. None when the relay waits for it; else the mail
        has ended with this reply.

        When it was not taken, raises RelayUnavailable if the conversation ended before its recipient was named, so that
        another conversation may take it at once; ConversationBroken if it ended later, so that this very mail may be
        why; SenderRefused.
        """
        ...

    async def finish(self, following: Mail | None = None) -> Reply:
        """End the mail that was offered. `following` is the one that is offered next, and only its envelope is needed.

        Raises ConversationBroken when the conversation had ended before.
        """
        ...

    async def close(self) -> None: ...


class Connection:
    """A conversation for who waits in it. Each method raises what the conversation's raises."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def offer(self, mail: Mail) -> Reply | None:
        return waited(self._conversation.offer(mail))

    def finish(self, following: Mail | None = None) -> Reply:
        return waited(self._conversation.finish(following))

    def hand_over(self, mail: Mail) -> Reply:
        """Both steps in one."""
        return self.offer(mail) or self.finish()


class Transport(ABC):
    """Where mails go: a relay, or the demo's folder."""

    @abstractmethod
    def open(self) -> Conversation:
        """Begin a conversation, and wait for that. Raises RelayUnavailable."""

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A conversation for as long as the block lasts. Raises RelayUnavailable."""
        conversation = self.open()
        try:
            yield Connection(conversation)
        finally:
            waited(conversation.close())


the_transport: Part[Transport] = Part("transport")


class SmtpTransport(Transport):
    """A relay reached by SMTP, with STARTTLS or TLS and a login where the settings say so."""

    def __init__(self, config: RelayConfig, password: str | None) -> None:
        self._config = config
        self._password = password

    def open(self) -> Conversation:
        return _Conversation(self._open(), self._config)

    def _open(self) -> _Smtp:
        config = self._config
        tls = config.security is SmtpSecurity.TLS
        smtp: _Smtp | None = None
        try:
            smtp = _smtps(config) if tls else _Smtp(config.host, config.port, timeout=config.timeout_seconds)
            smtp.ehlo_or_helo_if_needed()
            if config.security is SmtpSecurity.STARTTLS:
                smtp.protect()
            if config.username:
                smtp.login(config.username, self._password or "")
        except (OSError, smtplib.SMTPException) as error:
            if smtp is not None:
                smtp.close()
            raise RelayUnavailable(host=config.host, port=config.port, cause=_words(error)) from error
        return smtp


Said = tuple[int, bytes]
"""A reply's code and its words."""

LONGEST_REPLY = 64 * 1024


class _Wire:
    """A socket on which whole replies are heard. A reply has to be whole in time: a relay that says an octet a second
    says nothing. Times are moments of time.monotonic()."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._is_protected = isinstance(sock, ssl.SSLSocket)
        self._unread = b""

    async def write(self, octets: bytes, until: float) -> None:
        """Raises OSError."""
        left = memoryview(octets)
        while left:
            try:
                left = left[self.sock.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                await until_ready(self.sock, until, to_write=True)
            except ssl.SSLWantReadError:
                await until_ready(self.sock, until)

    async def reply(self, until: float) -> Said:
        """Raises SMTPServerDisconnected, SMTPResponseException, OSError."""
        while (said := self._heard()) is None:
            self._unread += await self._hear(until)
            if len(self._unread) > LONGEST_REPLY:
                raise smtplib.SMTPResponseException(-1, b"a reply without end")
        return said

    def _heard(self) -> Said | None:
        """The first whole reply of what was heard."""
        text, begin = [], 0
        while (end := self._unread.find(b"\n", begin)) >= 0:
            line, begin = self._unread[begin:end], end + 1
            text.append(line[4:].strip())
            if line[3:4] == b"-":
                continue
            if not line[:3].isdigit():
                raise smtplib.SMTPResponseException(-1, b"no SMTP reply: " + line[:100])
            self._unread = self._unread[begin:]
            return int(line[:3]), b"\n".join(text)
        return None

    async def _hear(self, until: float) -> bytes:
        if not self._is_protected:  # of TLS there may be something left that the kernel knows nothing of
            await until_ready(self.sock, until)
        while True:
            try:
                octets = self.sock.recv(LONGEST_REPLY)
            except (BlockingIOError, ssl.SSLWantReadError):
                await until_ready(self.sock, until)
            except ssl.SSLWantWriteError:
                await until_ready(self.sock, until, to_write=True)
            else:
                if not octets:
                    raise smtplib.SMTPServerDisconnected("it closed the connection")
                return octets

    def has_spoken(self) -> bool:
        """Whether it has said something, be it goodbye, though it was not asked."""
        if not self._unread:
            try:
                self._unread = self.sock.recv(LONGEST_REPLY)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            except OSError:
                pass
        return True


class _Smtp(smtplib.SMTP):
    """smtplib's, for the beginning: greeting, EHLO, STARTTLS, login. Its replies have to be whole in time too."""

    _wire: _Wire | None = None

    def wire(self) -> _Wire:
        """Raises SMTPServerDisconnected."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("it closed the connection")
        if self._wire is None or self._wire.sock is not self.sock:  # what came before STARTTLS was said by anybody
            self._wire = _Wire(self.sock)
        return self._wire

    def send(self, s: Any) -> None:
        octets = s.encode("ascii") if isinstance(s, str) else bytes(s)
        waited(self.wire().write(octets, self._until()))

    def getreply(self) -> Said:
        """Raises SMTPServerDisconnected, SMTPResponseException, OSError; then the connection is closed."""
        try:
            return waited(self.wire().reply(self._until()))
        except (OSError, smtplib.SMTPException):
            self.close()
            raise

    def protect(self) -> None:
        """STARTTLS. Raises what smtplib's raises."""
        self.wire().sock.settimeout(self.timeout)  # the handshake waits by itself
        self.starttls(context=ssl.create_default_context())
        self.ehlo()

    def _until(self) -> float:
        return time.monotonic() + (self.timeout or 0)


class _Smtps(_Smtp, smtplib.SMTP_SSL):
    pass


def _smtps(config: RelayConfig) -> _Smtp:
    context = ssl.create_default_context()
    return _Smtps(config.host, config.port, timeout=config.timeout_seconds, context=context)


GOOD = (range(200, 300), range(200, 300), range(354, 355))
"""What a relay answers to MAIL, RCPT and DATA when it goes on."""


class _Conversation:
    """What smtplib has opened goes on here, mail by mail and in larger steps than smtplib knows."""

    def __init__(self, smtp: _Smtp, config: RelayConfig) -> None:
        self._wire = smtp.wire()
        self._wire.sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # else the dot waits for the body's receipt
        self._config = config
        self._pipelines = smtp.has_extn("pipelining")
        self._offers = {name for name in ("size", "8bitmime", "smtputf8") if smtp.has_extn(name)}
        self._announced = False
        self._in_a_mail = False

    async def offer(self, mail: Mail) -> Reply | None:
        if not self._can_name(mail):
            return Reply(Outcome.REFUSED, "553 5.6.7 the relay takes no addresses beyond ASCII (SMTPUTF8)")
        self._in_a_mail = True
        if (said := await self._ask_for(mail)) is not None:
            self._in_a_mail = False
            return sort(*said)
        await self._write(_ended(mail.octets if mail.dotless else _stuffed(mail.octets)))
        return None

    async def finish(self, following: Mail | None = None) -> Reply:
        if self._wire.has_spoken():  # it has ended the mail before we have, so it has not taken it
            raise self._broken(await self._last_words())
        octets = b".\r\n"
        if following is not None and self._pipelines and self._can_name(following):
            octets += b"".join(self._envelope(following))
            self._announced = True
        await self._write(octets)
        try:
            said = await self._wire.reply(time.monotonic() + self._config.final_timeout_seconds)
        except (OSError, smtplib.SMTPException) as error:
            return Reply(Outcome.UNCERTAIN, _words(error))
        self._in_a_mail = self._announced
        return sort(*said)

    async def close(self) -> None:
        """Say goodbye, unless in the middle of a mail, where that would be a part of it."""
        if not self._in_a_mail:
            with suppress(OSError, smtplib.SMTPException):
                await self._say(b"QUIT\r\n")
        self._wire.sock.close()

    def _can_name(self, mail: Mail) -> bool:
        return "smtputf8" in self._offers or (mail.sender + mail.recipient).isascii()

    def _envelope(self, mail: Mail) -> tuple[bytes, bytes, bytes]:
        wanted = {
            f" SIZE={len(mail.octets)}": "size" in self._offers,  # RFC 1870
            " BODY=8BITMIME": "8bitmime" in self._offers and not mail.octets.isascii(),  # RFC 6152
            " SMTPUTF8": not (mail.sender + mail.recipient).isascii(),  # RFC 6531
        }
        parameters = "".join(parameter for parameter, is_wanted in wanted.items() if is_wanted)
        return (
            f"MAIL FROM:<{mail.sender}>{parameters}\r\n".encode(),
            f"RCPT TO:<{mail.recipient}>\r\n".encode(),
            b"DATA\r\n",
        )

    async def _ask_for(self, mail: Mail) -> Said | None:
        """The reply that ended the mail, or None when its content may come."""
        steps = self._envelope(mail)
        said: list[Said] = []
        if self._pipelines and not self._announced:
            await self._write(b"".join(steps), RelayUnavailable)
        self._announced = False
        for step, good in zip(steps, GOOD, strict=True):
            why = ConversationBroken if said else RelayUnavailable
            if not self._pipelines:
                await self._write(step, why)
            said.append(await self._told(why))
            if said[-1][0] not in good and not self._pipelines:
                break
        wrong = [one for one, good in zip(said, GOOD, strict=False) if one[0] not in good]
        if not wrong:
            return None
        await self._get_out(said[-1])
        if wrong[0] is said[0]:  # it refuses us, and no reader
            raise SenderRefused(**self._where(), sender=mail.sender, cause=_told_words(wrong[0]))
        return wrong[0]

    async def _told(self, why: type[RelayUnavailable]) -> Said:
        try:
            said = await self._wire.reply(self._until())
        except (OSError, smtplib.SMTPException) as error:
            raise why(**self._where(), cause=_words(error)) from error
        if said[0] == 421:
            raise why(**self._where(), cause=_told_words(said))
        return said

    async def _write(self, octets: bytes, why: type[RelayUnavailable] = ConversationBroken) -> None:
        try:
            await self._wire.write(octets, self._until())
        except OSError as error:
            raise why(**self._where(), cause=_words(error)) from error

    async def _say(self, octets: bytes) -> Said:
        await self._wire.write(octets, self._until())
        return await self._wire.reply(self._until())

    async def _get_out(self, last: Said) -> None:
        """End the mail that was refused. Where the relay has hung up, the next mail will find out."""
        with suppress(OSError, smtplib.SMTPException):
            if last[0] == 354:  # it wants content for nobody (RFC 2920 §3.1)
                await self._say(b".\r\n")
            await self._say(b"RSET\r\n")

    async def _last_words(self) -> str:
        try:
            return _told_words(await self._wire.reply(self._until()))
        except (OSError, smtplib.SMTPException) as error:
            return _words(error)

    def _until(self) -> float:
        return time.monotonic() + self._config.timeout_seconds

    def _broken(self, cause: str) -> ConversationBroken:
        return ConversationBroken(**self._where(), cause=cause)

    def _where(self) -> dict[str, object]:
        return {"host": self._config.host, "port": self._config.port}


def _stuffed(message: bytes) -> bytes:
    """RFC 5321 §4.5.2: a dot more before a line's first dot."""
    body = message.replace(b"\r\n.", b"\r\n..")
    return b"." + body if body.startswith(b".") else body


def _ended(body: bytes) -> bytes:
    return body if body.endswith(b"\r\n") else body + b"\r\n"


POLICY = re.compile(r"5\.7\.\d+")
"""RFC 3463 §3.8: security or policy."""


def sort(code: int, text: bytes) -> Reply:
    """What a relay's reply means for the mail. A refusal by policy is put off: it is about us and may be mended."""
    words = _told_words((code, text))
    if 200 <= code < 300:
        return Reply(Outcome.ACCEPTED, words)
    by_policy = code >= 500 and POLICY.match(words[4:]) is not None
    return Reply(Outcome.REFUSED if 500 <= code < 600 and not by_policy else Outcome.DEFERRED, words, by_policy)


def _told_words(said: Said) -> str:
    return f"{said[0]} {_decoded(said[1])}"


def _decoded(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:400]


def _words(cause: object) -> str:
    if isinstance(cause, smtplib.SMTPResponseException):
        error = cause.smtp_error
        words = _decoded(error if isinstance(error, bytes) else str(error).encode())
        return words if cause.smtp_code < 0 else f"{cause.smtp_code} {words}"
    if isinstance(cause, TimeoutError | BlockingIOError):
        return "it did not answer in time"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
