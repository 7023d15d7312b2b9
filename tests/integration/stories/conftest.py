"""A house that collects, and an outlet that answers whatever a test lets it answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import BuildHouse, House
from tests.support.feeds import collecting_house
from tests.support.raw_outlet import RawOutlet, running_outlet


@pytest.fixture
def outlet() -> Iterator[RawOutlet]:
    with running_outlet() as outlet:
        yield outlet


@pytest.fixture
def desk(build_house: BuildHouse, sqlite_url: str) -> House:
    return collecting_house(build_house, sqlite_url, max_megabytes=0.2)


@pytest.fixture
def either_desk(build_house: BuildHouse, either_database: str) -> House:
    return collecting_house(build_house, either_database, max_megabytes=0.2)
