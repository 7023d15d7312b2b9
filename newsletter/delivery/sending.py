"""Editions on their way: shards are leased, hands give their mails to the relay, and one ledger is kept for them all.

One commit carries what came of every mail since the last one, and lets those go that wait for it (rule 10): so each
connection has one mail at most of which nobody could know, and a commit costs little a mail.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty
from threading import Event
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

from newsletter.delivery import bounces, ledger, shards
from newsletter.delivery.hands import Desk, Gone, Hand, Happening, Task, Told, Wish
from newsletter.delivery.ledger import Result
from newsletter.delivery.letters import Letters
from newsletter.delivery.loop import Loop
from newsletter.delivery.shards import Claimed, Leased
from newsletter.editions.models import Revision
from newsletter.foundation.clock import Clock
from newsletter.foundation.config import Config
from newsletter.foundation.database import Book, db
from newsletter.foundation.links import Links
from newsletter.mail.signing import the_signer
from newsletter.mail.smtp import RelayUnavailable, SenderRefused, Transport

log = logging.getLogger(__name__)

T = TypeVar("T")

RELAY_PAUSE = timedelta(minutes=1)
"""How long rows wait that a relay's absence left unsent; it is nobody's fault and costs no attempt."""

WAITING = shards.SIZE // 2
"""With fewer tasks on the desk than this the next shard is leased, so that no hand is ever idle."""

RENEW_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 1.0
DATABASE_SECONDS = 1.0
STOP_TRIES = 20
"""How often what is to be written is tried again by a worker that was asked to stop."""


@dataclass(frozen=True)
class Job:
    """What sending takes."""

    config: Config
    links: Links
    clock: Clock
    transport: Transport
    stop: Event


def send_due(job: Job, *, carefully: bool = False) -> int:
    """Send what is due, of whichever edition, until nothing is, and say how many rows were taken in hand.

    When `job.stop` is set, what is in flight is finished and the rest is given back. Raises RelayUnavailable when the
    relay is of no use; then what was not begun is due again in a minute. `carefully`: it was of no use the last time,
    so one mail is tried before the others.
    """
    return _Sending(job, carefully).run()


class _Sending:
    def __init__(self, job: Job, carefully: bool) -> None:
        self._job = job
        self._name = shards.new_lease()
        self._book = Book()
        self._desk = Desk(careful=carefully)
        self._hands: set[Hand] = set()
        self._most_ever = job.config.mail.connections
        self._most = 1 if carefully else self._most_ever
        self._letters: dict[int, Letters] = {}
        self._leased: dict[tuple[int, int], Leased] = {}
        self._left: dict[tuple[int, int], int] = {}
        """How many rows of each leased shard have not ended."""
        self._taken = 0
        self._look_at = 0.0
        self._attempt = secrets.token_hex(8)
        self._fault: Exception | None = None
        self._refused: SenderRefused | None = None

    def run(self) -> int:
        try:
            self._lease()
            if self._desk.tasks:
                with Loop("relay") as loop:
                    self._work(loop)
        finally:
            self._book.close()
            self._give_back_the_rest()
        if (trouble := self._fault or self._refused) is not None:
            raise trouble
        return self._taken

    def _work(self, loop: Loop) -> None:
        try:
            self._hire(loop)
            while self._hands:
                self._keep_the_ledger(loop)
                if not self._stops():
                    self._lease()
                    self._hire(loop)
        finally:
            self._desk.stopped.set()
            while self._hands:
                self._keep_the_ledger(loop)

    def _stops(self) -> bool:
        return self._fault is not None or self._job.stop.is_set()

    def _lease(self) -> None:
        while len(self._desk.tasks) < WAITING and time.monotonic() >= self._look_at:
            leased = self._durably(lambda: shards.lease(self._job.clock.now(), self._name))
            if leased is None:
                self._look_at = time.monotonic() + LOOK_AGAIN_SECONDS
                return
            where = leased.edition_id, leased.number
            self._leased[where], self._left[where] = leased, len(leased.rows)
            self._taken += len(leased.rows)
            letters = self._letters_of(leased.revision_id)
            self._desk.tasks.extend(Task(row, letters) for row in leased.rows)

    def _letters_of(self, revision_id: int) -> Letters:
        if revision_id not in self._letters:
            job, revision = self._job, db.session.get_one(Revision, revision_id)
            self._letters[revision_id] = Letters(revision, job.config, job.links, the_signer(), job.clock)
        return self._letters[revision_id]

    def _hire(self, loop: Loop) -> None:
        for _ in range(min(self._most - len(self._hands), len(self._desk.tasks))):
            hand = Hand(
                self._desk, loop, self._job.transport, self._job.config.mail.mails_per_connection, self._job.stop
            )
            self._hands.add(hand)
            loop.begin(hand.work())

    def _keep_the_ledger(self, loop: Loop) -> None:
        """Wait for something to happen, and write down all that has by then."""
        happened = self._happened()
        wishes = [one for one in happened if isinstance(one, Wish)]
        results = [one.result for one in happened if isinstance(one, Told)]
        results += [wish.before for wish in wishes if wish.before]
        granted: dict[int, str] = {}
        try:
            granted = self._durably(lambda: self._write(wishes, results))
        except Exception as error:
            log.exception("What came of %d mails could not be written down; they will be uncertain.", len(results))
            self._fail(error)
        for wish in wishes:
            loop.tell(wish.answer, granted.get(wish.row.id))
        for result in results:
            self._has_ended(result.row)
            self._most = max(self._most, self._most_ever if result.attempt else 0)  # the relay is there
        for one in happened:
            self._look_at_it(one, granted)
        if self._desk.fault is not None:
            self._fail(self._desk.fault)

    def _happened(self) -> list[Happening]:
        happened: list[Happening] = []
        with suppress(Empty):
            happened.append(self._desk.happened.get(timeout=RENEW_SECONDS))
            while True:
                happened.append(self._desk.happened.get_nowait())
        return happened

    def _write(self, wishes: Sequence[Wish], results: Sequence[Result]) -> dict[int, str]:
        """One commit; gives the attempt's name of each mail that may go."""
        now, rows = self._job.clock.now(), [wish.row for wish in wishes]
        started = ledger.keep(results, rows, self._attempt, self._name, now, self._book)
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

    def _look_at_it(self, one: Happening, granted: Mapping[int, str]) -> None:
        if isinstance(one, Gone):
            self._hands.discard(one.hand)
            if one.back is not None:
                self._desk.tasks.appendleft(one.back)
            self._look_at_fault(one)
        elif isinstance(one, Wish) and one.row.id not in granted:  # perhaps that is so of the whole edition
            self._drop(lambda row: (row.edition_id, row.shard) == (one.row.edition_id, one.row.shard))
            self._has_ended(one.row)

    def _look_at_fault(self, gone: Gone) -> None:
        if isinstance(gone.fault, SenderRefused) and gone.back is not None:
            self._refused = gone.fault
            self._leave_out(gone.back.row.edition_id)
        elif isinstance(gone.fault, RelayUnavailable) and self._hands:
            self._most = len(self._hands)  # it does not take more connections
        elif gone.fault is not None:
            self._fail(gone.fault)

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        self._desk.stopped.set()

    def _leave_out(self, edition_id: int) -> None:
        """Of an edition that cannot be sent now; the others have their turn."""
        self._drop(lambda row: row.edition_id == edition_id)
        now = self._job.clock.now()
        for where in [where for where in self._leased if where[0] == edition_id]:
            self._give_back(where, now + RELAY_PAUSE)
        self._durably(lambda: shards.put_off(edition_id, now, now + RELAY_PAUSE))

    def _drop(self, which: Callable[[Claimed], bool]) -> None:
        """Take tasks from the desk again. A hand that finds it empty meanwhile is hired anew."""
        kept: list[Task] = []
        with suppress(IndexError):
            while True:
                task = self._desk.tasks.popleft()
                if which(task.row):
                    self._has_ended(task.row)
                else:
                    kept.append(task)
        self._desk.tasks.extend(kept)

    def _has_ended(self, row: Claimed) -> None:
        """A row is out of our hands; with the last one of its shard the shard is."""
        where = row.edition_id, row.shard
        if where in self._leased:
            self._left[where] -= 1
            if self._left[where] == 0:
                self._give_back(where, None)

    def _give_back(self, where: tuple[int, int], not_before: datetime | None) -> None:
        leased, now = self._leased.pop(where), self._job.clock.now()
        self._durably(lambda: shards.give_back(leased, now, not_before))
        self._durably(lambda: bounces.refused_in(*where, now))

    def _give_back_the_rest(self) -> None:
        pause = timedelta() if self._job.stop.is_set() else RELAY_PAUSE
        for where in list(self._leased):
            self._give_back(where, self._job.clock.now() + pause)
