"""Coming in: by a password, by a link that works once, and by the code that may be wanted beside them."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import LinkExpired, LinkInvalid, Links
from newsletter.foundation.secrets import Keys
from newsletter.foundation.text import one_line
from newsletter.mail import addresses
from newsletter.mail.message import Sender
from newsletter.staff import codes, guessing, notes, passkeys, passwords, sessions
from newsletter.staff.models import (
    Means,
    Role,
    SignInFailure,
    SignInLink,
    Staff,
    StaffNewsletter,
    StaffSession,
    StaffUnknown,
    Try,
    staff_at,
)
from newsletter.staff.passkeys import Answer
from newsletter.staff.rights import Grant, Right, may, usual, whole
from newsletter.staff.sessions import Visit

LINK_LIFE = timedelta(hours=24)
ASKED_LINK_LIFE = timedelta(hours=1)
LINKS_AN_HOUR = 3
LINKS_PER_NETWORK = 20


class StaffExists(NewsletterError):
    """{address} is on the staff already."""


class SignInRefused(NewsletterError):
    """This address and password do not belong together."""


class LinkUsed(NewsletterError):
    """This link has been used. Each signs in once."""


class WaitedTooLong(NewsletterError):
    """The code was waited for too long. Begin again; nothing was changed."""


def add(
    address_text: str, role: Role, now: datetime, by: Actor, password: str | None = None, grant: Grant | None = None
) -> Staff:
    """`grant` is what the role is usually given. Raises AddressInvalid, StaffExists, PasswordTooShort,
    PasswordTooCommon, SignInBusy."""
    address = addresses.normalise(addresses.parse(address_text))
    password_hash = passwords.hashed(password) if password is not None else None
    with transaction():
        return added(address, grant or usual(role), now, by, password_hash)


def added(address: str, grant: Grant, now: datetime, by: Actor | None, password_hash: str | None = None) -> Staff:
    """A new person, in the caller's transaction; `by` is themselves where it is None. Raises StaffExists."""
    if db.session.scalar(sa.select(Staff.id).where(Staff.address == address)):
        raise StaffExists(address=address)
    given = whole(grant)
    person = Staff(
        address=address,
        role=given.role,
        may_send=given.may_send,
        limited=given.newsletter_ids is not None,
        limits=[StaffNewsletter(newsletter_id=id) for id in sorted(given.newsletter_ids or ())],
        password_hash=password_hash,
        wants_alerts=given.role is not Role.SUPPORT,  # most alerts are about editions
        created_at=now,
    )
    db.session.add(person)
    db.session.flush()
    who = by or sessions.actor(person, None)
    audit.record(who, "staff.add", f"staff:{person.id}", now, address=address, **granted(person))
    return person


def granted(person: Staff) -> dict[str, object]:
    """What somebody is given, as the audit trail tells it."""
    ids = person.newsletter_ids
    only = sorted(ids) if ids is not None else "all"
    return {"role": person.role.value, "may_send": may(person, Right.SEND), "newsletters": only}


def make_link(address_text: str, now: datetime, by: Actor, links: Links) -> str:
    """A link that signs a person in once, within a day. Raises AddressInvalid, StaffUnknown."""
    address = addresses.normalise(addresses.parse(address_text))
    with transaction():
        person = staff_at(address)
        if person is None:
            raise StaffUnknown(address=address)
        audit.record(by, "staff.link", f"staff:{person.id}", now)
        return _link(person, now, LINK_LIFE, links)


def _link(person: Staff, now: datetime, life: timedelta, links: Links) -> str:
    token = secrets.token_urlsafe(32)
    made = SignInLink(staff_id=person.id, token_hash=sessions.digest(token), created_at=now, expires_at=now + life)
    db.session.add(made)
    return links.to(f"/admin/link/{token}")


def ask_for_link(address_text: str, visit: Visit, links: Links, sender: Sender) -> None:
    """Mail a link to whoever forgot their password; nothing tells whether there is such a person.

    So many an hour go to one person: to ask for more sends none, and those that were sent go on working.
    """
    address, now = addresses.normalise(one_line(address_text))[: addresses.LONGEST], visit.now
    hour, here = timedelta(hours=1), SignInFailure.ip == guessing.network(visit.ip)
    asked = guessing.count(now, Try.LINK, hour, SignInFailure.address == address)
    if guessing.count(now, Try.LINK, hour, here) >= LINKS_PER_NETWORK or asked >= LINKS_AN_HOUR:
        return
    with transaction():
        guessing.note(Try.LINK, address, visit.ip, now)
        if person := staff_at(address):
            audit.record(_visitor(visit.ip), "staff.ask-link", f"staff:{person.id}", now)
            notes.put_link(person, _link(person, now, ASKED_LINK_LIFE, links), now + ASKED_LINK_LIFE, sender, now)


def _visitor(ip: str | None) -> Actor:
    """Whoever typed somebody's address."""
    return Actor(ActorKind.SYSTEM, "a visitor", ip=ip)


def link(token: str, now: datetime) -> SignInLink:
    """The link behind a token; looking does not use it up. Raises LinkInvalid, LinkUsed, LinkExpired."""
    found = db.session.scalar(sa.select(SignInLink).where(SignInLink.token_hash == sessions.digest(token)))
    if found is None or found.staff.disabled_at is not None:
        raise LinkInvalid
    if found.used_at is not None:
        raise LinkUsed
    if now >= found.expires_at:
        raise LinkExpired(until=found.expires_at)
    return found


def use_link(token: str, visit: Visit) -> str:
    """Sign in by a link; gives the session's token. Raises what `link` raises."""
    now = visit.now
    with transaction() as session:
        found = link(token, now)
        used = session.execute(
            sa.update(SignInLink).where(SignInLink.id == found.id, SignInLink.used_at.is_(None)).values(used_at=now)
        )
        if used.rowcount != 1:  # type: ignore[attr-defined]
            raise LinkUsed
        return sessions.open_session(found.staff, visit, Means.LINK)


def sign_in(address_text: str, password: str, visit: Visit) -> str:
    """Sign in by password; gives the session's token. Takes the same time for unknown addresses.

    Raises SignInRefused, TooManyFailures, SignInBusy.
    """
    address = addresses.normalise(one_line(address_text))[: addresses.LONGEST]
    guessing.check_password(address, visit.ip, visit.now)
    person = staff_at(address)
    password_hash = person.password_hash if person and person.password_hash else None
    db.session.rollback()  # hashing takes long; no transaction waits for it
    if not passwords.matches(password_hash, password):
        guessing.note(Try.PASSWORD, address, visit.ip, visit.now)
        raise SignInRefused
    with transaction():
        person = staff_at(address)
        if person is None or person.password_hash != password_hash:
            raise SignInRefused
        return sessions.open_session(person, visit, Means.PASSWORD)


def sign_in_by_passkey(answer: Answer, visit: Visit) -> str:
    """Gives the session's token. Raises PasskeyRefused, PromptStale."""
    with transaction():
        key = passkeys.check(answer, passkeys.SIGN_IN, visit.now)
        return sessions.open_session(passkeys.owner_of(key), visit, Means.PASSKEY)


def give_code(token: str, text: str, visit: Visit, keys: Keys) -> StaffSession:
    """The code that a session awaits. Raises WaitedTooLong, and what `codes.check` raises."""
    found = _awaiting(token, visit.now)
    by = codes.check(found.staff, text, visit.now, keys)
    return _opened(token, visit, by)


def give_passkey(token: str, answer: Answer, visit: Visit) -> StaffSession:
    """A passkey in the code's place. Raises WaitedTooLong, PasskeyRefused, PromptStale."""
    found = _awaiting(token, visit.now)
    with transaction():
        passkeys.check(answer, passkeys.proof_by(found.staff_id), visit.now, found.staff_id)
        return _opened(token, visit, "passkey")


def _awaiting(token: str, now: datetime) -> StaffSession:
    found = sessions.awaiting(token, now)
    if found is None:
        raise WaitedTooLong
    return found


def _opened(token: str, visit: Visit, by: str) -> StaffSession:
    with transaction():
        found = _awaiting(token, visit.now)
        found.awaits_code = False
        found.last_seen_at = found.proved_at = visit.now
        sessions.record_opening(found.staff, visit, found.means, by)
    return found
