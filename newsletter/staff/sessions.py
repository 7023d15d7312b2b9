"""Sessions: which browsers are signed in, how long that lasts, and how it ends.

Tokens are random and only their SHA-256 is stored, so a copy of the database signs nobody in.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NotFound
from newsletter.staff.models import Means, Staff, StaffSession, second_factor_required

LIFE = timedelta(days=14)
IDLE = timedelta(days=3)
"""Longer than a weekend."""
AWAITING = timedelta(minutes=10)
"""So long a password or a link waits for the code that it needs beside it."""
PROVED = timedelta(minutes=10)
"""So long a proof holds for what wants one again."""
SEEN_EVERY = timedelta(minutes=5)
"""Not each click is written down."""


class SessionUnknown(NotFound):
    """That browser is not signed in any more."""


@dataclass(frozen=True)
class Visit:
    """Where somebody is who signs in."""

    now: datetime
    ip: str | None = None
    user_agent: str = ""


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def actor(person: Staff, ip: str | None) -> Actor:
    """A person of the staff as the audit trail names them."""
    return Actor(ActorKind.STAFF, person.address, person.id, ip)


def open_session(person: Staff, visit: Visit, means: Means) -> str:
    """In the caller's transaction; gives the token. It may still await a code (see `awaits_code`)."""
    token, now = secrets.token_urlsafe(32), visit.now
    awaits = awaits_code(person, means)
    db.session.add(
        StaffSession(
            staff_id=person.id,
            token_hash=digest(token),
            created_at=now,
            last_seen_at=now,
            proved_at=now,
            expires_at=now + LIFE,
            means=means,
            awaits_code=awaits,
            ip=visit.ip,
            user_agent=visit.user_agent[:300],
        )
    )
    if not awaits:
        record_opening(person, visit, means)
    return token


def record_opening(person: Staff, visit: Visit, *by: str) -> None:
    audit.record(actor(person, visit.ip), "staff.sign-in", f"staff:{person.id}", visit.now, means=", ".join(by))


def awaits_code(person: Staff, means: Means) -> bool:
    """Whether that is not enough: who has codes gives one, and where all must have a second factor, so does who has
    only passkeys. A passkey is two factors by itself, because the device has asked who holds it."""
    if means in (Means.PASSKEY, Means.INVITATION):
        return False
    return person.has_codes or (bool(person.passkeys) and second_factor_required())


def session_of(token: str, now: datetime) -> StaffSession | None:
    """The session that a browser's token opens, while it lasts."""
    found = _found(token, now)
    return found if found and not found.awaits_code and now < found.last_seen_at + IDLE else None


def awaiting(token: str, now: datetime) -> StaffSession | None:
    """The one that still wants a code."""
    found = _found(token, now)
    return found if found and found.awaits_code and now < found.created_at + AWAITING else None


def _found(token: str, now: datetime) -> StaffSession | None:
    found = db.session.scalar(sa.select(StaffSession).where(StaffSession.token_hash == digest(token)))
    if found is None or found.ended_at or now >= found.expires_at or found.staff.disabled_at:
        return None
    return found


def is_proved(session: StaffSession, now: datetime) -> bool:
    """Whether the person has proved lately that it is them."""
    return now - session.proved_at < PROVED


def seen(session: StaffSession, now: datetime) -> None:
    """Write down that somebody is there, now and then."""
    if now - session.last_seen_at >= SEEN_EVERY:
        with transaction():
            session.last_seen_at = now


def sessions_of(staff_id: int, now: datetime) -> Sequence[StaffSession]:
    """The browsers in which somebody is signed in, the latest used first."""
    lasting = (StaffSession.ended_at.is_(None), StaffSession.expires_at > now, StaffSession.last_seen_at > now - IDLE)
    query = sa.select(StaffSession).where(StaffSession.staff_id == staff_id, ~StaffSession.awaits_code, *lasting)
    return db.session.scalars(query.order_by(StaffSession.last_seen_at.desc(), StaffSession.id.desc())).all()


def last_seen() -> dict[int, datetime]:
    """When each person was last there, of those who were in the last months."""
    rows = db.session.execute(
        sa.select(StaffSession.staff_id, sa.func.max(StaffSession.last_seen_at))
        .where(~StaffSession.awaits_code)
        .group_by(StaffSession.staff_id)
    )
    return {row[0]: row[1] for row in rows}


def sign_out(token: str, now: datetime) -> None:
    with transaction():
        if found := _found(token, now):
            found.ended_at = now
            if not found.awaits_code:
                audit.record(actor(found.staff, found.ip), "staff.sign-out", f"staff:{found.staff_id}", now)


def end(staff_id: int, session_id: int, now: datetime, by: Actor) -> None:
    """Raises SessionUnknown for one of somebody else's, and for one that has ended."""
    with transaction():
        found = db.session.get(StaffSession, session_id)
        if found is None or found.staff_id != staff_id or found.ended_at:
            raise SessionUnknown
        found.ended_at = now
        audit.record(by, "staff.session-end", f"staff:{staff_id}", now, ip=found.ip, user_agent=found.user_agent)


def end_all(staff_id: int, now: datetime, keep: int | None = None) -> int:
    """All of somebody's sessions but one, in the caller's transaction; says how many."""
    open_ones = (StaffSession.staff_id == staff_id, StaffSession.ended_at.is_(None))
    others = StaffSession.id != keep if keep is not None else sa.true()
    ended = db.session.execute(sa.update(StaffSession).where(*open_ones, others).values(ended_at=now))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def end_others(staff_id: int, keep: int, now: datetime, by: Actor) -> int:
    """Sign somebody out everywhere but here."""
    with transaction():
        ended = end_all(staff_id, now, keep)
        audit.record(by, "staff.sessions-end", f"staff:{staff_id}", now, ended=ended)
    return ended
