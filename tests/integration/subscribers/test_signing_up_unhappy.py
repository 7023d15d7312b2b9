"""What went wrong once, and must not again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from newsletter.foundation.audit import COMMAND
from newsletter.mail import suppression
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import signing_up, suppressing
from newsletter.subscribers.models import SignUpRequest, SubscriptionState
from tests.conftest import House
from tests.integration.subscribers import (
    ANN,
    asked,
    at_once,
    became_reader,
    count,
    link_in,
    put_on_the_list,
    sign_up,
    state_of,
    words_of,
)
from tests.support import newsroom


def both_pass(original: Callable[..., Any]) -> Callable[..., Any]:
    """The function, at whose end two threads wait for each other; where only one may be there, it goes on alone."""
    gate = Barrier(2)

    def passing(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        with suppress(BrokenBarrierError):
            gate.wait(2)
        return result

    return passing


def test_a_null_byte_in_a_hidden_field_is_no_fault(either_house: House) -> None:
    """On PostgreSQL a sign-up with a null byte in page_url is a 500."""
    newsroom.found(either_house)
    either_house.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    assert sign_up(either_house, page_url="https://gazette.example/\x00").status_code == 200


def test_requests_that_waited_are_one_mail_in_15_minutes_all_the_same(house: House) -> None:
    """The cap looks at when was asked, not at when was mailed; after an hour without a worker three mails leave
    in one second."""
    newsroom.found(house)
    for _ in range(3):
        sign_up(house)
        house.later(minutes=20)
    house.work()
    assert len(house.inbox.of(ANN)) == 1


def test_twenty_an_hour_holds_when_two_ask_at_once(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL both count 19 before either is there."""
    house = either_house
    newsroom.found(house)
    for number in range(19):
        sign_up(house, f"a{number}@example.org")
    monkeypatch.setattr(signing_up, "_recent_from", both_pass(signing_up._recent_from))
    statuses = at_once(2, lambda number: sign_up(house, f"b{number}@example.org").status_code)
    assert sorted(statuses) == [200, 429]
    assert count(house, SignUpRequest) == 20


def test_one_mail_in_15_minutes_holds_with_two_workers(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL two workers answer two requests of one mailbox at once, and neither sees the other's."""
    house = either_house
    newsroom.found(house)
    requests = []
    for address in (ANN, "ann+tag@example.org"):
        sign_up(house, address)
        requests.append(count(house, SignUpRequest))
    monkeypatch.setattr(signing_up, "_capped", both_pass(signing_up._capped))
    keys, links = house.keys, house.links

    def answer(number: int) -> None:
        with house.app.app_context():
            signing_up._answer(requests[number], house.now, keys, links)

    at_once(2, answer)
    house.work()
    assert len(house.inbox.mails) == 1


def test_an_old_confirmation_page_does_not_claim_that_who_left_is_mailed(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    house.browser.post(link)
    house.work()
    house.browser.post(link_in(house, ANN, "/unsubscribe/"))
    for method in ("GET", "POST"):
        page = words_of(house.browser.open(link, method=method))
        assert f"goes to\n{ANN}" not in page.replace("</p>", "").replace('<p class="address">', "")
        assert "You are a reader already" not in page
        assert 'name="email"' in page, "one can sign up again there"


def test_two_confirmation_links_are_one_welcome(house: House) -> None:
    """Who pressed in the first mail and then in the second is welcomed twice."""
    newsroom.found(house)
    first = asked(house)
    house.later(minutes=20)
    second = asked(house)
    house.browser.post(first)
    house.browser.post(second)
    house.work()
    assert [mail.subject for mail in house.inbox.of(ANN)].count("Welcome to Morning Post") == 1


def test_nobody_is_brought_back_by_the_owner_of_a_domain_that_looks_alike(house: House) -> None:
    """Straße.example and strasse.example belong to two people; case folding takes the one for the other."""
    newsroom.found(house)
    house.browser.post(became_reader(house, "ann@strasse.example"))
    put_on_the_list(house, SuppressionReason.HARD_BOUNCE, "ann@strasse.example")
    link = "ann@xn--strae-oqa.example"
    sign_up(house, "ann@straße.example")
    house.work()
    house.browser.post(link_in(house, link, "/confirm/"))
    assert state_of(house, "ann@strasse.example") == [SubscriptionState.UNSUBSCRIBED]


def test_an_encoded_word_is_no_way_around_a_complaint(house: House) -> None:
    """Mail software that is built on Python's own parser (aiosmtpd among it) reads =?utf-8?q?=61nn?= as ann. So
    one complaint, three mails a day and every other cap are got around as often as one likes."""
    newsroom.found(house)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    for local in ("=?utf-8?q?ann?=", "=?utf-8?q?=61nn?=", "=?utf-8?q?a=6en?=", "=?x?b?YW5u?="):
        sign_up(house, f"{local}@example.org")
    house.work()
    assert house.inbox.of(ANN) == []


def test_two_people_who_suppress_an_address_at_once_are_both_answered(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL the second gets an IntegrityError, thus a 500."""
    house = either_house
    monkeypatch.setattr(suppression, "reasons", both_pass(suppression.reasons))
    keys = house.keys

    def suppress(_: int) -> bool:
        with house.app.app_context():
            return suppressing.suppress(ANN, "", house.now, keys, COMMAND)

    assert sorted(at_once(2, suppress)) == [False, True]


def test_one_who_confirms_two_newsletters_at_once_is_one_subscriber(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL both make the subscriber, and the second press is a 500."""
    house = either_house
    newsroom.found(house)
    newsroom.found(house, "evening-post")
    links = [asked(house)]
    house.later(minutes=20)
    links.append(asked(house, ANN, "evening-post"))
    house.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr(signing_up, "subscriber_at", both_pass(signing_up.subscriber_at))
    assert at_once(2, lambda number: house.browser.post(links[number]).status_code) == [200, 200]
    assert state_of(house) == [SubscriptionState.ACTIVE] * 2


def test_staff_are_not_told_of_a_mail_that_nobody_gets(house: House) -> None:
    """Staff may know what is on the list; the page says “gets a mail now” of an address that is never mailed."""
    from tests.integration.web.test_security import signed_in

    newsroom.found(house)
    put_on_the_list(house, SuppressionReason.BY_HAND)
    desk = signed_in(house)
    answer = desk.post("/admin/subscribers/add", email=ANN, newsletter="morning-post")
    shown = desk.get("/admin/subscribers").text + answer.text
    assert f"{ANN} gets a mail now" not in words_of(answer) + shown
