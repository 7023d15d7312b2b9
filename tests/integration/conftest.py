"""A house whose relay misbehaves, for tests of what comes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from newsletter.foundation.config import MailConfig
from tests.conftest import BuildHouse, House
from tests.support.misbehaving_relay import MisbehavingRelay, running_relay


@pytest.fixture
def relay() -> Iterator[MisbehavingRelay]:
    with running_relay() as relay:
        yield relay


@pytest.fixture
def shaky_house(build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay) -> House:
    """A house whose relay misbehaves."""
    return build_house(sqlite_url, mail=MailConfig(host=relay.host, port=relay.port))
