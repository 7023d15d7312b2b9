"""What waits to be sent, and by which relay what may go now.

The thread that keeps the ledger lays tasks on the desk; the hands in the loop's thread take them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from newsletter.delivery.ledger import Result
from newsletter.delivery.letters import Letters
from newsletter.delivery.loop import Answer
from newsletter.delivery.rates import Limit, Portion
from newsletter.delivery.shards import Claimed
from newsletter.mail.relays import Relay
from newsletter.mail.smtp import PolicyRefused, RelayFails, RelayUnavailable, Reply

if TYPE_CHECKING:
    from newsletter.delivery.hands import Hand

PATIENCE = 30.0
"""Seconds that a hand waits for its turn with an open connection; who has to wait longer goes home."""

A_MOMENT = 0.05

AHEAD = 20.0
"""So many mails, for each part of its share, a relay may be ahead of the others that have a share."""

SLOW_SECONDS = 5.0
"""A relay that has taken nothing for so long is not waited for by those that share with it."""

FAILS_AT_MOST = 3
"""So many conversations in a row that end in the middle of a mail, or mails that are refused by policy, say that it is
the relay and not the mails."""


class Task(NamedTuple):
    """A row, and what its mail is made of."""

    row: Claimed
    letters: Letters
    lane: str | None = None


class Wish(NamedTuple):
    """All of a mail but the final dot is with the relay: may it go? The answer is the attempt's name, or None. `before`
    is what came of the mail before it."""

    row: Claimed
    answer: Answer[str | None]
    before: Result | None
    channel: Channel


class Told(NamedTuple):
    """What came of a mail that is followed by none, or not at once."""

    result: Result
    channel: Channel


class Asked(NamedTuple):
    """The next portion of what a relay or a lane may be given is wanted."""

    pace: Pace


class Gone(NamedTuple):
    """A hand has ended: because nothing was left, or with the fault that a fresh conversation was of no use.

    `back` is a row that it had and has not begun; it is on the desk again.
    """

    hand: Hand
    fault: Exception | None
    back: Claimed | None


Happening = Wish | Told | Asked | Gone


class Tidings:
    """What happens in the loop, for the thread that keeps the ledger.

    It is gathered, because a commit costs much the same for one mail as for many: until there is `enough` of it, but no
    longer than there is something to do meanwhile.
    """

    def __init__(self) -> None:
        self._passed_on: SimpleQueue[list[Happening]] = SimpleQueue()
        self._gathered: list[Happening] = []
        self.enough = 1

    def put(self, one: Happening) -> None:
        self._gathered.append(one)
        if len(self._gathered) >= self.enough:
            self.pass_on()

    def pass_on(self) -> None:
        if self._gathered:
            self._passed_on.put(self._gathered)
            self._gathered = []

    def wait(self, seconds: float) -> list[Happening]:
        """All that there are, or none after so long."""
        found: list[Happening] = []
        with suppress(Empty):
            found.extend(self._passed_on.get(timeout=seconds))
            while True:
                found.extend(self._passed_on.get_nowait())
        return found


class Pace:
    """How fast mails may go, as far as it was allowed: a portion after the other (`rates`)."""

    def __init__(self, name: str, limit: Limit, happened: Tidings) -> None:
        self.name, self.limit = name, limit
        self._happened = happened
        self._asking = False
        self._next_at = 0.0
        self._apart = 0.0
        self.left = 0
        self.taken_at: datetime | None = None

    def wait(self, now: float) -> float:
        """Seconds until a mail may go, for all that is known."""
        if self.left > 0:
            return max(0.0, self._next_at - now)
        if not self._asking and self._next_at <= now:
            self._asking = True
            self._happened.put(Asked(self))
        return max(A_MOMENT, self._next_at - now)

    def spend(self, now: float) -> None:
        self.left -= 1
        self._next_at = max(self._next_at, now) + self._apart

    def allow(self, portion: Portion, taken_at: datetime, now: float) -> None:
        """`now` is of time.monotonic(), the others are of the clock."""
        self.left, self._apart = portion.count, portion.apart.total_seconds()
        self._next_at = now + max(0.0, (portion.begins - taken_at).total_seconds())
        self.taken_at, self._asking = taken_at, False

    def rests(self, now: float) -> float:
        """Seconds that it is not worth waiting for here; 0 where it is."""
        seconds = self._next_at - now
        return seconds if self.left <= 0 and seconds > PATIENCE else 0.0


class Lane:
    """Tasks for mailboxes that want few connections, or few mails a second."""

    def __init__(self, name: str, most: int | None, pace: Pace | None) -> None:
        self.name, self.most, self.pace = name, most, pace
        self.tasks: deque[Task] = deque()
        self.under_way = 0

    def wait(self, now: float) -> float:
        if self.most is not None and self.under_way >= self.most:
            return A_MOMENT
        return self.pace.wait(now) if self.pace else 0.0

    def rests(self, now: float) -> float:
        """Seconds that it is not worth waiting for; 0 where it is."""
        return self.pace.rests(now) if self.pace else 0.0

    def is_full(self, enough: int, now: float) -> bool:
        """Whether no more is to be leased of it."""
        return len(self.tasks) >= enough or self.rests(now) > 0

    def take(self, now: float) -> Task:
        task = self.tasks.popleft()
        self.under_way += 1
        if self.pace:
            self.pace.spend(now)
        return task


class Channel:
    """One relay, as it is used at the moment: by how many hands, and whether it is of use.

    `careful`: it was of no use the last time, so one mail is tried, and the first that goes wrong is one too many.
    """

    def __init__(self, relay: Relay, happened: Tidings, *, careful: bool = False, alone: bool = True) -> None:
        settings = relay.settings
        self._alone = alone
        self.relay, self.name = relay, settings.name
        limit = Limit(settings.per_second, settings.per_hour, settings.per_day)
        self.pace = Pace(f"relay:{self.name}", limit, happened) if limit else None
        self.hands: set[Hand] = set()
        self.fault: RelayUnavailable | None = None
        self.works = False
        """Whether it has answered a mail."""
        self.share = settings.share
        self._sent = 0.0
        """Mails, for each part of its share."""
        self._took_at = 0.0
        self._rests_until = 0.0
        self.is_left_out = False
        """Whether the fault that it has was looked at."""
        self.begin(careful=careful)

    def begin(self, *, careful: bool) -> None:
        self.most = 1 if careful else self.relay.settings.connections
        self.fault, self.is_left_out = None, False
        self._bad_in_a_row = FAILS_AT_MOST - 1 if careful else 0

    def rest(self, seconds: float) -> None:
        """It is of no use for so long."""
        self._rests_until = time.monotonic() + seconds

    def rests(self, now: float) -> float:
        """Seconds until it is of use again."""
        return max(0.0, self._rests_until - now, self.pace.rests(now) if self.pace else 0.0)

    def judge(self, reply: Reply, *, broken: bool) -> None:
        """Stop at once when the relay's replies say that no mail will be taken."""
        self._bad_in_a_row = self._bad_in_a_row + 1 if broken or reply.by_policy else 0
        if self._bad_in_a_row >= FAILS_AT_MOST:
            fails = PolicyRefused if reply.by_policy else RelayFails
            self.fault = self.fault or fails(cause=reply.text)

    def signed(self, reply: Reply) -> Reply:
        """With the relay's name, where there are several."""
        return reply if self._alone else replace(reply, text=f"{reply.text} ({self.name})")

    def is_of_use(self, now: float) -> bool:
        return self.fault is None and not self.rests(now)

    def is_wanted(self, now: float, all_: list[Channel]) -> bool:
        """Whether it is of use; a backup is while all others fail. One that waits for its rates does not fail."""
        backup = self.relay.settings.backup
        return self.is_of_use(now) and not (
            backup and any(one.fault is None for one in all_ if not one.relay.settings.backup)
        )

    def wait(self, now: float, all_: list[Channel]) -> float:
        """Seconds until it may be given a mail: by its rates, for its share of them, and while it is a backup."""
        if self.relay.settings.backup and not self.is_wanted(now, all_):
            return 2 * PATIENCE
        seconds = self.pace.wait(now) if self.pace else 0.0
        if not seconds and self.share is not None and any(self._is_ahead_of(one, now) for one in all_):
            seconds = A_MOMENT
        return seconds

    def _is_ahead_of(self, other: Channel, now: float) -> bool:
        return other.shares(now) and self._sent > other._sent + AHEAD

    def shares(self, now: float) -> bool:
        """Whether it takes its share at the moment. One that is slow, or waits for its rates, keeps nobody waiting."""
        busy = self.share is not None and self.is_of_use(now) and now - self._took_at <= SLOW_SECONDS
        return busy and not (self.pace and self.pace.left <= 0)

    def takes(self, now: float, all_: list[Channel]) -> None:
        if self.share is not None:
            if now - self._took_at > SLOW_SECONDS:  # it comes back, and has not to make up for its absence
                self._sent = max([self._sent, *(one._sent for one in all_ if one.shares(now))])
            self._sent += 1 / self.share
        self._took_at = now
        if self.pace:
            self.pace.spend(now)


@dataclass
class Desk:
    """What the hands and the ledger share: mails that wait, what happens to them, and whether to stop."""

    channels: list[Channel]
    happened: Tidings
    lane: Callable[[str], Lane]
    """Makes one, by its name."""

    def __post_init__(self) -> None:
        self.tasks: deque[Task] = deque()
        self.lanes: dict[str, Lane] = {}
        self.stopped = Event()

    def __len__(self) -> int:
        return len(self.tasks) + sum(len(lane.tasks) for lane in self.lanes.values())

    def lay(self, tasks: Iterable[Task], lane: str | None) -> None:
        if lane is not None and lane not in self.lanes:
            self.lanes = {**self.lanes, lane: self.lane(lane)}  # a new one, for the other thread goes through it
        self._pile(lane).extend(tasks)

    def _pile(self, lane: str | None) -> deque[Task]:
        return self.tasks if lane is None else self.lanes[lane].tasks

    def take(self, channel: Channel, now: float) -> Task | float | None:
        """A task that may go now, or the seconds until there is one; None when nothing is left."""
        if not self.tasks and not any(lane.tasks for lane in self.lanes.values()):
            return None
        if seconds := channel.wait(now, self.channels):
            return seconds
        task: Task | float | None = None
        with suppress(IndexError):  # the other thread has just taken the last one away
            task = self._next(now)
        if isinstance(task, Task):
            channel.takes(now, self.channels)
        return task

    def _next(self, now: float) -> Task | float:
        soonest = PATIENCE
        for lane in self.lanes.values():
            if lane.tasks:
                seconds = lane.wait(now)
                if not seconds:
                    return lane.take(now)
                soonest = min(soonest, seconds)
        return self.tasks.popleft() if self.tasks or not self.lanes else soonest

    def put_back(self, task: Task) -> None:
        """One that was taken and not begun."""
        self.has_ended(task)
        self._pile(task.lane).appendleft(task)

    def has_ended(self, task: Task) -> None:
        if task.lane is not None:
            self.lanes[task.lane].under_way -= 1

    def drop(self, which: Callable[[Claimed], bool]) -> list[Claimed]:
        """Take tasks away again, and say of which rows. A hand that finds none meanwhile is hired anew."""
        dropped: list[Claimed] = []
        for pile in (self.tasks, *(lane.tasks for lane in self.lanes.values())):
            kept: list[Task] = []
            for task in emptied(pile):
                if which(task.row):
                    dropped.append(task.row)
                else:
                    kept.append(task)
            pile.extend(kept)
        return dropped


def emptied(pile: deque[Task]) -> Iterator[Task]:
    """Each task of a pile, taken away, while another thread takes from it too."""
    with suppress(IndexError):
        while True:
            yield pile.popleft()
