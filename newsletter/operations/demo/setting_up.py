"""The demo's folder: its config, its newsletter, its sources, its one person of the staff."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path

from flask import Flask

from newsletter.foundation.audit import SYSTEM
from newsletter.foundation.clock import the_clock
from newsletter.foundation.config import the_config
from newsletter.foundation.errors import CannotStart
from newsletter.foundation.links import the_links
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter, newsletters
from newsletter.newsletters.settings import NewNewsletter
from newsletter.operations.demo import outlets
from newsletter.operations.demo.clock import ZONE, DemoClock
from newsletter.staff import signing_in
from newsletter.staff.models import Role
from newsletter.staff.signing_in import StaffExists
from newsletter.stories import following
from newsletter.stories.following import Use
from newsletter.stories.models import sources

STAFF = "editor@harbor-gazette.example"
NEWSLETTER = "daily-headlines"
PROMISE = (
    "Every morning at six: the ten stories that matter on the Ellery Coast, each told once, with who else covers it."
)
MARK = "clock.json"
"""The file that tells a demo's folder from any other."""

LOCK = "running.lock"


class FolderUnusable(CannotStart):
    """The demo cannot use the folder {folder}: {cause}. Name another one with --dir."""


CONFIG = """\
# The demo's own settings, written anew at each start. Every command works on it: newsletter --config {file} …
site_url = "http://127.0.0.1:{port}"

[database]
url = "sqlite:///newsletter.db"

[web]
host = "127.0.0.1"
port = {port}
workers = 1
threads = 16

[mail]
transport = "folder"
folder = "mail"
bounce_address = "bounces@harbor-gazette.example"

[sign_up]
challenge = "never"  # the demo's clock stands still for much of the time, so every form looks filled in by a machine

[fetching]
allow_networks = ["127.0.0.1/32"]

[demo]
clock_file = "clock.json"
"""


class NotADemo(CannotStart):
    """{folder} holds files, but no demo. Name an empty or a new folder with --dir; nothing was touched."""


class InUse(CannotStart):
    """The demo in {folder} is running already. Use that one, stop it first, or name another folder with --dir."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep the folder to this process until it ends, however it ends: a second demo would give the first another port,
    and both would move its one clock. Raises InUse, NotADemo, FolderUnusable."""
    must_be_a_demo(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise FolderUnusable(folder=folder, cause=error.strerror) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUse(folder=folder) from error
        yield


def must_be_a_demo(folder: Path) -> None:
    """Or be free for one. Raises NotADemo, FolderUnusable."""
    try:
        strange = folder.exists() and _things_in(folder) and not (folder / MARK).exists()
    except OSError as error:
        raise FolderUnusable(folder=folder, cause=error.strerror) from error
    if strange:
        raise NotADemo(folder=folder)


def _things_in(folder: Path) -> list[Path]:
    return [thing for thing in folder.iterdir() if thing.name != LOCK]


def folder_for(folder: Path, port: int, fresh: bool) -> Path:
    """Make a folder that was found to be a demo's, or free for one, ready and give its config file. `fresh` throws an
    earlier demo away. Raises FolderUnusable when it cannot be made."""
    try:
        return _folder_for(folder, port, fresh)
    except OSError as error:
        raise FolderUnusable(folder=folder, cause=error.strerror) from error


def _folder_for(folder: Path, port: int, fresh: bool) -> Path:
    for thing in _things_in(folder) if fresh else ():
        shutil.rmtree(thing) if thing.is_dir() and not thing.is_symlink() else thing.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.toml"
    file.write_text(CONFIG.format(port=port, file=file), "utf-8")
    clock = DemoClock(folder / MARK)
    if not clock.exists():
        clock.set_to_morning(_machine_date())
    return file


def _machine_date() -> date:
    return datetime.now(UTC).astimezone(ZONE).date()  # noqa: TID251 - the demo begins on the machine's day


def furnish(app: Flask) -> None:
    """Make the newsletter, the sources and the person of the staff, where they are not there yet."""
    with app.app_context():
        now = the_clock().now()
        if not newsletters():
            _publish(now)
        _follow_outlets(now)
        with suppress(StaffExists):
            signing_in.add(STAFF, Role.OWNER, now, SYSTEM)


def _publish(now: datetime) -> None:
    new = NewNewsletter(NEWSLETTER, "Daily Headlines", "headlines@harbor-gazette.example", zone=ZONE.key)
    settings.add(
        new,
        now,
        SYSTEM,
        from_name="Daily Headlines",
        tagline="From The Harbor Gazette",
        promise=PROMISE,
        publisher="The Harbor Gazette",
        postal_address="The Harbor Gazette, 1 Quay Street, Port Ellery",
        reply_to="newsroom@harbor-gazette.example",
        per_outlet_at_most="5",
        cooling_minutes="0",  # its clock stands still for much of the time, and the wait would never end
        accent="#1f4e5f",
        sections="Business, Science, Culture, Sport",
    )


def _follow_outlets(now: datetime) -> None:
    """Collect the six outlets at the port of today; after a start on another port they have moved."""
    site = the_config().site_url
    known = {source.outlet: source for source in sources()}
    for outlet in outlets.outlets():
        url = f"{site}/demo/outlets/{outlet.key}/feed"
        if outlet.name not in known:
            following.add_source(
                newsletter(NEWSLETTER), url, outlet.name, now, SYSTEM, use=Use(weight=outlet.weight, own=outlet.own)
            )
        elif known[outlet.name].url != url:
            following.move_source(known[outlet.name].id, url, now, SYSTEM)


def sign_in_link() -> str:
    """A fresh one-time link for the demo's person of the staff."""
    return signing_in.make_link(STAFF, the_clock().now(), SYSTEM, the_links())
