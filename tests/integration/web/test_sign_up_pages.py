"""The pages on which one signs up and confirms, as a browser without scripts uses them."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, date, datetime, time
from hashlib import sha256
from html import unescape
from io import BytesIO

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from newsletter.foundation.config import SignUpConfig
from newsletter.foundation.database import db
from newsletter.foundation.links import Purpose
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.calendar import first_date
from newsletter.subscribers import housekeeping
from newsletter.subscribers.models import (
    RequestAnswer,
    SignUpRequest,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from newsletter.web import STATIC
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import (
    ANN,
    IP,
    SITE,
    asked,
    became_reader,
    count,
    everything,
    latest_request,
    link_in,
    put_on_the_list,
    sign_up,
    state_of,
    story_of,
    words_of,
)
from tests.support import newsroom
from tests.support.public_pages import (
    buttons_of,
    fields_of,
    form_of,
    page_of,
    press,
    primary_buttons_of,
    titles_of,
)
from tests.support.racing import at_once

MORNING_POST, EVENING_POST = "morning-post", "evening-post"
BIGGEST_PAGE = 60_000


def several(house: House) -> tuple[newsroom.Paper, newsroom.Paper]:
    """Two newsletters, of which the first comes in three slots."""
    morning = newsroom.found(house, MORNING_POST)
    morning.slot("America/New_York", time(6, 0))
    morning.slot("Asia/Tokyo", time(6, 30))
    return morning, newsroom.found(house, EVENING_POST)


def wishes_of(house: House) -> list[tuple[str, str]]:
    """What the latest request asks for: newsletters with their slots."""
    with house.app.app_context():
        found = db.session.scalars(sa.select(SignUpRequest).order_by(SignUpRequest.id.desc())).first()
        assert found is not None
        return [(wish.newsletter.slug, wish.slot.label) for wish in found.wishes]


def error_of(answer: TestResponse, field: str) -> str:
    """The error that a screen reader reads out with a field."""
    page = page_of(answer)
    (said,) = [page.get_element_by_id(one) for one in page.get_element_by_id(field).get("aria-describedby").split()][:1]
    assert page.get_element_by_id(field).get("aria-invalid") == "true"
    return str(said.text_content())


# The form


def test_one_newsletter_has_one_box_with_one_button(house: House) -> None:
    newsroom.found(house)
    for path in ("/", "/subscribe", "/subscribe?newsletter=morning-post"):
        page = house.browser.get(path)
        assert primary_buttons_of(page) == ["Sign Up Now"]
        assert set(fields_of(page, "Sign Up Now")) == {"newsletter", "email", "page_url", "made", "website"}


def test_of_several_newsletters_any_are_ticked_in_one_form_with_one_button(house: House) -> None:
    several(house)
    for path in ("/", "/subscribe"):
        page = house.browser.get(path)
        assert primary_buttons_of(page) == ["Sign Up Now"]
        assert "newsletter" not in fields_of(page, "Sign Up Now"), "nothing is ticked for anybody"
    answer = press(house.browser, page, "Sign Up Now", newsletter=[MORNING_POST, EVENING_POST], email=ANN, made=None)
    assert answer.status_code == 200
    assert "Morning Post" in answer.text
    assert "Evening Post" in answer.text
    assert [slug for slug, _ in wishes_of(house)] == [MORNING_POST, EVENING_POST]
    house.work()
    assert len(house.inbox.of(ANN)) == 1
    assert house.browser.post(link_in(house, ANN, "/confirm/")).status_code == 200
    assert state_of(house) == [SubscriptionState.ACTIVE] * 2


def test_newsletters_that_a_link_names_are_offered_and_ticked(house: House) -> None:
    several(house)
    newsroom.found(house, "third-post")
    page = house.browser.get("/subscribe?newsletter=evening-post&newsletter=third-post")
    assert fields_of(page, "Sign Up Now")["newsletter"] == [EVENING_POST, "third-post"]
    assert "Morning Post" not in page.text
    assert house.browser.get("/subscribe?newsletter=nobody-knows").status_code == 404


def test_nothing_ticked_is_said_beside_the_boxes_and_nothing_typed_is_lost(house: House) -> None:
    several(house)
    before = everything(house)
    for sent in ({"email": ANN}, {"email": ANN, "newsletter": ["", ""]}):
        answer = house.browser.post("/subscribe", data=sent)
        assert answer.status_code == 422
        assert titles_of(answer)[0].startswith("Error: ")
        (boxes,) = page_of(answer).xpath("//fieldset[@aria-describedby]")
        assert "at least one" in page_of(answer).get_element_by_id(boxes.get("aria-describedby")).text_content()
        assert fields_of(answer, "Sign Up Now")["email"] == [ANN]
    assert everything(house) == before


def test_a_wrong_address_is_told_beside_its_field_and_nothing_chosen_is_lost(house: House) -> None:
    several(house)
    page = house.browser.get("/")
    before = everything(house)
    answer = press(
        house.browser, page, "Sign Up Now", newsletter=[MORNING_POST], slot=["3"], email="ann at example.org"
    )
    assert answer.status_code == 422
    assert "must have an @-sign" in error_of(answer, "email")
    kept = fields_of(answer, "Sign Up Now")
    assert (kept["newsletter"], kept["slot"], kept["email"]) == ([MORNING_POST], ["3"], ["ann at example.org"])
    assert page_of(answer).xpath("//select[@data-guess]") == [], "what was chosen is not guessed anew"
    assert everything(house) == before


def test_no_address_at_all_is_asked_for_kindly(house: House) -> None:
    newsroom.found(house)
    answer = sign_up(house, "  ")
    assert answer.status_code == 422
    assert error_of(answer, "email-morning-post") == "Please type an e-mail address."


def test_a_slot_is_asked_for_only_where_there_are_several(house: House) -> None:
    several(house)
    page = house.browser.get("/")
    (choice,) = page_of(page).xpath("//select")
    assert choice.get("name") == "slot"
    assert [one.text.strip() for one in choice] == ["06:00 UTC", "06:00 New York time", "06:30 Tokyo time"]
    assert "data-guess" in choice.attrib
    alone = house.browser.get("/subscribe?newsletter=evening-post")
    assert page_of(alone).xpath("//select | //script") == []


def test_the_slot_that_was_chosen_is_the_one_that_is_asked_for(house: House) -> None:
    several(house)
    page = house.browser.get("/subscribe?newsletter=morning-post")
    tokyo = page_of(page).xpath("//option[@data-zone='Asia/Tokyo']/@value")[0]
    press(house.browser, page, "Sign Up Now", email=ANN, slot=tokyo, zone="America/New_York", made=None)
    assert wishes_of(house) == [(MORNING_POST, "06:30 Tokyo")]


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("America/New_York", "06:00 New York"),
        ("America/Toronto", "06:00 New York"),
        ("Asia/Seoul", "06:30 Tokyo"),
        ("Europe/Lisbon", "06:00 UTC"),
        ("Nowhere/At_All", "06:00 UTC"),
        ("../../etc/passwd", "06:00 UTC"),
        ("", "06:00 UTC"),
    ],
)
def test_without_a_choice_the_slot_is_the_one_nearest_to_the_browsers_clock(
    house: House, zone: str, label: str
) -> None:
    several(house)
    assert sign_up(house, zone=zone).status_code == 200
    assert wishes_of(house) == [(MORNING_POST, label)]


def test_where_the_form_stood_is_kept_and_no_token_with_it(house: House) -> None:
    newsroom.found(house)
    page = house.browser.get("/subscribe")
    press(house.browser, page, "Sign Up Now", email=ANN, made=None)
    assert latest_request(house).page_url == f"{SITE}/subscribe"
    expired = f"/confirm/{house.links.make(Purpose.CONFIRM, 999)}"
    press(house.browser, house.browser.get(expired), "Sign Up Now", email=ANN, made=None)
    assert latest_request(house).page_url == f"{SITE}/confirm/…"


def test_without_a_newsletter_the_front_page_says_so(house: House) -> None:
    for answer in (
        house.browser.get("/"),
        house.browser.get("/subscribe"),
        house.browser.post("/subscribe", data={"email": ANN}),
    ):
        assert "Nothing is published here yet" in answer.text
        assert answer.status_code < 500
    assert house.browser.get("/preferences/").status_code == 303


# The page afterwards


def test_the_page_afterwards_shows_the_address_in_large_type_and_what_comes_next(house: House) -> None:
    newsroom.found(house)
    answer = sign_up(house, "Ann.Lee@EXAMPLE.org")
    (address,) = page_of(answer).xpath("//p[@class='address']")
    assert address.text_content() == "Ann.Lee@example.org"
    for words in ("has one button", "post@example.org", "Nothing there?", "Wrong address?"):
        assert words in answer.text
    back = page_of(answer).xpath("//dd/a/@href")[0]
    assert house.browser.get(back).status_code == 200


def test_the_page_afterwards_is_the_same_for_every_address(either_house: House) -> None:
    house = either_house
    several(house)
    became_reader(house, "known@example.org")
    asked(house, "asked@example.org")
    put_on_the_list(house, SuppressionReason.COMPLAINT, "angry@example.org")
    house.later(minutes=20)
    seen = set()
    for name in ("nobod", "known", "asked", "angry"):
        data = {"email": f"{name}@example.org", "newsletter": [MORNING_POST, EVENING_POST]}
        answer = house.browser.post("/subscribe", data=data)
        seen.add((answer.status_code, words_of(answer).replace(name, "…"), str(answer.headers)))
    assert len(seen) == 1


def test_what_fills_in_the_hidden_field_sees_the_same_page_and_gets_nothing(house: House) -> None:
    newsroom.found(house)
    page = house.browser.get("/")
    (trap,) = page_of(page).xpath("//input[@name='website']")
    assert (trap.get("tabindex"), trap.get("autocomplete")) == ("-1", "off")
    assert trap.xpath("ancestor::*[@aria-hidden='true']")
    assert trap.xpath("ancestor::*[@hidden]") == []
    person = sign_up(house, "persn@example.org")
    before = everything(house)
    machine = sign_up(house, "droid@example.org", website="https://buy.example")
    assert machine.status_code == person.status_code
    assert words_of(machine).replace("droid", "…") == words_of(person).replace("persn", "…")
    assert everything(house) == before


# Did you mean


def test_a_near_miss_is_asked_about_before_anything_is_saved(house: House) -> None:
    several(house)
    page = house.browser.get("/")
    before = everything(house)
    doubt = press(
        house.browser,
        page,
        "Sign Up Now",
        newsletter=[MORNING_POST, EVENING_POST],
        slot="3",
        zone="Asia/Tokyo",
        email="ann@gmial.com",
        made=None,
    )
    assert doubt.status_code == 422
    assert buttons_of(doubt) == ["Yes, ann@gmail.com", "No, it is as I typed it"]
    assert primary_buttons_of(doubt) == ["Yes, ann@gmail.com"]
    assert "nothing was saved" in doubt.text
    assert everything(house) == before
    for button, meant in (("Yes", "ann@gmail.com"), ("No", "ann@gmial.com")):
        answer = press(house.browser, doubt, button)
        assert answer.status_code == 200
        assert meant in words_of(answer)
        assert latest_request(house).address == meant
        assert wishes_of(house) == [(MORNING_POST, "06:30 Tokyo"), (EVENING_POST, "06:00 UTC")]


def test_what_is_no_address_at_all_may_only_be_corrected(house: House) -> None:
    newsroom.found(house)
    doubt = sign_up(house, "ann@gmailcom")
    assert doubt.status_code == 422
    assert buttons_of(doubt) == ["Yes, ann@gmail.com"]
    assert "not quite an e-mail address" in doubt.text
    insisting = sign_up(house, "ann@gmailcom", as_typed="yes")
    assert insisting.status_code == 422
    assert count(house, SignUpRequest) == 0


def test_the_question_is_the_same_whoever_is_known(house: House) -> None:
    newsroom.found(house)
    with house.app.app_context():
        pages = {words_of(sign_up(house, "ann@gmial.com"))}
    became = sign_up(house, "ann@gmail.com")
    assert became.status_code == 200
    house.work()
    house.browser.post(link_in(house, "ann@gmail.com", "/confirm/"))
    pages.add(words_of(sign_up(house, "ann@gmial.com")))
    assert len(pages) == 1


def test_a_doubted_address_cannot_smuggle_words_into_the_page(house: House) -> None:
    newsroom.found(house)
    answer = sign_up(house, "ann@gmial.com", page_url='"><script>alert(1)</script>', zone="'\"<b>")
    assert "<script>alert" not in answer.text
    assert "<b>" not in answer.text


# Confirming


def asked_for(house: House, *slugs: str, address: str = ANN, **fields: str) -> str:
    """The path of the confirmation link of a request for these newsletters."""
    answer = house.browser.post("/subscribe", data={"email": address, "newsletter": list(slugs)} | fields)
    assert answer.status_code == 200
    return f"/confirm/{house.links.make(Purpose.CONFIRM, latest_request(house).id)}"


def test_the_confirmation_page_tells_what_comes_when_and_what_is_agreed_to(house: House) -> None:
    newsroom.found(house, zone="America/New_York")
    link = asked_for(house, MORNING_POST)
    page = house.browser.get(link)
    assert page.status_code == 200
    assert "leaves on Tuesday, 3 March 2026, at 06:00 New York time." in page.text
    assert page_of(page).xpath("string(//blockquote)").strip().startswith("Yes, send me Morning Post")
    assert buttons_of(page) == ["Yes, send me Morning Post"]
    house.clock.at = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)
    assert "Wednesday, 4 March 2026" in house.browser.get(link).text, "today's has gone by then"


@pytest.mark.parametrize(
    ("now", "days", "first"),
    [
        (datetime(2026, 3, 3, 5, 59, 59, tzinfo=UTC), "1234567", date(2026, 3, 3)),
        (datetime(2026, 3, 3, 6, 0, tzinfo=UTC), "1234567", date(2026, 3, 4)),
        (datetime(2026, 3, 3, 6, 0, tzinfo=UTC), "2", date(2026, 3, 10)),
        (datetime(2026, 3, 6, 7, 0, tzinfo=UTC), "12345", date(2026, 3, 9)),
        (datetime(2026, 3, 6, 7, 0, tzinfo=UTC), "", None),
    ],
)
def test_the_first_edition_is_the_next_whose_slot_lies_ahead(now: datetime, days: str, first: date | None) -> None:
    """Its audience is frozen at the slot, so a draft that is there already keeps nobody out."""
    assert first_date(now, time(6, 0), "UTC", days) == first


def test_one_press_confirms_all_that_was_asked_for(house: House) -> None:
    several(house)
    link = asked_for(house, MORNING_POST, EVENING_POST)
    page = house.browser.get(link)
    assert len(page_of(page).xpath("//blockquote")) == 2
    assert buttons_of(page) == ["Yes, send me these"]
    done = press(house.app.test_client(use_cookies=False), page, "Yes, send me these")
    assert done.status_code == 200
    assert titles_of(done)[1] == "Welcome"
    assert state_of(house) == [SubscriptionState.ACTIVE] * 2
    before = everything(house)
    again = house.browser.post(link)
    assert titles_of(again)[1] == "You are a reader already"
    assert everything(house) == before


def test_the_page_of_welcome_leads_to_the_preferences(house: House) -> None:
    newsroom.found(house)
    done = house.browser.post(asked_for(house, MORNING_POST))
    (link,) = page_of(done).xpath("//a[starts-with(@href, '/preferences/')]/@href")
    assert titles_of(house.browser.get(link))[1] == "Your preferences"


def test_that_the_latest_edition_comes_at_once_is_said_only_when_there_is_one(house: House) -> None:
    newsroom.sending(house, "bob@example.org")
    done = house.browser.post(asked_for(house, MORNING_POST))
    assert "on its way to you at this moment" in done.text
    house.later(days=3)
    done = house.browser.post(asked_for(house, MORNING_POST, address="carl@example.org"))
    assert "on its way" not in done.text


def test_an_expired_link_offers_a_new_mail_with_one_button(house: House) -> None:
    several(house)
    link = asked_for(house, MORNING_POST, EVENING_POST, slot="3")
    house.work()
    house.later(days=7, minutes=1)
    page = house.browser.get(link)
    assert page.status_code == 410
    assert buttons_of(page) == ["Send me a new link"]
    assert ANN in words_of(page)
    before = count(house, SignUpRequest)
    answer = press(house.browser, page, "Send me a new link")
    assert answer.status_code == 200
    assert titles_of(answer)[1] == "Check your inbox"
    assert count(house, SignUpRequest) == before + 1
    assert wishes_of(house) == [(MORNING_POST, "06:30 Tokyo"), (EVENING_POST, "06:00 UTC")]
    house.work()
    assert len(house.inbox.of(ANN)) == 2
    assert house.browser.post(link_in(house, ANN, "/confirm/")).status_code == 200
    assert state_of(house) == [SubscriptionState.ACTIVE] * 2


def test_the_one_button_is_capped_like_any_form(house: House) -> None:
    newsroom.found(house)
    link = asked_for(house, MORNING_POST)
    house.later(days=7, minutes=1)
    page = house.browser.get(link)
    for _ in range(5):
        press(house.browser, page, "Send me a new link")
        house.work()
    assert len(house.inbox.of(ANN)) == 1
    for _ in range(15):
        press(house.browser, page, "Send me a new link")
    assert press(house.browser, page, "Send me a new link").status_code == 429


def test_a_near_miss_that_was_right_is_not_doubted_again_by_the_one_button(house: House) -> None:
    newsroom.found(house)
    link = asked_for(house, MORNING_POST, address="ann@gmial.com", as_typed="yes")
    house.later(days=7, minutes=1)
    assert press(house.browser, house.browser.get(link), "Send me a new link").status_code == 200


def test_a_link_whose_request_is_erased_by_now_offers_the_form(house: House) -> None:
    several(house)
    link = asked_for(house, EVENING_POST)
    house.later(days=7, minutes=1)
    with house.app.app_context():
        housekeeping.tidy(house.now)
    for answer in (house.browser.get(link), house.browser.post(link)):
        assert answer.status_code == 410
        assert ANN not in words_of(answer)
        assert titles_of(answer)[1] == "This link has run out"


def test_an_old_link_never_shows_or_confirms_the_request_of_somebody_else(either_house: House) -> None:
    """A request's id must not be given out again when the request was erased: the link of the old one would open it."""
    house = either_house
    newsroom.found(house)
    old = asked_for(house, MORNING_POST, address="old@example.org")
    house.later(days=7, minutes=1)
    with house.app.app_context():
        housekeeping.tidy(house.now)
    assert count(house, SignUpRequest) == 0
    asked_for(house, MORNING_POST, address="new@example.org")
    for answer in (house.browser.get(old), house.browser.post(old)):
        assert answer.status_code == 410
        assert "new@example.org" not in words_of(answer)
    assert count(house, Subscriber) == 0


def test_who_left_since_is_told_so_and_asked_again_with_one_button(house: House) -> None:
    newsroom.found(house)
    link = asked_for(house, MORNING_POST)
    house.browser.post(link)
    newsroom.Paper(house, 1, MORNING_POST, 1).leave(ANN)
    for answer in (house.browser.get(link), house.browser.post(link)):
        assert titles_of(answer)[1] == "You have left since"
        assert buttons_of(answer) == ["Send me a new link"]
        assert "/preferences/" not in answer.text
    assert state_of(house) == [SubscriptionState.UNSUBSCRIBED]


def test_a_refused_confirmation_names_whom_to_write_to(house: House) -> None:
    newsroom.found(house, reply_to="desk@example.org")
    link = asked_for(house, MORNING_POST)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    before = everything(house)
    answer = house.browser.post(link)
    assert answer.status_code == 403
    assert "mailto:desk@example.org" in answer.text
    assert buttons_of(answer) == []
    assert everything(house) == before


def test_a_damaged_link_says_what_to_do(house: House) -> None:
    several(house)
    for token in ("x", "%00", "x" * 5000, house.links.make(Purpose.UNSUBSCRIBE, 1)):
        for method in ("GET", "POST"):
            answer = house.browser.open(f"/confirm/{token}", method=method)
            assert answer.status_code == 404
            assert "nothing is lost" in answer.text


# Many, hasty and strange


def test_ten_identical_submits_at_once_make_one_mail_and_one_reader(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    assert at_once(10, lambda _: sign_up(house).status_code) == [200] * 10
    house.work()
    assert len(house.inbox.of(ANN)) == 1
    link = link_in(house, ANN, "/confirm/")
    assert at_once(10, lambda _: house.browser.post(link).status_code) == [200] * 10
    house.work()
    assert count(house, Subscriber) == count(house, Subscription) == 1
    assert [mail.subject for mail in house.inbox.of(ANN)[1:]] == ["Welcome to Morning Post"]


STRANGE: dict[str, dict[str, object]] = {
    "a megabyte": {"data": {"email": ANN, "newsletter": MORNING_POST, "page_url": "x" * 2**20}},
    "a megabyte of fields": {"data": {f"f{n}": "x" * 100 for n in range(9000)}},
    "JSON": {"json": {"email": ANN, "newsletter": MORNING_POST}},
    "plain text": {"data": f"email={ANN}&newsletter=morning-post", "content_type": "text/plain"},
    "XML": {"data": "<email>ann@example.org</email>", "content_type": "application/xml"},
    "broken multipart": {
        "data": b"--x\r\nContent-Disposition: form-da",
        "content_type": "multipart/form-data; boundary=x",
    },
    "no octets": {"data": b"", "content_type": "application/x-www-form-urlencoded"},
    "octets that are no text": {
        "data": b"email=%ff%fe&newsletter=%ff",
        "content_type": "application/x-www-form-urlencoded",
    },
    "a file": {"data": {"email": (BytesIO(b"ann@example.org"), "ann.txt"), "newsletter": MORNING_POST}},
    "a thousand newsletters": {"data": {"email": ANN, "newsletter": [MORNING_POST] * 1000 + ["x" * 999]}},
    "a slot like no number": {"data": {"email": "ann", "newsletter": MORNING_POST, "slot": ["9" * 5000, "-1", "x"]}},
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_form_gets_a_clear_sentence_and_saves_nothing(house: House, kind: str) -> None:
    newsroom.found(house)
    before = everything(house)
    answer = house.browser.post("/subscribe", **STRANGE[kind])  # type: ignore[arg-type]
    assert 400 <= answer.status_code < 500
    assert titles_of(answer)[1]
    assert len(answer.data) < 30_000, "it is not sent back whole"
    assert everything(house) == before


AWKWARD = {
    '"ann lee"@example.org': 422,
    "ann+news@example.org": 200,
    "ann@bücher.example": 200,
    "ann@xn--bcher-kva.example": 200,
    "a" * 64 + "@example.org": 200,
    "a" * 65 + "@example.org": 422,
    "ann@example.org.": 422,
    "ann@example..org": 422,
    "ann@example": 422,
    "ａｎｎ@example.org": 422,
    "ann@ｅｘａｍｐｌｅ.org": 200,
    "ann@exam\0ple.org": 422,
    "ann@example.org\r\nBcc: all@example.org": 422,
    "ann\u202e@example.org": 422,
    "<ann@example.org>": 422,
    "Ann <ann@example.org>": 422,
    "ann@[192.0.2.1]": 422,
    "ann@localhost": 422,
    "ann@example.org,bob@example.org": 422,
    "=?utf-8?q?ann?=@example.org": 422,
    "@": 422,
    "x" * 100_000: 422,
}


@pytest.mark.parametrize("address", AWKWARD, ids=[repr(one[:40]) for one in AWKWARD])
def test_an_awkward_address_is_taken_or_refused_in_a_clear_sentence(house: House, address: str) -> None:
    newsroom.found(house)
    answer = sign_up(house, address)
    assert answer.status_code == AWKWARD[address]
    assert count(house, SignUpRequest) == (answer.status_code == 200)
    if answer.status_code == 422:
        assert "e-mail address" in error_of(answer, "email-morning-post")


def test_every_public_link_by_get_and_head_changes_nothing(either_house: House) -> None:
    house = either_house
    several(house)
    link = asked_for(house, MORNING_POST)
    before = everything(house)
    for path in ("/", "/subscribe", "/subscribe?newsletter=morning-post", "/preferences/", link):
        for method in ("GET", "HEAD") * 3:
            assert house.browser.open(path, method=method).status_code == 200
    assert everything(house) == before


# The small sum


def solved(page: TestResponse) -> str:
    """What the page's script sends."""
    (form,) = page_of(page).xpath("//form[@data-challenge]")
    sum_ = json.loads(unescape(form.get("data-challenge")))
    number = next(
        n
        for n in range(sum_["maxnumber"] + 1)
        if sha256(f"{sum_['salt']}{n}".encode()).hexdigest() == sum_["challenge"]
    )
    answer = {name: sum_[name] for name in ("algorithm", "challenge", "salt", "signature")} | {"number": number}
    return b64encode(json.dumps(answer).encode()).decode()


def test_a_sum_is_asked_for_and_solving_it_goes_on_with_all_that_was_typed(
    build_house: BuildHouse, sqlite_url: str
) -> None:
    house = build_house(sqlite_url, sign_up=SignUpConfig(challenge="always"))
    several(house)
    sent = {"email": ANN, "newsletter": [MORNING_POST, EVENING_POST], "slot": "3"}
    page = house.browser.post("/subscribe", data=sent)
    assert page.status_code == 429
    assert count(house, SignUpRequest) == 0
    assert primary_buttons_of(page) == ["Go on"]
    assert page_of(page).xpath("//script/@src") == ["/static/proof.js"]
    unsolved = press(house.browser, page, "Go on")
    assert unsolved.status_code == 429
    assert press(house.browser, page, "Go on", altcha="bm90aGluZw==").status_code == 429
    assert count(house, SignUpRequest) == 0
    proof = solved(unsolved)
    assert press(house.browser, unsolved, "Go on", altcha=proof).status_code == 200
    assert wishes_of(house) == [(MORNING_POST, "06:30 Tokyo"), (EVENING_POST, "06:00 UTC")]
    assert press(house.browser, unsolved, "Go on", altcha=proof).status_code == 429, "it opens the form once"
    assert count(house, SignUpRequest) == 1


def test_a_form_that_was_sent_sooner_than_a_person_could_gets_the_sum(house: House) -> None:
    newsroom.found(house)
    page = house.browser.get("/")
    hasty = press(house.browser, page, "Sign Up Now", email=ANN)
    assert hasty.status_code == 429
    assert count(house, SignUpRequest) == 0
    house.later(seconds=3)
    assert press(house.browser, page, "Sign Up Now", email=ANN).status_code == 200


def test_over_the_cap_of_a_network_comes_the_sum_and_not_a_refusal(house: House) -> None:
    newsroom.found(house)
    for number in range(20):
        assert sign_up(house, f"reader{number}@example.org").status_code == 200
    page = sign_up(house)
    assert page.status_code == 429
    assert titles_of(page)[1] == "One moment"
    assert press(house.browser, page, "Go on", ip=IP, altcha=solved(page)).status_code == 200


def test_without_sums_the_cap_is_told_kindly(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, sign_up=SignUpConfig(challenge="never"))
    newsroom.found(house)
    for number in range(20):
        sign_up(house, f"reader{number}@example.org")
    page = sign_up(house)
    assert page.status_code == 429
    assert titles_of(page)[1] == "Please try again in an hour"
    assert "not saved" in page.text
    assert page.headers["Retry-After"] == "3600"
    assert count(house, SignUpRequest) == 20


def test_a_capped_address_still_sees_the_same_page(house: House) -> None:
    newsroom.found(house)
    sign_up(house)
    house.work()
    assert sign_up(house).status_code == 200
    house.work()
    assert latest_request(house).answer is RequestAnswer.CAPPED
    assert len(house.inbox.of(ANN)) == 1


# What every page is like


def test_every_page_is_small_keeps_its_token_to_itself_and_has_one_primary_button(house: House) -> None:
    several(house)
    link = asked_for(house, MORNING_POST, EVENING_POST)
    pages = {
        "front": house.browser.get("/"),
        "form": house.browser.get("/subscribe?newsletter=morning-post"),
        "doubt": sign_up(house, "ann@gmial.com"),
        "after": sign_up(house, "carl@example.org"),
        "ask": house.browser.get(link),
        "done": house.browser.post(link),
        "already": house.browser.get(link),
        "invalid": house.browser.get("/confirm/x"),
        "expired": house.browser.get(f"/confirm/{house.links.make(Purpose.CONFIRM, 99)}"),
        "lost": house.browser.get("/preferences/"),
    }
    shared = sum((STATIC / name).stat().st_size for name in ("newsletter.css", "zone.js", "favicon.svg"))
    for name, page in pages.items():
        assert len(page.data) + shared < BIGGEST_PAGE, name
        assert page.headers["Referrer-Policy"] == "no-referrer", name
        assert page.headers["Cache-Control"] == "no-store", name
        assert len(primary_buttons_of(page)) <= 1, name
        assert len(page_of(page).xpath("//h1")) == 1, name
        assert len(set(page_of(page).xpath("//@id"))) == len(page_of(page).xpath("//@id")), name
        if name not in ("front", "form"):
            assert page_of(page).xpath("//meta[@name='robots']/@content") == ["noindex"], name
        assert page_of(page).xpath("//script[not(@src)] | //style | //*[@style] | //@onclick") == [], name


def test_the_consent_of_a_form_is_kept_word_for_word_with_its_page(house: House) -> None:
    newsroom.found(house)
    page = house.browser.get("/subscribe")
    house.later(seconds=5)
    press(house.browser, page, "Sign Up Now", email=ANN)
    house.work()
    confirm = house.browser.get(link_in(house, ANN, "/confirm/"))
    press(house.browser, confirm, "Yes, send me")
    requested, confirmed = story_of(house)
    with house.app.app_context():
        shown = page_of(page).xpath("string(//p[@class='small-print'])")
        for event in (requested, confirmed):
            assert db.session.merge(event, load=False).sign_up_text.text == shown
    assert (requested.ip, requested.page_url) == (IP, f"{SITE}/subscribe")
    assert form_of(page, "Sign Up Now").get("method") == "post"
