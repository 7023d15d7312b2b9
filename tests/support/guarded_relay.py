"""A relay that speaks TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.inbox import Inbox
from tests.support.ports import free_port


@contextmanager
def protected(security: str, tls: ssl.SSLContext, port: int = 0, **more: Any) -> Iterator[Inbox]:
    """A relay with TLS from the start, or after STARTTLS."""
    inbox = Inbox("127.0.0.1", port or free_port())
    first = {"ssl_context": tls} if security == "tls" else {"tls_context": tls, "require_starttls": True}
    server = Controller(inbox, hostname=inbox.host, port=inbox.port, **first, **more)
    server.start()
    try:
        yield inbox
    finally:
        server.stop()
