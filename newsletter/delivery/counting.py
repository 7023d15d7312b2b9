"""What an edition's ledger adds up to: counted at once where that is quick, and else kept, with its moment.

A million rows take some seconds, because no index may help: one over a column that sending changes would slow down
sending itself. So a large edition is counted by a tick, which rests twenty times as long as it took, and pages show
what was counted last. The rate needs no bookkeeping: a row's `updated_at` is when its relay answered.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.delivery.gists import gist
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, DeliveryTally, Doubt, SkipReason
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation.database import db, one_moment, transaction
from newsletter.foundation.text import one_line
from newsletter.subscribers.models import Subscriber

AT_ONCE = 2000
"""Up to so many rows are counted whenever somebody asks; a list of sixty such editions is still a page."""

REST = 20
"""So many times as long as counting took, it is left alone."""

REST_AFTERWARDS = timedelta(minutes=10)
"""When an edition is over, only a late result changes it, or a decision, which says so."""

AT_LEAST_SECONDS = 5

LOOK_BACK = timedelta(minutes=2)
SETTLED = timedelta(days=2)
"""For so long a late result, or a decision, may change what is over."""

DOMAINS = 50
FEW = 5
"""Of a large edition, no figures are kept of a domain with fewer copies: they would be those of single people."""

REASONS = 100
SPARSE = 1000

ENDED = (DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.UNCERTAIN)
TROUBLED = (DeliveryState.DEFERRED, DeliveryState.REFUSED, DeliveryState.UNCERTAIN)


@dataclass(frozen=True)
class Domain:
    """The copies to the readers of one domain. `tries` are those of its deferred copies; `name` is None where the
    readers were erased."""

    name: str | None
    pending: int = 0
    sending: int = 0
    accepted: int = 0
    deferred: int = 0
    refused: int = 0
    uncertain: int = 0
    skipped: int = 0
    tries: int = 0

    @property
    def copies(self) -> int:
        return sum(getattr(self, state) for state in DeliveryState)

    @property
    def waits(self) -> tuple[int, int]:
        """How slow it is: how many copies it put off, and how often."""
        return self.deferred, self.tries

    @property
    def tries_each(self) -> float:
        return self.tries / self.deferred if self.deferred else 0.0


@dataclass(frozen=True)
class Reason:
    """What servers said of so many rows in a state, without whom they said it of; `example` is the id of one."""

    state: DeliveryState
    gist: str
    count: int
    example: int


@dataclass(frozen=True)
class Counted:
    """What was counted. `recent` rows ended within `span` seconds before; `undecided` are uncertain and ask for a hand.

    `domains` are the largest and those with the most trouble, of `domain_count`. `where` names the shards in which the
    rows of a rare state are.
    """

    as_of: datetime
    seconds: float
    states: dict[DeliveryState, int]
    skips: dict[SkipReason, int] = field(default_factory=dict)
    undecided: int = 0
    recent: int = 0
    span: float = 0.0
    domains: tuple[Domain, ...] = ()
    domain_count: int = 0
    reasons: tuple[Reason, ...] = ()
    where: dict[DeliveryState, tuple[int, ...]] = field(default_factory=dict)


def count(found: Edition, now: datetime) -> Counted:
    """Count an edition's rows, its welcome copies aside, as they were at one moment."""
    began = time.perf_counter()
    least = FEW if is_large(found) else 1
    since = max(now - LOOK_BACK, found.frozen_at or now)
    with one_moment() as connection:
        domains, recent = _by_domain(connection, found.id, since)
        skips, undecided, reasons = _by_reason(connection, found.id)
        states = {state: sum(getattr(one, state) for one in domains) for state in DeliveryState}
        rare = [state for state, rows in states.items() if 0 < rows <= SPARSE]
        where = _shards_of(connection, found.id, rare) if is_large(found) else {}
    return Counted(
        as_of=now,
        seconds=time.perf_counter() - began,
        states=states,
        skips=skips,
        undecided=undecided,
        recent=recent,
        span=(now - since).total_seconds(),
        domains=_chosen([one for one in domains if one.copies >= least]),
        domain_count=len(domains),
        reasons=reasons,
        where=where,
    )


def is_large(found: Edition) -> bool:
    return (found.audience or 0) > AT_ONCE


def _in(edition_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return Delivery.edition_id == edition_id, Delivery.kind != DeliveryKind.WELCOME


def domain_of() -> sa.ColumnElement[str]:
    """The domain of a subscriber's address."""
    place = sa.func.strpos if db.engine.dialect.name == "postgresql" else sa.func.instr
    return sa.func.substr(Subscriber.normalised, place(Subscriber.normalised, "@") + 1)


def _by_domain(connection: Connection, edition_id: int, since: datetime) -> tuple[list[Domain], int]:
    """Each domain, and how many rows have ended since a moment. Grouping by one column and counting the states apart is
    twice as fast as grouping by both."""
    name = domain_of()
    of_state = [sa.func.count().filter(Delivery.state == state).label(state) for state in DeliveryState]
    tries = sa.func.sum(Delivery.attempts).filter(Delivery.state == DeliveryState.DEFERRED)
    recent = sa.func.count().filter(Delivery.state.in_(ENDED), Delivery.updated_at > since)
    rows = connection.execute(
        sa.select(name.label("name"), *of_state, sa.func.coalesce(tries, 0).label("tries"), recent.label("recent"))
        .select_from(Delivery)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id, isouter=True)
        .where(*_in(edition_id))
        .group_by(name)
    ).all()
    named = [{key: value for key, value in row._mapping.items() if key != "recent"} for row in rows]
    return [Domain(**columns) for columns in named], sum(row.recent for row in rows)


def _chosen(domains: Sequence[Domain]) -> tuple[Domain, ...]:
    """The largest, and those with the most trouble, the largest first."""

    def the_first(key: Any) -> list[Domain]:
        return sorted(domains, key=lambda one: (key(one), one.name or ""), reverse=True)[:DOMAINS]

    slow, refusing = the_first(lambda one: one.waits), the_first(lambda one: one.refused)
    chosen = {*the_first(lambda one: one.copies)}
    chosen |= {one for one in slow if one.deferred} | {one for one in refusing if one.refused}
    return tuple(sorted(chosen, key=lambda one: (-one.copies, one.name or "")))


def _by_reason(connection: Connection, edition_id: int) -> tuple[dict[SkipReason, int], int, tuple[Reason, ...]]:
    rows = connection.execution_options(yield_per=2000).execute(
        sa.select(
            Delivery.state,
            Delivery.skip_reason,
            Delivery.decision,
            Delivery.last_reply,
            sa.func.count(),
            sa.func.min(Delivery.id),
        )
        .where(*_in(edition_id), Delivery.state.in_((*TROUBLED, DeliveryState.SKIPPED)))
        .group_by(Delivery.state, Delivery.skip_reason, Delivery.decision, Delivery.last_reply)
    )
    skips: Counter[SkipReason] = Counter()
    said: Counter[tuple[DeliveryState, str]] = Counter()
    examples: dict[tuple[DeliveryState, str], int] = {}
    undecided = 0
    for state, skip, decision, reply, rows_of_it, id in rows:
        if state is DeliveryState.SKIPPED:
            skips[skip] += rows_of_it
            continue
        if state is DeliveryState.UNCERTAIN and decision is not Doubt.LEAVE:
            undecided += rows_of_it
        words = gist(one_line(reply or ""))
        if len(said) >= 10 * REASONS and (state, words) not in said:
            words = "…"
        said[state, words] += rows_of_it
        examples.setdefault((state, words), id)
    reasons = (Reason(state, words, n, examples[state, words]) for (state, words), n in said.most_common(REASONS))
    return dict(skips), undecided, tuple(reasons)


def _shards_of(
    connection: Connection, edition_id: int, states: Iterable[DeliveryState]
) -> dict[DeliveryState, tuple[int, ...]]:
    found: dict[DeliveryState, list[int]] = {state: [] for state in states}
    rows = connection.execute(
        sa.select(Delivery.state, Delivery.shard).where(*_in(edition_id), Delivery.state.in_(found)).distinct()
    )
    for state, number in rows:
        found[state].append(number)
    return {state: tuple(sorted(numbers)) for state, numbers in found.items()}


def kept(edition_ids: Iterable[int]) -> dict[int, Counted]:
    """What was counted last of large editions."""
    query = sa.select(DeliveryTally).where(DeliveryTally.edition_id.in_(list(edition_ids)))
    return {one.edition_id: _read(one) for one in db.session.scalars(query)}


def keep(edition_id: int, counted: Counted) -> None:
    """For pages, in a transaction of its own. What was counted later stays."""
    with transaction() as session:
        before = session.get(DeliveryTally, edition_id)
        if before is None:
            session.add(_written(edition_id, counted))
        elif before.as_of <= counted.as_of:
            session.merge(_written(edition_id, counted))


def _written(edition_id: int, counted: Counted) -> DeliveryTally:
    figures = asdict(counted)
    as_of, seconds = figures.pop("as_of"), figures.pop("seconds")
    return DeliveryTally(edition_id=edition_id, as_of=as_of, seconds=seconds, figures=figures, stale=False)


def _read(tally: DeliveryTally) -> Counted:
    figures: Mapping[str, Any] = tally.figures
    return Counted(
        as_of=tally.as_of,
        seconds=tally.seconds,
        states={DeliveryState(state): n for state, n in figures["states"].items()},
        skips={SkipReason(reason): n for reason, n in figures["skips"].items()},
        undecided=figures["undecided"],
        recent=figures["recent"],
        span=figures["span"],
        domains=tuple(Domain(**one) for one in figures["domains"]),
        domain_count=figures["domain_count"],
        reasons=tuple(Reason(**one | {"state": DeliveryState(one["state"])}) for one in figures["reasons"]),
        where={DeliveryState(state): tuple(numbers) for state, numbers in figures["where"].items()},
    )


def count_due(now: datetime) -> int:
    """Count the large editions that are going out, or that changed since they were counted last; says how many."""
    recent = sa.or_(Edition.state == EditionState.SENDING, Edition.frozen_at > now - SETTLED)
    large = db.session.scalars(
        sa.select(Edition).where(Edition.frozen_at.is_not(None), Edition.audience > AT_ONCE, recent)
    ).all()
    due = [one for one in large if _is_due(one, db.session.get(DeliveryTally, one.id), now)]
    for one in due:
        keep(one.id, count(one, now))
    return len(due)


def _is_due(found: Edition, tally: DeliveryTally | None, now: datetime) -> bool:
    if tally is None or tally.stale:
        return True
    rested = now - tally.as_of >= timedelta(seconds=max(AT_LEAST_SECONDS, REST * tally.seconds))
    if found.state is EditionState.SENDING or (found.sent_at is not None and tally.as_of <= found.sent_at):
        return rested
    return bool(tally.figures["undecided"]) and now - tally.as_of >= REST_AFTERWARDS


def doubt(edition_id: int) -> None:
    """Note in the caller's transaction that what was counted is so no more."""
    changed = sa.update(DeliveryTally).where(DeliveryTally.edition_id == edition_id).values(stale=True)
    db.session.execute(changed.execution_options(synchronize_session=False))
