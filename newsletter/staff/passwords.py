"""Passwords: which are taken, and how they are kept and compared.

An Argon2 hash takes 140 ms and 64 MB, so at most two are computed at a time, and never inside a transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from newsletter.foundation.errors import NewsletterError

SHORTEST = 10
"""The only rule beside the list (NIST SP 800-63B §5.1.1.2: no other has been seen to help)."""

COMMONEST = Path(__file__).parent / "commonest.txt"

_hasher = PasswordHasher()
_hashing = BoundedSemaphore(2)
_at_the_door = BoundedSemaphore(4)
"""Who is being hashed or waits for it. The web has 8 threads by default, and readers need some."""


class SignInBusy(NewsletterError):
    """Too many people are signing in at this moment. Please try again in a few seconds."""


class PasswordTooShort(NewsletterError):
    """A password needs at least {shortest} characters. Four words that do not belong together are a good one."""


class PasswordTooCommon(NewsletterError):
    """That is one of the commonest passwords of all, which is tried first by whoever guesses. Take another."""


def hashed(password: str) -> str:
    """How a new password is kept. Raises PasswordTooShort, PasswordTooCommon, SignInBusy."""
    if len(password) < SHORTEST:
        raise PasswordTooShort(shortest=SHORTEST)
    if password.casefold() in _commonest():
        raise PasswordTooCommon
    with _turn():
        return _hasher.hash(password)


@cache
def _commonest() -> frozenset[str]:
    lines = COMMONEST.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def matches(password_hash: str | None, password: str) -> bool:
    """Takes the same time where there is no hash, and is False. Raises SignInBusy."""
    with _turn():
        try:
            _hasher.verify(password_hash or _nobodys(), password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


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


@cache
def _nobodys() -> str:
    """A hash that no password matches, so that an unknown address takes as long as a known one."""
    return _hasher.hash(secrets.token_urlsafe(16))
