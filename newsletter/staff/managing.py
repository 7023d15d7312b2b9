"""What owners do about people: roles, limits, the right to send, disabling, and a second factor for everybody."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, locked, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.mail import addresses
from newsletter.staff import codes, sessions
from newsletter.staff.models import (
    Passkey,
    Role,
    SignInLink,
    Staff,
    StaffNewsletter,
    StaffPolicy,
    StaffUnknown,
    second_factor_required,
)
from newsletter.staff.rights import Grant, whole
from newsletter.staff.signing_in import granted


class PersonUnknown(NotFound):
    """There is no such person on the staff."""


class LastOwner(NewsletterError):
    """{address} is the only owner. Make somebody else an owner first; nothing was changed."""


def person(staff_id: int) -> Staff:
    """Disabled ones too. Raises PersonUnknown."""
    if found := db.session.get(Staff, staff_id):
        return found
    raise PersonUnknown


def person_at(address_text: str) -> Staff:
    """Disabled ones too. Raises AddressInvalid, StaffUnknown."""
    address = addresses.normalise(addresses.parse(address_text))
    if found := db.session.scalar(sa.select(Staff).where(Staff.address == address)):
        return found
    raise StaffUnknown(address=address)


def grant(staff_id: int, wanted: Grant, now: datetime, by: Actor) -> Staff:
    """Raises PersonUnknown, LastOwner."""
    given = whole(wanted)
    with transaction():
        found = _to_change(staff_id)
        if given.role is not Role.OWNER:
            _spare_the_last_owner(found)
        before = granted(found)
        found.role, found.may_send, found.limited = given.role, given.may_send, given.newsletter_ids is not None
        known = {one.newsletter_id: one for one in found.limits}
        wanted_ids = sorted(given.newsletter_ids or ())
        found.limits = [known.get(id) or StaffNewsletter(newsletter_id=id) for id in wanted_ids]
        db.session.flush()
        if (after := granted(found)) != before:
            audit.record(by, "staff.grant", f"staff:{staff_id}", now, before=before, after=after)
    return found


def disable(staff_id: int, now: datetime, by: Actor) -> Staff:
    """Nothing lets them in any more, from this moment on. Again is no error. Raises PersonUnknown, LastOwner."""
    with transaction() as session:
        found = _to_change(staff_id)
        if found.disabled_at is None:
            _spare_the_last_owner(found)
            found.disabled_at = now
            ended = sessions.end_all(staff_id, now)
            unused = (SignInLink.staff_id == staff_id, SignInLink.used_at.is_(None))
            session.execute(sa.update(SignInLink).where(*unused).values(used_at=now))
            audit.record(by, "staff.disable", f"staff:{staff_id}", now, address=found.address, sessions=ended)
    return found


def enable(staff_id: int, now: datetime, by: Actor) -> Staff:
    """As they were before. Again is no error. Raises PersonUnknown."""
    with transaction():
        found = _to_change(staff_id)
        if found.disabled_at is not None:
            found.disabled_at = None
            audit.record(by, "staff.enable", f"staff:{staff_id}", now, address=found.address)
    return found


def reset_second_factor(staff_id: int, now: datetime, by: Actor) -> Staff:
    """For who has lost their device: no codes, no passkeys, and signed out everywhere. Raises PersonUnknown."""
    with transaction() as session:
        found = _to_change(staff_id)
        passkeys = len(found.passkeys)
        codes.forget(staff_id, now, by)
        session.execute(sa.delete(Passkey).where(Passkey.staff_id == staff_id))
        session.expire(found, ["passkeys"])
        ended = sessions.end_all(staff_id, now)
        audit.record(by, "staff.reset-factors", f"staff:{staff_id}", now, passkeys=passkeys, sessions=ended)
    return found


def require_second_factor(required: bool, now: datetime, by: Actor) -> None:
    """Who has none is led to set one up before anything else."""
    with transaction() as session:
        before = second_factor_required()
        if before != required:
            session.merge(StaffPolicy(id=1, second_factor_required=required))
            audit.record(by, "staff.policy", "staff:all", now, before=before, after=required)


def _to_change(staff_id: int) -> Staff:
    """Nobody else changes anybody meanwhile: of two owners who demote each other, one stays."""
    one_at_a_time("staff")
    found = locked(Staff, staff_id)
    if found is None:
        raise PersonUnknown
    return found


def _spare_the_last_owner(found: Staff) -> None:
    """Raises LastOwner."""
    if found.role is not Role.OWNER or found.disabled_at is not None:
        return
    others = (Staff.role == Role.OWNER, Staff.disabled_at.is_(None), Staff.id != found.id)
    if db.session.scalar(sa.select(Staff.id).where(*others).limit(1)) is None:
        raise LastOwner(address=found.address)
