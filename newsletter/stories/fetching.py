"""Asking an outlet for its feed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import httpx2

from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.network import GuardedBackend, GuardedTransport, Unreachable
from newsletter.foundation.parts import Part

USER_AGENT = "DailyHeadlines/0.1 (feed reader)"
ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
REDIRECTS = 5
CHUNK = 65536


class FetchFailed(NewsletterError):
    """The feed could not be fetched."""


class AnsweredWith(FetchFailed):
    """The server answered {status} {phrase}."""


class FeedGone(FetchFailed):
    """The server says that this feed is gone for good (410)."""


class TooLarge(FetchFailed):
    """The feed is larger than {megabytes:g} MB."""


class TooSlow(FetchFailed):
    """The server did not finish within {seconds:g} seconds."""


class Broken(FetchFailed):
    """The connection failed: {cause}."""


@dataclass(frozen=True)
class Fetched:
    """An answer. `body` is None when the feed has not changed since the validators that were sent."""

    url: str
    body: bytes | None
    content_type: str
    etag: str | None
    last_modified: str | None


class Fetcher(Protocol):
    """Fetches feeds; `create_app` takes one, so that tests can pass their own."""

    def fetch(self, url: str, etag: str | None = None, last_modified: str | None = None) -> Fetched:
        """Raises FetchFailed, or AddressForbidden and the like of foundation.network."""
        ...


the_fetcher: Part[Fetcher] = Part("fetcher")


class HttpFetcher:
    """Fetches over HTTP on guarded sockets, with caps on size and total time, also after decompression."""

    def __init__(self, config: FetchingConfig) -> None:
        self._seconds = config.timeout_seconds
        self._octets = int(config.max_megabytes * 1_000_000)
        backend = GuardedBackend(config.allow_networks, config.allow_ports)
        self._client = httpx2.Client(
            transport=GuardedTransport(backend),
            timeout=min(config.timeout_seconds, 10),
            follow_redirects=True,
            max_redirects=REDIRECTS,
            headers={"User-Agent": USER_AGENT, "Accept": ACCEPT},
            trust_env=False,
        )

    def fetch(self, url: str, etag: str | None = None, last_modified: str | None = None) -> Fetched:
        headers = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        try:
            with self._client.stream("GET", url, headers={k: v for k, v in headers.items() if v}) as response:
                return self._read(response)
        except httpx2.TimeoutException as error:
            raise TooSlow(seconds=self._seconds) from error
        except httpx2.TooManyRedirects as error:
            raise Broken(cause=f"more than {REDIRECTS} redirects") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Broken(cause=str(error) or type(error).__name__) from error
        except Unreachable as error:
            raise Broken(cause=error) from error

    def _read(self, response: httpx2.Response) -> Fetched:
        if response.status_code == httpx2.codes.GONE:
            raise FeedGone
        unchanged = response.status_code == httpx2.codes.NOT_MODIFIED
        if not unchanged and response.status_code != httpx2.codes.OK:
            raise AnsweredWith(status=response.status_code, phrase=response.reason_phrase)
        return Fetched(
            url=str(response.url),
            body=None if unchanged else self._body(response),
            content_type=response.headers.get("content-type", ""),
            etag=response.headers.get("etag"),
            last_modified=response.headers.get("last-modified"),
        )

    def _body(self, response: httpx2.Response) -> bytes:
        deadline = time.monotonic() + self._seconds
        body = bytearray()
        for chunk in response.iter_bytes(CHUNK):
            body += chunk
            if len(body) > self._octets:
                raise TooLarge(megabytes=self._octets / 1_000_000)
            if time.monotonic() > deadline:
                raise TooSlow(seconds=self._seconds)
        return bytes(body)
