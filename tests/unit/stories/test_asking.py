from __future__ import annotations

from datetime import UTC, datetime
from threading import Barrier, Lock

import pytest

from newsletter.foundation.errors import NewsletterError
from newsletter.stories import asking
from newsletter.stories.asking import Ask, answers
from newsletter.stories.fetching import Broken, Fetched

NOW = datetime(2026, 3, 3, tzinfo=UTC)
FEED = b'<rss version="2.0"><channel><title>Bay Herald</title><item><title>One</title><link>https://a.example/1</link></item></channel></rss>'


class Outlets:
    """A world in which fetching takes as long as the test says."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.at_once: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.meet: Barrier | None = None

    def fetch(
        self, url: str, etag: str | None = None, last_modified: str | None = None, *, accept: str = ""
    ) -> Fetched:
        host = url.split("/")[2]
        with self.lock:
            self.at_once[host] = self.at_once.get(host, 0) + 1
            self.most[host] = max(self.most.get(host, 0), self.at_once[host])
        try:
            if self.meet:
                self.meet.wait(10)
            if "broken" in host:
                raise Broken(cause="reset")
            if "bug" in host:
                raise ZeroDivisionError
            return Fetched(url, FEED, "application/rss+xml", None, None)
        finally:
            with self.lock:
                self.at_once[host] -= 1


def asks(*hosts: str) -> list[Ask]:
    return [Ask(number, f"https://{host}/{number}") for number, host in enumerate(hosts, 1)]


def test_many_hosts_are_asked_at_once() -> None:
    world = Outlets()
    world.meet = Barrier(8)
    found = list(answers(asks(*(f"host{n}.example" for n in range(8))), world, NOW))
    assert [answer.error for answer in found] == [None] * 8


def test_one_host_is_asked_by_two_at_most() -> None:
    world = Outlets()
    found = list(answers(asks(*["one.example"] * 40, "other.example"), world, NOW))
    assert len(found) == 41
    assert world.most["one.example"] <= 2


def test_one_broken_source_takes_nothing_from_the_others() -> None:
    found = list(answers(asks("broken.example", "fine.example", "bug.example"), Outlets(), NOW))
    errors = {answer.ask.url: answer.error for answer in found}
    assert isinstance(errors["https://broken.example/1"], Broken)
    assert isinstance(errors["https://bug.example/3"], NewsletterError)
    assert errors["https://fine.example/2"] is None


def test_a_round_begins_nothing_new_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ROUND_SECONDS", -1.0)
    assert list(answers(asks("a.example", "b.example"), Outlets(), NOW)) == []


def test_asking_nobody_is_answered_by_nobody() -> None:
    assert list(answers([], Outlets(), NOW)) == []
