"""One connection to the relay: makes mails and hands them over, beside others in one loop.

It knows no database. What it may not decide it asks whoever keeps the ledger, and it tells him what came of each mail.
"""

from __future__ import annotations

import logging
import time
from threading import Event

from newsletter.delivery.desk import A_MOMENT, PATIENCE, Channel, Desk, Gone, Task, Told, Wish
from newsletter.delivery.ledger import Result
from newsletter.delivery.loop import Answer, Loop, asleep
from newsletter.mail.smtp import (
    Conversation,
    ConversationBroken,
    Mail,
    Outcome,
    RelayUnavailable,
    Reply,
    SenderRefused,
)

log = logging.getLogger(__name__)

NOT_MADE = Reply(Outcome.DEFERRED, "its mail could not be made; our log says why")


class _Over(Exception):
    """The conversation is of no use any more, and nobody needs to hear why."""


class Hand:
    """Takes tasks from the desk until none is left, on one conversation after the other, each of so many mails."""

    def __init__(self, desk: Desk, channel: Channel, loop: Loop, stop: Event) -> None:
        self.channel = channel
        self._desk, self._loop, self._stop = desk, loop, stop
        self._mails = channel.relay.settings.mails_per_connection
        self._in_hand: Task | None = None
        """What was taken and not begun."""
        self._untold: Result | None = None
        """What came of the last mail; it is told with the wish for the next one, which comes at once."""

    async def work(self) -> None:
        fault: Exception | None = None
        try:
            while await self._has_work():
                conversation = await self._loop.in_a_thread(self.channel.relay.transport.open)
                try:
                    await self._converse(conversation)
                finally:
                    self._tell_at_once()
                    await conversation.close()
        except RelayUnavailable as error:
            fault = error
        except BaseException as error:
            log.exception("A connection to the relay ended with a fault of ours.")
            fault = error if isinstance(error, Exception) else RuntimeError(repr(error))
        self._tell_at_once()  # where no mail could be made
        back = self._in_hand
        if back is not None:
            self._desk.put_back(back)
        self._desk.happened.put(Gone(self, fault, back.row if back else None))

    def _stops(self) -> bool:
        return self._stop.is_set() or self._desk.stopped.is_set() or self.channel.fault is not None

    async def _has_work(self) -> bool:
        return not self._stops() and (self._in_hand is not None or await self._take())

    def _take_at_once(self) -> Task | float | None:
        """A task, or the seconds until there may be one; None when there is nothing to wait for."""
        found = None if self._stops() else self._desk.take(self.channel, time.monotonic())
        self._in_hand = found if isinstance(found, Task) else None
        return found

    async def _take(self) -> bool:
        """Wait for the next task, as long as it is worth while."""
        until = time.monotonic() + PATIENCE
        while isinstance(seconds := self._take_at_once(), float):
            if time.monotonic() + seconds > until:
                return False
            self._tell_at_once()
            await asleep(min(seconds, 10 * A_MOMENT))
        return seconds is not None

    async def _converse(self, conversation: Conversation) -> None:
        """Mail after mail until nothing is left or the conversation is of no use. Raises RelayUnavailable when it was
        of no use from its beginning."""
        mail = self._made()
        for number in range(1, self._mails + 1):
            if mail is None:
                mail = await self._next()
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
        """See one mail through, and give the next one where there is one at once. Raises _Over, RelayUnavailable."""
        try:
            reply = await conversation.offer(mail)
        except ConversationBroken as error:
            self._tell(self._out_of_hand(), None, Reply(Outcome.DEFERRED, str(error)), broken=True)
            raise _Over from error
        task = self._out_of_hand()
        if reply is not None:
            self._tell(task, None, reply)
            return None
        before, self._untold = self._untold, None
        answer: Answer[str | None] = Answer()
        self._desk.happened.put(Wish(task.row, answer, before, self.channel))
        following = None if last else self._next_at_once()
        attempt = await answer.told()
        if attempt is None:
            self._desk.has_ended(task)
            raise _Over  # and not in good order, for the relay waits for the end of the mail
        await self._finish(conversation, task, attempt, following)
        return following

    async def _finish(self, conversation: Conversation, task: Task, attempt: str, following: Mail | None) -> None:
        try:
            reply = await conversation.finish(following)
        except RelayUnavailable as error:
            self._tell(task, attempt, Reply(Outcome.DEFERRED, str(error)), broken=True)
            raise _Over from error
        uncertain = reply.outcome is Outcome.UNCERTAIN
        self._tell(task, attempt, reply, broken=uncertain)
        if uncertain:
            raise _Over

    async def _next(self) -> Mail | None:
        """Take tasks until the mail of one can be made."""
        while await self._take():
            if (mail := self._made()) is not None:
                return mail
        return None

    def _next_at_once(self) -> Mail | None:
        """The same for one that may go without waiting."""
        while isinstance(self._take_at_once(), Task):
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
            task = self._out_of_hand()
            self._desk.has_ended(task)
            self._untold_is(Result(task.row, None, NOT_MADE))
            return None

    def _out_of_hand(self) -> Task:
        task, self._in_hand = self._in_hand, None
        assert task is not None
        return task

    def _tell(self, task: Task, attempt: str | None, reply: Reply, *, broken: bool = False) -> None:
        self.channel.judge(reply, broken=broken)
        self._desk.has_ended(task)
        self._untold_is(Result(task.row, attempt, self.channel.signed(reply)))

    def _untold_is(self, result: Result) -> None:
        self._tell_at_once()
        self._untold = result

    def _tell_at_once(self) -> None:
        untold, self._untold = self._untold, None
        if untold is not None:
            self._desk.happened.put(Told(untold, self.channel))
