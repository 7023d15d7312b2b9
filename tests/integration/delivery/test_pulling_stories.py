"""A story is pulled out of one edition, and what has not gone out goes out without it."""

from __future__ import annotations

import pytest

from newsletter.delivery import releasing, shards
from newsletter.editions import publishing
from newsletter.editions.models import Edition, sealed_revisions
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.mail.smtp import Outcome, Reply
from newsletter.newsletters.models import Slot
from newsletter.stories.models import withdrawn_among
from tests.conftest import House
from tests.integration.delivery import audited
from tests.support import newsroom
from tests.support.attempts import record, start
from tests.support.confirming import ask, confirm
from tests.support.newsroom import Paper, delivery, edition_state, ledger_of, open_alert_keys

ANN, BOB = "ann@example.org", "bob@example.org"
TITLES = ("Harbor bridge closes for repairs", "Repairs close the harbor bridge", "Snow on the pass")


def drafted(house: House) -> tuple[Paper, list[int], int]:
    """An event of two outlets and one of a single one."""
    paper = newsroom.found(house, items_at_least="1")
    outlets = ("Harbor Gazette", "Ridge Courier", "Inland Mirror")
    stories = [paper.story(title, outlet) for title, outlet in zip(TITLES, outlets, strict=True)]
    paper.readers(ANN, BOB)
    return paper, stories, paper.draft()


def pull(house: House, edition_id: int, story_id: int) -> None:
    with house.app.app_context():
        releasing.pull_story(edition_id, story_id, house.now, COMMAND)


def headlines(house: House, edition_id: int) -> list[str]:
    with house.app.app_context():
        return [item.headline for item in db.session.get_one(Edition, edition_id).revisions[-1].items]


def test_the_copies_that_are_not_out_yet_go_out_without_it_and_the_ledger_knows_who_got_which(
    either_house: House,
) -> None:
    """The worker holds a lease on both copies when the story is pulled after the first."""
    house = either_house
    _, (*_, snow), edition_id = drafted(house)
    newsroom.send(house, edition_id)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        ann, bob = shard.rows
        attempt = start(ann, house.now)
        assert attempt is not None
    pull(house, edition_id, snow)
    with house.app.app_context():
        assert start(bob, house.now) is None, "the revision it was leased with is not the last any more"
        record(ann, attempt, Reply(Outcome.ACCEPTED, "250 OK"), house.now)
        shards.give_back(shard, house.now)
    house.work()

    (mail,) = [mail for address in (ANN, BOB) for mail in house.inbox.of(address)]
    assert "Snow" not in mail.part("plain") + mail.part("html")
    assert ledger_of(house, edition_id) == {"accepted": 2}
    with house.app.app_context():
        first, second = db.session.get_one(Edition, edition_id).revisions
        assert [delivery(house, one).revision_id for one in (ANN, BOB)] == [first.id, second.id]
        assert "Snow" in first.parts[0].text, "what was sealed stays as it was"
        assert sealed_revisions([edition_id])[edition_id].id == second.id, "the archive shows it without"
    (details,) = audited(house, "edition.pull-story", edition_id)
    assert details == {"stories": [snow], "items": 1}


def test_the_whole_event_goes_and_no_other_outlet_s_story_moves_up(house: House) -> None:
    _, (bridge, repairs, _), edition_id = drafted(house)
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    lead = next(one for one in (bridge, repairs) if _leads(house, edition_id, one))
    pull(house, edition_id, lead)

    assert headlines(house, edition_id) == ["Snow on the pass"]
    assert edition_state(house, edition_id) == "approved"
    newsroom.send(house, edition_id)
    house.work()
    assert house.inbox.of(ANN)[0].subject == "Snow on the pass"
    assert ledger_of(house, edition_id) == {"accepted": 2}


def _leads(house: House, edition_id: int, story_id: int) -> bool:
    with house.app.app_context():
        items = db.session.get_one(Edition, edition_id).revisions[-1].items
        return any(item.story_id == story_id for item in items)


def test_it_is_no_takedown(house: House) -> None:
    _, (*_, snow), edition_id = drafted(house)
    pull(house, edition_id, snow)
    with house.app.app_context():
        assert withdrawn_among([snow]) == set()


def test_of_a_draft_it_stays_out_when_it_is_composed_again(house: House) -> None:
    paper, (*_, snow), edition_id = drafted(house)
    pull(house, edition_id, snow)
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        publishing.compose(slot, publishing.today(slot, house.now), house.now, COMMAND)

    assert "Snow on the pass" not in headlines(house, edition_id)
    assert edition_state(house, edition_id) == "drafted"


def test_who_confirms_gets_the_copy_without_it(house: House) -> None:
    paper, (*_, snow), edition_id = drafted(house)
    newsroom.send(house, edition_id)
    pull(house, edition_id, snow)
    confirm(house, ask(house, "cleo@example.org", paper))
    house.work()

    (mail,) = house.inbox.editions_of("cleo@example.org")
    assert "bridge" in mail.part("plain")
    assert "Snow" not in mail.part("plain")


def test_an_approved_edition_with_nothing_left_is_held(house: House) -> None:
    _, stories, edition_id = drafted(house)
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    for story_id in (one for one in stories if _leads(house, edition_id, one)):
        pull(house, edition_id, story_id)

    assert edition_state(house, edition_id) == "held drafted"
    assert open_alert_keys(house) == [f"edition-held:{edition_id}"]


def test_a_send_with_nothing_left_ends(house: House) -> None:
    _, stories, edition_id = drafted(house)
    newsroom.send(house, edition_id)
    for story_id in [one for one in stories if _leads(house, edition_id, one)]:
        pull(house, edition_id, story_id)
    house.work()

    assert ledger_of(house, edition_id) == {"skipped(cancelled)": 2}
    assert (edition_state(house, edition_id), house.inbox.mails) == ("cancelled", [])


def test_in_the_cooling_off_it_can_be_pulled_and_the_send_stands(house: House) -> None:
    _, (*_, snow), edition_id = drafted(house)
    with house.app.app_context(), transaction():
        db.session.get_one(Edition, edition_id).newsletter.cooling_minutes = 2
    newsroom.send(house, edition_id)
    pull(house, edition_id, snow)
    house.later(minutes=2)
    with house.app.app_context():
        releasing.release_due(house.now)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert "Snow" not in house.inbox.of(ANN)[0].part("plain")


def test_what_is_out_and_what_is_not_in_it_cannot_be_pulled(house: House) -> None:
    _, (*_, snow), edition_id = drafted(house)
    with pytest.raises(Refused, match="does not have that story"):
        pull(house, edition_id, 999)
    newsroom.send(house, edition_id)
    pull(house, edition_id, snow)
    with pytest.raises(Refused, match="any more"):
        pull(house, edition_id, snow)
    house.work()
    with pytest.raises(Refused, match="corrected"):
        pull(house, edition_id, snow)
