"""A special edition: composed and sent by hand, at any time, beside the daily one."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import correcting, releasing
from newsletter.delivery.models import Delivery, DeliveryKind
from newsletter.editions import adding, publishing
from newsletter.editions.models import Edition, EditionKind, editions_out
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.foundation.errors import Refused
from newsletter.newsletters.models import Slot
from tests.conftest import House
from tests.integration.delivery import audited, drafted
from tests.support.confirming import ask, confirm
from tests.support.newsroom import Paper, edition_state, found, ledger_of, open_alert_keys, send, sending

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"
TODAY = date(2026, 3, 3)


def special(house: House, paper: Paper, subject: str = "", day: date = TODAY) -> int:
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        return adding.special(slot, day, house.now, COMMAND, subject).id


def headlines(house: House, edition_id: int) -> list[str]:
    with house.app.app_context():
        return [item.headline for item in db.session.get_one(Edition, edition_id).revisions[-1].items]


def test_it_reaches_every_active_reader_of_the_slot_beside_the_daily_edition(either_house: House) -> None:
    house = either_house
    paper, daily = sending(house, ANN, BOB)
    house.work()
    paper.readers(CLEO, welcomed_at=house.now)
    paper.readers("elsewhere@example.org", slot_id=paper.slot("Asia/Tokyo", time(6)))
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper, "Volcano wakes in the north: what we know")
    assert headlines(house, special_id) == ["Volcano wakes in the north"]
    send(house, special_id)
    house.work()

    assert ledger_of(house, daily) == {"accepted": 2}
    assert ledger_of(house, special_id) == {"accepted": 3}
    assert [mail.subject for mail in house.inbox.of(CLEO)] == ["Volcano wakes in the north: what we know"]
    with house.app.app_context():
        made = db.session.get_one(Edition, special_id)
        assert (made.kind, made.number) == (EditionKind.SPECIAL, 1)
        kinds = db.session.scalars(sa.select(Delivery.kind).where(Delivery.edition_id == special_id))
        assert set(kinds) == {DeliveryKind.SPECIAL}
    assert len(audited(house, "edition.special", special_id)) == 1


def test_the_daily_edition_goes_out_as_if_it_were_not_there_without_its_stories(house: House) -> None:
    paper, _ = drafted(house, ANN)
    house.clock.at = house.clock.at.replace(hour=4)
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper)
    send(house, special_id)
    house.work()
    house.clock.at = house.clock.at.replace(hour=5, minute=30)
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        daily = publishing.compose(slot, TODAY, house.now, COMMAND).id
    assert "Volcano wakes in the north" not in headlines(house, daily)


def test_a_special_before_the_daily_one_takes_neither_its_number_nor_its_readers(house: House) -> None:
    paper = found(house)
    paper.readers(ANN)
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper)
    send(house, special_id)
    paper.tells("One", "Two", "Three")
    daily = paper.draft()
    house.later(minutes=40)
    with house.app.app_context():
        releasing.release_due(house.now)
    house.work()

    assert ledger_of(house, daily) == {"accepted": 1}
    assert len(house.inbox.of(ANN)) == 2


@pytest.mark.parametrize("approved", [False, True])
def test_it_is_never_sent_nor_held_by_itself(house: House, approved: bool) -> None:
    paper = found(house)
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper)
    if approved:
        with house.app.app_context():
            releasing.approve(special_id, house.now, COMMAND)
    for _ in range(4):
        house.later(hours=9)
        with house.app.app_context():
            releasing.release_due(house.now)
    assert edition_state(house, special_id) == ("approved" if approved else "drafted")
    assert open_alert_keys(house) == []


def test_a_short_one_is_not_held_for_having_too_few_stories(house: House) -> None:
    paper = found(house, items_at_least="3")
    paper.readers(ANN)
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper)
    assert edition_state(house, special_id) == "drafted"
    send(house, special_id)
    house.work()

    assert ledger_of(house, special_id) == {"accepted": 1}


def test_it_can_be_sent_at_any_hour_without_typing_a_date(house: House) -> None:
    paper = found(house)
    paper.readers(ANN)
    house.clock.at = house.clock.at.replace(hour=22, minute=30)
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper)
    house.later(hours=1)
    send(house, special_id)
    house.work()

    assert ledger_of(house, special_id) == {"accepted": 1}
    with house.app.app_context():
        assert db.session.get_one(Edition, special_id).finish_by == house.now + timedelta(hours=24)


def test_several_on_one_day_are_numbered(house: House) -> None:
    paper = found(house)
    paper.tells("One", "Two", "Three")
    numbers = [special(house, paper), special(house, paper)]
    with house.app.app_context():
        assert [db.session.get_one(Edition, id).number for id in numbers] == [1, 2]


def test_it_stands_in_for_no_daily_edition_nor_does_its_correction(either_house: House) -> None:
    """In the archive, and for those who confirm."""
    house = either_house
    paper, daily = sending(house, BOB)
    house.work()
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper, "A special")
    send(house, special_id)
    house.work()
    with house.app.app_context():
        correction_id = correcting.prepare(special_id, None, house.now, COMMAND).id
    send(house, correction_id)
    house.work()
    assert ledger_of(house, correction_id) == {"accepted": 1}
    with house.app.app_context():
        assert [one.id for one in editions_out(paper.id, [paper.slot_id])] == [daily]
        kinds = db.session.scalars(sa.select(Delivery.kind).where(Delivery.edition_id == correction_id))
        assert set(kinds) == {DeliveryKind.CORRECTION}

    confirm(house, ask(house, ANN, paper))
    house.work()
    (mail,) = house.inbox.editions_of(ANN)
    assert mail.subject != "A special"


@pytest.mark.parametrize("day", [TODAY, date(2026, 3, 1)])
def test_it_can_be_made_on_a_day_that_does_not_publish(house: House, day: date) -> None:
    paper = found(house, days="1")
    paper.tells("Volcano wakes in the north")
    special_id = special(house, paper, day=day)
    with house.app.app_context():
        assert db.session.get_one(Edition, special_id).local_date == day


def test_it_can_be_made_of_chosen_stories_in_their_order_also_of_such_as_readers_had(house: House) -> None:
    paper = found(house)
    paper.readers(ANN)
    first = paper.story("Volcano wakes in the north", "Harbor Gazette")
    second = paper.story("Choir wins a prize", "Ridge Courier")
    send(house, paper.draft())
    house.work()
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        made = adding.special(slot, TODAY, house.now, COMMAND, stories=[second, first, second]).id
    assert headlines(house, made) == ["Choir wins a prize", "Volcano wakes in the north"]
    with house.app.app_context():
        releasing.withdraw(first, "it was wrong", house.now, COMMAND)
        slot = db.session.get_one(Slot, paper.slot_id)
        with pytest.raises(Refused, match="withdrawn"):
            adding.special(slot, TODAY, house.now, COMMAND, stories=[first])


def test_it_is_composed_again_as_itself_and_the_daily_one_stays(house: House) -> None:
    paper = found(house)
    paper.tells("One", "Two")
    daily = paper.draft()
    special_id = special(house, paper)
    paper.tells("Volcano wakes in the north")
    with house.app.app_context():
        adding.compose_again(special_id, house.now, COMMAND)
    assert "Volcano wakes in the north" in headlines(house, special_id)
    assert "Volcano wakes in the north" not in headlines(house, daily)
    with house.app.app_context():
        adding.compose_again(daily, house.now, COMMAND)
    assert "Volcano wakes in the north" in headlines(house, daily)


def test_a_correction_is_not_composed_again(house: House) -> None:
    _, daily = sending(house, ANN)
    house.work()
    with house.app.app_context():
        made = correcting.prepare(daily, None, house.now, COMMAND).id
        with pytest.raises(Refused, match="by hand"):
            adding.compose_again(made, house.now, COMMAND)
