"""How the whole house stands: its program and database, who lives, what waits, and what was done last.

Only facts that anybody may see who runs it, and no secret: for the system page and `newsletter status`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from newsletter import __version__
from newsletter.delivery import housekeeping
from newsletter.delivery.models import Shard
from newsletter.delivery.sending import RELAY_ALERT
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import alerts, clock, database, processes, safety
from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.config import Config, MailTransport, NamedRelayConfig, SmtpSecurity, Uncertain, the_config
from newsletter.foundation.database import Base, db
from newsletter.foundation.errors import CannotStart
from newsletter.foundation.processes import Kind, Process
from newsletter.mail.outbox import OutboxMail, OutboxState
from newsletter.stories.models import Source, SourceState
from newsletter.subscribers.models import SignUpRequest

BACKED_UP = "db.backup"
"""The act that a backup leaves in the trail; a copy that was made by other means leaves none."""

BACKUPS = 5


@dataclass(frozen=True)
class Database:
    """`tables` is their version; `trouble` is why they do not fit this program."""

    kind: str
    version: str
    octets: int
    tables: str
    trouble: str = ""


@dataclass(frozen=True)
class Life:
    kind: str
    host: str
    pid: int
    since: datetime
    seen_at: datetime
    silent: bool


@dataclass(frozen=True)
class Queue:
    """What waits for somebody: how much of it is due, and since when the oldest is."""

    what: str
    due: int
    since: datetime | None
    note: str = ""


@dataclass(frozen=True)
class RelayStanding:
    name: str
    way: str
    trouble: str


@dataclass(frozen=True)
class Backup:
    at: datetime
    file: str
    octets: int
    by: str


@dataclass(frozen=True)
class Disk:
    folder: str
    free: int
    whole: int


@dataclass(frozen=True)
class Done:
    at: datetime
    found: int


@dataclass(frozen=True)
class Standing:
    """`clock_is_set`: whether a time service sets this machine's clock; None where nobody can tell. `missing` are kinds
    of processes of which none lives."""

    as_of: datetime
    version: str
    halted: str | None
    database: Database
    processes: Sequence[Life]
    missing: Sequence[str]
    heartbeat: datetime | None
    queues: Sequence[Queue]
    relays: Sequence[RelayStanding]
    disk: Disk
    backups: Sequence[Backup]
    housekeeping: Done | None
    clock_is_set: bool | None
    settings: Sequence[tuple[str, str]]


def standing(now: datetime) -> Standing:
    config, lives = the_config(), [_life(one, now) for one in processes.known(now)]
    last = processes.last_run(housekeeping.NAME)
    return Standing(
        as_of=now,
        version=__version__,
        halted=safety.halted(),
        database=_database(config),
        processes=lives,
        missing=_missing(config, lives),
        heartbeat=safety.heartbeat(),
        queues=list(_queues(now)),
        relays=_relays(config),
        disk=_disk(config),
        backups=_backups(),
        housekeeping=Done(last.at, last.found) if last else None,
        clock_is_set=clock.is_steered(),
        settings=list(_settings(config)),
    )


def _life(one: Process, now: datetime) -> Life:
    return Life(one.kind, one.host, one.pid, one.since, one.seen_at, one.is_silent(now))


def _missing(config: Config, lives: Sequence[Life]) -> list[str]:
    wanted = [kind for kind in Kind if kind is not Kind.BOUNCES or config.bounces.listen]
    there = {one.kind for one in lives if not one.silent}
    return [kind.value for kind in wanted if kind not in there]


def _database(config: Config) -> Database:
    trouble = ""
    try:
        tables = database.check(db.engine)
    except CannotStart as error:
        tables, trouble = "", str(error)
    if db.engine.dialect.name == "postgresql":
        version = str(db.session.scalar(sa.text("SHOW server_version")))
        octets = int(db.session.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
        return Database("PostgreSQL", version, octets, tables, trouble)
    version = str(db.session.scalar(sa.text("SELECT sqlite_version()")))
    file = Path(sa.make_url(config.database_url).database or "")
    octets = sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))
    return Database("SQLite", version, octets, tables, trouble)


def _queues(now: datetime) -> Iterator[Queue]:
    mails = OutboxMail.state == OutboxState.PENDING
    yield _queue("Single mails", OutboxMail, OutboxMail.created_at, mails)
    yield _queue("Requests of readers", SignUpRequest, SignUpRequest.requested_at, SignUpRequest.answer.is_(None))
    leased = _count(Shard, Shard.lease_until >= now)
    sending = sa.select(Edition.id).where(Edition.state == EditionState.SENDING, Edition.held_at.is_(None))
    due = Shard.due_at <= now, Shard.edition_id.in_(sending.where(Edition.paused_at.is_(None)))
    yield _queue("Parts of editions", Shard, Shard.due_at, *due, note=f"{leased:,} at work" if leased else "")
    asked = Source.next_poll_at <= now, Source.state != SourceState.DISABLED
    yield _queue("Sources to ask", Source, Source.next_poll_at, *asked)


def _queue(
    what: str,
    table: type[Base],
    since: sa.SQLColumnExpression[datetime] | sa.SQLColumnExpression[datetime | None],
    *due: sa.ColumnElement[bool],
    note: str = "",
) -> Queue:
    count, oldest = db.session.execute(
        sa.select(sa.func.count(), sa.func.min(since)).select_from(table).where(*due)
    ).one()
    return Queue(what, count, oldest, note)


def _count(table: type[Base], *conditions: sa.ColumnElement[bool]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(table).where(*conditions)) or 0


def _relays(config: Config) -> list[RelayStanding]:
    if config.mail.transport is MailTransport.FOLDER:
        return [RelayStanding("folder", "Mails are written to a folder, and nobody gets them.", "")]
    troubles = {alert.key: alert.message for alert in alerts.open_alerts() if alert.key.startswith(RELAY_ALERT)}
    every = config.mail.all_relays
    return [RelayStanding(one.name, _way(one), _trouble(one.name, troubles, len(every))) for one in every]


def _way(one: NamedRelayConfig) -> str:
    protected = "without TLS" if one.security is SmtpSecurity.NONE else str(one.security).upper()
    return f"{one.host}, port {one.port}, {protected}"


def _trouble(name: str, troubles: dict[str, str], relays: int) -> str:
    """Of its own; what is wrong with mail as a whole is the only relay's."""
    return troubles.get(f"{RELAY_ALERT}:{name}", troubles.get(RELAY_ALERT, "") if relays == 1 else "")


def _disk(config: Config) -> Disk:
    usage = shutil.disk_usage(config.directory)
    return Disk(str(config.directory), usage.free, usage.total)


def _backups() -> list[Backup]:
    found = sa.select(AuditRecord).where(AuditRecord.action == BACKED_UP).order_by(AuditRecord.id.desc())
    return [
        Backup(one.at, str(one.details.get("file", "")), int(one.details.get("octets", 0)), one.actor_name)
        for one in db.session.scalars(found.limit(BACKUPS))
    ]


def _settings(config: Config) -> Iterator[tuple[str, str]]:
    """Only what is named here is told."""
    bounces = config.bounces
    ways = ["the listener"] * bounces.listen + ["a mailbox"] * (bounces.imap_host is not None)
    yield "Address of the site", config.site_url
    yield "What comes back", f"by {' and '.join(ways)}" if ways else "is not let in"
    yield "Mails are signed for", ", ".join(one.domain for one in config.mail.dkim) or "nobody: there is no DKIM key"
    yield (
        "A mail that may have gone out",
        "goes again" if config.mail.uncertain == Uncertain.RESEND else "waits for a person",
    )
    yield "Alerts go to a webhook", _said(config.alerts.webhook_url is not None)
    yield "A watchman is called", _said(config.alerts.heartbeat_url is not None)
    yield "Proxies that are believed", str(len(config.web.trusted_proxies) or "none")


def _said(so: bool) -> str:
    return "yes" if so else "no"
