"""A PostgreSQL server of the tests' own, from the installed binaries, gone when the tests are."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port

NOBODY = "nobody"


def binaries() -> Path | None:
    """Where initdb and postgres are, the newest version first."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


@contextmanager
def server(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A running server; gives its address without driver and database. Unless `durable`, it does not fsync."""
    with tempfile.TemporaryDirectory(prefix="newsletter-pg-", dir=_room()) as name:
        data = Path(name) / "data"
        demote = _demotion(Path(name))
        _run(folder / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", demote=demote)
        port = free_port()
        listen = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=80"
        settings = f"{listen} -c fsync={'on' if durable else 'off'}"
        _run(folder / "pg_ctl", "-D", data, "-w", "-s", "-l", data / "log", "-o", settings, "start", demote=demote)
        try:
            yield f"postgres@127.0.0.1:{port}"
        finally:
            _run(folder / "pg_ctl", "-D", data, "-w", "-s", "-m", "immediate", "stop", demote=demote)


def _room() -> str | None:
    """A folder that another user may enter: pytest's own are closed to others."""
    return "/var/tmp" if os.geteuid() == 0 else None


def _demotion(folder: Path) -> dict[str, object]:
    """PostgreSQL refuses to run as root, so root runs it as somebody else."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(NOBODY)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(*command: object, demote: dict[str, object]) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        **demote,  # type: ignore[arg-type]
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
