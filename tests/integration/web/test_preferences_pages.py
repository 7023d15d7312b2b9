"""The pages behind the link to one's preferences, as a browser without scripts uses them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from newsletter.delivery.models import Delivery
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation.config import SignUpConfig
from newsletter.foundation.database import db
from newsletter.foundation.links import Links, Purpose
from newsletter.mail.outbox import OutboxMail
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers.models import (
    ConsentKind,
    RequestAnswer,
    RequestKind,
    SignUpRequest,
    Subscriber,
    SubscriptionState,
    subscriber_at,
)
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import (
    ANN,
    IP,
    count,
    everything,
    latest_request,
    link_in,
    put_on_the_list,
    state_of,
    story_of,
    suppressed_for,
    words_of,
)
from tests.support import newsroom
from tests.support.public_pages import buttons_of, fields_of, page_of, press, primary_buttons_of, titles_of
from tests.support.racing import at_once

ACTIVE, UNSUBSCRIBED = SubscriptionState.ACTIVE, SubscriptionState.UNSUBSCRIBED
BOB, NEW = "bob@example.org", "ann.new@example.org"


def found(house: House) -> tuple[newsroom.Paper, newsroom.Paper]:
    """Two newsletters, of which the first comes in two slots and has Ann for a reader."""
    morning = newsroom.found(house, "morning-post")
    morning.slot("Asia/Tokyo", time(6, 30))
    evening = newsroom.found(house, "evening-post")
    morning.readers(ANN)
    return morning, evening


def link_of(house: House, address: str = ANN) -> str:
    with house.app.app_context():
        person = subscriber_at(address)
        assert person is not None
        return f"/preferences/{house.links.make(Purpose.PREFERENCES, person.id)}"


def slots_of(house: House, address: str = ANN) -> list[str]:
    with house.app.app_context():
        person = subscriber_at(address)
        assert person is not None
        return [one.slot.label for one in person.subscriptions]


def pauses_of(house: House, address: str = ANN) -> list[date | None]:
    with house.app.app_context():
        person = subscriber_at(address)
        assert person is not None
        return [one.paused_until for one in person.subscriptions]


def notes_of(house: House, address: str = ANN) -> list[tuple[ConsentKind, str]]:
    return [(event.kind, event.note) for event in story_of(house, address)]


def said_of(answer: TestResponse) -> str:
    return str(page_of(answer).xpath("string(//p[@role='status' or @role='alert'])"))


# Newsletters, slot, form, language


def test_the_page_shows_what_is_so_now(house: House) -> None:
    found(house)
    page = house.browser.get(link_of(house))
    shown = fields_of(page, "Save")
    assert shown["newsletter"] == shown["shown"] == ["1"]
    assert page_of(page).xpath("//select[@name='slot-1']/option[@selected]/text()")[0].strip() == "06:00 UTC"
    assert "text_only" not in shown
    assert shown["language"] == [""]
    languages = page_of(page).xpath("//select[@name='language']/option/text()")
    assert languages == ["The newsletter’s own", "English", "Deutsch", "Français", "Español", "日本語"]
    assert primary_buttons_of(page) == ["Save"]
    assert "Yes, send me Evening Post" in page.text, "the words that a tick agrees to"


def test_saving_keeps_newsletters_slot_form_and_language(either_house: House) -> None:
    house = either_house
    found(house)
    page = house.browser.get(link_of(house))
    tokyo = page_of(page).xpath("//option[@data-zone='Asia/Tokyo']/@value")[0]
    saved = press(
        house.browser, page, "Save", newsletter=["1", "2"], **{"slot-1": tokyo, "text_only": "yes", "language": "en"}
    )
    assert saved.status_code == 200
    assert said_of(saved) == "Your choices are saved."
    assert fields_of(saved, "Save")["language"] == ["en"]
    assert state_of(house) == [ACTIVE, ACTIVE]
    assert slots_of(house) == ["06:30 Tokyo", "06:00 UTC"]
    assert notes_of(house) == [
        (ConsentKind.CHANGED, "another slot"),
        (ConsentKind.CONFIRMED, "by their preferences"),
    ]
    assert story_of(house)[1].sign_up_text_id is not None
    left = press(house.browser, saved, "Save", newsletter=["2"], text_only=None)
    assert state_of(house) == [UNSUBSCRIBED, ACTIVE]
    assert fields_of(left, "Save")["language"] == ["en"]
    assert "text_only" not in fields_of(left, "Save")


def test_saving_twice_or_ten_times_at_once_is_written_down_once(either_house: House) -> None:
    house = either_house
    found(house)
    page = house.browser.get(link_of(house))
    answers = at_once(10, lambda _: press(house.browser, page, "Save", newsletter=["1", "2"]).status_code)
    assert answers == [200] * 10
    assert state_of(house) == [ACTIVE, ACTIVE]
    assert [kind for kind, _ in notes_of(house)] == [ConsentKind.CONFIRMED]


def test_a_page_that_was_open_for_long_undoes_nothing_that_was_done_meanwhile(house: House) -> None:
    """Two tabs: only what is changed on a page is changed by it."""
    morning, _ = found(house)
    old = house.browser.get(link_of(house))
    press(house.browser, old, "Save", newsletter=["1", "2"])
    morning.leave(ANN)
    saved = press(house.browser, old, "Save", text_only="yes")
    assert saved.status_code == 200
    assert state_of(house) == [UNSUBSCRIBED, ACTIVE], "neither brought back nor left"
    assert fields_of(saved, "Save")["text_only"] == ["yes"]


def test_half_a_form_changes_nothing(house: House) -> None:
    found(house)
    link = link_of(house)
    before = everything(house)
    for sent in (
        {"data": {"shown": "1"}},
        {"data": {}},
        {"json": {"newsletter": [], "shown": [1], "whole": "yes"}},
        {"data": "shown=1&whole=yes", "content_type": "text/plain"},
        {"data": b"--x\r\nContent-Disp", "content_type": "multipart/form-data; boundary=x"},
    ):
        answer = house.browser.post(link, **sent)  # type: ignore[arg-type]
        assert answer.status_code == 422
        assert "nothing was changed" in said_of(answer)
    assert everything(house) == before


def test_what_no_page_of_ours_would_send_is_taken_as_nothing(house: House) -> None:
    found(house)
    link = link_of(house)
    sent = {"newsletter": ["1", "99", "-1", "x", "9" * 5000], "shown": ["1", "x"], "slot-1": "999", "whole": "yes"}
    before = everything(house)
    assert house.browser.post(link, data=sent | {"language": "x" * 5000}).status_code == 200
    assert house.browser.post(link, data=sent | {"language": "tlh", "slot-1": "3"}).status_code == 200
    assert everything(house) == before, "a slot of another newsletter is none of this one"


def test_a_megabyte_is_refused_in_a_clear_sentence(house: House) -> None:
    found(house)
    link = link_of(house)
    before = everything(house)
    for end in ("", "/pause", "/resume", "/leave", "/address", "/erase"):
        answer = house.browser.post(f"{link}{end}", data={"until": "x" * 2**20})
        assert answer.status_code == 413
        assert titles_of(answer)[1] == "Too large"
    assert everything(house) == before


def test_somebody_who_complained_cannot_tick_a_newsletter_and_is_told_whom_to_write_to(house: House) -> None:
    found(house)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    page = house.browser.get(link_of(house))
    before = everything(house)
    answer = press(house.browser, page, "Save", newsletter=["1", "2"], text_only="yes")
    assert answer.status_code == 422
    assert "post@example.org" in said_of(answer)
    assert everything(house) == before


def test_leaving_all_is_one_button_and_ticking_brings_back(house: House) -> None:
    found(house)
    page = house.browser.get(link_of(house))
    press(house.browser, page, "Save", newsletter=["1", "2"])
    page = house.browser.get(link_of(house))
    left = press(house.browser, page, "Leave them all")
    assert state_of(house) == [UNSUBSCRIBED, UNSUBSCRIBED]
    assert "No more editions" in said_of(left)
    assert not any("Leave" in one or "Pause" in one for one in buttons_of(left))
    back = press(house.browser, left, "Save", newsletter=["1"])
    assert back.status_code == 200
    assert state_of(house) == [ACTIVE, UNSUBSCRIBED]


# A pause


def test_one_button_pauses_for_a_week_and_another_goes_on(house: House) -> None:
    found(house)
    page = house.browser.get(link_of(house))
    paused = press(house.browser, page, "For a week")
    assert pauses_of(house) == [date(2026, 3, 10)]
    assert "Tuesday, 10 March 2026" in said_of(paused)
    assert "Paused until Tuesday, 10 March 2026" in paused.text
    resumed = press(house.browser, paused, "Go on now")
    assert pauses_of(house) == [None]
    assert "goes on" in said_of(resumed)
    assert [note for _, note in notes_of(house)] == ["paused until 2026-03-10", "pause ended"]


def test_any_day_within_a_year_may_be_chosen(house: House) -> None:
    found(house)
    page = house.browser.get(link_of(house))
    (day,) = page_of(page).xpath("//input[@type='date']")
    assert (day.get("min"), day.get("max")) == ("2026-03-04", "2027-03-04")
    for chosen in (day.get("min"), day.get("max")):
        assert house.browser.post(f"{link_of(house)}/pause", data={"until": chosen}).status_code == 200
        assert pauses_of(house) == [date.fromisoformat(chosen)]


@pytest.mark.parametrize(
    "until", ["2026-03-03", "2026-03-02", "2027-03-05", "9999-12-31", "0001-01-01", "tomorrow", "", "2026-02-30", "\0"]
)
def test_a_pause_that_cannot_be_is_told_beside_its_field(house: House, until: str) -> None:
    found(house)
    answer = house.browser.post(f"{link_of(house)}/pause", data={"until": until})
    assert answer.status_code == 422
    field = page_of(answer).get_element_by_id("until")
    assert "pause" in page_of(answer).get_element_by_id(field.get("aria-describedby")).text_content()
    assert field.get("aria-invalid") == "true"
    assert said_of(answer) == "", "it stands beside the field and nowhere else"
    assert pauses_of(house) == [None]


def test_a_day_that_has_begun_in_one_zone_is_no_day_to_pause_until_in_any(house: House) -> None:
    """At 20:00 UTC it is tomorrow in Tokyo; the page offers what every newsletter of the reader can keep."""
    morning, evening = found(house)
    with house.app.app_context():
        tokyo = db.session.scalar(sa.text("SELECT id FROM slots WHERE zone = 'Asia/Tokyo'"))
    morning.change(ANN, slot_id=tokyo)
    press(house.browser, house.browser.get(link_of(house)), "Save", newsletter=["1", "2"])
    house.clock.at = datetime(2026, 3, 3, 20, 0, tzinfo=UTC)
    page = house.browser.get(link_of(house))
    (day,) = page_of(page).xpath("//input[@type='date']")
    assert (day.get("min"), day.get("max")) == ("2026-03-05", "2027-03-04")
    before = everything(house)
    assert house.browser.post(f"{link_of(house)}/pause", data={"until": "2026-03-04"}).status_code == 422
    assert everything(house) == before, "not one of the two is paused"
    assert house.browser.post(f"{link_of(house)}/pause", data={"until": "2026-03-05"}).status_code == 200
    assert evening.id == 2


def test_a_pause_that_is_over_is_no_longer_shown(house: House) -> None:
    morning, _ = found(house)
    morning.change(ANN, paused_until=date(2026, 3, 3))
    page = house.browser.get(link_of(house))
    assert "Paused" not in page.text
    assert "For a week" in page.text


def test_who_reads_nothing_is_not_told_that_it_is_paused(house: House) -> None:
    morning, _ = found(house)
    morning.leave(ANN)
    answer = house.browser.post(f"{link_of(house)}/pause", data={"until": "2026-03-10"})
    assert "nothing to pause" in said_of(answer)


# Another address


def test_both_addresses_are_told_and_the_new_one_confirms(either_house: House) -> None:
    house = either_house
    found(house)
    page = press(house.browser, house.browser.get(f"{link_of(house)}/address"), "Send a mail", email=NEW, made=None)
    assert page.status_code == 200
    assert NEW in words_of(page)
    house.work()
    link = link_in(house, NEW, "/change/")
    assert len(house.inbox.of(ANN)) == 1
    assert state_of(house) == [ACTIVE], "nothing changes before the press"
    ask = house.browser.get(link)
    assert buttons_of(ask) == ["Yes, send it here"]
    assert ANN not in words_of(ask), "whoever has the new address need not know the old one"
    done = press(house.app.test_client(use_cookies=False), ask, "Yes, send it here")
    assert titles_of(done)[1] == "Your address is changed"
    assert state_of(house, NEW) == [ACTIVE]
    assert state_of(house) == []
    (preferences,) = page_of(done).xpath("//main//a/@href")
    assert NEW in words_of(house.browser.get(preferences))
    before = everything(house)
    assert titles_of(house.browser.post(link))[1] == "Your address is changed", "a second press answers the same"
    assert titles_of(house.browser.get(link))[1] == "This is done already"
    assert everything(house) == before


def test_the_answer_does_not_tell_whether_the_new_address_is_known(house: House) -> None:
    morning, _ = found(house)
    morning.readers(BOB)
    put_on_the_list(house, SuppressionReason.COMPLAINT, "eva@example.org")
    pages = set()
    for name in ("bob", "eva", "joe"):
        answer = house.browser.post(f"{link_of(house)}/address", data={"email": f"{name}@example.org"})
        pages.add((answer.status_code, words_of(answer).replace(name, "…")))
        house.later(minutes=16)
    assert len(pages) == 1
    house.work()
    assert house.inbox.of(BOB) == house.inbox.of("eva@example.org") == []


def test_ones_own_address_is_no_other(house: House) -> None:
    found(house)
    for same in (ANN, "ANN@EXAMPLE.org", f" {ANN} "):
        answer = house.browser.post(f"{link_of(house)}/address", data={"email": same})
        assert answer.status_code == 422
        assert "your address already" in answer.text
    assert count(house, SignUpRequest) == 0


@pytest.mark.parametrize(
    "typed", ["", "ann at example.org", "ann@example.org.", "x" * 70 + "@example.org", "a\0@b.org"]
)
def test_a_wrong_new_address_is_told_beside_its_field(house: House, typed: str) -> None:
    found(house)
    answer = house.browser.post(f"{link_of(house)}/address", data={"email": typed})
    assert answer.status_code == 422
    field = page_of(answer).get_element_by_id("email")
    assert "e-mail address" in page_of(answer).get_element_by_id(field.get("aria-describedby")).text_content()
    assert count(house, SignUpRequest) == 0


def test_a_near_miss_of_a_new_address_is_asked_about(house: House) -> None:
    found(house)
    doubt = house.browser.post(f"{link_of(house)}/address", data={"email": "ann@gmial.com"})
    assert buttons_of(doubt) == ["Yes, ann@gmail.com", "No, it is as I typed it"]
    assert count(house, SignUpRequest) == 0
    assert press(house.browser, doubt, "No").status_code == 200
    assert latest_request(house).address == "ann@gmial.com"


def test_an_address_that_somebody_took_meanwhile_is_not_taken_from_them(house: House) -> None:
    morning, _ = found(house)
    house.browser.post(f"{link_of(house)}/address", data={"email": BOB})
    link = f"/change/{house.links.make(Purpose.CHANGE, latest_request(house).id)}"
    morning.readers(BOB)
    before = everything(house)
    answer = house.browser.post(link)
    assert answer.status_code == 403
    assert titles_of(answer)[1] == "This address reads us already"
    assert everything(house) == before


def test_a_change_by_somebody_who_was_erased_or_too_late_changes_nothing(house: House) -> None:
    found(house)
    house.browser.post(f"{link_of(house)}/address", data={"email": NEW})
    link = f"/change/{house.links.make(Purpose.CHANGE, latest_request(house).id)}"
    house.later(days=7, minutes=1)
    for answer in (house.browser.get(link), house.browser.post(link)):
        assert answer.status_code == 410
        assert titles_of(answer)[1] == "This link has run out"
    house.later(days=-7)
    house.browser.post(f"{link_of(house)}/erase")
    for answer in (house.browser.get(link), house.browser.post(link)):
        assert answer.status_code == 410
        assert NEW not in words_of(answer)
    assert count(house, Subscriber) == 0


def test_a_new_address_that_is_never_mailed_is_refused(house: House) -> None:
    found(house)
    house.browser.post(f"{link_of(house)}/address", data={"email": NEW})
    link = f"/change/{house.links.make(Purpose.CHANGE, latest_request(house).id)}"
    put_on_the_list(house, SuppressionReason.BY_HAND, NEW)
    answer = house.browser.post(link)
    assert answer.status_code == 403
    assert "post@example.org" in answer.text
    assert state_of(house) == [ACTIVE]


def test_ten_presses_at_once_move_once(either_house: House) -> None:
    house = either_house
    found(house)
    house.browser.post(f"{link_of(house)}/address", data={"email": NEW})
    link = f"/change/{house.links.make(Purpose.CHANGE, latest_request(house).id)}"
    assert at_once(10, lambda _: house.browser.post(link).status_code) == [200] * 10
    assert notes_of(house, NEW) == [(ConsentKind.CHANGED, "from another address")]


# A lost link


def test_a_link_that_was_lost_comes_by_mail_to_those_who_are_known(house: House) -> None:
    found(house)
    page = house.browser.get("/preferences/")
    assert primary_buttons_of(page) == ["Send me the link"]
    seen = set()
    for name in ("ann", "bob"):
        answer = press(house.browser, page, "Send me the link", email=f"{name}@example.org", made=None)
        seen.add((answer.status_code, words_of(answer).replace(name, "…")))
    assert len(seen) == 1
    house.work()
    assert house.inbox.of(BOB) == []
    assert len(house.inbox.of(ANN)) == 1
    assert titles_of(house.browser.get(link_in(house, ANN, "/preferences/")))[1] == "Your preferences"


def test_a_lost_link_counts_among_the_mails_that_an_address_may_get(house: House) -> None:
    found(house)
    for _ in range(3):
        assert house.browser.post("/preferences/", data={"email": ANN}).status_code == 200
        house.work()
    assert len(house.inbox.of(ANN)) == 1
    assert latest_request(house).answer is RequestAnswer.CAPPED


def test_a_lost_link_is_asked_for_in_a_newsletters_name(house: House) -> None:
    found(house)
    page = house.browser.get("/preferences/?newsletter=evening-post")
    assert "Evening Post" in page.text
    answer = press(house.browser, page, "Send me the link", email=ANN, made=None)
    assert answer.status_code == 200
    assert latest_request(house).kind is RequestKind.LINK
    assert house.browser.get("/preferences/?newsletter=no-such").status_code == 404


def test_what_fills_in_the_hidden_field_gets_no_mail_on_any_path(house: House) -> None:
    found(house)
    before = everything(house)
    for path in ("/preferences/", f"{link_of(house)}/address"):
        (trap,) = page_of(house.browser.get(path)).xpath("//input[@name='website']")
        assert trap.get("tabindex") == "-1"
        answer = house.browser.post(path, data={"email": NEW, "website": "https://buy.example"})
        assert answer.status_code == 200
        assert NEW in words_of(answer)
    assert everything(house) == before


def test_a_hasty_form_gets_the_sum_on_every_path(house: House) -> None:
    found(house)
    for path, button in (("/preferences/", "Send me the link"), (f"{link_of(house)}/address", "Send a mail there")):
        page = house.browser.get(path)
        hasty = press(house.browser, page, button, email=NEW)
        assert hasty.status_code == 429
        assert page_of(hasty).xpath("//form/@action") == [path]
    assert count(house, SignUpRequest) == 0


def test_over_the_cap_of_a_network_it_is_told_kindly_on_every_path(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, sign_up=SignUpConfig(challenge="never"))
    found(house)
    asking = {"environ_overrides": {"REMOTE_ADDR": IP}}
    for _ in range(20):
        house.browser.post("/preferences/", data={"email": BOB}, **asking)
    for path in ("/preferences/", f"{link_of(house)}/address"):
        answer = house.browser.post(path, data={"email": NEW}, **asking)
        assert answer.status_code == 429
        assert titles_of(answer)[1] == "Please try again in an hour"
    assert count(house, SignUpRequest) == 20


# One's data


def test_everything_stored_is_there_to_read_and_to_download(house: House) -> None:
    newsroom.sending(house, ANN)
    house.work()
    link = link_of(house)
    house.browser.post("/subscribe", data={"email": ANN, "page_url": "https://paper.example/story"})
    house.browser.post(f"{link}/pause", data={"until": "2026-03-10"}, headers={"User-Agent": "A browser"})
    page = house.browser.get(f"{link}/data")
    for words in (
        ANN,
        "Morning Post",
        "06:00 UTC",
        "Paused until",
        "https://paper.example/story",
        "paused until Tuesday, 10 March 2026",
        "A browser",
        "Taken by your mail server",
        "Yes, send me Morning Post",
    ):
        assert words in words_of(page), words
    (file,) = page_of(page).xpath("//a[@download]/@href")
    answer = house.browser.get(file)
    assert answer.mimetype == "application/json"
    assert "attachment" in answer.headers["Content-Disposition"]
    stored = json.loads(answer.data)
    assert (stored["address"], len(stored["editions"]), len(stored["requests"])) == (ANN, 1, 1)


def test_ones_data_is_found_and_erased_in_whichever_case_the_address_was_typed(either_house: House) -> None:
    house = either_house
    found(house)
    for typed in ("Ann@Example.ORG", "ann+news@example.org"):
        house.browser.post("/subscribe", data={"email": typed, "newsletter": "evening-post"})
        house.work()
        house.later(minutes=16)
    link = link_of(house)
    stored = json.loads(house.browser.get(f"{link}/data.json").data)
    assert [one["address"] for one in stored["requests"]] == ["Ann@example.org"], "a tagged one may be somebody else's"
    assert [one["mail"] for one in stored["mails"]] == ["confirm"]
    house.browser.post(f"{link}/erase")
    with house.app.app_context():
        assert db.session.scalars(sa.select(SignUpRequest.address)).all() == ["ann+news@example.org"]
        assert db.session.scalars(sa.select(OutboxMail.recipient)).all() == ["ann+news@example.org"]


def test_hostile_words_in_ones_data_stay_words(house: House) -> None:
    found(house)
    hostile = "<script>alert(1)</script>"
    house.browser.post("/subscribe", data={"email": ANN, "newsletter": "morning-post", "page_url": hostile})
    page = house.browser.get(f"{link_of(house)}/data")
    assert hostile in words_of(page)
    assert hostile not in page.text


def test_the_page_of_ones_data_stays_small_after_years(house: House) -> None:
    paper, _ = found(house)
    link = link_of(house)
    with house.app.app_context():
        person = subscriber_at(ANN)
        assert person is not None
        rows = [
            Delivery(
                edition_id=number,
                shard=1,
                subscriber_id=person.id,
                subscription_id=1,
                newsletter_id=paper.id,
                local_date=date(2025, 1, 1) + timedelta(days=number),
                kind="daily",
                state="accepted",
                next_attempt_at=house.now,
                updated_at=house.now,
            )
            for number in range(1, 400)
        ]
        db.session.add_all(rows)
        db.session.add_all(_edition(paper.id, paper.slot_id, row) for row in rows)
        db.session.commit()
    for number in range(60):
        house.browser.post(f"{link}/pause", data={"until": str(date(2026, 4, 1) + timedelta(days=number))})
    page = house.browser.get(f"{link}/data")
    assert len(page.data) < 60_000
    assert "the latest 40 of 399" in page.text
    assert "the latest 40 of 60" in page.text
    assert len(json.loads(house.browser.get(f"{link}/data.json").data)["editions"]) == 399


# Being forgotten


def test_the_page_says_what_goes_and_what_stays_before_anything_does(house: House) -> None:
    found(house)
    link = link_of(house)
    before = everything(house)
    page = house.browser.get(f"{link}/erase")
    assert buttons_of(page) == ["Erase me"]
    for words in ("What is erased", "What stays, and why", "fingerprint", "cannot be undone"):
        assert words in page.text
    assert everything(house) == before


def test_one_press_erases_and_the_link_answers_kindly_for_ever(either_house: House) -> None:
    house = either_house
    found(house)
    link = link_of(house)
    done = press(house.browser, house.browser.get(f"{link}/erase"), "Erase me")
    assert (done.status_code, done.headers["Location"]) == (303, link)
    assert count(house, Subscriber) == 0
    assert suppressed_for(house) == {SuppressionReason.ERASURE}
    before = everything(house)
    house.later(days=4000)
    for path, methods in PATHS.items():
        for method in methods:
            answer = house.browser.open(f"{link}{path}", method=method, data={"email": NEW, "whole": "yes"})
            if answer.status_code == 303:  # a button's page that was opened anew
                answer = house.browser.get(answer.headers["Location"])
            assert answer.status_code == 200, path
            assert method == "HEAD" or titles_of(answer)[1] == "Nothing is stored about you", path
            assert ANN not in words_of(answer)
    assert everything(house) == before


def test_the_link_of_somebody_erased_opens_nobody_elses_preferences(either_house: House) -> None:
    """A subscriber's id must not be given out again."""
    house = either_house
    morning, _ = found(house)
    link = link_of(house)
    house.browser.post(f"{link}/erase")
    morning.readers(BOB)
    before = everything(house)
    for path, methods in PATHS.items():
        for method in methods:
            answer = house.browser.open(f"{link}{path}", method=method, data={"email": NEW, "whole": "yes"})
            assert BOB not in words_of(answer)
    assert everything(house) == before


def test_erasing_ten_times_at_once_erases_once(either_house: House) -> None:
    house = either_house
    found(house)
    link = link_of(house)
    answers = at_once(10, lambda _: house.browser.post(f"{link}/erase").status_code)
    assert set(answers) <= {303, 200}
    assert count(house, Subscriber) == 0
    assert [kind for kind, _ in notes_of(house)] == [ConsentKind.UNSUBSCRIBED, ConsentKind.ERASED]


def test_a_press_that_meets_an_erasure_on_its_way_is_answered_kindly(either_house: House) -> None:
    """In one tab the person erases themselves, in others they press everything else at that moment."""
    house = either_house
    found(house)
    link = link_of(house)
    presses = [f"{link}{path}" for path, methods in PATHS.items() if "POST" in methods]
    reads = [f"{link}{path}" for path in ("", "/data", "/data.json", "/address")]
    sent = {"newsletter": "1", "shown": "1", "whole": "yes", "until": "2026-03-10", "email": NEW}
    methods = [("POST", path) for path in presses] + [("GET", path) for path in reads]
    answers = at_once(
        len(methods),
        lambda number: house.browser.open(methods[number][1], method=methods[number][0], data=sent).status_code,
    )
    assert set(answers) <= {200, 303}
    assert count(house, Subscriber) == 0


# Links


PATHS = {
    "": ("GET", "HEAD", "POST"),
    "/pause": ("GET", "HEAD", "POST"),
    "/resume": ("GET", "HEAD", "POST"),
    "/leave": ("GET", "HEAD", "POST"),
    "/address": ("GET", "HEAD", "POST"),
    "/data": ("GET", "HEAD"),
    "/data.json": ("GET", "HEAD"),
    "/erase": ("GET", "HEAD", "POST"),
}


def test_every_path_of_a_preferences_link_is_among_those_that_are_tried(house: House) -> None:
    rules = [rule for rule in house.app.url_map.iter_rules() if rule.rule.startswith("/preferences/<token>")]
    assert {rule.rule.removeprefix("/preferences/<token>") for rule in rules} == set(PATHS)


def test_every_link_by_get_and_head_changes_nothing(either_house: House) -> None:
    house = either_house
    found(house)
    link = link_of(house)
    house.browser.post(f"{link}/address", data={"email": NEW})
    change = f"/change/{house.links.make(Purpose.CHANGE, latest_request(house).id)}"
    before = everything(house)
    for path in (*(f"{link}{end}" for end in PATHS), change, "/preferences/"):
        for method in ("GET", "HEAD") * 3:
            answer = house.browser.open(path, method=method)
            pressed = path.endswith(("/pause", "/resume", "/leave"))
            assert (answer.status_code, answer.headers.get("Location")) == ((303, link) if pressed else (200, None))
    assert everything(house) == before


@pytest.mark.parametrize("path", PATHS)
def test_a_damaged_or_foreign_token_opens_nothing_on_any_path(house: House, path: str) -> None:
    found(house)
    token = link_of(house).removeprefix("/preferences/")
    stranger = Links("another installation's secret key, long enough", "https://news.example.org")
    forged = [
        token[:-1],
        token + "x",
        token.swapcase(),
        *(house.links.make(purpose, 1) for purpose in Purpose if purpose is not Purpose.PREFERENCES),
        stranger.make(Purpose.PREFERENCES, 1),
        "1",
        "%00",
        "x" * 5000,
    ]
    before = everything(house)
    for bad in forged:
        for method in PATHS[path]:
            answer = house.browser.open(f"/preferences/{bad}{path}", method=method, data={"email": NEW, "whole": "yes"})
            if answer.status_code == 303:
                answer = house.browser.get(answer.headers["Location"])
            assert answer.status_code == 404, bad
            assert ANN not in words_of(answer)
            if method != "HEAD":
                assert titles_of(answer)[1] == "This link is damaged"
    assert everything(house) == before


def test_a_damaged_or_foreign_token_changes_no_address(house: House) -> None:
    found(house)
    house.browser.post(f"{link_of(house)}/address", data={"email": NEW})
    wanted = latest_request(house).id
    good = house.links.make(Purpose.CHANGE, wanted)
    before = everything(house)
    for bad in (
        good[:-1],
        good + "x",
        "%00",
        "x" * 5000,
        *(house.links.make(p, wanted) for p in Purpose if p != "change"),
    ):
        for method in ("GET", "POST"):
            answer = house.browser.open(f"/change/{bad}", method=method)
            assert answer.status_code == 404
            assert NEW not in words_of(answer)
    confirm = house.links.make(Purpose.CONFIRM, wanted)
    assert house.browser.post(f"/confirm/{confirm}").status_code == 410, "a change is no sign-up"
    assert everything(house) == before


def test_a_sign_up_is_no_change_of_address(house: House) -> None:
    found(house)
    house.browser.post("/subscribe", data={"email": BOB, "newsletter": "morning-post"})
    token = house.links.make(Purpose.CHANGE, latest_request(house).id)
    before = everything(house)
    assert house.browser.post(f"/change/{token}").status_code == 410
    assert everything(house) == before


def test_every_page_is_small_unlisted_and_has_one_primary_button(house: House) -> None:
    found(house)
    link = link_of(house)
    house.browser.post(f"{link}/address", data={"email": NEW})
    change = f"/change/{house.links.make(Purpose.CHANGE, latest_request(house).id)}"
    pages = {
        "show": house.browser.get(link),
        "paused": house.browser.post(f"{link}/pause", data={"until": "2026-03-10"}),
        "address": house.browser.get(f"{link}/address"),
        "asked": house.browser.post(f"{link}/address", data={"email": BOB}),
        "change": house.browser.get(change),
        "changed": house.browser.post(change),
        "change done": house.browser.get(change),
        "change damaged": house.browser.get("/change/x"),
        "data": house.browser.get(f"{link}/data"),
        "erase": house.browser.get(f"{link}/erase"),
        "lost": house.browser.get("/preferences/"),
        "left": house.browser.post(f"{link}/leave"),
        "damaged": house.browser.get("/preferences/x"),
    }
    for name, page in pages.items():
        assert len(page.data) < 20_000, name
        assert page_of(page).xpath("//meta[@name='robots']/@content") == ["noindex"], name
        assert page.headers["Referrer-Policy"] == "no-referrer", name
        assert page.headers["Cache-Control"] == "no-store", name
        assert len(primary_buttons_of(page)) <= 1, name
        assert len(page_of(page).xpath("//h1")) == 1, name
        ids = page_of(page).xpath("//@id")
        assert len(set(ids)) == len(ids), name
        assert page_of(page).xpath("//script[not(@src)] | //style | //*[@style] | //@onclick") == [], name


def _edition(newsletter_id: int, slot_id: int, row: Delivery) -> Edition:
    """The one that a row of the ledger is of."""
    moments = dict.fromkeys(("slot_at", "cutoff_at", "start_by", "finish_by", "frozen_at"), row.updated_at)
    return Edition(
        id=row.edition_id,
        newsletter_id=newsletter_id,
        slot_id=slot_id,
        local_date=row.local_date,
        state=EditionState.SENT,
        created_at=row.updated_at,
        **moments,
    )
