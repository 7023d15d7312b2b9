"""Leaving: one press, from any mail, for ever, without a cookie; and looking is not leaving."""

from __future__ import annotations

from newsletter.foundation.links import Links, Purpose
from newsletter.subscribers.models import SignUpRequest, SubscriptionState
from tests.conftest import House
from tests.integration.subscribers import (
    ANN,
    READ_AND_LEFT,
    SITE,
    asked,
    became_reader,
    count,
    erase,
    everything,
    link_in,
    sign_up,
    state_of,
    story_of,
    words_of,
)
from tests.support import newsroom
from tests.support.racing import at_once

ACTIVE, UNSUBSCRIBED = SubscriptionState.ACTIVE, SubscriptionState.UNSUBSCRIBED


def test_looking_at_an_unsubscribe_link_changes_nothing(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    link = became_reader(house)
    before = everything(house)
    for method in ("GET", "HEAD") * 3:
        answer = house.browser.open(link, method=method)
        assert answer.status_code == 200
        assert "Location" not in answer.headers
    assert everything(house) == before
    assert state_of(house) == [ACTIVE]


ONE_CLICKS: dict[str, dict[str, object]] = {
    "urlencoded": {"data": {"List-Unsubscribe": "One-Click"}},
    "multipart": {"data": {"List-Unsubscribe": "One-Click"}, "content_type": "multipart/form-data"},
    "an empty body": {},
    "plain text": {"data": "List-Unsubscribe=One-Click", "content_type": "text/plain"},
    "JSON": {"json": {"List-Unsubscribe": "One-Click"}},
    "broken multipart": {"data": b"\x00\xff", "content_type": "multipart/form-data; boundary=x"},
    "multipart without a boundary": {"data": b"List-Unsubscribe", "content_type": "multipart/form-data"},
    "octets that are no text": {"data": b"\xff\xfe=%ff", "content_type": "application/x-www-form-urlencoded"},
}


def test_a_mail_programs_own_button_needs_no_cookie_and_gets_200_without_a_redirect(house: House) -> None:
    """RFC 8058 §3.2: urlencoded or multipart; and we take whatever else a mail program may send."""
    newsroom.found(house)
    link = became_reader(house)
    for name, sent in ONE_CLICKS.items():
        newsroom.Paper(house, 1, "morning-post", 1).change(ANN, state=ACTIVE)
        browser = house.app.test_client(use_cookies=False)
        answer = browser.post(link, headers={"Origin": "https://mail.example"}, **sent)  # type: ignore[arg-type]
        assert answer.status_code == 200, name
        assert "Location" not in answer.headers, name
        assert "Set-Cookie" not in answer.headers, name
        assert state_of(house) == [UNSUBSCRIBED], name


def test_leaving_twice_answers_the_same_and_is_written_down_once(house: House) -> None:
    newsroom.found(house)
    link = became_reader(house)
    first = house.browser.post(link)
    before = everything(house)
    house.later(hours=1)
    second = house.browser.post(link)
    assert (first.status_code, first.text) == (second.status_code, second.text)
    assert everything(house) == before
    assert tuple(event.kind for event in story_of(house)) == READ_AND_LEFT
    shown = house.browser.get(link)
    assert shown.status_code == 200
    assert "not on the list" in words_of(shown)
    assert ">Leave Morning Post</button>" not in shown.text


def test_leaving_five_times_at_once_is_written_down_once(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    link = became_reader(house)
    assert at_once(5, lambda _: house.browser.post(link).status_code) == [200] * 5
    assert tuple(event.kind for event in story_of(house)) == READ_AND_LEFT


def test_the_link_never_runs_out(house: House) -> None:
    newsroom.found(house)
    link = became_reader(house)
    house.later(days=3650)
    assert house.browser.get(link).status_code == 200
    assert house.browser.post(link).status_code == 200
    assert state_of(house) == [UNSUBSCRIBED]


def test_an_old_link_works_again_after_coming_back(house: House) -> None:
    newsroom.found(house)
    old = became_reader(house)
    house.browser.post(old)
    became_reader(house)
    assert state_of(house) == [ACTIVE]
    house.browser.post(old)
    assert state_of(house) == [UNSUBSCRIBED]


def test_somebody_who_was_erased_is_answered_kindly(house: House) -> None:
    newsroom.found(house)
    newsroom.found(house, "evening-post")
    link = became_reader(house)
    erase(house)
    before = everything(house)
    for method in ("GET", "POST", "POST", "HEAD"):
        answer = house.browser.open(link, method=method)
        assert answer.status_code == 200
        assert ANN not in words_of(answer)
        assert "damaged" not in answer.text
    assert everything(house) == before


def test_leaving_one_newsletter_is_not_leaving_the_other(house: House) -> None:
    newsroom.found(house)
    newsroom.found(house, "evening-post")
    became_reader(house)
    evening = became_reader(house, ANN, "evening-post")
    answer = house.browser.post(evening)
    assert "Evening Post" in answer.text
    assert state_of(house) == [ACTIVE, UNSUBSCRIBED]


def test_every_mail_to_a_reader_has_a_way_out(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    sign_up(house)
    house.work()
    already = house.inbox.of(ANN)[-1]
    assert already.subject == "You are signed up already: Morning Post"
    house.browser.post(link_in(house, ANN, "/unsubscribe/"))
    assert state_of(house) == [UNSUBSCRIBED]


def test_a_damaged_or_foreign_token_makes_nobody_leave(house: House) -> None:
    newsroom.found(house)
    token = became_reader(house).removeprefix("/unsubscribe/")
    confirm = asked(house, "bob@example.org").removeprefix("/confirm/")
    stranger = Links("another installation's secret key, long enough", SITE)
    forged = [
        token[:-1],
        token + "x",
        token.swapcase(),
        confirm,
        *(house.links.make(purpose, 1) for purpose in Purpose if purpose is not Purpose.UNSUBSCRIBE),
        stranger.make(Purpose.UNSUBSCRIBE, 1),
        "1",
        "%00",
        "%ff",
        "x" * 3000,
    ]
    before = everything(house)
    for bad in forged:
        for method in ("GET", "POST"):
            answer = house.browser.open(f"/unsubscribe/{bad}", method=method)
            assert answer.status_code == 404, bad
            assert "nothing was changed" in answer.text, bad
    assert everything(house) == before


def test_other_methods_make_nobody_leave(house: House) -> None:
    newsroom.found(house)
    link = became_reader(house)
    for method in ("PUT", "PATCH", "DELETE"):
        assert house.browser.open(link, method=method).status_code == 405
    assert state_of(house) == [ACTIVE]


def test_leaving_leaves_no_request_behind_that_could_bring_one_back(house: House) -> None:
    """The link of a confirmation that was pressed once renews nothing when it is pressed again (a mail scanner does
    not post, but a person's back button does)."""
    newsroom.found(house)
    confirm = asked(house)
    house.browser.post(confirm)
    house.work()
    house.browser.post(link_in(house, ANN, "/unsubscribe/"))
    assert house.browser.post(confirm).status_code == 200
    assert state_of(house) == [UNSUBSCRIBED]
    assert count(house, SignUpRequest) == 1
