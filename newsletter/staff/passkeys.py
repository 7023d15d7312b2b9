"""Passkeys: a device or a password manager signs what we ask it, after it has asked who holds it (WebAuthn Level 3).

What is asked is signed by us and not stored; what was answered is remembered until it would have run out, so that an
answer counts once.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
import struct
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import sqlalchemy as sa
import webauthn
from sqlalchemy.exc import IntegrityError
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.foundation.links import the_links
from newsletter.foundation.secrets import the_keys
from newsletter.foundation.text import one_line
from newsletter.staff.models import Passkey, SpentPrompt, Staff

LIFE = timedelta(minutes=15)
SERVICE = "Daily Headlines"
SIGN_IN = "sign-in"
AT_MOST = 20
NONCE, MOMENT, SEAL = 16, 8, 16


class PasskeyRefused(NewsletterError):
    """That passkey does not open this. Nothing was changed; sign in with a password or a one-time link."""


class PromptStale(NewsletterError):
    """This page had been open for too long, or the passkey was shown twice. Please press again."""


class PasskeyExists(NewsletterError):
    """That passkey is here already. Nothing was changed."""


class PasskeyUnknown(NotFound):
    """There is no such passkey any more."""


class TooManyPasskeys(NewsletterError):
    """Twenty passkeys are enough. Remove one that you do not use."""


@dataclass(frozen=True)
class Answer:
    """What the browser sent back, as JSON."""

    text: str


def are_possible() -> bool:
    """Browsers make passkeys for names only, not for bare addresses, and over HTTPS only, but for this machine."""
    parts = urlsplit(the_links().site_url)
    with suppress(ValueError):
        ipaddress.ip_address(parts.hostname or "")
        return False
    return parts.scheme == "https" or parts.hostname == "localhost"


def _site() -> str:
    return urlsplit(the_links().site_url).hostname or ""


def _origin() -> str:
    parts = urlsplit(the_links().site_url)
    return f"{parts.scheme}://{parts.netloc}"


def joining(person_id: int) -> str:
    return f"join {person_id}"


def proof_by(person_id: int) -> str:
    return f"proof by {person_id}"


def to_add(person: Staff, now: datetime) -> str:
    """What the browser is asked for a new passkey, as JSON."""
    known = [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential_id)) for one in person.passkeys]
    options = webauthn.generate_registration_options(
        rp_id=_site(),
        rp_name=SERVICE,
        user_id=_handle(person.id),
        user_name=person.address,
        challenge=_prompt(joining(person.id), now),
        exclude_credentials=known,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return webauthn.options_to_json(options)


def _handle(person_id: int) -> bytes:
    """By what a passkey knows its person: it says nothing to anybody else."""
    return the_keys().derived(f"passkeys of {person_id}")


def to_ask(purpose: str, now: datetime, person: Staff | None = None) -> str:
    """What the browser is asked to sign, as JSON; with whichever passkey it has, or with the person's."""
    known = (
        [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential_id)) for one in person.passkeys]
        if person
        else []
    )
    options = webauthn.generate_authentication_options(
        rp_id=_site(),
        challenge=_prompt(purpose, now),
        allow_credentials=known,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def add(person_id: int, name: str, answer: Answer, now: datetime, by: Actor) -> Passkey:
    """Raises PasskeyRefused, PromptStale, PasskeyExists, TooManyPasskeys."""
    prompt = _asked(answer, joining(person_id), now)
    try:
        verified = webauthn.verify_registration_response(
            credential=answer.text,
            expected_challenge=prompt,
            expected_rp_id=_site(),
            expected_origin=_origin(),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError) as error:
        raise PasskeyRefused from error
    made = Passkey(
        staff_id=person_id,
        credential_id=bytes_to_base64url(verified.credential_id),
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        name=one_line(name)[:60] or f"Passkey of {now:%d %B %Y}",
        created_at=now,
    )
    with transaction() as session:
        _spend(prompt, now)
        if session.scalar(sa.select(Passkey.id).where(Passkey.credential_id == made.credential_id)):
            raise PasskeyExists
        mine = sa.select(sa.func.count()).select_from(Passkey).where(Passkey.staff_id == person_id)
        if (session.scalar(mine) or 0) >= AT_MOST:
            raise TooManyPasskeys
        session.add(made)
        session.flush()
        audit.record(by, "staff.passkey-add", f"staff:{person_id}", now, name=made.name)
    return made


def remove(person_id: int, passkey_id: int, now: datetime, by: Actor) -> None:
    """Raises PasskeyUnknown, also for somebody else's."""
    with transaction() as session:
        found = session.get(Passkey, passkey_id)
        if found is None or found.staff_id != person_id:
            raise PasskeyUnknown
        audit.record(by, "staff.passkey-remove", f"staff:{person_id}", now, name=found.name)
        session.delete(found)


def check(answer: Answer, purpose: str, now: datetime, person_id: int | None = None) -> Passkey:
    """The passkey that has signed what was asked, in the caller's transaction; one of that person's, if one is named.

    A count that does not go up is that of a copied key. Raises PasskeyRefused, PromptStale.
    """
    prompt = _asked(answer, purpose, now)
    key = _key_of(answer)
    if person_id is not None and key.staff_id != person_id:
        raise PasskeyRefused
    try:
        verified = webauthn.verify_authentication_response(
            credential=answer.text,
            expected_challenge=prompt,
            expected_rp_id=_site(),
            expected_origin=_origin(),
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError) as error:
        raise PasskeyRefused from error
    _spend(prompt, now)
    key.sign_count, key.last_used_at = verified.new_sign_count, now
    return key


def owner_of(key: Passkey) -> Staff:
    """Raises PasskeyRefused for who is off the staff."""
    person = db.session.get(Staff, key.staff_id)
    if person is None or person.disabled_at is not None:
        raise PasskeyRefused
    return person


def _key_of(answer: Answer) -> Passkey:
    """Locked, so that two answers of one key come one after the other."""
    with suppress(ValueError, TypeError, KeyError):
        raw = str(json.loads(answer.text)["rawId"])[:1400]
        known = sa.select(Passkey).where(Passkey.credential_id == raw).with_for_update()
        if raw.isascii() and raw.isprintable() and (found := db.session.scalar(known)) and _is_theirs(answer, found):
            return found
    raise PasskeyRefused


def _is_theirs(answer: Answer, key: Passkey) -> bool:
    """A passkey that tells whose it is must tell the truth (WebAuthn §7.2, step 6)."""
    told = json.loads(answer.text)["response"].get("userHandle")
    return not told or hmac.compare_digest(base64url_to_bytes(str(told)), _handle(key.staff_id))


# What is asked: chance, a moment, and our seal on both and on what it is for


def _prompt(purpose: str, now: datetime) -> bytes:
    body = secrets.token_bytes(NONCE) + struct.pack(">Q", int(now.timestamp()))
    return body + _seal(purpose, body)


def _seal(purpose: str, body: bytes) -> bytes:
    return hmac.new(the_keys().secret.encode(), f"passkey {purpose}:".encode() + body, hashlib.sha256).digest()[:SEAL]


def _asked(answer: Answer, purpose: str, now: datetime) -> bytes:
    """What the answer is to, if we asked it lately and for that. Raises PromptStale, PasskeyRefused."""
    try:
        client = base64url_to_bytes(json.loads(answer.text)["response"]["clientDataJSON"])
        prompt = base64url_to_bytes(json.loads(client)["challenge"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PasskeyRefused from error
    body, seal = prompt[: NONCE + MOMENT], prompt[NONCE + MOMENT :]
    if len(body) != NONCE + MOMENT or not hmac.compare_digest(seal, _seal(purpose, body)):
        raise PasskeyRefused
    age = now.timestamp() - struct.unpack(">Q", body[NONCE:])[0]
    if not -1 <= age <= LIFE.total_seconds():
        raise PromptStale
    return prompt


def _spend(prompt: bytes, now: datetime) -> None:
    """Raises PromptStale when it was answered already."""
    spent = SpentPrompt(digest=hashlib.sha256(prompt).hexdigest(), expires_at=now + LIFE)
    if db.session.get(SpentPrompt, spent.digest) is not None:
        raise PromptStale
    try:
        with db.session.begin_nested():
            db.session.add(spent)
    except IntegrityError as error:
        raise PromptStale from error
