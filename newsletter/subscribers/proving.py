"""A small sum for the visitor's browser, which costs a machine that signs up thousands more than it is worth.

The form is that of ALTCHA (https://altcha.org/docs/): find the number whose SHA-256 with a salt is the challenge. The
service keeps nothing until the answer comes, which carries the service's own signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from newsletter.foundation.database import db, transaction
from newsletter.subscribers.models import SpentChallenge

ALGORITHM = "SHA-256"
HARDEST = 100_000
"""Numbers to try at most: about a second of a phone's browser."""

GOOD_FOR = timedelta(minutes=20)


def challenge(now: datetime, secret: str) -> dict[str, str | int]:
    """A sum, as the browser's script takes it."""
    until = int((now + GOOD_FOR).timestamp())
    salt = f"{secrets.token_hex(12)}?expires={until}&"  # its end is marked, else its last digits could be the number's
    digest = _digest(salt, secrets.randbelow(HARDEST))
    return {
        "algorithm": ALGORITHM,
        "challenge": digest,
        "maxnumber": HARDEST,
        "salt": salt,
        "signature": _signed(digest, secret),
    }


def spend(payload: str, now: datetime, secret: str) -> bool:
    """Whether a browser's answer (base64 of JSON) solves a sum of ours that is still good and was not used before.

    Uses it up, in a transaction of its own.
    """
    answer = _read(payload)
    if answer is None or not _solves(answer, now, secret):
        return False
    with transaction():
        return use_up(answer["signature"], _until(answer["salt"]), now)


def use_up(signature: str, until: datetime, now: datetime) -> bool:
    """Note in the caller's transaction that what has this signature was used; False when it was used before."""
    db.session.execute(sa.delete(SpentChallenge).where(SpentChallenge.expires_at < now))
    try:
        with db.session.begin_nested():
            db.session.add(SpentChallenge(signature=signature, expires_at=until))
    except IntegrityError:
        return False
    return True


def _read(payload: str) -> dict[str, str] | None:
    try:
        answer = json.loads(base64.b64decode(payload, validate=True))
        return {name: str(answer[name]) for name in ("algorithm", "challenge", "number", "salt", "signature")}
    except (ValueError, KeyError, TypeError):
        return None


def _solves(answer: dict[str, str], now: datetime, secret: str) -> bool:
    if not hmac.compare_digest(answer["signature"].encode(), _signed(answer["challenge"], secret).encode()):
        return False
    if answer["algorithm"] != ALGORITHM or not answer["number"].isdecimal() or len(answer["number"]) > 9:
        return False
    return (
        answer["salt"].endswith("&")
        and now < _until(answer["salt"])
        and _digest(answer["salt"], int(answer["number"])) == answer["challenge"]
    )


def _until(salt: str) -> datetime:
    """When a sum of ours ends; its salt is covered by the challenge, and that by the signature."""
    seconds = salt.rpartition("=")[2].removesuffix("&")
    return datetime.fromtimestamp(int(seconds) if seconds.isdecimal() else 0, UTC)


def _digest(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def _signed(digest: str, secret: str) -> str:
    return hmac.new(secret.encode(), f"challenge:{digest}".encode(), hashlib.sha256).hexdigest()
