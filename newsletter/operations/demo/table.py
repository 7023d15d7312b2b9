"""A table of readers as another system would hand it over, to be imported in the newsroom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

ROWS = 240
DOMAINS = ("example.org", "example.com", "example.net")
PAGE = "https://harbor-gazette.example/newsletters"


def lines(today: date) -> Iterator[str]:
    """CSV with a first line of names: who left or bounced there, two that stand in it twice, and two that are no
    addresses."""
    yield "Email;Status;Subscribed on;Page\r\n"
    for number in range(1, ROWS + 1):
        yield _line(number, _status(number), today)
    for number in (7, 70):
        yield _line(number, "subscribed", today)
    yield f"reader at example.org;subscribed;{today};{PAGE}\r\n"
    yield f"reader@example;subscribed;{today};{PAGE}\r\n"


def _line(number: int, status: str, today: date) -> str:
    joined = today - timedelta(days=number // 2)
    return f"reader{number:03}@{DOMAINS[number % len(DOMAINS)]};{status};{joined};{PAGE}\r\n"


def _status(number: int) -> str:
    if number % 60 == 0:
        return "bounced"
    return "unsubscribed" if number % 24 == 0 else "subscribed"
