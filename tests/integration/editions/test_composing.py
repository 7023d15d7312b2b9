"""What a newsletter's settings and staff's words make of the same stories."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.editions import adding as adding_editions
from newsletter.editions import editing, linking, publishing
from newsletter.editions.composing import Draft
from newsletter.editions.editing import Changes, ItemChange
from newsletter.editions.models import Edition
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import FetchingConfig
from newsletter.foundation.database import db, transaction
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter
from newsletter.stories import adding, gating
from newsletter.stories.adding import StoryByHand
from newsletter.stories.gating import TopicUnusable
from newsletter.stories.models import Story
from tests.conftest import BuildHouse, House
from tests.support import newsroom
from tests.support.newsroom import Paper

BRIDGE = ("Harbor bridge closes for repairs", "Repairs close the harbor bridge", "Harbor bridge shut: repairs begin")
OWN_TOPIC = 'name = "ships"\nstrong = ["ferry", "trawler"]\n'


def headlines(draft: Draft) -> list[str]:
    return [choice.lead.title for choice in draft.choices]


def passed_over(draft: Draft) -> dict[str, str]:
    return {group.lead.title: group.reason for group in draft.passed_over}


def bridge(paper: Paper) -> list[int]:
    """One event, told by three outlets."""
    outlets = ("Harbor Gazette", "Ridge Courier", "Inland Mirror")
    return [paper.story(title, outlet) for title, outlet in zip(BRIDGE, outlets, strict=True)]


# Sections


def test_sections_come_in_their_order_below_the_lead(house: House) -> None:
    paper = newsroom.found(house, sections="Sport, Port")
    bridge(paper)
    paper.story("Trawler lands a record catch", "Quay Times", tags=["Fishing", "port"])
    paper.story("Rowers win the regatta", "Oar Weekly", section="SPORT")
    paper.story("Choir sings in the old mill", "Mill Post", section="Culture")
    draft = paper.compose()
    assert [(choice.lead.title, choice.section) for choice in draft.choices[1:]] == [
        ("Choir sings in the old mill", ""),
        ("Rowers win the regatta", "Sport"),
        ("Trawler lands a record catch", "Port"),
    ]
    assert draft.choices[0].section == ""


def test_a_source_s_section_is_that_of_its_stories_that_name_none(house: House) -> None:
    paper = newsroom.found(house, sections="Sport")
    bridge(paper)
    paper.story("Rowers win the regatta", "Oar Weekly", {"section": "sport"})
    assert [choice.section for choice in paper.compose().choices] == ["", "Sport"]


def test_without_sections_what_outlets_call_theirs_is_not_shown(house: House) -> None:
    paper = newsroom.found(house)
    paper.story("Rowers win the regatta", "Oar Weekly", section="Sport")
    assert [choice.section for choice in paper.compose().choices] == [""]


# Topics


@pytest.mark.parametrize("topic", ["military", OWN_TOPIC])
def test_a_topic_lets_in_what_is_about_it_and_says_why_others_are_out(house: House, topic: str) -> None:
    paper = newsroom.found(house)
    paper.story("Navy frigate follows the ferry and the trawler", "Quay Times")
    paper.story("Choir sings in the old mill", "Mill Post")
    with house.app.app_context():
        gating.set_topic(paper.slug, topic, house.now, COMMAND)
    draft = paper.compose()
    assert headlines(draft) == ["Navy frigate follows the ferry and the trawler"]
    assert passed_over(draft) == {"Choir sings in the old mill": "not about the newsletter’s topic"}


def test_a_source_on_topic_a_pin_and_a_story_by_hand_pass_unread(house: House) -> None:
    paper = newsroom.found(house)
    paper.story("Choir sings in the old mill", "Mill Post", {"on_topic": True})
    paper.mark("pinned", paper.story("Rowers win the regatta", "Oar Weekly"))
    paper.story("Snow on the pass", "Ridge Courier")
    with house.app.app_context():
        gating.set_topic(paper.slug, OWN_TOPIC, house.now, COMMAND)
        adding.add(newsletter(paper.slug), StoryByHand("A word to our readers"), house.now, COMMAND, pin=False)
    draft = paper.compose()
    assert sorted(headlines(draft)) == [
        "A word to our readers",
        "Choir sings in the old mill",
        "Rowers win the regatta",
    ]


def test_no_topic_lets_everything_in_again(house: House) -> None:
    paper = newsroom.found(house)
    paper.tells("Snow on the pass")
    with house.app.app_context():
        gating.set_topic(paper.slug, "military", house.now, COMMAND)
        gating.set_topic(paper.slug, "", house.now, COMMAND)
    assert headlines(paper.compose()) == ["Snow on the pass"]


@pytest.mark.parametrize("topic", ["gardening", 'name = "x"\nstrong = 3', "name = [", '[weak]\nplaces = ["…"]'])
def test_a_topic_that_cannot_be_used_changes_nothing(house: House, topic: str) -> None:
    paper = newsroom.found(house)
    with house.app.app_context():
        with pytest.raises(TopicUnusable, match="was not changed"):
            gating.set_topic(paper.slug, topic, house.now, COMMAND)
        assert newsletter(paper.slug).topic == ""


# The paper's own, and strictness


def test_places_are_kept_for_our_own(house: House) -> None:
    paper = newsroom.found(house, items_at_most="2", own_at_least="1")
    bridge(paper)
    paper.tells("Snow on the pass", "Choir wins a prize")
    paper.story("Our reporter walks the coast", "The Post", {"own": True, "weight": 0.1})
    draft = paper.compose()
    assert headlines(draft)[1] == "Our reporter walks the coast"
    assert set(passed_over(draft).values()) == {"the last places were kept for our own stories"}


def test_a_stricter_setting_tells_less_as_one(house: House) -> None:
    paper = newsroom.found(house)
    bridge(paper)
    assert len(paper.compose().choices) == 1
    with house.app.app_context():
        settings.change(paper.slug, house.now, COMMAND, grouping_threshold="1")
    assert len(paper.compose().choices) == 3


# The hand's word


def test_hidden_stories_are_out_and_pinned_ones_lead(house: House) -> None:
    paper = newsroom.found(house)
    stories = bridge(paper)
    snow, choir = paper.story("Snow on the pass", "Ridge Post"), paper.story("Choir wins a prize", "Mill Post")
    paper.mark("pinned", choir)
    paper.mark("hidden", snow)
    paper.mark("hidden", stories[0])
    draft = paper.compose()
    assert headlines(draft)[0] == "Choir wins a prize"
    assert "Snow on the pass" not in headlines(draft)
    assert [choice.outlets for choice in draft.choices] == [1, 2]


def test_together_and_apart_stand_whatever_the_texts_say(house: House) -> None:
    paper = newsroom.found(house)
    first, second, third = bridge(paper)
    snow = paper.story("Snow on the pass", "Ridge Post")
    for other in (second, third):
        paper.mark("apart", first, other)
    paper.mark("together", first, snow)
    told = {frozenset({choice.lead.id, *(other.id for other in choice.others)}) for choice in paper.compose().choices}
    assert told == {frozenset({first, snow}), frozenset({second, third})}


def test_one_newsletter_s_word_is_not_another_s(house: House) -> None:
    paper, other = newsroom.found(house), newsroom.found(house, "other-post")
    snow = paper.story("Snow on the pass", "Ridge Post")
    with house.app.app_context():
        adding.add(newsletter(paper.slug), StoryByHand("A word to our readers"), house.now, COMMAND)
    other.mark("hidden", snow)
    assert headlines(paper.compose()) == ["A word to our readers", "Snow on the pass"]
    assert headlines(other.compose()) == []


def test_a_story_pinned_today_is_in_however_old_it_is(house: House) -> None:
    paper = newsroom.found(house, window_hours="24")
    old = paper.story("The bridge, a hundred years ago", "Harbor Gazette", published_at=house.now - timedelta(days=40))
    paper.tells("Snow on the pass")
    paper.mark("pinned", old)
    assert headlines(paper.compose())[0] == "The bridge, a hundred years ago"
    house.later(days=2)
    assert headlines(paper.compose()) == []


def test_one_page_stands_once_whatever_its_headlines(house: House) -> None:
    paper = newsroom.found(house)
    with house.app.app_context():
        by_hand = StoryByHand("Ferry crews walk out", url="https://quay.example/strike")
        page = adding.add(newsletter(paper.slug), by_hand, house.now, COMMAND).story.page
    paper.story("All boats stay in harbour", "Quay Times", page=page)
    assert headlines(paper.compose()) == ["Ferry crews walk out"]


def test_fewer_stories_than_the_least_are_enough_where_no_more_are_allowed(house: House) -> None:
    paper = newsroom.found(house, items_at_most="1", items_at_least="3")
    paper.tells("Snow on the pass", "Choir wins a prize")
    assert newsroom.edition_state(house, paper.draft()) == "drafted"


# What is remembered


def test_the_words_of_the_whole_group_and_all_its_outlets_are_remembered(house: House) -> None:
    paper = newsroom.found(house)
    bridge(paper)
    with house.app.app_context():
        item = db.session.get_one(Edition, paper.draft()).revisions[-1].items[0]
        assert all(title in item.told for title in BRIDGE)
        assert item.outlets == 3


def sent_edition_of(paper: Paper) -> None:
    paper.readers("ann@example.org")
    newsroom.send(paper.house, paper.draft())
    paper.house.work()


def test_an_event_of_yesterday_is_an_update_when_twice_as_many_tell_it(house: House) -> None:
    """Its words are partly the same, and its outlets were counted yesterday, not only those that were named."""
    paper = newsroom.found(house, items_at_least="1", window_hours="24")
    paper.story("Ferry strike halts island trips", "Quay Times", summary="Crews want safer decks.")
    sent_edition_of(paper)
    house.later(days=1)
    paper.story("Ferry strike talks stall in Ellery hall", "Harbor Gazette", summary="")
    paper.story("Talks over ferry strike stall", "Ridge Courier", summary="")
    paper.story("Ferry strike: island talks stall in Ellery", "Inland Mirror", summary="")
    draft = paper.compose()
    assert [(choice.is_update, "an update" in choice.reason) for choice in draft.choices] == [(True, True)]
    edition_id = paper.draft()
    with house.app.app_context():
        assert [item.is_update for item in db.session.get_one(Edition, edition_id).revisions[-1].items] == [True]


def test_the_near_misses_stay_with_the_draft(house: House) -> None:
    paper = newsroom.found(house, items_at_most="2")
    paper.tells("Snow on the pass", "Choir wins a prize", "New school opens")
    with house.app.app_context():
        (near_miss,) = db.session.get_one(Edition, paper.draft()).revisions[-1].passed_over
    assert near_miss["reason"] == "not among the first 2 by points"
    assert near_miss["why"].startswith("1 outlet")


# Background


def test_words_that_outlets_use_every_day_do_not_tie(house: House) -> None:
    """Two stories share only what the paper's outlets have written for weeks."""
    paper = newsroom.found(house)
    for day in range(2, 12):
        for n in range(12):
            paper.story(
                f"Weather desk: Ellery coast report {day} {n}",
                f"Outlet {n}",
                published_at=house.now - timedelta(days=day),
            )
    paper.story("Weather desk: Ellery coast lifeboat launched", "Outlet 1")
    paper.story("Weather desk: Ellery coast orchard prize", "Outlet 2")
    assert len(paper.compose().choices) == 2


# A thin day


def test_a_thin_draft_is_composed_anew_only_when_there_is_something_new(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = newsroom.found(house, items_at_least="3")
    paper.tells("Snow on the pass")
    edition_id = paper.draft()
    composed = []
    compose = publishing.composing.compose

    def counted(*args: object) -> Draft:
        composed.append(args)
        return compose(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(publishing.composing, "compose", counted)
    house.later(minutes=3)
    paper.draft()
    assert composed == []
    house.later(seconds=5)
    paper.tells("Choir wins a prize", "New school opens")
    paper.draft()
    assert len(composed) == 1
    with house.app.app_context():
        assert len(db.session.get_one(Edition, edition_id).revisions[-1].items) == 3


# Links that nobody can follow

ODD = ("ftp://outlet.example/story", "https://outlet.example/a story", "/story")


@pytest.mark.parametrize("url", ODD)
def test_a_story_that_no_reader_can_follow_is_left_out_with_the_reason(house: House, url: str) -> None:
    """One odd feed never holds an edition."""
    paper = newsroom.found(house)
    paper.readers("ann@example.org")
    paper.tells("Snow on the pass", "Choir wins a prize")
    paper.story("Intranet outage", "Odd Post", url=url)
    draft = paper.compose()
    assert sorted(headlines(draft)) == ["Choir wins a prize", "Snow on the pass"]
    assert passed_over(draft) == {"Intranet outage": f"its link {linking.fault(url)}"}
    edition_id = paper.draft()
    newsroom.send(house, edition_id)
    assert newsroom.edition_state(house, edition_id) == "sending"


@pytest.mark.parametrize("meant", [True, False])
def test_a_link_into_an_inner_network_is_left_out_unless_feeds_from_there_are_let_in(
    build_house: BuildHouse, sqlite_url: str, meant: bool
) -> None:
    house = build_house(sqlite_url, fetching=FetchingConfig(allow_networks=("10.0.0.0/8",) if meant else ()))
    paper = newsroom.found(house)
    paper.story("Intranet outage", "Odd Post", url="http://10.0.0.5/story")
    assert len(paper.compose().choices) == meant


def test_an_event_is_told_by_those_who_can_be_followed(house: House) -> None:
    paper = newsroom.found(house)
    for title, outlet, url in zip(
        BRIDGE, ("A Post", "B Post", "C Post"), (ODD[0], "", "https://c.example/1"), strict=True
    ):
        paper.story(title, outlet, url=url)
    (choice,) = paper.compose().choices
    assert (choice.lead.outlet, choice.others, choice.outlets) == ("C Post", (), 1)
    assert set(passed_over(paper.compose())) == set(BRIDGE[:2])


def test_a_link_that_a_hand_put_right_stays_when_the_edition_is_composed_again(house: House) -> None:
    paper = newsroom.found(house)
    paper.tells("Snow on the pass", "Choir wins a prize")
    edition_id = paper.draft()
    with house.app.app_context():
        item = db.session.get_one(Edition, edition_id).revisions[-1].items[1]
        story_id, id, headline = item.story_id, item.id, item.headline
        change = ItemChange(id, url="https://right.example/")
        editing.change(edition_id, 1, Changes(items=(change,)), house.now, COMMAND)
        with transaction() as session:
            session.get_one(Story, story_id).url = ODD[0]
        adding_editions.compose_again(edition_id, house.now, COMMAND)
        items = db.session.get_one(Edition, edition_id).revisions[-1].items
        assert {one.headline: one.url for one in items}[headline] == "https://right.example/"


def test_a_picture_that_no_reader_can_have_is_not_linked_to(house: House) -> None:
    paper = newsroom.found(house, pictures="link")
    paper.tells("Snow on the pass")
    paper.story("Choir wins a prize", "Mill Post", image_url="https://outlet.example/a choir.jpg")
    edition_id = paper.draft()
    with house.app.app_context():
        items = db.session.get_one(Edition, edition_id).revisions[-1].items
        (item,) = [one for one in items if one.headline == "Choir wins a prize"]
        assert item.image_url is None
        assert item.picture_note == "Its address has a space in it, or a character that cannot be seen."
