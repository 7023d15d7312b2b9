"""Too few stories: the edition is held, left out, or looks further back, and says so."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.delivery import releasing
from newsletter.editions import composing, editing, publishing
from newsletter.editions.editing import Changes, ItemChange
from newsletter.editions.models import Edition
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.foundation.errors import Refused
from newsletter.newsletters import settings
from newsletter.newsletters.models import Slot
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import Paper


def older(paper: Paper, title: str, hours: float, **columns: object) -> int:
    return paper.story(title, f"Outlet of {title}", published_at=paper.house.now - timedelta(hours=hours), **columns)


def edition(house: House, edition_id: int) -> dict[str, Any]:
    with house.app.app_context():
        found = db.session.get_one(Edition, edition_id)
        return {
            "state": newsroom.edition_state(house, edition_id),
            "reason": found.reason,
            "held": found.held_reason,
            "note": found.note,
            "stories": [item.headline for item in found.revisions[-1].items],
            "revisions": len(found.revisions),
        }


def records(house: House, edition_id: int) -> list[tuple[str, str, Any]]:
    """What was done to the edition, by whom and why."""
    with house.app.app_context():
        query = sa.select(AuditRecord).where(AuditRecord.subject == f"edition:{edition_id}").order_by(AuditRecord.id)
        return [(one.action, one.actor_name, one.details) for one in db.session.scalars(query)]


def compose(paper: Paper) -> None:
    """A person asks for today's draft."""
    with paper.house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        publishing.compose(slot, publishing.today(slot, paper.house.now), paper.house.now, COMMAND)


def released(house: House) -> None:
    with house.app.app_context():
        releasing.release_due(house.now)
    house.work()


# Hold


def test_a_thin_edition_is_held_with_the_reason_and_goes_nowhere(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house, items_at_least="3")
    paper.readers("ann@example.org")
    paper.tells("Snow on the pass", "Choir wins a prize")
    edition_id = paper.draft()
    thin = edition(house, edition_id)
    assert (thin["state"], thin["held"], thin["note"]) == ("held drafted", "too few stories: 2 of at least 3", "")
    house.later(minutes=45)
    released(house)
    assert house.inbox.mails == []
    assert records(house, edition_id)[-1] == (
        "edition.hold",
        "the service",
        {"reason": "too few stories: 2 of at least 3"},
    )


# Skip


def test_a_thin_edition_is_left_out_where_the_newsletter_says_so(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house, items_at_least="3", thin_day="skip")
    paper.readers("ann@example.org")
    paper.tells("Snow on the pass", "Choir wins a prize")
    edition_id = paper.draft()
    skipped = edition(house, edition_id)
    assert (skipped["state"], skipped["reason"]) == ("skipped", "too few stories: 2 of at least 3")
    assert records(house, edition_id)[-1] == (
        "edition.skip",
        "the service",
        {"reason": "too few stories: 2 of at least 3"},
    )
    assert newsroom.open_alert_keys(house) == [], "it is what the newsletter wants"
    paper.tells("New school opens", "Ferry gets a hull")
    for _ in range(3):
        house.later(minutes=30)
        assert paper.draft() == edition_id
        released(house)
    assert edition(house, edition_id) == skipped, "not composed again by itself"
    assert house.inbox.mails == []


def test_of_two_who_draft_it_at_once_the_second_leaves_it_skipped(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = either_house
    paper = newsroom.found(house, items_at_least="3", thin_day="skip")
    paper.tells("Snow on the pass")
    compose_it, first = composing.compose, []

    def overtaken(*args: Any) -> composing.Draft:
        draft = compose_it(*args)
        if not first:
            first.append(draft)
            publishing.draft_due(house.now)  # another scheduler, which is quicker
        return draft

    monkeypatch.setattr(composing, "compose", overtaken)
    edition_id = paper.draft()
    assert (edition(house, edition_id)["state"], edition(house, edition_id)["revisions"]) == ("skipped", 1)
    assert newsroom.open_alert_keys(house) == []


def test_the_next_day_after_a_skipped_one_is_composed_as_ever(house: House) -> None:
    paper = newsroom.found(house, items_at_least="2", thin_day="skip", window_hours="20")
    paper.tells("Snow on the pass")
    first = paper.draft()
    house.later(days=1)
    paper.tells("Choir wins a prize", "New school opens")
    second = paper.draft()
    assert (edition(house, first)["state"], edition(house, second)["state"]) == ("skipped", "drafted")


def test_a_full_edition_is_not_left_out(house: House) -> None:
    paper = newsroom.found(house, items_at_least="2", thin_day="skip")
    paper.tells("Snow on the pass", "Choir wins a prize")
    assert edition(house, paper.draft())["state"] == "drafted"


def test_a_person_may_draft_a_skipped_edition_and_is_not_overruled(house: House) -> None:
    paper = newsroom.found(house, items_at_least="3", thin_day="skip")
    paper.tells("Snow on the pass")
    edition_id = paper.draft()
    compose(paper)
    again = edition(house, edition_id)
    assert (again["state"], again["reason"], again["revisions"]) == ("held drafted", None, 2)
    paper.tells("Choir wins a prize")
    paper.draft()
    assert edition(house, edition_id)["state"] == "held drafted", "fuller, but thin, and still not left out"
    paper.tells("New school opens")
    paper.draft()
    assert edition(house, edition_id)["state"] == "drafted"


def test_a_person_s_first_draft_is_held_and_not_left_out(house: House) -> None:
    paper = newsroom.found(house, items_at_least="3", thin_day="skip")
    paper.tells("Snow on the pass")
    compose(paper)
    edition_id = paper.draft()
    assert edition(house, edition_id)["state"] == "held drafted"


def test_an_edition_of_a_late_service_is_left_out_without_a_hold(house: House) -> None:
    paper = newsroom.found(house, items_at_least="3", thin_day="skip")
    paper.tells("Snow on the pass")
    house.later(hours=4)
    assert edition(house, paper.draft())["state"] == "skipped"


# Widen


@pytest.mark.parametrize(
    ("hours", "windows"),
    [
        (30, [60, 120, 168]),
        (24, [48, 96, 168]),
        (84, [168]),
        (168, []),
        (336, []),
        (1, [2, 4, 8, 16, 32, 64, 128, 168]),
    ],
)
def test_it_looks_twice_as_far_back_each_time_and_a_week_at_most(hours: int, windows: list[int]) -> None:
    assert list(composing.longer_windows(hours)) == windows


def test_a_thin_edition_looks_further_back_until_it_has_enough_and_says_so(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house, items_at_least="3", thin_day="widen")
    paper.tells("Snow on the pass", "Choir wins a prize")
    older(paper, "New school opens", 50)
    older(paper, "Ferry gets a hull", 100)
    edition_id = paper.draft()
    widened = edition(house, edition_id)
    assert widened["state"] == "drafted"
    assert sorted(widened["stories"]) == ["Choir wins a prize", "New school opens", "Snow on the pass"]
    assert widened["note"] == "looked back 60 hours instead of 30 because there were 2 of 3 stories"
    action, _, details = records(house, edition_id)[-1]
    assert (action, details) == ("edition.compose", {"items": 3, "note": widened["note"]})


def test_it_is_held_where_even_a_week_has_too_few(house: House) -> None:
    paper = newsroom.found(house, items_at_least="4", thin_day="widen")
    paper.tells("Snow on the pass")
    older(paper, "New school opens", 160)
    older(paper, "Ferry gets a hull", 170)
    thin = edition(house, paper.draft())
    assert (thin["state"], thin["held"]) == ("held drafted", "too few stories: 2 of at least 4")
    assert thin["note"] == "looked back 168 hours instead of 30 because there were 1 of 4 stories"


def test_a_full_edition_looks_no_further_than_usual(house: House) -> None:
    paper = newsroom.found(house, items_at_least="2", thin_day="widen")
    paper.tells("Snow on the pass", "Choir wins a prize")
    older(paper, "New school opens", 50)
    full = edition(house, paper.draft())
    assert (sorted(full["stories"]), full["note"]) == (["Choir wins a prize", "Snow on the pass"], "")


def test_the_note_goes_when_enough_came_in(house: House) -> None:
    paper = newsroom.found(house, items_at_least="3", thin_day="widen")
    paper.tells("Snow on the pass")
    edition_id = paper.draft()
    assert edition(house, edition_id)["note"].startswith("looked back 168 hours")
    paper.tells("Choir wins a prize", "New school opens")
    paper.draft()
    fuller = edition(house, edition_id)
    assert (fuller["state"], fuller["note"], len(fuller["stories"])) == ("drafted", "", 3)


def test_what_was_sent_is_not_carried_again_however_far_it_looks_back(either_house: House) -> None:
    """What was sent almost seven days ago lies further back than what is usually remembered."""
    house = either_house
    paper = newsroom.found(house, items_at_least="1", thin_day="widen")
    paper.readers("ann@example.org")
    paper.tells("Snow on the pass", "Harbor bridge closes")
    newsroom.send(house, paper.draft())
    house.work()
    house.later(days=6, hours=20)
    with house.app.app_context():
        settings.change(paper.slug, house.now, COMMAND, items_at_least="2")
    older(paper, "Choir wins a prize", 1)
    draft = paper.compose()
    assert [choice.lead.title for choice in draft.choices] == ["Choir wins a prize"]
    assert {group.reason for group in draft.passed_over} == {"already in the edition of 3 March"}


def test_an_update_is_one_also_when_looking_further_back(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1", window_hours="20", thin_day="widen")
    paper.readers("ann@example.org")
    paper.story("Ferry strike halts island trips", "Quay Times", summary="Crews want safer decks.")
    newsroom.send(house, paper.draft())
    house.work()
    house.later(days=2)
    for title, outlet in (
        ("Ferry strike talks stall in Ellery hall", "Harbor Gazette"),
        ("Talks over ferry strike stall", "Ridge Courier"),
        ("Ferry strike: island talks stall in Ellery", "Inland Mirror"),
    ):
        paper.story(title, outlet, summary="", published_at=house.now - timedelta(hours=30))
    draft = paper.compose()
    assert [choice.is_update for choice in draft.choices] == [True]
    assert draft.note == "looked back 40 hours instead of 20 because there were 0 of 1 stories"


def test_a_window_of_two_weeks_remembers_what_was_sent_in_both(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1", window_hours="336")
    paper.readers("ann@example.org")
    paper.tells("Snow on the pass")
    newsroom.send(house, paper.draft())
    house.work()
    house.later(days=12)
    assert paper.compose().choices == ()


# Each slot for itself


def test_tokyo_does_not_get_new_york_s_yesterday(either_house: House) -> None:
    """Each slot's edition is composed at its own cut-off, from its own window, without what it carried itself."""
    house = either_house
    house.clock.at = datetime(2026, 3, 3, 10, 20, tzinfo=UTC)
    paper = newsroom.found(house, zone="America/New_York", items_at_least="1", window_hours="16")
    tokyo = paper.slot("Asia/Tokyo", time(6, 0))
    paper.readers("ann@example.org")
    paper.readers("yui@example.jp", slot_id=tokyo)
    paper.tells("Snow on the pass", "Harbor bridge closes")  # at 04:20 in New York
    with house.app.app_context():
        publishing.draft_due(house.now)
    morning = day_of(house, paper.slot_id, "2026-03-03")
    house.later(minutes=40)
    released(house)
    assert house.inbox.of("ann@example.org")
    assert house.inbox.of("yui@example.jp") == []

    house.clock.at = datetime(2026, 3, 3, 20, 20, tzinfo=UTC)  # 05:20 of the next day in Tokyo
    paper.tells("Choir wins a prize")
    with house.app.app_context():
        publishing.draft_due(house.now)
    theirs = day_of(house, tokyo, "2026-03-04")
    assert sorted(edition(house, morning)["stories"]) == ["Harbor bridge closes", "Snow on the pass"]
    assert sorted(edition(house, theirs)["stories"]) == [
        "Choir wins a prize",
        "Harbor bridge closes",
        "Snow on the pass",
    ], "what New York had is new in Tokyo as long as it is in the window"

    house.clock.at = datetime(2026, 3, 4, 20, 20, tzinfo=UTC)
    paper.tells("New school opens")
    with house.app.app_context():
        publishing.draft_due(house.now)
    assert edition(house, day_of(house, tokyo, "2026-03-05"))["stories"] == ["New school opens"]
    assert len(editions_of(house, tokyo)) == 2


def test_what_one_slot_carried_is_still_new_to_the_other(house: House) -> None:
    paper = newsroom.found(house, items_at_least="1", window_hours="48")
    other = paper.slot("UTC", time(18, 0))
    paper.readers("ann@example.org")
    paper.tells("Snow on the pass")
    newsroom.send(house, paper.draft())
    house.work()
    house.later(hours=12)
    with house.app.app_context():
        publishing.draft_due(house.now)
    assert edition(house, day_of(house, other, "2026-03-03"))["stories"] == ["Snow on the pass"]
    house.later(hours=12)
    assert [choice.lead.title for choice in paper.compose().choices] == []


def test_what_was_sealed_and_taken_out_before_the_send_was_not_carried(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house, items_at_least="1", window_hours="48", approval="manual")
    paper.readers("ann@example.org")
    paper.tells("Snow on the pass", "Harbor bridge closes")
    edition_id = paper.draft()
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
        publishing.reopen(edition_id, house.now, COMMAND)
        last = db.session.get_one(Edition, edition_id).revisions[-1]
        gone = next(item.id for item in last.items if item.headline == "Snow on the pass")
        editing.change(edition_id, last.number, Changes(items=(ItemChange(gone, drop=True),)), house.now, COMMAND)
    newsroom.send(house, edition_id)
    house.work()
    house.later(days=1)
    assert [choice.lead.title for choice in paper.compose().choices] == ["Snow on the pass"]


def test_an_approved_edition_is_opened_again_before_it_is_composed_anew(house: House) -> None:
    paper = newsroom.found(house)
    paper.tells("Snow on the pass", "Harbor bridge closes")
    edition_id = paper.draft()
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    with pytest.raises(Refused, match=r"is approved\. Open it again for changes first"):
        compose(paper)
    with house.app.app_context():
        publishing.reopen(edition_id, house.now, COMMAND)
    compose(paper)
    assert edition(house, edition_id)["revisions"] == 3


def day_of(house: House, slot_id: int, day: str) -> int:
    (found,) = [id for id, local_date in editions_of(house, slot_id).items() if local_date == day]
    return found


def editions_of(house: House, slot_id: int) -> dict[int, str]:
    with house.app.app_context():
        rows = db.session.execute(sa.select(Edition.id, Edition.local_date).where(Edition.slot_id == slot_id))
        return {id: local_date.isoformat() for id, local_date in rows}
