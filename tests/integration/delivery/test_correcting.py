"""A correction goes to those who may have received what was wrong, and to nobody else."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import audience, correcting, ending, releasing, shards
from newsletter.delivery.correcting import StillGoingOut
from newsletter.delivery.models import Delivery, DeliveryKind
from newsletter.editions.models import Edition, EditionKind, editions_out
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.mail.smtp import Outcome, Reply
from newsletter.subscribers import suppressing
from tests.conftest import House
from tests.integration.delivery import audited, drafted, during_the_first_mail, refusing
from tests.support.attempts import record, start
from tests.support.confirming import ask, confirm
from tests.support.newsroom import (
    Paper,
    delivery,
    edition_state,
    ledger_of,
    open_alert_keys,
    orphans,
    send,
    sending,
)

ANN, BOB, CLEO, DORA = (f"{name}@example.org" for name in ("ann", "bob", "cleo", "dora"))


def sent(house: House, *readers: str) -> tuple[Paper, int]:
    paper, edition_id = sending(house, *readers)
    house.work()
    return paper, edition_id


def prepare(house: House, edition_id: int, revision: int | None = None) -> int:
    """A correction of the revision with that number, or of the last one that anybody received; its id."""
    with house.app.app_context():
        revisions = {one.number: one.id for one in db.session.get_one(Edition, edition_id).revisions}
        wrong = revisions[revision] if revision else None
        return correcting.prepare(edition_id, wrong, house.now, COMMAND).id


def put_right(house: House, correction_id: int, subject: str = "Correction: the bridge is open") -> None:
    with house.app.app_context(), transaction():
        db.session.get_one(Edition, correction_id).revisions[-1].subject = subject


def corrected(house: House, edition_id: int, revision: int | None = None) -> int:
    """Prepared, put right and sent by hand."""
    correction_id = prepare(house, edition_id, revision)
    put_right(house, correction_id)
    send(house, correction_id)
    house.work()
    return correction_id


def subjects(house: House, address: str) -> list[str]:
    return [mail.subject for mail in house.inbox.of(address)]


# Whom it reaches


def test_it_reaches_those_who_have_what_was_wrong_and_nobody_else(either_house: House) -> None:
    house = either_house
    paper, edition_id = sending(house, ANN, BOB, CLEO)
    house.inbox.answer_rcpt = refusing(CLEO, "550 no such person")
    house.work()
    paper.readers(DORA, welcomed_at=house.now)
    correction_id = corrected(house, edition_id)

    assert subjects(house, ANN)[1:] == subjects(house, BOB)[1:] == ["Correction: the bridge is open"]
    assert (subjects(house, CLEO), subjects(house, DORA)) == ([], [])
    assert ledger_of(house, correction_id) == {"accepted": 2}
    assert ledger_of(house, edition_id) == {"accepted": 2, "refused": 1}
    with house.app.app_context():
        kinds = db.session.scalars(sa.select(Delivery.kind).where(Delivery.edition_id == correction_id))
        assert set(kinds) == {DeliveryKind.CORRECTION}
        made = db.session.get_one(Edition, correction_id)
        assert (made.kind, made.number, made.local_date) == (EditionKind.CORRECTION, 1, date(2026, 3, 3))


def test_who_left_or_paused_or_was_suppressed_since_is_in_its_ledger_and_gets_none(either_house: House) -> None:
    house = either_house
    paper, edition_id = sent(house, ANN, BOB, CLEO, DORA)
    paper.leave(ANN)
    paper.change(BOB, paused_until=date(2026, 3, 10))
    with house.app.app_context():
        suppressing.suppress(CLEO, "", house.now, house.keys, COMMAND)
    correction_id = prepare(house, edition_id)
    with house.app.app_context():
        expected = audience.expected(db.session.get_one(Edition, correction_id))
    send(house, correction_id)
    house.work()

    assert ledger_of(house, correction_id) == {
        "accepted": 1,
        "skipped(left)": 1,
        "skipped(paused)": 1,
        "skipped(suppressed)": 1,
    }
    assert expected == 1
    assert [len(subjects(house, one)) for one in (ANN, BOB, CLEO, DORA)] == [1, 1, 1, 2]


def test_who_may_have_it_gets_the_correction_as_well(either_house: House) -> None:
    """A worker died with one mail on its way: nobody can know (rule 11)."""
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        start(shard.rows[0], house.now)
    house.work()
    house.later(minutes=11)
    house.work()
    assert ledger_of(house, edition_id) == {"uncertain": 1, "accepted": 1}
    correction_id = corrected(house, edition_id)

    assert ledger_of(house, correction_id) == {"accepted": 2}


def test_who_moved_to_another_slot_since_gets_it_too(house: House) -> None:
    paper, edition_id = sent(house, ANN)
    paper.change(ANN, slot_id=paper.slot("Asia/Tokyo", house.now.time()))
    correction_id = corrected(house, edition_id)

    assert ledger_of(house, correction_id) == {"accepted": 1}


def test_who_got_the_wrong_one_as_a_welcome_copy_gets_it_too(house: House) -> None:
    paper, edition_id = sent(house, BOB)
    confirm(house, ask(house, ANN, paper))
    house.work()
    assert len(house.inbox.editions_of(ANN)) == 1
    correction_id = corrected(house, edition_id)

    assert ledger_of(house, correction_id) == {"accepted": 2}
    assert house.inbox.editions_of(ANN)[-1].subject == "Correction: the bridge is open"


def test_of_two_revisions_only_the_receivers_of_the_wrong_one_get_it(either_house: House) -> None:
    """A story was pulled while the edition went out: Ann has it, Bob does not."""
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        items = db.session.get_one(Edition, edition_id).revisions[-1].items
        story_id = items[0].story_id
    assert story_id is not None

    def pull() -> None:
        with house.app.app_context():
            releasing.pull_story(edition_id, story_id, house.now, COMMAND)

    during_the_first_mail(house.inbox, pull)
    house.work()
    with house.app.app_context():
        told = [(one.number, count) for one, count in correcting.received(db.session.get_one(Edition, edition_id))]
    assert told == [(2, 1), (1, 1)], "the last first"
    correction_id = corrected(house, edition_id, revision=1)

    assert ledger_of(house, correction_id) == {"accepted": 1}
    assert (len(subjects(house, ANN)), len(subjects(house, BOB))) == (2, 1)


# How it comes about


def test_it_begins_as_what_was_wrong_and_waits_for_a_person(house: House) -> None:
    _, edition_id = sent(house, ANN)
    correction_id = prepare(house, edition_id)
    with house.app.app_context():
        wrong = db.session.get_one(Edition, edition_id).revisions[-1]
        made = db.session.get_one(Edition, correction_id)
        (draft,) = made.revisions
        assert [item.headline for item in draft.items] == [item.headline for item in wrong.items]
        assert (draft.subject, draft.sealed_at, made.corrects_id) == (wrong.subject, None, wrong.id)
    for _ in range(2):
        house.later(hours=13)
        with house.app.app_context():
            releasing.release_due(house.now)
    assert edition_state(house, correction_id) == "drafted"
    with house.app.app_context():
        releasing.approve(correction_id, house.now, COMMAND)
        releasing.release_due(house.now)
    assert edition_state(house, correction_id) == "approved", "only a person sends it"
    assert open_alert_keys(house) == []


def test_it_cools_off_and_has_a_day_of_its_own_to_arrive(house: House) -> None:
    _, edition_id = drafted(house, ANN, BOB, cooling=2)
    with house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND, at_once=True)
    house.work()
    house.later(hours=20)
    correction_id = prepare(house, edition_id)
    send(house, correction_id)
    assert edition_state(house, correction_id) == "approved"
    house.inbox.answer_rcpt = refusing(BOB, "451 later")
    house.later(minutes=2)
    began = house.now
    with house.app.app_context():
        releasing.release_due(house.now)
    house.work()
    assert ledger_of(house, correction_id) == {"accepted": 1, "deferred": 1}

    house.clock.at = began + timedelta(hours=24) - timedelta(seconds=1)
    house.work()
    assert ledger_of(house, correction_id) == {"accepted": 1, "deferred": 1}
    house.later(seconds=1)
    house.work()
    assert ledger_of(house, correction_id) == {"accepted": 1, "skipped(expired)": 1}


def test_what_was_withdrawn_since_is_not_in_it(house: House) -> None:
    _, edition_id = sent(house, ANN)
    with house.app.app_context():
        first = db.session.get_one(Edition, edition_id).revisions[-1].items[0]
        story_id, headline = first.story_id, first.headline
        assert story_id is not None
        releasing.withdraw(story_id, "it was wrong", house.now, COMMAND)
    correction_id = prepare(house, edition_id)
    with house.app.app_context():
        items = db.session.get_one(Edition, correction_id).revisions[-1].items
        assert headline not in [item.headline for item in items]
        assert [item.position for item in items] == list(range(1, len(items) + 1))


def test_while_one_is_under_way_there_is_no_second_and_afterwards_there_may_be(house: House) -> None:
    _, edition_id = sent(house, ANN)
    first = prepare(house, edition_id)
    with pytest.raises(Refused, match="correction 1 of the same is drafted already"):
        prepare(house, edition_id)
    with house.app.app_context():
        ending.cancel(first, "never mind", house.now, COMMAND)
    second = prepare(house, edition_id)
    with house.app.app_context():
        assert db.session.get_one(Edition, second).number == 2
    assert len(audited(house, "edition.correct", second)) == 1


def test_a_correction_can_be_corrected(either_house: House) -> None:
    house = either_house
    paper, edition_id = sent(house, ANN, BOB)
    first = corrected(house, edition_id)
    house.inbox.mails.clear()
    second = prepare(house, first)
    put_right(house, second, "Correction of the correction")
    send(house, second)
    house.work()

    assert subjects(house, ANN) == subjects(house, BOB) == ["Correction of the correction"]
    assert ledger_of(house, second) == {"accepted": 2}
    with house.app.app_context():
        assert [one.id for one in editions_out(paper.id, [paper.slot_id])] == [second], "the archive shows the last"
        assert orphans() == []


def test_what_nobody_has_cannot_be_corrected(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    with pytest.raises(Refused, match="nobody has received the edition"):
        prepare(house, edition_id)
    send(house, edition_id)
    with pytest.raises(Refused, match="nobody has received"):
        prepare(house, edition_id)
    house.work()
    with house.app.app_context(), pytest.raises(Refused, match="that revision"):
        correcting.prepare(edition_id, 999, house.now, COMMAND)


# What still goes out


def test_it_does_not_go_while_the_wrong_one_may_still_reach_others(either_house: House) -> None:
    """Else whoever gets the wrong one later gets no correction."""
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_rcpt = refusing(BOB, "451 later")
    house.work()
    correction_id = prepare(house, edition_id)
    with pytest.raises(StillGoingOut, match="still going out"):
        send(house, correction_id)
    assert edition_state(house, correction_id) == "drafted"

    with house.app.app_context():
        ending.cancel(edition_id, "it was wrong", house.now, COMMAND)
    send(house, correction_id)
    house.later(hours=1)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(cancelled)": 1}
    assert ledger_of(house, correction_id) == {"accepted": 1}


def test_it_goes_beside_the_rest_once_that_is_put_right(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_rcpt = refusing(BOB, "451 later")
    house.work()
    with house.app.app_context():
        story_id = db.session.get_one(Edition, edition_id).revisions[-1].items[0].story_id
        assert story_id is not None
        releasing.pull_story(edition_id, story_id, house.now, COMMAND)
    correction_id = corrected(house, edition_id)
    house.inbox.answer_rcpt = lambda address: "250 OK"
    house.later(hours=1)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert ledger_of(house, correction_id) == {"accepted": 1}
    assert delivery(house, BOB).edition_id == edition_id


def test_a_welcome_copy_of_the_wrong_one_that_is_not_out_yet_stays_in(house: House) -> None:
    paper, edition_id = sent(house, BOB)
    house.inbox.answer_data = refusing(ANN, "451 later")
    confirm(house, ask(house, ANN, paper))
    house.work()
    assert delivery(house, ANN).kind is DeliveryKind.WELCOME
    correction_id = corrected(house, edition_id)
    house.inbox.answer_data = lambda address: "250 OK"
    house.later(hours=1)
    house.work()

    assert house.inbox.editions_of(ANN) == []
    assert ledger_of(house, correction_id) == {"accepted": 1}


def test_who_confirms_afterwards_gets_the_correction(house: House) -> None:
    paper, edition_id = sent(house, BOB)
    corrected(house, edition_id)
    confirm(house, ask(house, ANN, paper))
    house.work()

    assert [mail.subject for mail in house.inbox.editions_of(ANN)] == ["Correction: the bridge is open"]


def test_it_does_not_go_while_a_copy_of_the_wrong_one_is_on_its_way(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        attempts = [start(row, house.now) for row in shard.rows]
        record(shard.rows[0], str(attempts[0]), Reply(Outcome.ACCEPTED, "250 OK"), house.now)
        ending.cancel(edition_id, "it was wrong", house.now, COMMAND)
    correction_id = prepare(house, edition_id)
    with pytest.raises(StillGoingOut):
        send(house, correction_id)
    with house.app.app_context():
        record(shard.rows[1], str(attempts[1]), Reply(Outcome.ACCEPTED, "250 OK"), house.now)
        shards.give_back(shard, house.now)
    house.work()
    send(house, correction_id)
    house.work()

    assert ledger_of(house, correction_id) == {"accepted": 2}


def test_a_copy_on_its_way_is_corrected_too_where_the_rest_is_put_right(either_house: House) -> None:
    """Its result comes later; had it been left out, its reader would have the wrong one alone."""
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        attempt = start(shard.rows[0], house.now)
        assert attempt is not None
        wrong = db.session.get_one(Edition, edition_id).revisions[-1]
        assert wrong.items[0].story_id is not None
        releasing.pull_story(edition_id, wrong.items[0].story_id, house.now, COMMAND)
    correction_id = prepare(house, edition_id, revision=1)
    send(house, correction_id)
    with house.app.app_context():
        record(shard.rows[0], attempt, Reply(Outcome.ACCEPTED, "250 OK"), house.now)
        shards.give_back(shard, house.now)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert ledger_of(house, correction_id) == {"accepted": 1}


def test_the_daily_edition_of_the_next_day_is_not_in_its_way(house: House) -> None:
    paper, edition_id = sent(house, ANN)
    correction_id = corrected(house, edition_id)
    house.later(days=1)
    paper.tells("News of the next day", "More news of it")
    next_id = paper.draft()
    send(house, next_id)
    house.work()

    assert (ledger_of(house, correction_id), ledger_of(house, next_id)) == ({"accepted": 1}, {"accepted": 1})
