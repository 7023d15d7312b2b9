"""A source that staff have silenced in a newsletter enters none of its drafts until they let it in again."""

from __future__ import annotations

from datetime import date

import pytest

from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.newsletters.models import newsletter
from newsletter.stories import following, health
from newsletter.stories.following import NotFollowed, SilenceInvalid
from newsletter.stories.models import Source, SourceState, story
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import Paper

BRIDGE, STRIKE, KEEPER = "Harbor bridge closes", "School strike ends", "Lighthouse finds its keeper"


@pytest.fixture
def paper(house: House) -> Paper:
    return newsroom.found(house)


def told(paper: Paper) -> set[str]:
    return {choice.lead.title for choice in paper.compose().choices}


def source_of(paper: Paper, story_id: int) -> int:
    with paper.house.app.app_context():
        return story(story_id).source_id or 0


def silence(paper: Paper, source_id: int, until: date | None = None) -> None:
    with paper.house.app.app_context():
        following.silence(newsletter(paper.slug), source_id, until, paper.house.now, COMMAND)


def hear(paper: Paper, source_id: int) -> None:
    with paper.house.app.app_context():
        following.hear(newsletter(paper.slug), source_id, paper.house.now, COMMAND)


def test_its_stories_enter_no_draft_and_the_draft_says_why(paper: Paper) -> None:
    ids = [paper.story(title, title.split()[0]) for title in (BRIDGE, STRIKE, KEEPER)]
    silence(paper, source_of(paper, ids[1]))
    draft = paper.compose()
    assert {choice.lead.title for choice in draft.choices} == {BRIDGE, KEEPER}
    (passed,) = draft.passed_over
    assert (passed.lead.title, passed.reason) == (STRIKE, "its source is silenced in this newsletter")
    hear(paper, source_of(paper, ids[1]))
    assert told(paper) == {BRIDGE, STRIKE, KEEPER}


def test_it_is_heard_again_from_the_date_on(paper: Paper) -> None:
    ids = [paper.story(title, title.split()[0]) for title in (BRIDGE, STRIKE, KEEPER)]
    silence(paper, source_of(paper, ids[0]), date(2026, 3, 4))
    assert BRIDGE not in told(paper)
    paper.house.later(hours=18)
    assert BRIDGE not in told(paper), "23:20 of the day before"
    paper.house.later(hours=1)
    assert BRIDGE in told(paper)


def test_it_is_not_among_those_that_cover_a_story_too_and_adds_no_weight(paper: Paper) -> None:
    loud = paper.story(BRIDGE, "Harbor Gazette")
    quiet = paper.story(BRIDGE + " ", "Ridge Courier")
    paper.story(STRIKE, "Bay Herald")
    paper.mark("together", loud, quiet)
    silence(paper, source_of(paper, quiet))
    (bridge,) = [choice for choice in paper.compose().choices if choice.lead.title == BRIDGE]
    assert (bridge.others, bridge.outlets) == ((), 1)


def test_what_a_hand_pins_is_let_in_all_the_same(paper: Paper) -> None:
    ids = [paper.story(title, title.split()[0]) for title in (BRIDGE, STRIKE)]
    silence(paper, source_of(paper, ids[0]))
    paper.mark("pinned", ids[0])
    assert told(paper) == {BRIDGE, STRIKE}


def test_another_newsletter_hears_it(paper: Paper) -> None:
    courier = newsroom.found(paper.house, "ridge-courier")
    shared = source_of(paper, paper.story(BRIDGE, "Harbor Gazette"))
    courier.story(STRIKE, "Bay Herald")
    with paper.house.app.app_context():
        url = db.session.get_one(Source, shared).url
        following.add_source(newsletter("ridge-courier"), url, None, paper.house.now, COMMAND)
    silence(paper, shared)
    assert told(paper) == set()
    assert told(courier) == {BRIDGE, STRIKE}


def test_a_day_that_is_not_ahead_and_a_source_that_is_not_followed_are_refused(paper: Paper) -> None:
    courier = newsroom.found(paper.house, "ridge-courier")
    mine = source_of(paper, paper.story(BRIDGE, "Harbor Gazette"))
    for day in (date(2026, 3, 3), date(2020, 1, 1)):
        with pytest.raises(SilenceInvalid, match="choose a day after today"):
            silence(paper, mine, day)
    with pytest.raises(NotFollowed):
        silence(courier, mine)
    assert BRIDGE in told(paper)


def test_each_change_of_it_is_recorded_with_before_and_after(paper: Paper) -> None:
    mine = source_of(paper, paper.story(BRIDGE, "Harbor Gazette"))
    silence(paper, mine)
    silence(paper, mine)
    silence(paper, mine, date(2026, 4, 1))
    hear(paper, mine)
    hear(paper, mine)
    with paper.house.app.app_context():
        found = db.session.query(AuditRecord).filter_by(action="source.silence").order_by(AuditRecord.id)
        assert [(one.details["before"], one.details["after"]) for one in found] == [
            ("heard", "silent"),
            ("silent", "silent until 2026-04-01"),
            ("silent until 2026-04-01", "heard"),
        ]


def test_nobody_is_alarmed_by_the_silence_that_they_asked_for(paper: Paper) -> None:
    ids = [source_of(paper, paper.story(title, title.split()[0])) for title in (BRIDGE, STRIKE)]
    with paper.house.app.app_context():
        db.session.get_one(Source, ids[0]).state = SourceState.SILENT
        db.session.commit()
        assert [one.outlet for one in health.silent(paper.id, paper.house.now)] == ["Harbor"]
        assert health.watch(paper.house.now) == 1
    silence(paper, ids[0])
    with paper.house.app.app_context():
        assert health.silent(paper.id, paper.house.now) == []
        assert health.watch(paper.house.now) == 0
    assert newsroom.open_alert_keys(paper.house) == []
