"""Addresses that last ten minutes: let in by default, refused in a clear sentence where the config says so."""

import pytest

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import SignUpConfig
from newsletter.subscribers import signing_up
from newsletter.subscribers.models import SignUpRequest
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import became_reader, count, link_in, sign_up, words_of
from tests.support import newsroom

PASSING = "ann@mailinator.com"


@pytest.fixture
def strict(build_house: BuildHouse, sqlite_url: str) -> House:
    house = build_house(sqlite_url, sign_up=SignUpConfig(refuse_disposable=True))
    newsroom.found(house)
    return house


def test_they_are_let_in_unless_the_config_refuses_them(house: House) -> None:
    newsroom.found(house)
    assert sign_up(house, PASSING).status_code == 200
    assert count(house, SignUpRequest) == 1


@pytest.mark.parametrize("address", [PASSING, "ann@MAILINATOR.com", "ann@any.mailinator.com", "ann+x@mailinator.com"])
def test_they_are_refused_in_a_sentence_and_nothing_is_kept(strict: House, address: str) -> None:
    answer = sign_up(strict, address)
    assert answer.status_code == 422
    assert "last a few minutes" in words_of(answer)
    assert 'value="ann' in answer.text, "what was typed stays in the form"
    assert count(strict, SignUpRequest) == 0
    strict.work()
    assert strict.inbox.mails == []


def test_the_box_on_other_sites_refuses_them_too(strict: House) -> None:
    answer = strict.browser.post("/embed/morning-post", data={"email": PASSING})
    assert answer.status_code == 422
    assert "last a few minutes" in answer.text


def test_no_reader_moves_to_one(strict: House) -> None:
    became_reader(strict)
    link = link_in(strict, "ann@example.org", "/preferences/")
    answer = strict.browser.post(f"{link}/address", data={"email": PASSING})
    assert answer.status_code == 422
    assert "last a few minutes" in answer.text


@pytest.mark.parametrize("address", ["ann@example.org", "ann@gmail.com", "ann@com", "ann@bücher.example"])
def test_nobody_else_is_refused(strict: House, address: str) -> None:
    assert "last a few minutes" not in sign_up(strict, address).text


def test_staff_may_ask_whom_they_like(strict: House) -> None:
    with strict.app.app_context():
        signing_up.request_for("morning-post", PASSING, strict.now, strict.keys, COMMAND)
    strict.work()
    assert len(strict.inbox.of(PASSING)) == 1
