"""Proving once more that it is them, by a password, a code or a passkey, before what cannot be undone or opens much."""

from __future__ import annotations

from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.secrets import Keys
from newsletter.staff import codes, guessing, passkeys, passwords
from newsletter.staff.models import StaffSession, Try
from newsletter.staff.passkeys import Answer
from newsletter.staff.sessions import Visit


class ProofWrong(NewsletterError):
    """That is not your password. Nothing was changed."""


def by_password(session_id: int, password: str, visit: Visit) -> None:
    """Raises ProofWrong, TooManyFailures, SignInBusy."""
    person = db.session.get_one(StaffSession, session_id).staff
    address, password_hash = person.address, person.password_hash
    guessing.check_password(address, visit.ip, visit.now)
    db.session.rollback()  # hashing takes long; no transaction waits for it
    if not passwords.matches(password_hash, password):
        guessing.note(Try.PASSWORD, address, visit.ip, visit.now)
        raise ProofWrong
    _proved(session_id, visit)


def by_code(session_id: int, text: str, visit: Visit, keys: Keys) -> None:
    """Raises CodeWrong, CodeUsed, TooManyFailures."""
    person = db.session.get_one(StaffSession, session_id).staff
    if not person.has_codes:
        raise codes.CodeWrong
    codes.check(person, text, visit.now, keys)
    _proved(session_id, visit)


def by_passkey(session_id: int, answer: Answer, visit: Visit) -> None:
    """Raises PasskeyRefused, PromptStale."""
    staff_id = db.session.get_one(StaffSession, session_id).staff_id
    with transaction():
        passkeys.check(answer, passkeys.proof_by(staff_id), visit.now, staff_id)
        _proved(session_id, visit)


def _proved(session_id: int, visit: Visit) -> None:
    with transaction():
        db.session.get_one(StaffSession, session_id).proved_at = visit.now
