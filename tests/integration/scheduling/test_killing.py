"""Two real schedulers on one PostgreSQL, killed again and again while editions come due."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from threading import Event
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from newsletter.delivery.models import Delivery
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import leases, safety
from newsletter.foundation.clock import SystemClock
from newsletter.foundation.database import db, transaction
from newsletter.foundation.installation import Installation
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.stories.models import Source
from tests.conftest import BuildHouse, House
from tests.integration.operations.test_serve import wait_until
from tests.support import scheduler_process
from tests.support.newsroom import SUBJECTS, found, orphans

DEATHS = 50
SLOTS = 50
APART = timedelta(seconds=3)
READERS = ("ann@example.org", "bob@example.org")


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Iterator[Pair]:
    pair = Pair(tmp_path, postgres_url)
    yield pair
    for process in pair.processes:
        process.kill()
        process.join()


class Pair:
    """Two schedulers; who dies is started again at once."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self.processes: list[BaseProcess] = []

    def start(self) -> None:
        self.processes = [self._start(number) for number in range(2)]

    def _start(self, number: int) -> BaseProcess:
        return scheduler_process.start(self._folder, self._url, number)

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].join()
        assert self.processes[number].exitcode == -signal.SIGKILL, self.log
        self.processes[number] = self._start(number)

    def leader(self, house: House) -> int | None:
        """Which of the two leads at the moment; None when neither does, or the one that does has been killed."""
        with house.app.app_context():
            lease = leases.lease(safety.SCHEDULER)
            if lease is None or lease.until <= SystemClock().now():
                return None
            pids = [str(process.pid) for process in self.processes]
            pid = lease.holder.split()[-2]
        return pids.index(pid) if pid in pids else None

    @property
    def log(self) -> str:
        return "".join(file.read_text("utf-8", "replace") for file in self._folder.glob("scheduler-*.log"))


def furnish(house: House) -> int:
    """Slots that come due one after the other for some minutes: half of them of a newsletter that drafts a minute
    before, half of one that drafts at the slot. It is about noon there, so that none of them meets midnight."""
    begins = house.now + timedelta(seconds=15)
    zone = f"Etc/GMT{house.now.hour - 12:+d}"  # where UTC is ahead, its name says plus
    papers = [found(house, slug, zone=zone, cutoff_minutes=minutes) for slug, minutes in (("at", "0"), ("ahead", "1"))]
    for paper in papers:
        paper.tells(*SUBJECTS[:3])
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Source).values(next_poll_at=house.now + timedelta(days=999)))
        session.execute(sa.delete(Slot))
    for number in range(SLOTS):
        at = (begins + number * APART).astimezone(ZoneInfo(zone)).time().replace(microsecond=0)
        paper = papers[number % 2]
        slot_id = paper.slot(zone, at)
        paper.readers(*(f"{number}-{reader}" for reader in READERS), slot_id=slot_id)
    return SLOTS


def begun(house: House) -> int:
    with house.app.app_context():
        return db.session.scalar(sa.select(sa.func.count(Edition.frozen_at))) or 0


@pytest.mark.slow
@pytest.mark.postgresql
def test_of_two_schedulers_that_are_killed_fifty_times_each_edition_is_made_once(
    build_house: BuildHouse, postgres_url: str, pair: Pair
) -> None:
    house = build_house(postgres_url)
    house.clock.at = SystemClock().now()
    wanted = furnish(house)
    chance, seen = Random(20261122), [0]
    pair.start()
    for number in range(DEATHS):
        wait_until(lambda: pair.leader(house) is not None, lambda: pair.log)
        if number % 2:  # at work, however slow the machine is
            wait_until(lambda: begun(house) in range(seen[-1] + 1, wanted + 1) or seen[-1] == wanted, lambda: pair.log)
        Event().wait(chance.uniform(0, 1.5))  # the moment is the point
        leader = pair.leader(house)
        pair.kill(chance.randrange(2) if leader is None or chance.random() < 0.2 else leader)
        seen.append(begun(house))
    wait_until(lambda: begun(house) == wanted, lambda: pair.log)

    assert len(set(seen)) > 10, "they were at work when they died"
    with house.app.app_context():
        assert safety.halted() is None, pair.log
        editions = db.session.scalars(sa.select(Edition)).all()
        slots = db.session.scalars(sa.select(Slot.id)).all()
        assert sorted(one.slot_id for one in editions) == sorted(slots), "none lost, none doubled"
        for one in editions:
            assert (one.number, one.state, one.held_at) == (0, EditionState.SENDING, None)
            assert one.frozen_at is not None
            assert one.slot_at <= one.frozen_at < one.start_by
            assert one.audience == len(READERS)
            assert len([revision for revision in one.revisions if revision.sealed_at]) == 1
        counts = db.session.execute(sa.select(sa.func.count(Delivery.id)).group_by(Delivery.edition_id)).scalars().all()
        assert list(counts) == [len(READERS)] * wanted
        assert orphans() == []
        assert db.session.scalars(sa.select(Installation.generation)).one() == wanted
        assert len({one.newsletter_id for one in editions}) == len(db.session.scalars(sa.select(Newsletter)).all())
