"""A small mail server for what comes back: it takes mail for our own addresses only, and says 250 once it is stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from newsletter.foundation.config import BounceProtocol, BouncesConfig
from newsletter.foundation.errors import CannotStart

MEGABYTE = 1_000_000
LONGEST_LINE = 2**20
RECIPIENTS_AT_MOST = 50
AT_ONCE = 4

STORED = "250 2.0.0 Stored"
LATER = "451 4.3.0 It could not be stored just now, please keep it and come again"
NOBODY = "550 5.1.1 Nobody has this address here"
TOO_MANY = "452 4.5.3 Too many recipients, please send the rest apart"

log = logging.getLogger(__name__)


class CannotListenForBounces(CannotStart):
    """Nobody can listen on {host}, port {port}: {cause}. Change host or port under [bounces]."""


class Listener:
    """Hands each mail to `take`, with the address that it is for; once for each recipient that `accepts` knows.

    When `take` raises, the sender is asked to come again.
    """

    def __init__(
        self, settings: BouncesConfig, accepts: Callable[[str], bool], take: Callable[[bytes, str], object]
    ) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(AT_ONCE, "bounces")
        is_lmtp = settings.protocol is BounceProtocol.LMTP
        self._controller = _Controller(
            _Handler(accepts, take, self._threads, is_lmtp),
            settings.host,
            settings.port,
            is_lmtp=is_lmtp,
            data_size_limit=int(settings.max_megabytes * MEGABYTE),
            timeout=settings.timeout_seconds,
            ident="Daily Headlines, bounces",
            enable_SMTPUTF8=True,
        )

    def start(self) -> None:
        """Raises CannotListenForBounces."""
        try:
            self._controller.start()
        except OSError as error:
            self._threads.shutdown()
            self._controller.loop.close()  # the library leaves it open then
            there = self._settings
            raise CannotListenForBounces(host=there.host, port=there.port, cause=error.strerror or error) from error

    def stop(self) -> None:
        """What is being stored is stored; whose sender was not told so yet comes again, and counts once."""
        self._controller.stop()
        self._threads.shutdown()


class _Controller(Controller):
    def __init__(self, *args: Any, is_lmtp: bool, **settings: Any) -> None:
        self._is_lmtp = is_lmtp
        super().__init__(*args, **settings)

    def factory(self) -> SMTP:
        return (_Lmtp if self._is_lmtp else _Smtp)(self.handler, **self.SMTP_kwargs)


class _Smtp(SMTP):
    line_length_limit = LONGEST_LINE  # robots keep to no limits


class _Lmtp(LMTP):
    line_length_limit = LONGEST_LINE

    async def push(self, status: Any) -> None:
        """One answer for each recipient after the data (RFC 2033 §4.2), also where the library itself refuses it."""
        refused = isinstance(status, str) and status.startswith(("552 Error: Too much", "500 Line too long"))
        times = len(self.envelope.rcpt_tos) if refused and self.envelope else 1
        for _ in range(max(times, 1)):
            await super().push(status)


class _Handler:
    """What aiosmtpd calls; it names its hooks so."""

    def __init__(
        self,
        accepts: Callable[[str], bool],
        take: Callable[[bytes, str], object],
        threads: ThreadPoolExecutor,
        is_lmtp: bool,
    ) -> None:
        self._accepts, self._take, self._threads, self._is_lmtp = accepts, take, threads, is_lmtp

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self._accepts(address):
            return NOBODY
        if len(envelope.rcpt_tos) >= RECIPIENTS_AT_MOST:
            return TOO_MANY
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        octets = envelope.original_content or b""
        if envelope.mail_from in ("", "<>"):
            octets = b"Return-Path: <>\r\n" + octets  # as whoever delivers a mail at last writes it (RFC 5321 §4.4)
        loop = asyncio.get_running_loop()
        answers = [
            await loop.run_in_executor(self._threads, self._stored, octets, recipient)
            for recipient in envelope.rcpt_tos
        ]
        if self._is_lmtp:
            return "\r\n".join(answers)
        return STORED if set(answers) == {STORED} else LATER

    def _stored(self, octets: bytes, recipient: str) -> str:
        try:
            self._take(octets, recipient)
        except Exception:  # whatever it is, the sender keeps the mail
            log.exception("A mail that came back could not be stored; its sender is asked to come again.")
            return LATER
        return STORED
