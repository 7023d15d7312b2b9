"""Copies of a house's SQLite database, as backups and snapshots make them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from newsletter.foundation.database import db
from tests.conftest import House


def copy_database(house: House, to: Path) -> str:
    """A copy as it stands now; its URL."""
    with closing(sqlite3.connect(_file(house))) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
    return f"sqlite:///{to}"


def restore_database(house: House, copy: Path) -> None:
    """Put a copy in the place of the house's own database, all processes having ended."""
    with house.app.app_context():
        db.session.remove()
        db.engine.dispose()
    for left in ("-wal", "-shm"):
        Path(f"{_file(house)}{left}").unlink(missing_ok=True)
    shutil.copy(copy, _file(house))


def _file(house: House) -> str:
    with house.app.app_context():
        return str(db.engine.url.database)


def another_machine(keys: Path, folder: Path) -> Path:
    """A folder with the same keys, and nothing else."""
    folder.mkdir()
    for name in ("secret.key", "suppression.key"):
        shutil.copy(keys / name, folder)
    return folder
