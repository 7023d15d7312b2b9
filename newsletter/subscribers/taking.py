"""What becomes of the people of an import: readers at once, by a few statements for a batch; or a request each."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import sqlalchemy as sa

from newsletter.foundation.database import Prepared, db, recordset, violated
from newsletter.foundation.secrets import Keys
from newsletter.newsletters.models import open_slot
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


class Overtaken(Exception):
    """Some of them became readers since they were looked at."""


class SlotClosed(Exception):
    """The file's rows were read for slots of which one is closed by now."""


class Written(NamedTuple):
    """A person as each of the statements takes them, an object of JSON."""

    reader: str
    subscription: str
    consent: str


class Writing:
    """Writes people down for the statements. That takes time too, so it is done beforehand."""

    def __init__(self, one: Import, now: datetime, dialect: str) -> None:
        self._mark, self._proof = mark(one), one.proof
        self._now, self._far = one.started_at or now, dialect == "postgresql"
        self._origin = lru_cache(1000)(self._written_origin)

    def of(self, each: Person) -> Written:
        hashed, normalised = each.address_hash, _quoted(each.normalised)
        told = f'"address":{_quoted(each.address)},"normalised":{normalised},"language":{_quoted(each.language)}'
        return Written(
            f'{{"address_hash":"{hashed}",{told}}}',
            f'{{"slot_id":{each.slot_id},"normalised":{normalised}}}',
            f'{{"address_hash":"{hashed}",{self._origin(each.source, each.ip, each.given, each.given_at)}}}',
        )

    def _written_origin(self, source: str, ip: str | None, given: str, given_at: datetime | None) -> str:
        """Which many of them share."""
        told = {"source": source, "ip": ip, "note": note(given, self._mark, self._proof)}
        return json.dumps(told | {"at": self._stored(given_at or self._now)})[1:-1]

    def _stored(self, at: datetime) -> str:
        """As the database takes it out of JSON."""
        return (at if self._far else at.replace(tzinfo=None)).isoformat(" ", "microseconds")


_quoted = json.encoder.encode_basestring_ascii
READER = ("address", "normalised", "address_hash", "language")
ONCE = ("uq_subscribers_normalised", "uq_subscriptions_subscriber_id_newsletter_id")
"""What says that somebody is a reader already."""


def note(given: str, mark: str, proof: str) -> str:
    """What the proof of consent says beside its columns."""
    return f"{mark} {f'given {given}' if given else 'date not given'}; {proof}".removesuffix("; ")[:300]


def subscribe(fresh: Sequence[Written], known: Sequence[Written], one: Import, now: datetime) -> None:
    """They read from now on, in the caller's transaction; those who are `known` are readers of something already. They
    get no welcome, for to them nothing has begun. Raises Overtaken; the transaction is to be rolled back then."""
    on, people = db.session.connection(), [*fresh, *known]
    try:
        if fresh:
            _insert_readers(on, now=now, given=_listed(each.reader for each in fresh))
        given = _listed(each.subscription for each in people)
        _insert_subscriptions(on, newsletter_id=one.newsletter_id, now=now, given=given)
    except sa.exc.IntegrityError as error:
        if any(violated(error, constraint) for constraint in ONCE):
            raise Overtaken from error
        raise
    _insert_consent(on, newsletter_id=one.newsletter_id, by=one.by, given=_listed(each.consent for each in people))


def hold_slots(slot_ids: Collection[int]) -> None:
    """Make sure, until the caller's transaction ends, that nobody is in a slot that is being closed.

    This comes after readers, as when somebody confirms, so that the two never wait for each other; and it comes last,
    because who decides about the slot's editions has to wait until then. Raises SlotClosed.
    """
    for slot_id in sorted(slot_ids):
        if open_slot(slot_id) != slot_id:
            raise SlotClosed


def _listed(objects: Iterable[str]) -> str:
    return f"[{','.join(objects)}]"


@Prepared
def _insert_readers(dialect: str) -> sa.Executable:
    """Always in the same order, so that two who do so wait for each other and not in a circle."""
    given = recordset(dialect, "given", **dict.fromkeys(READER, sa.String()))
    columns = [*(given.c[name] for name in READER), sa.bindparam("now", type_=Subscriber.created_at.type)]
    rows = sa.select(*columns).order_by(given.c.normalised)
    return sa.insert(Subscriber).from_select([*READER, "created_at"], rows)


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
    return sa.insert(Subscription).from_select(list(columns), rows.order_by(Subscriber.id))


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
        told = note(each.given, mark(one), one.proof)
        signing_up.write(wishes, each.address, RequestOrigin.IMPORT, origin, now, keys, by=one.by, note=told)
