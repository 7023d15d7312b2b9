"""Imports at work: a file's rows are taken batch after batch, by one holder, until it is over or has to wait.

A batch and how far the file has been read are one transaction, so whatever is killed at whatever moment takes nobody
twice and forgets nobody. On PostgreSQL several batches are worked on at a time, and their transactions end in the order
of the file. The dry run is the same, but for the taking.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from newsletter.foundation import audit, leases
from newsletter.foundation.audit import SYSTEM
from newsletter.foundation.clock import Clock
from newsletter.foundation.database import (
    Base,
    Prepared,
    db,
    locked,
    look_at,
    plan_once,
    recordset,
    transaction,
)
from newsletter.foundation.lanes import Turn, in_lanes
from newsletter.foundation.secrets import Keys
from newsletter.subscribers import sifting, taking, uploading
from newsletter.subscribers.import_models import (
    AT_WORK,
    GOOD,
    OVER,
    Import,
    ImportMode,
    ImportRefusal,
    ImportSeen,
    ImportState,
    Outcome,
    an_import,
)
from newsletter.subscribers.models import ConsentEvent, Subscriber, Subscription
from newsletter.subscribers.tables import Place, Row, rows

BATCH = 3000
BATCH_OF_FILE = 250
"""Rows; this many on SQLite, where nobody else writes meanwhile."""

LANES = 3
"""So many batches are worked on at a time, on PostgreSQL."""

PATIENCE_SECONDS = 5.0
"""How long a batch that is done waits for those before it. It takes a small part of that unless they wait for one
another, or the disk is very slow."""

SLICE_SECONDS = 5.0
"""How long an import is worked on without looking round; a scheduler that is asked to stop waits so long at most."""

LONGEST_PAUSE = 0.05

LIFE = timedelta(minutes=1)
REFUSALS_KEPT = 100_000
"""What is beyond is only counted."""


def work_due(clock: Clock, keys: Keys) -> int:
    """Work a while on each import that is due, and say how many rows were looked at."""
    holder, done = leases.holder_here(), 0
    for id in _due(clock.now()):
        done += work(id, holder, clock, keys, clock.steady() + SLICE_SECONDS)
    return done


def _due(now: datetime) -> list[int]:
    at_work = sa.and_(
        Import.state.in_(AT_WORK),
        sa.or_(Import.next_at.is_(None), Import.next_at <= now),
        sa.or_(Import.leased_until.is_(None), _runs_out(now)),
    )
    over = sa.and_(Import.state.in_(OVER), ~Import.swept)
    return list(db.session.scalars(sa.select(Import.id).where(sa.or_(at_work, over)).order_by(Import.id)))


def _runs_out(now: datetime) -> sa.ColumnElement[bool]:
    """A lease that ends too late was made by a clock that has been set back since."""
    return sa.or_(Import.leased_until <= now, Import.leased_until > now + LIFE + leases.MAY_DIFFER)


def work(
    id: int,
    holder: str,
    clock: Clock,
    keys: Keys,
    until: float = float("inf"),
    progress: Callable[[Import], None] = lambda one: None,
) -> int:
    """Go on with an import as its one holder, until it is over, waits, or the steady clock says so; gives how many
    rows were looked at. Nothing when somebody else holds it."""
    if not _lease(id, holder, clock.now()):
        return 0
    seen = 0
    try:
        _sweep(id)
        with closing(_Work(id, holder, clock, keys, until).batches()) as batches:
            for batch in batches:
                seen += batch
                progress(an_import(id))
    finally:
        _release(id, holder)
    return seen


def _lease(id: int, holder: str, now: datetime) -> bool:
    free = sa.or_(Import.leased_until.is_(None), Import.holder == holder, _runs_out(now))
    with transaction() as session:
        taken = session.execute(
            sa.update(Import)
            .where(Import.id == id, free)
            .values(holder=holder, leased_until=now + LIFE)
            .execution_options(synchronize_session=False)
        )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def _release(id: int, holder: str) -> None:
    with transaction() as session:
        mine = sa.update(Import).where(Import.id == id, Import.holder == holder)
        session.execute(mine.values(leased_until=None).execution_options(synchronize_session=False))


def _sweep(id: int) -> None:
    """What an earlier run left behind; of one that is over, only what nobody wants to see."""
    one = an_import(id)
    if one.swept:
        return
    left: list[tuple[type[Base], sa.orm.InstrumentedAttribute[Any]]] = []
    if one.state in AT_WORK:
        left.append((ImportRefusal, ImportRefusal.line))
    if not sifting.is_at_once(one):  # else nobody looks at it, and it can go when everybody is taken
        left.append((ImportSeen, ImportSeen.digest))
    for table, key in left:
        while uploading.forget_some(table, key, id, uploading.FORGOTTEN_AT_ONCE) == uploading.FORGOTTEN_AT_ONCE:
            pass
    with transaction():
        found = locked(Import, id)
        assert found is not None
        found.swept = True


class _Work:
    """One holder's work on an import, from where it stands; what is begun by `until` is brought to its end."""

    def __init__(self, id: int, holder: str, clock: Clock, keys: Keys, until: float) -> None:
        self._id, self._holder, self._clock, self._keys, self._until = id, holder, clock, keys, until

    def batches(self) -> Generator[int, None, None]:
        """After each batch that was taken, how many rows it had."""
        while True:
            try:
                yield from self._from_here()
                return
            except taking.SlotClosed:  # rows are read anew, for the slots that there are
                continue

    def _from_here(self) -> Generator[int, None, None]:
        one = an_import(self._id)
        if one.state not in AT_WORK:
            return
        batches, lanes = _Reading(one, self._clock, self._keys).batches(self._until), _lanes(one)
        db.session.rollback()  # lanes have sessions of their own, and what they write is to be seen in this one
        with closing(in_lanes(batches, self._take, lanes)) as taken:
            for rows_of_it in taken:
                db.session.rollback()
                if rows_of_it is None:
                    return
                yield rows_of_it
                if self._waits():
                    return
                db.session.rollback()

    def _waits(self) -> bool:
        until = an_import(self._id).next_at
        return until is not None and until > self._clock.now()

    def _take(self, batch: _Batch, turn: Turn) -> int | None:
        """How many rows were looked at; None when it is not ours to take any more. Raises SlotClosed."""
        began = self._clock.steady()
        if batch.repeats:
            db.session.rollback()
            turn.comes()
        try:
            self._take_whole(batch, turn)
        except (taking.Overtaken, _Waited):
            turn.comes()
            return self._take(batch, turn)
        except _NotOurs:
            return None
        if db.engine.dialect.name == "sqlite":  # let others write
            time.sleep(min(max(0.0, self._clock.steady() - began), LONGEST_PAUSE))
        return len(batch.rows)

    def _take_whole(self, batch: _Batch, turn: Turn) -> None:
        """In one transaction; before its turn other lanes are at theirs, too. Raises Overtaken, SlotClosed, _Waited,
        _NotOurs."""
        now = self._clock.now()
        with transaction():
            plan_once()
            one = self._mine(db.session.get(Import, self._id))
            sifted = sifting.sift(batch.rows, one)
            if sifting.is_at_once(one):
                _subscribe(sifted, batch, one, now)
            if not turn.comes(PATIENCE_SECONDS):
                raise _Waited
            one = self._mine(locked(Import, self._id))
            if (one.octet, one.line) != batch.before:
                raise _NotOurs
            if sifting.is_at_once(one):
                taking.hold_slots({each.slot_id for each in sifted.taken})
            else:
                sifted = sifting.once_each(sifted, one)
            if _is_slow(one):
                taking.ask(sifted.taken, one, now, self._keys)
            _refuse(sifted, one)
            _move(one, sifted, batch.after, now)
            if batch.is_last:
                _end(one, now)

    def _mine(self, one: Import | None) -> Import:
        if one is None or one.holder != self._holder or one.state not in AT_WORK:
            raise _NotOurs
        return one


def _subscribe(sifted: sifting.Sifted, batch: _Batch, one: Import, now: datetime) -> None:
    if taken := sifted.taken:
        fresh, known = (
            [batch.written[each.address_hash] for each in taken if (each.normalised in sifted.known) is so]
            for so in (False, True)
        )
        taking.subscribe(fresh, known, one, one.started_at or now)


def _refuse(sifted: sifting.Sifted, one: Import) -> None:
    found = [(person.row, outcome) for person, outcome in sifted.people if outcome not in GOOD]
    room = max(0, REFUSALS_KEPT - one.not_taken)
    refused = [
        {"line": row.line, "octet": row.octet, "outcome": outcome.value}
        for row, outcome in [*found, *sifted.refused][:room]
    ]
    if refused:
        _insert_refusals(db.session.connection(), import_id=one.id, given=json.dumps(refused))


def _move(one: Import, sifted: sifting.Sifted, after: Place, now: datetime) -> None:
    outcomes = Counter(outcome.value for _, outcome in [*sifted.people, *sifted.refused])
    before, more = one.count(Outcome.TAKEN), outcomes[Outcome.TAKEN]
    one.counts = dict(Counter(one.counts) + outcomes)
    one.octet, one.line = after
    one.leased_until = now + LIFE
    if sifting.is_at_once(one):
        _look_at_times(before, more)
    elif _is_slow(one):
        one.next_at = now + timedelta(hours=more / one.an_hour)


class _Waited(Exception):
    """Those before it do not come to an end. Perhaps they wait for somebody who waits for this one, so it lets go."""


class _NotOurs(Exception):
    """Somebody else holds the import, or it is over."""


@Prepared
def _insert_refusals(dialect: str) -> sa.Executable:
    given = recordset(dialect, "given", line=sa.Integer(), octet=sa.BigInteger(), outcome=sa.String())
    columns = sa.bindparam("import_id", type_=sa.Integer), given.c.line, given.c.octet, given.c.outcome
    return sa.insert(ImportRefusal).from_select(["import_id", "line", "octet", "outcome"], sa.select(*columns))


class _Batch(NamedTuple):
    """Some rows, what they say, and where they and the next ones begin. `written` are people by their hashes, where
    they are taken at once; of who stands there twice, the first. `repeats`: somebody stands in one just before, too."""

    rows: list[sifting.Person | tuple[Row, Outcome]]
    written: dict[str, taking.Written]
    before: Place
    after: Place
    repeats: bool
    is_last: bool


class _Reading:
    """A file's rows from a place on, as people."""

    def __init__(self, one: Import, clock: Clock, keys: Keys) -> None:
        self._clock, now = clock, clock.now()
        self._reader, self._size = sifting.Reader(one, now, keys), _size(one)
        self._id, self._shape, self._place = one.id, uploading.shape_of(one), Place(one.octet, one.line)
        self._has_names = one.octet == 0 and one.has_names
        self._writing = taking.Writing(one, now, db.engine.dialect.name) if sifting.is_at_once(one) else None

    def batches(self, until: float) -> Generator[_Batch, None, None]:
        """One, and so on until then. The file's last one is short, or empty."""
        table = rows(uploading.pieces(self._id, self._place.octet), self._shape, self._place)
        if self._has_names:
            next(table, None)
        place, is_last = self._place, False
        lately: deque[set[str]] = deque(maxlen=LANES - 1)
        while not is_last:
            some = list(islice(table, self._size))
            is_last = len(some) < self._size
            before, place = place, some[-1].after if some else place
            read = [self._reader.read(row) for row in some]
            people = [one for one in read if isinstance(one, sifting.Person)]
            hashes = {each.address_hash for each in people}
            repeats = not all(hashes.isdisjoint(others) for others in lately)
            lately.append(hashes)
            yield _Batch(read, self._written(people), before, place, repeats, is_last)
            if self._clock.steady() >= until:
                return

    def _written(self, people: list[sifting.Person]) -> dict[str, taking.Written]:
        if self._writing is None:
            return {}
        return {each.address_hash: self._writing.of(each) for each in reversed(people)}


def _size(one: Import) -> int:
    """So many rows a batch; of those who are asked, what may go out in a minute."""
    if _is_slow(one):
        return max(1, one.an_hour // 60)
    return BATCH if db.engine.dialect.name == "postgresql" else BATCH_OF_FILE


def _lanes(one: Import) -> int:
    """SQLite has one writer at a time."""
    return 1 if _is_slow(one) or db.engine.dialect.name == "sqlite" else LANES


def _is_slow(one: Import) -> bool:
    return one.state is ImportState.RUNNING and one.mode is ImportMode.ASK


def _look_at_times(before: int, more: int) -> None:
    """When there are four times as many as the last time, PostgreSQL looks anew at how to find a few of them."""
    if (before.bit_length() + 1) // 2 < ((before + more).bit_length() + 1) // 2:
        for table in (Subscriber, Subscription, ConsentEvent):
            look_at(table)


def _end(one: Import, now: datetime) -> None:
    one.octet = one.size
    one.ended_at = now
    if one.state is ImportState.CHECKING:
        one.state = ImportState.CHECKED
        return
    one.state, one.swept = ImportState.DONE, False
    audit.record(SYSTEM, "import.done", f"import:{one.id}", now, counts=one.counts, started_by=one.by)
