from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from math import log2

import pytest

from newsletter.stories.grouping import StoryText, background_of
from newsletter.stories.ranking import Candidate, Carried, Selection, choose, leading, score

NOW = datetime(2026, 11, 22, 5, 15, tzinfo=UTC)
YESTERDAY = date(2026, 11, 21)
numbers = count(1)


def story(title: str = "", outlet: str = "Harbor Gazette", **about: object) -> Candidate:
    id = next(numbers)
    return Candidate(id, title or f"Parish {id}", f"https://{id}.example", outlet, **about)  # type: ignore[arg-type]


def told_by(*outlets: str, title: str = "") -> list[Candidate]:
    title = title or f"Regatta{next(numbers)}"
    return [story(title, outlet) for outlet in outlets]


def leads(selection: Selection) -> list[int]:
    return [item.lead.id for item in selection.chosen]


def reasons(selection: Selection) -> dict[int, str]:
    return {item.lead.id: item.reason for item in selection.passed_over}


def pick(*groups: list[Candidate], limit: int = 10, per_outlet: int = 10, **more: object) -> Selection:
    return choose(groups, now=NOW, limit=limit, per_outlet=per_outlet, **more)  # type: ignore[arg-type]


# What a group is worth


def test_points_add_up_to_the_formula():
    group = [
        story(outlet="Harbor Gazette", weight=2.0, position=3, published_at=NOW - timedelta(hours=18)),
        story(outlet="Ellery Post", position=2, published_at=NOW - timedelta(hours=30), section="Port"),
    ]
    expected = 3 * log2(1 + 3.0) + 1.5 / log2(3) + 0.5 + 1.0
    assert score(group, NOW, sections=["Port", "Defence"]).total == pytest.approx(expected)


def test_the_reason_says_what_the_points_are_for():
    group = [
        story(outlet="Harbor Gazette", position=2, published_at=NOW - timedelta(hours=5, minutes=50)),
        story(outlet="Ellery Post", position=11, pinned=True),
        story(outlet="Inland Mirror", section="Port"),
    ]
    assert score(group, NOW, sections=["Port"]).why == "pinned, 3 outlets, 2nd on Harbor Gazette, 5 h old, in Port"


@pytest.mark.parametrize(
    ("hours", "words"),
    [(-2, "less than an hour old"), (0.5, "less than an hour old"), (47.9, "47 h old"), (49, "2 days old")],
)
def test_age_is_told_in_words(hours, words):
    assert score([story(published_at=NOW - timedelta(hours=hours))], NOW).why == f"1 outlet, {words}"


@pytest.mark.parametrize(
    ("position", "words"),
    [(1, "1st"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (22, "22nd"), (113, "113th")],
)
def test_places_are_told_as_ordinals(position, words):
    assert score([story(position=position)], NOW).why == f"1 outlet, {words} on Harbor Gazette"


def test_an_outlet_counts_once_with_its_greatest_weight():
    twice = [story(weight=1.0), story(weight=2.0)]
    assert score(twice, NOW).total == score([story(weight=2.0)], NOW).total


def test_a_story_dated_in_the_future_counts_as_new():
    future, new = story(published_at=NOW + timedelta(days=1)), story(published_at=NOW)
    assert score([future], NOW).total == score([new], NOW).total


def test_more_outlets_a_better_place_and_less_age_are_worth_more():
    assert score(told_by("A", "B"), NOW).total > score(told_by("A"), NOW).total
    assert score([story(position=1)], NOW).total > score([story(position=2)], NOW).total
    fresh, stale = (story(published_at=NOW - timedelta(hours=hours)) for hours in (1, 40))
    assert score([fresh], NOW).total > score([stale], NOW).total


# Which story is shown


def test_the_story_shown_is_pinned_own_weighty_well_placed_or_early_in_this_order():
    late, early = story(published_at=NOW), story(published_at=NOW - timedelta(hours=3))
    placed, weighty, own, pinned = story(position=9), story(weight=1.5), story(own=True), story(pinned=True)
    undated = story()
    group = [undated, late, early, placed, weighty, own, pinned]
    assert sorted(group, key=leading) == [pinned, own, weighty, placed, early, late, undated]


def test_others_are_one_story_of_each_other_outlet():
    best, second = story(outlet="Ellery Post", position=1), story(outlet="Ellery Post", position=2)
    lead, also = story(outlet="Harbor Gazette", weight=3.0), story(outlet="Harbor Gazette")
    item = pick([second, also, best, lead]).chosen[0]
    assert (item.lead, item.others) == (lead, (best,))


# Which groups are in


def test_groups_come_by_their_points_and_the_rest_say_so():
    two, three, one = told_by("A", "B"), told_by("A", "B", "C"), told_by("A")
    selection = pick(two, one, three, limit=2)
    assert leads(selection) == [three[0].id, two[0].id]
    assert reasons(selection) == {one[0].id: "not among the first 2 by points"}


def test_the_order_of_groups_does_not_matter():
    groups = [told_by("A"), told_by("B"), told_by("C", "D"), told_by("A", "D")]
    assert leads(pick(*groups)) == leads(pick(*groups[::-1]))


def test_no_outlet_leads_more_items_than_it_may():
    groups = [told_by("Harbor Gazette") for _ in range(4)]
    selection = pick(*groups, per_outlet=3)
    assert leads(selection) == [group[0].id for group in groups[:3]]
    assert reasons(selection) == {groups[3][0].id: "4th story of Harbor Gazette"}


def test_another_outlet_leads_when_the_first_has_led_enough():
    first, second = [story(weight=2.0), story(outlet="Ellery Post")], [story(weight=2.0), story(outlet="Ellery Post")]
    selection = pick(first, second, per_outlet=1)
    assert [item.lead.outlet for item in selection.chosen] == ["Harbor Gazette", "Ellery Post"]
    assert [other.outlet for other in selection.chosen[1].others] == ["Harbor Gazette"]


def test_a_pinned_story_is_in_whatever_its_outlet_has_led():
    pinned = [[story(pinned=True)] for _ in range(3)]
    assert len(pick(*pinned, per_outlet=1).chosen) == 3


def test_the_first_item_is_one_that_two_outlets_tell():
    alone = [story(weight=9.0, position=1, published_at=NOW)]
    both = told_by("A", "B")
    assert leads(pick(alone, both)) == [both[0].id, alone[0].id]


def test_a_pinned_story_may_lead_alone():
    pinned, both = [story(pinned=True)], told_by("A", "B")
    assert leads(pick(both, pinned)) == [pinned[0].id, both[0].id]


def test_where_nothing_is_told_twice_the_best_leads():
    low, high = [story()], [story(position=1)]
    assert leads(pick(low, high)) == [high[0].id, low[0].id]


def test_an_empty_day_has_an_empty_selection():
    assert pick() == Selection((), ())


# What earlier editions told

BARGE = Carried(
    "https://gazette.example/barge",
    "Barge jams Port Ellery swing bridge",
    "Barge jams Port Ellery swing bridge. Trams stop after a barge hit the swing bridge at Port Ellery on Friday.",
    outlets=2,
    on=YESTERDAY,
)
USUAL = background_of(StoryText(i, f"Parish{i} elects a warden{i}", "", "", None) for i in range(200))


def remembered(*group: Candidate) -> Selection:
    return pick(list(group), told_by("A", title="Library lends telescopes"), carried=[BARGE], background=USUAL)


@pytest.mark.parametrize("url", ["https://gazette.example/barge", "https://new.example"])
def test_an_item_of_an_earlier_edition_is_not_told_again(url):
    again = replace(story("Barge jams  PORT Ellery swing bridge", pinned=True), url=url)
    assert reasons(remembered(story("Ferries replace trams"), again)) == {
        again.id: "already in the edition of 21 November"
    }


def test_the_same_event_in_other_words_is_not_told_again():
    again = story("Swing bridge at Port Ellery still jammed by barge", summary="Trams stop for a second day.")
    expected = "tells again what was in the edition of 21 November: Barge jams Port Ellery swing bridge"
    assert reasons(remembered(again)) == {again.id: expected}


def test_a_pin_brings_the_same_event_again():
    again = story("Swing bridge at Port Ellery still jammed by barge", summary="Trams stop.", pinned=True)
    assert leads(remembered(again))[0] == again.id


ALIKE = "Divers at Port Ellery lift mast of barge, inquest into lockkeeper opens"


def test_what_may_be_the_same_event_loses_what_half_its_outlets_are_worth():
    group = [story(ALIKE, "A"), story(ALIKE, "B")]
    selection = remembered(*group, story(ALIKE, "C"))
    item = next(item for item in selection.chosen if item.lead.id == group[0].id)
    assert item.score.parts[-1] == ("like an item of 21 November", -3.0)
    assert not item.update


def test_what_twice_as_many_outlets_tell_now_is_an_update():
    group = [story(ALIKE, outlet) for outlet in "ABCD"]
    item = remembered(*group).chosen[0]
    assert item.update
    assert item.score == score(group, NOW)


def test_another_event_in_the_same_town_is_told():
    other = story("Port Ellery chess club wins regional cup", summary="The final was played in the town hall.")
    item = remembered(other).chosen[0]
    assert (item.lead, item.update, len(item.score.parts)) == (other, False, 1)


# Places for the paper's own


def ours(title: str = "", **about: object) -> list[Candidate]:
    return [story(title, "Harbor Gazette", own=True, **about)]


def test_the_best_of_our_own_have_their_places_whatever_their_points():
    loud = [told_by("Ellery Post", "Inland Mirror") for _ in range(4)]
    good, poor = ours(position=1), ours(position=40)
    selection = pick(*loud, poor, good, limit=3, own_at_least=1)
    assert leads(selection) == [loud[0][0].id, loud[1][0].id, good[0].id]
    assert selection.chosen[-1].score.why.endswith("a place kept for our own")
    assert reasons(selection)[loud[2][0].id] == "the last places were kept for our own stories"
    assert reasons(selection)[poor[0].id] == "not among the first 3 by points"


def test_our_own_that_are_in_anyway_take_no_second_place():
    own = [story(outlet="Harbor Gazette", own=True), story(outlet="Inland Mirror")]
    other = told_by("Ellery Post")
    assert leads(pick(own, other, limit=2, own_at_least=1)) == [own[0].id, other[0].id]


def test_more_places_for_our_own_than_there_are_stories_are_given_to_others():
    own, others = ours(), [told_by("Ellery Post") for _ in range(3)]
    assert len(pick(own, *others, limit=3, own_at_least=3).chosen) == 3


def test_what_we_told_yesterday_takes_no_place():
    told, fresh = ours("Ferry strike ends after nine days"), ours("Lighthouse opens again")
    carried = [Carried(told[0].url, told[0].title, told[0].title, 1, YESTERDAY)]
    selection = pick(told, fresh, told_by("Ellery Post"), limit=1, own_at_least=1, carried=carried)
    assert leads(selection) == [fresh[0].id]


def test_places_for_our_own_go_beyond_the_most_of_one_outlet():
    groups = [ours() for _ in range(3)]
    assert len(pick(*groups, per_outlet=1, own_at_least=3).chosen) == 3
    assert len(pick(*groups, per_outlet=1).chosen) == 1


# Sections


def test_the_first_stands_above_the_sections_then_what_has_none_then_the_sections_in_their_order():
    lead = [story(outlet="Harbor Gazette", section="Sport"), story(outlet="Ellery Post", section="Sport")]
    sport, port, none = [story(section="Sport")], [story(section="Port")], [story()]
    selection = pick(sport, none, port, lead, sections=["Port", "Sport"])
    assert [(item.lead.id, item.section) for item in selection.chosen] == [
        (lead[0].id, ""),
        (none[0].id, ""),
        (port[0].id, "Port"),
        (sport[0].id, "Sport"),
    ]


def test_a_group_without_a_section_on_its_lead_stands_where_most_of_the_others_do():
    group = [
        story(outlet="Harbor Gazette", weight=2.0),
        story(outlet="Ellery Post", section="Port"),
        story(outlet="Inland Mirror", section="Port"),
        story(outlet="Ridge Courier", section="Sport"),
    ]
    top = told_by("A", "B", "C", "D", "E", "F", "G")
    assert [item.section for item in pick(top, group, sections=["Sport", "Port"]).chosen] == ["", "Port"]


def test_within_a_section_points_decide():
    weak, strong = [story(section="Port", weight=0.5)], [story(section="Port", weight=3.0)]
    assert leads(pick(told_by("A", "B", "C"), weak, strong, sections=["Port"]))[1:] == [strong[0].id, weak[0].id]
