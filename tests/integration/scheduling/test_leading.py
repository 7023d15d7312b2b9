"""Of several schedulers one ticks; when it ends the next one takes over, and what was missed is made up once."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, time, timedelta
from threading import Event, Thread

import pytest
import sqlalchemy as sa
from apscheduler.schedulers.background import BackgroundScheduler

from newsletter import scheduling
from newsletter.delivery import releasing
from newsletter.editions import adding, publishing
from newsletter.editions.models import Edition
from newsletter.foundation import leases, safety
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.scheduling import Scheduler
from tests.conftest import House
from tests.integration.operations.test_serve import wait_until
from tests.support.newsroom import SUBJECTS, Paper, found, ledger_of, open_alert_keys, send
from tests.support.schedulers import rounds, scheduler

ANN = "ann@example.org"


def furnished(house: House, **changed: str) -> Paper:
    paper = found(house, **changed)
    paper.tells(*SUBJECTS)
    paper.readers(ANN)
    return paper


def leading(*schedulers: Scheduler) -> list[bool]:
    return [one._leader.leads for one in schedulers]


def dates(house: House) -> list[str]:
    with house.app.app_context():
        return [str(day) for day in db.session.scalars(sa.select(Edition.local_date).order_by(Edition.local_date))]


def next_line(house: House) -> str:
    with house.app.app_context():
        return scheduling.next_line(house.now)


def change(house: House, **columns: object) -> None:
    with house.app.app_context(), transaction() as session:
        for name, value in columns.items():
            setattr(session.scalars(sa.select(Newsletter)).one(), name, value)


# Leading


def test_only_the_leader_ticks_and_the_next_one_takes_over_when_it_dies(either_house: House) -> None:
    house = either_house
    one, two = scheduler(house), scheduler(house)
    rounds(one, two)
    assert leading(one, two) == [True, False]
    furnished(house)
    rounds(two)
    assert dates(house) == []

    for _ in range(6):  # nothing is heard of the first
        house.later(seconds=5)
        rounds(two)
    assert leading(one, two) == [False, True]
    assert dates(house) == ["2026-03-03"]
    house.later(minutes=40)
    rounds(two, one)
    house.work()
    assert len(house.inbox.of(ANN)) == 1


def test_who_ends_in_order_hands_over_at_once(house: House) -> None:
    one, two = scheduler(house), scheduler(house)
    rounds(one, two)
    one._leader.resign()
    rounds(two, one)
    assert leading(one, two) == [False, True]


def test_a_leader_whose_database_is_away_leads_no_more_when_its_lease_is_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = scheduler(house)
    rounds(one)
    furnished(house)

    def away(*_: object) -> bool:
        raise sa.exc.OperationalError("", {}, Exception("away"))

    monkeypatch.setattr(safety, "beat", away)
    house.later(seconds=29)
    one.beat()
    assert leading(one) == [True]
    house.later(seconds=1)
    one.beat()
    assert leading(one) == [False]
    rounds(one)
    assert dates(house) == []


def test_a_leader_that_was_stopped_for_a_while_asks_before_it_ticks_on(house: House) -> None:
    """As by SIGSTOP, or in a machine that slept."""
    one, two = scheduler(house), scheduler(house)
    rounds(one, two)
    house.later(minutes=5)
    furnished(house)
    for tick in one.ticks:
        one.tick(tick)
    assert dates(house) == []
    rounds(two, one)
    assert leading(one, two) == [False, True]


def test_whoever_takes_over_collects_before_anything_else(house: House) -> None:
    one = scheduler(house)
    furnished(house)
    one.beat()
    collect, *others = one.ticks
    for tick in others:
        one.tick(tick)
    assert dates(house) == []
    one.tick(collect)
    for tick in others:
        one.tick(tick)
    assert dates(house) == ["2026-03-03"]


def test_a_tick_that_was_missed_is_made_up_once(house: House) -> None:
    paper = furnished(house)
    house.clock.at = house.now.replace(hour=7, minute=30)
    rounds(scheduler(house))
    with house.app.app_context():
        assert db.session.scalars(sa.select(Edition)).one().frozen_at == house.now
    rounds(scheduler(house))
    house.work()
    assert dates(house) == ["2026-03-03"]
    assert len(house.inbox.of(ANN)) == 1
    assert ledger_of(house, 1) == {"accepted": 1}
    assert paper.id == 1


def test_a_scheduler_runs_says_what_comes_next_and_lets_go_of_the_lease_at_its_end(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With APScheduler and its threads."""
    monkeypatch.setattr(scheduling, "BEAT_SECONDS", 0.05)
    caplog.set_level(logging.INFO, "newsletter.scheduling")
    furnished(house)
    stop, stop_other = Event(), Event()
    threads = [
        Thread(target=scheduling.run, args=(house.app, house.clock, house.fetcher, each)) for each in (stop, stop_other)
    ]
    threads[0].start()
    wait_until(
        lambda: "Next: send Morning Post of 2026-03-03 for 06:00 UTC at 2026-03-03 06:00 UTC." in caplog.messages
    )
    threads[1].start()
    wait_until(lambda: any(line.startswith("Another scheduler leads (") for line in caplog.messages))
    stop.set()
    threads[0].join(60)
    wait_until(lambda: sum(line.startswith("Next: send") for line in caplog.messages) == 2)
    stop_other.set()
    threads[1].join(60)

    assert not any(thread.is_alive() for thread in threads)
    with house.app.app_context():
        lease = leases.lease(safety.SCHEDULER)
        assert lease is not None
        assert lease.until < house.now
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_who_is_stopped_while_a_tick_wakes_the_others_ends_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after its start, while it collects for the first time."""
    furnished(house)
    stop, closing = Event(), Event()
    shut_down = BackgroundScheduler.shutdown

    def shutdown(self: BackgroundScheduler, wait: bool = True) -> None:
        closing.set()
        shut_down(self, wait=wait)

    def collect(_now: datetime) -> int:
        stop.set()
        closing.wait(10)
        return 0

    monkeypatch.setattr(BackgroundScheduler, "shutdown", shutdown)
    one = scheduler(house)
    one.ticks = (replace(one.ticks[0], verb=collect), *one.ticks[1:])
    thread = Thread(target=one.run, args=(stop,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


# What comes next


def test_the_line_says_what_comes_next_with_dates_to_skip(house: House) -> None:
    assert next_line(house) == "Nothing is planned: there is no newsletter yet."
    paper = furnished(house)
    assert next_line(house) == "Next: draft Morning Post of 2026-03-04 for 06:00 UTC at 2026-03-04 05:15 UTC."
    change(house, skip_dates=["2026-03-04", "2026-03-05"])
    assert next_line(house) == "Next: draft Morning Post of 2026-03-06 for 06:00 UTC at 2026-03-06 05:15 UTC."
    edition_id = paper.draft()
    assert next_line(house) == "Next: send Morning Post of 2026-03-03 for 06:00 UTC at 2026-03-03 06:00 UTC."
    with house.app.app_context():
        publishing.hold(edition_id, "wait", house.now, COMMAND)
    assert next_line(house).startswith("Next: draft Morning Post of 2026-03-06")


def test_the_line_says_that_everything_is_halted(house: House) -> None:
    furnished(house)
    with house.app.app_context(), transaction():
        safety.halt("somebody pulled the plug.", house.now)
    assert next_line(house).startswith("Nothing is sent: somebody pulled the plug. Make sure that")


def test_a_draft_that_waits_for_a_person_is_not_said_to_go_out(house: House) -> None:
    furnished(house, approval="manual").draft()
    assert next_line(house).startswith("Next: draft Morning Post of 2026-03-04")


def test_a_send_by_hand_is_said_at_the_moment_at_which_it_takes_effect(house: House) -> None:
    paper = furnished(house, cooling_minutes="2")
    edition_id = paper.draft()
    send(house, edition_id)
    assert next_line(house) == "Next: send Morning Post of 2026-03-03 for 06:00 UTC at 2026-03-03 05:22 UTC."


def test_a_special_edition_is_said_once_somebody_has_sent_it(house: House) -> None:
    paper = furnished(house, cooling_minutes="2", approval="manual")
    paper.draft()
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        special_id = adding.special(slot, house.now.date(), house.now, COMMAND).id
        releasing.approve(special_id, house.now, COMMAND)
    assert next_line(house).startswith("Next: draft Morning Post of 2026-03-04"), "it waits for a person"
    send(house, special_id)
    assert next_line(house) == (
        "Next: send Morning Post (special 1) of 2026-03-03 for 06:00 UTC at 2026-03-03 05:22 UTC."
    )


# Dates and slots that change


def test_a_date_to_skip_has_no_edition_and_nobody_is_alarmed(house: House) -> None:
    furnished(house)
    change(house, skip_dates=["2026-03-03"])
    for minutes in (0, 45, 60, 300):
        house.later(minutes=minutes)
        rounds(scheduler(house))
    assert dates(house) == []
    assert open_alert_keys(house) == []
    assert house.browser.get("/readyz").status_code == 200


FURTHER = [pytest.param(at, marks=pytest.mark.slow) for at in (time(7), time(0, 30), time(23, 59))]


@pytest.mark.parametrize("moved_to", [time(18), time(5, 30), *FURTHER], ids=str)
def test_a_slot_that_is_moved_after_its_edition_went_out_makes_no_second_one_that_day(
    house: House, moved_to: time
) -> None:
    furnished(house)
    rounds(scheduler(house))
    house.later(minutes=45)
    rounds(scheduler(house))
    house.work()
    assert len(house.inbox.of(ANN)) == 1

    with house.app.app_context(), transaction():
        db.session.scalars(sa.select(Slot)).one().local_time = moved_to
    while house.now < datetime.fromisoformat("2026-03-03T23:10:00+00:00"):
        rounds(scheduler(house))
        house.later(minutes=50)
    assert dates(house) == ["2026-03-03"]
    house.work()
    assert len(house.inbox.of(ANN)) == 1


def test_a_zone_whose_rule_changes_during_the_day_makes_no_second_edition(house: House) -> None:
    """As when new time zone data come with an upgrade: the zone's clocks are put back an hour by law at noon."""
    furnished(house, zone="Europe/Berlin")
    house.clock.at = house.now.replace(hour=5, minute=0)
    rounds(scheduler(house))
    house.work()
    with house.app.app_context():
        db.session.execute(sa.update(Slot).values(zone="Europe/London"))
        db.session.commit()
    for _ in range(12):
        house.later(hours=1)
        rounds(scheduler(house))
        house.work()
    assert dates(house) == ["2026-03-03"]
    assert len(house.inbox.of(ANN)) == 1


def test_the_heartbeat_is_the_leaders(house: House) -> None:
    with house.app.app_context():
        assert safety.heartbeat() is None
    one, two = scheduler(house), scheduler(house)
    rounds(one, two)
    begun = house.now
    house.later(seconds=20)
    rounds(two)
    with house.app.app_context():
        assert safety.heartbeat() == begun
        house.clock.at += timedelta(seconds=5)
    rounds(one)
    with house.app.app_context():
        assert safety.heartbeat() == house.now
