"""A few words to an address of the operator's, such as the webhook of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.network import GuardedBackend, GuardedTransport, Unreachable

ANYWHERE = ("0.0.0.0/0", "::/0")
"""The operator wrote the address into the config, and it may well be next door."""

SECONDS = 10


class PostFailed(NewsletterError):
    """{host} did not take it: {cause}."""


def post(url: str, words: Mapping[str, str]) -> None:
    """Post them as JSON, within ten seconds in all. Raises PostFailed, which names the host only, since such addresses
    are secrets."""
    try:
        answer = _post(url, words)
    except httpx2.TimeoutException as error:
        raise _failed(url, f"it did not answer within {SECONDS} seconds") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError, Unreachable) as error:
        raise _failed(url, "the connection failed") from error
    if not answer.is_success:
        raise _failed(url, f"it answered {answer.status_code}")


def _post(url: str, words: Mapping[str, str]) -> httpx2.Response:
    backend = GuardedBackend(ANYWHERE)
    with (
        backend.deadline.within(SECONDS),
        httpx2.Client(transport=GuardedTransport(backend), timeout=SECONDS, trust_env=False) as client,
        client.stream("POST", url, json=dict(words)) as answer,
    ):
        return answer  # what it says beyond its status is not read, however long it is


def _failed(url: str, cause: str) -> PostFailed:
    return PostFailed(host=urlsplit(url).hostname, cause=cause)
