"""Sending, while the relay does what it does: each reader gets the edition once or not at all, and the ledger says
which."""

from __future__ import annotations

from threading import Event

import pytest

from newsletter.delivery.engine import RELAY_ALERT
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import MailConfig
from newsletter.foundation.database import transaction
from newsletter.mail import addresses, outbox
from newsletter.mail.message import Sender
from newsletter.mail.smtp import Mail, RelayUnavailable, SmtpTransport
from newsletter.subscribers import signing_up, suppressing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.signing_up import Wishes
from tests.conftest import BuildHouse, House
from tests.integration.delivery import refusing
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, at, running_relay
from tests.support.newsroom import (
    alerts_raised,
    delivery,
    edition_state,
    ledger_of,
    open_alert_keys,
    sending,
)
from tests.support.ports import free_port

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"


# What a relay says


def test_a_refused_address_is_not_tried_again(house: House) -> None:
    tried: list[str] = []
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_rcpt = refusing(BOB, "550 5.1.1 no such user", tried)

    house.work()
    house.later(hours=5)
    house.work()

    assert tried == [BOB]
    assert len(house.inbox.of(ANN)) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "refused": 1}
    assert delivery(house, BOB).last_reply == "550 5.1.1 no such user"
    assert edition_state(house, edition_id) == "sent"


def test_a_mail_that_is_refused_after_its_content_is_not_tried_again(house: House) -> None:
    tried: list[str] = []
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_data = refusing(BOB, "554 5.6.0 cannot be read", tried)

    house.work()
    house.later(hours=5)
    house.work()

    assert tried == [BOB]
    assert ledger_of(house, edition_id) == {"accepted": 1, "refused": 1}


def test_a_mail_that_a_policy_refuses_is_put_off_because_it_may_be_our_fault_and_be_mended(house: House) -> None:
    """RFC 3463, 5.7: about us and not about the reader, who is never suppressed for it."""
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_data = refusing(BOB, "550 5.7.1 no DKIM signature")
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}
    house.inbox.answer_data = lambda address: "250 OK"
    house.later(minutes=5)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 2}


def test_a_relay_that_refuses_one_mail_after_the_other_by_policy_stops_the_edition_and_keeps_it(house: House) -> None:
    readers = [f"reader{number}@example.org" for number in range(40)]
    _, edition_id = sending(house, *readers)
    house.inbox.answer_rcpt = lambda address: "554 5.7.1 sender is blocked"
    at_work = house.worker()
    at_work.until_idle()

    assert ledger_of(house, edition_id) == {"deferred": 3, "pending": 37}
    assert open_alert_keys(house) == [RELAY_ALERT]
    house.later(minutes=1)
    at_work.until_idle()
    assert ledger_of(house, edition_id) == {"deferred": 4, "pending": 36}, "one is tried before the others"
    house.inbox.answer_rcpt = lambda address: "250 OK"
    house.later(minutes=5)
    at_work.until_idle()

    assert ledger_of(house, edition_id) == {"accepted": 40}
    assert open_alert_keys(house) == []


def test_a_busy_mailbox_is_tried_again_after_five_minutes_and_then_after_fifteen(either_house: House) -> None:
    house, tried = either_house, list[str]()
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_rcpt = refusing(BOB, "451 4.7.1 greylisted", tried)

    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}
    tries_after = []
    for minutes in (4.9, 0.2, 14.8, 0.3, 29.9, 0.2, 59.9, 0.2, 59.9, 0.2):
        house.later(minutes=minutes)
        house.work()
        tries_after.append(len(tried))

    assert tries_after == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}
    house.inbox.answer_rcpt = lambda address: "250 OK"
    house.later(minutes=60)
    house.work()
    assert len(house.inbox.of(BOB)) == 1
    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert edition_state(house, edition_id) == "sent"


def test_a_mail_that_is_put_off_after_its_content_goes_out_later_with_the_same_message_id(
    shaky_house: House, relay: MisbehavingRelay
) -> None:
    house = shaky_house
    _, edition_id = sending(house, ANN)
    relay.answer = at("dot", "452 4.3.1 disk full")

    house.work()
    assert ledger_of(house, edition_id) == {"deferred": 1}
    house.later(minutes=5)
    house.work()

    assert relay.taken == [ANN]
    first, second = (octets.partition(b"Message-ID: ")[2].partition(b"\r\n")[0] for octets in relay.octets)
    assert first == second
    assert ledger_of(house, edition_id) == {"accepted": 1}


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


def test_a_newsletter_of_an_international_domain_has_a_from_that_mail_systems_can_read(house: House) -> None:
    sending(house, ANN, from_address="post@bücher.example", reply_to="desk@bücher.example")
    house.work()
    (mail,) = house.inbox.mails
    assert b"<post@xn--bcher-kva.example>" in mail.octets
    assert b"\r\nReply-To: desk@xn--bcher-kva.example\r\n" in mail.octets


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


# A relay that goes away


def test_nothing_is_lost_while_the_relay_is_away_and_staff_are_told_once(
    build_house: BuildHouse, either_database: str
) -> None:
    port = free_port()
    house = build_house(either_database, mail=MailConfig(port=port))
    _, edition_id = sending(house, ANN, BOB)
    at_work = house.worker()

    for _ in range(5):
        assert at_work.step() is False
        assert at_work.step() is False
        house.later(minutes=1)
    assert ledger_of(house, edition_id) == {"pending": 2}
    assert delivery(house, ANN).attempts == 0, "an absence costs no attempt"
    assert open_alert_keys(house) == [RELAY_ALERT]
    assert alerts_raised(house, RELAY_ALERT) == 1

    with running_relay(port=port) as relay:
        house.work()
        assert sorted(relay.taken) == [ANN, BOB]
    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert edition_state(house, edition_id) == "sent"
    assert open_alert_keys(house) == []


@pytest.mark.parametrize("moment", ["connect", "EHLO"])
def test_a_relay_that_hangs_up_on_us_costs_no_attempt(shaky_house: House, relay: MisbehavingRelay, moment: str) -> None:
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB)
    relay.answer = at(moment, HANG_UP, times=2)  # smtplib tries HELO after EHLO

    house.work()
    assert ledger_of(house, edition_id) == {"pending": 2}
    assert delivery(house, ANN).attempts == 0
    relay.answer = lambda moment, recipient: None
    house.later(minutes=1)
    house.work()

    assert sorted(relay.taken) == [ANN, BOB]
    assert ledger_of(house, edition_id) == {"accepted": 2}


@pytest.mark.parametrize("reply", [HANG_UP, f"421 4.3.2 shutting down; {HANG_UP}"])
@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA"])
def test_a_connection_that_ends_before_the_content_delays_a_mail_and_loses_none(
    shaky_house: House, relay: MisbehavingRelay, moment: str, reply: str
) -> None:
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB, CLEO)
    relay.answer = at(moment, reply)

    house.work()
    counts = ledger_of(house, edition_id)
    assert set(counts) <= {"accepted", "deferred", "pending"}, "the dot never went out, so it is certain"
    assert len(relay.taken) == counts.get("accepted", 0)
    house.later(minutes=1)
    house.work()
    house.later(minutes=5)
    house.work()

    assert sorted(relay.taken) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}


def test_a_connection_that_ends_while_a_long_mail_is_on_its_way_is_no_uncertainty(relay: MisbehavingRelay) -> None:
    """Its final dot is still here, so the relay cannot have taken it."""
    relay.answer = at("body", HANG_UP)
    long = b"Subject: long\r\n\r\n" + b"All the news that fits.\r\n" * 1_000_000

    with SmtpTransport(MailConfig(port=relay.port), None).connected() as connection, pytest.raises(RelayUnavailable):
        connection.offer(Mail("post@example.org", ANN, long))


def test_a_connection_that_ends_while_a_short_mail_is_on_its_way_sends_it_at_most_once(
    shaky_house: House, relay: MisbehavingRelay
) -> None:
    """It may have heard the dot or not, as chance has it. Where we cannot know it is uncertain."""
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB)
    relay.answer = at("body", HANG_UP, to=ANN)

    house.work()
    for _ in range(4):
        house.later(hours=1)
        house.work()

    counts = ledger_of(house, edition_id)
    assert relay.taken.count(ANN) == 1 - counts.get("uncertain", 0)
    assert relay.taken.count(BOB) == 1
    assert counts in ({"accepted": 2}, {"accepted": 1, "uncertain": 1})


def test_a_connection_that_ends_after_the_final_dot_leaves_one_uncertain_mail_that_is_never_sent_again(
    shaky_house: House, relay: MisbehavingRelay
) -> None:
    """The relay has the mail; nobody can know whether it takes it."""
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB, CLEO)
    relay.answer = at("dot", HANG_UP, to=ANN)

    house.work()
    for _ in range(30):
        house.later(minutes=30)
        house.work()

    assert len(relay.octets) == 3, "one of each"
    assert sorted(relay.taken) == [BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 2, "uncertain": 1}
    assert delivery(house, ANN).state == "uncertain"
    assert edition_state(house, edition_id) == "sent"


def test_a_relay_that_is_silent_after_the_final_dot_leaves_an_uncertain_mail(
    build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay
) -> None:
    house = build_house(sqlite_url, mail=MailConfig(host=relay.host, port=relay.port, final_timeout_seconds=0.3))
    _, edition_id = sending(house, ANN)
    silent = Event()
    relay.answer = lambda moment, recipient: str(silent.wait(20)) if moment == "dot" else None

    house.work()

    silent.set()
    assert ledger_of(house, edition_id) == {"uncertain": 1}
    assert delivery(house, ANN).last_reply


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
        signing_up.request(Wishes([paper.slug]), BOB, Origin(), house.now, house.keys)
    at_work.step()  # there was something to do, but nothing to send
    assert open_alert_keys(house) == [RELAY_ALERT]
