"""Imports: a file on its way to becoming readers, how far it is, and which of its rows were not taken."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.database import Base, db, words
from newsletter.foundation.errors import NotFound
from newsletter.newsletters.models import Newsletter


class ImportState(StrEnum):
    """`uploading`: its parts come in. `uploaded`: it waits for its columns. `checking`, `checked`: the dry run."""

    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


AT_WORK = (ImportState.CHECKING, ImportState.RUNNING)
OVER = (ImportState.DONE, ImportState.CANCELLED)


class ImportMode(StrEnum):
    """`ask`: each gets the mail that the form would have brought them, and reads nothing before they press its button.
    `confirmed`: they agreed elsewhere, as an owner says with proof."""

    ASK = "ask"
    CONFIRMED = "confirmed"


class Outcome(StrEnum):
    """What became of a row."""

    TAKEN = "taken"
    ALREADY = "already"
    DOUBLED = "doubled"
    LEFT = "left"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    ERASED = "erased"
    BY_HAND = "by_hand"
    MOVED = "moved"
    BLOCKED = "blocked"
    DISPOSABLE = "disposable"
    UNCLEAR = "unclear"
    INVALID = "invalid"
    UNREADABLE = "unreadable"


GOOD = (Outcome.TAKEN, Outcome.ALREADY)
"""Which are no refusals."""

SAID = {
    Outcome.TAKEN: "taken",
    Outcome.ALREADY: "read it already",
    Outcome.DOUBLED: "stands in the file before",
    Outcome.LEFT: "left",
    Outcome.BOUNCED: "bounced",
    Outcome.COMPLAINED: "complained",
    Outcome.ERASED: "was erased",
    Outcome.BY_HAND: "suppressed by staff",
    Outcome.MOVED: "has another address by now",
    Outcome.BLOCKED: "on the blocklist",
    Outcome.DISPOSABLE: "an address that lasts a few minutes",
    Outcome.UNCLEAR: "not confirmed, or in a state that is not known here",
    Outcome.INVALID: "no e-mail address",
    Outcome.UNREADABLE: "no line of a table",
}
"""In a word or a few."""


class Import(Base):
    """`octet` and `line` are where the next row begins, and move on in the transaction that takes those before them.

    `columns` says where what stands in a row. `source` and `proof` are what staff say of the consent. `counts` are rows
    by their outcome. `swept`: nothing is left of an earlier run. While the lease lasts, `holder` works on it and nobody
    else. `next_at` is before when nobody is asked, so that mails go out no faster than `an_hour`.
    """

    __tablename__ = "imports"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's own form

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"))
    state: Mapped[ImportState] = mapped_column(words(ImportState), index=True)
    file_name: Mapped[str] = mapped_column(sa.String(200))
    size: Mapped[int] = mapped_column(sa.BigInteger)
    charset: Mapped[str] = mapped_column(sa.String(20), default="")
    separator: Mapped[str] = mapped_column(sa.String(1), default="")
    has_names: Mapped[bool] = mapped_column(default=True)
    columns: Mapped[dict[str, Any]] = mapped_column(default=dict)
    mode: Mapped[ImportMode] = mapped_column(words(ImportMode), default=ImportMode.ASK)
    slot_id: Mapped[int | None]
    an_hour: Mapped[int] = mapped_column(default=0)
    source: Mapped[str] = mapped_column(sa.String(300), default="")
    proof: Mapped[str] = mapped_column(sa.String(200), default="")
    swept: Mapped[bool] = mapped_column(default=True)
    octet: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    line: Mapped[int] = mapped_column(default=1)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    next_at: Mapped[datetime | None]
    holder: Mapped[str] = mapped_column(sa.String(120), default="")
    leased_until: Mapped[datetime | None]
    by: Mapped[str] = mapped_column(sa.String(340))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    file_gone_at: Mapped[datetime | None]

    newsletter: Mapped[Newsletter] = relationship(lazy="joined")

    @property
    def rows(self) -> int:
        """How many have been looked at."""
        return sum(self.counts.values())

    def count(self, outcome: Outcome) -> int:
        return int(self.counts.get(outcome, 0))

    @property
    def not_taken(self) -> int:
        return self.rows - self.count(Outcome.TAKEN) - self.count(Outcome.ALREADY)

    @property
    def share(self) -> float:
        """How much of the file is behind it, from 0 to 1."""
        return min(self.octet / self.size, 1.0) if self.size else 1.0


class ImportPart(Base):
    """So many octets of the file; web and worker may be on different machines."""

    __tablename__ = "import_parts"

    import_id: Mapped[int] = mapped_column(sa.ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    octets: Mapped[bytes] = mapped_column(sa.LargeBinary)


class ImportRefusal(Base):
    """A row that was not taken. Its words are not kept here: they are read again from the file, as long as there is
    one."""

    __tablename__ = "import_refusals"

    import_id: Mapped[int] = mapped_column(sa.ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    octet: Mapped[int] = mapped_column(sa.BigInteger)
    outcome: Mapped[Outcome] = mapped_column(words(Outcome))


class ImportSeen(Base):
    """An address that stood in the file before, by the beginning of its hash: who stands in it twice counts once. Where
    they are made readers at once there is no need of it."""

    __tablename__ = "import_seen"

    import_id: Mapped[int] = mapped_column(sa.ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(24), primary_key=True)


class ImportUnknown(NotFound):
    """There is no import {id}."""


def an_import(id: int) -> Import:
    """Raises ImportUnknown."""
    if found := db.session.get(Import, id):
        return found
    raise ImportUnknown(id=id)


def imports(among: Collection[int] | None = None, limit: int = 50) -> Sequence[Import]:
    """The latest first; of these newsletters, or of all."""
    query = sa.select(Import).where(Import.state != ImportState.UPLOADING).order_by(Import.id.desc()).limit(limit)
    if among is not None:
        query = query.where(Import.newsletter_id.in_(among))
    return db.session.scalars(query).all()
