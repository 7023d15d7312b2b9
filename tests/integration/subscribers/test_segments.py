"""Whom conditions find: all they are about and nobody else, whoever asks; nobody where they cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import product

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.mail import addresses
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Slot
from newsletter.subscribers import segmenting, segments
from newsletter.subscribers.desk_models import Among, Segment
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionOrigin, SubscriptionState
from newsletter.subscribers.segmenting import NameTaken, NameWrong, NoConditions
from newsletter.subscribers.segments import (
    AtDomain,
    Bounced,
    CameBy,
    Condition,
    ConditionsOutdated,
    ConditionsUnreadable,
    InSlot,
    InState,
    Joined,
    Left,
    OfNewsletter,
    Part,
    ReaderState,
)
from tests.conftest import MORNING, BuildHouse, House
from tests.integration.subscribers import put_on_the_list
from tests.support import newsroom

TODAY = MORNING.date()
ORIGINS = (SubscriptionOrigin.FORM, SubscriptionOrigin.IMPORT)
ADDRESSES = (
    "Ann@Example.org",
    "a%n_n@example.org",
    "bob@mail.example.org",
    "bob@notexample.org",
    "cleo@bücher.example",
    "ännie@example.net",
    "dora+news@example.net",
)


@pytest.fixture
def world(either_house: House) -> House:
    """Some dozens of readers: of either newsletter or both, in every state, by two ways, on both sides of a day."""
    fill(either_house)
    return either_house


def fill(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    tokyo = post.slot("Asia/Tokyo", time(7, 0))
    kinds = product(("active", "paused", "over", "left"), ORIGINS, (0, 3))
    places = ((post, post.slot_id), (post, tokyo), (courier, courier.slot_id))
    with house.app.app_context(), transaction() as session:
        for number, ((kind, origin, ago), (paper, slot_id)) in enumerate(product(kinds, places)):
            name, at, domain = ADDRESSES[number % len(ADDRESSES)].partition("@")
            person = _person(house, f"{name}{number}{at}{domain}" if number >= len(ADDRESSES) else name + at + domain)
            person.bounced_at = house.now if number % 5 == 0 else None
            person.subscriptions = [_subscription(paper.id, slot_id, kind, origin, ago)]
            if number % 4 == 0 and paper is post:
                person.subscriptions.append(_subscription(courier.id, courier.slot_id, "active", origin, 1))
            session.add(person)
    for address in ("Ann@Example.org", "bob@notexample.org"):
        put_on_the_list(house, SuppressionReason.COMPLAINT, address)
    put_on_the_list(house, SuppressionReason.BY_HAND, "Ann@Example.org")


def _person(house: House, address: str) -> Subscriber:
    normalised = addresses.normalise(address)
    hashed = house.keys.address_hash(normalised)
    return Subscriber(address=address, normalised=normalised, address_hash=hashed, created_at=house.now)


def _subscription(newsletter_id: int, slot_id: int, kind: str, origin: SubscriptionOrigin, ago: int) -> Subscription:
    """`over` is a pause whose first day is today; in Tokyo the day is the same at this hour."""
    moment = datetime.combine(TODAY, time(0, 0), UTC) - timedelta(days=ago)
    until = {"paused": TODAY + timedelta(days=1), "over": TODAY}.get(kind)
    left = kind == "left"
    return Subscription(
        newsletter_id=newsletter_id,
        slot_id=slot_id,
        state=SubscriptionState.UNSUBSCRIBED if left else SubscriptionState.ACTIVE,
        paused_until=until,
        confirmed_at=moment,
        unsubscribed_at=moment + timedelta(hours=23, minutes=59, seconds=59) if left else None,
        origin=origin,
    )


# The same in plain words


class Known:
    """All that is in the tables, read once."""

    def __init__(self, house: House) -> None:
        with house.app.app_context():
            self.listed = set(db.session.scalars(sa.text("SELECT address_hash FROM suppressions")))
            self.slots = {slot.id: slot.zone for slot in db.session.scalars(sa.select(Slot))}
            with_all = sa.select(Subscriber).options(sa.orm.selectinload(Subscriber.subscriptions))
            self.people = db.session.scalars(with_all).all()
            db.session.expunge_all()
        self.now = house.now


def oracle(known: Known, conditions: tuple[Condition, ...], among: Among) -> set[int]:
    return {
        one.id
        for one in known.people
        if all(fits_person(one, condition, known.listed) for condition in conditions)
        and _has_fitting(one, conditions, among, known.slots, known.now)
    }


def _has_fitting(
    one: Subscriber, conditions: tuple[Condition, ...], among: Among, slots: dict[int, str], now: datetime
) -> bool:
    mine = [own for own in one.subscriptions if among is None or own.newsletter_id in among]
    if among is None and not any(is_of_subscription(condition) for condition in conditions):
        return True
    return any(all(fits(own, condition, slots, now) for condition in conditions) for own in mine)


def is_of_subscription(condition: Condition) -> bool:
    suppressed = InState(ReaderState.SUPPRESSED)
    return not isinstance(condition, Part | AtDomain | Bounced) and condition != suppressed


def fits_person(one: Subscriber, condition: Condition, listed: set[str]) -> bool:
    match condition:
        case Part(text):
            return text.lower() in one.normalised or text.lower() in one.address.lower()
        case AtDomain(name):
            return one.normalised.rpartition("@")[2] == name
        case Bounced():
            return one.bounced_at is not None
        case InState(ReaderState.SUPPRESSED):
            return one.address_hash in listed
        case InState(ReaderState.ACTIVE):
            return one.address_hash not in listed
    return True


def fits(own: Subscription, condition: Condition, slots: dict[int, str], now: datetime) -> bool:
    gone = own.state is SubscriptionState.UNSUBSCRIBED
    today = calendar.local_date_at(now, slots[own.slot_id])
    paused = not gone and own.paused_until is not None and own.paused_until > today
    match condition:
        case OfNewsletter(id):
            return own.newsletter_id == id
        case InSlot(id):
            return own.slot_id == id
        case CameBy(origin):
            return own.origin is origin
        case Joined(since, until):
            return (since or date.min) <= own.confirmed_at.date() <= (until or date.max)
        case Left(since, until):
            at = own.unsubscribed_at
            return gone and at is not None and (since or date.min) <= at.date() <= (until or date.max)
        case InState(ReaderState.ACTIVE):
            return not gone and not paused
        case InState(ReaderState.PAUSED):
            return paused
        case InState(ReaderState.UNSUBSCRIBED):
            return gone
    return True


@pytest.fixture(autouse=True)
def _few_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is far is looked for in another way, here too."""
    monkeypatch.setattr(segments, "NEAR", 5)


def found(house: House, conditions: tuple[Condition, ...], among: Among = None) -> set[int]:
    with house.app.app_context():
        people = segments.readers(conditions, house.now, among, limit=1000)
        assert segments.count(conditions, house.now, among) == len(people)
        assert segments.count(conditions, house.now, among, at_most=3) == min(3, len(people))
        assert [one.id for one in people] == sorted((one.id for one in people), reverse=True)
        return {one.id for one in people}


DAYS = (None, TODAY - timedelta(days=3), TODAY, date.max)
CHOICES: dict[str, tuple[Condition, ...]] = {
    "part": (*map(Part, ("ann", "EXAMPLE", "%", "_", "/", "bücher", "Ä", "news@", "'; --", "nobody")),),
    "newsletter": (OfNewsletter(1), OfNewsletter(2)),
    "slot": (InSlot(1), InSlot(2), InSlot(3)),
    "state": (*map(InState, ReaderState),),
    "source": (*map(CameBy, (*ORIGINS, SubscriptionOrigin.STAFF)),),
    "joined": (*(Joined(*span) for span in product(DAYS, DAYS)),),
    "left": (*(Left(*span) for span in product(DAYS, DAYS)),),
    "domain": (*map(AtDomain, ("example.org", "mail.example.org", "xn--bcher-kva.example", "nowhere.example")),),
    "bounced": (Bounced(),),
}


def every_one() -> Iterator[Condition]:
    for choices in CHOICES.values():
        yield from choices


def test_each_condition_finds_whom_it_is_about(world: House) -> None:
    known = Known(world)
    for condition, among in product(every_one(), (None, frozenset({1}), frozenset({1, 2}), frozenset())):
        assert found(world, (condition,), among) == oracle(known, (condition,), among), (condition, among)


some_conditions = st.fixed_dictionaries({}, optional={name: st.sampled_from(of) for name, of in CHOICES.items()}).map(
    lambda chosen: tuple(chosen.values())
)
some_newsletters = st.sampled_from((None, frozenset({1}), frozenset({2}), frozenset({1, 2})))


def test_conditions_together_find_who_meets_them_all(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url)
    fill(house)
    known = Known(house)

    @given(conditions=some_conditions, among=some_newsletters)
    def together(conditions: tuple[Condition, ...], among: Among) -> None:
        assert found(house, conditions, among) == oracle(known, conditions, among)
        assert segments.read(segments.written(conditions)) == conditions

    together()


@pytest.mark.parametrize("conditions", [(), (Part("example"),), (OfNewsletter(1),), (InState(ReaderState.SUPPRESSED),)])
def test_a_page_continues_below_the_last_one(world: House, conditions: tuple[Condition, ...]) -> None:
    whole = sorted(found(world, conditions), reverse=True)
    pages: list[int] = []
    with world.app.app_context():
        while page := segments.readers(conditions, world.now, None, before=pages[-1] if pages else None, limit=1):
            assert len(page) == 1
            pages += [one.id for one in page]
    assert pages == whole
    assert len(pages) > 1


# What is kept


UNREADABLE = (
    None,
    {},
    "x",
    5,
    [None],
    ["part"],
    [[]],
    [{}],
    [{"kind": None}],
    [{"kind": ["part"]}],
    [{"kind": "sql", "text": "1=1"}],
    [{"kind": "part"}],
    [{"kind": "part", "text": "a", "or": "b"}],
    [{"kind": "part", "text": 5}],
    [{"kind": "part", "text": ""}],
    [{"kind": "part", "text": "a\0b"}],
    [{"kind": "part", "text": "a" * 300}],
    [{"kind": "part", "text": ["a"]}],
    [{"kind": "newsletter", "id": "1"}],
    [{"kind": "newsletter", "id": True}],
    [{"kind": "newsletter", "id": 0}],
    [{"kind": "newsletter", "id": 2**31}],
    [{"kind": "newsletter", "id": 1.0}],
    [{"kind": "state", "state": "dead"}],
    [{"kind": "source", "origin": {"form": 1}}],
    [{"kind": "joined", "since": "yesterday", "until": None}],
    [{"kind": "joined", "since": 20260303, "until": None}],
    [{"kind": "left", "since": None}],
    [{"kind": "bounced", "yes": True}],
    [{"kind": "bounced"}, {"kind": "bounced"}],
)


@pytest.mark.parametrize("kept", UNREADABLE, ids=repr)
def test_what_is_no_condition_of_ours_is_not_read(kept: object) -> None:
    with pytest.raises(ConditionsUnreadable, match="Nobody was touched"):
        segments.read(kept)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.sampled_from([*segments.KINDS, "id", "kind"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "id", "text", "state"]), inner)
        ),
        max_leaves=6,
    )
)
def test_whatever_stands_there_it_is_read_whole_or_not_at_all(kept: object) -> None:
    try:
        conditions = segments.read(kept)
    except ConditionsUnreadable:
        return
    assert segments.written(conditions) == kept


def test_conditions_about_what_is_gone_find_nobody_and_say_so(world: House) -> None:
    for gone in (OfNewsletter(99), InSlot(99)):
        with world.app.app_context(), pytest.raises(ConditionsOutdated, match="Nobody was touched"):
            segments.readers((gone,), world.now, None)
        with world.app.app_context(), pytest.raises(ConditionsOutdated):
            segmenting.save("Gone", (gone,), world.now, COMMAND, None)


def test_a_segment_is_for_who_works_for_all_that_it_names(house: House) -> None:
    newsroom.found(house), newsroom.found(house, "ridge-courier")
    one, both = frozenset({1}), frozenset({1, 2})
    with house.app.app_context():
        whole = segmenting.save("Whole", (Bounced(),), house.now, COMMAND, None)
        post = segmenting.save("Post", (OfNewsletter(1),), house.now, COMMAND, None)
        courier = segmenting.save("Courier", (InSlot(2),), house.now, COMMAND, None)
        theirs = segmenting.save("Theirs", (Bounced(),), house.now, COMMAND, both)
        for_whom = {
            among: {one.id for one in segmenting.every() if segmenting.is_for(one, among)}
            for among in (None, one, frozenset({2}), both)
        }
        with pytest.raises(ConditionsOutdated):
            segmenting.save("Not mine", (OfNewsletter(2),), house.now, COMMAND, one)
    assert for_whom == {
        None: {whole, post, courier, theirs},
        one: {post},
        frozenset({2}): {courier},
        both: {post, courier, theirs},
    }


def test_a_segment_has_a_name_of_its_own_and_conditions(house: House) -> None:
    newsroom.found(house)
    with house.app.app_context():
        segmenting.save("One", (Bounced(),), house.now, COMMAND, None)
        for name, conditions, wrong in (
            ("One", (Bounced(),), NameTaken),
            (" \n ", (Bounced(),), NameWrong),
            ("x" * 81, (Bounced(),), NameWrong),
            ("Two", (), NoConditions),
            ("Two", (Part("ann@example.org"),), NoConditions),
        ):
            with pytest.raises(wrong):
                segmenting.save(name, conditions, house.now, COMMAND, None)
        assert [one.name for one in segmenting.every()] == ["One"]


def test_a_segment_that_was_tampered_with_is_not_read(house: House) -> None:
    newsroom.found(house)
    with house.app.app_context():
        id = segmenting.save("One", (Bounced(),), house.now, COMMAND, None)
        with transaction() as session:
            session.get_one(Segment, id).conditions = [{"kind": "part", "text": "x' OR 1=1", "also": "y"}]
        with pytest.raises(ConditionsUnreadable):
            segmenting.conditions_of(db.session.get_one(Segment, id))
