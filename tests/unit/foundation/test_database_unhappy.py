"""A promise that the database does not keep yet: append-only is checked for single rows by the ORM only."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import transaction
from newsletter.newsletters import settings
from newsletter.newsletters.settings import NewNewsletter
from tests.conftest import House

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


def test_what_was_done_cannot_be_edited_by_a_statement_either(house: House) -> None:
    with house.app.app_context():
        settings.add(NewNewsletter("post", "Post", "post@example.org"), NOON, COMMAND)
        with pytest.raises(sa.exc.DBAPIError), transaction() as session:
            session.execute(sa.update(AuditRecord).values(actor_name="somebody else"))
