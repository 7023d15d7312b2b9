"""One connection to the relay: makes mails and hands them over, beside others in one loop.

It knows no database. What it may not decide it asks whoever keeps the ledger, and it tells him what came of each mail.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event
from typing import NamedTuple

from newsletter.delivery.ledger import Result
from newsletter.delivery.letters import Letters
from newsletter.delivery.loop import Answer, Loop
from newsletter.delivery.shards import Claimed
from newsletter.mail.smtp import (
    Conversation,
    ConversationBroken,
    Mail,
    Outcome,
    PolicyRefused,
    RelayFails,
    RelayUnavailable,
    Reply,
    SenderRefused,
    Transport,
)

log = logging.getLogger(__name__)

NOT_MADE = Reply(Outcome.DEFERRED, "its mail could not be made; our log says why")


class Task(NamedTuple):
    """A row, and what its mail is made of."""

    row: Claimed
    letters: Letters


class Wish(NamedTuple):
    """All of a mail but the final dot is with the relay: may it go? The answer is the attempt's name, or None. `before`
    is what came of the mail before it."""

    row: Claimed
    answer: Answer[str | None]
    before: Result | None


class Told(NamedTuple):
    """What came of a mail that is followed by none, or not at once."""

    result: Result


@dataclass(frozen=True)
class Gone:
    """A hand has ended: because nothing was left, or with the fault that a fresh conversation was of no use.

    `back` is a mail that it had and has not begun.
    """

    hand: Hand
    fault: Exception | None
    back: Task | None


Happening = Wish | Told | Gone


FAILS_AT_MOST = 3
"""So many conversations in a row that end in the middle of a mail, or mails that are refused by policy, say that it is
the relay and not the mails."""


class Desk:
    """What the hands and the ledger share: mails that wait, what happens to them, and whether to stop.

    `careful`: the first mail that goes wrong is one too many. `fault` is what was wrong with the relay.
    """

    def __init__(self, *, careful: bool = False) -> None:
        self.tasks: deque[Task] = deque()
        self.happened: SimpleQueue[Happening] = SimpleQueue()
        self.stopped = Event()
        self.fault: RelayUnavailable | None = None
        self._bad_in_a_row = FAILS_AT_MOST - 1 if careful else 0

    def judge(self, reply: Reply, *, broken: bool) -> None:
        """Stop everything at once when the relay's replies say that no mail will be taken."""
        self._bad_in_a_row = self._bad_in_a_row + 1 if broken or reply.by_policy else 0
        if self._bad_in_a_row >= FAILS_AT_MOST:
            fails = PolicyRefused if reply.by_policy else RelayFails
            self.fault = self.fault or fails(cause=reply.text)
            self.stopped.set()


class _Over(Exception):
    """The conversation is of no use any more, and nobody needs to hear why."""


class Hand:
    """Takes tasks from the desk until none is left, on one conversation after the other, each of so many mails."""

    def __init__(self, desk: Desk, loop: Loop, transport: Transport, mails: int, stop: Event) -> None:
        self._desk, self._loop, self._transport, self._mails, self._stop = desk, loop, transport, mails, stop
        self._in_hand: Task | None = None
        """What was taken and not begun."""
        self._untold: Result | None = None
        """What came of the last mail; it is told with the wish for the next one, which comes at once."""

    async def work(self) -> None:
        fault: Exception | None = None
        try:
            while not self._stops() and self._has_work():
                conversation = await self._loop.in_a_thread(self._transport.open)
                try:
                    await self._converse(conversation)
                finally:
                    self._tell_at_once()
                    await conversation.close()
        except RelayUnavailable as error:
            fault = error
        except Exception as error:
            log.exception("A connection to the relay ended with a fault of ours.")
            fault = error
        self._tell_at_once()  # where no mail could be made
        self._desk.happened.put(Gone(self, fault, self._in_hand))

    def _stops(self) -> bool:
        return self._stop.is_set() or self._desk.stopped.is_set()

    def _has_work(self) -> bool:
        return self._in_hand is not None or self._take() is not None

    def _take(self) -> Task | None:
        with suppress(IndexError):
            self._in_hand = None if self._stops() else self._desk.tasks.popleft()
        return self._in_hand

    async def _converse(self, conversation: Conversation) -> None:
        """Mail after mail until nothing is left or the conversation is of no use. Raises RelayUnavailable when it was
        of no use from its beginning."""
        mail = self._made() or self._next()
        for number in range(1, self._mails + 1):
            if mail is None or self._stops():
                return
            try:
                mail = await self._hand_over(conversation, mail, last=number == self._mails)
            except _Over:
                return
            except RelayUnavailable as error:
                if number == 1 or isinstance(error, SenderRefused):
                    raise
                return  # another conversation may take it at once

    async def _hand_over(self, conversation: Conversation, mail: Mail, *, last: bool) -> Mail | None:
        """See one mail through, and give the next one. Raises _Over, RelayUnavailable."""
        try:
            reply = await conversation.offer(mail)
        except ConversationBroken as error:
            self._tell(Result(self._out_of_hand().row, None, Reply(Outcome.DEFERRED, str(error))), broken=True)
            raise _Over from error
        if reply is not None:
            self._tell(Result(self._out_of_hand().row, None, reply))
            return None if last else self._next()
        row = self._out_of_hand().row
        before, self._untold = self._untold, None
        answer: Answer[str | None] = Answer()
        self._desk.happened.put(Wish(row, answer, before))
        following = None if last else self._next()
        attempt = await answer.told()
        if attempt is None:
            raise _Over  # and not in good order, for the relay waits for the end of the mail
        await self._finish(conversation, row, attempt, following)
        return following

    async def _finish(self, conversation: Conversation, row: Claimed, attempt: str, following: Mail | None) -> None:
        try:
            reply = await conversation.finish(following)
        except RelayUnavailable as error:
            self._tell(Result(row, attempt, Reply(Outcome.DEFERRED, str(error))), broken=True)
            raise _Over from error
        uncertain = reply.outcome is Outcome.UNCERTAIN
        self._tell(Result(row, attempt, reply), broken=uncertain)
        if uncertain:
            raise _Over

    def _next(self) -> Mail | None:
        """Take tasks until the mail of one can be made."""
        while self._take() is not None:
            if (mail := self._made()) is not None:
                return mail
        return None

    def _made(self) -> Mail | None:
        if self._in_hand is None:
            return None
        row = self._in_hand.row
        try:
            return self._in_hand.letters.to(row)
        except Exception:  # a fault of ours with one address must not stop the mails of the others
            log.exception("The mail of delivery %d could not be made.", row.id)
            self._untold_is(Result(self._out_of_hand().row, None, NOT_MADE))
            return None

    def _out_of_hand(self) -> Task:
        task, self._in_hand = self._in_hand, None
        assert task is not None
        return task

    def _tell(self, result: Result, *, broken: bool = False) -> None:
        self._desk.judge(result.reply, broken=broken)
        self._untold_is(result)

    def _untold_is(self, result: Result) -> None:
        self._tell_at_once()
        self._untold = result

    def _tell_at_once(self) -> None:
        untold, self._untold = self._untold, None
        if untold is not None:
            self._desk.happened.put(Told(untold))
