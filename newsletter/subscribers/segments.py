"""Which readers: a closed set of conditions, how they are kept, and the question that they make.

All conditions hold together. Those of a subscription hold of one and the same subscription: who reads the Morning Post
and left the Ridge Courier has not left the Morning Post.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, get_args

import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import addresses
from newsletter.mail.suppression import Suppression
from newsletter.newsletters import calendar
from newsletter.newsletters.models import newsletters
from newsletter.subscribers.desk_models import Among
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionOrigin, SubscriptionState

LONGEST = 254


class ConditionsUnreadable(NewsletterError):
    """These conditions cannot be read: {why}. Nobody was touched; make them anew."""


class ConditionsOutdated(NewsletterError):
    """These conditions name a newsletter or a time of day that there is no more. Nobody was touched; make them anew."""


class ReaderState(StrEnum):
    """`active`: gets mails. `paused`: later again. `suppressed`: never, whatever they read."""

    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True)
class Part:
    """Some text anywhere in the address."""

    kind: ClassVar = "part"
    text: str


@dataclass(frozen=True)
class OfNewsletter:
    """Has, or had, a subscription of that newsletter."""

    kind: ClassVar = "newsletter"
    id: int


@dataclass(frozen=True)
class InSlot:
    kind: ClassVar = "slot"
    id: int


@dataclass(frozen=True)
class InState:
    kind: ClassVar = "state"
    state: ReaderState


@dataclass(frozen=True)
class CameBy:
    """The way by which the subscription came."""

    kind: ClassVar = "source"
    origin: SubscriptionOrigin


@dataclass(frozen=True)
class Joined:
    """Confirmed between two days of UTC, both included; None for without end."""

    kind: ClassVar = "joined"
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Left:
    """Unsubscribed between two days, in the same way."""

    kind: ClassVar = "left"
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class AtDomain:
    """What stands after the @, in its ASCII form."""

    kind: ClassVar = "domain"
    name: str


@dataclass(frozen=True)
class Bounced:
    """A mail came back since they confirmed."""

    kind: ClassVar = "bounced"


Condition = Part | OfNewsletter | InSlot | InState | CameBy | Joined | Left | AtDomain | Bounced
KINDS: dict[str, type[Condition]] = {one.kind: one for one in get_args(Condition)}
One = TypeVar("One", bound=Condition)


# As they are kept


def written(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """As plain JSON, which `read` reads."""
    return [
        {"kind": one.kind} | {field.name: _plain(getattr(one, field.name)) for field in fields(one)}
        for one in conditions
    ]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def read(kept: object) -> tuple[Condition, ...]:
    """Conditions as they were written, and nothing else. Raises ConditionsUnreadable."""
    if not isinstance(kept, list):
        raise ConditionsUnreadable(why="they are no list")
    found = tuple(map(_read, kept))
    if len({one.kind for one in found}) < len(found):
        raise ConditionsUnreadable(why="one of them stands there twice")
    return found


def _read(kept: object) -> Condition:
    if not isinstance(kept, dict):
        raise ConditionsUnreadable(why="one of them is none")
    kind = KINDS.get(kept["kind"]) if isinstance(kept.get("kind"), str) else None
    if kind is None:
        raise ConditionsUnreadable(why="this program does not know one of them")
    if kept.keys() != {"kind", *(field.name for field in fields(kind))}:
        raise ConditionsUnreadable(why=f"“{kind.kind}” is not whole")
    try:
        return kind(**{name: _value(kind, name, value) for name, value in kept.items() if name != "kind"})
    except (TypeError, ValueError) as error:
        raise ConditionsUnreadable(why=f"“{kind.kind}” says what cannot be") from error


def _value(kind: type[Condition], name: str, value: object) -> Any:
    """Raises TypeError, ValueError."""
    if name in ("since", "until"):
        return None if value is None else date.fromisoformat(_text(value))
    if name == "id":
        if type(value) is not int or not 0 < value < 2**31:
            raise ValueError(name)
        return value
    if kind is InState:
        return ReaderState(_text(value))
    if kind is CameBy:
        return SubscriptionOrigin(_text(value))
    return _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > LONGEST or not value.isprintable():
        raise ValueError("no text")
    return value


def domain(typed: str) -> str:
    """As it is compared, however it was typed: @Example.ORG is example.org."""
    return addresses.normalise(f"x@{typed.strip().lstrip('@')}").removeprefix("x@")


def the(kind: type[One], conditions: Sequence[Condition]) -> One | None:
    """The one of that kind."""
    return next((one for one in conditions if isinstance(one, kind)), None)


# The question


def newsletters_of(conditions: Sequence[Condition]) -> frozenset[int] | None:
    """The newsletters that they name; None when they name none, and are about all. Raises ConditionsOutdated."""
    every = newsletters()
    slots = {slot.id: one.id for one in every for slot in one.slots}
    named = {one.id for one in conditions if isinstance(one, OfNewsletter)}
    try:
        named |= {slots[one.id] for one in conditions if isinstance(one, InSlot)}
    except KeyError as error:
        raise ConditionsOutdated from error
    if not named <= {one.id for one in every}:
        raise ConditionsOutdated
    return frozenset(named) or None


def matching(conditions: Sequence[Condition], now: datetime, among: Among) -> list[sa.ColumnElement[bool]]:
    """What they say of a subscriber.

    `among` are the newsletters of who asks: only by subscriptions of theirs somebody is found. Raises
    ConditionsOutdated.
    """
    of_person, of_subscription = clauses(conditions, now, among)
    if of_subscription:
        of_person.append(sa.exists().where(Subscription.subscriber_id == Subscriber.id, *of_subscription))
    return of_person


Clauses = list[sa.ColumnElement[bool]]


def clauses(conditions: Sequence[Condition], now: datetime, among: Among = None) -> tuple[Clauses, Clauses]:
    """Those of a subscriber, and those that one subscription of theirs must meet. Raises ConditionsOutdated."""
    newsletters_of(conditions)
    of_person = [clause for one in conditions if (clause := _of_person(one)) is not None]
    of_subscription = [clause for one in conditions for clause in _of_subscription(one, now)]
    if among is not None:
        of_subscription.append(Subscription.newsletter_id.in_(among))
    return of_person, of_subscription


def _of_person(one: Condition) -> sa.ColumnElement[bool] | None:
    match one:
        case Part(text):
            return has_part(text)
        case AtDomain(name):
            return SEARCHED.endswith(f"@{name}", autoescape=True)
        case Bounced():
            return Subscriber.bounced_at.is_not(None)
        case InState(ReaderState.SUPPRESSED):
            return is_suppressed()
        case InState(ReaderState.ACTIVE):
            return ~is_suppressed()
        case _:
            return None


SEARCHED = sa.func.lower(Subscriber.normalised)
"""What parts are looked for in. It is in small letters anyway, and the index of its parts is this expression's, lest
PostgreSQL looks whole addresses up in it (migration 0017)."""


def has_part(text: str) -> sa.ColumnElement[bool]:
    """An international domain is compared in its ASCII form, and typed as it is read."""
    part = text.lower()
    found = SEARCHED.contains(part, autoescape=True)
    if part.isascii():
        return found
    as_read = sa.func.lower(Subscriber.address)
    return sa.or_(found, sa.and_(as_read != Subscriber.normalised, as_read.contains(part, autoescape=True)))


def is_suppressed() -> sa.ColumnElement[bool]:
    return sa.exists().where(Suppression.address_hash == Subscriber.address_hash)


def _of_subscription(one: Condition, now: datetime) -> Iterator[sa.ColumnElement[bool]]:
    match one:
        case OfNewsletter(id):
            yield Subscription.newsletter_id == id
        case InSlot(id):
            yield Subscription.slot_id == id
        case CameBy(origin):
            yield Subscription.origin == origin
        case Joined(since, until):
            yield from _between(Subscription.confirmed_at, since, until)
        case Left(since, until):
            yield Subscription.state == SubscriptionState.UNSUBSCRIBED
            yield from _between(Subscription.unsubscribed_at, since, until)
        case InState(state):
            yield from _in_state(state, now)


def _in_state(state: ReaderState, now: datetime) -> Iterator[sa.ColumnElement[bool]]:
    match state:
        case ReaderState.UNSUBSCRIBED:
            yield Subscription.state == SubscriptionState.UNSUBSCRIBED
        case ReaderState.PAUSED:
            yield Subscription.state == SubscriptionState.ACTIVE
            yield is_paused(now)
        case ReaderState.ACTIVE:
            yield Subscription.state == SubscriptionState.ACTIVE
            yield sa.or_(Subscription.paused_until.is_(None), ~is_paused(now))


def is_paused(now: datetime) -> sa.ColumnElement[bool]:
    """By the day that it is where the slot is; wherever that is, it is one of three."""
    days: dict[date, list[int]] = {}
    for slot_id, today in today_of_slots(now).items():
        days.setdefault(today, []).append(slot_id)
    later = (sa.and_(Subscription.paused_until > today, Subscription.slot_id.in_(ids)) for today, ids in days.items())
    return sa.or_(sa.false(), *later)


def today_of_slots(now: datetime) -> Mapping[int, date]:
    return {slot.id: calendar.local_date_at(now, slot.zone) for one in newsletters() for slot in one.slots}


def _between(
    moment: sa.orm.InstrumentedAttribute[Any], since: date | None, until: date | None
) -> Iterator[sa.ColumnElement[bool]]:
    if since:
        yield moment >= datetime.combine(since, time(), UTC)
    if until and until < date.max:
        yield moment < datetime.combine(until + timedelta(days=1), time(), UTC)


# The answer


def readers(
    conditions: Sequence[Condition], now: datetime, among: Among, *, before: int | None = None, limit: int = 50
) -> Sequence[Subscriber]:
    """The newest first, continuing below the id `before`. Raises ConditionsOutdated."""
    if before is None:
        before = (db.session.scalar(sa.select(sa.func.max(Subscriber.id))) or 0) + 1
    below = [*matching(conditions, now, among), Subscriber.id < before]
    newest = sa.select(Subscriber).options(sa.orm.selectinload(Subscriber.subscriptions)).order_by(Subscriber.id.desc())
    state = the(InState, conditions)
    if state is None or state.state is not ReaderState.SUPPRESSED or before <= NEAR:
        return db.session.scalars(newest.where(*below).limit(limit)).all()
    near = db.session.scalars(newest.where(*below, Subscriber.id >= before - NEAR).limit(limit)).all()
    if len(near) == limit:
        return near
    far = sa.select(Subscriber.id).where(*below, Subscriber.id < before - NEAR).cte("far")
    far = far.prefix_with("MATERIALIZED", dialect="postgresql")
    others = newest.where(Subscriber.id.in_(sa.select(far.c.id))).limit(limit - len(near))
    return [*near, *db.session.scalars(others)]


NEAR = 50_000
"""Among so many the suppressed are looked for from the newest on. They may be nobody's readers, and PostgreSQL would go
through all readers in the hope that the next one is suppressed; so beyond these it first finds all who are meant."""


def count(conditions: Sequence[Condition], now: datetime, among: Among, at_most: int | None = None) -> int:
    """How many they are, or `at_most` where there are more. Raises ConditionsOutdated."""
    of_person, of_subscription = clauses(conditions, now, among)
    if of_subscription:
        found = sa.select(Subscription.subscriber_id).where(*of_subscription)
        found = found.join(Subscriber).where(*of_person) if of_person else found
        found = found if _is_of_one(conditions, among) else found.distinct()
    else:
        found = sa.select(Subscriber.id).where(*of_person)
    return db.session.scalar(sa.select(sa.func.count()).select_from(found.limit(at_most).subquery())) or 0


def _is_of_one(conditions: Sequence[Condition], among: Among) -> bool:
    """Whether nobody can have two subscriptions that meet them."""
    named = any(isinstance(one, OfNewsletter | InSlot) for one in conditions)
    return named or (among is not None and len(among) < 2)
