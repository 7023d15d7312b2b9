"""A send that is stopped for a while, and one that is ended for good."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from newsletter.delivery import ending, releasing, shards
from newsletter.editions import publishing
from newsletter.editions.models import Edition, edition_of, editions_out
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.foundation.errors import Refused
from newsletter.mail.smtp import Outcome, Reply
from newsletter.newsletters.models import Slot
from tests.conftest import House
from tests.integration.delivery import audited, drafted, during_the_first_mail, refusing
from tests.support.attempts import record, start
from tests.support.confirming import ask, confirm
from tests.support.newsroom import Paper, edition_state, found, ledger_of, open_alert_keys, sending

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"


def pause(house: House, edition_id: int) -> None:
    with house.app.app_context():
        releasing.pause(edition_id, house.now, COMMAND)


def unpause(house: House, edition_id: int) -> None:
    with house.app.app_context():
        releasing.unpause(edition_id, house.now, COMMAND)


def cancel(house: House, edition_id: int, reason: str = "a wrong picture") -> str:
    with house.app.app_context():
        return str(ending.cancel(edition_id, reason, house.now, COMMAND).state)


def skip(house: House, paper: Paper, day: date, reason: str = "a holiday") -> int:
    with house.app.app_context():
        return ending.skip(db.session.get_one(Slot, paper.slot_id), day, reason, house.now, COMMAND).id


def tick(house: House) -> None:
    with house.app.app_context():
        publishing.draft_due(house.now)
        releasing.release_due(house.now)


def look(house: House, edition_id: int) -> Edition:
    with house.app.app_context():
        shown = db.session.get_one(Edition, edition_id)
        db.session.expunge(shown)
        return shown


# Pausing


def test_while_it_is_paused_what_is_in_flight_finishes_and_nothing_else_begins(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN, BOB, CLEO)
    during_the_first_mail(house.inbox, lambda: pause(house, edition_id))
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
    assert open_alert_keys(house) == [f"edition-paused:{edition_id}"]

    house.later(hours=1)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
    unpause(house, edition_id)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 3}
    assert [len(house.inbox.of(one)) for one in (ANN, BOB, CLEO)] == [1, 1, 1]
    assert (edition_state(house, edition_id), open_alert_keys(house)) == ("sent", [])


def test_a_deferred_copy_waits_for_the_end_of_the_pause_too(house: House) -> None:
    _, edition_id = sending(house, ANN)
    house.inbox.answer_rcpt = refusing(ANN, "451 later")
    house.work()
    pause(house, edition_id)
    house.inbox.answer_rcpt = lambda address: "250 OK"
    house.later(hours=1)
    house.work()
    assert ledger_of(house, edition_id) == {"deferred": 1}

    unpause(house, edition_id)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_its_end_counts_during_the_pause(house: House) -> None:
    """Rule 3: news of this morning is none tonight, however long somebody thought about it."""
    _, edition_id = sending(house, ANN, BOB)
    pause(house, edition_id)
    house.clock.at = look(house, edition_id).finish_by
    house.work()

    assert ledger_of(house, edition_id) == {"skipped(expired)": 2}
    shown = look(house, edition_id)
    assert (shown.paused_at, shown.reason) == (None, "stopped until its end: paused")
    assert open_alert_keys(house) == []


def test_nobody_who_confirms_gets_a_paused_edition_until_it_goes_on(house: House) -> None:
    paper, edition_id = sending(house, BOB)
    pause(house, edition_id)
    confirm(house, ask(house, ANN, paper))
    house.work()
    assert house.inbox.editions_of(ANN) == []


def test_pausing_and_going_on_twice_is_no_error_and_is_written_down_once(house: House) -> None:
    _, edition_id = sending(house, ANN)
    for verb in (pause, pause, unpause, unpause):
        verb(house, edition_id)

    assert len(audited(house, "edition.pause", edition_id)) == 1
    assert len(audited(house, "edition.unpause", edition_id)) == 1


def test_only_what_is_going_out_can_be_paused(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    with pytest.raises(Refused, match="drafted"):
        pause(house, edition_id)
    with house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND)
    house.work()
    for verb in (pause, unpause):
        with pytest.raises(Refused, match="sent"):
            verb(house, edition_id)


def test_held_and_paused_lie_over_each_other_and_both_must_go(house: House) -> None:
    _, edition_id = sending(house, ANN)
    pause(house, edition_id)
    with house.app.app_context():
        publishing.hold(edition_id, "wait", house.now, COMMAND)
    unpause(house, edition_id)
    house.work()
    assert ledger_of(house, edition_id) == {"pending": 1}

    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


# Cancelling


@pytest.mark.parametrize("approved", [False, True])
def test_what_is_cancelled_before_it_goes_is_not_sent_nor_drafted_again_by_itself(house: House, approved: bool) -> None:
    paper, edition_id = drafted(house, ANN, cooling=2)
    with house.app.app_context():
        if approved:
            releasing.send(edition_id, house.now, COMMAND)
    assert cancel(house, edition_id) == "cancelled"
    paper.tells("Later news")
    for _ in range(3):
        house.later(minutes=20)
        tick(house)
        house.work()

    assert house.inbox.mails == []
    shown = look(house, edition_id)
    assert (shown.state, shown.reason, shown.send_at) == ("cancelled", "a wrong picture", None)
    with house.app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Edition)) == 1
    with pytest.raises(Refused), house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND)
    with pytest.raises(Refused), house.app.app_context():
        publishing.compose(db.session.get_one(Slot, paper.slot_id), house.now.date(), house.now, COMMAND)


def test_cancelling_a_held_edition_ends_its_alert(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    with house.app.app_context():
        publishing.hold(edition_id, "wait", house.now, COMMAND)
    cancel(house, edition_id)

    assert (edition_state(house, edition_id), open_alert_keys(house)) == ("cancelled", [])


def test_of_an_edition_that_reached_somebody_the_rest_is_cancelled_and_it_is_sent_with_the_reason(
    either_house: House,
) -> None:
    """The archive and carry-over go by what readers have."""
    house = either_house
    paper, edition_id = sending(house, ANN, BOB, CLEO)
    during_the_first_mail(house.inbox, lambda: cancel(house, edition_id))
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(cancelled)": 2}
    shown = look(house, edition_id)
    assert (shown.state, shown.reason) == ("sent", "a wrong picture")
    with house.app.app_context():
        assert [one.id for one in editions_out(paper.id, [paper.slot_id])] == [edition_id]
    (details,) = audited(house, "edition.cancel", edition_id)
    assert details == {"reason": "a wrong picture", "state": "sending"}


def test_an_edition_that_reached_nobody_is_cancelled_and_its_stories_can_be_told_tomorrow(either_house: House) -> None:
    house = either_house
    paper, edition_id = sending(house, ANN, BOB)
    assert cancel(house, edition_id) == "cancelled"
    house.work()

    assert ledger_of(house, edition_id) == {"skipped(cancelled)": 2}
    assert (look(house, edition_id).sent_at, house.inbox.mails) == (None, [])
    with house.app.app_context():
        assert editions_out(paper.id, [paper.slot_id]) == []
    assert len(paper.compose().choices) == 5


def test_what_comes_back_from_its_way_after_the_end_is_not_tried_again(house: House) -> None:
    """The relay had one mail when the edition was cancelled, and asks for it later."""
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        attempt = start(shard.rows[0], house.now)
        assert attempt is not None
    assert cancel(house, edition_id) == "sending"
    assert ledger_of(house, edition_id) == {"sending": 1, "skipped(cancelled)": 1}
    with house.app.app_context():
        record(shard.rows[0], attempt, Reply(Outcome.DEFERRED, "451 later"), house.now)
    house.later(hours=1)
    with house.app.app_context():
        assert shards.lease(house.now) is None, "even before anybody has settled it"
    house.work()

    assert ledger_of(house, edition_id) == {"skipped(cancelled)": 2}
    assert (edition_state(house, edition_id), house.inbox.mails) == ("cancelled", [])


def test_a_copy_whose_fate_nobody_knows_makes_it_sent(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        start(shard.rows[0], house.now)
    cancel(house, edition_id)
    house.later(minutes=11)
    house.work()

    assert ledger_of(house, edition_id) == {"uncertain": 1, "skipped(cancelled)": 1}
    assert edition_state(house, edition_id) == "sent"


@pytest.mark.parametrize("overlay", ["paused", "held"])
def test_a_send_that_is_stopped_can_be_cancelled(house: House, overlay: str) -> None:
    _, edition_id = sending(house, ANN)
    if overlay == "paused":
        pause(house, edition_id)
    else:
        with house.app.app_context():
            publishing.hold(edition_id, "wait", house.now, COMMAND)
    cancel(house, edition_id)

    assert (edition_state(house, edition_id), open_alert_keys(house)) == ("cancelled", [])
    assert look(house, edition_id).reason == "a wrong picture"


def test_what_has_gone_out_cannot_be_cancelled_and_cancelling_twice_is_no_error(house: House) -> None:
    _, edition_id = sending(house, ANN)
    house.work()
    with pytest.raises(Refused, match="corrected"):
        cancel(house, edition_id)
    other = found(house, "other-post")
    other.tells("One", "Two")
    draft = other.draft()
    assert cancel(house, draft) == cancel(house, draft) == "cancelled"
    assert len(audited(house, "edition.cancel", draft)) == 1


def test_without_a_reason_it_says_who(house: House) -> None:
    _, edition_id = drafted(house)
    cancel(house, edition_id, "  ")
    assert look(house, edition_id).reason == "by command line"


# Leaving a day out


def test_a_day_that_is_left_out_beforehand_has_no_draft_and_no_mail(house: House) -> None:
    paper = found(house)
    paper.tells("One", "Two", "Three")
    paper.readers(ANN)
    edition_id = skip(house, paper, house.now.date())
    house.later(hours=1)
    tick(house)
    house.work()

    shown = look(house, edition_id)
    assert (shown.state, shown.reason, shown.number) == ("skipped", "a holiday", 0)
    assert (house.inbox.mails, open_alert_keys(house)) == ([], [])


def test_a_draft_can_be_left_out_and_a_person_may_compose_it_all_the_same(house: House) -> None:
    paper, edition_id = drafted(house, ANN)
    assert skip(house, paper, house.now.date()) == edition_id
    tick(house)
    assert edition_state(house, edition_id) == "skipped"
    with house.app.app_context():
        publishing.compose(db.session.get_one(Slot, paper.slot_id), house.now.date(), house.now, COMMAND)
    house.later(minutes=40)
    tick(house)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_only_that_day_of_that_slot_is_left_out(house: House) -> None:
    paper = found(house)
    paper.tells("One", "Two", "Three")
    skip(house, paper, date(2026, 3, 4))
    tick(house)
    with house.app.app_context():
        today = edition_of(paper.slot_id, date(2026, 3, 3))
        assert today is not None
        assert today.state == "drafted"


def test_what_is_over_or_out_cannot_be_left_out(house: House) -> None:
    paper, _ = sending(house, ANN)
    with pytest.raises(Refused, match="hour"):
        skip(house, paper, date(2026, 3, 2))
    with pytest.raises(Refused, match="sending"):
        skip(house, paper, date(2026, 3, 3))
    first = skip(house, paper, date(2026, 3, 5))
    assert skip(house, paper, date(2026, 3, 5)) == first
    assert len(audited(house, "edition.skip", first)) == 1
