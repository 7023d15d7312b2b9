"""Too many bounces at once: a misconfigured relay must not erase the list.

What bounces of one edition would suppress is counted. Above 2 % of its audience, and above five readers, suppression
stops for that edition and staff are asked, who know whether their relay was ill. Five, because of a small audience each
single reader is some percent.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from newsletter.delivery.bounce_models import Bounce, BounceTally, Decision, Deed
from newsletter.delivery.owning import confirmed_since
from newsletter.editions.models import Edition
from newsletter.foundation import alerts, audit
from newsletter.foundation.audit import SYSTEM, Actor
from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.errors import NotFound
from newsletter.foundation.secrets import Keys
from newsletter.mail import suppression
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers.models import Subscriber

SHARE = 0.02
AT_LEAST = 5
BATCH = 200

STOPPED = "bounces-stopped:"
REFUSED = "bounces-policy:"


class NothingStopped(NotFound):
    """Of edition {id}, no bounces wait for a decision."""


def limit(audience: int) -> int:
    """How many readers the bounces of one edition suppress at most."""
    return max(AT_LEAST, int(audience * SHARE))


def may_suppress(edition_id: int, now: datetime) -> Deed:
    """Count one more reader whom an edition's bounces suppress, in the caller's transaction, and say what to do:
    SUPPRESSED, WAITING for staff, or NOTHING, as they decided."""
    tally = _tally(edition_id, now)
    tally.hard += 1
    if tally.decision is not None:
        return Deed.SUPPRESSED if tally.decision is Decision.RELEASE else Deed.NOTHING
    if tally.stopped_at is None and tally.hard > limit(tally.audience):
        tally.stopped_at = now
        _stop(tally, now)
    return Deed.SUPPRESSED if tally.stopped_at is None else Deed.WAITING


def count_refusal(edition_id: int, diagnostic: str, now: datetime) -> None:
    """Count a server that wants none of our mail, whoever it is for; many of them are trouble of ours."""
    tally = _tally(edition_id, now)
    tally.policy += 1
    if tally.policy == limit(tally.audience) + 1:
        alerts.raise_(
            f"{REFUSED}{edition_id}",
            f"Mail servers refuse {_name(edition_id)} by their policy ({tally.policy} of {tally.audience} so far): "
            f"{diagnostic[:200]}",
            "Run newsletter doctor, and look whether the relay's address stands on a blocklist. Nobody was suppressed "
            "for it.",
            now,
        )


def _tally(edition_id: int, now: datetime) -> BounceTally:
    """The edition's, nobody else's to change."""
    one_at_a_time(f"bounces of edition {edition_id}")
    tally = locked(BounceTally, edition_id)
    if tally is None:
        edition = db.session.get(Edition, edition_id)
        audience = (edition.audience if edition else None) or 0
        tally = BounceTally(edition_id=edition_id, audience=audience, hard=0, policy=0, begun_at=now)
        db.session.add(tally)
        db.session.flush()
    return tally


def _name(edition_id: int) -> str:
    edition = db.session.get(Edition, edition_id)
    return f"{edition.newsletter.name} of {edition.local_date}" if edition else f"edition {edition_id}"


def _stop(tally: BounceTally, now: datetime) -> None:
    audit.record(SYSTEM, "bounces.stop", f"edition:{tally.edition_id}", now, hard=tally.hard, audience=tally.audience)
    alerts.raise_(
        f"{STOPPED}{tally.edition_id}",
        f"More than {SHARE:.0%} of {_name(tally.edition_id)} came back as undeliverable for good ({tally.hard} of "
        f"{tally.audience} so far). No more addresses are suppressed for it.",
        "Look at the bounces: if they are right, suppress them all; if your relay or its name server was ill, mend it "
        "and leave the addresses alone.",
        now,
    )


def waiting(edition_id: int) -> int:
    """How many bounces of an edition wait for staff's decision."""
    found = sa.select(sa.func.count()).select_from(Bounce).where(*_waiting(edition_id))
    return db.session.scalar(found) or 0


def release(edition_id: int, now: datetime, keys: Keys, by: Actor) -> int:
    """The bounces are right: suppress all who wait, and who comes later. Says how many addresses were suppressed; going
    on after a crash does the rest. Raises NothingStopped."""
    _decide(edition_id, Decision.RELEASE, now, by)
    done, batch = 0, BATCH
    while batch == BATCH:
        batch, suppressed = _release_some(edition_id, now, by)
        done += suppressed
    return done


def _release_some(edition_id: int, now: datetime, by: Actor) -> tuple[int, int]:
    with transaction() as session:
        one_at_a_time(f"bounces of edition {edition_id}")
        some = session.scalars(sa.select(Bounce).where(*_waiting(edition_id)).order_by(Bounce.id).limit(BATCH)).all()
        suppressed = sum(_release(one, now, by) for one in some)
    return len(some), suppressed


def _release(one: Bounce, now: datetime, by: Actor) -> bool:
    """Nobody who confirmed anew since it came is suppressed for it."""
    reader = db.session.get(Subscriber, one.subscriber_id) if one.subscriber_id else None
    late = reader is None or confirmed_since(reader.address_hash, one.received_at)
    one.deed = Deed.LATE if late else Deed.SUPPRESSED
    settle(one, now, by)
    if reader is None or late:
        return False
    return suppression.suppress(reader.address_hash, SuppressionReason.HARD_BOUNCE, now, one.diagnostic)


def leave(edition_id: int, now: datetime, by: Actor) -> int:
    """The bounces are wrong: leave who waits alone, and who comes later, and say how many waited.

    Nobody who was suppressed before is lifted (rule 14). Raises NothingStopped.
    """
    with transaction() as session:
        _decide(edition_id, Decision.LEAVE, now, by)
        left = sa.update(Bounce).where(*_waiting(edition_id))
        settled = left.values(deed=Deed.NOTHING, needs_staff=False, settled_at=now, settled_by=by.name)
        return session.execute(settled).rowcount  # type: ignore[attr-defined, no-any-return]


def _decide(edition_id: int, decision: Decision, now: datetime, by: Actor) -> None:
    with transaction():
        tally = locked(BounceTally, edition_id)
        if tally is None or tally.stopped_at is None or tally.decision not in (None, decision):
            raise NothingStopped(id=edition_id)
        if tally.decision is None:
            tally.decision, tally.settled_at, tally.settled_by = decision, now, by.name
            audit.record(by, f"bounces.{decision}", f"edition:{edition_id}", now, waiting=waiting(edition_id))
        alerts.resolve(f"{STOPPED}{edition_id}", now)


def settle(one: Bounce, now: datetime, by: Actor) -> None:
    """People have decided about it, in the caller's transaction."""
    one.needs_staff, one.settled_at, one.settled_by = False, now, by.name


def _waiting(edition_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return Bounce.edition_id == edition_id, Bounce.deed == Deed.WAITING
