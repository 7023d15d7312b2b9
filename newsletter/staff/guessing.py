"""Guesses are counted, so that guessing is slow; and nobody is locked out by somebody else's for ever.

A one-time link, a passkey and a recovery code always open.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.network import network_of
from newsletter.staff.models import SignInFailure, Try

PER_PERSON = 10
"""For one account from one network, so that strangers elsewhere lock nobody out."""
PER_ACCOUNT = 100
PER_NETWORK = 30
CODES_PER_ACCOUNT = 10
"""A code has six digits, and three of them are good at a time: so there are 960 guesses a day, from wherever they come,
and who guesses knows the password already."""
COUNT_FOR = timedelta(minutes=15)


class TooManyFailures(NewsletterError):
    """There were too many wrong passwords or codes. Wait {minutes}, or sign in with a one-time link or a passkey."""


def network(ip: str | None) -> str:
    with suppress(ValueError):
        return network_of(ip or "")
    return ""


def check_password(address: str, ip: str | None, now: datetime) -> None:
    """Raises TooManyFailures, with how long to wait."""
    at_account, from_network = SignInFailure.address == address, SignInFailure.ip == network(ip)
    _check(
        now,
        _free_again(PER_PERSON, now, Try.PASSWORD, at_account, from_network),
        _free_again(PER_ACCOUNT, now, Try.PASSWORD, at_account),
        _free_again(PER_NETWORK, now, Try.PASSWORD, from_network),
    )


def check_code(address: str, now: datetime) -> None:
    """Raises TooManyFailures."""
    _check(now, _free_again(CODES_PER_ACCOUNT, now, Try.CODE, SignInFailure.address == address))


def _check(now: datetime, *free_again: datetime | None) -> None:
    if until := max(filter(None, free_again), default=None):
        raise TooManyFailures(minutes=_minutes(until - now))


def _minutes(span: timedelta) -> str:
    whole = -(-span // timedelta(minutes=1))
    return "a minute" if whole <= 1 else f"{whole} minutes"


def _free_again(cap: int, now: datetime, kind: Try, *conditions: sa.ColumnElement[bool]) -> datetime | None:
    """When one of so many is long enough ago; None where there are not so many."""
    times = sa.select(SignInFailure.at).where(
        SignInFailure.kind == kind, SignInFailure.at > now - COUNT_FOR, *conditions
    )
    last = db.session.scalar(times.order_by(SignInFailure.at.desc()).offset(cap - 1).limit(1))
    return last + COUNT_FOR if last else None


def count(now: datetime, kind: Try, span: timedelta, *conditions: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(SignInFailure)
    return db.session.scalar(query.where(SignInFailure.kind == kind, SignInFailure.at > now - span, *conditions)) or 0


def note(kind: Try, address: str, ip: str | None, now: datetime) -> None:
    with transaction() as session:
        session.execute(sa.delete(SignInFailure).where(SignInFailure.at < now - timedelta(days=1)))
        session.add(SignInFailure(kind=kind, address=address, ip=network(ip), at=now))
