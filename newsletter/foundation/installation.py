"""What this one installation knows of itself: one row."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db, transaction
from newsletter.foundation.secrets import KeyChanged, Keys


class Installation(Base):
    """The installation's only row. `suppression_key` is the fingerprint of the key, never the key.

    `generation` counts the freezes (rule 7). `halted_at` is when everything was stopped because this may be a copy or
    the clock may be wrong, and `halted_reason` says why; until staff say go, nothing is sent.
    """

    __tablename__ = "installation"
    __table_args__ = (sa.CheckConstraint("id = 1", name="only_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    suppression_key: Mapped[str] = mapped_column(sa.String(16))
    created_at: Mapped[datetime]
    generation: Mapped[int] = mapped_column(default=0)
    halted_at: Mapped[datetime | None]
    halted_reason: Mapped[str | None] = mapped_column(sa.String(300))


def fingerprint() -> str | None:
    """The fingerprint of the suppression key that this database was set up with; None for a new one."""
    return db.session.scalar(sa.select(Installation.suppression_key))


def set_up(keys: Keys, now: datetime) -> None:
    """Remember the key's fingerprint, the first time."""
    with transaction() as session:
        if session.get(Installation, 1) is None:
            session.add(Installation(id=1, suppression_key=keys.fingerprint, created_at=now))


def verify(keys: Keys, file: object) -> None:
    """Raises KeyChanged when the suppression list was made with another key."""
    known = fingerprint()
    if known is not None and known != keys.fingerprint:
        raise KeyChanged(file=file)
