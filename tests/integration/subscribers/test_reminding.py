"""One friendly reminder for a press that is missing, and the alert about a storm of requests: what a worker looks for
once a minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from newsletter.delivery import engine
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import Challenge, SignUpConfig
from newsletter.foundation.links import Purpose
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import answering, blocking, changing, housekeeping
from newsletter.subscribers.asking import STORM
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import SignUpRequest, subscriber_at
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import (
    ANN,
    MORNING_POST,
    SITE,
    count,
    erase,
    latest_request,
    link_in,
    put_on_the_list,
    state_of,
)
from tests.support.confirming import ask, confirm
from tests.support.newsroom import Paper, alerts_raised, found, open_alert_keys
from tests.support.racing import at_once

BOB = "bob@example.org"
REMINDER = "A reminder: Morning Post waits for your yes"
FIRST = "Please confirm: Morning Post"


def mailed(house: House, address: str = ANN) -> list[str]:
    return [mail.subject for mail in house.inbox.of(address)]


def look(house: House) -> int:
    """How many are reminded now."""
    with house.app.app_context():
        return answering.remind_due(house.now, house.keys, house.links)


def asked_a_day_ago(house: House, address: str = ANN) -> str:
    """The token of the link."""
    token = ask(house, address, found(house))
    house.work()
    house.later(hours=24)
    return token


# The reminder


def test_who_has_not_pressed_is_reminded_once_after_a_day(either_house: House) -> None:
    house = either_house
    ask(house, ANN, found(house))
    house.work()
    house.later(hours=23, minutes=59)
    house.work()
    assert mailed(house) == [FIRST]
    house.later(minutes=1)
    house.work()
    assert mailed(house) == [FIRST, REMINDER]
    for _ in range(8):
        house.later(hours=24)
        house.work()
    assert mailed(house) == [FIRST, REMINDER]


def test_a_reminder_is_kind_says_that_it_is_the_only_one_and_has_the_same_link(house: House) -> None:
    token = asked_a_day_ago(house)
    house.work()

    mail = house.inbox.of(ANN)[-1]
    text = " ".join(mail.part("plain").split())
    assert "This is the only reminder, and without the press nothing comes." in text
    assert "On 3 March 2026, 05:20 UTC someone, we hope you, asked us to send Morning Post" in text
    assert "The link works until 10 March 2026." in text
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert f"{SITE}/confirm/{token}" in text
    assert house.browser.post(link_in(house, ANN, "/confirm/")).status_code == 200
    assert state_of(house) == ["active"]


def test_a_reminder_names_every_newsletter_that_was_asked_for(house: House) -> None:
    ask(house, ANN, found(house), found(house, "evening-post"))
    house.later(hours=24)
    house.work()

    text = house.inbox.of(ANN)[-1].part("plain")
    assert mailed(house)[-1] == "A reminder: your newsletters wait for your yes"
    assert "- Morning Post" in text
    assert "- Evening Post" in text


def test_who_asked_twice_in_a_minute_is_reminded_once(either_house: House) -> None:
    """A double press: the second request got no mail, and must not keep the first from its reminder."""
    house = either_house
    paper = found(house)
    ask(house, ANN, paper)
    ask(house, ANN, paper)
    house.later(hours=24)
    house.work()
    house.later(hours=24)
    house.work()

    assert mailed(house) == [FIRST, REMINDER]


def test_who_asked_again_later_is_reminded_once_a_day_after_that(house: House) -> None:
    paper = found(house)
    ask(house, ANN, paper)
    house.later(hours=20)
    second = ask(house, ANN, paper)
    house.later(hours=23)
    house.work()
    assert mailed(house) == [FIRST, FIRST]
    house.later(hours=1)
    house.work()
    house.later(hours=24)
    house.work()

    assert mailed(house) == [FIRST, FIRST, REMINDER]
    assert link_in(house, ANN, "/confirm/") == f"/confirm/{second}"


def test_an_address_with_a_tag_is_the_same_mailbox(house: House) -> None:
    paper = found(house)
    ask(house, ANN, paper)
    house.later(minutes=16)
    ask(house, "ann+news@example.org", paper)
    house.later(hours=24)
    house.work()

    assert (mailed(house), mailed(house, "ann+news@example.org")) == ([FIRST], [FIRST, REMINDER])


def confirmed(house: House, token: str) -> None:
    confirm(house, token)


def confirmed_by_another_mail(house: House, _token: str) -> None:
    house.later(hours=-2)
    other = ask(house, ANN, found_again(house))
    house.later(hours=2)
    confirm(house, other)


def found_again(house: House) -> Paper:
    """The paper that was founded first."""
    return Paper(house, 1, MORNING_POST, 1)


def erased(house: House, _token: str) -> None:
    erase(house)


def blocked(house: House, _token: str) -> None:
    with house.app.app_context():
        blocking.block("example.org", "a flood", house.now, COMMAND)


def listed(reason: SuppressionReason) -> Callable[[House, str], None]:
    def happens(house: House, _token: str) -> None:
        put_on_the_list(house, reason)

    happens.__name__ = str(reason)
    return happens


def gone_by(house: House, _token: str) -> None:
    house.later(days=6)


@pytest.mark.parametrize(
    "meanwhile",
    [confirmed, confirmed_by_another_mail, erased, blocked, gone_by, *map(listed, SuppressionReason)],
    ids=lambda happens: happens.__name__,
)
def test_nobody_is_reminded_who_need_not_or_must_not_be(house: House, meanwhile: Callable[[House, str], None]) -> None:
    token = asked_a_day_ago(house)
    before = REMINDER in mailed(house)
    meanwhile(house, token)

    assert look(house) == 0
    house.work()
    assert not before
    assert REMINDER not in mailed(house)


def test_links_and_changes_of_address_are_not_reminded_of(house: House) -> None:
    paper = found(house)
    paper.readers(ANN)
    with house.app.app_context():
        reader = subscriber_at(ANN)
        assert reader is not None
        token = house.links.make(Purpose.PREFERENCES, reader.id)
        changing.request(token, BOB, Origin(), house.now, house.links)
        changing.request_link(paper.slug, ANN, Origin(), house.now)
    house.work()
    before = len(house.inbox.mails)
    house.later(hours=25)
    house.work()

    assert before == 3, "the new address is to confirm, the old one is told, and the link comes"
    assert len(house.inbox.mails) == before


def test_eight_workers_remind_once(either_house: House) -> None:
    house = either_house
    asked_a_day_ago(house)
    assert sorted(at_once(8, lambda _: look(house))) == [0] * 7 + [1]
    house.work()

    assert mailed(house) == [FIRST, REMINDER]


def test_a_worker_that_was_away_for_days_reminds_once_while_the_link_is_good(house: House) -> None:
    asked_a_day_ago(house)
    house.later(days=5)
    house.work()
    assert mailed(house) == [FIRST, REMINDER]
    house.later(days=1, seconds=1)
    with house.app.app_context():
        housekeeping.tidy(house.now)
    house.work()
    assert count(house, SignUpRequest) == 0
    assert mailed(house) == [FIRST, REMINDER]


# It counts as a mail (DESIGN.md §5)


def test_after_a_reminder_there_is_no_other_mail_for_fifteen_minutes(house: House) -> None:
    asked_a_day_ago(house)
    house.work()
    assert mailed(house) == [FIRST, REMINDER]
    house.later(minutes=14)
    paper = found_again(house)
    ask(house, ANN, paper)
    house.work()
    assert mailed(house) == [FIRST, REMINDER]
    assert latest_request(house).answer == "capped"
    house.later(minutes=1)
    ask(house, ANN, paper)
    house.work()
    assert mailed(house) == [FIRST, REMINDER, FIRST]


def test_a_reminder_waits_until_fifteen_minutes_after_another_mail(house: House) -> None:
    paper = found(house)
    other = found(house, "evening-post")
    other.readers(ANN)
    ask(house, ANN, paper)
    house.later(hours=23, minutes=50)
    with house.app.app_context():
        changing.request_link(other.slug, ANN, Origin(), house.now)
    house.work()
    house.later(minutes=10)
    house.work()
    assert mailed(house) == [FIRST, "Your preferences: Evening Post"]
    house.later(minutes=5)
    house.work()
    assert mailed(house)[2:] == [REMINDER]


LONG = [pytest.param(1, 6, quiet, marks=pytest.mark.slow) for quiet in (False, True)]


@pytest.mark.parametrize(("hours", "days", "quiet"), [(4, 3, True), *LONG])
def test_nobody_can_make_us_send_more_than_three_mails_a_day_to_one_mailbox(
    house: House, hours: int, days: int, quiet: bool
) -> None:
    """Whatever is asked, every so many hours for days; with quiet days between them, reminders are among the mails."""
    paper = found(house)
    sent_at = []
    for hour in range(0, days * 24, hours):
        if not quiet or hour // 24 % 2 == 0:
            ask(house, ANN, paper)
        before = len(house.inbox.mails)
        house.work()
        sent_at += [house.now] * (len(house.inbox.mails) - before)
        house.later(hours=hours)

    assert (REMINDER in mailed(house)) == quiet
    in_a_day = [sum(moment - timedelta(days=1) < other <= moment for other in sent_at) for moment in sent_at]
    assert max(in_a_day) == 3


# The worker


def test_a_worker_looks_for_reminders_once_a_minute_and_not_between_any_two_shards(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(engine.answering, "remind_due", lambda *_: looks.append("reminders") or 0)
    monkeypatch.setattr(engine.asking, "watch", lambda *_: looks.append("storms"))
    at_work = house.worker()
    for _ in range(5):
        at_work.step()
    assert looks == ["reminders", "storms"]
    house.later(minutes=1)
    at_work.step()
    assert looks == ["reminders", "storms"] * 2
    house.later(hours=-3)  # a clock that was set right
    at_work.step()
    assert looks == ["reminders", "storms"] * 3


# The storm


def storm(house: House, requests: int) -> None:
    paper = found_again(house)
    for number in range(requests):
        ask(house, f"reader{number}@example.org", paper)


@pytest.fixture
def wary_house(build_house: BuildHouse, sqlite_url: str) -> House:
    house = build_house(sqlite_url, sign_up=SignUpConfig(storm_requests=5))
    found(house)
    return house


def test_staff_are_told_once_when_a_storm_begins_and_it_is_forgotten_when_it_is_over(wary_house: House) -> None:
    house = wary_house
    storm(house, 5)
    house.work()
    assert open_alert_keys(house) == []
    storm(house, 1)
    house.work()
    house.later(minutes=5)
    house.work()
    assert open_alert_keys(house) == [STORM]
    assert alerts_raised(house, STORM) == 1

    house.later(minutes=5)
    house.work()
    assert open_alert_keys(house) == []


def test_a_storm_on_another_day_is_told_again(wary_house: House) -> None:
    house = wary_house
    for _ in range(2):
        storm(house, 6)
        house.work()
        house.later(hours=30)
        house.work()

    assert alerts_raised(house, STORM) == 2


def test_who_wants_no_challenge_is_told_of_no_storm(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, sign_up=SignUpConfig(storm_requests=5, challenge=Challenge.NEVER))
    found(house)
    storm(house, 20)
    house.work()

    assert open_alert_keys(house) == []
