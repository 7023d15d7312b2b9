"""Empty databases as durable as in use, each gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg

from tests.support import postgres

ADVISED = "-c shared_buffers=1GB -c max_wal_size=4GB"
"""As docs/delivery.md advises for many readers."""

KINDS = ("sqlite", "postgresql")


def each(among: Collection[str] = KINDS) -> Iterator[tuple[str, AbstractContextManager[str]]]:
    """The name of each kind that is wanted and that this machine has, and what gives the URL of one."""
    if "sqlite" in among:
        yield "sqlite", _sqlite()
    if "postgresql" in among and (folder := postgres.binaries()) is not None:
        yield "postgresql", _postgresql(folder)


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/newsletter.db"


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    with postgres.server(folder, durable=True, options=ADVISED) as address:
        with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        yield f"postgresql+psycopg://{address}/bench"
