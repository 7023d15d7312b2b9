"""The pages on which one leaves, takes it back and says why, as a browser without scripts uses them."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.foundation.links import Purpose
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers.models import ConsentKind, LeavingReason, SubscriptionState, subscriber_at
from newsletter.subscribers.preferences import Reason
from tests.conftest import House
from tests.integration.subscribers import ANN, erase, everything, put_on_the_list, state_of, story_of, words_of
from tests.support import newsroom
from tests.support.public_pages import buttons_of, fields_of, page_of, press, primary_buttons_of, titles_of
from tests.support.racing import at_once

ACTIVE, UNSUBSCRIBED = SubscriptionState.ACTIVE, SubscriptionState.UNSUBSCRIBED
BOB = "bob@example.org"


def reader_of(house: House, address: str = ANN) -> tuple[newsroom.Paper, str]:
    """A reader, and the path of the link by which they leave."""
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(address)
    return paper, link_of(house, address)


def link_of(house: House, address: str = ANN) -> str:
    with house.app.app_context():
        person = subscriber_at(address)
        assert person is not None
        return f"/unsubscribe/{house.links.make(Purpose.UNSUBSCRIBE, person.subscriptions[0].id)}"


def reasons_of(house: House) -> list[tuple[str, str]]:
    with house.app.app_context():
        return [(one.reason, one.remark) for one in db.session.scalars(sa.select(LeavingReason))]


def kinds_of(house: House, address: str = ANN) -> list[ConsentKind]:
    return [event.kind for event in story_of(house, address)]


def test_the_page_asks_once_and_for_nothing_else(house: House) -> None:
    _, link = reader_of(house)
    page = house.browser.get(link)
    assert buttons_of(page) == ["Leave Morning Post"]
    assert fields_of(page, "Leave Morning Post") == {}, "no reason is asked before"
    assert ANN in words_of(page)
    (preferences,) = page_of(page).xpath("//main//a/@href")
    assert titles_of(house.browser.get(preferences))[1] == "Your preferences"


def test_a_slip_is_undone_with_one_button(either_house: House) -> None:
    house = either_house
    _, link = reader_of(house)
    done = press(house.browser, house.browser.get(link), "Leave Morning Post")
    assert titles_of(done)[1] == "You have left Morning Post"
    assert primary_buttons_of(done) == ["Undo, and go on reading"]
    assert state_of(house) == [UNSUBSCRIBED]
    back = press(house.app.test_client(use_cookies=False), done, "Undo")
    assert back.status_code == 200
    assert titles_of(back)[1] == "You are back"
    assert state_of(house) == [ACTIVE]
    assert kinds_of(house) == [ConsentKind.UNSUBSCRIBED, ConsentKind.RETURNED]


def test_undoing_twice_or_in_two_tabs_changes_nothing_more(house: House) -> None:
    _, link = reader_of(house)
    one = house.browser.post(link)
    two = house.browser.post(link)
    press(house.browser, one, "Undo")
    before = everything(house)
    assert titles_of(press(house.browser, two, "Undo"))[1] == "You are back"
    assert everything(house) == before


def test_ten_times_undo_at_once_is_one_return(either_house: House) -> None:
    house = either_house
    _, link = reader_of(house)
    house.browser.post(link)
    assert at_once(10, lambda _: house.browser.post(f"{link}/undo").status_code) == [200] * 10
    assert kinds_of(house) == [ConsentKind.UNSUBSCRIBED, ConsentKind.RETURNED]


def test_a_pause_outlives_a_leaving_that_was_taken_back(house: House) -> None:
    paper, link = reader_of(house)
    paper.change(ANN, paused_until=date(2026, 4, 1))
    house.browser.post(link)
    house.browser.post(f"{link}/undo")
    with house.app.app_context():
        person = subscriber_at(ANN)
        assert person is not None
        assert person.subscriptions[0].paused_until == date(2026, 4, 1)


def test_after_a_month_it_is_signing_up_again(house: House) -> None:
    _, link = reader_of(house)
    house.browser.post(link)
    house.later(days=29)
    assert buttons_of(house.browser.get(link)) == ["Undo, and go on reading"]
    house.later(days=1)
    page = house.browser.get(link)
    assert titles_of(page)[1] == "You are not on the list"
    assert buttons_of(page) == []
    assert "/subscribe?newsletter=morning-post" in page.text
    before = everything(house)
    assert titles_of(house.browser.post(f"{link}/undo"))[1] == "You are not on the list"
    assert everything(house) == before


def test_somebody_who_complained_since_cannot_come_back_by_a_button(house: House) -> None:
    _, link = reader_of(house)
    done = house.browser.post(link)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    before = everything(house)
    answer = press(house.browser, done, "Undo")
    assert answer.status_code == 403
    assert "mailto:desk@example.org" in answer.text
    assert buttons_of(answer) == []
    assert everything(house) == before


# Why


def test_the_reason_is_asked_after_it_happened_and_kept_without_who(house: House) -> None:
    _, link = reader_of(house)
    done = house.browser.post(link)
    assert set(fields_of(done, "Send the answer")) == {"remark"}, "none is chosen for anybody"
    options = page_of(done).xpath("//input[@type='radio']/@value")
    assert options == list(Reason)
    thanks = press(house.browser, done, "Send the answer", reason="no-time", remark=" Too   early\r\nfor me ")
    assert thanks.status_code == 200
    assert titles_of(thanks)[1] == "Thank you"
    assert reasons_of(house) == [("no-time", "Too early for me")]
    assert state_of(house) == [UNSUBSCRIBED]
    with house.app.app_context():
        (kept,) = db.session.scalars(sa.select(LeavingReason))
        assert ANN not in str(vars(kept))


def test_a_leaving_is_answered_once_however_often_it_is_sent(either_house: House) -> None:
    house = either_house
    _, link = reader_of(house)
    house.browser.post(link)
    sent = {"reason": "no-time", "remark": "Too early."}
    assert at_once(10, lambda _: house.browser.post(f"{link}/reason", data=sent).status_code) == [200] * 10
    house.browser.post(f"{link}/reason", data={"reason": "other"})
    assert reasons_of(house) == [("no-time", "Too early.")]
    house.browser.post(f"{link}/undo")
    house.later(days=40)
    house.browser.post(link)
    house.browser.post(f"{link}/reason", data={"reason": "too-many"})
    assert reasons_of(house) == [("no-time", "Too early."), ("too-many", "")], "another leaving is another answer"


def test_an_answer_that_comes_after_a_month_is_not_kept(house: House) -> None:
    _, link = reader_of(house)
    house.browser.post(link)
    house.later(days=31)
    assert house.browser.post(f"{link}/reason", data={"reason": "no-time"}).status_code == 200
    assert reasons_of(house) == []


def test_a_remark_without_a_reason_is_one_too(house: House) -> None:
    _, link = reader_of(house)
    assert house.browser.post(link).status_code == 200
    house.browser.post(f"{link}/reason", data={"remark": "I moved to the sea."})
    assert reasons_of(house) == [("other", "I moved to the sea.")]


@pytest.mark.parametrize("sent", [{}, {"reason": ""}, {"reason": "because"}, {"reason": "x" * 1000, "remark": "  "}])
def test_no_answer_is_no_fault(house: House, sent: dict[str, str]) -> None:
    _, link = reader_of(house)
    house.browser.post(link)
    answer = house.browser.post(f"{link}/reason", data=sent)
    assert answer.status_code == 422
    assert "simply close this page" in answer.text
    assert titles_of(answer)[0].startswith("Error: ")
    assert reasons_of(house) == []
    assert state_of(house) == [UNSUBSCRIBED]


def test_who_has_not_left_has_no_reason_to_tell(house: House) -> None:
    _, link = reader_of(house)
    answer = house.browser.post(f"{link}/reason", data={"reason": "other", "remark": "spam"})
    assert titles_of(answer)[1] == "You are back"
    assert reasons_of(house) == []


def test_a_long_or_hostile_remark_is_cut_and_cleaned(house: House) -> None:
    _, link = reader_of(house)
    house.browser.post(link)
    house.browser.post(f"{link}/reason", data={"reason": "other", "remark": "\0<script>\u202ealert(1)" + "x" * 9000})
    ((_, remark),) = reasons_of(house)
    assert remark.startswith("<script>alert(1)")
    assert len(remark) == 500


# Links that are damaged, foreign, old


def tampered(house: House, link: str) -> list[str]:
    token = link.removeprefix("/unsubscribe/")
    return [
        token[:-1],
        token + "x",
        token.swapcase(),
        "x" * 5000,
        "1",
        "%00",
        "..%2f..%2fadmin",
        *(house.links.make(purpose, 1) for purpose in Purpose if purpose is not Purpose.UNSUBSCRIBE),
    ]


@pytest.mark.parametrize("path", ["", "/undo", "/reason"])
def test_a_damaged_or_foreign_token_does_nothing_on_any_path(house: House, path: str) -> None:
    _, link = reader_of(house)
    before = everything(house)
    for bad in tampered(house, link):
        answer = house.browser.post(f"/unsubscribe/{bad}{path}", data={"reason": "other"})
        assert answer.status_code == 404, bad
        assert "nothing was changed" in answer.text.lower(), bad
        assert ANN not in words_of(answer)
    assert everything(house) == before


@pytest.mark.parametrize("path", ["", "/undo", "/reason"])
def test_somebody_who_was_erased_is_answered_kindly_on_every_path(house: House, path: str) -> None:
    _, link = reader_of(house)
    house.browser.post(link)
    erase(house)
    before = everything(house)
    answer = house.browser.post(f"{link}{path}", data={"reason": "other"})
    assert answer.status_code == 200
    assert titles_of(answer)[1] == "You are not on the list"
    assert ANN not in words_of(answer)
    assert "/preferences/" not in answer.text
    assert everything(house) == before


def test_an_old_link_never_makes_somebody_else_leave(either_house: House) -> None:
    """A subscription's id must not be given out again when its person was erased."""
    house = either_house
    paper, link = reader_of(house)
    erase(house)
    paper.readers(BOB)
    for answer in (house.browser.get(link), house.browser.post(link), house.browser.post(f"{link}/undo")):
        assert BOB not in words_of(answer)
    assert state_of(house, BOB) == [ACTIVE]


def test_every_link_by_get_and_head_changes_nothing(either_house: House) -> None:
    house = either_house
    paper, link = reader_of(house)
    paper.readers(BOB)
    paper.leave(BOB)
    before = everything(house)
    for path in (link, link_of(house, BOB)):
        for end in ("", "/undo", "/reason"):
            for method in ("GET", "HEAD") * 3:
                answer = house.browser.open(f"{path}{end}", method=method)
                assert (answer.status_code, answer.headers.get("Location")) == ((303, path) if end else (200, None))
    assert everything(house) == before


def test_a_mail_programs_click_shows_the_person_that_they_have_left(house: House) -> None:
    """RFC 8058: the mail program posts and shows nothing; the link at the end of the mail then tells."""
    _, link = reader_of(house)
    posted = house.app.test_client(use_cookies=False).post(link, data={"List-Unsubscribe": "One-Click"})
    assert (posted.status_code, posted.headers.get("Location")) == (200, None)
    page = house.browser.get(link)
    assert titles_of(page)[1] == "You are not on the list"
    assert buttons_of(page) == ["Undo, and go on reading"]


def test_a_megabyte_is_refused_and_nobody_has_left(house: House) -> None:
    _, link = reader_of(house)
    for end in ("", "/undo", "/reason"):
        assert house.browser.post(f"{link}{end}", data={"remark": "x" * 2**20}).status_code == 413
    assert state_of(house) == [ACTIVE]


def test_every_page_is_unlisted_and_has_one_primary_button_at_most(house: House) -> None:
    _, link = reader_of(house)
    pages = [
        house.browser.get(link),
        house.browser.post(link),
        house.browser.get(link),
        house.browser.post(f"{link}/reason"),
        house.browser.post(f"{link}/reason", data={"reason": "other"}),
        house.browser.post(f"{link}/undo"),
        house.browser.get("/unsubscribe/x"),
    ]
    for page in pages:
        assert page_of(page).xpath("//meta[@name='robots']/@content") == ["noindex"]
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert len(primary_buttons_of(page)) <= 1
        assert len(page_of(page).xpath("//h1")) == 1
