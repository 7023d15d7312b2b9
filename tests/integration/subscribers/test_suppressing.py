"""Addresses that are never mailed again, whoever asks."""

from __future__ import annotations

import pytest

from newsletter.delivery import audience
from newsletter.foundation.audit import COMMAND, Actor, ActorKind
from newsletter.mail import suppression
from newsletter.mail.addresses import AddressInvalid
from newsletter.mail.suppression import Suppression, SuppressionReason
from newsletter.subscribers import suppressing
from newsletter.subscribers.models import SubscriptionState
from tests.conftest import House
from tests.integration.subscribers import (
    ANN,
    asked,
    became_reader,
    count,
    everything,
    put_on_the_list,
    sign_up,
    state_of,
    suppressed_for,
)
from tests.support import newsroom
from tests.support.racing import at_once, both_pass

SUE = Actor(ActorKind.STAFF, "sue@example.org", 7, "198.51.100.4")


def suppress(house: House, address: str = ANN, note: str = "") -> bool:
    with house.app.app_context():
        return suppressing.suppress(address, note, house.now, house.keys, SUE)


def test_the_list_holds_no_address(either_house: House) -> None:
    house = either_house
    assert suppress(house, "stranger@example.org", "asked on the phone")
    rows = everything(house)
    assert len(rows["suppressions"]) == 1
    assert "stranger" not in repr(rows)
    (record,) = rows["audit_records"]
    assert "subscriber.suppress" in record
    assert SUE.name in record
    assert {"note": "asked on the phone"} in record


def test_the_second_time_changes_nothing(house: House) -> None:
    assert suppress(house)
    before = everything(house)
    assert not suppress(house, " ANN@Example.org ")
    assert everything(house) == before


def test_two_people_who_suppress_an_address_at_once_are_both_answered(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lock both write the row, on PostgreSQL."""
    house = either_house
    monkeypatch.setattr(suppression, "reasons", both_pass(house, suppression.reasons))
    keys = house.keys

    def act(_: int) -> bool:
        with house.app.app_context():
            return suppressing.suppress(ANN, "", house.now, keys, COMMAND)

    assert sorted(at_once(2, act)) == [False, True]


def test_each_reason_stands_for_itself(house: House) -> None:
    put_on_the_list(house, SuppressionReason.HARD_BOUNCE)
    assert suppress(house)
    assert suppressed_for(house) == {SuppressionReason.HARD_BOUNCE, SuppressionReason.BY_HAND}


def test_what_is_no_address_is_not_suppressed(house: House) -> None:
    with pytest.raises(AddressInvalid):
        suppress(house, "ann at example")
    assert count(house, Suppression) == 0


def test_a_suppressed_address_gets_no_mail_however_it_is_written(house: House) -> None:
    newsroom.found(house)
    suppress(house)
    for address in (ANN, "ANN@example.org", "ann@EXAMPLE.ORG", " ann@example.org "):
        assert sign_up(house, address).status_code == 200
    house.work()
    assert house.inbox.mails == []


def test_an_international_address_is_recognised_in_both_of_its_forms(house: House) -> None:
    newsroom.found(house)
    suppress(house, "ann@xn--maana-pta.example.org")
    assert sign_up(house, "ann@MAÑANA.example.org").status_code == 200
    house.work()
    assert house.inbox.mails == []


def test_a_reader_who_is_suppressed_stays_on_record_and_is_in_no_audience(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house)
    became_reader(house)
    became_reader(house, "bob@example.org")
    suppress(house)
    assert state_of(house) == [SubscriptionState.ACTIVE]
    with house.app.app_context():
        assert audience.audience_now(paper.slot_id, house.now.date()) == 1


def test_a_link_that_was_mailed_before_does_not_get_around_it(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    suppress(house)
    assert house.browser.get(link).status_code == 200
    assert house.browser.post(link).status_code == 403
    assert state_of(house) == []
