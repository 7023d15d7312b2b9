"""An invitation lets in one person, once, within a week, with what they were given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.foundation.links import LinkExpired, LinkInvalid
from newsletter.mail.addresses import AddressInvalid
from newsletter.staff import inviting, managing, sessions, signing_in
from newsletter.staff.inviting import AlreadyInvited, InvitationUnknown
from newsletter.staff.models import Invitation, Role, Staff
from newsletter.staff.notes import nobodys_sender
from newsletter.staff.rights import Grant, Right, may
from newsletter.staff.sessions import Visit
from newsletter.staff.signing_in import LinkUsed, StaffExists
from tests.conftest import House
from tests.integration.subscribers import everything
from tests.support import newsroom
from tests.support.racing import at_once

INES = "ines@example.org"


@pytest.fixture
def desk(either_house: House) -> Iterator[House]:
    """With an owner."""
    with either_house.app.app_context():
        signing_in.add("olive@example.org", Role.OWNER, either_house.now, COMMAND)
        yield either_house


def invite(house: House, grant: Grant | None = None, address: str = INES) -> Invitation:
    given = grant or Grant(Role.EDITOR)
    return inviting.invite(address, given, house.now, COMMAND, house.links, nobodys_sender())


def token(house: House) -> str:
    """Of the latest mail."""
    house.work()
    found = re.search(r"/admin/invitation/(\S+)", house.inbox.mails[-1].part("plain"))
    assert found
    return found[1]


def accept(house: House, token: str) -> str:
    return inviting.accept(token, Visit(house.now, "192.0.2.7", "Desk"))


def ines() -> Staff | None:
    return db.session.scalar(sa.select(Staff).where(Staff.address == INES))


def test_who_is_invited_gets_a_mail_and_joins_with_what_they_were_given(desk: House) -> None:
    paper = newsroom.found(desk)
    invite(desk, Grant(Role.EDITOR, newsletter_ids=frozenset({paper.id})), "  Ines@Example.org ")
    link = token(desk)
    assert ines() is None, "nobody is on the staff before they say so"
    session = sessions.session_of(accept(desk, link), desk.now)
    assert session is not None
    person = session.staff
    assert (person.address, person.role, person.newsletter_ids) == (INES, Role.EDITOR, {paper.id})
    assert not may(person, Right.SEND)
    acts = db.session.execute(sa.select(AuditRecord.actor_name, AuditRecord.action).order_by(AuditRecord.id)).all()
    assert [(who, act) for who, act in acts if act.startswith("staff.")][1:] == [
        ("command line", "staff.invite"),
        (INES, "staff.add"),
        (INES, "staff.sign-in"),
    ]


def test_an_owner_is_not_limited_whatever_was_ticked(desk: House) -> None:
    invite(desk, Grant(Role.OWNER, newsletter_ids=frozenset()))
    accept(desk, token(desk))
    person = ines()
    assert person is not None
    assert person.newsletter_ids is None
    assert may(person, Right.SEND)


def test_looking_at_it_changes_nothing(desk: House) -> None:
    invite(desk)
    link = token(desk)
    before = everything(desk)
    for method in ("GET", "HEAD") * 2:
        assert desk.browser.open(f"/admin/invitation/{link}", method=method).status_code == 200
    assert everything(desk) == before


def test_it_works_once(desk: House) -> None:
    invite(desk)
    link = token(desk)
    accept(desk, link)
    with pytest.raises(LinkUsed):
        accept(desk, link)
    assert desk.browser.get(f"/admin/invitation/{link}").status_code == 410


def test_of_five_who_accept_at_once_one_joins(desk: House) -> None:
    invite(desk)
    link = token(desk)

    def attempt(_: int) -> bool:
        with desk.app.app_context():
            try:
                return bool(accept(desk, link))
            except LinkUsed:
                return False

    assert sorted(at_once(5, attempt)) == [False] * 4 + [True]


def test_it_runs_out_after_a_week_and_is_good_again_when_it_is_sent_again(desk: House) -> None:
    asked = invite(desk)
    first = token(desk)
    assert asked.expires_at - desk.now == timedelta(days=7)
    desk.later(days=7, seconds=-1)
    assert inviting.read(first, desk.now).address == INES
    desk.later(seconds=1)
    with pytest.raises(LinkExpired):
        accept(desk, first)
    inviting.send_again(asked.id, desk.now, COMMAND, desk.links, nobodys_sender())
    second = token(desk)
    with pytest.raises(LinkInvalid):
        accept(desk, first)
    assert accept(desk, second)


def test_what_was_taken_back_opens_nothing(desk: House) -> None:
    asked = invite(desk)
    link = token(desk)
    inviting.take_back(asked.id, desk.now, COMMAND)
    with pytest.raises(LinkInvalid):
        accept(desk, link)
    assert inviting.waiting() == []
    for verb in (
        lambda: inviting.take_back(asked.id, desk.now, COMMAND),
        lambda: inviting.send_again(asked.id, desk.now, COMMAND, desk.links, nobodys_sender()),
        lambda: inviting.take_back(999, desk.now, COMMAND),
    ):
        with pytest.raises(InvitationUnknown):
            verb()
    assert invite(desk).id != asked.id


def test_nobody_is_invited_twice_or_who_is_here_already(desk: House) -> None:
    invite(desk)
    with pytest.raises(AlreadyInvited):
        invite(desk, address="INES@example.org")
    with pytest.raises(StaffExists):
        invite(desk, address="olive@example.org")
    with pytest.raises(AddressInvalid):
        invite(desk, address="ines")
    desk.later(days=8)
    invite(desk)


def test_who_was_added_meanwhile_is_told_so(desk: House) -> None:
    invite(desk)
    link = token(desk)
    signing_in.add(INES, Role.SUPPORT, desk.now, COMMAND)
    with pytest.raises(StaffExists):
        accept(desk, link)
    person = ines()
    assert person is not None
    assert person.role is Role.SUPPORT, "the invitation changes nothing about them"


def test_who_was_let_go_does_not_come_back_by_an_invitation(desk: House) -> None:
    signing_in.add(INES, Role.EDITOR, desk.now, COMMAND)
    person = ines()
    assert person is not None
    managing.disable(person.id, desk.now, COMMAND)
    with pytest.raises(StaffExists):
        invite(desk)


@pytest.mark.parametrize("bad", ["", "x", "%00", "x" * 3000, "\ud800"])
def test_a_token_that_is_none_opens_nothing(desk: House, bad: str) -> None:
    invite(desk)
    with pytest.raises(LinkInvalid):
        accept(desk, bad)


def test_a_copy_of_the_database_lets_nobody_in(desk: House) -> None:
    """Neither before the mail has left nor after."""
    invite(desk)
    before = repr(everything(desk))
    link = token(desk)
    assert link not in before
    assert link not in repr(everything(desk))
