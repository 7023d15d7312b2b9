"""How many read each newsletter, day by day: who began, who left, and who reads at the day's end.

Consent events say who began and who left, and the subscriptions how many read now; every earlier day is counted back
from there. So today's row is written anew each hour, and a day that is over for a while is written once and stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, aliased, mapped_column

from newsletter.foundation.database import Base, db, insert_into, one_moment, transaction
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.consent import FROM, TO
from newsletter.subscribers.models import ConsentEvent, ConsentKind, Subscription, SubscriptionState

DAYS = 90
A_DAY = timedelta(days=1)

GRACE = timedelta(minutes=10)
"""So long after a day's end, what was decided within it is durable, and in the table."""


class SubscriberDay(Base):
    """One day of UTC in one newsletter. `joined` and `left` are those of the day, `active` is at its end.

    A row that was counted when its day was over is final. One that says it was counted later than now was written by a
    clock that has been set back since, and is not believed.
    """

    __tablename__ = "subscriber_days"

    newsletter_id: Mapped[int] = mapped_column(sa.ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    active: Mapped[int]
    joined: Mapped[int]
    left: Mapped[int]
    counted_at: Mapped[datetime]


@dataclass(frozen=True)
class Turn:
    """How many began and how many left on a day."""

    joined: int = 0
    left: int = 0

    @property
    def more(self) -> int:
        return self.joined - self.left


Turns = Mapping[tuple[int, date], Turn]
"""By newsletter and day."""


def growth(newsletter_ids: Collection[int], now: datetime) -> Mapping[int, Sequence[SubscriberDay]]:
    """The last days of each newsletter that has any, the earliest first."""
    found: dict[int, list[SubscriberDay]] = {}
    query = sa.select(SubscriberDay).where(
        SubscriberDay.newsletter_id.in_(newsletter_ids),
        SubscriberDay.day.between(_first(now), now.date()),
    )
    for one in db.session.scalars(query.order_by(SubscriberDay.newsletter_id, SubscriberDay.day)):
        found.setdefault(one.newsletter_id, []).append(one)
    return found


def _first(now: datetime) -> date:
    return now.date() - timedelta(days=DAYS - 1)


def count_due(now: datetime) -> int:
    """Write down today, and the days before it that are not final yet; says how many."""
    open_days = {id: list(_open(begun, known, now)) for id, (begun, known) in _known(now).items()}
    earliest = min((days[0] for days in open_days.values() if days), default=None)
    if earliest is None:
        return 0
    with one_moment() as connection:
        active, turns = _active(connection), _turns(connection, earliest)
    rows = [row for id, days in open_days.items() for row in _rows(id, days, active.get(id, 0), turns, now)]
    _keep(rows, now)
    return len(rows)


def _keep(rows: Sequence[dict[str, object]], now: datetime) -> None:
    made = insert_into(SubscriberDay)
    anew = {name: made.excluded[name] for name in ("active", "joined", "left", "counted_at")}
    with transaction() as session:
        session.execute(sa.delete(SubscriberDay).where(SubscriberDay.day > now.date()))
        session.execute(made.on_conflict_do_update(index_elements=["newsletter_id", "day"], set_=anew), rows)


def _known(now: datetime) -> dict[int, tuple[date, dict[date, datetime]]]:
    """Of each newsletter when it was made, and when each of its days was counted."""
    made = db.session.execute(sa.select(Newsletter.id, Newsletter.created_at)).all()
    found: dict[int, tuple[date, dict[date, datetime]]] = {id: (at.date(), {}) for id, at in made}
    days = sa.select(SubscriberDay.newsletter_id, SubscriberDay.day, SubscriberDay.counted_at)
    for id, day, counted_at in db.session.execute(days.where(SubscriberDay.day >= _first(now))):
        found[id][1][day] = counted_at
    return found


def _open(begun: date, counted: Mapping[date, datetime], now: datetime) -> Iterator[date]:
    """The days to be counted, the earliest first; today is always one of them. A clock that was set back may have told
    of days before the first."""
    day = max(_first(now), min(begun, now.date(), *counted))
    while day <= now.date():
        if day not in counted or not _end(day) + GRACE <= counted[day] <= now:
            yield day
        day += A_DAY


def _end(day: date) -> datetime:
    return datetime.combine(day + A_DAY, time(), UTC)


def _active(connection: Connection) -> dict[int, int]:
    reading = sa.select(Subscription.newsletter_id, sa.func.count()).where(
        Subscription.state == SubscriptionState.ACTIVE
    )
    return dict(connection.execute(reading.group_by(Subscription.newsletter_id)).tuples().all())


def _rows(id: int, days: Sequence[date], active: int, turns: Turns, now: datetime) -> Iterator[dict[str, object]]:
    """Counted back from how many read now, over what happened since each day's end."""
    theirs = sorted(((day, turn) for (of, day), turn in turns.items() if of == id), reverse=True)
    for day in reversed(days):
        since = sum(turn.more for at, turn in theirs if at > day)
        turn = turns.get((id, day), Turn())
        counted = {"active": active - since, "joined": turn.joined, "left": turn.left, "counted_at": now}
        yield {"newsletter_id": id, "day": day} | counted


# Who began and who left


def _turns(connection: Connection, since: date) -> Turns:
    """What every event since the beginning of a day adds up to.

    A leaving and what takes it back are only written when they change something. A confirmation is written each time,
    so it counts when the person did not read at that moment: by their event before it, in the order of writing, which
    a clock that is set back does not turn round.
    """
    day = _day_of(ConsentEvent.at)
    begin = sa.func.count().filter(_begins())
    end = sa.func.count().filter(ConsentEvent.kind == ConsentKind.UNSUBSCRIBED)
    rows = connection.execute(
        sa.select(ConsentEvent.newsletter_id, day, begin, end)
        .where(ConsentEvent.at >= datetime.combine(since, time(), UTC), ConsentEvent.kind.in_(TURNING))
        .group_by(ConsentEvent.newsletter_id, day)
    )
    found = {(id, date.fromisoformat(on)): Turn(joined, left) for id, on, joined, left in rows}
    for key, more in Counter((event.newsletter_id, event.at.date()) for event in _moved(connection, since)).items():
        found[key] = Turn(found[key].joined + more, found[key].left)
    return found


TURNING = (ConsentKind.CONFIRMED, ConsentKind.RETURNED, ConsentKind.UNSUBSCRIBED)


def _day_of(at: sa.orm.InstrumentedAttribute[datetime]) -> sa.ColumnElement[str]:
    """As text, YYYY-MM-DD, in UTC."""
    if db.engine.dialect.name == "postgresql":
        return sa.func.to_char(sa.func.timezone("UTC", at), "YYYY-MM-DD")
    return sa.func.strftime("%Y-%m-%d", at)


def _begins() -> sa.ColumnElement[bool]:
    """Whether somebody begins to read by an event. Of who has moved to the address it is not known here."""
    before = sa.func.coalesce(_before(ConsentEvent.address_hash, ConsentEvent.newsletter_id, ConsentEvent.id), "")
    anew = before.not_in((*READS, FROM))
    return sa.or_(ConsentEvent.kind == ConsentKind.RETURNED, sa.and_(ConsentEvent.kind == ConsentKind.CONFIRMED, anew))


READS = (ConsentKind.CONFIRMED.value, ConsentKind.RETURNED.value)


def _before(
    address_hash: sa.SQLColumnExpression[str],
    newsletter_id: sa.SQLColumnExpression[int],
    id: sa.SQLColumnExpression[int],
) -> sa.ScalarSelect[str]:
    """What an address last said of a newsletter before the event of that id: its kind, or the note of a move."""
    earlier = aliased(ConsentEvent)
    moved = sa.and_(earlier.kind == ConsentKind.CHANGED, earlier.note.in_((TO, FROM)))
    return (
        sa.select(sa.case((moved, earlier.note), else_=sa.cast(earlier.kind, sa.String)))
        .where(
            earlier.address_hash == address_hash,
            earlier.newsletter_id == newsletter_id,
            earlier.id < id,
            sa.or_(earlier.kind.in_((*TURNING, ConsentKind.ERASED)), moved),
        )
        .order_by(earlier.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _moved(connection: Connection, since: date) -> list[sa.Row[tuple[int, str, int, datetime]]]:
    """Confirmations of who moved to the address before and did not read then. They are few."""
    event = ConsentEvent
    found = connection.execute(
        sa.select(event.id, event.address_hash, event.newsletter_id, event.at).where(
            event.at >= datetime.combine(since, time(), UTC),
            event.kind == ConsentKind.CONFIRMED,
            _before(event.address_hash, event.newsletter_id, event.id) == FROM,
        )
    )
    return [one for one in found.all() if not _read_then(connection, one.address_hash, one.newsletter_id, one.id)]


def _read_then(connection: Connection, address_hash: str, newsletter_id: int, id: int) -> bool:
    """Whether they read at that event, by what they said under the address before; a move writes both in one go."""
    said = connection.scalar(sa.select(_before(sa.literal(address_hash), sa.literal(newsletter_id), sa.literal(id))))
    if said != FROM:
        return said in READS
    came, went = aliased(ConsentEvent), aliased(ConsentEvent)
    former = connection.execute(
        sa.select(went.address_hash, went.id)
        .join(came, sa.and_(came.at == went.at, came.newsletter_id == went.newsletter_id, went.id < came.id))
        .where(
            came.address_hash == address_hash,
            came.newsletter_id == newsletter_id,
            came.id < id,
            came.note == FROM,
            went.note == TO,
        )
        .order_by(came.id.desc(), went.id.desc())
        .limit(1)
    ).first()
    return former is not None and _read_then(connection, former.address_hash, newsletter_id, former.id)
