"""Which language a public page speaks, to whom, and what keeps it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from newsletter.foundation.database import db, transaction
from newsletter.foundation.languages import LANGUAGES
from newsletter.foundation.links import Purpose
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import newsletter
from newsletter.subscribers.models import Subscriber, Subscription, subscriber_at
from newsletter.web import STATIC
from newsletter.web.preferences import NOTES, in_our_words
from newsletter.web.speaking import COOKIE
from tests.conftest import House
from tests.integration.subscribers import ANN, IP, MORNING_POST, latest_request, put_on_the_list, sign_up
from tests.integration.web import in_production, signed_in
from tests.support import newsroom
from tests.support.past import went_out
from tests.support.public_pages import fields_of, page_of, press
from tests.support.tongues import Few, pages_say

GERMAN = {
    "Sign Up Now": "Jetzt anmelden",
    "Sign Up for %(name)s": "%(name)s bestellen",
    "Sign up for %(name)s": "%(name)s hier bestellen",
    "Your e-mail address": "Ihre E-Mail-Adresse",
    "Your preferences": "Ihre Einstellungen",
    "Past editions": "Frühere Ausgaben",
    "Also covered by %(outlets)s": "Auch bei %(outlets)s",
    "Language": "Sprache",
    "Not here": "Nicht hier",
    "Too large": "Zu groß",
    "Something broke": "Etwas ging kaputt",
    "Not this way": "So nicht",
    "“{address}” is not an e-mail address: {problem}": "{problem} So ist „{address}“ keine E-Mail-Adresse.",
    "it has more than one @-sign.": "Da ist mehr als ein @.",
    "The pause cannot end then: {problem}": "Die Pause geht so nicht: {problem}",
    "choose a day after today.": "erst ab morgen.",
    "This address cannot be signed up here. Please write to {contact}.": "Bitte schreiben Sie an {contact}.",
    "Check your inbox": "Sehen Sie in Ihr Postfach",
    "Check your inbox: we have sent a mail to": "Eine Mail ist unterwegs an",
    "another slot": "eine andere Zeit",
    "paused until %(day)s": "Pause bis %(day)s",
}
FRENCH, SPANISH = {"Sign Up Now": "S’abonner"}, {"Sign Up Now": "Suscribirme"}
TO_SIGN_UP = {"Sign Up Now": "en", "Jetzt anmelden": "de", "S’abonner": "fr", "Suscribirme": "es"}


@pytest.fixture(autouse=True)
def words() -> Iterator[None]:
    """What these languages say here, so that a better translation breaks no test."""
    with pages_say({"de": Few(GERMAN), "fr": Few(FRENCH), "es": Few(SPANISH)}):
        yield


def asking_for(language: str) -> dict[str, str]:
    return {"Accept-Language": language}


def spoken_on(answer: TestResponse) -> str:
    """A page says in which language it is, and its button is in it."""
    page = page_of(answer)
    said = str(page.get("lang"))
    buttons = [one.text_content().strip() for one in page.xpath("//button")]
    assert {TO_SIGN_UP[button] for button in buttons if button in TO_SIGN_UP} <= {said}
    return said


def found(house: House, language: str = "en", slug: str = MORNING_POST, **settings: str) -> newsroom.Paper:
    """A newsletter whose own words are in a language."""
    paper = newsroom.found(house, slug, **settings)
    with house.app.app_context(), transaction():
        newsletter(slug).language = language
    return paper


def reader(house: House, language: str = "", own: str = "en", slug: str = MORNING_POST) -> str:
    """Somebody who keeps a language; gives the path of their preferences."""
    found(house, own, slug).readers(ANN)
    with house.app.app_context(), transaction():
        person = subscriber_at(ANN)
        assert person is not None
        person.language = language
        return f"/preferences/{house.links.make(Purpose.PREFERENCES, person.id)}"


def leaving(house: House) -> str:
    with house.app.app_context():
        found = db.session.scalars(sa.select(Subscription)).one()
        return f"/unsubscribe/{house.links.make(Purpose.UNSUBSCRIBE, found.id)}"


# Who gets which


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-at", "de"),
        ("de-AT,en;q=0.9", "de"),
        ("pt-BR,de-CH;q=0.9,en;q=0.7", "de"),
        ("en;q=0.3, fr;q=0.8, de;q=0.5", "fr"),
        ("de;q=0,fr;q=0.1", "fr"),
        ("it,nl;q=0.8", "es"),
        ("it,*;q=0.5", "es"),
        ("*", "es"),
        ("", "es"),
        ("de;q=2,fr;q=x", "es"),
        ("-,;;=,de_DE,q=1,\x7f€", "es"),
        ("x" * 5000, "es"),
        ("de-" + "a-" * 2000, "de"),
    ],
)
def test_a_browser_gets_what_it_likes_best_of_what_we_have_else_the_newsletters_own(
    house: House, wanted: str, spoken: str
) -> None:
    found(house, "es")
    assert spoken_on(house.browser.get("/", headers=asking_for(wanted))) == spoken


@pytest.mark.parametrize(("own", "spoken"), [("de", "de"), ("de-AT", "de"), ("it", "en"), ("en", "en")])
def test_without_a_wish_a_page_speaks_the_newsletters_language_or_english(house: House, own: str, spoken: str) -> None:
    found(house, own)
    assert spoken_on(house.browser.get("/")) == spoken


def test_the_address_goes_before_the_reader_the_cookie_and_the_browser(house: House) -> None:
    link = reader(house, "fr", own="es")
    headers, browser = asking_for("en"), house.browser
    assert spoken_on(browser.get(link)) == "fr"
    assert spoken_on(browser.get("/")) == "es"
    assert spoken_on(browser.get("/", headers=headers)) == "en"
    assert spoken_on(browser.get("/?language=de", headers=headers)) == "de"
    assert spoken_on(browser.get("/", headers=headers)) == "de", "by the cookie"
    assert spoken_on(browser.get(link, headers=headers)) == "fr", "a reader’s own goes before the cookie"
    assert spoken_on(browser.get(f"{link}?language=en", headers=headers)) == "en"


@pytest.mark.parametrize("code", ["tlh", "it", "DE", "de-AT", "../de", "", "\0", "de\r\nSet-Cookie: a=b", "x" * 5000])
def test_a_language_that_we_do_not_have_is_nobodys_choice(house: House, code: str) -> None:
    found(house)
    answer = house.browser.get("/", query_string={"language": code}, headers=asking_for("fr"))
    assert (answer.status_code, spoken_on(answer)) == (200, "fr")
    assert "Set-Cookie" not in answer.headers
    browser = house.browser
    browser.set_cookie(COOKIE, re.sub(r"[^!-~]", "", code)[:100])
    assert spoken_on(browser.get("/", headers=asking_for("fr"))) == "fr"


def test_every_page_behind_a_readers_link_speaks_the_readers_language(house: House) -> None:
    link = reader(house, "de")
    for end in ("", "/address", "/data", "/erase"):
        assert spoken_on(house.browser.get(f"{link}{end}")) == "de", end
    away = leaving(house)
    for method in ("GET", "POST"):
        assert spoken_on(house.browser.open(away, method=method)) == "de"
    assert spoken_on(house.browser.post(f"{away}/reason", data={"reason": ""})) == "de"
    assert spoken_on(house.browser.post(f"{away}/undo")) == "de"


def test_a_confirmation_speaks_the_language_that_was_asked_in_and_then_the_readers(house: House) -> None:
    found(house)
    sign_up(house, headers=asking_for("de"))
    link = f"/confirm/{house.links.make(Purpose.CONFIRM, latest_request(house).id)}"
    stranger = house.app.test_client()
    assert spoken_on(stranger.get(link)) == "de", "on the phone, where the mail is read, no cookie is"
    assert spoken_on(stranger.post(link)) == "de"
    with house.app.app_context(), transaction():
        db.session.scalars(sa.select(Subscriber)).one().language = "fr"
    assert spoken_on(stranger.get(link)) == "fr"


def test_a_change_of_address_speaks_the_language_of_who_moves(house: House) -> None:
    link = reader(house, "de")
    house.browser.post(f"{link}/address", data={"email": "new@example.org"})
    path = f"/change/{house.links.make(Purpose.CHANGE, latest_request(house).id)}"
    stranger = house.app.test_client()
    assert spoken_on(stranger.get(path)) == "de"
    put_on_the_list(house, reason=SuppressionReason.COMPLAINT, address="new@example.org")
    refused = stranger.post(path)
    assert (refused.status_code, spoken_on(refused)) == (403, "de")
    assert "Bitte schreiben Sie an post@example.org." in refused.text


def test_saved_preferences_are_answered_in_the_language_that_was_chosen(house: House) -> None:
    link = reader(house, "fr")
    saved = press(house.browser, house.browser.get(link), "Save", language="de")
    assert spoken_on(saved) == "de"
    assert "Ihre Einstellungen" in saved.text
    assert spoken_on(house.browser.get(link)) == "de"
    assert "Set-Cookie" not in saved.headers
    own = press(house.browser, saved, "Save", language="")
    assert spoken_on(own) == "en", "the newsletter’s own again"


def test_another_button_of_that_page_keeps_the_language_that_it_is_in(house: House) -> None:
    link = reader(house, "fr")
    paused = press(house.browser, house.browser.get(f"{link}?language=de"), "For a week")
    assert spoken_on(paused) == "de"
    with house.app.app_context():
        assert db.session.scalars(sa.select(Subscriber.language)).one() == "fr", "a look is no choice for mails"


# The cookie


def test_only_a_pressed_language_is_kept_in_a_cookie_which_no_script_reads(house: House) -> None:
    found(house)
    for path in ("/", "/editions/", f"/subscribe?newsletter={MORNING_POST}"):
        assert "Set-Cookie" not in house.browser.get(path, headers=asking_for("de")).headers
    assert "Set-Cookie" not in sign_up(house, language="de").headers
    set_ = house.browser.get("/?language=de").headers.getlist("Set-Cookie")
    assert len(set_) == 1
    parts = {part.strip() for part in set_[0].split(";")}
    assert {"language=de", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= parts
    assert "Max-Age=31536000" in parts
    assert not any(part.startswith("Domain") for part in parts)


def test_a_cookie_of_anything_else_is_taken_as_none(house: House) -> None:
    found(house)
    browser = house.browser
    browser.set_cookie(COOKIE, "<script>")
    answer = browser.get("/")
    assert (answer.status_code, spoken_on(answer)) == (200, "en")


# At the foot of a page


def languages_of(answer: TestResponse) -> dict[str, str | None]:
    """The names at the foot with where they lead; the page's own leads nowhere."""
    found: dict[str, str | None] = {}
    for one in page_of(answer).xpath("//footer/nav//li/*"):
        assert (one.get("href") is None) == (one.get("aria-current") == "true")
        found[one.text] = one.get("href")
    return found


def test_a_page_leads_to_itself_in_every_language(house: House) -> None:
    found(house)
    found(house, slug="evening-post")
    answer = house.browser.get("/subscribe?newsletter=morning-post&newsletter=evening-post&language=de")
    assert page_of(answer).xpath("//footer/nav/@aria-label") == ["Sprache"]
    links = languages_of(answer)
    assert list(links) == ["English", "Deutsch", "Français", "Español", "日本語"]
    assert links["Deutsch"] is None
    assert links["Français"] == "?newsletter=morning-post&newsletter=evening-post&language=fr"
    for name, code in (("Français", "fr"), ("Español", "es"), ("日本語", "ja")):
        (link,) = page_of(answer).xpath(f"//a[.='{name}']")
        assert (link.get("lang"), link.get("hreflang")) == (code, code)
        shown = house.browser.get(f"/subscribe{links[name]}")
        assert page_of(shown).get("lang") == code
        assert len(page_of(shown).xpath("//input[@name='newsletter'][@type='checkbox']")) == 2


def test_an_answer_to_a_form_leads_to_no_page_that_is_not_there(house: House) -> None:
    link = reader(house)
    assert languages_of(sign_up(house, "new@example.org")) == {}
    assert languages_of(sign_up(house, "ann at")) == {}
    assert languages_of(press(house.browser, house.browser.get(link), "Save")) == {}


def test_hostile_words_in_an_address_stay_words_in_its_links(house: House) -> None:
    found(house)
    hostile = '"><script>alert(1)</script>&language=de'
    answer = house.browser.get("/", query_string={"a": hostile, hostile: "\0", "language": "fr"})
    assert "<script>alert" not in answer.text
    for href in filter(None, languages_of(answer).values()):
        assert re.fullmatch(r"\?[\w%.+=&-]+", href)
        assert len(parse_qs(urlsplit(href).query)["language"]) == 1


# What may be kept by others


ARCHIVE = "/editions/morning-post/2026-03-03"


def of_the_browser(answer: TestResponse) -> bool:
    """Whether another browser, or the same one later, may be told something else."""
    said = set(answer.vary)
    return "Accept-Language" in said and "Cookie" in said


def test_what_depends_on_the_browser_says_so_and_what_does_not_may_be_kept_for_all(house: House) -> None:
    paper = found(house, sites="https://www.paper.example")
    went_out(paper, date(2026, 3, 3))
    for path in ("/", "/editions/", ARCHIVE, "/subscribe", "/nowhere"):
        assert of_the_browser(house.browser.get(path)), path
    for path in ("/look/morning-post.css", "/feed.xml", "/editions/morning-post/feed.json", "/healthz"):
        assert not of_the_browser(house.browser.get(path)), path
    for path in (f"{ARCHIVE}?language=de", "/embed/morning-post", "/embed/morning-post.js", "/static/newsletter.css"):
        assert not of_the_browser(house.browser.get(path, buffered=True)), path


def test_a_kept_page_is_not_shown_to_who_has_chosen_another_language_since(house: House) -> None:
    went_out(found(house), date(2026, 3, 3))
    browser = house.browser
    first = browser.get(ARCHIVE)
    assert first.cache_control.max_age == 0, "the browser asks again, because the cookie may have changed"
    assert first.cache_control.s_maxage == 300
    tag = {"If-None-Match": first.headers["ETag"]}
    again = browser.get(ARCHIVE, headers=tag)
    assert (again.status_code, of_the_browser(again)) == (304, True)
    browser.get(f"{ARCHIVE}?language=de")
    other = browser.get(ARCHIVE, headers=tag)
    assert (other.status_code, page_of(other).get("lang")) == (200, "de")
    german = house.app.test_client().get(ARCHIVE, headers=asking_for("de"))
    assert german.headers["ETag"] == other.headers["ETag"] != first.headers["ETag"]


def test_a_feed_speaks_the_newsletters_language_whoever_fetches_it(house: House) -> None:
    other = {"story_id": None, "outlet": "Ridge Courier", "title": "x", "url": "https://a.example/"}
    paper = found(house, "de")
    went_out(paper, date(2026, 3, 3), items=[{"headline": "Hafenbrücke gesperrt", "also_covered": [other]}])
    for path in ("/feed.xml", "/editions/morning-post/feed.json"):
        answers = [house.browser.get(path, headers=asking_for(language)) for language in ("fr", "de", "")]
        assert len({answer.data for answer in answers}) == 1
        assert "Auch bei" in answers[0].text, path


# What a form sends on


def test_a_sign_up_keeps_the_language_that_the_page_was_in(house: House) -> None:
    found(house)
    page = house.app.test_client().get("/?language=de")
    press(house.app.test_client(use_cookies=False), page, "Jetzt anmelden", email=ANN, made=None)
    assert latest_request(house).language == "de", "by the form alone, where cookies are off"
    sign_up(house, "bob@example.org", headers=asking_for("fr-CA,en;q=0.5"))
    assert latest_request(house).language == "fr"
    sign_up(house, "eva@example.org", headers=asking_for("it"))
    assert latest_request(house).language == "", "the newsletter’s own"
    browser = house.browser
    browser.get("/?language=es")
    browser.post("/subscribe", data={"email": "joe@example.org"}, headers=asking_for("fr"))
    assert latest_request(house).language == "es"


def test_what_is_asked_for_on_other_pages_keeps_it_too(house: House) -> None:
    link = reader(house, "de")
    house.browser.post("/preferences/", data={"email": ANN, "language": "fr"})
    assert latest_request(house).language == "fr"
    press(house.browser, house.browser.get(f"{link}/address"), "Send a mail", email="new@example.org", made=None)
    assert latest_request(house).language == "de"


def test_a_question_in_between_loses_no_language(house: House) -> None:
    found(house)
    stranger = house.app.test_client(use_cookies=False)
    page = stranger.get("/?language=de")
    doubt = press(stranger, page, "Jetzt anmelden", email="ann@gmial.com", made=None)
    assert spoken_on(doubt) == "de"
    done = press(stranger, doubt, "ann@gmail.com")
    assert (spoken_on(done), latest_request(house).language) == ("de", "de")
    hasty = press(stranger, page, "Jetzt anmelden", email=ANN)
    assert (hasty.status_code, spoken_on(hasty)) == (429, "de")
    house.later(seconds=5)
    assert spoken_on(press(stranger, hasty, "Go on")) == "de"
    assert latest_request(house).language == "de"


def test_a_page_that_only_speaks_the_newsletters_own_sends_no_choice_on(house: House) -> None:
    found(house, "de")
    page = house.browser.get("/")
    assert spoken_on(page) == "de"
    assert "language" not in fields_of(page, "Jetzt anmelden")
    press(house.browser, page, "Jetzt anmelden", email=ANN, made=None)
    assert latest_request(house).language == ""


# Errors


def test_an_error_is_told_in_the_readers_language(house: House) -> None:
    found(house)
    wrong = sign_up(house, "ann@b@c.org", headers=asking_for("de"))
    assert "Da ist mehr als ein @. So ist „ann@b@c.org“ keine E-Mail-Adresse." in wrong.text
    assert "„{problem}@b@c.org“" in sign_up(house, "{problem}@b@c.org", headers=asking_for("de")).text
    link = reader(house, "de", slug="evening-post")
    pause = house.browser.post(f"{link}/pause", data={"until": "2026-03-01"})
    assert "Die Pause geht so nicht: erst ab morgen." in pause.text
    put_on_the_list(house, reason=SuppressionReason.COMPLAINT)
    refused = press(house.browser, house.browser.get(link), "Save", newsletter=["1", "2"])
    assert "Bitte schreiben Sie an post@example.org." in refused.text


def test_error_pages_speak_to_readers_in_their_language_and_to_staff_in_english(house: House) -> None:
    found(house)
    browser = house.browser
    for path in ("/nowhere", "/subscribe?newsletter=nobody", "/embed/nowhere", f"/pictures/{'a' * 32}-600.jpg"):
        answer = browser.get(path, headers=asking_for("de"))
        assert (answer.status_code, spoken_on(answer)) == (404, "de"), path
        assert "Nicht hier" in answer.text
    assert "So nicht" in browser.put("/subscribe", headers=asking_for("de")).text
    assert spoken_on(browser.get("/nowhere?language=fr")) == "fr"
    staff = signed_in(house)
    for path in ("/admin/nowhere", "/admin/newsletters/nobody/box", "/admin/", "/admin/subscribers"):
        answer = staff.get(path, headers=asking_for("de"), query_string={"language": "de"})
        assert spoken_on(answer) == "en", path
        assert languages_of(answer) == {}
        assert "language=" not in answer.headers.get("Set-Cookie", "")


def test_a_fault_of_ours_is_told_in_the_browsers_language(house: House) -> None:
    found(in_production(house))
    with house.app.app_context(), transaction() as session:
        session.execute(sa.text("ALTER TABLE newsletters RENAME TO elsewhere"))
    for headers, spoken in ((asking_for("de"), "de"), ({}, "en")):
        answer = house.browser.get("/", headers=headers)
        assert (answer.status_code, spoken_on(answer)) == (500, spoken)


OVERSIZED: list[dict[str, Any]] = [
    {"data": {"email": "a" * 300_000, "language": "fr"}},
    {"data": {"email": "a" * 300_000, "language": "fr"}, "content_type": "multipart/form-data"},
]
MALFORMED: list[dict[str, Any]] = [
    {"data": b"--x\r\nContent-Disp", "content_type": "multipart/form-data; boundary=x"},
    {"data": b"\xff\xfe%zz&language=%ff&=&&&", "content_type": "application/x-www-form-urlencoded"},
    {"data": b'{"language": "fr"}', "content_type": "application/json"},
    {"data": b"", "content_type": "multipart/form-data"},
]


@pytest.mark.parametrize("sent", OVERSIZED + MALFORMED)
@pytest.mark.parametrize("path", ["/subscribe", "/preferences/", "/embed/morning-post", "/confirm/x", "/unsubscribe/x"])
def test_a_form_that_cannot_be_read_breaks_no_choice(house: House, path: str, sent: dict[str, Any]) -> None:
    found(house)
    for address, spoken in ((f"{path}?language=de", "de"), (path, "en" if "embed" in path else "es")):
        browser = house.app.test_client(use_cookies=False)
        answer = browser.post(address, headers=asking_for("es"), **sent)
        assert answer.status_code in (404, 413, 422)
        assert spoken_on(answer) == spoken


# The box on other sites


def test_a_box_speaks_its_newsletters_language_whatever_the_visitors(house: House) -> None:
    found(house, "de", sites="https://www.paper.example")
    browser = house.browser
    browser.get("/?language=fr")
    assert spoken_on(browser.get("/embed/morning-post", headers=asking_for("es"))) == "de"
    script = house.browser.get("/embed/morning-post.js", headers=asking_for("es")).text
    for said in (
        '"label": "Ihre E-Mail-Adresse"',
        '"heading": "Morning Post bestellen"',
        '"lang": "de"',
        '"dir": "ltr"',
    ):
        assert said in script
    wrong = _by_script(house, "ann@b@c.org")
    assert (wrong.json or {})["message"] == "Da ist mehr als ein @. So ist „ann@b@c.org“ keine E-Mail-Adresse."
    assert (_by_script(house, ANN).json or {})["lead"] == "Eine Mail ist unterwegs an"
    assert latest_request(house).language == "", "its own, for the mails too"


def test_a_box_whose_address_names_a_language_speaks_that(house: House) -> None:
    found(house, sites="https://www.paper.example")
    frame = house.browser.get("/embed/morning-post?language=de")
    assert spoken_on(frame) == "de"
    assert "Set-Cookie" not in frame.headers
    answer = house.browser.post("/embed/morning-post?language=de", data={"email": ANN})
    assert (spoken_on(answer), latest_request(house).language) == ("de", "de")
    assert page_of(answer).xpath("//a/@href") == ["/embed/morning-post?language=de"]
    script = house.browser.get("/embed/morning-post.js?language=de").text
    assert '"language": "de"' in script
    assert len(script.encode()) < 5 * 1024
    assert (_by_script(house, "bob@example.org", language="de").json or {})["lead"] == "Eine Mail ist unterwegs an"
    assert latest_request(house).language == "de"
    assert '"language": ""' in house.browser.get("/embed/morning-post.js").text


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_script_stays_small_in_every_language_that_we_really_have(house: House, code: str) -> None:
    found(house, promise="The ten stories that matter, each told once, on your table at six.")
    with pages_say({}):
        script = house.browser.get(f"/embed/morning-post.js?language={code}")
    assert len(script.data) < 5 * 1024


def test_the_codes_that_staff_paste_are_in_the_newsletters_language_on_a_page_in_english(house: House) -> None:
    found(house, "de")
    page = signed_in(house).get("/admin/newsletters/morning-post/box", headers=asking_for("fr"))
    assert page_of(page).get("lang") == "en"
    script, frame, form = page_of(page).xpath("//textarea/text()")
    assert ">Morning Post hier bestellen</a>" in script
    assert 'title="Morning Post hier bestellen"' in frame
    assert "<button>Jetzt anmelden</button>" in form
    assert "en, de, fr, es or ja" in page.text, "what their addresses may name"


def _by_script(house: House, address: str, **fields: str) -> TestResponse:
    return house.browser.post(
        f"/embed/{MORNING_POST}",
        data={"email": address} | fields,
        headers={"Accept": "application/json", "Origin": "https://www.paper.example"},
        environ_overrides={"REMOTE_ADDR": IP},
    )


# A newsletter's own words


def test_a_newsletters_own_words_say_in_which_language_they_are_where_the_page_speaks_another(house: House) -> None:
    found(house, "de-AT", tagline="Was zählt", promise="Zehn Geschichten um sechs.")
    page = page_of(house.browser.get("/?language=fr"))
    for words in ("Was zählt", "Zehn Geschichten um sechs.", "Morning Post"):
        said = page.xpath(f"//body//*[text()='{words}']")
        assert {(one.get("lang"), one.get("dir")) for one in said} == {("de-AT", "ltr")}, words
    german = page_of(house.browser.get("/?language=de"))
    assert {one.get("lang") for one in german.xpath("//p[@class='tagline']")} == {"de-AT"}


def test_on_a_page_of_the_same_language_nothing_is_said_twice(house: House) -> None:
    found(house, tagline="All that matters")
    page = page_of(house.browser.get("/"))
    assert page.xpath("//main//@lang | //header//@lang") == []


def test_stories_are_told_in_their_own_direction_with_our_words_in_ours(house: House) -> None:
    other = {"story_id": None, "outlet": "رسالة", "title": "x", "url": "https://a.example/"}
    paper = found(house, "ar")
    went_out(paper, date(2026, 3, 3), items=[{"headline": "أهلا", "also_covered": [other]}])
    page = page_of(house.browser.get(f"{ARCHIVE}?language=de"))
    assert (page.get("lang"), page.get("dir")) == ("de", "ltr")
    (stories,) = page.xpath("//div[@class='past']")
    assert (stories.get("lang"), stories.get("dir")) == ("ar", "rtl")
    (ours,) = stories.xpath(".//span[@lang='de'][@dir='ltr'][contains(., 'Auch bei')]")
    assert [(one.text, one.get("lang")) for one in ours.iter("a")] == [("رسالة", "ar")]


def test_notes_in_ones_data_are_translated_and_what_a_person_wrote_is_not(house: House) -> None:
    link = reader(house, "de")
    house.browser.post(f"{link}/pause", data={"until": "2026-03-10"})
    shown = house.browser.get(f"{link}/data").text
    assert "Pause bis Dienstag, 10. März 2026" in shown
    with house.app.test_request_context("/?language=de"):
        assert in_our_words("another slot") == "eine andere Zeit"
        assert in_our_words("Called us on Monday") == "Called us on Monday"
        assert in_our_words("") == ""


def test_every_note_that_we_write_is_known_to_the_page_that_translates_it() -> None:
    folder = STATIC.parent / "subscribers"
    written = " ".join((folder / name).read_text("utf-8") for name in ("preferences.py", "consent.py", "bulk.py"))
    assert all(f'"{note}"' in written for note in NOTES)


# The look


def test_no_rule_of_our_sheet_knows_left_from_right() -> None:
    """What a script from right to left would turn round is said by start and end."""
    sheet = re.sub(r"/\*.*?\*/", "", (STATIC / "newsletter.css").read_text("utf-8"), flags=re.DOTALL)
    assert re.findall(r"[\w-]*\b(?:left|right)\b[^;]*;", sheet) == []
    four = re.findall(
        r"((?:padding|margin|inset|border-width): *\S+ (\S+) \S+ (\S+));", re.sub(r"\([^()]*\)", "()", sheet)
    )
    assert [rule for rule, right, left in four if right != left] == []
