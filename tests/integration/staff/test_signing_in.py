"""People of the staff come in by password or by a link that works once; nobody else does, and nobody learns who is on
the staff."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import LinkExpired, LinkInvalid
from newsletter.staff import passwords, sessions, signing_in
from newsletter.staff.guessing import TooManyFailures
from newsletter.staff.models import Role, SignInFailure, SignInLink, Staff, StaffSession
from newsletter.staff.passwords import PasswordTooCommon, PasswordTooShort
from newsletter.staff.sessions import Visit
from newsletter.staff.signing_in import LinkUsed, SignInRefused, StaffExists
from tests.conftest import House
from tests.integration.subscribers import SITE, count, everything
from tests.support.hashing import CountingHasher, hash_quickly
from tests.support.racing import at_once

OLIVE, ED, NOBODY = "olive@example.org", "ed@example.org", "nobody@example.org"
PASSWORD = "correct horse battery staple"
IP = "192.0.2.7"


@pytest.fixture(autouse=True)
def hasher(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    return hash_quickly(monkeypatch)


def hire(house: House, address: str = OLIVE, password: str | None = PASSWORD) -> None:
    with house.app.app_context():
        signing_in.add(address, Role.OWNER, house.now, COMMAND, password)


def make_link(house: House, address: str = OLIVE) -> str:
    """The token of a fresh link."""
    with house.app.app_context():
        return signing_in.make_link(address, house.now, COMMAND, house.links).rpartition("/")[2]


def try_password(house: House, password: str, address: str = OLIVE, ip: str = IP) -> str:
    with house.app.app_context():
        return signing_in.sign_in(address, password, Visit(house.now, ip, "Desk"))


def use_link(house: House, token: str) -> str:
    with house.app.app_context():
        return signing_in.use_link(token, Visit(house.now, IP, "Desk"))


def is_in(house: House, session_token: str) -> bool:
    with house.app.app_context():
        return sessions.session_of(session_token, house.now) is not None


def on_the_page(house: House, address: str, password: str, ip: str = IP) -> TestResponse:
    """Sign in as a person does, in a browser of their own."""
    browser = house.browser
    form = browser.get("/admin/sign-in", base_url=SITE).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert token
    data = {"address": address, "password": password, "csrf_token": token[1]}
    return browser.post("/admin/sign-in", base_url=SITE, data=data, environ_overrides={"REMOTE_ADDR": ip})


def test_the_right_password_opens_a_session(house: House) -> None:
    hire(house)
    assert is_in(house, try_password(house, PASSWORD))
    assert is_in(house, try_password(house, PASSWORD, "  OLIVE@Example.org "))
    with house.app.app_context():
        session = db.session.scalars(sa.select(StaffSession)).first()
        assert session is not None
        assert (session.ip, session.user_agent) == (IP, "Desk")
        assert session.expires_at - session.created_at == timedelta(days=14)
        acts = db.session.scalars(sa.select(AuditRecord.action)).all()
        assert acts == ["staff.add", "staff.sign-in", "staff.sign-in"]


def test_a_wrong_password_opens_nothing(house: House) -> None:
    hire(house)
    guesses = ("", PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "\x00", "é" * 10_000)
    for guess in guesses:
        with pytest.raises(SignInRefused):
            try_password(house, guess)
    assert count(house, StaffSession) == 0
    assert count(house, SignInFailure) == len(guesses)


def test_nobody_learns_who_is_on_the_staff(house: House, hasher: CountingHasher) -> None:
    hire(house)
    hire(house, ED, password=None)
    hire(house, "gone@example.org")
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).where(Staff.address == "gone@example.org").values(disabled_at=house.now))
    answers = []
    for address in (OLIVE, ED, "gone@example.org", NOBODY, "no address"):
        hasher.verified.clear()
        answer = on_the_page(house, address, "wrong password")
        page = re.sub(r'name="csrf_token" value="[^"]+"|data-prompt="[^"]+"', "", answer.text).replace(
            f'value="{address}"', 'value="…"'
        )
        answers.append((answer.status_code, page, len(hasher.verified)))
    assert answers[0][0] == 422
    assert answers[0][2] == 1, "one hash is computed, for whomever"
    assert len(set(answers)) == 1


def test_who_signs_in_by_links_only_has_no_password_to_guess(house: House) -> None:
    hire(house, ED, password=None)
    for guess in ("", "None", "\x00"):
        with pytest.raises(SignInRefused):
            try_password(house, guess, ED)


def test_after_ten_failures_even_the_right_password_waits_a_quarter_of_an_hour(house: House) -> None:
    hire(house)
    for _ in range(10):
        with pytest.raises(SignInRefused):
            try_password(house, "wrong password")
    before = everything(house)
    with pytest.raises(TooManyFailures):
        try_password(house, PASSWORD)
    assert everything(house) == before
    answer = on_the_page(house, OLIVE, PASSWORD)
    assert answer.status_code == 429
    assert "Wait 15 minutes" in answer.text
    house.later(minutes=14, seconds=30)
    assert "Wait a minute" in on_the_page(house, OLIVE, PASSWORD).text
    house.later(seconds=30)
    assert is_in(house, try_password(house, PASSWORD))


def test_the_cap_is_the_same_for_who_is_not_on_the_staff(house: House) -> None:
    hire(house)
    statuses = {
        address: [on_the_page(house, address, "wrong password", ip).status_code for _ in range(11)]
        for address, ip in ((OLIVE, "192.0.2.1"), (NOBODY, "192.0.2.2"))
    }
    assert statuses[OLIVE] == statuses[NOBODY] == [422] * 10 + [429]


def test_one_address_cannot_try_many_accounts(house: House) -> None:
    hire(house)
    for number in range(30):
        with pytest.raises(SignInRefused):
            try_password(house, "wrong password", f"guess{number}@example.org")
    with pytest.raises(TooManyFailures):
        try_password(house, PASSWORD)
    assert is_in(house, try_password(house, PASSWORD, ip="198.51.100.1"))


def test_a_link_still_signs_in_who_is_locked_out(house: House) -> None:
    hire(house)
    for _ in range(10):
        with pytest.raises(SignInRefused):
            try_password(house, "wrong password")
    assert is_in(house, use_link(house, make_link(house)))


def test_looking_at_a_link_does_not_use_it_up(house: House) -> None:
    hire(house)
    token = make_link(house)
    before = everything(house)
    for method in ("GET", "HEAD") * 3:
        assert house.browser.open(f"/admin/link/{token}", method=method).status_code == 200
    assert everything(house) == before
    assert is_in(house, use_link(house, token))


def test_a_link_signs_in_once(house: House) -> None:
    hire(house)
    token = make_link(house)
    use_link(house, token)
    with pytest.raises(LinkUsed):
        use_link(house, token)
    answer = house.browser.get(f"/admin/link/{token}")
    assert answer.status_code == 410
    assert "used already" in answer.text
    assert OLIVE not in answer.text
    assert count(house, StaffSession) == 1


def test_of_five_who_use_a_link_at_once_one_gets_in(either_house: House) -> None:
    house = either_house
    hire(house, password=None)
    token = make_link(house)

    def attempt(_: int) -> bool:
        try:
            return bool(use_link(house, token))
        except LinkUsed:
            return False

    assert sorted(at_once(5, attempt)) == [False] * 4 + [True]
    assert count(house, StaffSession) == 1


def test_a_link_runs_out_after_a_day(house: House) -> None:
    hire(house)
    token, other = make_link(house), make_link(house)
    house.later(hours=24, seconds=-1)
    use_link(house, token)
    house.later(seconds=1)
    with pytest.raises(LinkExpired):
        use_link(house, other)
    assert house.browser.get(f"/admin/link/{other}").status_code == 410


def test_a_link_that_is_none_opens_nothing(house: House) -> None:
    hire(house)
    token = make_link(house)
    for bad in (token[:-1], token + "x", token.swapcase(), "", " ", "x" * 3000, "%00", "\ud800"):
        with pytest.raises(LinkInvalid):
            use_link(house, bad)
    assert count(house, StaffSession) == 0


def test_who_is_off_the_staff_gets_in_by_nothing(house: House) -> None:
    hire(house)
    token, session_token = make_link(house), try_password(house, PASSWORD)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).values(disabled_at=house.now))
    assert not is_in(house, session_token)
    with pytest.raises(SignInRefused):
        try_password(house, PASSWORD)
    with pytest.raises(LinkInvalid):
        use_link(house, token)
    with pytest.raises(signing_in.StaffUnknown):
        make_link(house)


def test_a_copy_of_the_database_signs_nobody_in(house: House) -> None:
    hire(house)
    link = make_link(house)
    tokens = [link, make_link(house), try_password(house, PASSWORD), use_link(house, link)]
    rows = repr(everything(house))
    for secret in (*tokens, PASSWORD):
        assert secret not in rows
    with house.app.app_context():
        kept = [
            *db.session.scalars(sa.select(SignInLink.token_hash)),
            *db.session.scalars(sa.select(StaffSession.token_hash)),
        ]
    assert len(kept) == 4
    for token_hash in kept:
        assert not is_in(house, token_hash)
        with pytest.raises(LinkInvalid):
            use_link(house, token_hash)


def test_passwords_are_kept_as_argon2id(house: House) -> None:
    hire(house)
    with house.app.app_context():
        assert str(db.session.scalar(sa.select(Staff.password_hash))).startswith("$argon2id$")


def test_a_password_of_nine_characters_is_too_short_and_there_is_no_other_rule_for_it(house: House) -> None:
    with pytest.raises(PasswordTooShort):
        hire(house, password="x" * 9)
    assert count(house, Staff) == 0
    hire(house, password="x" * 10)


@pytest.mark.parametrize("password", ["1234567890", "QWERTYuiop", "Password123"])
def test_the_commonest_passwords_are_refused_however_they_are_written(house: House, password: str) -> None:
    with pytest.raises(PasswordTooCommon):
        hire(house, password=password)
    assert count(house, Staff) == 0


def test_the_list_of_the_commonest_is_one_of_passwords_and_nothing_of_its_licence() -> None:
    listed = passwords._commonest()
    assert len(listed) == 1090
    assert min(map(len, listed)) == passwords.SHORTEST
    assert all(one == one.casefold() for one in listed)


def test_nobody_is_on_the_staff_twice(house: House) -> None:
    hire(house)
    with pytest.raises(StaffExists):
        hire(house, "OLIVE@example.org")


def test_a_session_token_is_looked_up_whole(house: House) -> None:
    hire(house)
    token = try_password(house, PASSWORD)
    for bad in (token[:-1], token + "x", token.swapcase(), "", "\ud800"):
        assert not is_in(house, bad)
