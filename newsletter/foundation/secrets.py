"""The two keys of an installation, each in a file of its own that only the service can read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from newsletter.foundation.errors import CannotStart
from newsletter.foundation.parts import Part


class KeyMissing(CannotStart):
    """There is no key in {file}. Restore it from the backup; or, on a new installation, run: newsletter db
    upgrade"""


class KeyChanged(CannotStart):
    """The key in {file} is not the one that the suppression list was made with. With it, people who left would be
    mailed again. Restore the file from the backup."""


@dataclass(frozen=True)
class Keys:
    """`secret` signs links and cookies and may be rotated; `suppression` hashes addresses and never may."""

    secret: str
    suppression: bytes

    def address_hash(self, address: str) -> str:
        """The HMAC under which a normalised address is remembered after it was erased, as 64 hex digits."""
        return hmac.digest(self.suppression, address.encode("utf-8"), "sha256").hex()

    def derived(self, purpose: str) -> bytes:
        """32 octets for a purpose that must outlive a rotation of the secret."""
        return hmac.new(self.suppression, f"derived:{purpose}".encode(), hashlib.sha256).digest()

    @property
    def fingerprint(self) -> str:
        """Tells whether the suppression key is still the same, and nothing else about it."""
        return hmac.new(self.suppression, b"fingerprint", hashlib.sha256).hexdigest()[:16]


the_keys: Part[Keys] = Part("keys")


def create(file: Path) -> None:
    """Make a new key in `file`, readable by its owner only. An existing file is left as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(secrets.token_urlsafe(48) + "\n")
            handle.flush()
            os.fsync(handle.fileno())


def read(secret_file: Path, suppression_file: Path) -> Keys:
    """Raises KeyMissing when one of the files is absent or empty."""
    return Keys(_key(secret_file), _key(suppression_file).encode())


def _key(file: Path) -> str:
    try:
        key = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMissing(file=file) from error
    if len(key) < 32:
        raise KeyMissing(file=file)
    return key
