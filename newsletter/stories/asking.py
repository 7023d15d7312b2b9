"""Many sources asked at once: network and parsing, and nothing of the database.

Sources of one host stand in at most two lanes, so that a host is never pressed and a slow one holds up only its own.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from urllib.parse import urlsplit

from newsletter.foundation.errors import NewsletterError
from newsletter.stories.fetching import Fetched, Fetcher
from newsletter.stories.parsing import NotAFeed, ParsedFeed, parse
from newsletter.stories.reading import apart

log = logging.getLogger(__name__)

AT_ONCE = 16
PER_HOST = 2
ROUND_SECONDS = 120.0
"""No new question is begun after this long, so that one round of a slow world does not delay the next."""


@dataclass(frozen=True)
class Ask:
    """What is asked of whom, with the validators of the last answer."""

    source_id: int
    url: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Answer:
    """What came back: an error in words; or what was fetched, with the feed in it unless nothing had changed."""

    ask: Ask
    fetched: Fetched | None = None
    feed: ParsedFeed | None = None
    error: NewsletterError | None = None


def answer_to(ask: Ask, fetcher: Fetcher, now: datetime) -> Answer:
    """Fetch and read one feed. Whatever goes wrong is in the answer."""
    try:
        fetched = fetcher.fetch(ask.url, ask.etag, ask.last_modified)
        if fetched.body is None:
            return Answer(ask, fetched)
        return Answer(ask, fetched, apart(parse, fetched.body, fetched.content_type, fetched.url, now))
    except NewsletterError as error:
        return Answer(ask, error=error)
    except Exception:  # a fault of ours in reading a stranger's feed; it must not end the round for the others
        log.exception("Reading %s failed.", ask.url)
        return Answer(ask, error=NotAFeed(problem="our reader failed on it, and its log says how"))


def answers(asks: Sequence[Ask], fetcher: Fetcher, now: datetime) -> Iterator[Answer]:
    """The answers as they arrive, which is in no particular order."""
    lanes = _lanes(asks)
    arrived: SimpleQueue[Answer | BaseException | None] = SimpleQueue()
    until = time.monotonic() + ROUND_SECONDS

    def drive(lane: Sequence[Ask]) -> None:
        try:
            for ask in lane:
                if time.monotonic() < until:
                    arrived.put(answer_to(ask, fetcher, now))
            arrived.put(None)
        except BaseException as error:  # a fault of ours, for the caller to see
            arrived.put(error)

    with ThreadPoolExecutor(AT_ONCE, "collecting") as pool:
        for lane in lanes:
            pool.submit(drive, lane)
        open_lanes = len(lanes)
        while open_lanes:
            one = arrived.get()
            if isinstance(one, BaseException):
                raise one
            if one is None:
                open_lanes -= 1
            else:
                yield one


def _lanes(asks: Sequence[Ask]) -> list[list[Ask]]:
    """The questions in lanes: those of one host in as many as it may be asked at once."""
    hosts = defaultdict[str, list[Ask]](list)
    for ask in asks:
        hosts[urlsplit(ask.url).netloc.lower()].append(ask)
    return [lane for of_host in hosts.values() for n in range(PER_HOST) if (lane := of_host[n::PER_HOST])]
