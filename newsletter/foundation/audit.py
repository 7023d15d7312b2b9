"""Who did what: append-only, which a trigger in the database keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_kind: Mapped[ActorKind] = mapped_column(words(ActorKind))
    actor_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(sa.String(320))
    ip: Mapped[str | None] = mapped_column(sa.String(45))
    action: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str] = mapped_column(sa.String(64), index=True)
    details: Mapped[dict[str, Any]]


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
