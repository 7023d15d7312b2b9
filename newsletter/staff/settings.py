"""What a person of the staff decides for themselves: which mails they get, and their password."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import addresses
from newsletter.staff import passwords, proving, sessions
from newsletter.staff.models import Means, SignInLink, Staff, StaffSession, StaffUnknown, staff_at
from newsletter.staff.sessions import Visit

WISHES = ("wants_drafts", "wants_alerts")


class WishInvalid(NewsletterError):
    """{key}: {problem}"""


def change(address_text: str, now: datetime, by: Actor, **wishes: str) -> Staff:
    """Change what a person gets, given as yes or no. Raises AddressInvalid, StaffUnknown, WishInvalid."""
    address = addresses.normalise(addresses.parse(address_text))
    with transaction():
        person = staff_at(address)
        if person is None:
            raise StaffUnknown(address=address)
        after = {key: wanted for key, text in wishes.items() if (wanted := _read(key, text)) != getattr(person, key)}
        before = {key: getattr(person, key) for key in after}
        for key, wanted in after.items():
            setattr(person, key, wanted)
        if after:
            audit.record(by, "staff.change", f"staff:{person.id}", now, before=before, after=after)
    return person


def _read(key: str, text: str) -> bool:
    if key not in WISHES:
        raise WishInvalid(key=key, problem=f"there is no such setting; there are {' and '.join(WISHES)}")
    if text.strip() not in ("yes", "no"):
        raise WishInvalid(key=key, problem="write yes or no")
    return text.strip() == "yes"


def needs_old_password(session: StaffSession, now: datetime) -> bool:
    """Whether a new password wants the old one: not for who has none, nor for who has just come by a link from their
    mailbox, which is what a forgotten password is for."""
    by_mail = session.means in (Means.LINK, Means.INVITATION) and sessions.is_proved(session, now)
    return session.staff.password_hash is not None and not by_mail


def set_password(session_id: int, new: str, old: str, visit: Visit, by: Actor) -> int:
    """Sign the person out everywhere else, and say how many browsers that were.

    Raises PasswordTooShort, PasswordTooCommon, ProofWrong, TooManyFailures, SignInBusy.
    """
    session, now = db.session.get_one(StaffSession, session_id), visit.now
    staff_id = session.staff_id
    if needs_old_password(session, now):
        proving.by_password(session_id, old, visit)
    db.session.rollback()  # hashing takes long; no transaction waits for it
    password_hash = passwords.hashed(new)
    with transaction():
        db.session.get_one(Staff, staff_id).password_hash = password_hash
        ended = sessions.end_all(staff_id, now, keep=session_id)
        unused = (SignInLink.staff_id == staff_id, SignInLink.used_at.is_(None))
        db.session.execute(sa.update(SignInLink).where(*unused).values(used_at=now))
        audit.record(by, "staff.password", f"staff:{staff_id}", now, sessions=ended)
    return ended
