"""Sending, while the relay, the readers and the staff do what they do: each reader gets the edition once or not at all,
and the ledger says which."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from newsletter.app import worker
from newsletter.delivery import ledger, releasing
from newsletter.delivery.engine import RELAY_ALERT
from newsletter.editions import publishing
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import SystemClock
from newsletter.foundation.config import MailConfig
from newsletter.foundation.database import db
from newsletter.mail.smtp import RelayUnavailable, SmtpTransport
from newsletter.newsletters.models import Slot
from newsletter.subscribers import suppressing
from tests.conftest import BuildHouse, House
from tests.support.inbox import Inbox
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, at, running_relay
from tests.support.newsroom import (
    alerts_raised,
    delivery,
    edition_state,
    found,
    ledger_of,
    open_alert_keys,
    sending,
)
from tests.support.ports import free_port
from tests.support.worker_process import running_worker

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"


def refusing(address: str, reply: str, tried: list[str] | None = None) -> Callable[[str], str]:
    def answer(recipient: str) -> str:
        if recipient == address and tried is not None:
            tried.append(recipient)
        return reply if recipient == address else "250 OK"

    return answer


def during_the_first_mail(inbox: Inbox, happens: Callable[[], None]) -> None:
    """Let something happen while the relay has the first mail and has not answered yet."""

    def answer(_recipient: str) -> str:
        inbox.answer_data = lambda address: "250 OK"
        happens()
        return "250 OK"

    inbox.answer_data = answer


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
    house.inbox.answer_data = refusing(BOB, "554 5.7.1 looks like spam", tried)

    house.work()
    house.later(hours=5)
    house.work()

    assert tried == [BOB]
    assert ledger_of(house, edition_id) == {"accepted": 1, "refused": 1}


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
        connection.send("post@example.org", ANN, long)


def test_a_connection_that_ends_while_a_short_mail_is_on_its_way_sends_it_at_most_once(
    shaky_house: House, relay: MisbehavingRelay
) -> None:
    """The dot was handed to the system with the rest, so nobody can know."""
    house = shaky_house
    _, edition_id = sending(house, ANN, BOB)
    relay.answer = at("body", HANG_UP, to=ANN)

    house.work()
    for _ in range(4):
        house.later(hours=1)
        house.work()

    assert relay.taken == [BOB]
    assert relay.tried.count(ANN) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "uncertain": 1}


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
    house = build_house(sqlite_url, mail=MailConfig(host=relay.host, port=relay.port, timeout_seconds=0.3))
    _, edition_id = sending(house, ANN)
    silent = Event()
    relay.answer = lambda moment, recipient: str(silent.wait(20)) if moment == "dot" else None

    house.work()

    silent.set()
    assert ledger_of(house, edition_id) == {"uncertain": 1}
    assert delivery(house, ANN).last_reply


# Readers who change their mind between the freeze and their mail


def test_who_leaves_after_the_freeze_is_skipped_with_the_reason(either_house: House) -> None:
    house = either_house
    paper, edition_id = sending(house, ANN, BOB, CLEO, "dora@example.org")
    paper.leave(ANN)
    paper.change(BOB, paused_until=date(2026, 3, 4))
    with house.app.app_context():
        suppressing.suppress(CLEO, "asked by phone", house.now, house.keys, COMMAND)

    house.work()

    assert [mail.recipient for mail in house.inbox.mails] == ["dora@example.org"]
    assert ledger_of(house, edition_id) == {
        "accepted": 1,
        "skipped(left)": 1,
        "skipped(paused)": 1,
        "skipped(suppressed)": 1,
    }
    assert delivery(house, ANN).skip_reason == "left"
    assert delivery(house, BOB).skip_reason == "paused"
    assert delivery(house, CLEO).skip_reason == "suppressed"
    assert edition_state(house, edition_id) == "sent"


def test_who_leaves_while_his_shard_is_being_sent_gets_no_mail(house: House) -> None:
    paper, edition_id = sending(house, ANN, BOB)
    during_the_first_mail(house.inbox, lambda: paper.leave(BOB))

    house.work()

    assert house.inbox.of(BOB) == []
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(left)": 1}


def test_who_leaves_while_his_mail_waits_for_another_try_gets_no_mail(house: House) -> None:
    paper, edition_id = sending(house, ANN)
    house.inbox.answer_rcpt = refusing(ANN, "451 later")
    house.work()
    house.inbox.answer_rcpt = lambda address: "250 OK"
    paper.leave(ANN)
    house.later(minutes=6)
    house.work()

    assert house.inbox.mails == []
    assert ledger_of(house, edition_id) == {"skipped(left)": 1}


def test_who_pauses_until_today_is_mailed_today(house: House) -> None:
    paper, edition_id = sending(house, ANN)
    paper.change(ANN, paused_until=date(2026, 3, 3))

    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}


# Staff and the clock


def test_a_hold_in_the_middle_of_a_run_stops_at_the_next_mail(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB, CLEO)

    def hold() -> None:
        with house.app.app_context():
            publishing.hold(edition_id, "wrong headline", house.now, COMMAND)

    during_the_first_mail(house.inbox, hold)
    house.work()
    assert len(house.inbox.mails) == 1, "what was in flight is finished, and no more"
    assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
    house.later(minutes=30)
    house.work()
    assert len(house.inbox.mails) == 1

    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    house.work()
    assert sorted(mail.recipient for mail in house.inbox.mails) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}
    assert edition_state(house, edition_id) == "sent"


def test_what_is_not_out_by_finish_by_expires(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_rcpt = refusing(BOB, "451 later")
    house.work()
    house.clock.at = house.clock.at.replace(hour=17, minute=59)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}

    house.inbox.answer_rcpt = lambda address: "250 OK"
    house.clock.at = house.clock.at.replace(hour=18, minute=0)
    house.work()

    assert house.inbox.of(BOB) == []
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(expired)": 1}
    assert edition_state(house, edition_id) == "sent"


def test_an_edition_held_until_finish_by_expires_whole(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        publishing.hold(edition_id, "wrong headline", house.now, COMMAND)
    house.later(hours=13)
    house.work()

    assert house.inbox.mails == []
    assert ledger_of(house, edition_id) == {"skipped(expired)": 2}
    assert open_alert_keys(house) == []


def test_a_stop_in_the_middle_of_a_shard_finishes_what_is_in_flight_and_gives_the_rest_back(
    house: House,
) -> None:
    stop = Event()
    _, edition_id = sending(house, ANN, BOB, CLEO)
    during_the_first_mail(house.inbox, stop.set)

    worker(house.app, stop).run()

    assert len(house.inbox.mails) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
    house.work()  # another worker, at once: no lease is in its way
    assert sorted(mail.recipient for mail in house.inbox.mails) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}


# Several workers


def test_two_workers_on_one_edition_mail_each_reader_once(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = either_house
    readers = [f"reader{number}@example.org" for number in range(40)]
    _, edition_id = sending(house, *readers)
    lease_shard = ledger.lease_shard
    monkeypatch.setattr(ledger, "lease_shard", lambda now: lease_shard(now, 5))

    at_work = [Thread(target=house.work) for _ in range(2)]
    for thread in at_work:
        thread.start()
    for thread in at_work:
        thread.join()
    house.work()

    assert sorted(mail.recipient for mail in house.inbox.mails) == sorted(readers)
    assert ledger_of(house, edition_id) == {"accepted": 40}
    assert edition_state(house, edition_id) == "sent"


def test_a_worker_that_was_overtaken_sends_nothing_more(
    build_house: BuildHouse, either_database: str, relay: MisbehavingRelay
) -> None:
    """A machine that slept for longer than its lease wakes up beside the worker that took over."""
    house = build_house(either_database, mail=MailConfig(host=relay.host, port=relay.port))
    _, edition_id = sending(house, ANN, BOB, CLEO)
    asleep, awake = Event(), Event()

    def sleep_once(moment: str, recipient: str) -> str | None:
        if moment == "RCPT" and not asleep.is_set():
            asleep.set()
            assert awake.wait(20)
        return None

    relay.answer = sleep_once
    sleeper = Thread(target=house.work)
    sleeper.start()
    assert asleep.wait(20)
    house.clock.at += ledger.LEASE + timedelta(seconds=1)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 2, "uncertain": 1}
    awake.set()
    sleeper.join()

    assert sorted(relay.taken) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}, "its late result settles what was uncertain"


# Real processes, really killed


@pytest.fixture
def sleepy_relay(relay: MisbehavingRelay) -> Iterator[SleepyRelay]:
    """A relay that falls asleep once, at the first mail's final dot."""
    sleepy = SleepyRelay(relay)
    yield sleepy
    sleepy.awake.set()


@dataclass
class SleepyRelay:
    relay: MisbehavingRelay
    asleep: Event = field(default_factory=Event)
    awake: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.relay.answer = self.answer

    def answer(self, moment: str, recipient: str) -> str | None:
        if moment == "dot" and not self.asleep.is_set():
            self.asleep.set()
            assert self.awake.wait(60)
        return None


def really_now(house: House) -> int:
    """An edition that is being sent by the machine's own clock, which another process goes by."""
    house.clock.at = SystemClock().now()
    paper = found(house)
    paper.tells("Harbor bridge closes", "New school opens")
    paper.readers(ANN, BOB, CLEO)
    with house.app.app_context():
        today = house.now.date()
        drafted = publishing.compose(db.session.get_one(Slot, paper.slot_id), today, house.now, COMMAND)
        return releasing.send(drafted.id, house.now, COMMAND, today.isoformat()).id


def test_a_worker_that_is_killed_at_the_final_dot_loses_nothing_and_doubles_nothing(
    build_house: BuildHouse, either_database: str, tmp_path: Path, sleepy_relay: SleepyRelay
) -> None:
    relay = sleepy_relay.relay
    house = build_house(either_database, mail=MailConfig(port=relay.port))
    edition_id = really_now(house)

    with running_worker(tmp_path, either_database, relay) as process:
        assert sleepy_relay.asleep.wait(60), "the worker did not come so far"
        assert ledger_of(house, edition_id) == {"sending": 1, "pending": 2}, "it is written down before the dot"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    sleepy_relay.awake.set()
    house.later(minutes=1)
    house.work()
    assert ledger_of(house, edition_id) == {"sending": 1, "pending": 2}, "its lease is believed for ten minutes"
    house.later(minutes=10)
    house.work()

    assert len(relay.octets) == 3
    assert sorted(relay.tried) == [ANN, BOB, CLEO], "each once"
    assert ledger_of(house, edition_id) == {"uncertain": 1, "accepted": 2}
    assert edition_state(house, edition_id) == "sent"


def test_a_worker_that_is_asked_to_stop_finishes_the_mail_in_flight_and_gives_the_rest_back(
    build_house: BuildHouse, sqlite_url: str, tmp_path: Path, sleepy_relay: SleepyRelay
) -> None:
    relay = sleepy_relay.relay
    house = build_house(sqlite_url, mail=MailConfig(port=relay.port))
    edition_id = really_now(house)

    with running_worker(tmp_path, sqlite_url, relay) as process:
        assert sleepy_relay.asleep.wait(60), "the worker did not come so far"
        process.terminate()
        sleepy_relay.awake.set()
        assert process.wait(60) == 0
    assert len(relay.taken) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
    house.later(minutes=1)
    house.work()

    assert sorted(relay.taken) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}
