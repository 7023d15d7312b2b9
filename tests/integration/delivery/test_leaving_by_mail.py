"""A mail to the address in List-Unsubscribe leaves, as one click does."""

from __future__ import annotations

import re

import pytest

from newsletter.delivery.bounce_models import Deed
from newsletter.foundation.config import BouncesConfig
from newsletter.subscribers.models import ConsentKind
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import ANN, state_of, story_of
from tests.support import newsroom
from tests.support.newsroom import sending
from tests.support.post import comes_back, rows
from tests.support.returning import mail

BOTH = re.compile(r"<mailto:(leave\+u[a-z2-7]+-[a-z2-7]{16}@example\.org)>,\s+<(https://[^>]+)>")


@pytest.fixture
def house(build_house: BuildHouse, either_database: str) -> House:
    return build_house(either_database, bounces=BouncesConfig(unsubscribe_address="leave@example.org"))


def leaving_address(house: House) -> str:
    """In the mail of an edition that Ann gets."""
    sending(house, ANN)
    house.work()
    message = house.inbox.editions_of(ANN)[0].message
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    match = BOTH.fullmatch(str(message["List-Unsubscribe"]))
    assert match, message["List-Unsubscribe"]
    return match[1]


def test_whatever_it_says_it_unsubscribes(house: House) -> None:
    address = leaving_address(house)
    house.later(minutes=1)
    assert comes_back(house, mail("", to="somebody@example.net", subject=""), address) is Deed.UNSUBSCRIBED
    assert state_of(house) == ["unsubscribed"]
    last = story_of(house)[-1]
    assert (last.kind, last.by) == (ConsentKind.UNSUBSCRIBED, "the reader")
    assert "mail" in last.user_agent
    assert comes_back(house, mail("again", to=address)) is Deed.UNSUBSCRIBED, "again is no error"
    assert len(story_of(house)) == 1


def test_a_forged_address_unsubscribes_nobody_and_goes_to_staff(house: House) -> None:
    address = leaving_address(house)
    local, _, domain = address.partition("@")
    forged = f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{domain}"
    assert comes_back(house, mail("", to=forged)) is Deed.STAFF
    assert state_of(house) == ["active"]
    assert rows(house)[0].needs_staff


def test_without_such_an_address_mails_name_the_link_alone(build_house: BuildHouse, sqlite_url: str) -> None:
    plain = build_house(sqlite_url)
    sending(plain, ANN)
    plain.work()
    value = str(plain.inbox.editions_of(ANN)[0].message["List-Unsubscribe"])
    assert re.fullmatch(r"<https://[^>]+>", value)
    newsroom.ledger_of(plain, 1)
