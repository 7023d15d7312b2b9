"""Owners give and take rights, let people go and let them in again; one owner is always left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.staff import managing, sessions, settings, signing_in
from newsletter.staff.managing import LastOwner, PersonUnknown
from newsletter.staff.models import Role, Staff, StaffSession, second_factor_required
from newsletter.staff.passkeys import Answer
from newsletter.staff.passwords import PasswordTooCommon, PasswordTooShort
from newsletter.staff.proving import ProofWrong
from newsletter.staff.rights import Grant, Right, may, sees
from newsletter.staff.sessions import SessionUnknown, Visit
from newsletter.staff.signing_in import LinkUsed, SignInRefused
from tests.conftest import House
from tests.integration.staff.test_passkeys import ask, join
from tests.integration.subscribers import everything
from tests.support import newsroom
from tests.support.authenticator import SoftKey
from tests.support.hashing import hash_quickly
from tests.support.racing import at_once

OLIVE, ED = 1, 2
OLD, NEW = "correct horse battery staple", "ferry lantern cactus monday"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_quickly(monkeypatch)


@pytest.fixture
def desk(either_house: House) -> Iterator[House]:
    """Olive, who owns, and Ed, who edits; both have a password."""
    with either_house.app.app_context():
        for name, role in (("olive", Role.OWNER), ("ed", Role.EDITOR)):
            signing_in.add(f"{name}@example.org", role, either_house.now, COMMAND, OLD)
        yield either_house


def person(id: int) -> Staff:
    return db.session.get_one(Staff, id, populate_existing=True)


def visit(house: House) -> Visit:
    return Visit(house.now, "192.0.2.7", "Desk")


def comes_in(house: House, name: str = "ed", password: str = OLD) -> str:
    return signing_in.sign_in(f"{name}@example.org", password, visit(house))


def comes_by_link(house: House, name: str = "ed") -> str:
    link = signing_in.make_link(f"{name}@example.org", house.now, COMMAND, house.links).rpartition("/")[2]
    return signing_in.use_link(link, visit(house))


def session(house: House, token: str) -> StaffSession:
    found = sessions.session_of(token, house.now)
    assert found is not None
    return found


def is_in(house: House, token: str) -> bool:
    return sessions.session_of(token, house.now) is not None


def latest() -> AuditRecord:
    return db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id.desc()).limit(1)).one()


# Rights


def test_what_somebody_may_do_is_changed_with_what_it_was_before(desk: House) -> None:
    paper, other = newsroom.found(desk), newsroom.found(desk, "ridge-courier")
    assert may(person(ED), Right.SEND), "editors do by default"
    managing.grant(ED, Grant(Role.SUPPORT, newsletter_ids=frozenset({paper.id})), desk.now, COMMAND)
    ed = person(ED)
    assert not may(ed, Right.SEND)
    assert not may(ed, Right.EDIT)
    assert (sees(ed, paper.id), sees(ed, other.id)) == (True, False)
    everywhere = {"role": "editor", "may_send": True, "newsletters": "all"}
    assert latest().details == {
        "before": everywhere,
        "after": {"role": "support", "may_send": False, "newsletters": [paper.id]},
    }
    managing.grant(ED, Grant(Role.SUPPORT, True, frozenset({other.id})), desk.now, COMMAND)
    assert may(person(ED), Right.SEND), "sending is a right of its own"
    assert person(ED).newsletter_ids == {other.id}
    managing.grant(ED, Grant(Role.OWNER, newsletter_ids=frozenset()), desk.now, COMMAND)
    assert person(ED).newsletter_ids is None


def test_to_give_what_somebody_has_is_no_act(desk: House) -> None:
    before = everything(desk)
    managing.grant(ED, Grant(Role.EDITOR, may_send=True), desk.now, COMMAND)
    assert everything(desk) == before


def test_the_last_owner_is_neither_demoted_nor_disabled(desk: House) -> None:
    before = everything(desk)
    with pytest.raises(LastOwner):
        managing.grant(OLIVE, Grant(Role.EDITOR), desk.now, COMMAND)
    with pytest.raises(LastOwner):
        managing.disable(OLIVE, desk.now, COMMAND)
    assert everything(desk) == before
    managing.grant(ED, Grant(Role.OWNER), desk.now, COMMAND)
    managing.disable(ED, desk.now, COMMAND)
    with pytest.raises(LastOwner):
        managing.disable(OLIVE, desk.now, COMMAND)
    managing.enable(ED, desk.now, COMMAND)
    managing.disable(OLIVE, desk.now, COMMAND)


def test_of_two_owners_who_demote_each_other_at_once_one_stays(desk: House) -> None:
    managing.grant(ED, Grant(Role.OWNER), desk.now, COMMAND)

    def demote(number: int) -> bool:
        with desk.app.app_context():
            try:
                managing.grant((OLIVE, ED)[number], Grant(Role.EDITOR), desk.now, COMMAND)
            except LastOwner:
                return False
        return True

    assert sorted(at_once(2, demote)) == [False, True]


def test_who_is_disabled_is_out_at_once_and_comes_in_by_nothing(desk: House) -> None:
    key = SoftKey()
    join(desk, key, ED)
    token = comes_in(desk)
    link = signing_in.make_link("ed@example.org", desk.now, COMMAND, desk.links).rpartition("/")[2]
    managing.disable(ED, desk.now, COMMAND)
    assert not is_in(desk, token)
    assert latest().details == {"address": "ed@example.org", "sessions": 1}
    with pytest.raises(SignInRefused):
        comes_in(desk)
    before = everything(desk)
    managing.disable(ED, desk.now, COMMAND)
    assert everything(desk) == before
    managing.enable(ED, desk.now, COMMAND)
    assert not is_in(desk, token), "what was ended stays ended"
    with pytest.raises(LinkUsed):
        signing_in.use_link(link, visit(desk))
    assert comes_in(desk)
    assert signing_in.sign_in_by_passkey(Answer(key.signs(ask(desk))), visit(desk))


def test_there_is_nobody_of_that_number(desk: House) -> None:
    for verb in (
        lambda: managing.person(99),
        lambda: managing.disable(99, desk.now, COMMAND),
        lambda: managing.enable(99, desk.now, COMMAND),
        lambda: managing.reset_second_factor(99, desk.now, COMMAND),
        lambda: managing.grant(99, Grant(Role.OWNER), desk.now, COMMAND),
    ):
        with pytest.raises(PersonUnknown):
            verb()


def test_a_second_factor_for_everybody_is_said_once(desk: House) -> None:
    assert not second_factor_required()
    for required in (True, True, False):
        managing.require_second_factor(required, desk.now, COMMAND)
        assert second_factor_required() is required
    acts = db.session.scalars(sa.select(AuditRecord.details).where(AuditRecord.action == "staff.policy")).all()
    assert acts == [{"before": False, "after": True}, {"before": True, "after": False}]


def test_where_all_must_have_one_a_password_beside_a_passkey_is_not_enough(desk: House) -> None:
    key = SoftKey()
    join(desk, key, ED)
    assert is_in(desk, comes_in(desk))
    managing.require_second_factor(True, desk.now, COMMAND)
    assert not is_in(desk, comes_in(desk))
    assert is_in(desk, signing_in.sign_in_by_passkey(Answer(key.signs(ask(desk))), visit(desk)))
    assert is_in(desk, comes_in(desk, "olive")), "who has none yet is let in, to set one up"


# A password of one's own


def test_a_new_password_ends_every_other_session(desk: House) -> None:
    here, there, by_link = comes_in(desk), comes_in(desk), comes_by_link(desk)
    unused = signing_in.make_link("ed@example.org", desk.now, COMMAND, desk.links).rpartition("/")[2]
    assert settings.set_password(session(desk, here).id, NEW, OLD, visit(desk), COMMAND) == 2
    assert [is_in(desk, one) for one in (here, there, by_link)] == [True, False, False]
    with pytest.raises(LinkUsed):
        signing_in.use_link(unused, visit(desk))
    with pytest.raises(SignInRefused):
        comes_in(desk, password=OLD)
    assert comes_in(desk, password=NEW)
    assert OLD not in repr(everything(desk))


def test_a_new_password_wants_the_old_one(desk: House) -> None:
    here = session(desk, comes_in(desk)).id
    for wrong in ("", NEW, OLD.upper()):
        with pytest.raises(ProofWrong):
            settings.set_password(here, NEW, wrong, visit(desk), COMMAND)
    for new, error in (("x" * 9, PasswordTooShort), ("Password123", PasswordTooCommon)):
        with pytest.raises(error):
            settings.set_password(here, new, OLD, visit(desk), COMMAND)
    assert comes_in(desk), "it is still the old one"


def test_who_has_just_come_by_a_link_need_not_know_it(desk: House) -> None:
    here = comes_by_link(desk)
    desk.later(minutes=10)
    with pytest.raises(ProofWrong):
        settings.set_password(session(desk, here).id, NEW, "", visit(desk), COMMAND)
    here = comes_by_link(desk)
    desk.later(minutes=9)
    settings.set_password(session(desk, here).id, NEW, "", visit(desk), COMMAND)
    assert comes_in(desk, password=NEW)


# Sessions


def test_one_ends_ones_own_sessions_and_nobody_elses(desk: House) -> None:
    here, there, olives = comes_in(desk), comes_in(desk), comes_in(desk, "olive")
    ids = [session(desk, one).id for one in (here, there, olives)]
    with pytest.raises(SessionUnknown):
        sessions.end(ED, ids[2], desk.now, COMMAND)
    sessions.end(ED, ids[1], desk.now, COMMAND)
    with pytest.raises(SessionUnknown):
        sessions.end(ED, ids[1], desk.now, COMMAND)
    assert [is_in(desk, one) for one in (here, there, olives)] == [True, False, True]
    there = comes_in(desk)
    assert sessions.end_others(ED, ids[0], desk.now, COMMAND) == 1
    assert [is_in(desk, one) for one in (here, there, olives)] == [True, False, True]
    assert [one.id for one in sessions.sessions_of(ED, desk.now)] == [ids[0]]
