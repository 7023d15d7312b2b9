"""Workers that stop, sleep, die, or are several: nothing is lost and nothing is sent twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sa

from newsletter.app import worker
from newsletter.delivery import ledger, shards
from newsletter.delivery.models import Delivery, DeliveryState, SkipReason
from newsletter.delivery.shards import Leased
from newsletter.foundation.config import MailConfig
from newsletter.foundation.database import db, transaction
from newsletter.mail.smtp import Outcome, Reply
from newsletter.subscribers.models import Subscriber
from tests.conftest import BuildHouse, House
from tests.integration.delivery import during_the_first_mail
from tests.support.attempts import record, start
from tests.support.misbehaving_relay import MisbehavingRelay
from tests.support.newsroom import (
    edition_state,
    ledger_of,
    really_sending,
    sending,
)
from tests.support.racing import at_once, beside
from tests.support.worker_process import running_worker, wait_for_the_line

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"


# Stopping and sleeping


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


def test_two_workers_on_one_edition_mail_each_reader_once(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = either_house
    readers = [f"reader{number}@example.org" for number in range(40)]
    _, edition_id = sending(house, *readers)
    monkeypatch.setattr(shards, "SIZE", 5)

    at_once(2, lambda _: house.work())
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
        if moment == "dot" and not asleep.is_set():
            asleep.set()
            assert awake.wait(20)
        return None

    relay.answer = sleep_once
    with beside(house.work):
        assert asleep.wait(20)
        house.clock.at += shards.LEASE + timedelta(seconds=1)
        house.work()
        assert ledger_of(house, edition_id) == {"accepted": 2, "uncertain": 1}
        awake.set()

    assert sorted(relay.taken) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}, "its late result settles what was uncertain"


@pytest.mark.parametrize("late", [Reply(Outcome.DEFERRED, "451 later")])
def test_a_late_result_that_says_later_is_tried_again(house: House, late: Reply) -> None:
    """Uncertain became certain: the relay has not taken it, so the reader is still owed his mail (rule 11)."""
    _, edition_id = sending(house, ANN)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        attempt = start(shard.rows[0], house.now)
        assert attempt is not None
        house.clock.at += shards.LEASE
        ledger.settle(house.now)
        record(shard.rows[0], attempt, late, house.now)
    house.later(minutes=6)
    house.work()
    assert len(house.inbox.of(ANN)) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1}


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


def test_a_worker_that_is_killed_at_the_final_dot_loses_nothing_and_doubles_nothing(
    build_house: BuildHouse, either_database: str, tmp_path: Path, sleepy_relay: SleepyRelay
) -> None:
    relay = sleepy_relay.relay
    house = build_house(either_database, mail=MailConfig(port=relay.port))
    edition_id = really_sending(house, "morning-post", ANN, BOB, CLEO)

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
    edition_id = really_sending(house, "morning-post", ANN, BOB, CLEO)

    with running_worker(tmp_path, sqlite_url, relay) as process:
        assert sleepy_relay.asleep.wait(60), "the worker did not come so far"
        process.terminate()
        wait_for_the_line("Asked to stop", tmp_path / "worker.log")
        sleepy_relay.awake.set()
        assert process.wait(60) == 0
    assert len(relay.taken) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
    house.later(minutes=1)
    house.work()

    assert sorted(relay.taken) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}


@pytest.mark.slow
@pytest.mark.parametrize("connections", [8, 32])
def test_a_worker_that_is_asked_to_stop_on_many_connections_leaves_no_doubt(
    build_house: BuildHouse, either_database: str, tmp_path: Path, relay: MisbehavingRelay, connections: int
) -> None:
    readers = [f"reader{number}@example.org" for number in range(200)]
    house = build_house(either_database, mail=MailConfig(port=relay.port))
    edition_id = really_sending(house, "morning-post", *readers)
    many = Event()

    def look(moment: str, _recipient: str) -> str | None:
        if moment == "dot" and len(relay.taken) >= 20:
            many.set()
        return None

    relay.answer = look
    with running_worker(tmp_path, either_database, relay, connections=connections) as process:
        assert many.wait(60), "the worker did not come so far"
        process.terminate()
        assert process.wait(60) == 0
    stopped = ledger_of(house, edition_id)
    assert set(stopped) <= {"accepted", "pending"}
    assert stopped["accepted"] == len(relay.taken)
    house.later(minutes=5)
    house.work()

    assert sorted(relay.taken) == sorted(readers)
    assert ledger_of(house, edition_id) == {"accepted": len(readers)}


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_by_an_hour_in_the_middle_of_a_run_costs_nobody_a_copy(
    build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay, hours: int
) -> None:
    readers = [f"reader{number}@example.org" for number in range(30)]
    house = build_house(sqlite_url, mail=MailConfig(port=relay.port, connections=4))
    _, edition_id = sending(house, *readers)
    jumped = Event()

    def jump(moment: str, _recipient: str) -> str | None:
        if moment == "dot" and len(relay.taken) >= 10 and not jumped.is_set():
            jumped.set()
            house.later(hours=hours)
        return None

    relay.answer = jump
    house.work()
    assert jumped.is_set()
    ledger_of(house, edition_id)  # adds up
    assert len(set(relay.taken)) == len(relay.taken)
    house.later(hours=1, minutes=1)
    house.work()

    assert sorted(relay.taken) == sorted(readers)
    assert ledger_of(house, edition_id) == {"accepted": len(readers)}


def test_a_relay_that_forwards_to_another_address_has_taken_the_copy(
    build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay
) -> None:
    """RFC 5321 §3.4. What it makes of the return path shows in bounces, which are found by their Message-ID then."""
    relay.answer = lambda moment, recipient: (
        "251 2.1.5 not here; will forward to <elsewhere@example.net>" if moment == "RCPT" else None
    )
    house = build_house(sqlite_url, mail=MailConfig(port=relay.port))
    _, edition_id = sending(house, ANN, BOB)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert sorted(relay.tried) == [ANN, BOB]


def test_a_shard_that_is_leased_anew_beside_its_old_tasks_gives_nobody_two(
    build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stood still for longer than its lease, and then goes on with both."""
    monkeypatch.setattr(shards, "SIZE", 4)
    readers = [f"reader{number}@example.org" for number in range(8)]
    house = build_house(sqlite_url, mail=MailConfig(port=relay.port, connections=8))
    _, edition_id = sending(house, *readers)
    lease, freed = shards.lease, Event()

    def lose_the_first(*about: object) -> Leased | None:
        found = lease(*about)  # type: ignore[arg-type]
        if not freed.is_set():
            freed.set()
            with transaction():
                shards.free_orphans(house.now + timedelta(hours=1))
        return found

    monkeypatch.setattr(shards, "lease", lose_the_first)
    house.work()
    house.later(minutes=11)
    house.work()
    assert sorted(relay.taken) == sorted(readers)
    assert ledger_of(house, edition_id) == {"accepted": 8}


def test_who_was_erased_after_the_freeze_is_skipped(either_house: House) -> None:
    house = either_house
    sending(house, ANN, BOB)
    with house.app.app_context(), transaction() as session:
        gone = session.scalars(sa.select(Subscriber).where(Subscriber.address == ANN)).one()
        session.delete(gone)
    house.work()
    with house.app.app_context():
        states = dict(db.session.execute(sa.select(Delivery.state, Delivery.skip_reason)).tuples().all())
    assert states == {DeliveryState.SKIPPED: SkipReason.LEFT, DeliveryState.ACCEPTED: None}
    assert [mail.recipient for mail in house.inbox.mails] == [BOB]
