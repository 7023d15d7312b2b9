"""What becomes of the people of an import: readers at once, by a few statements for a thousand; or a request each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation.database import Prepared, db, insert_into, recordset
from newsletter.foundation.secrets import Keys
from newsletter.newsletters.models import lock_slot
from newsletter.subscribers import signing_up
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.import_models import Import
from newsletter.subscribers.models import (
    ConsentEvent,
    ConsentKind,
    RequestOrigin,
    Subscriber,
    Subscription,
    SubscriptionOrigin,
    SubscriptionState,
)
from newsletter.subscribers.sifting import Person, mark
from newsletter.subscribers.signing_up import Wishes


def subscribe(people: Sequence[Person], one: Import, now: datetime) -> None:
    """They read from now on, in the caller's transaction. They get no welcome, for to them nothing has begun.

    Readers come before the slot's lock, as when somebody confirms, so that the two never wait for each other.
    """
    on = db.session.connection()
    _insert_readers(on, now=now, given=json.dumps([_reader(each) for each in people]))
    for slot_id in sorted({each.slot_id for each in people}):
        lock_slot(slot_id, shared=True)
    slots = json.dumps([{"normalised": each.normalised, "slot_id": each.slot_id} for each in people])
    _insert_subscriptions(on, newsletter_id=one.newsletter_id, now=now, given=slots)
    consents = json.dumps([_consent(each, one, now, on.dialect.name) for each in people])
    _insert_consent(on, newsletter_id=one.newsletter_id, by=one.by, given=consents)


def _reader(each: Person) -> dict[str, object]:
    return {name: getattr(each, name) for name in READER}


READER = ("address", "normalised", "address_hash", "language")


def _consent(each: Person, one: Import, now: datetime, dialect: str) -> dict[str, object]:
    return {
        "address_hash": each.address_hash,
        "source": each.source,
        "ip": each.ip,
        "note": note(each, one),
        "at": _stored(each.given_at or now, dialect),
    }


def note(each: Person, one: Import) -> str:
    """What the proof of consent says beside its columns."""
    given = f"given {each.given}" if each.given else "date not given"
    return f"{mark(one)} {given}; {one.proof}".removesuffix("; ")[:300]


def _stored(at: datetime, dialect: str) -> str:
    """As the database takes it out of JSON."""
    return (at if dialect == "postgresql" else at.replace(tzinfo=None)).isoformat(" ", "microseconds")


@Prepared
def _insert_readers(dialect: str) -> sa.Executable:
    """Always in the same order, so that two who do so wait for each other and not in a circle."""
    given = recordset(dialect, "given", **dict.fromkeys(READER, sa.String()))
    columns = [*(given.c[name] for name in READER), sa.bindparam("now", type_=Subscriber.created_at.type)]
    rows = sa.select(*columns).where(sa.true()).order_by(given.c.normalised)
    return insert_into(Subscriber).from_select([*READER, "created_at"], rows).on_conflict_do_nothing()


@Prepared
def _insert_subscriptions(dialect: str) -> sa.Executable:
    given = recordset(dialect, "given", normalised=sa.String(), slot_id=sa.Integer())
    now = sa.bindparam("now", type_=Subscription.confirmed_at.type)
    columns = {
        "subscriber_id": Subscriber.id,
        "newsletter_id": sa.bindparam("newsletter_id", type_=sa.Integer),
        "slot_id": given.c.slot_id,
        "state": sa.literal(SubscriptionState.ACTIVE.value),
        "confirmed_at": now,
        "welcomed_at": now,
        "origin": sa.literal(SubscriptionOrigin.IMPORT.value),
    }
    rows = sa.select(*columns.values()).join_from(given, Subscriber, Subscriber.normalised == given.c.normalised)
    made = insert_into(Subscription).from_select(list(columns), rows.where(sa.true()).order_by(Subscriber.id))
    return made.on_conflict_do_nothing()


@Prepared
def _insert_consent(dialect: str) -> sa.Executable:
    words = dict.fromkeys(("address_hash", "source", "ip", "note"), sa.String())
    given = recordset(dialect, "given", at=ConsentEvent.at.type, **words)
    columns = {
        "address_hash": given.c.address_hash,
        "newsletter_id": sa.bindparam("newsletter_id", type_=sa.Integer),
        "kind": sa.literal(ConsentKind.IMPORTED.value),
        "at": given.c.at,
        "by": sa.bindparam("by", type_=sa.String),
        "ip": given.c.ip,
        "page_url": given.c.source,
        "note": given.c.note,
    }
    return sa.insert(ConsentEvent).from_select(list(columns), sa.select(*columns.values()))


def ask(people: Sequence[Person], one: Import, now: datetime, keys: Keys) -> None:
    """Each is asked as by the form, in the caller's transaction: a mail with a button, and nothing before it."""
    for each in people:
        wishes = Wishes([one.newsletter.slug], [each.slot_id], language=each.language)
        origin = Origin(ip=each.ip, page_url=each.source)
        signing_up.write(wishes, each.address, RequestOrigin.IMPORT, origin, now, keys, by=one.by, note=note(each, one))
