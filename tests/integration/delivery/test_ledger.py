"""The ledger: who is in the audience, who works on a row, and what may be written about it (DESIGN.md, rules 8-12)."""

from __future__ import annotations

from datetime import date, time, timedelta
from threading import Event

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from newsletter.delivery import audience, ledger, releasing, shards
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, SkipReason
from newsletter.delivery.shards import LEASE, Claimed, Leased
from newsletter.editions.models import EditionState
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import transaction
from newsletter.foundation.links import Purpose
from newsletter.mail.smtp import Outcome, Reply
from newsletter.subscribers import mails, signing_up, suppressing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import SubscriptionState
from newsletter.subscribers.signing_up import Wishes
from tests.conftest import BuildHouse, House
from tests.support import attempts, newsroom
from tests.support.newsroom import (
    SUBJECTS,
    Paper,
    delivery,
    edition_state,
    found,
    ledger_of,
    orphans,
    send,
    sending,
)
from tests.support.racing import beside, wait_for_a_lock

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"
ACCEPTED = Reply(Outcome.ACCEPTED, "250 taken")


# The audience


def test_the_audience_is_the_slot_s_active_readers_and_says_who_is_left_out(either_house: House) -> None:
    house = either_house
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(ANN)
    paper.readers(BOB, paused_until=date(2026, 3, 4))
    paper.readers(CLEO)
    paper.readers("left@example.org", state=SubscriptionState.UNSUBSCRIBED)
    paper.readers("elsewhere@example.org", slot_id=paper.slot("Asia/Tokyo", time(6)))
    with house.app.app_context():
        suppressing.suppress(CLEO.upper(), "", house.now, house.keys, COMMAND)

    edition_id = paper.draft()
    with house.app.app_context():
        expected = audience.audience_now(paper.slot_id, house.now.date())
    send(house, edition_id)

    assert ledger_of(house, edition_id) == {"pending": 1, "skipped(paused)": 1, "skipped(suppressed)": 1}
    assert expected == 1
    house.work()
    assert [mail.recipient for mail in house.inbox.mails] == [ANN]


def test_who_pauses_until_the_edition_s_own_date_is_in(house: House) -> None:
    """`paused_until` is the first date mailed again (rule 15)."""
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(ANN, paused_until=house.now.date())
    edition_id = paper.draft()
    send(house, edition_id)

    assert ledger_of(house, edition_id) == {"pending": 1}


def test_an_edition_without_readers_is_sent_at_once(house: House) -> None:
    _, edition_id = sending(house)
    house.work()

    assert ledger_of(house, edition_id) == {}
    assert edition_state(house, edition_id) == "sent"


def test_a_reader_who_moves_to_a_later_slot_gets_one_daily_edition_a_date(either_house: House) -> None:
    house = either_house
    paper, first = sending(house, ANN, BOB)
    house.work()
    later = paper.slot("UTC", time(7))
    paper.change(ANN, slot_id=later)
    paper.readers(CLEO, slot_id=later)
    house.later(hours=1)
    paper.tells("One more", "And another")
    second = Paper(house, paper.id, paper.slug, later).draft()
    send(house, second)
    house.work()

    assert len(house.inbox.of(ANN)) == 1
    assert ledger_of(house, first) == {"accepted": 2}
    assert ledger_of(house, second) == {"accepted": 1}


def test_a_reader_who_moves_gets_the_next_date_s_edition_in_the_new_slot(house: House) -> None:
    paper, _ = sending(house, ANN)
    house.work()
    later = paper.slot("UTC", time(7))
    paper.change(ANN, slot_id=later)
    house.later(hours=25)
    paper.tells("One more", "And another")
    second = Paper(house, paper.id, paper.slug, later).draft()
    send(house, second)
    house.work()

    assert ledger_of(house, second) == {"accepted": 1}


@pytest.mark.postgresql
def test_two_slots_that_are_frozen_beside_each_other_give_nobody_two_editions_of_a_date(
    build_house: BuildHouse, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each freeze looks at whom the other has in its ledger, so the second one waits for the first one's end."""
    house = build_house(postgres_url)
    paper = found(house)
    later = paper.slot("UTC", time(7))
    paper.tells(*SUBJECTS)
    paper.readers(ANN, BOB)
    paper.readers(CLEO, slot_id=later)
    first = paper.draft()
    house.later(hours=1)
    second = Paper(house, paper.id, paper.slug, later).draft()
    frozen, moved = Event(), Event()
    open_for = shards.open_for

    def linger(*args: object) -> None:
        """Inside the first freeze: its rows are written and not committed."""
        if not frozen.is_set():
            frozen.set()
            assert moved.wait(20)
            wait_for_a_lock(house)
        open_for(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "open_for", linger)

    def freeze_the_other() -> None:
        assert frozen.wait(20)
        paper.change(ANN, slot_id=later)
        moved.set()
        send(house, second)

    with beside(freeze_the_other):
        send(house, first)

    assert ledger_of(house, first) == {"pending": 2}
    assert ledger_of(house, second) == {"pending": 1}


def test_each_index_of_the_ledger_grows_at_one_place_and_sending_changes_none() -> None:
    """A freeze's entries are neighbours, however many days are in the ledger; and what sending changes is in none."""
    indexes = {tuple(column.name for column in index.columns) for index in Delivery.__table__.indexes}  # type: ignore[attr-defined]
    unique = {
        tuple(column.name for column in constraint.columns)
        for constraint in Delivery.__table__.constraints  # type: ignore[attr-defined]
        if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
    }
    changed_by_sending = {
        *("state", "skip_reason", "revision_id", "attempts", "attempt"),
        *("next_attempt_at", "finish_by", "last_reply", "updated_at"),
    }
    assert {columns[0] for columns in indexes | unique} == {"id", "edition_id", "local_date"}
    assert not {name for columns in indexes | unique for name in columns} & changed_by_sending


def test_the_database_refuses_a_second_row_for_the_same_reader(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN)
    row = delivery(house, ANN)
    same = {c.name: getattr(row, c.name) for c in Delivery.__table__.columns if c.name != "id"}

    for changed in ({}, {"edition_id": edition_id + 1}):  # rule 8; rule 5: another slot, the same date
        with house.app.app_context(), pytest.raises(IntegrityError), transaction() as session:
            session.execute(sa.insert(Delivery).values(**same | changed))
    with house.app.app_context(), transaction() as session:  # a correction is no daily edition
        session.execute(sa.insert(Delivery).values(**same | {"edition_id": edition_id + 1, "kind": "correction"}))
    with house.app.app_context():
        assert len(orphans()) == 1, "and the test that looks for orphans finds one"


def test_the_database_refuses_a_skip_without_a_reason_and_words_that_it_does_not_know(either_house: House) -> None:
    house = either_house
    sending(house, ANN)

    for name, word in (("state", "skipped"), ("skip_reason", "left"), ("state", "posted")):
        change = sa.update(Delivery).values(**{name: sa.literal(word, sa.String)})
        with house.app.app_context(), pytest.raises(IntegrityError), transaction() as session:
            session.execute(change)


# Confirming beside the freeze


def test_who_confirms_before_the_freeze_is_in_and_after_it_is_not(house: House) -> None:
    paper = found(house)
    paper.tells(*SUBJECTS)
    edition_id = paper.draft()
    confirm(house, ask(house, paper, ANN))
    token = ask(house, paper, BOB)
    send(house, edition_id)
    confirm(house, token)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}
    assert newsroom.delivery(house, BOB).kind is DeliveryKind.WELCOME, "who comes later has a copy of his own"


def test_a_freeze_waits_for_a_reader_who_is_just_confirming(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = either_house
    paper = found(house)
    paper.tells(*SUBJECTS)
    edition_id = paper.draft()
    token = ask(house, paper, ANN)
    confirming, begun = Event(), Event()
    put_welcome = mails.put_welcome

    def linger(*args: object) -> None:
        """Inside confirm's transaction: the subscription is written and not committed."""
        confirming.set()
        assert begun.wait(20)
        wait_for_a_lock(house)
        put_welcome(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(mails, "put_welcome", linger)

    def freeze() -> None:
        assert confirming.wait(20)
        begun.set()
        send(house, edition_id)

    with beside(freeze):
        confirm(house, token)

    assert ledger_of(house, edition_id) == {"pending": 1}


def test_who_confirms_during_the_freeze_waits_and_is_not_in(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = either_house
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(BOB)
    edition_id = paper.draft()
    token = ask(house, paper, ANN)
    freezing, begun = Event(), Event()
    freeze = releasing.freeze

    def linger(*args: object) -> None:
        freeze(*args)  # type: ignore[arg-type]
        freezing.set()
        assert begun.wait(20)
        wait_for_a_lock(house)

    monkeypatch.setattr(releasing, "freeze", linger)

    def confirm_then() -> None:
        assert freezing.wait(20)
        begun.set()
        confirm(house, token)

    with beside(confirm_then):
        send(house, edition_id)

    assert ledger_of(house, edition_id) == {"pending": 1}
    with house.app.app_context():
        assert audience.audience_now(paper.slot_id, house.now.date()) == 2, "both have the next one"


def ask(house: House, paper: Paper, address: str) -> str:
    """A visitor asks; the token of the link that he gets."""
    with house.app.app_context():
        asked = signing_up.request(Wishes([paper.slug]), address, Origin(), house.now, house.keys)
        return house.links.make(Purpose.CONFIRM, asked.id, asked.expires_at)


def confirm(house: House, token: str) -> None:
    with house.app.app_context():
        signing_up.confirm(token, Origin(), house.now, house.keys, house.links)


# Leases


def test_a_leased_row_is_nobody_else_s_until_the_lease_ends(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        first = lease(house)
        assert len(first.rows) == 2
        assert shards.lease(house.now) is None
        house.clock.at += LEASE
        second = lease(house)
        assert {row.id for row in second.rows} == {row.id for row in first.rows}

        assert started(house, first.rows[0]) is None, "the first holder is not believed any more"
        assert started(house, second.rows[0]) is not None
    assert ledger_of(house, edition_id) == {"pending": 1, "sending": 1}


def test_a_lease_is_not_sending(house: House) -> None:
    """Rule 10: a worker that dies with a lease leaves no doubt about its rows."""
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        lease(house)
    house.clock.at += LEASE
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 2}


def test_two_shards_of_one_edition_have_no_row_in_common(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = either_house
    monkeypatch.setattr(shards, "SIZE", 2)
    sending(house, ANN, BOB, CLEO)
    with house.app.app_context():
        leased = [shards.lease(house.now) for _ in range(3)]
    rows = [row.id for shard in leased if shard for row in shard.rows]

    assert len(rows) == len(set(rows)) == 3


def test_the_edition_whose_slot_came_first_is_sent_first(house: House) -> None:
    paper = found(house)
    later = paper.slot("UTC", time(7))
    paper.tells(*SUBJECTS)
    paper.readers(ANN)
    paper.readers(BOB, slot_id=later)
    house.later(hours=1)
    second = Paper(house, paper.id, paper.slug, later).draft()
    send(house, second)
    first = paper.draft()
    send(house, first)
    house.work()

    assert [mail.recipient for mail in house.inbox.mails] == [ANN, BOB]


def test_rows_that_are_given_back_are_due_again_and_those_that_ended_stay(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB, CLEO)
    with house.app.app_context():
        shard = lease(house)
        attempt = started(house, shard.rows[0])
        assert attempt is not None
        record(house, shard.rows[0], attempt, ACCEPTED)
        shards.give_back(shard, house.now, house.now + timedelta(minutes=1))
        assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
        assert shards.lease(house.now) is None
        house.later(minutes=1)
        assert [row.id for row in lease(house).rows] == [row.id for row in shard.rows[1:]]


def test_a_shard_with_a_mail_on_its_way_is_believed_in_until_its_lease_ends(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        shard = lease(house)
        started(house, shard.rows[0])
        shards.give_back(shard, house.now)
        assert ledger_of(house, edition_id) == {"sending": 1, "pending": 1}
        assert shards.lease(house.now) is None
        house.clock.at += LEASE
        assert [row.id for row in lease(house).rows] == [shard.rows[1].id]
    assert ledger_of(house, edition_id) == {"uncertain": 1, "pending": 1}


def test_a_shard_that_was_leased_anew_is_not_given_back_by_its_former_holder(house: House) -> None:
    sending(house, ANN)
    with house.app.app_context():
        former = lease(house)
        house.clock.at += LEASE
        lease(house)
        shards.give_back(former, house.now)
        assert shards.lease(house.now) is None


# Orphans and late results


def test_a_mail_whose_worker_died_is_uncertain_after_its_lease_and_not_before(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN)
    with house.app.app_context():
        started(house, lease(house).rows[0])
    house.clock.at += LEASE - timedelta(seconds=1)
    house.work()
    assert ledger_of(house, edition_id) == {"sending": 1}
    assert edition_state(house, edition_id) == "sending"

    house.later(seconds=1)
    house.work()
    assert ledger_of(house, edition_id) == {"uncertain": 1}
    assert edition_state(house, edition_id) == "sent"
    house.later(hours=1)
    house.work()
    assert house.inbox.mails == [], "it is never sent again by itself"


def test_a_late_result_settles_an_uncertain_mail(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB, CLEO)
    outcomes = (Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNCERTAIN)
    with house.app.app_context():
        rows = lease(house).rows
        names = [started(house, row) for row in rows]
        house.clock.at += LEASE
        ledger.settle(house.now)
        assert ledger_of(house, edition_id) == {"uncertain": 3}
        for row, attempt, outcome in zip(rows, names, outcomes, strict=True):
            assert attempt is not None
            record(house, row, attempt, Reply(outcome, "words"))

    assert ledger_of(house, edition_id) == {"accepted": 1, "refused": 1, "uncertain": 1}
    assert delivery(house, CLEO).last_reply == "words"


def test_a_result_of_an_attempt_that_is_not_the_last_one_changes_nothing(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN)
    with house.app.app_context():
        leased = lease(house)
        (row,) = leased.rows
        first = started(house, row)
        assert first is not None
        record(house, row, first, Reply(Outcome.DEFERRED, "451 later"))
        shards.give_back(leased, house.now)
        house.later(minutes=5)
        (again,) = lease(house).rows
        second = started(house, again)
        assert second is not None
        record(house, row, first, Reply(Outcome.REFUSED, "550 no"))
        assert ledger_of(house, edition_id) == {"sending": 1}
        record(house, again, second, ACCEPTED)
        record(house, again, second, Reply(Outcome.REFUSED, "550 no"))

    assert ledger_of(house, edition_id) == {"accepted": 1}, "what is accepted stays accepted (rule 12)"
    assert delivery(house, ANN).attempts == 2


def test_only_what_is_due_can_be_started(house: House) -> None:
    sending(house, ANN)
    with house.app.app_context():
        (row,) = lease(house).rows
        for state in (state for state in DeliveryState if state not in shards.DUE):
            reason = SkipReason.LEFT if state is DeliveryState.SKIPPED else None
            with transaction() as session:
                session.execute(sa.update(Delivery).values(state=state, skip_reason=reason))
            assert started(house, row) is None
            assert delivery(house, ANN).state is state


def test_time_decides_nothing_about_rows_that_somebody_is_working_on(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    house.clock.at = house.clock.at.replace(hour=17, minute=55)
    with house.app.app_context():
        started(house, lease(house).rows[0])
        house.clock.at = house.clock.at.replace(hour=18, minute=0)
        assert ledger.settle(house.now) == 0
    assert ledger_of(house, edition_id) == {"sending": 1, "pending": 1}
    assert edition_state(house, edition_id) == EditionState.SENDING

    house.later(minutes=10)
    house.work()
    assert ledger_of(house, edition_id) == {"uncertain": 1, "skipped(expired)": 1}
    assert edition_state(house, edition_id) == EditionState.SENT


def lease(house: House) -> Leased:
    shard = shards.lease(house.now)
    assert shard is not None
    return shard


def started(house: House, row: Claimed) -> str | None:
    return attempts.start(row, house.now)


def record(house: House, row: Claimed, attempt: str, reply: Reply) -> None:
    attempts.record(row, attempt, reply, house.now)
