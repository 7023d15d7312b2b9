"""A mailbox that is asked by IMAP what came back. A mail is moved away only after it was taken in for good."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from imap_tools import BaseMailBox, MailBox, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from newsletter.foundation.config import BouncesConfig, SmtpSecurity
from newsletter.foundation.errors import NewsletterError

AT_ONCE = 500
"""So many mails at a time, so that one mailbox keeps nobody else waiting."""

BROKEN = (OSError, imaplib.IMAP4.error, ImapToolsError)


class MailboxUnavailable(NewsletterError):
    """The mailbox on {host} cannot be read: {cause}"""


def empty(settings: BouncesConfig, password: str, take: Callable[[bytes], object]) -> int:
    """Hand each mail of the folder to `take`, then move it into the other one, and say how many there were.

    Whoever is killed between the two meets the mail again. Of a mail that is too large only the beginning comes.
    Raises MailboxUnavailable, and what `take` raises.
    """
    taken = 0
    with _opened(settings, password) as box:
        with _translated(settings):
            uids = box.uids()[:AT_ONCE]
        for uid in uids:
            with _translated(settings):
                octets = _octets(box, uid, settings)
            if octets is None:
                continue  # somebody else took it meanwhile
            take(octets)
            taken += 1
            with _translated(settings):
                box.move(uid, settings.imap_done_folder)
    return taken


@contextmanager
def _opened(settings: BouncesConfig, password: str) -> Iterator[BaseMailBox]:
    with _translated(settings):
        box = _connected(settings)
    try:
        with _translated(settings):
            box.login(settings.imap_username, password, settings.imap_folder)
            if not box.folder.exists(settings.imap_done_folder):
                box.folder.create(settings.imap_done_folder)
        yield box
    finally:
        _close(box)


def _close(box: BaseMailBox) -> None:
    try:
        box.client.logout()
    except BROKEN:  # then it leaves the socket open
        with suppress(OSError):
            box.client.shutdown()


def _connected(settings: BouncesConfig) -> BaseMailBox:
    host, port, timeout = settings.imap_host or "", settings.imap_port, settings.timeout_seconds
    context = ssl.create_default_context()
    if settings.imap_security is SmtpSecurity.TLS:
        return MailBox(host, port, timeout=timeout, ssl_context=context)
    box = MailBoxUnencrypted(host, port, timeout=timeout)
    try:
        if settings.imap_security is SmtpSecurity.STARTTLS:
            box.client.starttls(context)
    except BaseException:
        _close(box)
        raise
    return box


@contextmanager
def _translated(settings: BouncesConfig) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise MailboxUnavailable(host=settings.imap_host, cause=str(error) or type(error).__name__) from error


def _octets(box: BaseMailBox, uid: str, settings: BouncesConfig) -> bytes | None:
    """PEEK, because whether it was seen is its owner's business. The library itself would read the whole mail by a
    parser that goes as deep as the mail does."""
    most = int(settings.max_megabytes * 1_000_000)
    _, answer = box.client.uid("fetch", uid, f"(BODY.PEEK[]<0.{most}>)")
    return next((bytes(one[1]) for one in answer if isinstance(one, tuple)), None)
