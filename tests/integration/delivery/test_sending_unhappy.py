"""What went wrong once, and must not again."""

from __future__ import annotations

import pytest

from newsletter.delivery import ledger
from newsletter.delivery.engine import RELAY_ALERT
from newsletter.editions import publishing
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import MailConfig
from newsletter.foundation.database import transaction
from newsletter.mail import addresses, outbox
from newsletter.mail.message import Sender
from newsletter.mail.smtp import Outcome, Reply
from newsletter.subscribers import signing_up, suppressing
from newsletter.subscribers.consent import Origin
from tests.conftest import BuildHouse, House
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, at
from tests.support.newsroom import (
    delivery,
    edition_state,
    ledger_of,
    open_alert_keys,
    sending,
)
from tests.support.ports import free_port

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"


@pytest.mark.parametrize("reply", ["530 5.7.0 authentication required", "553 5.7.1 sender address rejected"])
def test_a_relay_that_refuses_our_sender_refuses_no_reader(
    shaky_house: House, relay: MisbehavingRelay, reply: str
) -> None:
    """A wrong password or sender is the operator's to mend; no reader may lose an edition by it."""
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB)
    relay.answer = at("MAIL", reply, times=-1)
    house.work()
    assert "refused" not in ledger_of(house, edition_id)
    assert open_alert_keys(house) == [RELAY_ALERT]

    relay.answer = lambda moment, recipient: None
    for _ in range(3):
        house.later(minutes=5)
        house.work()
    assert sorted(relay.taken) == [ANN, BOB]


def test_a_relay_that_refuses_an_address_and_hangs_up_has_refused_it(
    shaky_house: House, relay: MisbehavingRelay
) -> None:
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB)
    relay.answer = at("RCPT", f"550 5.1.1 no such user; {HANG_UP}", to=ANN, times=-1)
    house.work()
    for _ in range(6):
        house.later(minutes=10)
        house.work()

    assert relay.tried.count(ANN) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "refused": 1}


@pytest.mark.parametrize("reply", [HANG_UP, "421 4.7.0 too many for that domain"])
def test_one_transactional_mail_that_the_relay_hangs_up_on_does_not_stop_editions(
    shaky_house: House, relay: MisbehavingRelay, reply: str
) -> None:
    house = shaky_house
    _, edition_id = sending(house, ANN)
    with house.app.app_context(), transaction():
        outbox.put(
            "alert",
            to="poison@example.net",
            sender=Sender("Post", "post@example.org"),
            now=house.now,
            service_name="Post",
            message="m",
            remedy="r",
            admin_link="https://news.example.org/admin",
        )
    relay.answer = at("RCPT", reply, to="poison@example.net", times=-1)
    for _ in range(20):
        house.work()
        house.later(seconds=30)

    assert relay.taken == [ANN]
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_the_alert_about_the_relay_stays_open_until_the_relay_has_answered(
    build_house: BuildHouse, sqlite_url: str
) -> None:
    house = build_house(sqlite_url, mail=MailConfig(port=free_port()))
    paper, _ = sending(house, ANN)
    at_work = house.worker()
    at_work.step()
    assert open_alert_keys(house) == [RELAY_ALERT]

    with house.app.app_context():
        suppressing.suppress(BOB, "", house.now, house.keys, COMMAND)
        signing_up.request(paper.slug, BOB, Origin(), house.now, house.keys)
    at_work.step()  # there was something to do, but nothing to send
    assert open_alert_keys(house) == [RELAY_ALERT]


def test_no_mail_goes_out_after_finish_by_although_its_shard_was_begun_before(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    house.clock.at = house.clock.at.replace(hour=17, minute=59)

    def slow(_recipient: str) -> str:
        house.clock.at = house.clock.at.replace(hour=18, minute=1)
        return "250 OK"

    house.inbox.answer_data = slow
    house.work()
    assert len(house.inbox.mails) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(expired)": 1}


def test_a_mail_that_cannot_be_made_was_not_handed_over_and_stops_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, edition_id = sending(house, ANN, BOB)
    made = addresses.wire

    def breaks(address: str) -> str:
        if address == ANN:
            raise UnicodeError("no such code point")
        return made(address)

    monkeypatch.setattr(addresses, "wire", breaks)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}


def test_a_newsletter_of_an_international_domain_has_a_from_that_mail_systems_can_read(house: House) -> None:
    sending(house, ANN, from_address="post@bücher.example", reply_to="desk@bücher.example")
    house.work()
    (mail,) = house.inbox.mails
    assert b"<post@xn--bcher-kva.example>" in mail.octets
    assert b"\r\nReply-To: desk@xn--bcher-kva.example\r\n" in mail.octets


def test_the_time_decides_also_while_the_relay_is_away(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, mail=MailConfig(port=free_port()))
    paper, edition_id = sending(house, ANN)
    with house.app.app_context():
        signing_up.request(paper.slug, BOB, Origin(), house.now, house.keys)
    house.work()
    house.later(hours=13)
    house.work()
    assert ledger_of(house, edition_id) == {"skipped(expired)": 1}
    assert edition_state(house, edition_id) == "sent"


def test_an_edition_that_expired_while_it_was_held_is_held_no_more(house: House) -> None:
    _, edition_id = sending(house, ANN)
    with house.app.app_context():
        publishing.hold(edition_id, "wrong headline", house.now, COMMAND)
    house.later(hours=13)
    house.work()
    assert edition_state(house, edition_id) == "sent"


def test_a_mail_after_an_uncertain_one_goes_out_without_paying_for_it(
    shaky_house: House, relay: MisbehavingRelay
) -> None:
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB)
    relay.answer = at("dot", HANG_UP, to=ANN)
    house.work()
    house.later(minutes=1)
    house.work()
    assert relay.taken == [BOB]
    assert delivery(house, BOB).attempts == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "uncertain": 1}


@pytest.mark.parametrize("late", [Reply(Outcome.DEFERRED, "451 later")])
def test_a_late_result_that_says_later_is_tried_again(house: House, late: Reply) -> None:
    """Uncertain became certain: the relay has not taken it, so the reader is still owed his mail (rule 11)."""
    _, edition_id = sending(house, ANN)
    with house.app.app_context():
        shard = ledger.lease_shard(house.now)
        assert shard is not None
        with transaction():
            attempt = ledger.start(shard.rows[0], house.now)
        assert attempt is not None
        house.clock.at += ledger.LEASE
        ledger.settle(house.now)
        with transaction():
            ledger.record(shard.rows[0], attempt, late, house.now)
    house.later(minutes=6)
    house.work()
    assert len(house.inbox.of(ANN)) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1}
