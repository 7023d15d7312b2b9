"""What the tests about readers have in common: they sign up, look into their mail, press, and look at every table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from werkzeug.test import TestResponse

from newsletter.foundation.database import Base, db, transaction
from newsletter.mail import addresses, suppression
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers.models import (
    ConsentEvent,
    ConsentKind,
    SignUpRequest,
    Subscription,
    SubscriptionState,
    consent_story,
    subscriber_at,
)
from tests.conftest import House

ANN = "ann@example.org"
READ_AND_LEFT = (ConsentKind.REQUESTED, ConsentKind.CONFIRMED, ConsentKind.UNSUBSCRIBED)
MORNING_POST = "morning-post"
IP = "192.0.2.7"
SITE = "https://news.example.org"


def sign_up(
    house: House,
    address: str = ANN,
    newsletter: str = MORNING_POST,
    *,
    ip: str = IP,
    headers: dict[str, str] | None = None,
    **fields: str,
) -> TestResponse:
    """Press Sign Up Now; the mail is not sent before the house works."""
    data = {"email": address, "newsletter": newsletter} | fields
    return house.browser.post("/subscribe", data=data, headers=headers, environ_overrides={"REMOTE_ADDR": ip})


def words_of(answer: TestResponse) -> str:
    """A page as it is read: addresses are whole although they may be broken across lines."""
    return unescape(answer.text.replace("<wbr>", ""))


def link_in(house: House, address: str, start: str) -> str:
    """The path of the link in the latest mail to an address."""
    text = house.inbox.of(address)[-1].part("plain")
    match = re.search(rf"{re.escape(SITE)}({start}\S+)", text)
    assert match, text
    return match[1]


def asked(house: House, address: str = ANN, newsletter: str = MORNING_POST) -> str:
    """Sign up, and give the path of the confirmation link that comes by mail."""
    before = len(house.inbox.mails)
    assert sign_up(house, address, newsletter).status_code == 200
    house.work()
    assert len(house.inbox.mails) == before + 1
    return link_in(house, address, "/confirm/")


def became_reader(house: House, address: str = ANN, newsletter: str = MORNING_POST) -> str:
    """Sign up and confirm; gives the path of the link by which one leaves. The 15 minutes between two mails pass."""
    assert house.browser.post(asked(house, address, newsletter)).status_code == 200
    house.work()
    house.later(minutes=16)
    return link_in(house, address, "/unsubscribe/")


def state_of(house: House, address: str = ANN) -> list[SubscriptionState]:
    with house.app.app_context():
        person = subscriber_at(addresses.normalise(address))
        return [subscription.state for subscription in person.subscriptions] if person else []


def count(house: House, table: type[Base]) -> int:
    with house.app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def latest_request(house: House) -> SignUpRequest:
    """To look at and not to change."""
    with house.app.app_context():
        request = db.session.scalars(sa.select(SignUpRequest).order_by(SignUpRequest.id.desc())).first()
        assert request is not None
        db.session.expunge(request)
        return request


def story_of(house: House, address: str = ANN) -> list[ConsentEvent]:
    with house.app.app_context():
        story = consent_story(house.keys.address_hash(addresses.normalise(address)))
        db.session.expunge_all()
        return list(story)


def suppressed_for(house: House, address: str = ANN) -> set[SuppressionReason]:
    with house.app.app_context():
        return suppression.reasons(house.keys.address_hash(addresses.normalise(address)))


def put_on_the_list(house: House, reason: SuppressionReason, address: str = ANN) -> None:
    with house.app.app_context(), transaction():
        suppression.suppress(house.keys.address_hash(addresses.normalise(address)), reason, house.now)


def erase(house: House, address: str = ANN) -> None:
    """What an erasure leaves of a person: nothing but the hash on the list."""
    with house.app.app_context(), transaction() as session:
        session.execute(sa.delete(SignUpRequest).where(SignUpRequest.address == address))
        if person := subscriber_at(addresses.normalise(address)):
            session.execute(sa.delete(Subscription).where(Subscription.subscriber_id == person.id))
            session.delete(person)
    put_on_the_list(house, SuppressionReason.ERASURE, address)


def everything(house: House) -> dict[str, list[Any]]:
    """Every row of every table."""
    with house.app.app_context():
        return {
            table.name: [tuple(row) for row in db.session.execute(sa.select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


@contextmanager
def statements(house: House) -> Iterator[list[str]]:
    """The SQL that runs meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    with house.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
