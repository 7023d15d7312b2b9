"""The codes of an app open beside a password, each once; recovery codes when the app is lost, each once too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyotp
import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.staff import codes, managing, passkeys, sessions, signing_in
from newsletter.staff.codes import CodesNotBegun, CodeUsed, CodeWrong
from newsletter.staff.guessing import TooManyFailures
from newsletter.staff.models import Role, SignInFailure, Staff
from newsletter.staff.passkeys import Answer
from newsletter.staff.sessions import Visit
from newsletter.staff.signing_in import WaitedTooLong
from tests.conftest import House
from tests.integration.staff.test_passkeys import join
from tests.integration.subscribers import everything
from tests.support.authenticator import SoftKey
from tests.support.hashing import hash_quickly
from tests.support.racing import at_once

PASSWORD = "correct horse battery staple"
OLIVE = 1


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_quickly(monkeypatch)


@pytest.fixture
def desk(either_house: House) -> Iterator[House]:
    """Olive, who has a password and may have codes."""
    with either_house.app.app_context():
        signing_in.add("olive@example.org", Role.OWNER, either_house.now, COMMAND, PASSWORD)
        yield either_house


def olive() -> Staff:
    return db.session.get_one(Staff, OLIVE, populate_existing=True)


def shown(house: House, steps: int = 0) -> str:
    """What the app shows now, or some half minutes later."""
    return pyotp.TOTP(codes.secret(olive(), house.keys)).generate_otp(int(house.now.timestamp()) // 30 + steps)


def wrong(house: House) -> str:
    good = {shown(house, steps) for steps in (-1, 0, 1)}
    return next(code for code in ("000000", "000001", "000002", "000003") if code not in good)


def set_up(house: House) -> Sequence[str]:
    """Half a minute ago, so that the code that shows now is not used yet; gives the recovery codes."""
    codes.begin(OLIVE)
    made = codes.confirm(OLIVE, shown(house), house.now, house.keys, COMMAND)
    house.later(seconds=30)
    return made


def half_in(house: House) -> str:
    return signing_in.sign_in("olive@example.org", PASSWORD, visit(house))


def visit(house: House) -> Visit:
    return Visit(house.now, "192.0.2.7", "Desk")


def give(house: House, token: str, code: str) -> None:
    signing_in.give_code(token, code, visit(house), house.keys)


def is_in(house: House, token: str) -> bool:
    return sessions.session_of(token, house.now) is not None


def test_without_codes_a_password_is_enough(desk: House) -> None:
    assert is_in(desk, half_in(desk))


def test_codes_that_were_begun_and_not_confirmed_are_not_asked_for(desk: House) -> None:
    codes.begin(OLIVE)
    secret = codes.secret(olive(), desk.keys)
    assert is_in(desk, half_in(desk))
    codes.begin(OLIVE)
    assert codes.secret(olive(), desk.keys) == secret, "a page that is opened twice shows the same"


def test_a_wrong_code_does_not_turn_them_on(desk: House) -> None:
    with pytest.raises(CodesNotBegun):
        codes.secret(olive(), desk.keys)
    codes.begin(OLIVE)
    with pytest.raises(CodeWrong):
        codes.confirm(OLIVE, wrong(desk), desk.now, desk.keys, COMMAND)
    assert not olive().has_codes


def test_a_password_then_wants_a_code(desk: House) -> None:
    set_up(desk)
    token = half_in(desk)
    assert not is_in(desk, token)
    for guess in ("", "123", "abcdef", wrong(desk), "12345678", "\x00", "é" * 6, shown(desk) + "1"):
        with pytest.raises(CodeWrong):
            give(desk, token, guess)
    assert not is_in(desk, token)
    give(desk, token, f" {shown(desk)[:3]} {shown(desk)[3:]} ")
    assert is_in(desk, token)
    last = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id.desc())).first()
    assert last is not None
    assert (last.action, last.details) == ("staff.sign-in", {"means": "password, code"})


def test_so_does_a_link(desk: House) -> None:
    set_up(desk)
    link = signing_in.make_link("olive@example.org", desk.now, COMMAND, desk.links).rpartition("/")[2]
    token = signing_in.use_link(link, visit(desk))
    assert not is_in(desk, token)
    give(desk, token, shown(desk))
    assert is_in(desk, token)


def test_a_passkey_wants_none_and_stands_in_for_one(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    set_up(desk)
    by_key = signing_in.sign_in_by_passkey(Answer(key.signs(passkeys.to_ask(passkeys.SIGN_IN, desk.now))), visit(desk))
    assert is_in(desk, by_key)
    token = half_in(desk)
    prompt = passkeys.to_ask(passkeys.proof_by(OLIVE), desk.now, olive())
    signing_in.give_passkey(token, Answer(key.signs(prompt)), visit(desk))
    assert is_in(desk, token)


def test_no_code_is_used_twice_and_none_that_is_older_than_a_used_one(desk: House) -> None:
    set_up(desk)
    now, before = shown(desk), shown(desk, -1)
    give(desk, half_in(desk), now)
    for old in (now, before):
        with pytest.raises(CodeUsed):
            give(desk, half_in(desk), old)
    desk.later(seconds=30)
    give(desk, half_in(desk), shown(desk))


def test_a_clock_may_be_half_a_minute_off_and_no_more(desk: House) -> None:
    set_up(desk)
    desk.later(minutes=5)
    for steps, works in ((-2, False), (2, False), (-1, True), (0, True), (1, True)):
        token = half_in(desk)
        if works:
            give(desk, token, shown(desk, steps))
        else:
            with pytest.raises(CodeWrong):
                give(desk, token, shown(desk, steps))
        assert is_in(desk, token) == works, steps


def test_of_five_who_give_the_same_code_at_once_one_gets_in(desk: House) -> None:
    set_up(desk)
    tokens, code = [half_in(desk) for _ in range(5)], shown(desk)

    def attempt(number: int) -> bool:
        with desk.app.app_context():
            try:
                give(desk, tokens[number], code)
            except CodeUsed:
                return False
        return True

    assert sorted(at_once(5, attempt)) == [False] * 4 + [True]


def test_guessing_codes_is_slow_and_a_recovery_code_opens_meanwhile(desk: House) -> None:
    recovery = set_up(desk)
    token = half_in(desk)
    for _ in range(10):
        with pytest.raises(CodeWrong):
            give(desk, token, wrong(desk))
    with pytest.raises(TooManyFailures, match="Wait 15 minutes"):
        give(desk, token, shown(desk))
    give(desk, token, recovery[0])
    assert is_in(desk, token)
    desk.later(minutes=15)
    give(desk, half_in(desk), shown(desk))


def test_each_recovery_code_opens_once(desk: House) -> None:
    recovery = set_up(desk)
    assert len(set(recovery)) == codes.recovery_left(OLIVE) == 10
    give(desk, half_in(desk), recovery[3].upper().replace("-", " "))
    with pytest.raises(CodeUsed):
        give(desk, half_in(desk), recovery[3])
    assert codes.recovery_left(OLIVE) == 9
    give(desk, half_in(desk), recovery[4])


def test_new_recovery_codes_take_the_place_of_the_old_ones(desk: House) -> None:
    old = set_up(desk)
    new = codes.renew_recovery(OLIVE, desk.now, COMMAND)
    with pytest.raises(CodeWrong):
        give(desk, half_in(desk), old[0])
    give(desk, half_in(desk), new[0])


def test_a_code_is_waited_for_ten_minutes(desk: House) -> None:
    set_up(desk)
    token, other = half_in(desk), half_in(desk)
    desk.later(minutes=10, seconds=-1)
    give(desk, token, shown(desk))
    desk.later(seconds=1)
    with pytest.raises(WaitedTooLong):
        give(desk, other, shown(desk, 1))
    with pytest.raises(WaitedTooLong):
        give(desk, "no such token", shown(desk, 1))


def test_what_awaits_a_code_is_no_session_anywhere(desk: House) -> None:
    set_up(desk)
    half_in(desk)
    assert sessions.sessions_of(OLIVE, desk.now) == []
    assert sessions.last_seen() == {}


def test_codes_are_stopped_by_oneself_or_taken_away_by_an_owner(desk: House) -> None:
    recovery = set_up(desk)
    codes.stop(OLIVE, desk.now, COMMAND)
    assert is_in(desk, half_in(desk))
    before = everything(desk)
    codes.stop(OLIVE, desk.now, COMMAND)
    assert everything(desk) == before
    set_up(desk)
    desk.later(minutes=1)
    token = half_in(desk)
    give(desk, token, shown(desk))
    managing.reset_second_factor(OLIVE, desk.now, COMMAND)
    assert not is_in(desk, token), "whoever took the phone is out as well"
    assert is_in(desk, half_in(desk))
    assert codes.recovery_left(OLIVE) == 0
    assert recovery


def test_a_copy_of_the_database_tells_no_code(desk: House) -> None:
    recovery = set_up(desk)
    rows = repr(everything(desk))
    for secret in (codes.secret(olive(), desk.keys), *recovery, *(one.replace("-", "") for one in recovery)):
        assert secret not in rows


def test_a_failed_code_is_counted_for_its_person_only(desk: House) -> None:
    set_up(desk)
    with pytest.raises(CodeWrong):
        give(desk, half_in(desk), wrong(desk))
    assert db.session.scalars(sa.select(SignInFailure.address)).all() == ["olive@example.org"]
