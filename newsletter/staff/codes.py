"""The codes of an authenticator app (RFC 6238), and the recovery codes for when it is lost.

The app's secret is made of a salt in the database and the installation's key, so a copy of the database tells no code.
A code counts for its half minute and the ones before and after, and never twice.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

import pyotp
import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.foundation.links import the_links
from newsletter.foundation.secrets import Keys
from newsletter.staff import guessing, sessions
from newsletter.staff.models import RecoveryCode, Staff, Try

STEP = 30
DRIFT = (0, -1, 1)
RECOVERY_CODES = 10
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike."""


class CodeWrong(NewsletterError):
    """That code is not right. Look whether the clock of the device is, and type the code that it shows now."""


class CodeUsed(NewsletterError):
    """That code was used already. Wait for the next one; it comes within half a minute."""


class CodesNotBegun(NotFound):
    """There is nothing to confirm. Begin again; nothing was changed."""


def begin(person_id: int) -> None:
    """Offer a new secret, unless one is in use or offered already."""
    with transaction():
        person = _person(person_id)
        if person.totp_salt is None:
            person.totp_salt = secrets.token_hex(16)


def secret(person: Staff, keys: Keys) -> str:
    """What the app is told, in base32: 160 bits. Raises CodesNotBegun."""
    if person.totp_salt is None:
        raise CodesNotBegun
    return base64.b32encode(keys.derived(f"codes of {person.id}:{person.totp_salt}")[:20]).decode()


def address(person: Staff, keys: Keys) -> str:
    """The same as an otpauth: address, for the picture that the app reads."""
    site = urlsplit(the_links().site_url).hostname or "newsletter"
    return pyotp.TOTP(secret(person, keys)).provisioning_uri(name=person.address, issuer_name=site)


def confirm(person_id: int, text: str, now: datetime, keys: Keys, by: Actor) -> Sequence[str]:
    """From now on codes are wanted; gives the recovery codes, this once. Raises CodeWrong, CodesNotBegun,
    TooManyFailures."""
    person = db.session.get_one(Staff, person_id)
    if person.has_codes:
        raise CodesNotBegun
    check(person, text, now, keys)
    with transaction():
        person = _person(person_id)
        if person.has_codes or person.totp_salt is None:
            raise CodesNotBegun
        person.totp_since = now
        audit.record(by, "staff.codes-on", f"staff:{person_id}", now)
        return _new_recovery(person_id, now)


def stop(person_id: int, now: datetime, by: Actor) -> None:
    """No codes are wanted any more, and none opens. Again is no error."""
    with transaction():
        forget(person_id, now, by)


def forget(person_id: int, now: datetime, by: Actor) -> None:
    """The same, in the caller's transaction."""
    person = _person(person_id)
    if person.has_codes:
        audit.record(by, "staff.codes-off", f"staff:{person_id}", now)
    person.totp_salt = person.totp_since = person.totp_step = None
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.staff_id == person_id))


def renew_recovery(person_id: int, now: datetime, by: Actor) -> Sequence[str]:
    """New recovery codes in the old ones' place, shown this once. Raises CodesNotBegun."""
    with transaction():
        if not _person(person_id).has_codes:
            raise CodesNotBegun
        audit.record(by, "staff.recovery-codes", f"staff:{person_id}", now)
        return _new_recovery(person_id, now)


def _person(person_id: int) -> Staff:
    found = locked(Staff, person_id)
    if found is None:
        raise CodesNotBegun
    return found


def _new_recovery(person_id: int, now: datetime) -> Sequence[str]:
    """16 letters each: 79 bits, so that they need no slow hash."""
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.staff_id == person_id))
    made = ["".join(secrets.choice(LETTERS) for _ in range(16)) for _ in range(RECOVERY_CODES)]
    hashes = [RecoveryCode(staff_id=person_id, code_hash=sessions.digest(one), created_at=now) for one in made]
    db.session.add_all(hashes)
    return ["-".join(re.findall("....", one)) for one in made]


def recovery_left(person_id: int) -> int:
    query = sa.select(sa.func.count()).select_from(RecoveryCode)
    return db.session.scalar(query.where(RecoveryCode.staff_id == person_id, RecoveryCode.used_at.is_(None))) or 0


def check(person: Staff, text: str, now: datetime, keys: Keys) -> str:
    """Use up a code of the app or a recovery code; says which it was. Raises CodeWrong, CodeUsed, TooManyFailures.

    Only the app's codes are counted: nobody guesses a recovery code.
    """
    typed = re.sub(r"[\s-]", "", text).lower()
    if re.fullmatch(r"[0-9]{6}", typed):
        _check_of_app(person, typed, now, keys)
        return "code"
    _use_recovery(person.id, typed, now)
    return "recovery code"


def _check_of_app(person: Staff, typed: str, now: datetime, keys: Keys) -> None:
    guessing.check_code(person.address, now)
    step = _step_of(typed, secret(person, keys), now) if person.totp_salt else None
    if step is None:
        guessing.note(Try.CODE, person.address, None, now)
        raise CodeWrong
    later = sa.or_(Staff.totp_step.is_(None), Staff.totp_step < step)
    with transaction() as session:
        used = session.execute(
            sa.update(Staff)
            .where(Staff.id == person.id, later)
            .values(totp_step=step)
            .execution_options(synchronize_session="fetch")
        )
        if used.rowcount != 1:  # type: ignore[attr-defined]
            raise CodeUsed


def _step_of(typed: str, secret: str, now: datetime) -> int | None:
    """Which half minute the code belongs to, if to one near now."""
    step, app = int(now.timestamp()) // STEP, pyotp.TOTP(secret)
    good = [step + off for off in DRIFT if hmac.compare_digest(app.generate_otp(step + off), typed)]
    return max(good, default=None)


def _use_recovery(person_id: int, typed: str, now: datetime) -> None:
    code = (RecoveryCode.staff_id == person_id, RecoveryCode.code_hash == sessions.digest(typed))
    with transaction() as session:
        unused = sa.update(RecoveryCode).where(*code, RecoveryCode.used_at.is_(None)).values(used_at=now)
        if session.execute(unused).rowcount == 1:  # type: ignore[attr-defined]
            return
        if session.scalar(sa.select(RecoveryCode.id).where(*code)) is not None:
            raise CodeUsed
        raise CodeWrong
