"""Editions that were mailed and taken by a relay, as the ledger shows them, so that something can come back of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery import bounces
from newsletter.delivery.bounce_models import Bounce, Deed
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState
from newsletter.editions.models import Edition
from newsletter.foundation.database import db, transaction
from newsletter.mail import addresses
from newsletter.subscribers.models import subscriber_at
from tests.conftest import House
from tests.support.newsroom import Paper
from tests.support.past import went_out


@dataclass(frozen=True)
class Mailed:
    """One edition to one reader: its id in the ledger, and what its mail carried."""

    delivery_id: int
    edition_id: int
    token: str

    @property
    def return_path(self) -> str:
        return f"bounces+{self.token}@example.org"

    @property
    def message_id(self) -> str:
        return f"{self.token}@example.org"


def mailed(paper: Paper, *readers: str, day: date | None = None, audience: int | None = None) -> list[Mailed]:
    """An edition of a day, today's unless told otherwise, accepted for each reader at half past five of it."""
    house = paper.house
    when = house.now + (timedelta() if day is None else day - house.now.date())
    edition_id = went_out(paper, when.date())
    with house.app.app_context(), transaction() as session:
        session.get_one(Edition, edition_id).audience = len(readers) if audience is None else audience
        rows = [_row(paper, edition_id, address, when) for address in readers]
        session.add_all(rows)
        session.flush()
        return [Mailed(row.id, edition_id, house.links.verp("d", row.id)) for row in rows]


def _row(paper: Paper, edition_id: int, address: str, when: datetime) -> Delivery:
    reader = subscriber_at(addresses.normalise(address))
    assert reader is not None
    return Delivery(
        edition_id=edition_id,
        shard=1,
        subscriber_id=reader.id,
        subscription_id=reader.subscriptions[0].id,
        newsletter_id=paper.id,
        local_date=when.date(),
        kind=DeliveryKind.DAILY,
        state=DeliveryState.ACCEPTED,
        next_attempt_at=when,
        updated_at=when,
    )


def comes_back(house: House, octets: bytes, envelope_to: str | None = None) -> Deed:
    """The mail arrives; says what was done about it."""
    with house.app.app_context():
        return bounces.receive(octets, house.now, envelope_to).deed


def rows(house: House) -> list[Bounce]:
    """To look at and not to change."""
    with house.app.app_context():
        found = list(db.session.scalars(sa.select(Bounce).order_by(Bounce.id)))
        db.session.expunge_all()
        return found
