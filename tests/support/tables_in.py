"""Files of readers, brought in without pages: what a test of imports types, and what becomes of it."""

from __future__ import annotations

from io import BytesIO

import sqlalchemy as sa

from newsletter.foundation import leases
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.newsletters.models import newsletter
from newsletter.subscribers import import_runs, importing, uploading
from newsletter.subscribers.columns import chosen
from newsletter.subscribers.import_models import Import, ImportMode, an_import
from newsletter.subscribers.importing import Wish
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState
from tests.conftest import House

PROOF = "the log of the old system"


def uploaded(house: House, text: str | bytes, name: str = "old.csv", slug: str | None = None) -> int:
    octets = text if isinstance(text, bytes) else text.encode()
    with house.app.app_context():
        return uploading.keep(BytesIO(octets), name, newsletter(slug), house.now, COMMAND)


def wish(house: House, id: int, mode: ImportMode = ImportMode.CONFIRMED, **more: object) -> Wish:
    """Columns as they were guessed."""
    with house.app.app_context():
        columns = chosen(an_import(id).columns)
    return Wish(columns, "the old system", mode, PROOF if mode is ImportMode.CONFIRMED else "", **more)  # type: ignore[arg-type]


def check(house: House, id: int, mode: ImportMode = ImportMode.CONFIRMED, **more: object) -> dict[str, int]:
    """Try it to its end; gives the counts."""
    wanted = wish(house, id, mode, **more)
    with house.app.app_context():
        importing.check(id, wanted, house.now, COMMAND)
    return work(house, id)


def start(house: House, id: int) -> None:
    with house.app.app_context():
        importing.start(id, house.now, COMMAND)


def work(house: House, id: int) -> dict[str, int]:
    with house.app.app_context():
        import_runs.work(id, leases.holder_here(), house.clock, house.keys)
    return counts(house, id)


def brought(house: House, text: str | bytes, mode: ImportMode = ImportMode.CONFIRMED, **more: object) -> dict[str, int]:
    """All of it at once."""
    id = uploaded(house, text)
    check(house, id, mode, **more)
    start(house, id)
    return work(house, id)


def counts(house: House, id: int) -> dict[str, int]:
    with house.app.app_context():
        return dict(an_import(id).counts)


def state(house: House, id: int) -> str:
    with house.app.app_context():
        return db.session.get_one(Import, id).state.value


def readers(house: House) -> list[str]:
    """The addresses of active readers, in order."""
    with house.app.app_context():
        query = sa.select(Subscriber.address).join(Subscription).where(Subscription.state == SubscriptionState.ACTIVE)
        return sorted(db.session.scalars(query))


def many(count: int) -> list[str]:
    return sorted(f"r{number}@example.org" for number in range(count))
