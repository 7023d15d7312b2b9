"""What nobody can know is decided: by a person, or by the config's word (DESIGN.md, rule 11)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import audience, counting, deciding, ledger, releasing, reporting, shards
from newsletter.delivery.deciding import CopyUnknown, NotUncertain, NumberNeeded
from newsletter.delivery.models import DeliveryState, Doubt
from newsletter.delivery.shards import LEASE, Claimed
from newsletter.editions.models import Edition
from newsletter.foundation import safety
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.config import MailConfig, Uncertain
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.mail.smtp import Outcome, Reply
from newsletter.subscribers import suppressing
from tests.conftest import BuildHouse, House
from tests.support import newsroom
from tests.support.attempts import record, start
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, at
from tests.support.newsroom import Paper, delivery, edition_state, ledger_of, sending

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"
ACCEPTED = Reply(Outcome.ACCEPTED, "250 taken")


def doubtful(house: House, *readers: str) -> tuple[Paper, int, list[tuple[Claimed, str]]]:
    """An edition that is sent, and of each copy nobody knows: its worker died at the final dot."""
    paper, edition_id = sending(house, *readers)
    with house.app.app_context():
        begun = [(row, start(row, house.now) or "") for row in leased(house)]
    house.clock.at += LEASE
    house.work()
    assert ledger_of(house, edition_id) == {"uncertain": len(readers)}
    assert edition_state(house, edition_id) == "sent"
    return paper, edition_id, begun


def leased(house: House) -> tuple[Claimed, ...]:
    found = shards.lease(house.now)
    return found.rows if found else ()


def resend(house: House, edition_id: int, address: str) -> None:
    with house.app.app_context():
        deciding.resend(edition_id, delivery(house, address).id, house.now, COMMAND)


def refused(house: House, edition_id: int, address: str) -> str:
    with pytest.raises(Refused) as refusal:
        resend(house, edition_id, address)
    return str(refusal.value)


def acts(house: House, edition_id: int) -> list[tuple[str, object]]:
    with house.app.app_context():
        about = (AuditRecord.subject == f"edition:{edition_id}",)
        found = db.session.scalars(sa.select(AuditRecord).where(*about).order_by(AuditRecord.id))
        return [(one.action, one.details["copies"]) for one in found if "copies" in one.details]


# Again


def test_an_uncertain_copy_goes_again_by_a_person_s_word_and_its_edition_goes_out_for_it(either_house: House) -> None:
    house = either_house
    _, edition_id, _ = doubtful(house, ANN, BOB)
    resend(house, edition_id, ANN)
    assert ledger_of(house, edition_id) == {"pending": 1, "uncertain": 1}
    assert edition_state(house, edition_id) == "sending"
    house.work()
    assert [mail.recipient for mail in house.inbox.mails] == [ANN]
    assert ledger_of(house, edition_id) == {"accepted": 1, "uncertain": 1}
    assert edition_state(house, edition_id) == "sent"
    assert acts(house, edition_id) == [("edition.resend", 1)]
    assert (delivery(house, ANN).attempts, delivery(house, ANN).decision) == (2, Doubt.RESEND)


def test_all_uncertain_copies_go_again_at_once_but_those_that_would_not_be_mailed(either_house: House) -> None:
    house = either_house
    paper, edition_id, _ = doubtful(house, ANN, BOB, CLEO, "dan@example.org")
    paper.leave(BOB)
    paper.change(CLEO, paused_until=date(2026, 4, 1))
    with house.app.app_context():
        suppressing.suppress("dan@example.org", "", house.now, house.keys, COMMAND)
        decided = deciding.resend_all(edition_id, house.now, COMMAND)
    assert decided.done == 1
    assert decided.not_done == {
        "its reader has left": 1,
        "its reader makes a pause": 1,
        "its address is never mailed any more": 1,
    }
    house.work()
    assert [mail.recipient for mail in house.inbox.mails] == [ANN]
    assert ledger_of(house, edition_id) == {"accepted": 1, "uncertain": 3}


def test_a_copy_that_would_not_be_mailed_is_not_sent_again_and_the_reason_is_told(house: House) -> None:
    paper, edition_id, _ = doubtful(house, ANN, BOB)
    paper.leave(ANN)
    assert "its reader has left. The copy stays uncertain." in refused(house, edition_id, ANN)
    house.clock.at = house.clock.at.replace(hour=18)
    assert "its time is over" in refused(house, edition_id, BOB)
    assert ledger_of(house, edition_id) == {"uncertain": 2}
    assert edition_state(house, edition_id) == "sent"


def test_nothing_goes_again_of_an_edition_that_is_held_ended_or_corrected(house: House) -> None:
    _, edition_id, _ = doubtful(house, ANN)
    with house.app.app_context():
        found = db.session.get_one(Edition, edition_id)
        for column, value in (("held_at", house.now), ("reason", "a wrong name")):
            with transaction():
                setattr(found, column, value)
            assert "the edition" in refused(house, edition_id, ANN)
            with transaction():
                setattr(found, column, None)
        with transaction():
            last = found.revisions[-1].id
            found.corrects_id = last  # by itself, which is as good as by another one
        assert "was corrected since" in refused(house, edition_id, ANN)


def test_nothing_goes_again_while_everything_is_halted(house: House) -> None:
    _, edition_id, _ = doubtful(house, ANN)
    with house.app.app_context():
        with transaction():
            safety.halt("the clock was moved.", house.now)
        with pytest.raises(safety.Halted):
            deciding.resend_all(edition_id, house.now, COMMAND)
    assert ledger_of(house, edition_id) == {"uncertain": 1}


def test_what_shows_a_story_that_was_taken_down_since_does_not_go_again(house: House) -> None:
    paper, edition_id, _ = doubtful(house, ANN)
    with house.app.app_context():
        story = db.session.get_one(Edition, edition_id).revisions[-1].items[0].story_id
        assert story is not None
        releasing.withdraw(story, "wrong", house.now, COMMAND)
    assert "was taken down since" in refused(house, edition_id, ANN)
    assert paper.id


def test_only_what_is_uncertain_can_be_decided(house: House) -> None:
    _, edition_id = sending(house, ANN)
    with pytest.raises(NotUncertain):
        resend(house, edition_id, ANN)
    with house.app.app_context(), pytest.raises(CopyUnknown):
        deciding.leave(edition_id, 999, house.now, COMMAND)
    other = newsroom.found(house, "evening-post")
    other.tells(*newsroom.SUBJECTS)
    other_id = other.draft()
    with house.app.app_context(), pytest.raises(CopyUnknown):
        deciding.resend(other_id, delivery(house, ANN).id, house.now, COMMAND)
    assert ledger_of(house, edition_id) == {"pending": 1}


def test_two_who_press_at_once_send_one_copy(house: House) -> None:
    _, edition_id, _ = doubtful(house, ANN)
    resend(house, edition_id, ANN)
    with pytest.raises(NotUncertain):
        resend(house, edition_id, ANN)
    house.work()
    assert len(house.inbox.of(ANN)) == 1


# Late results


def test_a_late_result_settles_what_was_to_go_again_if_it_has_not_begun(either_house: House) -> None:
    """The reader has it after all, and gets no second one; or never will."""
    house = either_house
    _, edition_id, begun = doubtful(house, ANN, BOB)
    with house.app.app_context():
        deciding.resend_all(edition_id, house.now, COMMAND)
        for (row, attempt), outcome in zip(begun, (Outcome.ACCEPTED, Outcome.REFUSED), strict=True):
            record(row, attempt, Reply(outcome, "late"), house.now)
    for _ in range(2):  # the first one finds that nothing is due, the second that the edition is over
        house.work()
    assert house.inbox.mails == []
    assert ledger_of(house, edition_id) == {"accepted": 1, "refused": 1}
    assert edition_state(house, edition_id) == "sent"


@pytest.mark.parametrize("outcome", [Outcome.UNCERTAIN, Outcome.DEFERRED])
def test_a_late_result_that_settles_nothing_takes_no_decision_back(house: House, outcome: Outcome) -> None:
    _, edition_id, ((row, attempt),) = doubtful(house, ANN)
    resend(house, edition_id, ANN)
    with house.app.app_context():
        record(row, attempt, Reply(outcome, "late"), house.now)
    assert ledger_of(house, edition_id) == {"pending": 1}
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_a_late_result_of_the_first_attempt_says_nothing_of_the_second(house: House) -> None:
    _, edition_id, ((row, first),) = doubtful(house, ANN)
    resend(house, edition_id, ANN)
    with house.app.app_context():
        (again,) = leased(house)
        second = start(again, house.now)
        assert second
        record(row, first, Reply(Outcome.REFUSED, "550 no"), house.now)
        assert ledger_of(house, edition_id) == {"sending": 1}
        record(again, second, ACCEPTED, house.now)
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_who_was_to_get_it_again_may_have_it_whatever_became_of_the_second_copy(house: House) -> None:
    """A correction must reach them."""
    _, edition_id, _ = doubtful(house, ANN)
    resend(house, edition_id, ANN)
    house.clock.at = house.clock.at.replace(hour=18)
    house.work()
    assert ledger_of(house, edition_id) == {"skipped(expired)": 1}
    with house.app.app_context():
        assert list(audience.receivers(edition_id).values()) == [1]


# Leaving it


def test_a_copy_that_is_left_stays_uncertain_and_asks_nobody_any_more(either_house: House) -> None:
    house = either_house
    _, edition_id, _ = doubtful(house, ANN, BOB)
    with house.app.app_context():
        assert reporting.report(db.session.get_one(Edition, edition_id), house.now).undecided == 2
        for _ in range(2):
            deciding.leave(edition_id, delivery(house, ANN).id, house.now, COMMAND)
        assert reporting.report(db.session.get_one(Edition, edition_id), house.now).undecided == 1
        assert deciding.resend_all(edition_id, house.now, COMMAND).done == 1
        assert deciding.leave_all(edition_id, house.now, COMMAND).done == 0
    house.work()
    assert [mail.recipient for mail in house.inbox.mails] == [BOB]
    assert ledger_of(house, edition_id) == {"uncertain": 1, "accepted": 1}
    assert acts(house, edition_id) == [("edition.leave-uncertain", 1), ("edition.resend", 1)]


def test_a_copy_that_was_left_can_be_sent_again_after_all(house: House) -> None:
    _, edition_id, _ = doubtful(house, ANN)
    with house.app.app_context():
        assert deciding.leave_all(edition_id, house.now, COMMAND).done == 1
    resend(house, edition_id, ANN)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_above_a_hundred_their_number_is_typed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "TYPED_ABOVE", 1)
    _, edition_id, _ = doubtful(house, ANN, BOB)
    with house.app.app_context():
        for decide in (deciding.resend_all, deciding.leave_all):
            for typed in (None, "", "3", "two"):
                with pytest.raises(NumberNeeded, match="2 copies are uncertain"):
                    decide(edition_id, house.now, COMMAND, typed)
        assert deciding.leave_all(edition_id, house.now, COMMAND, " 2 ").done == 2


def test_a_large_edition_is_counted_again_after_a_decision(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, edition_id, _ = doubtful(house, ANN)
    monkeypatch.setattr(counting, "AT_ONCE", 0)
    with house.app.app_context():
        assert counting.count_due(house.now) == 1
        assert counting.count_due(house.now) == 0
        deciding.leave_all(edition_id, house.now, COMMAND)
        assert counting.count_due(house.now) == 1
        assert counting.kept([edition_id])[edition_id].undecided == 0


# By the config's word


@pytest.fixture
def eager(build_house: BuildHouse, either_database: str, relay: MisbehavingRelay) -> House:
    """Where the config says that what is uncertain is sent again."""
    mail = MailConfig(host=relay.host, port=relay.port, uncertain=Uncertain.RESEND)
    return build_house(either_database, mail=mail)


def test_what_a_dead_worker_left_goes_again_by_itself_where_the_config_says_so(
    eager: House, relay: MisbehavingRelay
) -> None:
    _, edition_id = sending(eager, ANN, BOB)
    with eager.app.app_context():
        start(leased(eager)[0], eager.now)
    eager.clock.at += LEASE
    eager.work()
    assert sorted(relay.taken) == [ANN, BOB]
    assert ledger_of(eager, edition_id) == {"accepted": 2}


def test_what_goes_again_by_itself_does_so_once_and_then_asks(eager: House) -> None:
    _, edition_id = sending(eager, ANN)
    for state in ("pending", "uncertain"):
        with eager.app.app_context():
            start(leased(eager)[0], eager.now)
            eager.clock.at += LEASE
            ledger.settle(eager.now)
        assert ledger_of(eager, edition_id) == {state: 1}
    with eager.app.app_context():
        assert reporting.report(db.session.get_one(Edition, edition_id), eager.now).undecided == 1


def test_a_mail_whose_answer_never_came_goes_again_in_a_while_and_once(eager: House, relay: MisbehavingRelay) -> None:
    """The reader gets two, and not one an hour."""
    relay.answer = at("dot", HANG_UP, times=3)
    _, edition_id = sending(eager, ANN)
    eager.work()
    assert ledger_of(eager, edition_id) == {"pending": 1}
    assert edition_state(eager, edition_id) == "sending"
    for _ in range(4):
        eager.clock.at += timedelta(minutes=61)
        eager.work()
    assert ledger_of(eager, edition_id) == {"uncertain": 1}
    assert relay.taken == []
    assert len(relay.octets) == 2, "one of them may have arrived, or both"


def test_what_could_only_expire_does_not_go_again_by_itself(eager: House) -> None:
    _, edition_id = sending(eager, ANN, BOB)
    eager.clock.at = eager.clock.at.replace(hour=17, minute=56)
    with eager.app.app_context():
        start(leased(eager)[0], eager.now)
    eager.clock.at = eager.clock.at.replace(hour=18, minute=6)
    eager.work()
    assert ledger_of(eager, edition_id) == {"uncertain": 1, "skipped(expired)": 1}


def test_an_answer_that_never_came_shortly_before_the_end_stays_uncertain(
    eager: House, relay: MisbehavingRelay
) -> None:
    relay.answer = at("dot", HANG_UP)
    _, edition_id = sending(eager, ANN)
    eager.clock.at = eager.clock.at.replace(hour=17, minute=56)
    eager.work()
    assert ledger_of(eager, edition_id) == {"uncertain": 1}


def test_a_row_says_what_was_decided_and_nothing_else(house: House) -> None:
    _, edition_id, _ = doubtful(house, ANN)
    with house.app.app_context(), pytest.raises(sa.exc.IntegrityError), transaction() as session:
        session.execute(sa.text("UPDATE deliveries SET decision = 'perhaps'"))
    assert delivery(house, ANN).state is DeliveryState.UNCERTAIN
    assert ledger_of(house, edition_id) == {"uncertain": 1}
