"""Staff let nobody sign up with an address or at a domain, and forget people who ask for it."""

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.mail.suppression import SuppressionReason
from newsletter.staff.models import Role
from newsletter.subscribers import blocking
from newsletter.subscribers.models import BlockedAddress, ConsentKind, Subscriber, subscriber_at
from tests.conftest import House
from tests.integration.subscribers import ANN, became_reader, count, sign_up, state_of, story_of, suppressed_for
from tests.integration.web import signed_in, visitor
from tests.support import newsroom


def audited(house: House) -> list[tuple[str, str, str]]:
    with house.app.app_context():
        found = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id))
        return [(one.actor_name, one.action, one.subject) for one in found]


def test_a_domain_is_blocked_with_all_below_it_and_unblocked(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    assert "Nothing is blocked" in desk.get("/admin/blocklist").text
    assert desk.post("/admin/blocklist", pattern=" @Example.ORG ", note="a flood").status_code == 303
    page = desk.get("/admin/blocklist").text
    assert all(words in page for words in ("example.org", "a flood", "is blocked"))
    for address in ("bob@example.org", "bob@mail.example.org", "bob+news@example.org"):
        assert "Check your inbox" in sign_up(house, address).text, "it is the same page for everybody"
    house.work()
    assert house.inbox.mails == []
    desk.post("/admin/blocklist/unblock", pattern="example.org")
    assert "Nothing is blocked" in desk.get("/admin/blocklist").text
    sign_up(house, "eve@example.org")
    house.work()
    assert len(house.inbox.mails) == 1
    assert [act for _, act, _ in audited(house)][-2:] == ["address.block", "address.unblock"]


def test_what_is_no_address_and_no_domain_is_told_and_not_lost(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    answer = desk.post("/admin/blocklist", pattern="<b>no domain", note="the reason")
    assert answer.status_code == 422
    assert "cannot be blocked" in answer.text
    assert "&lt;b&gt;no domain" in answer.text
    assert 'value="the reason"' in answer.text
    assert count(house, BlockedAddress) == 0


def test_what_is_blocked_twice_stands_once(house: House) -> None:
    newsroom.found(house)
    desk = signed_in(house)
    desk.post("/admin/blocklist", pattern="bob@example.org")
    desk.post("/admin/blocklist", pattern="BOB@example.org")
    assert "was blocked already" in desk.get("/admin/blocklist").text
    assert count(house, BlockedAddress) == 1


@pytest.mark.parametrize("path", ["/admin/blocklist", "/admin/blocklist/unblock", "/admin/subscribers/1/erase"])
def test_strangers_are_sent_to_the_sign_in_page(house: House, path: str) -> None:
    newsroom.found(house)
    assert "/admin/sign-in" in visitor(house).post(path, pattern="example.org").location
    assert count(house, BlockedAddress) == 0


def test_a_person_is_erased_once_their_address_is_typed(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    became_reader(house)
    desk = signed_in(house, Role.SUPPORT)
    with house.app.app_context():
        person = subscriber_at(ANN)
        assert person
        path = f"/admin/subscribers/{person.id}"
    desk.post(f"{path}/erase", address_typed="bob@example.org")
    assert "Nothing was changed" in desk.get(path).text
    assert count(house, Subscriber) == 1
    assert desk.post(f"{path}/erase", address_typed=" Ann@Example.org ").status_code == 303
    assert count(house, Subscriber) == 0
    assert suppressed_for(house) == {SuppressionReason.ERASURE}
    assert story_of(house)[-1].kind is ConsentKind.ERASED
    assert story_of(house)[-1].by == "support0@example.org"
    actor, act, subject = audited(house)[-1]
    assert (actor, act) == ("support0@example.org", "subscriber.erase")
    assert ANN not in subject, "the trail forgets the address too"
    assert desk.get(path).status_code == 404
    assert desk.post(f"{path}/erase", address_typed=ANN).status_code == 404


def test_who_reads_already_goes_on_reading_when_their_domain_is_blocked(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    with house.app.app_context():
        blocking.block("example.org", "", house.now, COMMAND)
    assert state_of(house) == ["active"]
