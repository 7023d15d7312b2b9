"""What needs a person's hand now, whichever part of the house it is in: the newsroom's first page begins with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from newsletter.delivery import counting
from newsletter.delivery.bounce_models import stopped, waiting_for_staff
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryTally
from newsletter.delivery.reporting import UNDECIDED
from newsletter.delivery.tallying import waiting
from newsletter.editions.concerning import newsletter_of
from newsletter.editions.models import Edition, EditionKind, EditionState, editions_in
from newsletter.editions.publishing import OPEN
from newsletter.foundation import alerts, safety
from newsletter.foundation.alerts import Alert
from newsletter.foundation.database import db
from newsletter.newsletters.models import Approval
from newsletter.stories.models import Source, SourceState

Among = Collection[int] | None
"""Newsletters' ids; None for all."""

ASKED_FOR = timedelta(days=14)
"""Uncertain copies are looked for so far back. Of older ones nobody has asked, and their pages still show them."""

QUIET = (SourceState.FAILING, SourceState.GONE, SourceState.SILENT)
TOLD_OTHERWISE = ("halted", "edition-held", "edition-paused", "bounces-stopped", "sources-silent")
"""Alerts of what stands among the needs by itself, with more to it."""


class Need(StrEnum):
    """What kind of hand is wanted; the most urgent first."""

    HALTED = "halted"
    HELD = "held"
    PAUSED = "paused"
    DRAFT = "draft"
    ALERT = "alert"
    UNCERTAIN = "uncertain"
    STOPPED = "stopped"
    BOUNCES = "bounces"
    SOURCE = "source"


@dataclass(frozen=True)
class Needed:
    """`why` is what is known of it. `count` is of copies or mails. An edition's slot is when it should go out."""

    need: Need
    why: str = ""
    since: datetime | None = None
    count: int = 0
    edition: Edition | None = None
    alert: Alert | None = None
    source: Source | None = None


def needed(now: datetime, among: Among = None) -> list[Needed]:
    """All that waits for somebody, as far as it belongs to one of the newsletters or to the whole house."""
    every = [*_halt(), *_editions(among), *_alerts(among), *_doubts(now, among), *_bounces(among), *_sources(among)]
    return sorted(every, key=lambda one: list(Need).index(one.need))


def _halt() -> Iterator[Needed]:
    if (reason := safety.halted()) is not None:
        yield Needed(Need.HALTED, reason)


def _mine(one: Edition, among: Among) -> bool:
    return among is None or one.newsletter_id in among


def _editions(among: Among) -> Iterator[Needed]:
    for one in editions_in(*OPEN, EditionState.SENDING):
        if not _mine(one, among):
            continue
        if one.held_at is not None:
            yield Needed(Need.HELD, one.held_reason or "", one.held_at, edition=one)
        elif one.paused_at is not None:
            yield Needed(Need.PAUSED, "Nothing more of it goes out.", one.paused_at, edition=one)
        elif _waits(one):
            yield Needed(Need.DRAFT, edition=one)


def _waits(one: Edition) -> bool:
    """A draft that goes nowhere without a person."""
    alone = one.kind is EditionKind.DAILY and one.newsletter.approval is Approval.AUTO
    return one.state is EditionState.DRAFTED and one.send_at is None and not alone


def _alerts(among: Among) -> Iterator[Needed]:
    for one in alerts.open_alerts():
        of = newsletter_of(one.key)
        if one.key.partition(":")[0] not in TOLD_OTHERWISE and (among is None or of is None or of in among):
            yield Needed(Need.ALERT, one.remedy, one.raised_at, alert=one)


def _doubts(now: datetime, among: Among) -> Iterator[Needed]:
    for one, count in undecided(now, among):
        yield Needed(Need.UNCERTAIN, since=one.frozen_at, count=count, edition=one)


def undecided(now: datetime, among: Among = None) -> list[tuple[Edition, int]]:
    """Editions of two weeks with uncertain copies that nobody has decided about, and how many, the latest first: of
    large ones as they were counted last, since no page may count a million rows."""
    mine = [] if among is None else [Edition.newsletter_id.in_(among)]
    frozen = sa.select(Edition.id, Edition.audience).where(Edition.frozen_at > now - ASKED_FOR, *mine)
    sizes = {row.id: row.audience or 0 for row in db.session.execute(frozen)}
    large = [id for id, audience in sizes.items() if audience > counting.AT_ONCE]
    counts = _counted_of(large) | _undecided_of([id for id in sizes if id not in large])
    found = db.session.scalars(sa.select(Edition).where(Edition.id.in_(counts)).order_by(Edition.slot_at.desc()))
    return [(one, counts[one.id]) for one in found]


def _counted_of(edition_ids: Sequence[int]) -> dict[int, int]:
    count = DeliveryTally.figures["undecided"].as_integer()
    kept = sa.select(DeliveryTally.edition_id, count).where(DeliveryTally.edition_id.in_(edition_ids), count > 0)
    return {row[0]: row[1] for row in db.session.execute(kept)}


def _undecided_of(edition_ids: Sequence[int]) -> dict[int, int]:
    rows = db.session.execute(
        sa.select(Delivery.edition_id, sa.func.count())
        .where(Delivery.edition_id.in_(edition_ids), Delivery.kind != DeliveryKind.WELCOME, *UNDECIDED)
        .group_by(Delivery.edition_id)
    )
    return {row[0]: row[1] for row in rows}


def _bounces(among: Among) -> Iterator[Needed]:
    for tally in stopped():
        one = db.session.get(Edition, tally.edition_id)
        if one is not None and _mine(one, among):
            yield Needed(Need.STOPPED, since=tally.stopped_at, count=waiting(one.id), edition=one)
    if (count := waiting_for_staff(among)) > 0:
        yield Needed(Need.BOUNCES, count=count)


def _sources(among: Among) -> Iterator[Needed]:
    quiet = sa.select(Source).where(Source.state.in_(QUIET)).options(sa.orm.selectinload(Source.newsletters))
    for one in db.session.scalars(quiet.order_by(Source.outlet)):
        if any(among is None or use.newsletter_id in among for use in one.newsletters):
            yield Needed(Need.SOURCE, one.error or "", one.failing_since, source=one)
