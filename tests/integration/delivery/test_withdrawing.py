"""A takedown: the story goes from everything that is not sent, at whatever point that is."""

from __future__ import annotations

import pytest

from newsletter.delivery import releasing, shards
from newsletter.editions import publishing
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.mail.smtp import Outcome, Reply
from newsletter.newsletters.models import Slot
from newsletter.stories import marking
from newsletter.stories.models import NewsletterSource, Story, StoryUnknown, withdrawn_among
from tests.conftest import House
from tests.support import newsroom
from tests.support.attempts import record, start
from tests.support.newsroom import Paper, edition_state, ledger_of, open_alert_keys

ANN, BOB = "ann@example.org", "bob@example.org"
TITLES = ("Harbor bridge closes for repairs", "Repairs close the harbor bridge", "Snow on the pass")


def drafted(house: House, **settings: str) -> tuple[Paper, list[int], int]:
    """An edition with an event of two outlets and one of a single one; its stories' and its own ids."""
    paper = newsroom.found(house, **{"items_at_least": "1"} | settings)
    outlets = ("Harbor Gazette", "Ridge Courier", "Inland Mirror")
    stories = [paper.story(title, outlet) for title, outlet in zip(TITLES, outlets, strict=True)]
    paper.readers(ANN, BOB)
    return paper, stories, paper.draft()


def withdraw(house: House, story_id: int) -> list[int]:
    with house.app.app_context():
        return [one.id for one in releasing.withdraw(story_id, "the outlet asked us to", house.now, COMMAND)]


def shown(house: House, edition_id: int) -> list[tuple[int, str, list[str]]]:
    """Position, headline and who else covers it, of the last revision."""
    with house.app.app_context():
        items = db.session.get_one(Edition, edition_id).revisions[-1].items
        return [(item.position, item.headline, [other["outlet"] for other in item.also_covered]) for item in items]


def approve(house: House, edition_id: int) -> None:
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)


def test_a_draft_goes_on_without_it_and_another_outlet_s_story_moves_up(either_house: House) -> None:
    house = either_house
    _, (bridge, *_), edition_id = drafted(house)
    (_, headline, _), snow = shown(house, edition_id)
    lead_is_first = headline == TITLES[0]
    assert withdraw(house, bridge) == [edition_id]
    assert shown(house, edition_id) == [(1, TITLES[1], []), snow]
    with house.app.app_context():
        revision = db.session.get_one(Edition, edition_id).revisions[-1]
        assert revision.subject == TITLES[1]
        assert ("withdrawn" in revision.items[0].reason) == lead_is_first
        assert (revision.number, revision.created_by) == (2, COMMAND.name)


def test_an_item_that_nobody_else_covers_goes_and_the_others_close_up(house: House) -> None:
    paper, (*_, snow), _ = drafted(house)
    paper.mark("pinned", snow)
    house.later(minutes=5)
    with house.app.app_context():
        slot = db.session.get_one(Slot, paper.slot_id)
        edition_id = publishing.compose(slot, publishing.today(slot, house.now), house.now, COMMAND).id
    (first, second) = shown(house, edition_id)
    assert first == (1, "Snow on the pass", [])
    withdraw(house, snow)
    assert shown(house, edition_id) == [(1, *second[1:])]
    assert open_alert_keys(house) == []


def test_a_subject_that_somebody_wrote_stays(house: House) -> None:
    _, (bridge, *_), edition_id = drafted(house)
    with house.app.app_context(), transaction():
        db.session.get_one(Edition, edition_id).revisions[-1].subject = "Good morning"
    withdraw(house, bridge)
    with house.app.app_context():
        assert db.session.get_one(Edition, edition_id).revisions[-1].subject == "Good morning"


def test_an_approved_edition_stays_approved_and_goes_out_without_it(either_house: House) -> None:
    house = either_house
    _, (*_, snow), edition_id = drafted(house)
    approve(house, edition_id)
    withdraw(house, snow)
    assert edition_state(house, edition_id) == "approved"
    newsroom.send(house, edition_id)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 2}
    for address in (ANN, BOB):
        (mail,) = house.inbox.of(address)
        assert "bridge" in mail.part("plain")
        assert "Snow" not in mail.part("plain") + mail.part("html")


def test_what_was_sealed_first_is_kept_as_it_was(house: House) -> None:
    _, (*_, snow), edition_id = drafted(house)
    approve(house, edition_id)
    withdraw(house, snow)
    with house.app.app_context():
        first, second = db.session.get_one(Edition, edition_id).revisions
        assert [len(one.items) for one in (first, second)] == [2, 1]
        assert None not in (first.sealed_at, second.sealed_at)
        assert "Snow" in first.parts[0].text
        assert "Snow" not in second.parts[0].text


def test_the_copies_that_are_not_sent_yet_go_out_without_it_and_the_ledger_knows_who_got_which(
    either_house: House,
) -> None:
    """The worker holds a lease on both copies when the story is taken down after the first."""
    house = either_house
    _, (*_, snow), edition_id = drafted(house)
    newsroom.send(house, edition_id)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        ann, bob = shard.rows
        attempt = start(ann, house.now)
        assert attempt is not None
    withdraw(house, snow)
    with house.app.app_context():
        assert start(bob, house.now) is None
        record(ann, attempt, Reply(Outcome.ACCEPTED, "250 OK"), house.now)
        shards.give_back(shard, house.now)
    house.work()
    (mail,) = [mail for address in (ANN, BOB) for mail in house.inbox.of(address)]
    assert "Snow" not in mail.part("plain") + mail.part("html")
    assert ledger_of(house, edition_id) == {"accepted": 2}
    revisions = {newsroom.delivery(house, address).revision_id for address in (ANN, BOB)}
    assert len(revisions) == 2


def test_an_edition_with_nothing_left_is_held(house: House) -> None:
    _, stories, edition_id = drafted(house)
    approve(house, edition_id)
    for story_id in stories:
        withdraw(house, story_id)
    assert edition_state(house, edition_id) == "held drafted"
    assert open_alert_keys(house) == [f"edition-held:{edition_id}"]


def test_of_an_edition_with_nothing_left_nothing_more_goes_out(house: House) -> None:
    _, stories, edition_id = drafted(house)
    newsroom.send(house, edition_id)
    for story_id in stories:
        withdraw(house, story_id)
    house.work()
    assert ledger_of(house, edition_id) == {"skipped(cancelled)": 2}
    assert [*house.inbox.of(ANN), *house.inbox.of(BOB)] == []
    assert edition_state(house, edition_id) == EditionState.CANCELLED, "it reached nobody"


def test_a_sent_edition_is_not_changed(house: House) -> None:
    _, (*_, snow), edition_id = drafted(house)
    newsroom.send(house, edition_id)
    house.work()
    before = shown(house, edition_id)
    assert withdraw(house, snow) == []
    assert shown(house, edition_id) == before


def test_it_is_not_chosen_again_under_whichever_feed_its_page_comes_in(house: House) -> None:
    paper, (*_, snow), _ = drafted(house)
    withdraw(house, snow)
    with house.app.app_context():
        page = db.session.get_one(Story, snow).page
    again = paper.story("Snow falls on the pass", "Ridge Weather", page=page)
    assert {choice.lead.id for choice in paper.compose().choices} & {snow, again} == set()
    with house.app.app_context():
        assert withdrawn_among([snow, again]) == {snow, again}


def test_a_story_that_was_withdrawn_by_mistake_can_be_chosen_again(house: House) -> None:
    paper, (*_, snow), _ = drafted(house)
    withdraw(house, snow)
    with house.app.app_context():
        marking.restore(snow, house.now, COMMAND)
        marking.restore(snow, house.now, COMMAND)
    assert snow in {choice.lead.id for choice in paper.compose().choices}


def test_every_newsletter_s_edition_loses_it(house: House) -> None:
    _, (*_, snow), edition_id = drafted(house)
    other = newsroom.found(house, "other-post", items_at_least="1")
    with house.app.app_context(), transaction() as session:
        source = session.get_one(Story, snow).source
        assert source is not None
        source.newsletters.append(NewsletterSource(newsletter_id=other.id))
    other_edition = other.draft()
    assert withdraw(house, snow) == [edition_id, other_edition]
    assert edition_state(house, other_edition) == "held drafted"


def test_withdrawing_an_unknown_story_says_so(house: House) -> None:
    with house.app.app_context(), pytest.raises(StoryUnknown, match="no story 99"):
        releasing.withdraw(99, "", house.now, COMMAND)
