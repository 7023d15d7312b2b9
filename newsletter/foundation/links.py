"""Signed links: what a mail carries so that its reader needs no password.

Each purpose signs with a salt of its own, so that a token for one page opens no other. A token holds ids, never an
address; whether it still means something is for the page's verb to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from itsdangerous import BadSignature, URLSafeSerializer

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.parts import Part

SEALED = "sealed"

NEVER_PACKED = 14
"""So many characters itsdangerous leaves as they are, because zlib's own would be more."""


class LinkInvalid(NewsletterError):
    """This link is damaged or was never ours."""


class LinkExpired(NewsletterError):
    """This link was good until {until:%d %B %Y}."""


class Purpose(StrEnum):
    CONFIRM = "confirm"
    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    CHANGE = "change"
    FORM = "form"
    APPROVE = "approve"
    HOLD = "hold"


class Links:
    """Makes and reads the links of one installation, all below its `site_url`."""

    def __init__(self, secret: str, site_url: str) -> None:
        self._secret = secret
        self.site_url = site_url
        self._keys: dict[Purpose, bytes] = {}
        self._verp_key = secret.encode()

    def to(self, path: str) -> str:
        """A whole address on this site."""
        return f"{self.site_url}{path}"

    def seal(self, text: str) -> dict[str, str]:
        """A text that only we can read, for where it waits; `opened` gives it back."""
        return {SEALED: self._box().encrypt(text.encode()).decode()}

    def opened(self, data: dict[str, Any]) -> dict[str, Any]:
        """The same values, with those that were sealed as they were. Raises LinkInvalid when the secret is another."""
        return {name: self._open(value) for name, value in data.items()}

    def _open(self, value: Any) -> Any:
        if not isinstance(value, dict) or set(value) != {SEALED}:
            return value
        try:
            return self._box().decrypt(str(value[SEALED]).encode()).decode()
        except InvalidToken as error:
            raise LinkInvalid from error

    def _box(self) -> Fernet:
        key = hashlib.sha256(f"sealed:{self._secret}".encode()).digest()
        return Fernet(base64.urlsafe_b64encode(key))

    def make(self, purpose: Purpose, subject: int, until: datetime | None = None) -> str:
        """A token for `subject` (a row's id), good until a moment or for ever."""
        return self._signed(purpose, subject, int(until.timestamp()) if until else 0)

    def link(self, purpose: Purpose, subject: int, until: datetime | None = None) -> str:
        return self.to(f"/{purpose}/{self.make(purpose, subject, until)}")

    def make_for(self, purpose: Purpose, subject: int, person: int) -> str:
        """A token for `subject` that is bound to one person of the staff; whether it is still good is told by both."""
        return self._signed(purpose, subject, 0, person)

    def read_for(self, purpose: Purpose, token: str) -> tuple[int, int]:
        """The subject and the person of a token made by `make_for`. Raises LinkInvalid."""
        subject, _, person = self._load(purpose, token, 3)
        return subject, person

    def read(self, purpose: Purpose, token: str) -> int:
        """The subject of a token whose time may have passed. Raises LinkInvalid."""
        return self._load(purpose, token, 2)[0]

    def read_in_time(self, purpose: Purpose, token: str, now: datetime) -> int:
        """The subject of a token that is still good. Raises LinkInvalid, LinkExpired."""
        subject, until = self._load(purpose, token, 2)
        if until and now.timestamp() >= until:
            raise LinkExpired(until=now - timedelta(seconds=now.timestamp() - until))
        return subject

    def _signed(self, purpose: Purpose, *numbers: int) -> str:
        """What the serializer's `dumps` says, mostly in a tenth of its time: an edition has two for each reader."""
        text = f"[{','.join(map(str, numbers))}]"
        if len(text) > NEVER_PACKED:
            return self._serializer(purpose).dumps(list(numbers))
        if purpose not in self._keys:
            self._keys[purpose] = self._serializer(purpose).make_signer().derive_key()
        payload = _base64(text.encode("ascii"))
        signature = _base64(hmac.digest(self._keys[purpose], payload, "sha256"))
        return f"{payload.decode('ascii')}.{signature.decode('ascii')}"

    def _load(self, purpose: Purpose, token: str, count: int) -> list[int]:
        """The numbers that were signed. base64 has several spellings of the same octets; only ours is taken."""
        try:
            numbers = self._serializer(purpose).loads(token)
        except (BadSignature, ValueError, TypeError) as error:
            raise LinkInvalid from error
        if len(numbers) != count or self._signed(purpose, *numbers) != token:
            raise LinkInvalid
        return list(numbers)

    def _serializer(self, purpose: Purpose) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._secret, salt=f"newsletter.{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def verp(self, kind: str, subject: int) -> str:
        """The signed local part that tells which mail a bounce is about: kind, base32 id, base32 HMAC-80.

        Lower case, at most 40 octets, because some relays fold case and truncate (DESIGN.md §6).
        """
        ident = _base32(subject.to_bytes((subject.bit_length() + 7) // 8 or 1, "big"))
        return f"{kind}{ident}-{self._verp_signature(kind, ident)}"

    def read_verp(self, local_part: str) -> tuple[str, int]:
        """(kind, id) of a local part made by `verp`. Raises LinkInvalid."""
        body, _, signature = local_part.lower().partition("-")
        kind, ident = body[:1], body[1:]
        if not local_part.isascii():
            raise LinkInvalid
        if not hmac.compare_digest(signature.encode(), self._verp_signature(kind, ident).encode()):
            raise LinkInvalid
        return kind, int.from_bytes(base64.b32decode(ident.upper() + "=" * (-len(ident) % 8)), "big")

    def _verp_signature(self, kind: str, ident: str) -> str:
        return _base32(hmac.digest(self._verp_key, f"verp:{kind}{ident}".encode(), "sha256")[:10])


the_links: Part[Links] = Part("links")


URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _base64(octets: bytes) -> bytes:
    """RFC 4648 §5, without padding."""
    return binascii.b2a_base64(octets, newline=False).translate(URL_SAFE, b"=")


BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
PAIRS = [first + second for first in BASE32 for second in BASE32]


def _base32(octets: bytes) -> str:
    """RFC 4648 §6 in lower case, without padding; the standard library's takes ten times as long."""
    bits = 8 * len(octets)
    filled = -(-bits // 10) * 10
    number = int.from_bytes(octets, "big") << filled - bits
    pairs = [PAIRS[number >> shift & 1023] for shift in range(filled - 10, -1, -10)]
    return "".join(pairs)[: -(-bits // 5)]
