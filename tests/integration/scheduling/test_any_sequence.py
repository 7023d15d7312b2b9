"""Whatever schedulers and clocks do: at most one edition for each newsletter, slot and date, and none begins outside
its window."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import count, product
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from newsletter.delivery import restoring
from newsletter.editions.models import Edition
from newsletter.editions.publishing import schedule_of
from newsletter.foundation import safety
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.scheduling import Scheduler
from newsletter.stories.models import Source
from tests.conftest import EXAMPLES, MORNING, House
from tests.support.copies import copy_database, restore_database
from tests.support.newsroom import Paper, found
from tests.support.schedulers import WrongClock, rounds

WORDS = ["".join(letters) for letters in product("bdgklmnprt", "aeiou", "bdgklmnprt", "aeiou")]
"""So many that no two headlines have one in common."""

SCHEDULERS = range(3)
"""More than one leads never; that they are there must do no harm."""

WHO = st.sampled_from([*([number] for number in SCHEDULERS), list(SCHEDULERS), []])
MOMENTS = st.sampled_from(["cutoff_at", "slot_at", "start_by", "finish_by"])
REACHES = st.tuples(st.just("reaches"), st.tuples(MOMENTS, st.sampled_from([-1, 0, 1, 1800]), WHO))
RESTARTS = st.tuples(st.just("restarts"), st.sampled_from(SCHEDULERS))
FAR = (3, 20, 95, 601, 1439)
LEAPS = st.tuples(
    st.just("leaps"), st.tuples(st.sampled_from(SCHEDULERS), st.sampled_from([0, *FAR, *(-minutes for minutes in FAR)]))
)
ACCEPTS = st.just(("accepts", None))
MOVES = st.tuples(st.just("moves"), st.sampled_from([0, 5, 7, 12, 23]))
CHANGES = st.one_of(RESTARTS, LEAPS, ACCEPTS, MOVES)
DEEDS = st.lists(st.one_of(REACHES, REACHES, CHANGES), min_size=6, max_size=16)


class World:
    """A newsletter with two slots, and three schedulers on machines of their own, each with a clock that may go
    wrong."""

    def __init__(self, house: House, paper: Paper, words: Iterator[str]) -> None:
        self._house, self._paper, self._words = house, paper, words
        self._clocks = [WrongClock(house) for _ in SCHEDULERS]
        self._schedulers = [self._started(number) for number in SCHEDULERS]

    def _started(self, number: int) -> Scheduler:
        return Scheduler(self._house.app, self._clocks[number], self._house.fetcher)

    def do(self, deed: str, what: object) -> None:
        getattr(self, f"_{deed}")(what)

    def _reaches(self, what: tuple[str, int, list[int]]) -> None:
        """The next such moment of a slot comes, and some of the schedulers look."""
        moment, seconds, who = what
        with self._house.app.app_context():
            slots = db.session.scalars(sa.select(Slot)).all()
            days = [self._house.now.date() + timedelta(days=number) for number in range(-1, 3)]
            ahead = [getattr(schedule_of(slot, day), moment) for slot in slots for day in days]
        self._house.clock.at = min(at for at in ahead if at > self._house.now) + timedelta(seconds=seconds)
        for number in who:
            self._tell(self._clocks[number].now())
        rounds(*(self._schedulers[number] for number in who))

    def _restarts(self, number: int) -> None:
        """Killed; so it lets go of nothing."""
        self._schedulers[number] = self._started(number)

    def _leaps(self, whose: tuple[int, int]) -> None:
        number, minutes = whose
        self._clocks[number].off = timedelta(minutes=minutes)

    def _accepts(self, _: None) -> None:
        with self._house.app.app_context():
            restoring.accept(self._house.now, COMMAND)

    def _moves(self, hour: int) -> None:
        with self._house.app.app_context(), transaction() as session:
            session.scalars(sa.select(Slot).order_by(Slot.id)).first().local_time = time(hour, 30)  # type: ignore[union-attr]

    def _tell(self, now: datetime) -> None:
        """There is always something new."""
        right, self._house.clock.at = self._house.clock.at, now
        self._paper.tells(*(" ".join(next(self._words) for _ in range(4)) for _ in range(2)))
        self._house.clock.at = right
        with self._house.app.app_context(), transaction() as session:
            session.execute(sa.update(Source).values(next_poll_at=now + timedelta(days=999)))

    @property
    def halted(self) -> bool:
        with self._house.app.app_context():
            return safety.halted() is not None

    def editions(self) -> dict[int, tuple[tuple[object, ...], datetime, datetime | None, datetime]]:
        with self._house.app.app_context():
            return {
                one.id: ((one.newsletter_id, one.slot_id, one.local_date), one.slot_at, one.frozen_at, one.start_by)
                for one in db.session.scalars(sa.select(Edition).where(Edition.number == 0))
            }


@pytest.fixture
def paper(house: House, tmp_path: Path) -> Paper:
    paper = found(house, items_at_least="1")
    paper.slot("Asia/Tokyo", time(6))
    paper.readers("ann@example.org")
    with house.app.app_context(), transaction() as session:
        session.scalars(sa.select(Newsletter)).one().pictures = "none"  # type: ignore[assignment]
    copy_database(house, tmp_path / "furnished.db")
    return paper


@given(deeds=DEEDS)
@example([("reaches", ("cutoff_at", 0, [0])), ("reaches", ("start_by", 0, [1]))])
@example([("reaches", ("cutoff_at", 0, [0])), ("leaps", (0, 95)), ("reaches", ("slot_at", 0, [0])), ("accepts", None)])
@settings(max_examples=EXAMPLES // 5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_each_newsletter_slot_and_date_has_one_edition_at_most_and_none_begins_outside_its_window(
    house: House, paper: Paper, tmp_path: Path, deeds: list[tuple[str, object]]
) -> None:
    restore_database(house, tmp_path / "furnished.db")
    (tmp_path / "generation.json").unlink(missing_ok=True)
    house.clock.at = MORNING
    world = World(house, paper, (WORDS[number % len(WORDS)] for number in count()))
    before = world.editions()
    for deed, what in deeds:
        was_halted = world.halted
        world.do(deed, what)
        after = world.editions()

        keys = [key for key, *_ in after.values()]
        assert len(keys) == len(set(keys))
        for id, (key, slot_at, frozen_at, start_by) in after.items():
            if frozen_at is not None:
                assert slot_at <= frozen_at < start_by, key
            if id in before and before[id][2] is not None:
                assert frozen_at == before[id][2], "what has begun does not begin again"
        begun = sum(one[2] is not None for one in after.values()) - sum(one[2] is not None for one in before.values())
        assert not (was_halted and begun), "while everything is halted nothing begins"
        before = after
    event(f"{sum(one[2] is not None for one in before.values())} editions went out")
    event("halted at the end" if world.halted else "not halted at the end")
