"""The words that readers agreed to: each version of each newsletter's, since when, by whom, and how many agreed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import sqlalchemy as sa

from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.database import db
from newsletter.newsletters.models import Newsletter, SignUpText
from newsletter.subscribers.models import ConsentEvent, ConsentKind


@dataclass(frozen=True)
class Wording:
    """`until` is when the next version took its place; None for the one that is shown now. `by` is who wrote it, where
    the audit trail says so."""

    id: int
    version: int
    text: str
    since: datetime
    until: datetime | None
    by: str | None


def wordings(of: Newsletter) -> list[Wording]:
    """The latest first."""
    found = sa.select(SignUpText).where(SignUpText.newsletter_id == of.id).order_by(SignUpText.version.desc())
    texts, authors = db.session.scalars(found).all(), _authors(of.id)
    ends = [None, *(later.created_at for later, _ in pairwise(texts))]
    return [
        Wording(one.id, one.version, one.text, one.created_at, until, authors.get(one.created_at))
        for one, until in zip(texts, ends, strict=False)
    ]


def _authors(newsletter_id: int) -> dict[datetime, str]:
    """Who did something to a newsletter, by when: a version and what is said of it are written at one moment."""
    found = sa.select(AuditRecord.at, AuditRecord.actor_name).where(
        AuditRecord.subject == f"newsletter:{newsletter_id}"
    )
    return {row.at: row.actor_name for row in db.session.execute(found)}


def agreed(newsletter_ids: Collection[int]) -> dict[int, int]:
    """How many people confirmed each version, by its id. It looks at every consent event, which takes a moment where
    there are millions."""
    people = (
        sa.select(ConsentEvent.sign_up_text_id, ConsentEvent.address_hash)
        .where(
            ConsentEvent.newsletter_id.in_(newsletter_ids),
            ConsentEvent.kind == ConsentKind.CONFIRMED,
            ConsentEvent.sign_up_text_id.is_not(None),
        )
        .distinct()
        .subquery()
    )
    version = people.c.sign_up_text_id
    return {row[0]: row[1] for row in db.session.execute(sa.select(version, sa.func.count()).group_by(version))}
