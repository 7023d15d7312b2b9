"""Writing down what was asked and answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.foundation.secrets import Keys
from newsletter.foundation.text import one_line
from newsletter.mail import addresses
from newsletter.subscribers.models import ConsentEvent, ConsentKind

READER = "the reader"

TO, FROM = "to another address", "from another address"
"""The notes of a reader's move: under the hash of the address before, and under that of the new one."""


@dataclass(frozen=True)
class Origin:
    """Where a visitor's word comes from, as far as we can see it.

    `proven`: with a proof of work. `hasty`: so soon after the form was shown that it was hardly a person.
    """

    ip: str | None = None
    user_agent: str = ""
    page_url: str = ""
    proven: bool = False
    hasty: bool = False

    @property
    def kept(self) -> dict[str, str | None]:
        """As it is kept: on one line, and not longer than its columns."""
        return {
            "ip": self.ip,
            "user_agent": one_line(self.user_agent)[:300],
            "page_url": one_line(self.page_url)[:1000],
        }


def remember(
    kind: ConsentKind,
    address: str,
    newsletter_id: int,
    origin: Origin,
    now: datetime,
    keys: Keys,
    *,
    sign_up_text_id: int | None = None,
    by: str = READER,
    note: str = "",
) -> None:
    """Write a consent event, in the caller's transaction."""
    event: dict[str, object] = {
        "address_hash": keys.address_hash(addresses.normalise(address)),
        "newsletter_id": newsletter_id,
        "kind": kind,
        "sign_up_text_id": sign_up_text_id,
        "at": now,
        "by": by,
        "note": note[:300],
        **origin.kept,
    }
    db.session.connection().execute(_EVENT, event)


def remember_each(
    kind: ConsentKind,
    address_hashes: Sequence[str],
    newsletter_id: int,
    origin: Origin,
    now: datetime,
    *,
    by: str,
    note: str = "",
) -> list[int]:
    """The same event of many, in the caller's transaction; gives their ids in the same order."""
    shared = {"newsletter_id": newsletter_id, "kind": kind, "at": now, "by": by, "note": note[:300], **origin.kept}
    rows = [shared | {"address_hash": hashed} for hashed in address_hashes]
    told = _EVENT.returning(ConsentEvent.id, sort_by_parameter_order=True)
    return list(db.session.scalars(told, rows)) if rows else []


_EVENT = sa.insert(ConsentEvent)
"""Written with each sign-up, so it is made once; and as a row, for the session would take twice as long."""
