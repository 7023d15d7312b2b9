"""Hashing a password takes 64 MB and a seventh of a second, so only so many are at it at a time."""

from __future__ import annotations

from threading import BoundedSemaphore

import pytest

from newsletter.foundation.audit import COMMAND
from newsletter.staff import passwords, signing_in
from newsletter.staff.models import Role, SignInFailure, StaffSession
from newsletter.staff.passwords import SignInBusy
from newsletter.staff.sessions import Visit
from tests.conftest import House
from tests.integration.subscribers import count, everything
from tests.integration.web import visitor
from tests.support.hashing import hash_quickly
from tests.support.racing import at_once

PASSWORD = "correct horse battery staple"


class Slow:
    """Notes how many are at it at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._hasher = hash_quickly(monkeypatch)
        self.here, self.most = BoundedSemaphore(8), 0

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, hash: str, password: str) -> bool:
        with self.here:
            self.most = max(self.most, 8 - self.here._value)
            return all(self._hasher.verify(hash, password) for _ in range(50))


@pytest.fixture
def desk(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    hash_quickly(monkeypatch)
    with house.app.app_context():
        signing_in.add("olive@example.org", Role.OWNER, house.now, COMMAND, PASSWORD)
    return house


def test_two_are_hashed_at_a_time_two_wait_and_the_others_are_asked_to_come_back(
    desk: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    monkeypatch.setattr(passwords, "_hasher", slow)

    def attempt(number: int) -> str:
        with desk.app.app_context():
            try:
                signing_in.sign_in("olive@example.org", PASSWORD, Visit(desk.now, f"192.0.2.{number}"))
            except SignInBusy:
                return "busy"
        return "in"

    answers = at_once(8, attempt)
    assert slow.most <= 2
    assert answers.count("in") >= 4
    assert answers.count("in") + answers.count("busy") == 8
    assert count(desk, SignInFailure) == 0, "to be sent away is no wrong password"
    assert count(desk, StaffSession) == answers.count("in")


def test_who_is_sent_away_is_told_to_try_again_and_nothing_is_counted(
    desk: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(passwords, "_at_the_door", full)
    before = everything(desk)
    answer = visitor(desk).post("/admin/sign-in", address="olive@example.org", password=PASSWORD)
    assert answer.status_code == 503
    assert "try again in a few seconds" in answer.text
    assert everything(desk) == before
