"""Asking an outlet for its feed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import Protocol

import httpx2

from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.network import GuardedBackend, GuardedTransport, Unreachable
from newsletter.foundation.parts import Part
from newsletter.foundation.text import one_line
from newsletter.stories.unpacking import ACCEPTED, unpacker

USER_AGENT = "DailyHeadlines/0.1 (feed reader)"
FEED = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
REDIRECTS = 5
QUIET_SECONDS = 10
PERMANENT = (301, 308)


class FetchFailed(NewsletterError):
    """The page could not be fetched."""


MEANINGS = {
    401: "it wants a password, so this is no public feed",
    403: "it does not let us in",
    404: "there is nothing at this address",
    429: "we ask too often, and will ask less",
    451: "the law there forbids it",
}
UNTOLD = timedelta(hours=1)
"""How long we stay away from a server that says we ask too often, and not for how long."""

FAULT_OF_ITS_OWN = "it has a fault of its own, and is asked again"


class AnsweredWith(FetchFailed):
    """The server answered {status}{meaning}."""

    def __init__(self, status: int, phrase: str, retry_after: str | None = None) -> None:
        known = next((one.phrase for one in HTTPStatus if one == status), one_line(phrase)[:60])
        meaning = MEANINGS.get(status) or (FAULT_OF_ITS_OWN if 500 <= status <= 599 else "")
        super().__init__(status=f"{status} {known}".strip(), meaning=meaning and f": {meaning}")
        self.asked_too_often = status == HTTPStatus.TOO_MANY_REQUESTS
        self.retry_after = retry_after

    def wait(self, now: datetime) -> timedelta | None:
        """How long the server asks us to stay away (RFC 9110 §10.2.3): seconds, or a date; None when it does not."""
        if self.retry_after is None:
            return UNTOLD if self.asked_too_often else None
        if self.retry_after.strip().isdecimal():
            return timedelta(seconds=min(int(self.retry_after), 7 * 86400))
        try:
            moment = parsedate_to_datetime(self.retry_after)
        except ValueError:
            return None
        return max(moment - now, timedelta()) if moment.tzinfo else None


class FeedGone(FetchFailed):
    """The server says that this feed is gone for good (410)."""


class TooLarge(FetchFailed):
    """The answer is larger than {megabytes:g} MB."""


class TooSlow(FetchFailed):
    """The server did not finish within {seconds:g} seconds."""


class Broken(FetchFailed):
    """The connection failed: {cause}."""


@dataclass(frozen=True)
class Fetched:
    """An answer. `body` is None when nothing has changed since the validators that were sent; `moved_to` is the new
    address when the old one is redirected for good."""

    url: str
    body: bytes | None
    content_type: str
    etag: str | None
    last_modified: str | None
    moved_to: str | None = None


class Fetcher(Protocol):
    """Fetches feeds, pages and pictures; `create_app` takes one, so that tests can pass their own."""

    def fetch(
        self, url: str, etag: str | None = None, last_modified: str | None = None, *, accept: str = FEED
    ) -> Fetched:
        """Safe to call from threads. Raises FetchFailed, PackingBroken, or AddressForbidden and the like of
        foundation.network."""
        ...


the_fetcher: Part[Fetcher] = Part("fetcher")


class HttpFetcher:
    """Fetches over HTTP on guarded sockets, with caps on size, also after decompression, and on the whole time."""

    def __init__(self, config: FetchingConfig) -> None:
        self._seconds = config.timeout_seconds
        self._octets = int(config.max_megabytes * 1_000_000)
        self._backend = GuardedBackend(config.allow_networks, config.allow_ports)

    @cached_property
    def _client(self) -> httpx2.Client:
        """Made when it is first needed: most processes fetch nothing."""
        return httpx2.Client(
            transport=GuardedTransport(self._backend, connections=64),
            timeout=min(self._seconds, QUIET_SECONDS),
            follow_redirects=True,
            max_redirects=REDIRECTS,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPTED},
            trust_env=False,
        )

    def fetch(
        self, url: str, etag: str | None = None, last_modified: str | None = None, *, accept: str = FEED
    ) -> Fetched:
        headers = {"Accept": accept, "If-None-Match": etag, "If-Modified-Since": last_modified}
        given = {name: value for name, value in headers.items() if value}
        try:
            with self._backend.deadline.within(self._seconds), self._client.stream("GET", url, headers=given) as answer:
                return self._read(answer, conditional=bool(etag or last_modified))
        except httpx2.TimeoutException as error:
            raise TooSlow(seconds=self._seconds) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError, Unreachable) as error:
            raise Broken(cause=_in_words(error)) from error

    def _read(self, response: httpx2.Response, conditional: bool) -> Fetched:
        if response.status_code == httpx2.codes.GONE and all(hop.status_code in PERMANENT for hop in response.history):
            raise FeedGone
        unchanged = conditional and response.status_code == httpx2.codes.NOT_MODIFIED
        if not unchanged and response.status_code != httpx2.codes.OK:
            raise AnsweredWith(response.status_code, response.reason_phrase, response.headers.get("retry-after"))
        return Fetched(
            url=str(response.url),
            body=None if unchanged else self._body(response),
            content_type=response.headers.get("content-type", ""),
            etag=response.headers.get("etag"),
            last_modified=response.headers.get("last-modified"),
            moved_to=_moved_to(response),
        )

    def _body(self, response: httpx2.Response) -> bytes:
        unpacking = unpacker(response.headers.get("content-encoding", ""))
        body = bytearray()
        for chunk in response.iter_raw():
            for piece in unpacking.unpack(chunk):
                body += piece
                if len(body) > self._octets:
                    raise TooLarge(megabytes=self._octets / 1_000_000)
        return bytes(body)


def _moved_to(response: httpx2.Response) -> str | None:
    """Where the permanent redirects from the first address lead; a temporary one ends the chain."""
    addresses = [str(hop.url) for hop in (*response.history, response)]
    moved = None
    for hop, address in zip(response.history, addresses[1:], strict=True):
        if hop.status_code not in PERMANENT:
            break
        moved = address
    return moved


PLAIN = {
    "Connection refused": "nobody answers at this address",
    "Connection reset": "the server broke it off",
    "disconnected without sending": "the server hung up without an answer",
    "peer closed connection": "the server broke off in the middle of its answer",
    "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not valid",
    "SSL": "the server and we agree on no encryption",
    "location header": "the server leads on to what is no web address",
}
"""What the libraries say, and what it means for who collects a feed."""


def _in_words(error: Exception) -> str:
    if isinstance(error, httpx2.TooManyRedirects):
        return f"the server leads on more than {REDIRECTS} times (redirects)"
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return "this is, or leads to, no web address"
    said = one_line(str(error)).rstrip(".") or type(error).__name__
    plain = next((words for part, words in PLAIN.items() if part in said), None)
    if plain is None and isinstance(error, httpx2.RemoteProtocolError):
        return f"the answer is no proper HTTP ({said[:100]})"
    return plain or said[:300]
