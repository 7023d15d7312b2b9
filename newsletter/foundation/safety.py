"""A copy must not send (DESIGN.md, rule 7).

Three things say that this database may be a copy, or the clock wrong: the generation, a count of freezes, is larger in
a file beside the config than in the database; the scheduler's last sign of life is old; the clock on the wall moved and
the steady one did not. Then everything that sends is halted until staff say go.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from newsletter.foundation import alerts, audit, leases
from newsletter.foundation.audit import SYSTEM
from newsletter.foundation.clock import Clock
from newsletter.foundation.config import the_config
from newsletter.foundation.database import afterwards, db, locked, transaction
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.foundation.installation import Installation
from newsletter.foundation.leases import Lease

log = logging.getLogger(__name__)

T = TypeVar("T")

SCHEDULER = "scheduler"
"""The lease of the one that ticks; its renewing is the heartbeat."""

OLD = timedelta(hours=12)
LEAP = timedelta(minutes=5)

HALTED = "halted"
REMEDY = (
    "Make sure that this is the only installation that may send, and that its clock is right. "
    "Then run: newsletter db accept-restore"
)
FILE_ALERT = "generation-file"
FILE_REMEDY = "Let the service's user write there, or name another place as generation_file in the config."

IS_HALTED = sa.exists().where(Installation.halted_at.is_not(None))
"""For the conditions of what is claimed."""


class Halted(Refused):
    """Nothing is sent, and nothing is lost: {reason} When this may send, run: newsletter db accept-restore"""


class GenerationUnreadable(NewsletterError):
    """the file {file}, by which an older copy of the database is known, cannot be read ({cause})."""


class GenerationUnwritable(NewsletterError):
    """The file {file} cannot be written ({cause}), so no edition can begin; nothing is lost. Let the service's user
    write there, or name another place as generation_file in the config."""


@dataclass(frozen=True)
class Noted:
    """What the file says: so many freezes, of which the last may not have come about unless it is `sure`."""

    generation: int
    sure: bool

    @property
    def at_least(self) -> int:
        return self.generation if self.sure else self.generation - 1


@dataclass(frozen=True)
class _Standing:
    """What the database says, read in one look."""

    generation: int
    halted: str | None
    heartbeat: datetime | None


def halted() -> str | None:
    """Why nothing may be sent; None when all is well."""
    found = _standing()
    return found.halted if found else None


def ensure_running() -> None:
    """Raises Halted."""
    if (reason := halted()) is not None:
        raise Halted(reason=reason)


def heartbeat() -> datetime | None:
    """The scheduler's last sign of life; None when this database never saw one."""
    found = _standing()
    return found.heartbeat if found else None


def _standing() -> _Standing | None:
    row = db.session.execute(
        sa.select(Installation.generation, Installation.halted_at, Installation.halted_reason, Lease.renewed_at)
        .select_from(Installation)
        .join(Lease, Lease.name == SCHEDULER, isouter=True)
    ).first()
    if row is None:
        return None
    generation, halted_at, reason, renewed_at = row
    return _Standing(generation, (reason or "") if halted_at else None, renewed_at)


def halt(reason: str, now: datetime) -> None:
    """Stop everything that sends, and tell staff, in the caller's transaction. Who is halted stays so for the first
    reason."""
    found = locked(Installation, 1)
    if found is None or found.halted_at is not None:
        return
    found.halted_at, found.halted_reason = now, reason[:300]
    alerts.raise_(HALTED, f"Nothing is sent: {reason}", REMEDY, now)
    log.warning("Nothing is sent: %s %s", reason, REMEDY)
    audit.record(SYSTEM, "service.halt", "installation:1", now, reason=reason)


def look(now: datetime, moved: timedelta = timedelta()) -> str | None:
    """Halt if something says so, and tell why nothing may be sent; None when all is well. `moved` is how far the clock
    was set since somebody looked."""
    found = _examined(now, moved)
    if found.stands is not None and found.stands.halted is None and found.trouble is not None:
        with transaction():
            if (trouble := _examined(now, moved).trouble) is not None:  # what was read before may have been too old
                halt(trouble, now)
        return halted()
    if found.lags:
        _bring_up(now)
    return found.stands.halted if found.stands else None


def beat(holder: str, life: timedelta, now: datetime, moved: timedelta = timedelta()) -> bool:
    """The scheduler's heartbeat: whether it leads. It looks in the same transaction, so that nobody can see the
    heartbeat of a copy that was started without the halt.

    A demo's clock stands still and leaps, so a lease by it means nothing; and nobody else is in a demo's folder.
    """
    with transaction():
        look(now, moved)
        return bool(the_config().demo) or leases.take_or_renew(SCHEDULER, holder, now, life)


@dataclass(frozen=True)
class _Examined:
    """What one sees: how it stands, what speaks against sending, and whether the file lags behind the database."""

    stands: _Standing | None
    trouble: str | None = None
    lags: bool = False


def _examined(now: datetime, moved: timedelta) -> _Examined:
    """The file is read first: what it is sure of is in the database by then."""
    damage = noted = None
    try:
        noted = _read(_file())
    except GenerationUnreadable as error:
        damage = str(error)
    stands = _standing()
    if stands is None:
        return _Examined(None)
    trouble = _leap(moved, now) or _silence(stands, now) or damage or _older(noted, stands)
    return _Examined(stands, trouble, trouble is None and _lags(noted, stands.generation))


def _silence(stands: _Standing, now: datetime) -> str | None:
    if stands.heartbeat is None or now - stands.heartbeat <= OLD:
        return None
    return (
        f"the scheduler last ran at {stands.heartbeat:%Y-%m-%d %H:%M} UTC, {_span(now - stands.heartbeat)} ago. "
        "This may be an older copy of the database; or the service was away."
    )


def _leap(moved: timedelta, now: datetime) -> str | None:
    return f"the machine's clock was moved {_way(moved)} to {now:%Y-%m-%d %H:%M} UTC." if abs(moved) > LEAP else None


def _older(noted: Noted | None, stands: _Standing) -> str | None:
    if noted is None or noted.at_least <= stands.generation:
        return None
    return (
        f"{_editions(noted.at_least)} gone out, says {_file()}, and this database knows of {stands.generation}. "
        "So it is an older copy."
    )


def _editions(count: int) -> str:
    return "1 edition has" if count == 1 else f"{count} editions have"


def _lags(noted: Noted | None, generation: int) -> bool:
    """Several machines have a file each, and only the one that froze has counted. A file that is unsure of the next
    freeze does not lag: somebody is at it."""
    return noted is None or (noted.generation <= generation and noted != Noted(generation, sure=True))


def _span(length: timedelta) -> str:
    hours = int(length.total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"


def _way(moved: timedelta) -> str:
    minutes = round(abs(moved).total_seconds() / 60)
    how_far = f"{minutes // 60} h {minutes % 60} min"
    return f"{'forward' if moved > timedelta() else 'back'} by {how_far},"


def froze(now: datetime) -> None:
    """Count a freeze, in its transaction: in the database, and in the file as unsure until the freeze is durable.

    Raises Halted when nothing may be sent, GenerationUnwritable.
    """
    found = _examined(now, timedelta())
    if found.stands is None:
        return
    generation = None if found.trouble else _count()
    if generation is None:
        raise Halted(reason=halted() or found.trouble)
    file = _file()
    _write(file, Noted(generation, sure=False))
    afterwards(lambda: _make_sure(file, generation))


def _count() -> int | None:
    """The next generation, unless somebody has halted everything just now."""
    return db.session.scalar(
        sa.update(Installation)
        .where(Installation.halted_at.is_(None))
        .values(generation=Installation.generation + 1)
        .returning(Installation.generation)
        .execution_options(synchronize_session=False)
    )


def _make_sure(file: Path, generation: int) -> None:
    """The file's word for what is durable. Where it cannot be written now, the scheduler's next look does it."""
    try:
        noted = _read(file)
        if noted is None or noted.generation <= generation:  # another process may have counted on
            _write(file, Noted(generation, sure=True))
    except (GenerationUnreadable, GenerationUnwritable) as error:
        log.warning("%s", error)


def _bring_up(now: datetime) -> None:
    """Let the file say what the database does. Where it cannot be written, staff are told, once."""
    with transaction():
        stands = _standing()
        try:
            _write(_file(), Noted(stands.generation if stands else 0, sure=True))
        except GenerationUnwritable as error:
            if alerts.raise_(FILE_ALERT, str(error), FILE_REMEDY, now):
                log.warning("%s", error)
        else:
            alerts.resolve(FILE_ALERT, now)


def found_wrong(now: datetime) -> str | None:
    """Why nothing may be sent, or should not be, as far as one can see without changing anything."""
    found = _examined(now, timedelta())
    return found.stands.halted or found.trouble if found.stands else None


def go_on(now: datetime) -> int:
    """Believe this database, in the caller's transaction: its generation becomes the larger one, which is given back,
    its heartbeat fresh, and the halt is over. Raises GenerationUnwritable."""
    found = locked(Installation, 1)
    if found is None:
        return 0
    file = _file()
    noted = None
    with suppress(GenerationUnreadable):
        noted = _read(file)
    found.generation = generation = max(found.generation, noted.generation if noted else 0)
    found.halted_at = found.halted_reason = None
    if beating := leases.lease(SCHEDULER):
        beating.renewed_at = now
    alerts.resolve(HALTED, now)
    db.session.flush()
    _write(file, Noted(generation, sure=False))
    afterwards(lambda: _make_sure(file, generation))
    return generation


# The file


def _file() -> Path:
    config = the_config()
    return config.path(config.generation_file)


def _read(file: Path) -> Noted | None:
    """What the file says; None when there is none. Raises GenerationUnreadable."""
    try:
        content = json.loads(file.read_text("utf-8"))
        generation, sure = content["generation"], content["sure"]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GenerationUnreadable(file=file, cause=error.strerror) from error
    except (ValueError, KeyError, TypeError) as error:
        raise GenerationUnreadable(file=file, cause="its content is damaged") from error
    if type(generation) is not int or type(sure) is not bool or generation < 0:
        raise GenerationUnreadable(file=file, cause="its content is damaged")
    return Noted(generation, sure)


def _write(file: Path, noted: Noted) -> None:
    """All or nothing, and durable. Raises GenerationUnwritable."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        try:
            with part.open("x", encoding="utf-8") as written:
                json.dump({"generation": noted.generation, "sure": noted.sure}, written)
                written.flush()
                os.fsync(written.fileno())
            part.replace(file)
            _sync_folder(file.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise GenerationUnwritable(file=file, cause=error.strerror) from error


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Watch:
    """Tells the time, and how far the clock on the wall was set since it told it before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before: tuple[datetime, float] | None = None

    def tell(self, act: Callable[[datetime, timedelta], T]) -> T:
        """What comes of `act`. Where it fails, the next one is told of the leap again."""
        now, steady = self._clock.now(), self._clock.steady()
        before = self._before or (now, steady)
        done = act(now, (now - before[0]) - timedelta(seconds=steady - before[1]))
        self._before = now, steady
        return done
