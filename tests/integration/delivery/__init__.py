"""What the tests about sending have in common: an edition that is drafted, and a relay that refuses or lets things
happen."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.database import db
from tests.conftest import House
from tests.support.inbox import Inbox
from tests.support.newsroom import SUBJECTS, Paper, found


def drafted(house: House, *readers: str, **settings: str) -> tuple[Paper, int]:
    """A paper whose edition of today is drafted, at 05:20 for 06:00."""
    paper = found(house, **settings)
    paper.tells(*SUBJECTS)
    paper.readers(*readers)
    return paper, paper.draft()


def audited(house: House, action: str, edition_id: int) -> list[dict[str, object]]:
    with house.app.app_context():
        query = sa.select(AuditRecord.details).where(
            AuditRecord.action == action, AuditRecord.subject == f"edition:{edition_id}"
        )
        return list(db.session.scalars(query))


def refusing(address: str, reply: str, tried: list[str] | None = None) -> Callable[[str], str]:
    def answer(recipient: str) -> str:
        if recipient == address and tried is not None:
            tried.append(recipient)
        return reply if recipient == address else "250 OK"

    return answer


def during_the_first_mail(inbox: Inbox, happens: Callable[[], None]) -> None:
    """Let something happen while the relay has the first mail and has not answered yet."""

    def answer(_recipient: str) -> str:
        inbox.answer_data = lambda address: "250 OK"
        happens()
        return "250 OK"

    inbox.answer_data = answer
