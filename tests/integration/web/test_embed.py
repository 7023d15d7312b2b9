"""The sign-up box on other sites: the frame, the script and its answers, and the codes that staff paste."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from werkzeug.test import TestResponse

from newsletter.foundation.audit import COMMAND
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter
from newsletter.newsletters.settings import SettingInvalid
from newsletter.subscribers.models import SignUpRequest
from newsletter.web.admin.box import codes
from tests.conftest import House
from tests.integration.subscribers import ANN, IP, MORNING_POST, count, latest_request
from tests.support import newsroom

PAPER = "https://www.paper.example"


def ask_by_script(house: House, address: str = ANN, site: str = PAPER, **fields: str) -> TestResponse:
    return house.browser.post(
        f"/embed/{MORNING_POST}",
        data={"email": address, "page_url": f"{site}/story", "newsletter": MORNING_POST} | fields,
        headers={"Accept": "application/json", "Origin": site},
        environ_overrides={"REMOTE_ADDR": IP},
    )


@pytest.fixture
def house_with_a_site(house: House) -> House:
    newsroom.found(house, sites=PAPER)
    return house


def test_a_site_that_is_named_signs_readers_up_by_script(house_with_a_site: House) -> None:
    answer = ask_by_script(house_with_a_site)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAPER
    assert "Origin" in answer.headers["Vary"]
    assert "Set-Cookie" not in answer.headers
    assert (answer.json or {})["address"] == ANN
    assert latest_request(house_with_a_site).page_url == f"{PAPER}/story"
    house_with_a_site.work()
    assert len(house_with_a_site.inbox.of(ANN)) == 1


@pytest.mark.parametrize("site", ["https://elsewhere.example", "http://www.paper.example", "null", ""])
def test_any_other_site_is_told_nothing_and_nothing_is_saved(house_with_a_site: House, site: str) -> None:
    answer = ask_by_script(house_with_a_site, site=site)
    assert (answer.status_code, answer.json) == (403, {"state": "elsewhere"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert count(house_with_a_site, SignUpRequest) == 0


def test_our_own_pages_need_not_be_named(house: House) -> None:
    newsroom.found(house)
    assert ask_by_script(house, site="https://news.example.org").status_code == 200


def test_a_mistyped_address_is_told_in_place(house_with_a_site: House) -> None:
    answer = ask_by_script(house_with_a_site, "ann at example.org")
    assert answer.status_code == 422
    assert "ann at example.org" in (answer.json or {})["message"]
    assert count(house_with_a_site, SignUpRequest) == 0


def test_known_and_unknown_addresses_are_answered_alike(house_with_a_site: House) -> None:
    house = house_with_a_site
    first, again = ask_by_script(house), ask_by_script(house)
    house.work()
    known = ask_by_script(house)
    assert first.json == again.json == known.json
    assert len(house.inbox.of(ANN)) == 1


def test_a_machine_that_fills_in_everything_gets_the_same_answer_and_no_mail(house_with_a_site: House) -> None:
    answer = ask_by_script(house_with_a_site, website="https://spam.example")
    assert answer.json == ask_by_script(house_with_a_site).json
    assert count(house_with_a_site, SignUpRequest) == 1


def test_the_caps_hold_here_too(house_with_a_site: House) -> None:
    for number in range(20):
        assert ask_by_script(house_with_a_site, f"p{number}@example.org").status_code == 200
    answer = ask_by_script(house_with_a_site)
    assert (answer.status_code, answer.json) == (429, {"state": "proof"})
    assert answer.headers["Access-Control-Allow-Origin"] == PAPER, "the script has to read it to go the plain way"


def test_the_script_is_small_and_carries_the_newsletter_s_words(house: House) -> None:
    newsroom.found(house, promise='The day in ten stories, </script> & "more"')
    answer = house.browser.get(f"/embed/{MORNING_POST}.js")
    assert answer.mimetype == "text/javascript"
    assert len(answer.data) < 5 * 1024
    assert "Set-Cookie" not in answer.headers
    (words,) = re.findall(r"^const box = (\{.*\});$", answer.text, re.MULTILINE)
    told = json.loads(words)
    assert told["promise"] == 'The day in ten stories, </script> & "more"'
    assert told["embed"] == f"https://news.example.org/embed/{MORNING_POST}"
    assert not re.search(r"https?://(?!news\.example\.org)", answer.text), "it asks nobody else"
    again = house.browser.get(f"/embed/{MORNING_POST}.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_the_frame_may_stand_on_any_page_and_works_without_scripts(house: House) -> None:
    newsroom.found(house)
    page = house.browser.get(f"/embed/{MORNING_POST}")
    assert "frame-ancestors *" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    answer = house.browser.post(f"/embed/{MORNING_POST}", data={"email": ANN}, environ_overrides={"REMOTE_ADDR": IP})
    assert answer.status_code == 200
    assert ANN in answer.text
    assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
    wrong = house.browser.post(f"/embed/{MORNING_POST}", data={"email": "ann at"})
    assert wrong.status_code == 422
    assert 'value="ann at"' in wrong.text


@pytest.mark.parametrize("path", ["/embed/nowhere", "/embed/nowhere.js"])
def test_an_unknown_newsletter_is_told(house: House, path: str) -> None:
    newsroom.found(house)
    assert house.browser.get(path).status_code == 404


@pytest.mark.parametrize("kind", ["script", "frame"])
def test_staff_find_each_code_with_its_words_escaped(house: House, kind: str) -> None:
    newsroom.found(house, name='Rock & "Roll" <b>')
    with house.app.test_request_context():
        code = codes(newsletter(MORNING_POST))[kind]
    assert "<b>" not in code
    assert "https://news.example.org/" in code
    assert 'Rock & "Roll" <b>' in unescape(code)


@pytest.mark.parametrize(
    "sites", ["www.paper.example", "https://paper.example/section", "ftp://paper.example", "https://"]
)
def test_a_site_is_an_origin(house: House, sites: str) -> None:
    newsroom.found(house)
    with house.app.app_context(), pytest.raises(SettingInvalid, match="write sites like"):
        settings.change(MORNING_POST, house.now, COMMAND, sites=sites)
