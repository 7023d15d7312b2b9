"""What staff say about stories stands for every later draft of that newsletter, until they say otherwise."""

from __future__ import annotations

from datetime import datetime

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import Actor, ActorKind, AuditRecord
from newsletter.foundation.database import db
from newsletter.foundation.errors import Refused
from newsletter.newsletters.models import newsletter
from newsletter.stories import marking
from newsletter.stories.models import Mark, StoryMark, StoryUnknown
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.racing import at_once, both_pass

EVE = Actor(ActorKind.STAFF, "eve@example.org", 7)
BRIDGE = ("Harbor bridge closes for repairs", "Repairs close the harbor bridge")
PAIRS = {Mark.TOGETHER, Mark.APART}


def say(paper: Paper, kind: str, story_id: int, other: int | None = None, *, undo: bool = False) -> None:
    verb = marking.unmark if undo else marking.mark
    with paper.house.app.app_context():
        verb(newsletter(paper.slug), story_id, Mark(kind), paper.house.now, EVE, other)


def said(paper: Paper) -> list[tuple[str, int, int | None]]:
    with paper.house.app.app_context():
        query = sa.select(StoryMark).where(StoryMark.newsletter_id == paper.id).order_by(StoryMark.id)
        return [(mark.mark.value, mark.story_id, mark.other_story_id) for mark in db.session.scalars(query)]


def acts(house: House) -> list[tuple[str, str, object]]:
    """What was done to which story, and with which other."""
    with house.app.app_context():
        records = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id))
        return [
            (one.action, one.subject, one.details["other"]) for one in records if one.actor_name == "eve@example.org"
        ]


def headlines(paper: Paper) -> list[str]:
    return [choice.lead.title for choice in paper.compose().choices]


def told_as_one(paper: Paper) -> list[set[int]]:
    return [{choice.lead.id, *(other.id for other in choice.others)} for choice in paper.compose().choices]


def event(paper: Paper) -> tuple[int, int]:
    """What two outlets tell of one event; its stories' ids."""
    first, second = zip(BRIDGE, ("Harbor Gazette", "Ridge Courier"), strict=True)
    return paper.story(*first), paper.story(*second)


# What it does


def test_what_is_hidden_stays_out_until_it_is_shown_again(either_house: House) -> None:
    paper = newsroom.found(either_house)
    snow = paper.story("Snow on the pass", "Ridge Courier")
    paper.story("Choir wins a prize", "Mill Post")
    say(paper, "hidden", snow)
    assert headlines(paper) == ["Choir wins a prize"]
    either_house.later(hours=5)
    paper.story("New school opens", "Bay Herald", published_at=either_house.now)
    assert "Snow on the pass" not in headlines(paper)
    say(paper, "hidden", snow, undo=True)
    assert "Snow on the pass" in headlines(paper)


def test_what_is_pinned_is_in_and_leads_although_one_outlet_tells_it(either_house: House) -> None:
    paper = newsroom.found(either_house, items_at_most="2", per_outlet_at_most="1", own_at_least="1")
    event(paper)
    paper.story("Our reporter walks the coast", "The Post", {"own": True})
    last = paper.story("A cat is found", "Mill Post", position=90)
    assert "A cat is found" not in headlines(paper)
    say(paper, "pinned", last)
    assert headlines(paper) == ["A cat is found", "Our reporter walks the coast"]
    assert "pinned" in paper.compose().choices[0].reason
    say(paper, "pinned", last, undo=True)
    assert "A cat is found" not in headlines(paper)


def test_pairs_stand_through_later_composing_as_more_comes_in(either_house: House) -> None:
    paper = newsroom.found(either_house)
    first, second = event(paper)
    snow, choir = paper.story("Snow on the pass", "Alp Post"), paper.story("Choir wins a prize", "Mill Post")
    say(paper, "apart", first, second)
    say(paper, "together", choir, snow)
    for number in range(3):
        assert {snow, choir} in told_as_one(paper)
        assert not any({first, second} <= group for group in told_as_one(paper))
        either_house.later(hours=2)
        title = f"Harbor bridge closed for repairs, day {number}"
        paper.story(title, f"Outlet {number}", published_at=either_house.now)


# Saying and unsaying


@pytest.mark.parametrize(
    ("kind", "opposite"), [("hidden", "pinned"), ("pinned", "hidden"), ("together", "apart"), ("apart", "together")]
)
def test_the_opposite_unsays_it_and_so_does_undoing(either_house: House, kind: str, opposite: str) -> None:
    paper = newsroom.found(either_house)
    first, second = event(paper)
    other = second if kind in PAIRS else None
    say(paper, kind, first, other)
    say(paper, opposite, first, other)
    assert said(paper) == [(opposite, first, other)]
    say(paper, kind, first, other, undo=True)
    assert said(paper) == [(opposite, first, other)], "what was not said is not unsaid"
    say(paper, opposite, first, other, undo=True)
    say(paper, opposite, first, other, undo=True)
    assert said(paper) == []
    assert acts(either_house) == [
        (f"story.{kind}", f"story:{first}", other),
        (f"story.{opposite}", f"story:{first}", other),
        (f"story.not-{opposite}", f"story:{first}", other),
    ]


@pytest.mark.parametrize("kind", Mark)
def test_said_twice_is_said_once(house: House, kind: Mark) -> None:
    paper = newsroom.found(house)
    first, second = event(paper)
    for _ in range(2):
        say(paper, kind, first, second if kind in PAIRS else None)
    assert len(said(paper)) == len(acts(house)) == 1


@pytest.mark.parametrize("kind", sorted(PAIRS))
def test_of_two_stories_it_does_not_matter_which_is_named_first(house: House, kind: str) -> None:
    paper = newsroom.found(house)
    first, second = event(paper)
    say(paper, kind, second, first)
    say(paper, kind, first, second)
    assert said(paper) == [(kind, first, second)]
    say(paper, kind, second, first, undo=True)
    assert said(paper) == []


@pytest.mark.parametrize("kind", Mark)
def test_two_who_say_it_at_once_say_it_once(either_house: House, monkeypatch: pytest.MonkeyPatch, kind: Mark) -> None:
    """A unique constraint does not help where there is no second story: NULLs are never alike."""
    paper = newsroom.found(either_house)
    first, second = event(paper)
    monkeypatch.setattr(marking, "_said", both_pass(either_house, marking._said))
    at_once(2, lambda _: say(paper, kind, first, second if kind in PAIRS else None))
    assert len(said(paper)) == len(acts(either_house)) == 1


def test_one_newsletters_word_is_not_anothers(either_house: House) -> None:
    paper, other = newsroom.found(either_house), newsroom.found(either_house, "other-post")
    first, second = event(paper)
    for kind in Mark:
        say(paper, kind, first, second if kind in PAIRS else None)
    mine = said(paper)
    assert said(other) == []
    for kind in Mark:
        say(other, kind, first, second if kind in PAIRS else None, undo=True)
    say(other, "pinned", first)
    say(other, "together", first, second)
    assert said(paper) == mine


# What cannot be said


@pytest.mark.parametrize(("kind", "names_other"), [(kind, kind not in PAIRS) for kind in Mark])
def test_a_pair_needs_two_stories_and_a_single_mark_one(house: House, kind: Mark, names_other: bool) -> None:
    paper = newsroom.found(house)
    first, second = event(paper)
    with pytest.raises(Refused, match="together and apart need two stories; hidden and pinned one"):
        say(paper, kind, first, second if names_other else None)
    assert (said(paper), acts(house)) == ([], [])


@pytest.mark.parametrize("kind", sorted(PAIRS))
def test_a_story_is_not_a_pair_with_itself(house: House, kind: str) -> None:
    paper = newsroom.found(house)
    first, _ = event(paper)
    with pytest.raises(Refused, match="need two stories"):
        say(paper, kind, first, first)
    assert said(paper) == []


@pytest.mark.parametrize(("story_id", "other", "missing"), [(999, None, 999), (999, 1, 999), (1, 999, 999)])
def test_of_a_story_that_there_is_not_nothing_is_said(
    either_house: House, story_id: int, other: int | None, missing: int
) -> None:
    paper = newsroom.found(either_house)
    event(paper)
    with pytest.raises(StoryUnknown, match=str(missing)):
        say(paper, "apart" if other else "pinned", story_id, other)
    assert said(paper) == []
    say(paper, "apart" if other else "pinned", story_id, other, undo=True)
    assert acts(either_house) == []


def test_a_mark_knows_who_said_it_and_when(house: House) -> None:
    paper = newsroom.found(house)
    first, _ = event(paper)
    say(paper, "pinned", first)
    with house.app.app_context():
        mark = db.session.scalars(sa.select(StoryMark)).one()
        assert (mark.by, mark.created_at) == ("eve@example.org", house.now)
        record = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id.desc())).first()
        assert record
        assert (record.actor_kind, record.actor_id, record.at) == (ActorKind.STAFF, 7, house.now)
        assert isinstance(record.at, datetime)
        assert record.details == {"newsletter": paper.slug, "other": None}
