"""A slot is closed only when its readers are in another one, whoever signs up meanwhile."""

from __future__ import annotations

from datetime import time

import pytest

from newsletter.delivery import closing
from newsletter.delivery.closing import HasReaders
from newsletter.editions import archive, publishing
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.newsletters import slots
from newsletter.newsletters.models import Slot, newsletter
from newsletter.newsletters.settings import SettingInvalid
from newsletter.newsletters.slots import SlotExists, SlotUnknown
from newsletter.subscribers.models import subscriber_at
from tests.conftest import House
from tests.integration.subscribers import story_of
from tests.support import confirming, newsroom
from tests.support.newsroom import Paper
from tests.support.past import went_out

SLUG = "morning-post"


@pytest.fixture
def paper(either_house: House) -> Paper:
    return newsroom.found(either_house)


def add(paper: Paper, zone: str = "Asia/Tokyo", at: time = time(6, 0)) -> int:
    with paper.house.app.app_context():
        return slots.add(SLUG, zone, at, paper.house.now, COMMAND).id


def close(paper: Paper, slot_id: int, to: int | None = None) -> int:
    with paper.house.app.app_context():
        return closing.close(SLUG, slot_id, to, paper.house.now, COMMAND)


def is_open(paper: Paper, slot_id: int) -> bool:
    with paper.house.app.app_context():
        return slot_id in [slot.id for slot in newsletter(SLUG).slots]


def slot_of(paper: Paper, address: str) -> int:
    with paper.house.app.app_context():
        reader = subscriber_at(address)
        assert reader is not None
        return reader.subscriptions[0].slot_id


def test_its_readers_go_where_they_are_sent_and_the_note_is_in_their_story(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "AT_ONCE", 2)
    tokyo, lima = add(paper), add(paper, "America/Lima")
    everybody = [f"r{n}@example.org" for n in range(5)]
    paper.readers(*everybody, slot_id=tokyo)
    paper.readers("other@example.org")
    paper.leave("r0@example.org")
    assert close(paper, tokyo, lima) == 4
    assert {slot_of(paper, address) for address in everybody} == {lima}, "also who left, for they may come back"
    assert slot_of(paper, "other@example.org") == paper.slot_id
    assert not is_open(paper, tokyo)
    (moved,) = story_of(paper.house, "r1@example.org")
    assert (moved.kind, moved.note, moved.by) == ("changed", "another slot, as theirs was closed", "command line")
    assert [event.kind for event in story_of(paper.house, "r0@example.org")] == ["unsubscribed"]


def test_without_a_word_where_they_go_nobody_is_moved(paper: Paper) -> None:
    tokyo = add(paper)
    paper.readers("ann@example.org", slot_id=tokyo)
    with pytest.raises(HasReaders, match="Readers are in this slot"):
        close(paper, tokyo)
    assert (is_open(paper, tokyo), slot_of(paper, "ann@example.org")) == (True, tokyo)


def test_the_default_slot_and_the_only_one_stay(paper: Paper) -> None:
    with pytest.raises(Refused, match="this is the default slot"):
        close(paper, paper.slot_id)
    tokyo = add(paper)
    with pytest.raises(Refused, match="this is the default slot"):
        close(paper, paper.slot_id, tokyo)
    with paper.house.app.app_context():
        slots.make_default(SLUG, tokyo, paper.house.now, COMMAND)
    close(paper, paper.slot_id, tokyo)
    assert not is_open(paper, paper.slot_id)


def test_nobody_goes_into_a_slot_that_is_closed_itself_or_anothers(paper: Paper) -> None:
    courier = newsroom.found(paper.house, "ridge-courier")
    tokyo, lima = add(paper), add(paper, "America/Lima")
    paper.readers("ann@example.org", slot_id=tokyo)
    close(paper, lima)
    for to in (lima, tokyo, courier.slot_id, 999_999):
        with pytest.raises(SlotUnknown):
            close(paper, tokyo, to)
    assert slot_of(paper, "ann@example.org") == tokyo
    with pytest.raises(SlotUnknown):
        close(paper, courier.slot_id, paper.slot_id)


def test_an_edition_under_way_keeps_its_slot_open(paper: Paper) -> None:
    tokyo = add(paper)
    with paper.house.app.app_context():
        slots.make_default(SLUG, tokyo, paper.house.now, COMMAND)
    paper.tells(*newsroom.SUBJECTS)
    paper.draft()
    with pytest.raises(Refused, match="its edition of 2026-03-03 is drafted"):
        close(paper, paper.slot_id, tokyo)


def test_who_asked_for_it_and_confirms_afterwards_is_in_one_that_is_open(paper: Paper) -> None:
    tokyo, lima = add(paper), add(paper, "America/Lima")
    token = confirming.ask(paper.house, "ann@example.org", paper, slot_ids=[tokyo])
    close(paper, tokyo, lima)
    confirming.confirm(paper.house, token)
    assert slot_of(paper, "ann@example.org") == lima


def test_who_comes_from_a_page_that_was_open_for_long_gets_the_default_one(paper: Paper) -> None:
    tokyo = add(paper)
    close(paper, tokyo)
    token = confirming.ask(paper.house, "ann@example.org", paper, slot_ids=[tokyo])
    confirming.confirm(paper.house, token)
    assert slot_of(paper, "ann@example.org") == paper.slot_id


def test_a_closed_slot_has_no_more_editions_and_keeps_its_past_ones(paper: Paper) -> None:
    went_out(paper, paper.house.now.date())
    tokyo = add(paper)
    with paper.house.app.app_context():
        slots.make_default(SLUG, tokyo, paper.house.now, COMMAND)
        assert archive.months(newsletter(SLUG))
    close(paper, paper.slot_id, tokyo)
    paper.house.later(days=1)
    paper.tells(*newsroom.SUBJECTS)
    with paper.house.app.app_context():
        assert paper.slot_id not in [slot_id for slot_id, _ in publishing.missing(paper.house.now)]
        assert archive.months(newsletter(SLUG)), "past editions stay"
        past = archive.newest(db.session.get_one(Slot, paper.slot_id))
    assert past is not None


def test_the_same_slot_again_is_the_same_one_opened_again(paper: Paper) -> None:
    tokyo = add(paper)
    with pytest.raises(SlotExists, match="There is a slot at 06:00 Tokyo already"):
        add(paper)
    close(paper, tokyo)
    paper.house.later(hours=3)
    assert add(paper) == tokyo
    assert is_open(paper, tokyo)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe/Berlin\x00", "UTC+1"])
def test_a_zone_that_there_is_not_makes_no_slot(house: House, zone: str) -> None:
    paper = newsroom.found(house)
    with pytest.raises(NewsletterError) as raised:
        add(paper, zone)
    assert isinstance(raised.value, SettingInvalid)
