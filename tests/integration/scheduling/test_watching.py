"""What is wrong is said to whoever asks from outside, and becomes an alert that ends when the trouble does."""

from __future__ import annotations

import logging

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from newsletter.delivery import releasing, watching
from newsletter.editions import publishing
from newsletter.foundation import safety
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import AlertsConfig
from newsletter.foundation.database import transaction
from tests.conftest import BuildHouse, House
from tests.support.newsroom import SUBJECTS, Paper, found, open_alert_keys
from tests.support.ports import free_port
from tests.support.schedulers import rounds, scheduler

OVERDUE = "Morning Post of 2026-03-03 for 06:00 UTC should have gone out at 06:00 UTC, and is {}.\n"


def ready(house: House) -> tuple[int, str]:
    answer = house.browser.get("/readyz")
    assert answer.content_type == "text/plain; charset=utf-8"
    return answer.status_code, answer.text


def watch(house: House) -> int:
    with house.app.app_context():
        return watching.watch(house.now)


def furnished(house: House, **changed: str) -> tuple[Paper, int]:
    paper = found(house, **changed)
    paper.tells(*SUBJECTS)
    paper.readers("ann@example.org")
    return paper, paper.draft()


def test_a_service_without_a_scheduler_so_far_is_ready(house: House) -> None:
    assert ready(house) == (200, "ready\n")


def test_an_edition_that_nobody_approved_is_overdue_a_quarter_of_an_hour_after_its_slot(house: House) -> None:
    _, edition_id = furnished(house, approval="manual")
    house.clock.at = house.now.replace(hour=6, minute=14, second=59)
    assert (ready(house)[0], watch(house)) == (200, 0)
    house.later(seconds=1)
    assert ready(house) == (503, OVERDUE.format("drafted"))
    assert (watch(house), watch(house)) == (1, 1)
    assert open_alert_keys(house) == ["edition-overdue:1:2026-03-03"]

    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
        releasing.release_due(house.now)
    assert ready(house)[0] == 200
    assert (watch(house), open_alert_keys(house)) == (0, [])


def test_an_edition_that_somebody_holds_is_not_overdue(house: House) -> None:
    _, edition_id = furnished(house, approval="manual")
    house.clock.at = house.now.replace(hour=6, minute=30)
    assert watch(house) == 1
    with house.app.app_context():
        publishing.hold(edition_id, "wait", house.now, COMMAND)
    assert ready(house)[0] == 200
    assert (watch(house), open_alert_keys(house)) == (0, [f"edition-held:{edition_id}"])


def test_an_edition_that_nobody_made_is_overdue_too(house: House) -> None:
    found(house)
    house.clock.at = house.now.replace(hour=6, minute=15)
    assert ready(house) == (503, OVERDUE.format("planned"))
    assert watch(house) == 1


def test_a_slot_made_after_its_time_has_a_quarter_of_an_hour_for_its_first_edition(house: House) -> None:
    house.clock.at = house.now.replace(hour=6, minute=20)
    furnished(house, approval="manual")
    found(house, "not-drafted-yet")
    assert ready(house) == (200, "ready\n")
    house.later(minutes=14, seconds=59)
    assert (ready(house)[0], watch(house)) == (200, 0)
    house.later(seconds=1)
    assert watch(house) == 2


def test_a_scheduler_that_is_silent_for_more_than_two_minutes_is_told(house: House) -> None:
    one = scheduler(house)
    rounds(one)
    house.later(minutes=2)
    assert ready(house)[0] == 200
    house.later(seconds=1)
    assert ready(house) == (503, "The scheduler gave no sign of life since 2026-03-03 05:20 UTC.\n")
    rounds(one)
    assert ready(house)[0] == 200


def test_each_trouble_has_a_line(house: House) -> None:
    rounds(scheduler(house))
    furnished(house, approval="manual")
    house.clock.at = house.now.replace(hour=6, minute=15)
    with house.app.app_context(), transaction():
        safety.halt("somebody pulled the plug.", house.now)
    status, text = ready(house)
    assert status == 503
    assert text.splitlines() == [
        "Nothing is sent: somebody pulled the plug.",
        "The scheduler gave no sign of life since 2026-03-03 05:20 UTC.",
        OVERDUE.format("drafted").rstrip(),
    ]


# The heartbeat's address


@pytest.fixture
def pings(httpserver: HTTPServer) -> list[str]:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.method)
        return Response(status=204)

    httpserver.expect_request("/alive").respond_with_handler(answer)
    return asked


def test_the_leader_calls_the_heartbeats_address_while_all_is_well(
    build_house: BuildHouse, sqlite_url: str, httpserver: HTTPServer, pings: list[str]
) -> None:
    """It is next door, on a port that no feed may have."""
    house = build_house(sqlite_url, alerts=AlertsConfig(heartbeat_url=httpserver.url_for("/alive")))
    one, two = scheduler(house), scheduler(house)
    rounds(one, two)
    assert pings == ["GET"]
    furnished(house, approval="manual")
    house.clock.at = house.now.replace(hour=6, minute=15)
    rounds(one, two)
    assert pings == ["GET"], "somebody should come"


def test_a_copy_does_not_call_in_the_name_of_the_one_that_it_is_a_copy_of(
    build_house: BuildHouse, sqlite_url: str, httpserver: HTTPServer, pings: list[str]
) -> None:
    house = build_house(sqlite_url, alerts=AlertsConfig(heartbeat_url=httpserver.url_for("/alive")))
    rounds(scheduler(house))
    house.later(hours=20)
    rounds(scheduler(house))
    assert pings == ["GET"]


@pytest.mark.parametrize("path", ["/gone", None], ids=["an error", "nobody there"])
def test_an_address_that_does_not_answer_is_only_logged(
    build_house: BuildHouse,
    sqlite_url: str,
    httpserver: HTTPServer,
    caplog: pytest.LogCaptureFixture,
    path: str | None,
) -> None:
    url = httpserver.url_for(path) if path else f"http://127.0.0.1:{free_port()}/"
    house = build_house(sqlite_url, alerts=AlertsConfig(heartbeat_url=url))
    rounds(scheduler(house))
    (record,) = [one for one in caplog.records if one.name == "newsletter.foundation.calling"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("The heartbeat's address did not answer: ")
    assert open_alert_keys(house) == []
