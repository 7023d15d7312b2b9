"""What is asked of an edition's ledger: how far it is, when it will be over, where it goes badly, and row by row.

Only questions. No answer takes long, however large the ledger is: figures are those of counting.py, and rows are looked
through in stretches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery import counting
from newsletter.delivery.counting import Counted, Domain, Reason
from newsletter.delivery.gists import gist
from newsletter.delivery.models import (
    WELCOME,
    Delivery,
    DeliveryState,
    Doubt,
    SkipReason,
    counted,
    skips_of,
    states_of,
    states_of_each,
)
from newsletter.delivery.sending import RELAY_ALERT
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import alerts, safety
from newsletter.foundation.database import db
from newsletter.foundation.text import one_line
from newsletter.subscribers.models import Subscriber, subscriber_at

EVIDENCE_ROWS, EVIDENCE_SECONDS = 20, 10.0
"""With less to go by, no rate is told and no hour is promised."""

A_PAGE = 50
STRETCH = 10
"""So many shards, five thousand rows, are looked through for one page of rows."""

BATCH = 4
"""So many shards are read at once for the whole ledger."""

WORST = 10


@dataclass(frozen=True)
class Outlook:
    """How fast an edition goes out, in copies a second, and when the last one will; None where nobody can say, and
    `why` says why not, or what was assumed."""

    rate: float | None
    over_at: datetime | None
    why: str


@dataclass(frozen=True)
class Report:
    """Where an edition's copies are. `counted` is None when a large one was not counted yet. Its welcome copies are not
    of its audience, and stand apart. `forgotten`: the rows are deleted by now, and only their sums are kept."""

    audience: int
    counted: Counted | None
    outlook: Outlook
    welcome: dict[DeliveryState, int]
    undecided: int
    forgotten: bool

    @property
    def over(self) -> int:
        """How many copies have come to an end, whichever."""
        return self.audience - self.left

    @property
    def left(self) -> int:
        return _left(self.counted) if self.counted else self.audience

    @property
    def largest(self) -> list[Domain]:
        return list(self.counted.domains[: 2 * WORST]) if self.counted else []

    @property
    def slowest(self) -> list[Domain]:
        """Where copies were put off, the most first."""
        every = self.counted.domains if self.counted else ()
        return sorted((one for one in every if one.deferred), key=lambda one: one.waits, reverse=True)[:WORST]

    @property
    def refusing(self) -> list[Domain]:
        every = self.counted.domains if self.counted else ()
        return sorted((one for one in every if one.refused), key=lambda one: one.refused, reverse=True)[:WORST]


def report(found: Edition, now: datetime, *, afresh: bool = False) -> Report:
    """Of an edition whose audience is fixed. A large one is counted `afresh` by whoever has the time."""
    sums = counted([found.id]).get(found.id)
    figures = _sums(found.id, now) if sums else _figures(found, now, afresh)
    welcome = _welcome(found.id)
    return Report(
        audience=found.audience or 0,
        counted=figures,
        outlook=outlook(found, figures, now, _hindrance(found)),
        welcome=welcome,
        undecided=(figures.undecided if figures else 0) + _undecided_welcome(found.id),
        forgotten=sums is not None,
    )


def _figures(found: Edition, now: datetime, afresh: bool) -> Counted | None:
    if not counting.is_large(found):
        return counting.count(found, now)
    if not afresh:
        return counting.kept([found.id]).get(found.id)
    figures = counting.count(found, now)
    counting.keep(found.id, figures)
    return figures


def _sums(edition_id: int, now: datetime) -> Counted:
    return Counted(as_of=now, seconds=0.0, states=states_of(edition_id), skips=skips_of(edition_id))


def glance(editions: Sequence[Edition]) -> dict[int, dict[DeliveryState, int]]:
    """The states of each of some editions, as of when they were counted last; those of large ones that never were are
    missing."""
    frozen = [one for one in editions if one.frozen_at is not None]
    last = counting.kept([one.id for one in frozen if counting.is_large(one)])
    known = states_of_each([one.id for one in frozen if not counting.is_large(one)])
    return known | {id: one.states for id, one in last.items()}


def _welcome(edition_id: int) -> dict[DeliveryState, int]:
    rows = db.session.execute(
        sa.select(Delivery.state, sa.func.count())
        .where(Delivery.edition_id == edition_id, Delivery.shard == WELCOME)
        .group_by(Delivery.state)
    )
    return {row[0]: row[1] for row in rows}


def _undecided_welcome(edition_id: int) -> int:
    copies = Delivery.edition_id == edition_id, Delivery.shard == WELCOME
    return db.session.scalar(sa.select(sa.func.count()).where(*copies, *UNDECIDED)) or 0


UNDECIDED = (
    Delivery.state == DeliveryState.UNCERTAIN,
    sa.or_(Delivery.decision.is_(None), Delivery.decision != Doubt.LEAVE),
)
"""Rows of which nobody knows whether their readers have them, and nobody has said what to do."""


def _hindrance(found: Edition) -> str | None:
    """Why nothing of an edition goes out at the moment; None when nothing is in its way."""
    if (reason := safety.halted()) is not None:
        return f"Nothing is sent: {reason}"
    if found.held_at is not None:
        return "It is held, and nothing goes out until somebody resumes it."
    if found.paused_at is not None:
        return "It is paused, and nothing goes out until somebody goes on."
    away = next((alert for alert in alerts.open_alerts() if alert.key == RELAY_ALERT), None)
    return f"Mails wait for the relay. {away.message}" if away else None


def outlook(found: Edition, figures: Counted | None, now: datetime, hindrance: str | None) -> Outlook:
    """What can be said about the end of an edition, and by what."""
    if found.state is not EditionState.SENDING:
        return Outlook(None, None, "")
    if hindrance is not None:
        return Outlook(None, None, hindrance)
    if figures is None:
        return Outlook(None, None, "So many rows are being counted for the first time.")
    if figures.recent < EVIDENCE_ROWS or figures.span < EVIDENCE_SECONDS:
        return Outlook(None, None, _too_little(figures))
    rate = figures.recent / figures.span
    begun = figures.states[DeliveryState.PENDING] + figures.states[DeliveryState.SENDING]
    over_at = figures.as_of + timedelta(seconds=begun / rate)
    return Outlook(rate, over_at, _assumption(found, figures, over_at))


def _too_little(figures: Counted) -> str:
    if _left(figures) == 0:
        return "Every copy has come to its end."
    if _left(figures) == figures.states[DeliveryState.DEFERRED]:
        return "What is left was put off, and is tried again at least once an hour."
    return "Too few copies have ended just now to say how fast it goes."


def _left(figures: Counted) -> int:
    states = figures.states
    return states[DeliveryState.PENDING] + states[DeliveryState.SENDING] + states[DeliveryState.DEFERRED]


def _assumption(found: Edition, figures: Counted, over_at: datetime) -> str:
    sentences = [f"If it stays as fast as in the last {_span(figures.span)}."]
    if deferred := figures.states[DeliveryState.DEFERRED]:
        them = "1 copy that was put off is" if deferred == 1 else f"{deferred:,} copies that were put off are"
        sentences.append(f"{them} tried again on top of that.")
    if over_at > found.finish_by:
        sentences.append("That is after its end, and what has not gone out by then expires.")
    return " ".join(sentences)


def _span(seconds: float) -> str:
    return f"{round(seconds)} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"


@dataclass(frozen=True)
class Row:
    """A copy as it is shown. `address` is None when its reader was erased."""

    id: int
    shard: int
    subscriber_id: int
    address: str | None
    kind: str
    state: DeliveryState
    skip_reason: SkipReason | None
    decision: Doubt | None
    attempts: int
    next_attempt_at: datetime
    last_reply: str | None
    updated_at: datetime

    @property
    def asks(self) -> bool:
        """Whether somebody has to say what to do with it."""
        return self.state is DeliveryState.UNCERTAIN and self.decision is not Doubt.LEAVE


Place = tuple[int, int]
"""A row's shard and its id: the order in which rows are shown."""

BEGINNING: Place = (-1, 0)


@dataclass(frozen=True)
class Wanted:
    """Which rows are looked for; `domain` is one of addresses, `undecided` those that ask for a hand."""

    state: DeliveryState | None = None
    domain: str = ""
    undecided: bool = False


@dataclass(frozen=True)
class Rows:
    """Some rows, and the place after which the rest are; None at the end. Fewer than a page are no sign of the end."""

    rows: list[Row]
    after: Place | None


_ROW = sa.select(
    Delivery.id,
    Delivery.shard,
    Delivery.subscriber_id,
    Subscriber.address,
    Delivery.kind,
    Delivery.state,
    Delivery.skip_reason,
    Delivery.decision,
    Delivery.attempts,
    Delivery.next_attempt_at,
    Delivery.last_reply,
    Delivery.updated_at,
).join_from(Delivery, Subscriber, Subscriber.id == Delivery.subscriber_id, isouter=True)
_ORDER = Delivery.shard, Delivery.id


def rows_of(found: Edition, wanted: Wanted, after: Place = BEGINNING, limit: int = A_PAGE) -> Rows:
    """The next rows after a place. Where they are rare, those of the next stretch of the ledger."""
    last = _last_shard(found.id)
    numbers = _shards_with(found, wanted)
    ahead = range(max(after[0], 0), last + 1) if numbers is None else [n for n in numbers if n >= after[0]]
    # In a shard that is known to have one there is one at least, so a page needs no more of them than rows.
    step = len(ahead) if wanted == Wanted() else STRETCH if numbers is None or wanted.domain else limit + 1
    stretch = list(ahead[:step])
    if not stretch:
        return Rows([], None)
    within = Delivery.shard.between(stretch[0], stretch[-1]) if numbers is None else Delivery.shard.in_(stretch)
    query = _ROW.where(
        Delivery.edition_id == found.id,
        within,
        sa.or_(Delivery.shard > after[0], sa.and_(Delivery.shard == after[0], Delivery.id > after[1])),
        *_conditions(wanted),
    )
    rows = [Row(*row) for row in db.session.execute(query.order_by(*_ORDER).limit(limit + 1))]
    if len(rows) > limit:
        return Rows(rows[:limit], (rows[limit - 1].shard, rows[limit - 1].id))
    return Rows(rows, (stretch[-1] + 1, 0) if stretch[-1] < ahead[-1] else None)


def _last_shard(edition_id: int) -> int:
    return db.session.scalar(sa.select(sa.func.max(Delivery.shard)).where(Delivery.edition_id == edition_id)) or 0


def _shards_with(found: Edition, wanted: Wanted) -> tuple[int, ...] | None:
    """Where the rows of a rare state were when a large edition was counted; None when they may be anywhere."""
    state = DeliveryState.UNCERTAIN if wanted.undecided else wanted.state
    if state is None or not counting.is_large(found):
        return None
    last = counting.kept([found.id]).get(found.id)
    if last is None or state not in last.where:
        return None
    return tuple(sorted({WELCOME, *last.where[state]}))


def _conditions(wanted: Wanted) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.state is not None:
        yield Delivery.state == wanted.state
    if wanted.undecided:
        yield from UNDECIDED
    if wanted.domain:
        yield counting.domain_of() == wanted.domain


def row_to(edition_id: int, normalised: str) -> Row | None:
    """The copy of the reader with that address."""
    reader = subscriber_at(normalised)
    if reader is None:
        return None
    found = db.session.execute(
        _ROW.where(Delivery.edition_id == edition_id, Delivery.subscriber_id == reader.id)
    ).first()
    return Row(*found) if found else None


def undecided(found: Edition) -> Iterator[Row]:
    """Every uncertain row that asks for a hand."""
    after: Place | None = BEGINNING
    while after is not None:
        page = rows_of(found, Wanted(undecided=True), after)
        yield from page.rows
        after = page.after


def every_row(edition_id: int) -> Iterator[Row]:
    """All rows in order, some shards at a time, so that it takes no memory and keeps no transaction open."""
    last = _last_shard(edition_id)
    for first in range(0, last + 1, BATCH):
        query = _ROW.where(Delivery.edition_id == edition_id, Delivery.shard.between(first, first + BATCH - 1))
        rows = [Row(*row) for row in db.session.execute(query.order_by(*_ORDER))]
        db.session.rollback()
        yield from rows


def example_of(reason: Reason) -> str | None:
    """One reply as it was, if it is there still and says that."""
    reply = db.session.scalar(sa.select(Delivery.last_reply).where(Delivery.id == reason.example))
    return one_line(reply) if reply and gist(one_line(reply)) == reason.gist else None
