"""A reader moves to another address: who is told what, and who learns nothing."""

from __future__ import annotations

import pytest

from newsletter.foundation.links import Purpose
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import changing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import subscriber_at
from tests.conftest import House
from tests.integration.subscribers import ANN, link_in, put_on_the_list, state_of
from tests.support.newsroom import found, sending

NEW = "ann.new@example.net"


def asks_to_move(house: House, to: str = NEW) -> None:
    """By the link to Ann's preferences."""
    with house.app.app_context():
        reader = subscriber_at(ANN)
        assert reader is not None
        token = house.links.make(Purpose.PREFERENCES, reader.id)
        changing.request(token, to, Origin(), house.now, house.links)
    house.work()


def says_yes(house: House, times: int = 1) -> None:
    token = link_in(house, NEW, "/change/").rpartition("/")[2]
    for _ in range(times):
        with house.app.app_context():
            changing.confirm(token, Origin(), house.now, house.keys, house.links)
        house.work()


def names(house: House, address: str) -> list[str]:
    return [mail.subject for mail in house.inbox.of(address)]


def test_the_new_address_is_asked_and_the_old_one_is_told_where_to(either_house: House) -> None:
    house = either_house
    found(house).readers(ANN)
    asks_to_move(house)

    assert names(house, NEW) == ["Please confirm your new address: Morning Post"]
    assert names(house, ANN) == ["Somebody asked to move your newsletters to another address"]
    assert NEW in house.inbox.of(ANN)[0].part("plain")
    assert ANN not in house.inbox.of(NEW)[0].octets.decode("ascii")


def test_when_it_says_yes_both_are_told_and_only_the_new_one_can_open_the_preferences(house: House) -> None:
    found(house).readers(ANN)
    asks_to_move(house)
    says_yes(house, times=2)

    assert names(house, NEW)[1:] == ["Your newsletters come here now"]
    assert names(house, ANN)[1:] == ["Your newsletters go to another address now"]
    assert "/preferences/" in house.inbox.of(NEW)[1].part("plain")
    assert "://" not in house.inbox.of(ANN)[1].part("plain")
    assert "<a " not in house.inbox.of(ANN)[1].part("html")


def test_the_next_edition_goes_to_the_new_address_alone(house: House) -> None:
    sending(house, ANN)
    asks_to_move(house)
    says_yes(house)

    assert len(house.inbox.editions_of(ANN)) == 1, "it was on its way before"
    assert house.inbox.editions_of(NEW) == []
    assert (state_of(house), state_of(house, NEW)) == ([], ["active"])


@pytest.mark.parametrize("reason", SuppressionReason)
def test_an_old_address_that_is_never_mailed_is_not_mailed_about_this_either(
    house: House, reason: SuppressionReason
) -> None:
    """A mailbox that is gone is the best reason to move."""
    found(house).readers(ANN)
    put_on_the_list(house, reason)
    asks_to_move(house)
    says_yes(house)

    assert house.inbox.of(ANN) == []
    assert names(house, NEW)[1:] == ["Your newsletters come here now"]


def test_a_new_address_of_another_reader_gets_no_mail_and_nobody_else_does(house: House) -> None:
    found(house).readers(ANN, NEW)
    asks_to_move(house)

    assert house.inbox.mails == []
