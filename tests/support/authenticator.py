"""A passkey made of software, which signs what a page asks it, rightly or wrongly as a test wants."""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encoded(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftKey:
    """One passkey of one site. `verifies` is whether it asks its holder for a finger or a number."""

    site: str = "news.example.org"
    origin: str = "https://news.example.org"
    verifies: bool = True
    count: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def joins(self, prompt: str) -> str:
        """The answer to a page that asks for a new passkey."""
        asked = json.loads(prompt)
        self.handle = decoded(asked["user"]["id"])
        data = self._data(ATTESTED) + bytes(16) + struct.pack(">H", len(self.id)) + self.id + self._public()
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", asked["challenge"])
        return self._answer({"clientDataJSON": encoded(client), "attestationObject": encoded(attested)})

    def signs(self, prompt: str, **changed: str) -> str:
        """The answer to a page that wants it to sign; `changed` is what it tells instead."""
        self.count += 1
        client, data = self._client("webauthn.get", json.loads(prompt)["challenge"]), self._data()
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        told = {name: encoded(octets) for name, octets in (response | {"userHandle": self.handle}).items()}
        return self._answer(told | changed)

    def _answer(self, response: dict[str, str]) -> str:
        known = {"id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key"}
        return json.dumps(known | {"response": response, "clientExtensionResults": {}})

    def _client(self, kind: str, challenge: str) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told).encode()

    def _data(self, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.site.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _public(self) -> bytes:
        """COSE, ES256 (RFC 9053 §7.1.1)."""
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
