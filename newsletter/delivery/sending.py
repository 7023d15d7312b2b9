"""Editions on their way: shards are leased, hands give their mails to the relay, and one ledger is kept for them all.

One commit carries what came of every mail since the last one, and lets those go that wait for it (rule 10): so each
connection has one mail at most of which nobody could know, and a commit costs little a mail.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

from newsletter.delivery import bounces, ledger, rates, shards
from newsletter.delivery.desk import (
    Asked,
    Channel,
    Desk,
    Gone,
    Happening,
    Lane,
    Pace,
    Task,
    Tidings,
    Told,
    Wish,
    emptied,
)
from newsletter.delivery.hands import Hand
from newsletter.delivery.ledger import Result
from newsletter.delivery.letters import Letters
from newsletter.delivery.loop import Loop
from newsletter.delivery.models import Shard
from newsletter.delivery.rates import Limit
from newsletter.delivery.shards import Claimed, Leased
from newsletter.editions.models import Revision
from newsletter.foundation import alerts
from newsletter.foundation.clock import Clock
from newsletter.foundation.config import Config
from newsletter.foundation.database import Book, db, transaction
from newsletter.foundation.links import Links
from newsletter.mail.relays import Relay
from newsletter.mail.signing import the_signer
from newsletter.mail.smtp import RelayUnavailable, SenderRefused, Transport

log = logging.getLogger(__name__)

T = TypeVar("T")

RELAY_PAUSE = timedelta(minutes=1)
"""How long rows wait that a relay's absence left unsent; it is nobody's fault and costs no attempt."""

LONGEST_PAUSE = timedelta(minutes=10)
"""How long shards wait at most for an hour or a day to be over, before it is asked again."""

RELAY_ALERT = "relay-failing"

WAITING = shards.SIZE // 2
"""With fewer tasks on the desk than this the next shard is leased, so that no hand is ever idle."""

RENEW_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 1.0
DATABASE_SECONDS = 1.0
STOP_TRIES = 20
"""How often what is to be written is tried again by a worker that was asked to stop."""


@dataclass(frozen=True)
class Job:
    """What sending takes. `transport` is for people's own mails, the relays are for editions."""

    config: Config
    links: Links
    clock: Clock
    transport: Transport
    relays: tuple[Relay, ...]
    stop: Event


@dataclass(frozen=True)
class Round:
    """How many rows were answered by a relay or may not go, and which relays were of no use in the end."""

    ended: int
    failing: frozenset[str]


def send_due(job: Job, *, careful: Collection[str] = ()) -> Round:
    """Send what is due, of whichever edition, until nothing is.

    When `job.stop` is set, what is in flight is finished and the rest is given back. Raises RelayUnavailable when no
    relay is of use; then what was not begun is due again in a minute. `careful` are relays that were of no use the last
    time, so that they are given one mail before others.
    """
    return _Sending(job, careful).run()


class _Sending:
    def __init__(self, job: Job, careful: Collection[str]) -> None:
        self._job = job
        self._name = shards.new_lease()
        self._book = Book()
        happened = Tidings()
        alone = len(job.relays) == 1
        channels = [Channel(one, happened, careful=one.settings.name in careful, alone=alone) for one in job.relays]
        self._desk = Desk(channels, happened, self._lane)
        self._hands: set[Hand] = set()
        self._letters: dict[int, Letters] = {}
        self._leased: dict[tuple[int, int], Leased] = {}
        self._left: dict[tuple[int, int], set[int]] = {}
        """The rows of each leased shard that have not ended."""
        self._not_before: dict[int, datetime] = {}
        """Editions that are left out, and until when."""
        self._ended = 0
        self._look_at = self._renew_at = 0.0
        self._attempt = secrets.token_hex(8)
        self._fault: Exception | None = None
        self._refused: SenderRefused | None = None

    def _lane(self, name: str) -> Lane:
        """As the config has it now; one that it knows no more has no limits."""
        wanted = next((one for one in self._job.config.mail.domains if one.name == name), None)
        if wanted is None:
            return Lane(name, None, None)
        limit = Limit(wanted.per_second, wanted.per_hour)
        return Lane(name, wanted.connections, Pace(f"domains:{name}", limit, self._desk.happened) if limit else None)

    def run(self) -> Round:
        with ExitStack() as at_the_end:
            at_the_end.callback(self._book.close)
            at_the_end.callback(self._return_portions)
            at_the_end.callback(self._give_back_the_rest)
            self._lease()
            if self._desk:
                with Loop("relay", self._desk.happened.pass_on) as loop:
                    self._work(loop)
        if (trouble := self._fault or self._refused) is not None:
            raise trouble
        return Round(self._ended, frozenset(one.name for one in self._desk.channels if one.fault is not None))

    def _work(self, loop: Loop) -> None:
        try:
            self._hire(loop)
            while self._hands:
                self._keep_the_ledger(loop)
                if not self._stops():
                    self._put_off_lanes()
                    self._lease()
                    self._hire(loop)
        finally:
            self._desk.stopped.set()
            while self._hands:  # whatever happens: who holds a conversation waits for our answer
                try:
                    self._keep_the_ledger(loop)
                except Exception as error:
                    log.exception("The ledger could not be kept to the end.")
                    self._fail(error)

    def _stops(self) -> bool:
        return self._fault is not None or self._job.stop.is_set()

    def _lease(self) -> None:
        while len(self._desk.tasks) < WAITING and time.monotonic() >= self._look_at:
            full = [lane.name for lane in self._desk.lanes.values() if lane.is_full(WAITING, time.monotonic())]
            leased = self._durably(partial(self._lease_one, full))
            if leased is None:
                self._look_at = time.monotonic() + LOOK_AGAIN_SECONDS
                return
            self._lay(leased)

    def _lease_one(self, full: list[str]) -> Leased | None:
        db.session.rollback()  # what was read before may be old by now
        try:
            return shards.lease(self._job.clock.now(), self._name, full)
        finally:
            db.session.rollback()

    def _lay(self, leased: Leased) -> None:
        where = leased.edition_id, leased.number
        if where in self._leased:  # that lease was lost meanwhile
            self._desk.drop(lambda row: (row.edition_id, row.shard) == where)
        rows = [row for row in leased.rows if row.has_reader]
        if erased := [row for row in leased.rows if not row.has_reader]:
            self._durably(partial(ledger.skip, erased, self._job.clock.now()))
        self._leased[where], self._left[where] = leased, {row.id for row in rows}
        if not rows:
            self._give_back(where, None)
            return
        letters = self._letters_of(leased.revision_id)
        self._desk.lay([Task(row, letters, leased.lane) for row in rows], leased.lane)

    def _put_off_lanes(self) -> None:
        """Let the shards wait of which nothing may go for a while, so that nobody leases them in vain."""
        for lane in self._desk.lanes.values():
            if lane.tasks and (seconds := lane.rests(time.monotonic())):
                now = self._job.clock.now()
                until = now + min(timedelta(seconds=seconds), LONGEST_PAUSE)
                for task in emptied(lane.tasks):
                    self._has_ended(task.row, until)
                self._durably(partial(shards.put_off, now, until, Shard.lane == lane.name))

    def _letters_of(self, revision_id: int) -> Letters:
        if revision_id not in self._letters:
            job, revision = self._job, db.session.get_one(Revision, revision_id)
            self._letters[revision_id] = Letters(revision, job.config, job.links, the_signer(), job.clock)
            db.session.rollback()
        return self._letters[revision_id]

    def _hire(self, loop: Loop) -> None:
        now, channels = time.monotonic(), self._desk.channels
        for channel in channels:
            if channel.is_left_out and not channel.rests(now):
                channel.begin(careful=True)
            if not channel.is_wanted(now, channels):
                continue
            for _ in range(min(channel.most - len(channel.hands), len(self._desk))):
                hand = Hand(self._desk, channel, loop, self._job.stop)
                channel.hands.add(hand)
                self._hands.add(hand)
                loop.begin(hand.work())
        self._desk.happened.enough = max(1, len(self._hands) // 2)  # while these wait, the others work

    def _keep_the_ledger(self, loop: Loop) -> None:
        """Wait for something to happen, and write down all that has by then."""
        happened = self._happened()
        for one in happened:
            if isinstance(one, Gone):
                self._hands.discard(one.hand)
                one.hand.channel.hands.discard(one.hand)
        wishes = [one for one in happened if isinstance(one, Wish)]
        told = [(one.result, one.channel) for one in happened if isinstance(one, Told)]
        told += [(wish.before, wish.channel) for wish in wishes if wish.before]
        results = [result for result, _ in told]
        granted: dict[int, str] = {}
        if wishes or results or time.monotonic() >= self._renew_at:
            try:
                granted = self._durably(lambda: self._write(wishes, results))
            except Exception as error:
                log.exception("What came of %d mails could not be written; they will be uncertain.", len(results))
                self._fail(error)
        refused = [wish.row for wish in wishes if wish.row.id not in granted]
        shards_that_go = {(wish.row.edition_id, wish.row.shard) for wish in wishes if wish.row.id in granted}
        for wish in wishes:
            loop.tell(wish.answer, granted.pop(wish.row.id, None))  # one mail for a row, whoever else has it in hand
        for row in refused:
            self._may_not_go(row, shards_that_go)
        self._ended += len(results) + len(refused)
        for result, channel in told:
            self._has_ended(result.row)
            if result.attempt and channel.fault is None:
                self._is_there(channel)
        for one in happened:
            self._look_at_it(one, loop)
        for channel in self._desk.channels:
            if channel.fault is not None and not channel.is_left_out:
                self._do_without(channel, channel.fault)

    def _happened(self) -> list[Happening]:
        # All hands may wait for a slow lane or relay, while another one might have something to do.
        soon = self._desk.lanes or any(one.is_left_out for one in self._desk.channels)
        return self._desk.happened.wait(LOOK_AGAIN_SECONDS if soon else RENEW_SECONDS)

    def _write(self, wishes: Sequence[Wish], results: Sequence[Result]) -> dict[int, str]:
        """One commit; gives the attempt's name of each mail that may go."""
        now, rows = self._job.clock.now(), [wish.row for wish in wishes]
        started = ledger.keep(results, rows, self._attempt, self._name, now, self._book)
        self._renew_at = time.monotonic() + RENEW_SECONDS
        attempt, self._attempt = self._attempt, secrets.token_hex(8)
        return dict.fromkeys(started, attempt)

    def _durably(self, write: Callable[[], T]) -> T:
        """What the relay was told and has answered must not be forgotten because a database restarts."""
        patience = STOP_TRIES
        while True:
            try:
                return write()
            except (OperationalError, InterfaceError) as error:
                log.warning("The database does not take what is to be written; it is tried again. %s", error.orig)
                if self._job.stop.is_set():
                    patience -= 1
                if patience == 0:
                    raise
            time.sleep(DATABASE_SECONDS)

    def _look_at_it(self, one: Happening, loop: Loop) -> None:
        if isinstance(one, Gone):
            self._look_at_fault(one)
        elif isinstance(one, Asked):
            self._take_portion(one.pace, loop)

    def _may_not_go(self, row: Claimed, shards_that_go: Collection[tuple[int, int]]) -> None:
        """Where no other of its shard went either, perhaps none may: it is leased again, and looked at anew."""
        where = row.edition_id, row.shard
        if where not in shards_that_go:
            self._drop(lambda other: (other.edition_id, other.shard) == where)
        self._has_ended(row)

    def _take_portion(self, pace: Pace, loop: Loop) -> None:
        now = self._job.clock.now()
        portion = self._durably(lambda: rates.take(pace.name, pace.limit, now))
        loop.soon(lambda: pace.allow(portion, now, time.monotonic()))

    def _return_portions(self) -> None:
        paces = [*(one.pace for one in self._desk.channels), *(one.pace for one in self._desk.lanes.values())]
        for pace in paces:
            if pace is not None and pace.left > 0 and pace.taken_at is not None:
                self._durably(partial(rates.give_back, pace.name, pace.left, pace.taken_at))

    def _look_at_fault(self, gone: Gone) -> None:
        channel = gone.hand.channel
        if isinstance(gone.fault, SenderRefused) and gone.back is not None:
            self._look_at_refusal(channel, gone.fault, gone.back.edition_id)
        elif isinstance(gone.fault, RelayUnavailable) and channel.hands:
            channel.most = len(channel.hands)  # it does not take more connections
        elif isinstance(gone.fault, RelayUnavailable):
            self._do_without(channel, gone.fault)
        elif gone.fault is not None:
            self._fail(gone.fault)

    def _look_at_refusal(self, channel: Channel, fault: SenderRefused, edition_id: int) -> None:
        """Of a sender: where another relay is of use it may take him, and else the edition waits."""
        others = [one for one in self._desk.channels if one is not channel and one.is_of_use(time.monotonic())]
        if others:
            self._do_without(channel, fault)
        else:
            self._refused = fault
            self._leave_out(edition_id)

    def _do_without(self, channel: Channel, fault: RelayUnavailable) -> None:
        """For a while; when no other relay is of use either, it is over."""
        channel.fault, channel.works, channel.is_left_out = fault, False, True
        channel.rest(RELAY_PAUSE.total_seconds())
        if all(one.fault is not None for one in self._desk.channels):
            self._fail(fault)
            return
        log.warning("The relay %s is left out for a while. %s", channel.name, fault)
        self._durably(partial(self._tell_staff, channel.name, fault))

    def _tell_staff(self, name: str, fault: RelayUnavailable) -> None:
        with transaction():
            alerts.raise_(
                f"{RELAY_ALERT}:{name}",
                f"The relay {name} fails, and others do its work. {fault}",
                "It is tried again each minute. Check it, and its settings under [[mail.relays]].",
                self._job.clock.now(),
            )

    def _is_there(self, channel: Channel) -> None:
        if channel.works:
            return
        channel.works, channel.most = True, channel.relay.settings.connections
        if len(self._desk.channels) > 1:
            self._durably(partial(self._resolve, channel.name))

    def _resolve(self, name: str) -> None:
        with transaction():
            alerts.resolve(f"{RELAY_ALERT}:{name}", self._job.clock.now())

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        self._desk.stopped.set()

    def _leave_out(self, edition_id: int) -> None:
        """Of an edition that cannot be sent now; the others have their turn."""
        now = self._job.clock.now()
        self._not_before[edition_id] = now + RELAY_PAUSE
        self._drop(lambda row: row.edition_id == edition_id)
        self._durably(partial(shards.put_off, now, now + RELAY_PAUSE, Shard.edition_id == edition_id))

    def _drop(self, which: Callable[[Claimed], bool]) -> None:
        for row in self._desk.drop(which):
            self._has_ended(row)

    def _has_ended(self, row: Claimed, not_before: datetime | None = None) -> None:
        """A row is out of our hands; with the last one of its shard the shard is, and is not due before a moment."""
        where = row.edition_id, row.shard
        if where in self._leased:
            self._left[where].discard(row.id)
            if not self._left[where]:
                self._give_back(where, not_before)

    def _give_back(self, where: tuple[int, int], not_before: datetime | None) -> None:
        leased, now = self._leased.pop(where), self._job.clock.now()
        del self._left[where]
        not_before = max(filter(None, (not_before, self._not_before.get(where[0]))), default=None)
        self._durably(lambda: shards.give_back(leased, now, not_before))
        self._durably(lambda: bounces.refused_in(*where, now))

    def _give_back_the_rest(self) -> None:
        now, rests = self._job.clock.now(), min(one.rests(time.monotonic()) for one in self._desk.channels)
        pause = min(timedelta(seconds=rests), LONGEST_PAUSE) or RELAY_PAUSE
        if self._leased and rests and not self._job.stop.is_set():  # nothing else may go either
            self._durably(partial(shards.put_off, now, now + pause))
        for where in list(self._leased):
            self._give_back(where, now if self._job.stop.is_set() else now + pause)
