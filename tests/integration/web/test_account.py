"""One's own account in the browser: signing in with two things, proving it again, and what one sets up."""

from __future__ import annotations

import json
import re
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa
from lxml import html
from werkzeug.test import TestResponse

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.staff import codes, managing, signing_in
from newsletter.staff.models import Passkey, Role, SignInLink, Staff, StaffSession
from newsletter.web.admin.access import decision_of
from tests.conftest import House
from tests.integration.subscribers import ANN, SITE, became_reader, count, everything, words_of
from tests.integration.web import Desk, in_production, signed_in, visitor
from tests.support import newsroom
from tests.support.authenticator import SoftKey
from tests.support.forms import open_page
from tests.support.hashing import hash_quickly

OLIVE, PASSWORD, NEW = "olive@example.org", "correct horse battery staple", "ferry lantern cactus monday"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_quickly(monkeypatch)


def hire(house: House, role: Role = Role.OWNER, address: str = OLIVE) -> int:
    with house.app.app_context():
        return signing_in.add(address, role, house.now, COMMAND, PASSWORD).id


def types(house: House, password: str = PASSWORD, address: str = OLIVE, query: str = "") -> tuple[Desk, TestResponse]:
    """Somebody at the sign-in page, and what it answers."""
    desk = visitor(house)
    return desk, desk.post(f"/admin/sign-in{query}", address=address, password=password)


def with_password(house: House) -> Desk:
    desk, answer = types(house)
    assert answer.status_code == 303
    return desk


def person(house: House) -> Staff:
    with house.app.app_context():
        return db.session.scalars(sa.select(Staff).where(Staff.address == OLIVE)).one()


def shown(house: House) -> str:
    """What Olive's app shows now."""
    with house.app.app_context():
        one = db.session.scalars(sa.select(Staff).where(Staff.address == OLIVE)).one()
        return pyotp.TOTP(codes.secret(one, house.keys)).at(house.now)


def with_codes(house: House) -> list[str]:
    """Olive turns codes on in the browser; gives her recovery codes."""
    desk = with_password(house)
    assert desk.post("/admin/me/codes/begin").headers["Location"] == "/admin/me/codes"
    page = desk.post("/admin/me/codes", code=shown(house))
    house.later(seconds=30)
    return re.findall(r"<code>(\S+)</code>", page.text)


def prompt_of(answer: TestResponse) -> str:
    form = html.document_fromstring(answer.text).xpath("//form[@data-prompt]")[0]
    return str(form.get("data-prompt"))


# Signing in


def test_a_link_by_mail_signs_in_who_forgot_the_password(house: House) -> None:
    hire(house)
    assert visitor(house).post("/admin/sign-in/forgotten", address=" OLIVE@example.org ").status_code == 200
    house.work()
    (mail,) = house.inbox.mails
    link = re.search(r"https://news\.example\.org(/admin/link/\S+)", mail.part("plain"))
    assert link
    desk = visitor(house)
    assert desk.post(link[1]).status_code == 303
    page = open_page(desk, "/admin/me")
    assert "old" not in page.fields("Save the password")
    assert "Your password is changed." in page.after("Save the password", new=NEW).words
    assert types(house, NEW)[1].status_code == 303


def test_nobody_learns_by_asking_for_a_link_who_is_on_the_staff(house: House) -> None:
    hire(house)
    hire(house, address="gone@example.org")
    with house.app.app_context():
        managing.disable(2, house.now, COMMAND)
    answers = set()
    for address in (OLIVE, "gone@example.org", "nobody@example.org"):
        answer = visitor(house).post("/admin/sign-in/forgotten", address=address)
        answers.add((answer.status_code, words_of(answer).replace(address, "…")))
    assert len(answers) == 1
    house.work()
    assert [mail.recipient for mail in house.inbox.mails] == [OLIVE]


def test_three_links_an_hour_go_to_one_person_and_each_of_them_works(house: House) -> None:
    hire(house)
    for _ in range(5):
        visitor(house).post("/admin/sign-in/forgotten", address=OLIVE)
    house.work()
    assert len(house.inbox.mails) == 3
    for mail in house.inbox.mails:
        link = re.search(r"/admin/link/\S+", mail.part("plain"))
        assert link
        assert visitor(house).post(link[0]).status_code == 303
    house.later(hours=1)
    visitor(house).post("/admin/sign-in/forgotten", address=OLIVE)
    assert count(house, SignInLink) == 4


def test_one_network_asks_for_so_many_links_only(house: House) -> None:
    hire(house)
    for number in range(20):
        visitor(house).post("/admin/sign-in/forgotten", address=f"guess{number}@example.org")
    visitor(house).post("/admin/sign-in/forgotten", address=OLIVE)
    assert count(house, SignInLink) == 0


def test_with_codes_a_password_leads_to_one_more_step_and_on_to_where_one_wanted(house: House) -> None:
    hire(house)
    with_codes(house)
    desk, answer = types(house, query="?next=/admin/sources")
    assert answer.headers["Location"] == "/admin/sign-in/code?next=/admin/sources"
    assert not desk.is_in
    wrong = desk.post("/admin/sign-in/code?next=/admin/sources", code="abc")
    assert wrong.status_code == 422
    assert "That code is not right" in wrong.text
    assert not desk.is_in
    right = desk.post("/admin/sign-in/code?next=/admin/sources", code=shown(house))
    assert right.headers["Location"] == "/admin/sources"
    assert desk.is_in


def test_the_one_more_step_is_for_the_browser_that_gave_the_password_and_for_ten_minutes(house: House) -> None:
    hire(house)
    with_codes(house)
    stranger = visitor(house)
    assert stranger.get("/admin/sign-in/code").status_code == 303
    assert stranger.post("/admin/sign-in/code", code=shown(house)).status_code == 303
    assert not stranger.is_in
    desk, _ = types(house)
    house.later(minutes=10)
    assert desk.post("/admin/sign-in/code", code=shown(house)).headers["Location"] == "/admin/sign-in"
    assert not desk.is_in


def test_a_lost_phone_is_made_up_for_by_a_recovery_code(house: House) -> None:
    hire(house)
    recovery = with_codes(house)
    assert len(recovery) == 10
    desk, _ = types(house)
    assert desk.post("/admin/sign-in/code", code=recovery[0]).status_code == 303
    assert desk.is_in
    assert "9 recovery codes left" in open_page(desk, "/admin/me").words


def test_a_passkey_joins_and_signs_in_and_is_removed_in_the_browser(house: House) -> None:
    hire(house)
    desk, key = with_password(house), SoftKey()
    page = desk.get("/admin/me/passkeys/add")
    done = desk.post("/admin/me/passkeys/add", passkey=key.joins(prompt_of(page)), name="My <b>phone</b>")
    assert done.status_code == 303
    assert "My &lt;b&gt;phone&lt;/b&gt;" in desk.get("/admin/me").text
    other = visitor(house)
    signed = other.post("/admin/sign-in", passkey=key.signs(prompt_of(other.get("/admin/sign-in"))))
    assert signed.status_code == 303
    assert other.is_in
    again = visitor(house).post("/admin/sign-in", passkey=key.signs(prompt_of(desk.get("/admin/me/passkeys/add"))))
    assert again.status_code == 422
    assert "does not open this" in again.text
    assert desk.post("/admin/me/passkeys/1/remove").status_code == 303
    assert count(house, Passkey) == 0


# What is set up


def test_the_picture_and_the_letters_say_the_same_and_are_gone_once_codes_are_on(house: House) -> None:
    hire(house)
    desk = with_password(house)
    assert desk.get("/admin/me/codes/picture.svg").status_code == 404
    desk.post("/admin/me/codes/begin")
    page = desk.get("/admin/me/codes")
    secret = "".join(html.document_fromstring(page.text).xpath("//code[@class='secret']/text()")[0].split())
    assert pyotp.TOTP(secret).at(house.now) == shown(house)
    picture = desk.get("/admin/me/codes/picture.svg")
    assert (picture.status_code, picture.mimetype) == (200, "image/svg+xml")
    assert "style=" not in picture.text
    wrong = desk.post("/admin/me/codes", code="12345")
    assert wrong.status_code == 422
    assert desk.post("/admin/me/codes", code=shown(house)).status_code == 200
    assert desk.get("/admin/me/codes/picture.svg").status_code == 404
    assert desk.get("/admin/me/codes").status_code == 303


def test_recovery_codes_are_shown_once_and_can_be_saved(house: House) -> None:
    hire(house)
    recovery = with_codes(house)
    desk, _ = types(house)
    desk.post("/admin/sign-in/code", code=shown(house))
    page = desk.post("/admin/me/codes/recovery")
    new = re.findall(r"<code>(\S+)</code>", page.text)
    assert len(new) == 10
    assert not set(new) & set(recovery)
    assert all(one in page.text.partition('href="data:text/plain')[2] for one in new)
    assert new[0] not in desk.get("/admin/me").text


def test_where_all_must_have_a_second_factor_who_has_none_sets_one_up_first(house: House) -> None:
    hire(house)
    desk = with_password(house)
    assert desk.post("/admin/staff/policy", second_factor="required").status_code == 303
    before = everything(house)
    for path in ("/admin/", "/admin/staff", "/admin/subscribers", "/admin/audit"):
        assert desk.get(path).headers["Location"] == "/admin/me", path
    assert desk.post("/admin/me/sessions/end-others").headers["Location"] == "/admin/me"
    assert everything(house) == before
    assert "Add a passkey or set up codes" in desk.get("/admin/me").text
    desk.post("/admin/me/codes/begin")
    assert desk.post("/admin/me/codes", code=shown(house)).status_code == 200
    assert desk.get("/admin/").status_code == 200
    assert desk.post("/admin/sign-out").status_code == 303


def test_who_must_set_one_up_can_do_so_with_a_passkey_and_can_leave(house: House) -> None:
    hire(house)
    desk = with_password(house)
    desk.post("/admin/staff/policy", second_factor="required")
    other = with_password(house)
    assert other.post("/admin/sign-out").status_code == 303
    key = SoftKey()
    desk.post("/admin/me/passkeys/add", passkey=key.joins(prompt_of(desk.get("/admin/me/passkeys/add"))))
    assert desk.get("/admin/").status_code == 200
    third, answer = types(house)
    assert answer.headers["Location"] == "/admin/sign-in/code"
    page = third.get("/admin/sign-in/code")
    assert 'name="code"' not in page.text
    assert third.post("/admin/sign-in/code", passkey=key.signs(prompt_of(page))).status_code == 303
    assert third.is_in


def test_sessions_are_listed_in_words_and_ended(house: House) -> None:
    hire(house)
    desk, phone = with_password(house), visitor(house)
    firefox = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    data = {"csrf_token": phone.token, "address": OLIVE, "password": PASSWORD}
    remote = {"REMOTE_ADDR": "203.0.113.9"}
    phone.client.post("/admin/sign-in", base_url=SITE, data=data, headers=firefox, environ_overrides=remote)
    page = open_page(desk, "/admin/me")
    assert "Firefox on Linux" in page.words
    assert "203.0.113.9" in page.words
    assert page.words.count("This one") == 1
    assert open_page(desk, "/admin/me").after("Sign it out").words
    assert not phone.is_in
    assert desk.is_in


def test_a_password_is_changed_with_the_old_one(house: House) -> None:
    hire(house)
    desk, elsewhere = with_password(house), with_password(house)
    for fields, words in (
        ({"old": "wrong", "new": NEW}, "That is not your password"),
        ({"old": PASSWORD, "new": "short"}, "at least 10 characters"),
        ({"old": PASSWORD, "new": "1234567890"}, "one of the commonest"),
    ):
        answer = desk.post("/admin/me/password", **fields)
        assert answer.status_code == 422
        assert words in answer.text
        assert PASSWORD not in answer.text
    assert elsewhere.is_in
    assert desk.post("/admin/me/password", old=PASSWORD, new=NEW).status_code == 303
    assert desk.is_in
    assert not elsewhere.is_in


def test_a_first_password_wants_a_fresh_sign_in(house: House) -> None:
    desk = signed_in(house)
    house.later(minutes=11)
    answer = desk.post("/admin/me/password", new=NEW)
    assert answer.status_code == 422
    assert "that was too long ago" in answer.text


# Proving it again


def _ann_and_a_desk(house: House) -> Desk:
    hire(house)
    newsroom.found(house)
    became_reader(house)
    desk = with_password(house)
    house.later(minutes=11)
    return desk


def test_what_cannot_be_undone_asks_again_and_loses_nothing(house: House) -> None:
    desk = _ann_and_a_desk(house)
    before = everything(house)
    asked = desk.post("/admin/subscribers/1/erase", address_typed=ANN)
    assert asked.status_code == 403
    assert "Is it you?" in asked.text
    after = everything(house)
    assert {name for name in after if after[name] != before[name]} <= {"staff_sessions"}, "it was seen, and no more"
    kept = _fields(asked)
    assert kept["address_typed"] == ANN
    wrong = desk.post("/admin/subscribers/1/erase", **kept | {"proof_password": "wrong"})
    assert wrong.status_code == 422
    assert "That is not your password" in wrong.text
    assert _fields(wrong)["address_typed"] == ANN
    assert "wrong" not in _fields(wrong).values()
    done = desk.post("/admin/subscribers/1/erase", **kept | {"proof_password": PASSWORD})
    assert done.headers["Location"] == "/admin/subscribers"
    assert desk.get("/admin/subscribers/1").status_code == 404


def _fields(answer: TestResponse) -> dict[str, Any]:
    form = next(one for one in html.document_fromstring(answer.text).forms if "proof_password" in one.fields)
    return {name: value for name, value in form.fields.items() if name != "csrf_token" and value is not None}


def test_for_ten_minutes_it_is_not_asked_again(house: House) -> None:
    desk = _ann_and_a_desk(house)
    asked = desk.get("/admin/staff/invite")
    assert asked.status_code == 403
    proved = desk.post("/admin/prove?next=/admin/staff/invite", proof_password=PASSWORD)
    assert proved.headers["Location"] == "/admin/staff/invite"
    house.later(minutes=10, seconds=-1)
    assert desk.get("/admin/staff/invite").status_code == 200
    house.later(seconds=1)
    assert desk.get("/admin/staff/invite").status_code == 403


def test_guessing_there_is_as_slow_as_at_the_door(house: House) -> None:
    desk = _ann_and_a_desk(house)
    for _ in range(10):
        desk.post("/admin/subscribers/1/erase", address_typed=ANN, proof_password="wrong")
    answer = desk.post("/admin/subscribers/1/erase", address_typed=ANN, proof_password=PASSWORD)
    assert answer.status_code == 429
    assert "Wait 15 minutes" in answer.text
    assert desk.get("/admin/subscribers/1").status_code == 200


def test_a_code_or_a_passkey_proves_it_too_and_nobody_elses_does(house: House) -> None:
    hire(house)
    with_codes(house)
    desk, key = with_password_and_code(house), SoftKey()
    desk.post("/admin/me/passkeys/add", passkey=key.joins(prompt_of(desk.get("/admin/me/passkeys/add"))))
    house.later(minutes=11)
    assert desk.post("/admin/staff/policy", proof_code="123").status_code == 422
    assert desk.post("/admin/staff/policy", proof_code=shown(house)).status_code == 303
    house.later(minutes=11)
    asked = desk.post("/admin/staff/policy")
    stranger = SoftKey(handle=key.handle)
    assert desk.post("/admin/staff/policy", proof_passkey=stranger.signs(prompt_of(asked))).status_code == 422
    assert desk.post("/admin/staff/policy", proof_passkey=json.dumps({})).status_code == 422
    assert desk.post("/admin/staff/policy", proof_passkey=key.signs(prompt_of(asked))).status_code == 303


def with_password_and_code(house: House) -> Desk:
    desk, _ = types(house)
    assert desk.post("/admin/sign-in/code", code=shown(house)).status_code == 303
    house.later(seconds=30)
    return desk


def test_who_has_nothing_to_prove_it_with_is_told_of_the_link(house: House) -> None:
    desk = signed_in(house)
    house.later(minutes=11)
    page = open_page(desk, "/admin/sign-in/forgotten")
    assert page.status == 200
    answer = desk.post("/admin/staff/policy")
    assert answer.status_code == 403
    assert "/admin/sign-in/forgotten" in answer.text
    assert desk.post("/admin/staff/policy", proof_password="").status_code == 422


def test_every_route_that_opens_much_wants_a_fresh_proof(house: House) -> None:
    wants = {
        rule.endpoint.removeprefix("admin.")
        for rule in house.app.url_map.iter_rules()
        if (decision := decision_of(house.app.view_functions[rule.endpoint])) and decision.again
    }
    assert wants == {
        "erase_subscriber", "export_subscriber", "audit_csv", "delivery_csv", "prove", "start_import", "export_readers",
        "begin_act", "take_back_suppression", "suppressions_csv",
        "invite", "invite_again", "take_back_invitation", "grant", "disable_person", "enable_person",
        "reset_second_factor", "staff_policy",
        "add_passkey", "remove_passkey", "begin_codes", "codes", "codes_picture", "stop_codes", "recovery_codes",
    }  # fmt: skip


def test_a_proof_leads_to_our_own_pages_only(house: House) -> None:
    hire(house)
    desk = with_password(in_production(house))
    for wanted in ("https://evil.example/admin/", "//evil.example/admin/", "javascript:alert(1)//admin/"):
        assert desk.post(f"/admin/prove?next={wanted}").headers["Location"] == "/admin/"


def test_one_session_opens_no_other(house: House) -> None:
    """A token that awaits a code is none, wherever it is put."""
    hire(house)
    with_codes(house)
    desk, _ = types(house)
    assert count(house, StaffSession) == 2
    for path in ("/admin/", "/admin/me", "/admin/me/codes"):
        assert desk.get(path).status_code == 302, path
