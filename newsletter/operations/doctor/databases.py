"""The database: whether it answers, fits this program, and stands where a database can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from newsletter.foundation import database
from newsletter.foundation.config import WebConfig
from newsletter.foundation.database import DatabaseNotMigrated, db
from newsletter.foundation.errors import NewsletterError
from newsletter.operations.doctor import disks
from newsletter.operations.doctor.findings import Finding, Found
from newsletter.operations.doctor.patient import Patient

OVER_A_NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "ncpfs", "davfs",
    "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "fuse.gcsfuse", "virtiofs", "vboxsf",
)  # fmt: skip

OLDEST_POSTGRESQL = 12
MAINTAINED_POSTGRESQL = 15
"""By its own calendar (https://www.postgresql.org/support/versioning/), as of November 2026."""

REMEDY = "See that it runs, and that url under [database] is right. While it is away nothing is sent, and nothing lost."

CONNECTIONS_EACH = 15
"""What SQLAlchemy's pool of one process takes at most: five, and ten more in a rush."""


def look(patient: Patient, found: Found) -> Iterator[Finding]:
    file = patient.sqlite_file
    if file is not None and not file.exists():
        yield found.error(f"There is no database at {file}.", "Run: newsletter db upgrade")
        return
    try:
        with patient.database():
            version = database.check(db.engine)
            findings = [*(_sqlite(file, found) if file is not None else _postgresql(patient, found))]
    except NewsletterError as error:
        yield found.error(str(error), "" if isinstance(error, DatabaseNotMigrated) else REMEDY)
        return
    yield found.ok(f"It answers, and its tables are at this program's version, {version}.")
    yield from findings


def _sqlite(file: Path, found: Found) -> Iterator[Finding]:
    kind = disks.filesystem_of(file)
    if kind in OVER_A_NETWORK:
        yield found.error(
            f"{file} is on a network filesystem ({kind}), where SQLite loses what it was told is durable.",
            "Move the file to a disk of this machine, or use PostgreSQL.",
        )
    mode = db.session.scalar(sa.text("PRAGMA journal_mode"))
    if str(mode).lower() != "wal":
        yield found.warning(
            f"SQLite keeps its journal as “{mode}” and not as a write-ahead log, so readers wait for writers.",
            "The service turns that on when it starts. If it stays so, the filesystem cannot do it: use another disk.",
        )


def _postgresql(patient: Patient, found: Found) -> Iterator[Finding]:
    number = int(db.session.scalar(sa.text("SHOW server_version_num")) or 0)
    yield from postgresql_version(number // 10_000, found)
    limit, reserved, buffers, readers, used = db.session.execute(
        sa.text(
            "SELECT current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,"
            " pg_size_bytes(current_setting('shared_buffers')), (SELECT reltuples FROM pg_class"
            " WHERE oid = to_regclass('subscribers')),"
            " (SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND datname <> current_database())"
        )
    ).one()
    if "ix_subscribers_parts" not in {
        one["name"] for one in sa.inspect(db.session.connection()).get_indexes("subscribers")
    }:
        yield found.warning(
            "PostgreSQL has no index for parts of addresses, so each search among readers reads all of them.",
            "With some ten thousand readers that is no matter. Else have an administrator of PostgreSQL run in this "
            "database: CREATE EXTENSION pg_trgm; CREATE INDEX ix_subscribers_parts ON subscribers USING gin "
            "(lower(normalised) gin_trgm_ops)",
        )
    yield from memory(buffers, int(readers or 0), found)
    if "web" not in patient.doubtful:
        yield from connections(patient.config.web, limit - reserved, used, found)


MANY_READERS = 200_000
ENOUGH_BUFFERS = 512 << 20
"""Octets."""


def postgresql_version(major: int, found: Found) -> Iterator[Finding]:
    if major < OLDEST_POSTGRESQL:
        yield found.error(
            f"PostgreSQL {major} is too old for this program.", f"Use PostgreSQL {MAINTAINED_POSTGRESQL} or newer."
        )
    elif major < MAINTAINED_POSTGRESQL:
        yield found.warning(
            f"PostgreSQL {major} works, but gets no security updates any more.", "Plan the move to a newer one."
        )
    else:
        yield found.ok(f"PostgreSQL {major} is maintained.")


def memory(buffers: int, readers: int, found: Found) -> Iterator[Finding]:
    """`buffers` is PostgreSQL's own memory, in octets; what it comes with is meant for any machine."""
    if readers >= MANY_READERS and buffers < ENOUGH_BUFFERS:
        yield found.warning(
            f"PostgreSQL has {buffers >> 20} MB of memory of its own, for about {readers:,} readers: pages and sending "
            "are slower than they could be.",
            "In its postgresql.conf give shared_buffers a quarter of that machine's memory, set max_wal_size = 4GB, "
            "and restart it.",
        )


def connections(web: WebConfig, there: int, others: int, found: Found) -> Iterator[Finding]:
    """`others` are connections to other databases of the same server."""
    wanted = web.workers * min(web.threads, CONNECTIONS_EACH) + 2 * CONNECTIONS_EACH
    words = (
        f"The service may take {wanted} connections, one scheduler and one worker included; {there - others} are free"
    )
    if wanted > there - others:
        yield found.warning(
            f"{words}. When they run out, pages and sending wait.",
            "Raise max_connections of PostgreSQL, or lower workers or threads under [web]. Each further worker "
            f"takes up to {CONNECTIONS_EACH}.",
        )
    else:
        yield found.ok(f"{words} for it.")
