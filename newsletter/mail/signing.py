"""DKIM (RFC 6376): signs each mail for the domain that it comes from, with one key or several.

Headers are canonicalised "relaxed", because relays fold them anew; the body "simple", because ours is quoted-printable
with CRLF line ends, which nobody needs to touch, and hashing it as it is costs a tenth.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from newsletter.foundation.errors import CannotStart, NewsletterError
from newsletter.foundation.parts import Part
from newsletter.mail.addresses import wire

RSA_BITS = 2048
"""Long enough for years, and short enough for every DNS server (RFC 8301 §3.2)."""

SIGNED = (
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "List-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Auto-Submitted",
)
"""Each is signed once more than it occurs, so that none can be added on the way (RFC 6376 §5.4.2). RFC 8058 §4 wants
both List-Unsubscribe headers among them."""

FOLDED = re.compile(rb"\r\n(?=[ \t])")
BLANKS = re.compile(rb"[ \t]+")
TAG_LINE = 72

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


class DkimKeyUnusable(CannotStart):
    """The DKIM key {file} cannot be used: {cause}. Make one: newsletter dkim generate"""


class DkimKeyExists(NewsletterError):
    """{file} exists already, and a key that is in use must not be lost. Choose another selector, or move it away."""


@dataclass(frozen=True)
class Key:
    """A private key and where its public half stands in the DNS: at SELECTOR._domainkey.DOMAIN."""

    domain: str
    selector: str
    private: PrivateKey

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, octets: bytes) -> bytes:
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(octets, PKCS1v15(), hashes.SHA256())
        return self.private.sign(hashlib.sha256(octets).digest())  # RFC 8463 §3


def generate(file: Path, *, ed25519: bool = False) -> PrivateKey:
    """Write a new private key that only we may read. Raises DkimKeyExists, DkimKeyUnusable."""
    private: PrivateKey = Ed25519PrivateKey.generate() if ed25519 else generate_private_key(65537, RSA_BITS)
    octets = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(octets)
            written.flush()
            os.fsync(written.fileno())
    except FileExistsError as error:
        raise DkimKeyExists(file=file) from error
    except OSError as error:
        raise DkimKeyUnusable(file=file, cause=error.strerror) from error
    return private


def read(file: Path) -> PrivateKey:
    """Raises DkimKeyUnusable."""
    try:
        private = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise DkimKeyUnusable(file=file, cause=error.strerror) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DkimKeyUnusable(file=file, cause="it is no private key in PEM without a password") from error
    if isinstance(private, Ed25519PrivateKey):
        return private
    if not isinstance(private, RSAPrivateKey):
        raise DkimKeyUnusable(file=file, cause="it is neither RSA nor Ed25519")
    if private.key_size < 1024:  # RFC 8301 §3.2: verifiers ignore shorter ones
        raise DkimKeyUnusable(file=file, cause="it is shorter than 1024 bits, and no mailbox provider looks at those")
    return private


def record(private: PrivateKey) -> str:
    """What the TXT record of the key's name must say (RFC 6376 §3.6.1, RFC 8463 §4)."""
    public = private.public_key()
    if isinstance(private, Ed25519PrivateKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={_base64(raw)}"
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={_base64(der)}"


class Signer:
    """Signs mails by the keys of their sender's domain; those of a domain without a key go out as they are."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys: dict[str, list[Key]] = {}
        self._found: dict[str, Sequence[Key]] = {}
        for key in keys:
            self._keys.setdefault(wire(f"x@{key.domain}").partition("@")[2].lower(), []).append(key)

    def signed(self, message: bytes, sender: str, now: datetime) -> bytes:
        """The message with a DKIM-Signature header for each key of its sender, or of the nearest domain above."""
        keys = self._keys_of(sender)
        if not keys:
            return message
        head, _, body = message.partition(b"\r\n\r\n")
        fields = _fields(head)
        digest = _base64(hashlib.sha256(_simple(body)).digest())
        return b"".join(_signature(key, fields, digest, now) for key in keys) + message

    def _keys_of(self, sender: str) -> Sequence[Key]:
        if sender not in self._found:
            self._found[sender] = self._look_for(sender)
        return self._found[sender]

    def _look_for(self, sender: str) -> Sequence[Key]:
        labels = wire(sender).lower().rpartition("@")[2].split(".")
        domains = (".".join(labels[n:]) for n in range(len(labels)))
        return next((found for domain in domains if (found := self._keys.get(domain))), ())


the_signer: Part[Signer] = Part("signer")

Fields = list[tuple[str, bytes]]


def _fields(head: bytes) -> Fields:
    """Each header's name in small letters, with the header canonicalised "relaxed" (RFC 6376 §3.4.2)."""
    fields = []
    for line in FOLDED.sub(b"", head).split(b"\r\n"):
        name, _, value = line.partition(b":")
        small = name.strip().lower()
        fields.append((small.decode("ascii"), small + b":" + BLANKS.sub(b" ", value).strip(b" \t")))
    return fields


def _simple(body: bytes) -> bytes:
    """Without empty lines at its end, and never without a line end (RFC 6376 §3.4.3)."""
    while body.endswith(b"\r\n"):
        body = body.removesuffix(b"\r\n")
    return body + b"\r\n"


def _signature(key: Key, fields: Fields, body_hash: str, now: datetime) -> bytes:
    names = _names(fields)
    tags = {
        "v": "1",
        "a": key.algorithm,
        "c": "relaxed/simple",
        "d": wire(f"x@{key.domain}").partition("@")[2].lower(),
        "s": key.selector,
        "t": str(int(now.timestamp())),
        "h": ":".join(names),
        "bh": body_hash,
        "b": "",
    }
    start = _folded("DKIM-Signature: " + "; ".join(f"{tag}={value}" for tag, value in tags.items()))
    ours = _fields(start)[0][1]  # as whoever verifies it sees it, which is after it was folded
    value = _base64(key.sign(b"\r\n".join([*_chosen(fields, names), ours])))
    lines = [value[at : at + TAG_LINE] for at in range(0, len(value), TAG_LINE)]
    return b"\r\n ".join([start, *(line.encode("ascii") for line in lines)]) + b"\r\n"


def _names(fields: Fields) -> list[str]:
    """Each name as often as it occurs, and once more."""
    there = Counter(name for name, _ in fields)
    return [name.lower() for name in SIGNED for _ in range(there[name.lower()] + 1)]


def _chosen(fields: Fields, names: Sequence[str]) -> list[bytes]:
    """The headers in the order of their names, of several the last first; those that are not there count as empty and
    leave nothing (RFC 6376 §5.4.2)."""
    waiting: dict[str, list[bytes]] = {}
    for name, field in fields:
        waiting.setdefault(name, []).append(field)
    return [waiting[name].pop() for name in names if waiting.get(name)]


def _folded(header: str) -> bytes:
    """In lines that every relay lets through: blanks may stand after a tag and between names (RFC 6376 §3.2)."""
    lines, line = [], ""
    for word in re.findall(r"[^ :]*(?:[:]|[ ]|$)", header):
        if len(line) + len(word) > TAG_LINE and line.strip():
            lines.append(line.rstrip(" "))
            line = " "
        line += word
    return "\r\n".join([*lines, line]).encode("ascii")


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
