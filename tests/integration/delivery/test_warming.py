"""A new sending domain begins with few mails: how many readers an edition is frozen for, and which."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import audience, checking, correcting, releasing, shards
from newsletter.delivery.bounce_models import Bounce, Deed
from newsletter.delivery.models import Delivery, DeliveryState, Shard, SkipReason, skips_of
from newsletter.editions.models import Edition, edition
from newsletter.editions.preflight import Kind
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import DomainsConfig, MailConfig, WarmUpConfig
from newsletter.foundation.database import db, transaction
from newsletter.mail import verdicts
from newsletter.subscribers.consent import Origin, remember
from newsletter.subscribers.models import ConsentKind, Subscriber, subscriber_at
from tests.conftest import BuildHouse, House
from tests.support.inbox import Inbox
from tests.support.newsroom import SUBJECTS, Paper, found, ledger_of, send

FIRST_DAY = date(2026, 3, 3)
ANN, BOB, CLEO, DAN, EVA = (f"{name}@example.net" for name in ("ann", "bob", "cleo", "dan", "eva"))
ALL = (ANN, BOB, CLEO, DAN, EVA)

WarmHouse = Callable[..., House]


@pytest.fixture(params=["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def warm_house(url: str, build_house: BuildHouse, inbox: Inbox) -> WarmHouse:
    """A house whose domain is new, with the plan's numbers."""

    def build(*plan: int, **mail: object) -> House:
        values = {"domain": "example.org", "begins": FIRST_DAY, "plan": plan}
        warm_up = WarmUpConfig.model_validate(values | {k: mail.pop(k) for k in ("domain", "begins") if k in mail})
        settings = {"host": inbox.host, "port": inbox.port, "warm_up": warm_up}
        return build_house(url, mail=MailConfig.model_validate(settings | mail))

    return build


def paper_of(house: House, slug: str = "morning-post", **changed: str) -> Paper:
    paper = found(house, slug, **changed)
    paper.tells(*SUBJECTS)
    return paper


def go_out(paper: Paper) -> int:
    edition_id = paper.draft()
    send(paper.house, edition_id)
    return edition_id


def next_day(paper: Paper, *titles: str) -> int:
    """The edition of the day after, sent."""
    paper.house.later(hours=24)
    paper.tells(*titles)
    return go_out(paper)


def mailed(house: House, edition_id: int) -> set[str]:
    with house.app.app_context():
        chosen = sa.select(Subscriber.address).join(Delivery, Delivery.subscriber_id == Subscriber.id)
        which = chosen.where(Delivery.edition_id == edition_id, Delivery.state != DeliveryState.SKIPPED)
        return set(db.session.scalars(which))


def has_done(house: House, paper: Paper, address: str, kind: ConsentKind, days_ago: float, by: str = "") -> None:
    with house.app.app_context(), transaction():
        at = house.now - timedelta(days=days_ago)
        remember(kind, address, paper.id, Origin(), at, house.keys, **({"by": by} if by else {}))


def has_bounced(house: House, address: str, kind: verdicts.Kind) -> None:
    with house.app.app_context(), transaction() as session:
        reader = subscriber_at(address)
        assert reader is not None
        session.add(
            Bounce(
                received_at=house.now,
                digest=f"{address} {kind}",
                kind=kind,
                deed=Deed.COUNTED,
                status="4.2.2",
                diagnostic="full",
                address=address,
                sender="",
                subject="",
                subscriber_id=reader.id,
                needs_staff=False,
            )
        )


def test_a_day_s_edition_goes_to_as_many_as_the_plan_says_and_the_states_add_up(warm_house: WarmHouse) -> None:
    house = warm_house(2, 4)
    paper = paper_of(house)
    paper.readers(*ALL)
    paper.readers("away@example.net", paused_until=date(2026, 4, 1))
    first = go_out(paper)

    assert ledger_of(house, first) == {"pending": 2, "skipped(warm-up)": 3, "skipped(paused)": 1}
    house.work()
    assert len(house.inbox.mails) == 2
    with house.app.app_context():
        assert skips_of(first) == {SkipReason.WARM_UP: 3, SkipReason.PAUSED: 1}


def test_the_readers_of_one_day_are_those_of_the_day_before_and_more_until_it_is_all(warm_house: WarmHouse) -> None:
    house = warm_house(2, 4)
    paper = paper_of(house)
    paper.readers(*ALL)
    days = [go_out(paper)]
    house.work()
    for number in (1, 2):
        days.append(next_day(paper, f"One more {number}", f"And another {number}"))
        house.work()

    first, second, third = (mailed(house, one) for one in days)
    assert first < second < third == set(ALL)
    assert (len(first), len(second)) == (2, 4)
    assert ledger_of(house, days[-1]) == {"accepted": 5}, "after its end the plan limits nothing"


def test_who_came_in_stays_in_when_others_confirm_later(warm_house: WarmHouse) -> None:
    house = warm_house(2, 3)
    paper = paper_of(house)
    paper.readers(ANN, BOB)
    go_out(paper)
    house.later(hours=1)
    paper.readers(CLEO, DAN)
    for late in (CLEO, DAN):
        has_done(house, paper, late, ConsentKind.CONFIRMED, 0)
    second = next_day(paper, "One more", "And another")

    assert {ANN, BOB} < mailed(house, second)
    assert len(mailed(house, second)) == 3


def test_before_a_plan_begins_it_limits_nothing(warm_house: WarmHouse) -> None:
    house = warm_house(1, 2, begins=FIRST_DAY + timedelta(days=1))
    paper = paper_of(house)
    paper.readers(*ALL)

    assert ledger_of(house, go_out(paper)) == {"pending": 5}


def test_a_newsletter_of_another_domain_is_not_limited_and_does_not_count(warm_house: WarmHouse) -> None:
    house = warm_house(2)
    other, ours = paper_of(house, "other-post"), paper_of(house)
    with house.app.app_context(), transaction() as session:
        session.execute(
            sa.text("UPDATE newsletters SET from_address = 'post@example.com' WHERE id = :id"), {"id": other.id}
        )
    for paper in (other, ours):
        paper.readers(*(f"{paper.slug}-{name}" for name in ALL))

    assert ledger_of(house, go_out(other)) == {"pending": 5}
    assert ledger_of(house, go_out(ours)) == {"pending": 2, "skipped(warm-up)": 3}


def test_the_best_readers_come_first(warm_house: WarmHouse) -> None:
    """Whoever did something here lately, before those who did so long ago or never; last, whose mails came back."""
    house = warm_house(1, 2, 3, 4, 5)
    paper = paper_of(house)
    long_ago = house.now - timedelta(days=400)
    paper.readers(ANN, BOB, CLEO, confirmed_at=long_ago)
    paper.readers(DAN, confirmed_at=house.now - timedelta(days=1))
    paper.readers(EVA, confirmed_at=house.now)
    has_done(house, paper, ANN, ConsentKind.CONFIRMED, 400)
    has_done(house, paper, BOB, ConsentKind.CONFIRMED, 400)
    has_done(house, paper, BOB, ConsentKind.CHANGED, 3)
    has_done(house, paper, CLEO, ConsentKind.CONFIRMED, 1, by="staff ann@example.org")  # not their own deed
    has_done(house, paper, EVA, ConsentKind.CONFIRMED, 0)
    has_bounced(house, EVA, verdicts.Kind.SOFT)
    has_bounced(house, BOB, verdicts.Kind.POLICY)  # that is about us

    editions = [go_out(paper)]
    for number in range(4):
        editions.append(next_day(paper, f"One more {number}", f"And another {number}"))
    chosen = [mailed(house, one) for one in editions]
    assert [len(day) for day in chosen] == [1, 2, 3, 4, 5]
    added = [day - before for day, before in zip(chosen, [set[str](), *chosen], strict=False)]
    assert added == [{BOB}, {ANN}, {DAN}, {CLEO}, {EVA}]


def test_two_newsletters_of_one_domain_share_a_day(warm_house: WarmHouse) -> None:
    house = warm_house(6)
    first, second, third = (paper_of(house, slug) for slug in ("harbor-gazette", "ridge-courier", "bay-herald"))
    for paper in (first, second, third):
        paper.readers(*(f"{paper.slug}-{name}" for name in ALL))

    assert ledger_of(house, go_out(first)) == {"pending": 5}
    assert ledger_of(house, go_out(second)) == {"pending": 1, "skipped(warm-up)": 4}
    used_up = go_out(third)
    assert ledger_of(house, used_up) == {"skipped(warm-up)": 5}
    house.work()
    assert len(house.inbox.mails) == 6
    with house.app.app_context():
        assert str(db.session.get_one(Edition, used_up).state) == "sent", "there is nothing left to do in it"


def test_two_slots_share_a_day_and_a_reader_who_moved_is_in_one(warm_house: WarmHouse) -> None:
    house = warm_house(3)
    paper = paper_of(house)
    later = paper.slot("UTC", time(7))
    paper.readers(ANN, BOB)
    paper.readers(CLEO, DAN, slot_id=later)
    first = go_out(paper)
    paper.change(ANN, slot_id=later)
    house.later(hours=1)
    paper.tells("One more", "And another")
    second = go_out(Paper(house, paper.id, paper.slug, later))

    assert ledger_of(house, first) == {"pending": 2}
    assert ledger_of(house, second) == {"pending": 1, "skipped(warm-up)": 1}
    assert ANN not in mailed(house, second)


def test_a_correction_reaches_everybody_who_has_what_was_wrong(warm_house: WarmHouse) -> None:
    """Its readers have mail from there already; what it sends counts all the same."""
    house = warm_house(2)
    paper = paper_of(house)
    paper.readers(*ALL)
    first = go_out(paper)
    house.work()
    with house.app.app_context():
        corrected = correcting.prepare(first, None, house.now, COMMAND).id
        releasing.send(corrected, house.now, COMMAND)

    assert ledger_of(house, corrected) == {"pending": 2}
    assert mailed(house, corrected) == mailed(house, first)


def test_those_who_are_mailed_fill_the_first_shards(warm_house: WarmHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SIZE", 2)
    house = warm_house(3)
    paper = paper_of(house)
    paper.readers("away@example.net", paused_until=date(2026, 4, 1))
    paper.readers(*ALL)
    edition_id = go_out(paper)

    with house.app.app_context():
        numbers = sa.select(Shard.number).where(Shard.edition_id == edition_id).order_by(Shard.number)
        assert db.session.scalars(numbers).all() == [1, 2]
    assert ledger_of(house, edition_id) == {"pending": 3, "skipped(warm-up)": 2, "skipped(paused)": 1}


def test_preflight_says_before_the_approval_how_many_are_left_out(warm_house: WarmHouse) -> None:
    house = warm_house(2)
    paper = paper_of(house)
    paper.readers(*ALL)
    edition_id = paper.draft()
    with house.app.app_context():
        told = [one for one in checking.findings(edition(edition_id), house.now) if one.kind is Kind.WARM_UP]
        assert (audience.expected(edition(edition_id)), audience.left_out(edition(edition_id))) == (2, 3)

    assert [one.blocking for one in told] == [False]
    assert told[0].message.startswith("3 readers would get nothing: ")


def test_with_lanes_a_warm_up_still_counts_right(warm_house: WarmHouse) -> None:
    lane = DomainsConfig(name="net", domains=("example.net",))
    house = warm_house(3, domains=(lane,))
    paper = paper_of(house)
    paper.readers(*ALL, "fay@example.org")

    assert ledger_of(house, go_out(paper)) == {"pending": 3, "skipped(warm-up)": 3}
    house.work()
    assert len(house.inbox.mails) == 3


def test_without_a_plan_a_freeze_looks_at_no_deed_and_no_bounce(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url)
    seen: list[str] = []
    with house.app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    paper = paper_of(house)
    paper.readers(ANN)
    edition_id = paper.draft()
    seen.clear()
    send(house, edition_id)

    assert [text for text in seen if text.startswith("INSERT INTO deliveries ")]
    assert not [text for text in seen if "FROM bounces" in text or "FROM consent_events" in text]
