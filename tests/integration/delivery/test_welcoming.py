"""The latest edition for those who have just confirmed: at once, once, and only while it is news and right."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import time
from email import message_from_bytes
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sa

from newsletter.app import worker
from newsletter.delivery import releasing, shards, welcoming
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, skips_of, states_of
from newsletter.editions import publishing
from newsletter.editions.models import Edition
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import SystemClock
from newsletter.foundation.config import MailConfig
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import Purpose
from newsletter.mail.smtp import Outcome, Reply
from newsletter.newsletters.models import Slot
from newsletter.subscribers import preferences, suppressing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import Subscription, subscriber_at
from newsletter.subscribers.preferences import Choices
from tests.conftest import BuildHouse, House
from tests.integration.delivery import refusing
from tests.support.attempts import record, start
from tests.support.confirming import ask, confirm, sign_up
from tests.support.misbehaving_relay import HANG_UP, running_relay
from tests.support.newsroom import Paper, delivery, edition_state, found, orphans, send, sending
from tests.support.racing import at_once, beside, wait_for_a_lock
from tests.support.worker_process import running_worker

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"


def copies(house: House, edition_id: int) -> Counter[str]:
    """The welcome copies of an edition by their states, skipped ones by reason.

    Looks at what must be true whatever happens: the edition's audience is its daily rows (rule 9).
    """
    with house.app.app_context():
        rows = db.session.scalars(sa.select(Delivery).where(Delivery.edition_id == edition_id)).all()
        daily = [row for row in rows if row.kind is DeliveryKind.DAILY]
        edition = db.session.get_one(Edition, edition_id)
        assert edition.audience == len(daily) == sum(states_of(edition_id).values()), "the states do not add up"
        assert orphans() == []
        return Counter(
            f"skipped({row.skip_reason})" if row.state is DeliveryState.SKIPPED else str(row.state)
            for row in rows
            if row.kind is DeliveryKind.WELCOME
        )


def subjects(house: House, address: str) -> list[str]:
    """What came, in the order in which it came."""
    return [mail.subject for mail in house.inbox.of(address)]


def sent(house: House, *readers: str, slug: str = "morning-post") -> tuple[Paper, int]:
    """A paper whose edition of today has gone out to its readers."""
    paper, edition_id = sending(house, *readers, slug=slug)
    house.work()
    house.inbox.mails.clear()
    assert edition_state(house, edition_id) == "sent"
    return paper, edition_id


def welcome(house: House) -> int:
    with house.app.app_context():
        return welcoming.welcome_due(house.now)


def change_edition(house: House, edition_id: int, **columns: object) -> None:
    with house.app.app_context(), transaction():
        for name, value in columns.items():
            setattr(db.session.get_one(Edition, edition_id), name, value)


def story_id(house: House, edition_id: int, position: int = 1) -> int:
    with house.app.app_context():
        revision = db.session.get_one(Edition, edition_id).revisions[0]
        found = revision.items[position - 1].story_id
        assert found is not None
        return found


# At once


def test_who_confirms_gets_the_welcome_and_the_latest_edition_in_one_step_of_the_worker(either_house: House) -> None:
    house = either_house
    paper, edition_id = sent(house, BOB)
    house.later(hours=3)
    token = ask(house, ANN, paper)
    house.work()
    house.inbox.mails.clear()
    confirm(house, token)

    assert house.worker().step() is True

    assert subjects(house, ANN) == ["Welcome to Morning Post", subject_of(house, edition_id)]
    assert delivery(house, ANN).kind is DeliveryKind.WELCOME
    assert copies(house, edition_id) == {"accepted": 1}
    assert edition_state(house, edition_id) == "sent"
    assert house.inbox.of(BOB) == []


def subject_of(house: House, edition_id: int) -> str:
    with house.app.app_context():
        return db.session.get_one(Edition, edition_id).revisions[-1].subject


def test_while_an_edition_is_going_out_who_has_just_confirmed_comes_before_all_the_others(
    either_house: House,
) -> None:
    house = either_house
    paper, edition_id = sending(house, *(f"reader{number}@example.org" for number in range(5)))
    sign_up(house, ANN, paper)
    assert welcome(house) == 1

    with house.app.app_context():
        first = shards.lease(house.now)
        second = shards.lease(house.now)
    assert first is not None
    assert second is not None
    assert [row.address for row in first.rows] == [ANN]
    assert (len(second.rows), second.edition_id) == (5, edition_id)


def test_an_edition_is_sent_when_its_own_readers_have_it_and_the_copies_go_on(house: House) -> None:
    paper, edition_id = sending(house, BOB)
    house.inbox.answer_rcpt = lambda address: "451 later" if address == ANN else "250 OK"
    sign_up(house, ANN, paper)
    house.work()

    assert edition_state(house, edition_id) == "sent"
    assert copies(house, edition_id) == {"deferred": 1}
    house.inbox.answer_rcpt = lambda address: "250 OK"
    house.later(minutes=5)
    house.work()
    assert copies(house, edition_id) == {"accepted": 1}
    assert edition_state(house, edition_id) == "sent", "a copy that was put off did not open it again"


def test_two_newsletters_of_one_confirmation_each_send_theirs(house: House) -> None:
    morning, first = sent(house)
    evening, second = sent(house, slug="evening-post")
    sign_up(house, ANN, morning, evening)
    house.work()

    assert (copies(house, first), copies(house, second)) == ({"accepted": 1}, {"accepted": 1})
    assert len(house.inbox.editions_of(ANN)) == 2
    assert subjects(house, ANN).count("Welcome to your newsletters") == 1


def test_a_newsletter_that_somebody_adds_in_their_preferences_sends_theirs(house: House) -> None:
    morning, _ = sent(house, ANN)
    evening, second = sent(house, slug="evening-post")
    with house.app.app_context():
        reader = subscriber_at(ANN)
        assert reader is not None
        token = house.links.make(Purpose.PREFERENCES, reader.id)
        choices = Choices({paper.id: paper.slot_id for paper in (morning, evening)})
        preferences.save(token, choices, Origin(), house.now, house.keys, house.links)
    house.work()

    assert copies(house, second) == {"accepted": 1}
    assert len(house.inbox.editions_of(ANN)) == 1


# Never twice


def test_who_leaves_and_signs_up_again_the_same_day_gets_nothing_twice(either_house: House) -> None:
    house = either_house
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    house.work()
    paper.leave(ANN)
    house.later(hours=1)
    sign_up(house, ANN, paper)
    house.work()

    assert copies(house, edition_id) == {"accepted": 1}
    assert len(house.inbox.editions_of(ANN)) == 1


def test_who_had_it_as_a_reader_and_signs_up_again_gets_it_no_second_time(house: House) -> None:
    paper, edition_id = sending(house, ANN)
    house.work()
    paper.leave(ANN)
    sign_up(house, ANN, paper)
    house.work()

    assert copies(house, edition_id) == {}
    assert len(house.inbox.editions_of(ANN)) == 1


def test_who_takes_a_leaving_back_gets_nothing_again(house: House) -> None:
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    house.work()
    with house.app.app_context():
        token = house.links.make(Purpose.UNSUBSCRIBE, delivery(house, ANN).subscription_id)
        preferences.unsubscribe(token, Origin(), house.now, house.keys, house.links)
        preferences.undo_leaving(token, Origin(), house.now, house.keys, house.links)
    house.work()

    assert copies(house, edition_id) == {"accepted": 1}
    assert len(house.inbox.editions_of(ANN)) == 1


def test_who_had_that_day_s_edition_of_another_slot_gets_no_second_one(house: House) -> None:
    paper, _ = sending(house, ANN)
    house.work()
    later = paper.slot("UTC", time(7))
    house.later(hours=2)
    paper.tells("One more", "And another")
    second = Paper(house, paper.id, paper.slug, later).draft()
    send(house, second)
    paper.leave(ANN)
    sign_up(house, ANN, paper, slot_ids=[later])
    house.work()

    assert copies(house, second) == {}
    assert len(house.inbox.editions_of(ANN)) == 1


def test_eight_workers_at_once_make_one_copy(either_house: House) -> None:
    house = either_house
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)

    assert sorted(at_once(8, lambda _: welcome(house))) == [0] * 7 + [1]
    assert copies(house, edition_id) == {"pending": 1}


def test_two_workers_at_once_send_one_copy(either_house: House) -> None:
    house = either_house
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    sign_up(house, CLEO, paper)
    at_once(2, lambda _: worker(house.app).until_idle())
    house.work()

    assert copies(house, edition_id) == {"accepted": 2}
    assert Counter(mail.recipient for mail in house.inbox.mails if mail.message["List-ID"]) == {ANN: 1, CLEO: 1}


def test_the_database_has_the_last_word(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = either_house
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    house.work()
    paper.change(ANN, welcomed_at=None)
    monkeypatch.setattr(welcoming, "_has", lambda *_: False)

    assert welcome(house) == 0
    assert copies(house, edition_id) == {"accepted": 1}
    assert waiting_for_a_welcome(house) == 0


def waiting_for_a_welcome(house: House) -> int:
    with house.app.app_context():
        query = sa.select(sa.func.count()).select_from(Subscription).where(Subscription.welcomed_at.is_(None))
        return db.session.scalar(query) or 0


def test_who_confirmed_before_the_first_edition_gets_it_with_all_the_others(house: House) -> None:
    paper = found(house)
    sign_up(house, ANN, paper)
    house.work()
    assert waiting_for_a_welcome(house) == 0
    paper.tells("Harbor bridge closes", "New school opens")
    edition_id = paper.draft()
    send(house, edition_id)
    house.work()

    assert delivery(house, ANN).kind is DeliveryKind.DAILY
    assert copies(house, edition_id) == {}
    assert len(house.inbox.editions_of(ANN)) == 1


def test_while_an_edition_is_frozen_the_welcome_waits_and_finds_the_reader_in_it(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = either_house
    paper, yesterday = sent(house)
    house.later(days=1)
    paper.tells("One more", "And another")
    edition_id = paper.draft()
    sign_up(house, ANN, paper)
    made: list[int] = []
    freezing, begun = Event(), Event()
    freeze = releasing.freeze

    def linger(*args: object) -> None:
        freeze(*args)  # type: ignore[arg-type]
        freezing.set()
        assert begun.wait(20)
        wait_for_a_lock(house)

    def welcome_meanwhile() -> None:
        assert freezing.wait(20)
        begun.set()
        made.append(welcome(house))

    monkeypatch.setattr(releasing, "freeze", linger)
    with beside(welcome_meanwhile):
        send(house, edition_id)

    assert made == [0]
    assert copies(house, yesterday) == {}, "nor yesterday's edition a moment before today's"
    assert copies(house, edition_id) == {}
    house.work()
    assert len(house.inbox.editions_of(ANN)) == 1


# Only what is news, and right


@pytest.mark.parametrize(("hours", "copies_made"), [(47.9, 1), (48, 0), (500, 0)])
def test_an_edition_is_news_for_two_days(house: House, hours: float, copies_made: int) -> None:
    paper, edition_id = sent(house)
    house.later(hours=hours)
    sign_up(house, ANN, paper)
    house.work()

    assert copies(house, edition_id).total() == copies_made
    assert len(house.inbox.editions_of(ANN)) == copies_made
    assert waiting_for_a_welcome(house) == 0


@pytest.mark.parametrize("column", ["held_at", "paused_at"])
def test_of_an_edition_that_was_stopped_nobody_gets_a_copy_nor_the_one_before_it(house: House, column: str) -> None:
    paper, yesterday = sent(house, BOB)
    house.later(days=1)
    paper.tells("One more", "And another")
    edition_id = paper.draft()
    send(house, edition_id)
    change_edition(house, edition_id, **{column: house.now})
    sign_up(house, ANN, paper)
    house.work()

    assert copies(house, yesterday) == copies(house, edition_id) == {}
    assert house.inbox.editions_of(ANN) == []


@pytest.mark.parametrize("column", ["held_at", "paused_at"])
def test_stopping_an_edition_stops_its_copies_and_going_on_sends_them(house: House, column: str) -> None:
    paper, edition_id = sending(house, BOB)
    sign_up(house, ANN, paper)
    assert welcome(house) == 1
    change_edition(house, edition_id, **{column: house.now})
    house.work()
    assert copies(house, edition_id) == {"pending": 1}
    assert house.inbox.editions_of(ANN) == []

    change_edition(house, edition_id, **{column: None})
    house.work()
    assert copies(house, edition_id) == {"accepted": 1}


def test_an_edition_that_was_held_until_its_end_is_given_to_nobody(house: House) -> None:
    paper, edition_id = sending(house, BOB)
    sign_up(house, ANN, paper)
    welcome(house)
    with house.app.app_context():
        publishing.hold(edition_id, "wrong headline", house.now, COMMAND)
    house.later(hours=13)
    house.work()
    assert edition_state(house, edition_id) == "sent", "its twelve hours are over"
    sign_up(house, CLEO, paper)
    house.work()

    assert copies(house, edition_id) == {"skipped(cancelled)": 1}
    assert house.inbox.editions_of(ANN) == house.inbox.editions_of(CLEO) == []


def test_an_edition_that_is_stopped_between_claim_and_mail_sends_no_copy(house: House) -> None:
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    welcome(house)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        change_edition(house, edition_id, held_at=house.now)
        assert start(shard.rows[0], house.now) is None

    assert copies(house, edition_id) == {"pending": 1}


def test_a_draft_that_is_held_leaves_yesterday_s_edition_the_latest(house: House) -> None:
    paper, yesterday = sent(house)
    house.later(days=1)
    drafted = paper.draft()
    assert edition_state(house, drafted) == "held drafted", "there are no new stories"
    sign_up(house, ANN, paper)
    house.work()

    assert copies(house, yesterday) == {"accepted": 1}


def test_an_edition_that_is_sent_and_tells_a_withdrawn_story_is_given_to_nobody_any_more(either_house: House) -> None:
    house = either_house
    paper, edition_id = sent(house)
    house.inbox.answer_rcpt = lambda address: "451 later" if address == ANN else "250 OK"
    sign_up(house, ANN, paper)
    house.work()
    assert copies(house, edition_id) == {"deferred": 1}

    withdraw(house, story_id(house, edition_id))
    house.inbox.answer_rcpt = lambda address: "250 OK"
    sign_up(house, CLEO, paper)
    house.later(hours=1)
    house.work()

    assert copies(house, edition_id) == {"skipped(cancelled)": 1}
    assert house.inbox.editions_of(ANN) == house.inbox.editions_of(CLEO) == []
    assert edition_state(house, edition_id) == "sent"


def withdraw(house: House, story_id: int) -> None:
    with house.app.app_context():
        releasing.withdraw(story_id, "the outlet asked us to", house.now, COMMAND)


def test_another_story_s_withdrawal_stops_no_copy(house: House) -> None:
    paper, edition_id = sent(house)
    elsewhere = paper.story("Told too late for the edition", "Inland Mirror")
    sign_up(house, ANN, paper)
    welcome(house)
    withdraw(house, elsewhere)
    house.work()

    assert copies(house, edition_id) == {"accepted": 1}


def test_a_copy_of_an_edition_that_is_going_out_is_without_a_story_withdrawn_meanwhile(house: House) -> None:
    paper, edition_id = sending(house, BOB)
    headline = subject_of(house, edition_id)
    sign_up(house, ANN, paper)
    welcome(house)
    withdraw(house, story_id(house, edition_id))
    house.work()

    (mail,) = house.inbox.editions_of(ANN)
    assert headline not in mail.part("plain")
    assert copies(house, edition_id) == {"accepted": 1}


def test_a_withdrawal_waits_for_a_copy_that_is_just_being_made_and_stops_it(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = either_house
    paper, edition_id = sent(house)
    story = story_id(house, edition_id)
    sign_up(house, ANN, paper)
    copying, begun = Event(), Event()
    copy = welcoming._copy

    def linger(*args: object) -> Delivery:
        copying.set()
        assert begun.wait(20)
        wait_for_a_lock(house)
        return copy(*args)  # type: ignore[arg-type]

    def withdraw_meanwhile() -> None:
        assert copying.wait(20)
        begun.set()
        withdraw(house, story)

    monkeypatch.setattr(welcoming, "_copy", linger)
    with beside(withdraw_meanwhile):
        assert welcome(house) == 1
    house.work()

    assert copies(house, edition_id) == {"skipped(cancelled)": 1}
    assert house.inbox.editions_of(ANN) == []


# Who is not there any more


def test_who_leaves_before_the_worker_looks_gets_no_copy(house: House) -> None:
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    paper.leave(ANN)
    house.work()

    assert copies(house, edition_id) == {}
    assert house.inbox.editions_of(ANN) == []


def test_who_leaves_before_the_copy_is_sent_does_not_get_it(house: House) -> None:
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    welcome(house)
    paper.leave(ANN)
    house.work()

    assert copies(house, edition_id) == {"skipped(left)": 1}
    assert house.inbox.editions_of(ANN) == []


def test_who_is_suppressed_before_the_copy_is_sent_does_not_get_it(house: House) -> None:
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    welcome(house)
    with house.app.app_context():
        suppressing.suppress(ANN, "asked us to", house.now, house.keys, COMMAND)
    house.work()

    assert copies(house, edition_id) == {"skipped(suppressed)": 1}


# When something fails


def test_a_worker_that_dies_before_it_looks_leaves_the_welcome_to_the_next(house: House) -> None:
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    house.later(hours=5)
    house.work()

    assert copies(house, edition_id) == {"accepted": 1}


def test_a_worker_that_dies_with_a_copy_made_leaves_it_to_the_next(house: House) -> None:
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    welcome(house)
    with house.app.app_context():
        assert shards.lease(house.now) is not None
    house.work()
    assert copies(house, edition_id) == {"pending": 1}, "its lease is believed for ten minutes"
    house.later(minutes=10)
    house.work()

    assert copies(house, edition_id) == {"accepted": 1}
    assert len(house.inbox.editions_of(ANN)) == 1


def test_a_worker_that_dies_in_the_middle_of_a_copy_leaves_it_uncertain_and_it_is_not_sent_again(
    either_house: House,
) -> None:
    house = either_house
    paper, edition_id = sent(house)
    sign_up(house, ANN, paper)
    welcome(house)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        attempt = start(shard.rows[0], house.now)
    house.later(minutes=10)
    house.work()
    assert copies(house, edition_id) == {"uncertain": 1}
    house.later(hours=2)
    house.work()
    assert house.inbox.editions_of(ANN) == []

    assert attempt is not None
    with house.app.app_context():  # a late result settles it, and opens the edition for nobody
        record(shard.rows[0], attempt, Reply(Outcome.DEFERRED, "451 later"), house.now)
    assert copies(house, edition_id) == {"deferred": 1}
    assert edition_state(house, edition_id) == "sent"


@pytest.mark.parametrize(
    ("mail", "left", "came"),
    [(1, {"accepted": 1}, ["welcome", "edition"]), (2, {"uncertain": 1}, ["welcome"])],
    ids=["at the welcome", "at the copy"],
)
@pytest.mark.slow
def test_a_worker_that_is_killed_at_a_mail_loses_no_copy_and_doubles_none(
    build_house: BuildHouse, either_database: str, tmp_path: Path, mail: int, left: dict[str, int], came: list[str]
) -> None:
    asleep, awake = Event(), Event()
    dots: list[str] = []

    def sleeps(moment: str, recipient: str) -> str | None:
        if moment != "dot":
            return None
        dots.append(recipient)
        if len(dots) == 1 + mail:  # the first is the one with the link
            asleep.set()
            awake.wait(60)
            return HANG_UP
        return None

    with running_relay(sleeps) as relay:
        house = build_house(either_database, mail=MailConfig(port=relay.port))
        paper, edition_id = went_out_really_now(house)
        token = ask(house, ANN, paper)
        house.work()
        confirm(house, token)
        with running_worker(tmp_path, either_database, relay) as process:
            assert asleep.wait(60), "the worker did not come so far"
            process.kill()
            assert process.wait() == -signal.SIGKILL
        awake.set()
        house.later(minutes=11)
        house.work()

        assert copies(house, edition_id) == left
        taken = [message_from_bytes(octets) for octets in relay.octets]
        at_the_reader = [one for number, one in enumerate(taken) if number not in (0, mail)]
        assert ["edition" if one["List-ID"] else "welcome" for one in at_the_reader] == came


def went_out_really_now(house: House) -> tuple[Paper, int]:
    """An edition that has gone out by the machine's own clock, which another process goes by."""
    house.clock.at = SystemClock().now()
    paper = found(house)
    paper.tells("Harbor bridge closes", "New school opens")
    with house.app.app_context():
        today = house.now.date()
        drafted = publishing.compose(db.session.get_one(Slot, paper.slot_id), today, house.now, COMMAND)
        edition_id = releasing.send(drafted.id, house.now, COMMAND, today.isoformat()).id
    house.work()
    return paper, edition_id


def test_a_copy_that_the_relay_puts_off_for_a_day_expires_and_the_edition_knows_nothing_of_it(house: House) -> None:
    paper, edition_id = sending(house, BOB)
    house.inbox.answer_rcpt = refusing(ANN, "451 greylisted")
    sign_up(house, ANN, paper)
    house.work()
    for _ in range(23):
        house.later(hours=1)
        house.work()
    assert copies(house, edition_id) == {"deferred": 1}, "later than the edition's own end"
    house.later(hours=1)
    house.work()

    assert copies(house, edition_id) == {"skipped(expired)": 1}
    with house.app.app_context():
        assert states_of(edition_id)[DeliveryState.ACCEPTED] == 1
        assert skips_of(edition_id) == {}


def test_a_refused_copy_is_not_tried_again_and_is_no_refusal_of_the_edition(house: House) -> None:
    tried: list[str] = []
    paper, edition_id = sent(house, BOB)
    token = ask(house, ANN, paper)
    house.work()
    confirm(house, token)
    house.inbox.answer_rcpt = refusing(ANN, "550 no such user", tried)
    house.work()
    house.later(hours=5)
    house.work()

    assert len(tried) == 2, "the welcome and the copy, each once"
    assert copies(house, edition_id) == {"refused": 1}
