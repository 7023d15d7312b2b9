"""A sign of life to a watchman elsewhere, since an alarm must not ride on what has died."""

from __future__ import annotations

import logging

import httpx2

from newsletter.foundation.network import GuardedBackend, GuardedTransport, Unreachable

ANYWHERE = ("0.0.0.0/0", "::/0")
"""The operator's own address, which may be next door."""

SECONDS = 10

log = logging.getLogger(__name__)


def ping(url: str) -> bool:
    """Ask for an address, and say whether somebody answered well; failures are only logged."""
    try:
        _get(url)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError, Unreachable) as error:
        log.warning("The heartbeat's address did not answer: %s", str(error) or type(error).__name__)
        return False
    return True


def _get(url: str) -> None:
    backend = GuardedBackend(ANYWHERE)
    with (
        backend.deadline.within(SECONDS),
        httpx2.Client(transport=GuardedTransport(backend), timeout=SECONDS, trust_env=False) as client,
    ):
        client.get(url).raise_for_status()
