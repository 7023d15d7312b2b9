"""The scheduler's own ticks: a newsletter that breaks stops no other, and a person's hold is not lifted."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from newsletter import scheduling
from newsletter.editions import composing, publishing, rendering
from newsletter.editions.models import Edition, Revision
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.mail.templates import TemplateBroken
from newsletter.newsletters.models import Newsletter, Slot
from tests.conftest import House
from tests.support.newsroom import (
    SUBJECTS,
    edition_state,
    found,
    ledger_of,
    open_alert_keys,
)

ANN = "ann@example.org"


def tick(house: House) -> None:
    """The scheduler's own tick, which logs a fault and goes on."""
    for one in scheduling.ticks(house.fetcher):
        scheduling._guarded(house.app, one, house.clock)()


def test_an_empty_edition_that_was_resumed_does_not_stop_the_other_newsletters(house: House) -> None:
    empty, full = found(house, "empty-post"), found(house, "full-post")
    full.tells(*SUBJECTS)
    full.readers(ANN)
    blocked, healthy = empty.draft(), full.draft()
    with house.app.app_context():
        publishing.resume(blocked, house.now, COMMAND)  # "it will be fine"
    house.later(minutes=41)
    tick(house)
    house.work()
    assert ledger_of(house, healthy) == {"accepted": 1}
    assert f"edition-held:{blocked}" in open_alert_keys(house)


def test_an_edition_whose_template_breaks_is_held_and_does_not_stop_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, full = found(house, "broken-post"), found(house, "full-post")
    broken.tells(*SUBJECTS)
    full.tells("Theatre burns", "Trams are free")
    full.readers(ANN)
    blocked, healthy = broken.draft(), full.draft()
    render = rendering.render

    def breaks(revision: Revision, language: str = "") -> rendering.Parts:
        if revision.edition_id == blocked:
            raise TemplateBroken(name="edition", cause="unexpected end of input")
        return render(revision, language)

    monkeypatch.setattr(rendering, "render", breaks)
    house.later(minutes=41)
    tick(house)
    house.work()
    assert ledger_of(house, healthy) == {"accepted": 1}
    assert edition_state(house, blocked) == "held drafted"


def test_a_newsletter_that_cannot_be_composed_does_not_stop_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, full = found(house, "broken-post"), found(house, "full-post")
    full.tells(*SUBJECTS)
    full.readers(ANN)
    compose = composing.compose

    def breaks(newsletter: Newsletter, *args: object) -> composing.Draft:
        if newsletter.id == broken.id:
            raise ZeroDivisionError
        return compose(newsletter, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(composing, "compose", breaks)
    for minutes in (0, 41):
        house.later(minutes=minutes)
        tick(house)
        house.work()
    assert len(house.inbox.of(ANN)) == 1


def test_a_hold_by_a_person_is_not_lifted_by_stories_that_arrive(house: House) -> None:
    paper = found(house, items_at_least="3")
    paper.tells("One", "Two")
    paper.readers(ANN)
    edition_id = paper.draft()
    with house.app.app_context():
        publishing.hold(edition_id, "the court forbids the first story", house.now, COMMAND)
        slot = db.session.get_one(Slot, paper.slot_id)
        publishing.compose(slot, house.now.date(), house.now, COMMAND)  # still thin
    paper.tells("Three", "Four")
    house.later(minutes=45)
    tick(house)
    house.work()
    assert edition_state(house, edition_id) == "held drafted"
    assert house.inbox.mails == []


def test_a_service_that_was_away_the_whole_morning_tells_staff_that_there_is_no_edition(house: House) -> None:
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(ANN)
    house.clock.at = house.clock.at.replace(hour=8, minute=30)
    tick(house)
    with house.app.app_context():
        missed = db.session.scalars(sa.select(Edition)).all()
    assert open_alert_keys(house) != []
    assert [edition.held_at is not None for edition in missed] == [True]
