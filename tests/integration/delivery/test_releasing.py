"""When an edition goes, and when it does not: approval, the window, and holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import releasing
from newsletter.delivery.releasing import LateNeedsDate
from newsletter.editions import publishing
from newsletter.editions.models import Edition, RenderedPart
from newsletter.foundation.audit import COMMAND, SYSTEM
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.newsletters.models import Slot
from newsletter.stories.models import Story
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState
from tests.conftest import House
from tests.integration.delivery import audited, drafted
from tests.support.newsroom import (
    SUBJECTS,
    alerts_raised,
    edition_state,
    found,
    ledger_of,
    open_alert_keys,
    send,
)

ANN, BOB = "ann@example.org", "bob@example.org"


def tick(house: House) -> None:
    """What the scheduler does about editions, once."""
    with house.app.app_context():
        publishing.draft_due(house.now)
        releasing.release_due(house.now)


def approve(house: House, edition_id: int) -> None:
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)


# By itself


def test_an_edition_goes_by_itself_at_its_slot_and_not_a_second_before(either_house: House) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN)

    house.clock.at = house.clock.at.replace(hour=5, minute=59, second=59)
    tick(house)
    assert edition_state(house, edition_id) == "drafted"

    house.later(seconds=1)
    tick(house)
    tick(house)
    house.work()
    tick(house)
    assert len(house.inbox.of(ANN)) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1}
    assert edition_state(house, edition_id) == "sent"
    (details,) = audited(house, "edition.send", edition_id)
    assert details["audience"] == 1


def test_what_is_sent_is_the_last_revision_that_was_saved(house: House) -> None:
    paper, edition_id = drafted(house, ANN)
    paper.tells("The very latest news")
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        again = publishing.compose(slot, house.now.date(), house.now, COMMAND)
        assert again.id == edition_id
        assert len(again.revisions) == 2
    house.later(minutes=40)
    tick(house)
    house.work()

    assert "The very latest news" in house.inbox.of(ANN)[0].part("plain")


def test_where_a_person_has_to_approve_nothing_goes_by_itself(house: House) -> None:
    _, edition_id = drafted(house, ANN, approval="manual")
    house.later(minutes=45)
    tick(house)
    assert edition_state(house, edition_id) == "drafted"

    approve(house, edition_id)
    tick(house)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_what_is_approved_early_goes_at_the_slot(house: House) -> None:
    _, edition_id = drafted(house, ANN, approval="manual")
    approve(house, edition_id)
    tick(house)
    assert edition_state(house, edition_id) == "approved"
    house.later(minutes=40)
    tick(house)

    assert edition_state(house, edition_id) == "sending"


# Too late


@pytest.mark.parametrize("approval", ["manual", "auto"])
def test_an_edition_that_has_not_begun_by_start_by_is_held_and_staff_are_told_once(house: House, approval: str) -> None:
    """Rule 3: manual, because nobody approved; auto, because the scheduler was away."""
    _, edition_id = drafted(house, ANN, approval=approval)
    house.clock.at = house.clock.at.replace(hour=8, minute=0)
    for _ in range(3):
        tick(house)
        house.work()
        house.later(minutes=10)

    assert edition_state(house, edition_id) == "held drafted"
    assert house.inbox.mails == []
    assert open_alert_keys(house) == [f"edition-held:{edition_id}"]
    assert alerts_raised(house, f"edition-held:{edition_id}") == 1


def test_a_second_before_start_by_it_still_goes(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    house.clock.at = house.clock.at.replace(hour=7, minute=59, second=59)
    tick(house)

    assert edition_state(house, edition_id) == "sending"


def test_an_approved_edition_is_held_too_when_it_is_late(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    approve(house, edition_id)
    house.clock.at = house.clock.at.replace(hour=8, minute=0)
    tick(house)

    assert edition_state(house, edition_id) == "held approved"


def test_resuming_does_not_send_what_is_late(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    house.clock.at = house.clock.at.replace(hour=8, minute=0)
    tick(house)
    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    tick(house)

    assert edition_state(house, edition_id) == "held drafted"


def test_sending_late_needs_the_date(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    house.clock.at = house.clock.at.replace(hour=8, minute=0)
    for typed in (None, "", "yes", "2026-03-04", "3.3.2026"):
        with pytest.raises(LateNeedsDate, match="2026-03-03"):
            send(house, edition_id, typed)
    house.work()

    assert edition_state(house, edition_id) == "drafted"
    assert house.inbox.mails == []


def test_who_types_the_date_sends_late_with_twelve_hours_to_finish_and_it_is_written_down(
    either_house: House,
) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN, BOB)
    house.clock.at = house.clock.at.replace(hour=20, minute=0)
    tick(house)
    house.inbox.answer_rcpt = lambda address: "451 later" if address == BOB else "250 OK"
    send(house, edition_id, " 2026-03-03 ")
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}
    assert open_alert_keys(house) == [], "the hold is lifted by sending"

    house.later(hours=11, minutes=59)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}
    house.later(minutes=1)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(expired)": 1}
    (details,) = audited(house, "edition.send", edition_id)
    assert details == {"audience": 2, "late": True}


def test_a_person_may_send_early(house: House) -> None:
    _, edition_id = drafted(house, ANN, approval="manual")
    send(house, edition_id)
    house.work()
    house.later(hours=1)
    tick(house)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}
    assert len(house.inbox.of(ANN)) == 1
    (details,) = audited(house, "edition.send", edition_id)
    assert details == {"audience": 1, "late": False}


# A thin day


def test_a_thin_day_is_held_and_mends_itself_when_more_stories_arrive(house: House) -> None:
    paper = found(house, items_at_least="3")
    paper.tells("Only this", "And this")
    paper.readers(ANN)
    edition_id = paper.draft()
    assert edition_state(house, edition_id) == "held drafted"
    assert open_alert_keys(house) == [f"edition-held:{edition_id}"]
    house.clock.at = house.clock.at.replace(hour=6, minute=5)
    tick(house)
    tick(house)
    assert edition_state(house, edition_id) == "held drafted"

    paper.tells("At last a third")
    tick(house)
    house.work()
    assert open_alert_keys(house) == []
    assert ledger_of(house, edition_id) == {"accepted": 1}
    for title in ("Only this", "And this", "At last a third"):
        assert title in house.inbox.of(ANN)[0].part("plain")


def test_a_day_without_any_story_is_held_and_never_sent(house: House) -> None:
    paper = found(house, items_at_least="0")
    paper.readers(ANN)
    edition_id = paper.draft()
    for _ in range(30):
        house.later(minutes=10)
        tick(house)
    house.work()

    assert edition_state(house, edition_id) == "held drafted"
    assert alerts_raised(house, f"edition-held:{edition_id}") == 1
    with pytest.raises(Refused, match="no stories"):
        send(house, edition_id, "2026-03-03")
    assert house.inbox.mails == []


def test_a_person_may_send_a_thin_edition(house: House) -> None:
    paper = found(house, items_at_least="3")
    paper.tells("Only this")
    paper.readers(ANN)
    edition_id = paper.draft()
    send(house, edition_id)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}


# Approving seals


def test_approving_twice_is_no_error_and_seals_once(house: House) -> None:
    _, edition_id = drafted(house)
    approve(house, edition_id)
    house.later(minutes=1)
    approve(house, edition_id)

    with house.app.app_context():
        edition = db.session.get_one(Edition, edition_id)
        assert edition.approved_at == house.now - timedelta(minutes=1)
        assert edition.revision is not None
        assert edition.revision.sealed_at == edition.approved_at
        assert db.session.scalar(sa.select(sa.func.count()).select_from(RenderedPart)) == 1
    assert len(audited(house, "edition.approve", edition_id)) == 1


def test_an_approved_edition_is_not_composed_anew(house: House) -> None:
    paper, edition_id = drafted(house, ANN)
    approve(house, edition_id)
    paper.tells("Too late for today")
    with house.app.app_context(), pytest.raises(Refused, match="approved"):
        publishing.compose(db.session.get_one(Slot, paper.slot_id), house.now.date(), house.now, COMMAND)
    send(house, edition_id)
    house.work()

    assert "Too late for today" not in house.inbox.of(ANN)[0].part("plain")


def test_what_happens_to_a_story_after_approval_is_not_in_the_mail(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    approve(house, edition_id)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Story).values(title="Changed", summary="Changed too"))
    send(house, edition_id)
    house.work()

    mail = house.inbox.of(ANN)[0]
    assert "Changed" not in mail.part("plain") + mail.part("html") + mail.subject


def test_who_approves_is_written_down(house: House) -> None:
    _, edition_id = drafted(house)
    house.later(minutes=45)
    tick(house)

    with house.app.app_context():
        edition = db.session.get_one(Edition, edition_id)
        assert (edition.approved_by, edition.approved_at) == (SYSTEM.name, house.now)


# Holding


def test_a_held_edition_goes_when_it_is_resumed(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    with house.app.app_context():
        publishing.hold(edition_id, "wait for the court", house.now, COMMAND)
    house.later(minutes=45)
    tick(house)
    assert edition_state(house, edition_id) == "held drafted"

    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    tick(house)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}
    assert open_alert_keys(house) == []


def test_what_is_out_cannot_be_held_and_what_is_not_held_cannot_be_resumed(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    with house.app.app_context(), pytest.raises(Refused):
        publishing.resume(edition_id, house.now, COMMAND)
    send(house, edition_id)
    house.work()
    with house.app.app_context(), pytest.raises(Refused):
        publishing.hold(edition_id, "too late", house.now, COMMAND)


# Again, and several


def test_sending_what_is_sent_answers_the_same_and_sends_nothing(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    send(house, edition_id)
    house.work()
    house.later(hours=20)
    send(house, edition_id)
    house.work()

    assert len(house.inbox.of(ANN)) == 1
    assert len(audited(house, "edition.send", edition_id)) == 1


def test_a_skipped_edition_is_neither_approved_nor_sent(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Edition).values(state="skipped"))
    with pytest.raises(Refused):
        approve(house, edition_id)
    with pytest.raises(Refused):
        send(house, edition_id)
    house.later(hours=1)
    tick(house)

    assert edition_state(house, edition_id) == "skipped"


def test_two_newsletters_with_the_same_reader_send_him_both(house: House) -> None:
    """One daily edition a date is per newsletter (rule 5)."""
    first, second = found(house), found(house, "evening-post")
    first.tells(*SUBJECTS)
    second.tells("Theatre burns", "Trams are free")
    first.readers(ANN)
    with house.app.app_context(), transaction() as session:
        reader = session.scalars(sa.select(Subscriber)).one()
        reader.subscriptions.append(
            Subscription(
                newsletter_id=second.id,
                slot_id=second.slot_id,
                state=SubscriptionState.ACTIVE,
                confirmed_at=house.now,
            )
        )
    for paper in (first, second):
        send(house, paper.draft())
    house.work()

    assert sorted(mail.message["List-ID"] for mail in house.inbox.of(ANN)) == [
        "<evening-post.example.org>",
        "<morning-post.example.org>",
    ]
