"""Transactional mail: at least once, always with the same Message-ID, and nobody waits behind another's trouble."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from threading import Event

import pytest

from newsletter.app import worker
from newsletter.delivery.engine import Worker
from newsletter.foundation.config import MailConfig, the_config
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import the_links
from newsletter.mail import outbox
from newsletter.mail.message import Sender
from newsletter.mail.outbox import OutboxMail, OutboxState
from newsletter.mail.smtp import Conversation, Mail, Outcome, Reply, Transport, the_transport
from tests.conftest import BuildHouse, House
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, at, running_relay
from tests.support.newsroom import ledger_of, open_alert_keys, sending
from tests.support.ports import free_port
from tests.support.racing import at_once

ANN, BOB = "ann@example.org", "bob@example.org"
POST = Sender("Post", "post@example.org")
WORDS = {
    "service_name": "Morning Post",
    "message": "The relay is away",
    "remedy": "Look at it",
    "admin_link": "https://news.example.org/admin/",
}


def put(house: House, to: str, **words: str) -> int:
    """A mail to staff; its id. Without all of its WORDS it cannot be made."""
    with house.app.app_context():
        with transaction():
            outbox.put("alert", to=to, sender=POST, now=house.now, **words)
        return outbox.mails_to(to)[0].id


def mail(house: House, mail_id: int) -> OutboxMail:
    with house.app.app_context():
        found = db.session.get_one(OutboxMail, mail_id)
        db.session.expunge(found)
        return found


def message_ids(octets: list[bytes]) -> list[bytes]:
    return [one.partition(b"Message-ID: ")[2].partition(b"\r\n")[0] for one in octets]


# Putting


def test_a_mail_exists_if_and_only_if_what_it_is_about_was_committed(either_house: House) -> None:
    house = either_house

    def fail_after_putting() -> None:
        with transaction():
            outbox.put("alert", to=ANN, sender=POST, now=house.now, **WORDS)
            raise ZeroDivisionError

    with house.app.app_context():
        with pytest.raises(ZeroDivisionError):
            fail_after_putting()
        assert outbox.waiting() == 0
    house.work()
    assert house.inbox.mails == []


def test_mails_go_out_in_the_order_in_which_they_came(house: House) -> None:
    for number in (3, 1, 2):
        put(house, f"reader{number}@example.org", **WORDS)
    house.later(seconds=1)
    put(house, "late@example.org", **WORDS)
    house.work()

    order = [mail.recipient.partition("@")[0] for mail in house.inbox.mails]
    assert order == ["reader3", "reader1", "reader2", "late"]


def test_two_workers_send_each_mail_once(either_house: House) -> None:
    house = either_house
    for number in range(12):
        put(house, f"reader{number}@example.org", **WORDS)
    at_once(2, lambda _: house.work())

    assert len({mail.recipient for mail in house.inbox.mails}) == len(house.inbox.mails) == 12


def test_a_stop_does_not_wait_for_the_whole_outbox(house: House) -> None:
    for number in range(20):
        put(house, f"reader{number}@example.org", **WORDS)
    stop = Event()

    def take(_address: str) -> str:
        stop.set()
        return "250 OK"

    house.inbox.answer_data = take
    worker(house.app, stop).run()
    assert len(house.inbox.mails) == 1


# At least once


@pytest.mark.parametrize(
    "answer", [HANG_UP, "451 4.3.0 try again", f"421 4.3.2 shutting down; {HANG_UP}"], ids=["silence", "451", "421"]
)
def test_a_mail_without_a_clear_answer_is_sent_again_with_the_same_message_id(
    shaky_house: House, relay: MisbehavingRelay, answer: str
) -> None:
    house = shaky_house
    mail_id = put(house, ANN, **WORDS)
    relay.answer = at("dot", answer)
    house.work()
    assert mail(house, mail_id).state is OutboxState.PENDING
    house.later(seconds=59)
    house.work()
    assert len(relay.octets) == 1
    house.later(seconds=1)
    house.work()

    assert relay.taken == [ANN]
    assert len(relay.octets) == 2
    assert len(set(message_ids(relay.octets))) == 1
    assert mail(house, mail_id).state is OutboxState.SENT


def test_a_mail_that_is_put_off_again_and_again_is_given_up_after_nine_tries(house: House) -> None:
    house.inbox.answer_rcpt = lambda address: "451 4.7.1 greylisted"
    mail_id = put(house, ANN, **WORDS)
    waits = []
    for _ in range(9):
        house.work()
        found = mail(house, mail_id)
        waits.append((found.next_attempt_at - house.now) / timedelta(minutes=1))
        house.clock.at = found.next_attempt_at

    assert waits[:8] == [1, 5, 15, 30, 60, 120, 240, 480]
    assert (found.state, found.attempts, found.last_reply) == (OutboxState.FAILED, 9, "451 4.7.1 greylisted")
    house.later(days=2)
    house.work()
    assert mail(house, mail_id).attempts == 9


def test_a_refused_mail_is_not_tried_again_and_keeps_the_reason(house: House) -> None:
    tried: list[str] = []

    def refuse(address: str) -> str:
        tried.append(address)
        return "550 5.1.1 no such user" if address == ANN else "250 OK"

    house.inbox.answer_rcpt = refuse
    refused, behind = put(house, ANN, **WORDS), put(house, BOB, **WORDS)
    house.work()
    house.later(days=1)
    house.work()

    assert tried == [ANN, BOB]
    assert mail(house, refused).state is OutboxState.FAILED
    assert mail(house, refused).last_reply == "550 5.1.1 no such user"
    assert mail(house, behind).state is OutboxState.SENT


def test_a_relay_that_is_away_for_a_week_costs_no_attempt(build_house: BuildHouse, sqlite_url: str) -> None:
    port = free_port()
    house = build_house(sqlite_url, mail=MailConfig(port=port))
    mail_id = put(house, ANN, **WORDS)
    for _ in range(14):
        house.work()
        house.later(hours=12)
    assert (mail(house, mail_id).state, mail(house, mail_id).attempts) == (OutboxState.PENDING, 0)

    with running_relay(port=port) as relay:
        house.work()
        assert relay.taken == [ANN]


@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA"])
def test_a_relay_that_hangs_up_in_the_middle_loses_no_mail_and_doubles_none(
    shaky_house: House, relay: MisbehavingRelay, moment: str
) -> None:
    house = shaky_house
    put(house, ANN, **WORDS)
    put(house, BOB, **WORDS)
    relay.answer = at(moment, HANG_UP)
    for _ in range(4):
        house.work()
        house.later(seconds=30)

    assert sorted(relay.taken) == [ANN, BOB]


# A crash between claim and record


class PulledPlug(BaseException):
    """The process is gone at once; nobody cleans up."""


class DyingTransport(Transport):
    """A relay that takes a mail, and the machine dies before anybody can write that down."""

    def __init__(self, house: House) -> None:
        with house.app.app_context():
            self._transport = the_transport()

    def open(self) -> Conversation:
        self._conversation = self._transport.open()
        return self

    async def offer(self, mail: Mail) -> Reply | None:
        return await self._conversation.offer(mail)

    async def finish(self, following: Mail | None = None) -> Reply:
        await self._conversation.finish(following)
        raise PulledPlug

    async def close(self) -> None:
        await self._conversation.close()


def test_a_mail_whose_worker_died_is_sent_again_after_its_lease_with_the_same_message_id(either_house: House) -> None:
    house = either_house
    put(house, ANN, **WORDS)
    with house.app.app_context(), pytest.raises(PulledPlug):
        outbox.send_due(DyingTransport(house), the_config(), the_links(), house.clock)
    house.later(minutes=4, seconds=59)
    house.work()
    assert len(house.inbox.mails) == 1, "somebody else could still be at work on it"
    house.later(seconds=1)
    house.work()
    house.later(hours=1)
    house.work()

    first, second = house.inbox.mails
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_a_late_refusal_does_not_undo_what_another_worker_has_sent(house: House) -> None:
    """One worker was slower than its lease; the other one was told 250."""
    mail_id = put(house, ANN, **WORDS)
    with house.app.app_context():
        slow = outbox._claim(house.now)
        assert slow is not None
    house.later(minutes=6)
    house.work()
    assert mail(house, mail_id).state is OutboxState.SENT
    with house.app.app_context():
        outbox._record(mail_id, Reply(Outcome.REFUSED, "550 duplicate"), house.now)
    assert mail(house, mail_id).state is OutboxState.SENT


# Poison


def test_a_mail_that_cannot_be_made_does_not_block_those_behind_it_for_ever(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    with house.app.app_context(), transaction():
        outbox.put("alert", to=ANN, sender=POST, now=house.now, message="no more data")
        outbox.put("nowhere", to=ANN, sender=POST, now=house.now)
    put(house, BOB, **WORDS)
    at_work = house.worker()
    for _ in range(4):
        step_as_run_does(at_work)

    assert len(house.inbox.of(BOB)) == 1
    assert house.inbox.of(ANN) == []


def test_a_template_that_breaks_does_not_stop_editions(house: House) -> None:
    """Five minutes of a worker that pauses 5 s after each fault are 60 steps; here are more broken mails than that."""
    _, edition_id = sending(house, ANN)
    with house.app.app_context(), transaction():
        for number in range(70):
            outbox.put("alert", to=f"reader{number}@example.org", sender=POST, now=house.now)
    at_work = house.worker()
    for _ in range(120):
        step_as_run_does(at_work)
        house.later(seconds=5)
        if house.inbox.mails:
            break
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_a_mail_that_cannot_be_made_is_given_up_and_staff_are_told(house: House) -> None:
    mail_id = put(house, ANN)
    at_work = house.worker()
    for _ in range(40):
        step_as_run_does(at_work)
        house.later(hours=1)
    assert mail(house, mail_id).state is OutboxState.FAILED
    assert "could not be made" in (mail(house, mail_id).last_reply or "")
    assert open_alert_keys(house) != []


def step_as_run_does(at_work: Worker) -> None:
    """A fault in one step does not end the worker."""
    with suppress(Exception):
        at_work.step()


# What stands on it


def test_a_transactional_mail_says_that_it_is_one_and_has_a_return_path_of_its_own(house: House) -> None:
    """RFC 3834 §5 against vacation notes in answer; DESIGN.md §6 for the return path."""
    mail_id = put(house, ANN, **WORDS)
    house.work()

    (received,) = house.inbox.mails
    assert received.message["Auto-Submitted"] == "auto-generated"
    assert received.message["List-Unsubscribe"] is None
    local, _, domain = received.sender.partition("@")
    assert domain == "example.org"
    assert house.links.read_verp(local.removeprefix("bounces+")) == ("o", mail_id)
