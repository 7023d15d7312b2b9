"""Who did what: append-only, which a trigger in the database keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db, words


class ActorKind(StrEnum):
    STAFF = "staff"
    COMMAND = "command"
    SYSTEM = "system"
    READER = "reader"


@dataclass(frozen=True)
class Actor:
    """Whoever causes something: a person of the staff, somebody at the command line, the service, a reader."""

    kind: ActorKind
    name: str
    id: int | None = None
    ip: str | None = None


SYSTEM = Actor(ActorKind.SYSTEM, "the service")
COMMAND = Actor(ActorKind.COMMAND, "command line")


class AuditRecord(Base):
    """One act. `subject` is written as kind:id, such as edition:12."""

    __tablename__ = "audit_records"
    __table_args__ = (
        sa.Index(None, "actor_name", "id"),
        sa.Index(None, "action", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_kind: Mapped[ActorKind] = mapped_column(words(ActorKind))
    actor_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(sa.String(320))
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    action: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str] = mapped_column(sa.String(64), index=True)
    details: Mapped[dict[str, Any]]


@dataclass(frozen=True)
class Wanted:
    """What is looked for in the trail. `act` and `subject` are whole, such as edition.send and edition:12, or only
    their kind, such as edition. The days are of UTC, both included."""

    who: str = ""
    act: str = ""
    subject: str = ""
    since: date | None = None
    until: date | None = None


def find(wanted: Wanted, before: int | None, limit: int) -> Sequence[AuditRecord]:
    """The latest first, continuing below the id `before`."""
    query = sa.select(AuditRecord).where(*_conditions(wanted))
    if before is not None:
        query = query.where(AuditRecord.id < before)
    return db.session.scalars(query.order_by(AuditRecord.id.desc()).limit(limit)).all()


def _conditions(wanted: Wanted) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.who:
        yield AuditRecord.actor_name == wanted.who
    if wanted.act:
        kind = wanted.act.rstrip(".")
        of_kind = AuditRecord.action.startswith(f"{kind}.", autoescape=True)
        yield AuditRecord.action == wanted.act if "." in kind else of_kind
    if wanted.subject:
        of_kind = AuditRecord.subject.startswith(f"{wanted.subject}:", autoescape=True)
        yield AuditRecord.subject == wanted.subject if ":" in wanted.subject else of_kind
    if wanted.since:
        yield AuditRecord.at >= datetime.combine(wanted.since, time(), UTC)
    if wanted.until and wanted.until < date.max:
        yield AuditRecord.at < datetime.combine(wanted.until + timedelta(days=1), time(), UTC)


def record(by: Actor, action: str, subject: str, now: datetime, **details: object) -> None:
    """Add an audit record to the caller's transaction. Details must be plain JSON values."""
    db.session.add(
        AuditRecord(
            at=now,
            actor_kind=by.kind,
            actor_id=by.id,
            actor_name=by.name,
            ip=by.ip,
            action=action,
            subject=subject,
            details=details,
        )
    )
