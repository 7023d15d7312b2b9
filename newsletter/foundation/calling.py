"""Calls to addresses of the operator's own: a few words to the webhook of a chat, a sign of life to a watchman."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.network import GuardedBackend, GuardedTransport, Unreachable

ANYWHERE = ("0.0.0.0/0", "::/0")
"""The operator wrote the address into the config, and it may well be next door."""

SECONDS = 10

FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError, Unreachable)

log = logging.getLogger(__name__)


class PostFailed(NewsletterError):
    """{host} did not take it: {cause}."""


def post(url: str, words: Mapping[str, str]) -> None:
    """Post them as JSON, within ten seconds in all. Raises PostFailed, which names the host only, since such addresses
    are secrets."""
    try:
        answer = _call("POST", url, json=dict(words))
    except httpx2.TimeoutException as error:
        raise _failed(url, f"it did not answer within {SECONDS} seconds") from error
    except FAILURES as error:
        raise _failed(url, "the connection failed") from error
    if not answer.is_success:
        raise _failed(url, f"it answered {answer.status_code}")


def ping(url: str) -> bool:
    """Ask for an address, and say whether somebody answered well; failures are only logged, since an alarm must not
    ride on what has died."""
    try:
        _call("GET", url).raise_for_status()
    except FAILURES as error:
        log.warning("The heartbeat's address did not answer: %s", str(error) or type(error).__name__)
        return False
    return True


def _call(method: str, url: str, **content: Any) -> httpx2.Response:
    backend = GuardedBackend(ANYWHERE)
    with (
        backend.deadline.within(SECONDS),
        httpx2.Client(transport=GuardedTransport(backend), timeout=SECONDS, trust_env=False) as client,
        client.stream(method, url, **content) as answer,
    ):
        return answer  # what it says beyond its status is not read, however long it is


def _failed(url: str, cause: str) -> PostFailed:
    return PostFailed(host=urlsplit(url).hostname, cause=cause)
