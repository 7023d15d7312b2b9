"""Passwords, one-time links, and the sessions they open.

Tokens are random and only their SHA-256 is stored, so a copy of the database signs nobody in. An Argon2 hash takes
140 ms and 64 MB, so at most two are computed at a time, and never inside a transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from threading import BoundedSemaphore

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.links import LinkExpired, LinkInvalid, Links
from newsletter.foundation.network import network_of
from newsletter.foundation.text import one_line
from newsletter.mail import addresses
from newsletter.staff.models import Role, SignInFailure, SignInLink, Staff, StaffSession, StaffUnknown, staff_at

LINK_LIFE = timedelta(hours=24)
SESSION_LIFE = timedelta(days=14)
SHORTEST_PASSWORD = 12
FAILURES_PER_PERSON = 10
"""For one account from one network, so that strangers elsewhere lock nobody out."""
FAILURES_PER_ACCOUNT = 100
FAILURES_PER_NETWORK = 30
FAILURES_COUNT_FOR = timedelta(minutes=15)

_hasher = PasswordHasher()
_hashing = BoundedSemaphore(2)
_at_the_door = BoundedSemaphore(4)
"""Who is being hashed or waits for it. The web has 8 threads by default, and readers need some."""


class StaffExists(NewsletterError):
    """{address} is on the staff already."""


class SignInRefused(NewsletterError):
    """This address and password do not belong together."""


class TooManyFailures(NewsletterError):
    """There were too many wrong passwords. Wait a quarter of an hour, or sign in with a one-time link."""


class SignInBusy(NewsletterError):
    """Too many people are signing in at this moment. Please try again in a few seconds."""


class PasswordTooShort(NewsletterError):
    """A password needs at least {shortest} characters."""


class LinkUsed(NewsletterError):
    """This link has been used. Each signs in once."""


def add(address_text: str, role: Role, now: datetime, by: Actor, password: str | None = None) -> Staff:
    """Raises AddressInvalid, StaffExists, PasswordTooShort."""
    address = addresses.normalise(addresses.parse(address_text))
    password_hash = _hash(password) if password is not None else None
    with transaction() as session:
        if staff_at(address):
            raise StaffExists(address=address)
        added = Staff(
            address=address,
            role=role,
            password_hash=password_hash,
            wants_alerts=role is not Role.SUPPORT,  # most alerts are about editions
            created_at=now,
        )
        session.add(added)
        session.flush()
        audit.record(by, "staff.add", f"staff:{added.id}", now, address=address, role=role)
    return added


def _hash(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(shortest=SHORTEST_PASSWORD)
    with _hashing:
        return _hasher.hash(password)


def make_link(address_text: str, now: datetime, by: Actor, links: Links) -> str:
    """A link that signs a person in once, within a day. Raises AddressInvalid, StaffUnknown."""
    address = addresses.normalise(addresses.parse(address_text))
    token = secrets.token_urlsafe(32)
    with transaction() as session:
        person = staff_at(address)
        if person is None:
            raise StaffUnknown(address=address)
        session.add(
            SignInLink(staff_id=person.id, token_hash=_digest(token), created_at=now, expires_at=now + LINK_LIFE)
        )
        audit.record(by, "staff.link", f"staff:{person.id}", now)
    return links.to(f"/admin/link/{token}")


def link(token: str, now: datetime) -> SignInLink:
    """The link behind a token; looking does not use it up. Raises LinkInvalid, LinkUsed, LinkExpired."""
    found = db.session.scalar(sa.select(SignInLink).where(SignInLink.token_hash == _digest(token)))
    if found is None or found.staff.disabled_at is not None:
        raise LinkInvalid
    if found.used_at is not None:
        raise LinkUsed
    if now >= found.expires_at:
        raise LinkExpired(until=found.expires_at)
    return found


def use_link(token: str, now: datetime, ip: str | None, user_agent: str) -> str:
    """Sign in by a link; gives the session's token. Raises what `link` raises."""
    with transaction() as session:
        found = link(token, now)
        used = session.execute(
            sa.update(SignInLink).where(SignInLink.id == found.id, SignInLink.used_at.is_(None)).values(used_at=now)
        )
        if used.rowcount != 1:  # type: ignore[attr-defined]
            raise LinkUsed
        return _open_session(found.staff, now, ip, user_agent, "a one-time link")


def sign_in(address_text: str, password: str, now: datetime, ip: str, user_agent: str) -> str:
    """Sign in by password; gives the session's token. Takes the same time for unknown addresses.

    Raises SignInRefused, TooManyFailures, SignInBusy.
    """
    network = _network(ip)
    address = addresses.normalise(one_line(address_text))[: addresses.LONGEST]
    if _failures(address, network, now):
        raise TooManyFailures
    person = staff_at(address)
    password_hash = person.password_hash if person and person.password_hash else None
    db.session.rollback()  # hashing takes long; no transaction waits for it
    if not _matches(password_hash, password):
        _note_failure(address, network, now)
        raise SignInRefused
    with transaction():
        person = staff_at(address)
        if person is None or person.password_hash != password_hash:
            raise SignInRefused
        return _open_session(person, now, ip, user_agent, "password")


def _network(ip: str) -> str:
    with suppress(ValueError):
        return network_of(ip)
    return ""


@contextmanager
def _turn() -> Iterator[None]:
    """One of two places to hash in, for which only a few may wait. Raises SignInBusy."""
    if not _at_the_door.acquire(blocking=False):
        raise SignInBusy
    try:
        with _hashing:
            yield
    finally:
        _at_the_door.release()


def _matches(password_hash: str | None, password: str) -> bool:
    with _turn():
        try:
            _hasher.verify(password_hash or _nobodys(), password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


@cache
def _nobodys() -> str:
    """A hash that no password matches, so that an unknown address takes as long as a known one."""
    return _hasher.hash(secrets.token_urlsafe(16))


def _failures(address: str, network: str, now: datetime) -> bool:
    since = now - FAILURES_COUNT_FOR

    def count(*conditions: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(SignInFailure).where(*conditions, SignInFailure.at > since)
        return db.session.scalar(query) or 0

    at_account, from_network = SignInFailure.address == address, SignInFailure.ip == network
    return (
        count(at_account, from_network) >= FAILURES_PER_PERSON
        or count(at_account) >= FAILURES_PER_ACCOUNT
        or count(from_network) >= FAILURES_PER_NETWORK
    )


def _note_failure(address: str, network: str, now: datetime) -> None:
    with transaction() as session:
        session.execute(sa.delete(SignInFailure).where(SignInFailure.at < now - timedelta(days=1)))
        session.add(SignInFailure(address=address, ip=network, at=now))


def _open_session(person: Staff, now: datetime, ip: str | None, user_agent: str, means: str) -> str:
    token = secrets.token_urlsafe(32)
    db.session.add(
        StaffSession(
            staff_id=person.id,
            token_hash=_digest(token),
            created_at=now,
            expires_at=now + SESSION_LIFE,
            ip=ip,
            user_agent=user_agent[:300],
        )
    )
    audit.record(actor(person, ip), "staff.sign-in", f"staff:{person.id}", now, means=means)
    return token


def session_of(token: str, now: datetime) -> StaffSession | None:
    """The session that a browser's token opens, while it lasts."""
    found = db.session.scalar(sa.select(StaffSession).where(StaffSession.token_hash == _digest(token)))
    if found is None or found.ended_at or now >= found.expires_at or found.staff.disabled_at:
        return None
    return found


def sign_out(token: str, now: datetime) -> None:
    with transaction():
        if found := session_of(token, now):
            found.ended_at = now


def actor(person: Staff, ip: str | None) -> Actor:
    """A person of the staff as the audit trail names them."""
    return Actor(ActorKind.STAFF, person.address, person.id, ip)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
