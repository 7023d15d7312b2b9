"""What nobody can know is for people to decide: an uncertain copy goes again, or is left as it is (rule 11).

Who sends again takes it on themselves that a reader gets two. Who leaves it says that a reader may have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.delivery import counting, ledger, shards
from newsletter.delivery.models import WELCOME, Delivery, DeliveryState, Doubt
from newsletter.delivery.reporting import UNDECIDED
from newsletter.editions.models import OUT, Edition, EditionState, Revision, edition, edition_to_decide
from newsletter.editions.withdrawing import stories_in
from newsletter.foundation import audit, safety
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NotFound, Refused
from newsletter.stories.models import withdrawn_among
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState

TYPED_ABOVE = 100
"""More than so many are decided at once only by who types how many they are."""


class CopyUnknown(NotFound):
    """There is no copy {id} of this edition."""


class NotUncertain(Refused):
    """this copy is {state} by now, so there is nothing to decide. Nothing was changed."""


class NumberNeeded(Refused):
    """{count} copies are uncertain. To decide about so many at once, type their number, {count}. Nothing was
    changed."""


@dataclass(frozen=True)
class Decided:
    """How many copies were decided about, and how many could not be sent again, by the reason why not."""

    done: int
    not_done: dict[str, int]

    @property
    def why_not(self) -> str:
        return "; ".join(f"{count:,}: {why}" for why, count in self.not_done.items())


def resend(edition_id: int, delivery_id: int, now: datetime, by: Actor) -> None:
    """Send an uncertain copy again, although its reader may have it. The edition goes out again for it.

    Raises EditionUnknown, CopyUnknown, NotUncertain, Halted, and Refused where the reader would not be mailed now.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        _must_be_uncertain(found, delivery_id)
        decided = _resend(found, [delivery_id], now, by)
        if not decided.done:
            raise Refused(why=f"{next(iter(decided.not_done))}. The copy stays uncertain.")


def resend_all(edition_id: int, now: datetime, by: Actor, typed: str | None = None) -> Decided:
    """Send every uncertain copy again that nobody has decided about; the others stay as they are. Raises
    EditionUnknown, NumberNeeded, Refused, Halted."""
    ids = _waiting(edition_id, typed)
    with transaction():
        return _resend(edition_to_decide(edition_id), ids, now, by)


def leave(edition_id: int, delivery_id: int, now: datetime, by: Actor) -> None:
    """Leave an uncertain copy as it is: it stays uncertain, and asks nobody any more. Again is no error. Raises
    EditionUnknown, CopyUnknown, NotUncertain."""
    with transaction():
        found = edition_to_decide(edition_id)
        _must_be_uncertain(found, delivery_id)
        _leave(found, [delivery_id], now, by)


def leave_all(edition_id: int, now: datetime, by: Actor, typed: str | None = None) -> Decided:
    """Leave every uncertain copy that nobody has decided about. Raises EditionUnknown, NumberNeeded."""
    ids = _waiting(edition_id, typed)
    with transaction():
        return Decided(_leave(edition_to_decide(edition_id), ids, now, by), {})


def _must_be_uncertain(found: Edition, delivery_id: int) -> None:
    state = db.session.scalar(
        sa.select(Delivery.state).where(Delivery.id == delivery_id, Delivery.edition_id == found.id)
    )
    if state is None:
        raise CopyUnknown(id=delivery_id)
    if state is not DeliveryState.UNCERTAIN:
        raise NotUncertain(state=state)


def _waiting(edition_id: int, typed: str | None) -> list[int]:
    """Those that ask for a decision, looked for before anything is locked, since that may take a second."""
    found = edition(edition_id)
    query = sa.select(Delivery.id).where(Delivery.edition_id == found.id, *UNDECIDED).order_by(Delivery.id)
    ids = list(db.session.scalars(query))
    if len(ids) > TYPED_ABOVE and (typed or "").strip().replace(",", "") != str(len(ids)):
        raise NumberNeeded(count=len(ids))
    return ids


def _resend(found: Edition, ids: Sequence[int], now: datetime, by: Actor) -> Decided:
    """A copy that was begun keeps its attempt's name: if its late result says after all that the reader has it, before
    it has gone again, that counts (ledger.record)."""
    safety.ensure_running()
    _must_go_out(found)
    reasons = _why_not(ids, now)
    able = [id for id in ids if reasons.get(id, "") is None]
    again = db.session.execute(
        sa.update(Delivery)
        .where(Delivery.id.in_(able), Delivery.state == DeliveryState.UNCERTAIN)
        .values(state=DeliveryState.PENDING, decision=Doubt.RESEND, next_attempt_at=now, updated_at=now)
        .returning(Delivery.shard)
        .execution_options(synchronize_session=False)
    )
    numbers = list(again.scalars())
    for number in set(numbers):
        shards.is_due(found.id, number, now, db.session.connection())
    if found.state is EditionState.SENT and set(numbers) - {WELCOME}:
        found.state, found.sent_at = EditionState.SENDING, None
    not_done: dict[str, int] = {}
    for why in filter(None, reasons.values()):
        not_done[why] = not_done.get(why, 0) + 1
    if numbers:
        counting.doubt(found.id)
        _note(by, found, "edition.resend", ids, now, copies=len(numbers))
    return Decided(len(numbers), not_done)


def _must_go_out(found: Edition) -> None:
    if found.held_at is not None:
        raise Refused(why="the edition is held. Resume it first.")
    if found.reason is not None or found.state not in OUT:
        raise Refused(why="the edition was ended for good, and nothing of it goes out any more.")
    if found.sealed is not None and withdrawn_among(stories_in(found.sealed)):
        raise Refused(why="a story of the edition was taken down since. Who may have it can be sent a correction.")
    if _is_corrected(found):
        raise Refused(why="the edition was corrected since, and the correction goes to these readers too.")


def _is_corrected(found: Edition) -> bool:
    wrong = sa.select(Revision.id).where(Revision.edition_id == found.id)
    return bool(db.session.scalar(sa.select(sa.exists().where(Edition.corrects_id.in_(wrong), Edition.state.in_(OUT)))))


def _why_not(ids: Sequence[int], now: datetime) -> dict[int, str | None]:
    """Why each of some rows would not be mailed, by what the ledger itself looks at before it begins one; None where
    nothing speaks against it."""
    reads_on = sa.exists().where(*ledger.reads_on(Delivery.local_date))
    active = sa.exists().where(
        Subscription.id == Delivery.subscription_id, Subscription.state == SubscriptionState.ACTIVE
    )
    why = sa.case(
        (sa.exists().where(*ledger.is_suppressed()), "its address is never mailed any more"),
        (~sa.exists().where(Subscriber.id == Delivery.subscriber_id), "its reader was erased"),
        (~active, "its reader has left"),
        (~reads_on, "its reader makes a pause"),
        (shards.ends() <= now, "its time is over, and it would only expire"),
    )
    query = sa.select(Delivery.id, why).join(Edition, Edition.id == Delivery.edition_id)
    return {row[0]: row[1] for row in db.session.execute(query.where(Delivery.id.in_(ids)))}


def _leave(found: Edition, ids: Sequence[int], now: datetime, by: Actor) -> int:
    left = db.session.execute(
        sa.update(Delivery)
        .where(Delivery.id.in_(ids), *UNDECIDED)
        .values(decision=Doubt.LEAVE)
        .execution_options(synchronize_session=False)
    )
    done = int(left.rowcount)  # type: ignore[attr-defined]
    if done:
        counting.doubt(found.id)
        _note(by, found, "edition.leave-uncertain", ids, now, copies=done)
    return done


def _note(by: Actor, found: Edition, act: str, ids: Sequence[int], now: datetime, *, copies: int) -> None:
    named = {"deliveries": list(ids)} if len(ids) <= TYPED_ABOVE else {}
    audit.record(by, act, f"edition:{found.id}", now, copies=copies, **named)
