"""What needs a person's hand. An alert is open until the trouble is over, and is raised once meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db


class Alert(Base):
    """`key` names the trouble, such as edition-held:12; at most one open alert has it. `told_at` is when staff got it
    as a mail, and by the webhook where there is one."""

    __tablename__ = "alerts"
    __table_args__ = (
        sa.Index(
            "uq_alerts_key_open",
            "key",
            unique=True,
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(120))
    message: Mapped[str] = mapped_column(sa.Text)
    remedy: Mapped[str] = mapped_column(sa.Text)
    raised_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]


def raise_(key: str, message: str, remedy: str, now: datetime) -> bool:
    """Open an alert in the caller's transaction. False when it is open already."""
    if db.session.scalar(_open(key)):
        return False
    db.session.add(Alert(key=key, message=message, remedy=remedy, raised_at=now))
    db.session.flush()
    return True


def resolve(key: str, now: datetime) -> None:
    """Close the alert, if it is open, in the caller's transaction."""
    if alert := db.session.scalar(_open(key)):
        alert.resolved_at = now


def open_alerts() -> Sequence[Alert]:
    """What needs a hand now, the latest first."""
    return db.session.scalars(
        sa.select(Alert).where(Alert.resolved_at.is_(None)).order_by(Alert.raised_at.desc(), Alert.id.desc())
    ).all()


def _open(key: str) -> sa.Select[tuple[Alert]]:
    return sa.select(Alert).where(Alert.key == key, Alert.resolved_at.is_(None))
