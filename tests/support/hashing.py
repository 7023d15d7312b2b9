"""Argon2 with small parameters, so that a test takes no 140 ms for each guess."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from newsletter.staff import passwords


class CountingHasher:
    """The real thing, but small; it counts its work."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, hash: str, password: str) -> bool:
        self.verified.append(hash)
        return self._hasher.verify(hash, password)


def hash_quickly(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    counting = CountingHasher()
    monkeypatch.setattr(passwords, "_hasher", counting)
    passwords._nobodys.cache_clear()
    return counting
