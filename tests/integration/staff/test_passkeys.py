"""Passkeys open for their holder, at our address, for what was asked, once; and for nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.staff import managing, passkeys, sessions, signing_in
from newsletter.staff.models import Means, Passkey, Role, SpentPrompt, Staff
from newsletter.staff.passkeys import Answer, PasskeyExists, PasskeyRefused, PasskeyUnknown, PromptStale
from newsletter.staff.sessions import Visit
from tests.conftest import BuildHouse, House
from tests.support.authenticator import SoftKey, encoded

OLIVE, ED = 1, 2


@pytest.fixture
def desk(either_house: House) -> Iterator[House]:
    """With two people."""
    with either_house.app.app_context():
        for name in ("olive", "ed"):
            signing_in.add(f"{name}@example.org", Role.OWNER, either_house.now, COMMAND)
        yield either_house


def join(house: House, key: SoftKey, person: int = OLIVE, name: str = "My phone") -> Passkey:
    prompt = passkeys.to_add(db.session.get_one(Staff, person), house.now)
    return passkeys.add(person, name, Answer(key.joins(prompt)), house.now, COMMAND)


def ask(house: House, purpose: str = passkeys.SIGN_IN) -> str:
    return passkeys.to_ask(purpose, house.now)


def sign_in(house: House, answer: str) -> str:
    return signing_in.sign_in_by_passkey(Answer(answer), Visit(house.now, "192.0.2.7", "Desk"))


def test_a_passkey_signs_its_person_in_without_an_address(desk: House) -> None:
    key = SoftKey()
    join(desk, key, ED)
    session = sessions.session_of(sign_in(desk, key.signs(ask(desk))), desk.now)
    assert session is not None
    assert (session.staff_id, session.means, session.awaits_code) == (ED, Means.PASSKEY, False)
    kept = db.session.scalars(sa.select(Passkey)).one()
    assert (kept.name, kept.sign_count, kept.last_used_at) == ("My phone", 1, desk.now)
    acts = db.session.scalars(sa.select(AuditRecord.action).order_by(AuditRecord.id)).all()
    assert acts[-2:] == ["staff.passkey-add", "staff.sign-in"]


def test_somebody_has_several_and_each_opens_until_it_is_removed(desk: House) -> None:
    phone, laptop = SoftKey(), SoftKey()
    first, _ = join(desk, phone), join(desk, laptop, name="")
    assert sign_in(desk, phone.signs(ask(desk)))
    assert sign_in(desk, laptop.signs(ask(desk)))
    passkeys.remove(OLIVE, first.id, desk.now, COMMAND)
    with pytest.raises(PasskeyRefused):
        sign_in(desk, phone.signs(ask(desk)))
    assert sign_in(desk, laptop.signs(ask(desk)))
    assert db.session.scalars(sa.select(Passkey.name)).all() == ["Passkey of 03 March 2026"]


def test_an_answer_counts_once(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    answer = key.signs(ask(desk))
    assert sign_in(desk, answer)
    with pytest.raises((PromptStale, PasskeyRefused)):
        sign_in(desk, answer)
    silent = SoftKey()  # many passkeys do not count, so their answers are told apart by what was asked alone
    join(desk, silent)
    answer = replace(silent, count=-1).signs(ask(desk))
    assert sign_in(desk, answer)
    with pytest.raises(PromptStale):
        sign_in(desk, answer)


def test_a_copy_of_a_key_is_noticed_by_its_count(desk: House) -> None:
    key = SoftKey(count=10)
    join(desk, key)
    copy = replace(key)
    assert sign_in(desk, key.signs(ask(desk)))
    assert sign_in(desk, key.signs(ask(desk)))
    with pytest.raises(PasskeyRefused):
        sign_in(desk, copy.signs(ask(desk)))


def test_what_was_asked_a_quarter_of_an_hour_ago_is_stale(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    prompt, other = ask(desk), ask(desk)
    desk.later(minutes=15)
    assert sign_in(desk, key.signs(prompt))
    desk.later(seconds=1)
    with pytest.raises(PromptStale):
        sign_in(desk, key.signs(other))


WRONG: dict[str, Callable[[SoftKey], SoftKey]] = {
    "of another site": lambda key: replace(key, site="evil.example"),
    "shown on another page": lambda key: replace(key, origin="https://evil.example"),
    "shown without https": lambda key: replace(key, origin="http://news.example.org"),
    "shown at another port": lambda key: replace(key, origin="https://news.example.org:8443"),
    "without asking its holder": lambda key: replace(key, verifies=False),
    "with another secret": lambda key: replace(key, key=ec.generate_private_key(ec.SECP256R1())),
    "nobody knows": lambda key: replace(key, id=b"x" * 32),
    "in somebody else's name": lambda key: replace(key, handle=b"x" * 32),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_passkey_opens_nothing(wrong: str, desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    with pytest.raises(PasskeyRefused):
        sign_in(desk, WRONG[wrong](key).signs(ask(desk)))
    assert sign_in(desk, key.signs(ask(desk))), "the right one still does"


@pytest.mark.parametrize("wrong", ["of another site", "shown on another page", "without asking its holder"])
def test_a_wrong_passkey_does_not_join(wrong: str, desk: House) -> None:
    with pytest.raises(PasskeyRefused):
        join(desk, WRONG[wrong](SoftKey()))
    assert db.session.scalars(sa.select(Passkey)).all() == []


def test_an_answer_is_for_what_was_asked_and_for_nothing_else(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    for purpose in (passkeys.proof_by(OLIVE), passkeys.proof_by(ED), passkeys.joining(OLIVE)):
        with pytest.raises(PasskeyRefused):
            sign_in(desk, key.signs(ask(desk, purpose)))
    with pytest.raises(PasskeyRefused):
        passkeys.add(
            ED,
            "",
            Answer(SoftKey().joins(passkeys.to_add(db.session.get_one(Staff, OLIVE), desk.now))),
            desk.now,
            COMMAND,
        )


def test_a_proof_wants_ones_own_passkey(desk: House) -> None:
    mine, theirs = SoftKey(), SoftKey()
    join(desk, mine)
    join(desk, theirs, ED)
    prompt = ask(desk, passkeys.proof_by(OLIVE))
    with pytest.raises(PasskeyRefused):
        passkeys.check(Answer(theirs.signs(prompt)), passkeys.proof_by(OLIVE), desk.now, OLIVE)
    with transaction():
        assert passkeys.check(Answer(mine.signs(prompt)), passkeys.proof_by(OLIVE), desk.now, OLIVE).staff_id == OLIVE


def test_what_we_did_not_ask_opens_nothing(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    asked = json.loads(ask(desk))
    for challenge in ("", "x", encoded(b"y" * 40), asked["challenge"][:-4] + "AAAA", asked["challenge"] + "AAAA"):
        with pytest.raises(PasskeyRefused):
            sign_in(desk, key.signs(json.dumps(asked | {"challenge": challenge})))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"response": 1}',
        '{"response": {"clientDataJSON": 5}}',
        "\x00",
        "é",
        "[" * 100_000,
    ],
)
def test_an_answer_that_is_none_is_refused(desk: House, text: str) -> None:
    with pytest.raises(PasskeyRefused):
        sign_in(desk, text)


def test_an_answer_whose_parts_are_broken_is_refused(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    for part in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        for broken in ("!", "AAAA", "é", "A" * 5000):
            with pytest.raises((PasskeyRefused, PromptStale)):
                sign_in(desk, key.signs(ask(desk), **{part: broken}))


def test_the_same_passkey_joins_once(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    with pytest.raises(PasskeyExists):
        join(desk, key)
    with pytest.raises(PasskeyExists):
        join(desk, key, ED)


def test_nobody_removes_somebody_elses(desk: House) -> None:
    mine = join(desk, SoftKey())
    with pytest.raises(PasskeyUnknown):
        passkeys.remove(ED, mine.id, desk.now, COMMAND)
    with pytest.raises(PasskeyUnknown):
        passkeys.remove(OLIVE, mine.id + 1, desk.now, COMMAND)


def test_who_is_off_the_staff_gets_in_by_no_passkey(desk: House) -> None:
    key = SoftKey()
    join(desk, key)
    managing.disable(OLIVE, desk.now, COMMAND)
    with pytest.raises(PasskeyRefused):
        sign_in(desk, key.signs(ask(desk)))


def test_to_ask_writes_nothing_and_what_was_answered_is_forgotten_in_time(desk: House) -> None:
    for _ in range(3):
        ask(desk)
    assert db.session.scalars(sa.select(SpentPrompt)).all() == []
    join(desk, SoftKey())
    spent = db.session.scalars(sa.select(SpentPrompt)).one()
    assert spent.expires_at - desk.now == passkeys.LIFE


@pytest.mark.parametrize(
    ("site_url", "possible"),
    [
        ("https://news.example.org", True),
        ("http://localhost:8000", True),
        ("http://news.example.org", False),
        ("http://127.0.0.1:8000", False),
        ("https://192.0.2.1", False),
        ("https://[2001:db8::1]", False),
    ],
)
def test_browsers_make_passkeys_for_names_and_over_https_only(
    build_house: BuildHouse, sqlite_url: str, site_url: str, possible: bool
) -> None:
    with build_house(sqlite_url, site_url=site_url).app.app_context():
        assert passkeys.are_possible() is possible
