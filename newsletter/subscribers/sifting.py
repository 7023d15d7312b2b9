"""Who of a file's rows may come: nobody who left, bounced, complained, was erased or is not welcome comes back.

Staff, imports and code lift nothing (DESIGN.md, rule 14), so every reason on the suppression list holds, in both modes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from newsletter.foundation.config import the_config
from newsletter.foundation.database import Prepared, db, insert_into, texts
from newsletter.foundation.languages import LANGUAGES
from newsletter.foundation.secrets import Keys
from newsletter.foundation.text import one_line, without_apostrophe
from newsletter.mail import addresses, suppression
from newsletter.mail.addresses import AddressInvalid
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers import asking, columns, transfer, uploading
from newsletter.subscribers.columns import Meaning
from newsletter.subscribers.consent import TO
from newsletter.subscribers.import_models import Import, ImportMode, ImportSeen, ImportState, Outcome
from newsletter.subscribers.models import (
    BlockedAddress,
    ConsentEvent,
    ConsentKind,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from newsletter.subscribers.tables import Row, cell, word

WHY_NOT = {
    SuppressionReason.COMPLAINT: Outcome.COMPLAINED,
    SuppressionReason.ERASURE: Outcome.ERASED,
    SuppressionReason.BY_HAND: Outcome.BY_HAND,
    SuppressionReason.LEFT: Outcome.LEFT,
    SuppressionReason.HARD_BOUNCE: Outcome.BOUNCED,
}
"""The weightiest first, for who has several."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Nobody agreed to an e-mail before; such a date is a program's zero."""


class Person(NamedTuple):
    """A row that has an address. `given` is what it says about when they agreed, and `given_at` what that means."""

    row: Row
    address: str
    normalised: str
    address_hash: str
    slot_id: int
    language: str
    source: str
    ip: str | None
    given: str
    given_at: datetime | None


@dataclass(frozen=True)
class Sifted:
    """A batch, each row with what becomes of it. `known` are normalised addresses of who reads any newsletter, or
    did."""

    people: Sequence[tuple[Person, Outcome]]
    refused: Sequence[tuple[Row, Outcome]]
    known: Collection[str] = ()

    @property
    def taken(self) -> list[Person]:
        return [person for person, outcome in self.people if outcome is Outcome.TAKEN]


class Reader:
    """Makes people of rows, by the columns that were chosen."""

    def __init__(self, one: Import, now: datetime, keys: Keys) -> None:
        chosen = columns.chosen(one.columns)
        self._address = chosen.get(Meaning.ADDRESS)
        self._slot, self._language = chosen.get(Meaning.SLOT), chosen.get(Meaning.LANGUAGE)
        self._date, self._source, self._ip = (chosen.get(m) for m in (Meaning.DATE, Meaning.SOURCE, Meaning.IP))
        self._state, self._state_name = chosen.get(Meaning.STATE), ""
        if self._state is not None:
            self._state_name = word(uploading.look(one).table.titles[self._state])
        self._wants_confirmed = one.mode is ImportMode.CONFIRMED
        self._against = lru_cache(1000)(self._says_against)
        self._otherwise, self._now, self._keys = one.source, now, keys
        self._refuses_disposable = the_config().sign_up.refuse_disposable
        self._slot_for = lru_cache(1000)(_Slots(one.newsletter, one.slot_id, now).meant)

    def read(self, row: Row) -> Person | tuple[Row, Outcome]:
        found = self._person(row)
        return (row, found) if isinstance(found, Outcome) else found

    def _person(self, row: Row) -> Person | Outcome:
        if row.problem:
            return Outcome.UNREADABLE
        cells = row.cells
        try:
            address, normalised = addresses.read(without_apostrophe(cell(cells, self._address)))
        except AddressInvalid:
            return Outcome.INVALID
        if self._state is not None and (why_not := self._against(cell(cells, self._state))) is not None:
            return why_not
        if self._refuses_disposable and addresses.is_disposable(address):
            return Outcome.DISPOSABLE
        given = cell(cells, self._date)
        return Person(
            row,
            address,
            normalised,
            self._keys.address_hash(normalised),
            self._slot_for(cell(cells, self._slot)),
            _language(cell(cells, self._language)),
            one_line(cell(cells, self._source))[:1000] or self._otherwise,
            columns.ip(cell(cells, self._ip)) if self._ip is not None else None,
            one_line(given)[:40],
            self._moment(given),
        )

    def _says_against(self, said: str) -> Outcome | None:
        """Nobody comes back because of a word that we do not know, and who never confirmed has not confirmed."""
        if self._wants_confirmed and word(said) in transfer.UNCONFIRMED:
            return Outcome.UNCLEAR
        try:
            reason = transfer.against(word(said), self._state_name)
        except ValueError:
            return Outcome.UNCLEAR
        return WHY_NOT[reason] if reason else None

    def _moment(self, given: str) -> datetime | None:
        found = columns.moment(given) if given else None
        return found if found and EARLIEST <= found <= self._now else None


def _language(text: str) -> str:
    """Of those that we have; else empty, which is the newsletter's."""
    code = text[:2].lower()
    return code if code in LANGUAGES and not text[2:3].isalpha() else ""


class _Slots:
    """The slot that a cell means: its time and zone as an export writes them, or a zone of the world; else the usual
    one."""

    def __init__(self, published: Newsletter, usual: int | None, now: datetime) -> None:
        slots = sorted(published.slots, key=lambda one: not one.is_default)
        self._usual = usual if usual in {one.id for one in slots} else published.default_slot.id
        self._known = {f"{one.local_time:%H:%M} {one.zone}".lower(): one.id for one in slots}
        self._known |= {one.label.lower(): one.id for one in slots}
        self._zones, self._ids = [one.zone for one in slots], [one.id for one in slots]
        self._now = now

    def meant(self, text: str) -> int:
        if not text:
            return self._usual
        if (known := self._known.get(text.lower())) is not None:
            return known
        nearest = calendar.nearest_zone(text, self._zones, self._now)
        return self._usual if nearest is None else self._ids[nearest]


def sift(rows: Sequence[Person | tuple[Row, Outcome]], one: Import) -> Sifted:
    """Decide about a batch, in the caller's transaction; readers who are there stay as they are until it ends."""
    refused = [row for row in rows if not isinstance(row, Person)]
    people = [row for row in rows if isinstance(row, Person)]
    first = {each.address_hash: each for each in reversed(people)}
    if not first:
        return Sifted([], refused)
    facts = _facts(list(first.values()), one)
    outcomes = {hashed: facts.outcome(each) for hashed, each in first.items()}
    return Sifted([(each, _of(each, first, outcomes)) for each in people], refused, facts.reading.keys())


def _of(each: Person, first: Mapping[str, Person], outcomes: Mapping[str, Outcome]) -> Outcome:
    """Who would come, and stands in the batch a second time, comes once."""
    outcome = outcomes[each.address_hash]
    return Outcome.DOUBLED if outcome is Outcome.TAKEN and first[each.address_hash] is not each else outcome


def once_each(sifted: Sifted, one: Import) -> Sifted:
    """Without those of whom an earlier batch had the first, in the caller's transaction. Who is made a reader at once
    is known by that; this is for the others."""
    hashes = [each.address_hash for each in sifted.taken]
    if not hashes:
        return sifted
    given = json.dumps([hashed[:DIGEST] for hashed in hashes])
    fresh = {row.digest for row in _mark_seen(db.session.connection(), import_id=one.id, given=given)}
    doubled = {hashed for hashed in hashes if hashed[:DIGEST] not in fresh}
    people = [
        (each, Outcome.DOUBLED if outcome is Outcome.TAKEN and each.address_hash in doubled else outcome)
        for each, outcome in sifted.people
    ]
    return replace(sifted, people=people)


DIGEST = 24
"""Digits of a hash: two addresses share them once in 10^28."""


def is_at_once(one: Import) -> bool:
    """Whether who is taken reads from then on."""
    return one.state is ImportState.RUNNING and one.mode is ImportMode.CONFIRMED


@dataclass(frozen=True)
class _Facts:
    """What is known of a batch. `reading` are the states of those who are readers of any newsletter, `taken` those whom
    this import has made readers."""

    reading: Mapping[str, SubscriptionState | None]
    taken: frozenset[str]
    suppressed: Mapping[str, Outcome]
    moved: frozenset[str]
    blocked: frozenset[str]

    def outcome(self, each: Person) -> Outcome:
        if each.address_hash in self.suppressed:
            return self.suppressed[each.address_hash]
        if (state := self.reading.get(each.normalised)) is not None:
            if state is not SubscriptionState.ACTIVE:
                return Outcome.LEFT
            return Outcome.DOUBLED if each.address_hash in self.taken else Outcome.ALREADY
        if each.address_hash in self.moved and each.normalised not in self.reading:
            return Outcome.MOVED
        if self.blocked and not self.blocked.isdisjoint(asking.patterns_of(each.address)):
            return Outcome.BLOCKED
        return Outcome.TAKEN


def _facts(people: Sequence[Person], one: Import) -> _Facts:
    """Readers are asked for first, and kept from being erased meanwhile: who was erased before that is suppressed by
    now."""
    on = db.session.connection()
    addresses_given = json.dumps([each.normalised for each in people])
    rows = _reading(on, newsletter_id=one.newsletter_id, given=addresses_given)
    reading = {row.normalised: row.state for row in rows}
    hashes = [each.address_hash for each in people]
    suppressed = {hashed: _weightiest(reasons) for hashed, reasons in suppression.reasons_of(hashes).items()}
    told = [(row.kind, row.address_hash) for row in _told(on, given=json.dumps(hashes), mark=mark(one))]
    moved, taken = (
        frozenset(hashed for kind, hashed in told if kind is wanted)
        for wanted in (ConsentKind.CHANGED, ConsentKind.IMPORTED)
    )
    return _Facts(reading, taken, suppressed, moved, _blocked(people))


def _weightiest(reasons: Collection[SuppressionReason]) -> Outcome:
    return next(outcome for reason, outcome in WHY_NOT.items() if reason in reasons)


def mark(one: Import) -> str:
    """How the note of consent begins that an import writes."""
    return f"import {one.id};"


@Prepared
def _reading(dialect: str) -> sa.Executable:
    given = texts(dialect, "given")
    here = sa.and_(
        Subscription.subscriber_id == Subscriber.id, Subscription.newsletter_id == sa.bindparam("newsletter_id")
    )
    return (
        sa.select(Subscriber.normalised, Subscription.state)
        .join_from(given, Subscriber, Subscriber.normalised == given.c.text)
        .outerjoin(Subscription, here)
        .order_by(Subscriber.id)  # as staff's acts on many lock them
        .with_for_update(read=True, of=Subscriber)
    )


@Prepared
def _told(dialect: str) -> sa.Executable:
    """Of whom the proof of consent says that they have another address now, or that this import brought them."""
    given = texts(dialect, "given")
    moved = sa.and_(ConsentEvent.kind == ConsentKind.CHANGED, ConsentEvent.note == TO)
    brought = sa.and_(
        ConsentEvent.kind == ConsentKind.IMPORTED, ConsentEvent.note.startswith(sa.bindparam("mark", type_=sa.String))
    )
    return sa.select(ConsentEvent.address_hash, ConsentEvent.kind).join_from(
        given,
        ConsentEvent,
        sa.and_(ConsentEvent.address_hash == given.c.text, sa.or_(moved, brought)),
    )


@Prepared
def _mark_seen(dialect: str) -> sa.Executable:
    given = texts(dialect, "given")
    rows = sa.select(sa.bindparam("import_id", type_=sa.Integer), given.c.text).where(sa.true())
    seen = insert_into(ImportSeen).from_select(["import_id", "digest"], rows)
    return seen.on_conflict_do_nothing().returning(ImportSeen.digest)


def _blocked(people: Sequence[Person]) -> frozenset[str]:
    """The patterns on the blocklist that some of them may fall under. Mostly the list is empty."""
    if db.session.scalar(sa.select(BlockedAddress.id).limit(1)) is None:
        return frozenset()
    asked: set[str] = set().union(*(asking.patterns_of(each.address) for each in people))
    found: list[Any] = []
    wanted = sorted(asked)
    for start in range(0, len(wanted), 500):
        some = BlockedAddress.pattern.in_(wanted[start : start + 500])
        found += db.session.scalars(sa.select(BlockedAddress.pattern).where(some))
    return frozenset(found)
