"""Two who ask, answer or press at the same moment: every rule holds as if one had come after the other."""

from __future__ import annotations

import pytest

from newsletter.subscribers import answering, asking, signing_up
from newsletter.subscribers.models import (
    ConsentKind,
    SignUpRequest,
    SubscriptionState,
)
from tests.conftest import House
from tests.integration.subscribers import (
    ANN,
    asked,
    count,
    sign_up,
    state_of,
    story_of,
)
from tests.support import newsroom
from tests.support.racing import at_once, both_pass


def test_ten_identical_submits_at_once_are_one_mail(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    answers = at_once(10, lambda _: sign_up(house).status_code)
    assert answers == [200] * 10
    at_once(2, lambda _: house.work())
    assert [mail.recipient for mail in house.inbox.mails] == [ANN]


def test_one_mail_in_15_minutes_holds_with_two_workers(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lock neither sees the other's, on PostgreSQL."""
    house = either_house
    newsroom.found(house)
    requests = []
    for address in (ANN, "ann+tag@example.org"):
        sign_up(house, address)
        requests.append(count(house, SignUpRequest))
    monkeypatch.setattr(answering, "_capped", both_pass(house, answering._capped))
    keys, links = house.keys, house.links

    def answer(number: int) -> None:
        with house.app.app_context():
            answering._answer(requests[number], house.now, keys, links)

    at_once(2, answer)
    house.work()
    assert len(house.inbox.mails) == 1


def test_twenty_an_hour_holds_when_two_ask_at_once(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lock both count 19, on PostgreSQL."""
    house = either_house
    newsroom.found(house)
    for number in range(19):
        sign_up(house, f"a{number}@example.org")
    monkeypatch.setattr(asking, "_lately", both_pass(house, asking._lately))
    statuses = at_once(2, lambda number: sign_up(house, f"b{number}@example.org").status_code)
    assert sorted(statuses) == [200, 429]
    assert count(house, SignUpRequest) == 20


def test_pressing_five_times_at_once_makes_one_reader_and_one_welcome(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    link = asked(house)
    assert at_once(5, lambda _: house.browser.post(link).status_code) == [200] * 5
    house.work()
    assert len(house.inbox.of(ANN)) == 2
    assert [event.kind for event in story_of(house)] == [ConsentKind.REQUESTED, ConsentKind.CONFIRMED]


def test_one_who_confirms_two_newsletters_at_once_is_one_subscriber(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lock both make the subscriber, on PostgreSQL."""
    house = either_house
    newsroom.found(house)
    newsroom.found(house, "evening-post")
    links = [asked(house)]
    house.later(minutes=20)
    links.append(asked(house, ANN, "evening-post"))
    house.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr(signing_up, "subscriber_at", both_pass(house, signing_up.subscriber_at))
    assert at_once(2, lambda number: house.browser.post(links[number]).status_code) == [200, 200]
    assert state_of(house) == [SubscriptionState.ACTIVE] * 2
