"""Who of several processes does what only one may do: a lease that is renewed, and runs out when its holder dies."""

from __future__ import annotations

import os
import platform
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db, insert_into, transaction

MAY_DIFFER = timedelta(minutes=1)
"""How far the clocks of two machines are believed to differ. A lease that ends later than such clocks can say was made
by a clock that has been set back since, and holds nobody up."""


class Lease(Base):
    """`holder` has it until `until`; `renewed_at` is its last sign of life, also after it was released."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    holder: Mapped[str] = mapped_column(sa.String(120))
    until: Mapped[datetime]
    taken_at: Mapped[datetime]
    renewed_at: Mapped[datetime]


def holder_here() -> str:
    """A name for this process that no other has, on any machine: its host, its number, and chance, because numbers come
    again."""
    return f"{platform.node()[:80] or 'somewhere'} {os.getpid()} {secrets.token_hex(4)}"


def take_or_renew(name: str, holder: str, now: datetime, life: timedelta) -> bool:
    """Whether the lease is the holder's now: it was already, or nobody's, or has run out.

    It then lasts for `life`. Renew it many times in that span, so that clocks that differ a little do no harm.
    """
    with transaction() as session:
        taken = session.execute(
            sa.update(Lease)
            .where(Lease.name == name, sa.or_(Lease.holder == holder, _is_free(now, life)))
            .values(
                holder=holder,
                until=now + life,
                renewed_at=now,
                taken_at=sa.case((Lease.holder == holder, Lease.taken_at), else_=_moment(now)),
            )
            .execution_options(synchronize_session=False)
        )
        if taken.rowcount == 1:  # type: ignore[attr-defined]
            return True
        return lease(name) is None and _made(name, holder, now, life)


def _is_free(now: datetime, life: timedelta) -> sa.ColumnElement[bool]:
    return sa.or_(Lease.until <= now, Lease.until > now + life + MAY_DIFFER)


def _moment(now: datetime) -> sa.ColumnElement[datetime]:
    return sa.literal(now, Lease.taken_at.type)


def _made(name: str, holder: str, now: datetime, life: timedelta) -> bool:
    """Whether we are the first ever to have it; somebody else may be so at the same moment."""
    made = db.session.scalar(
        insert_into(Lease)
        .values(name=name, holder=holder, until=now + life, taken_at=now, renewed_at=now)
        .on_conflict_do_nothing()
        .returning(Lease.holder)
    )
    return made is not None


def release(name: str, holder: str, now: datetime) -> None:
    """Let go of the lease, if it is the holder's, so that the next one need not wait."""
    with transaction() as session:
        session.execute(
            sa.update(Lease)
            .where(Lease.name == name, Lease.holder == holder)
            .values(until=now - MAY_DIFFER)
            .execution_options(synchronize_session=False)
        )


def lease(name: str) -> Lease | None:
    """As it stands now; None when nobody ever had it."""
    return db.session.scalar(sa.select(Lease).where(Lease.name == name).execution_options(populate_existing=True))
