"""Several people at one draft: each change is saved on what stands there now, and nobody's words are overwritten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.delivery import housekeeping, releasing
from newsletter.delivery.releasing import NotAsSeen
from newsletter.editions import sittings, together
from newsletter.editions.editing import Changes, EditInvalid, NotEditable
from newsletter.editions.exchanging import TAKEN_OUT
from newsletter.editions.models import Edition, Item
from newsletter.editions.together import OrderedMeanwhile, Saved, StoryGone, Theirs, Wanted, Word
from newsletter.foundation import audit
from newsletter.foundation.audit import COMMAND, Actor, ActorKind
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from tests.conftest import House
from tests.integration.editions.test_editing import FOUR, Desk, desk_of
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.racing import at_once

ANN = Actor(ActorKind.STAFF, "ann@example.org", 1, "192.0.2.1")
BEN = Actor(ActorKind.STAFF, "ben@example.org", 2, "192.0.2.2")


@pytest.fixture
def desk(house: House) -> Desk:
    return desk_of(house)


def key(desk: Desk, headline: str) -> str:
    return str(desk.items()[headline]["story_id"])


def save(desk: Desk, wanted: Wanted, by: Actor = ANN, *, typing: bool = False) -> Saved:
    with desk.house.app.app_context():
        saved = together.save(desk.edition_id, wanted, desk.house.now, by, typing=typing)
        assert saved.revision.items is not None
        db.session.expunge_all()
        return saved


def word(desk: Desk, headline: str, text: str, name: str = "headline", was: str | None = None) -> Wanted:
    item = desk.items()[headline]
    return Wanted(str(item["story_id"]), (Word(name, item[name] if was is None else was, text),))


# Words


def test_two_people_change_different_words_and_both_are_saved(either_house: House) -> None:
    desk = desk_of(either_house)
    anns, bens = word(desk, FOUR[0], "The bridge is closed"), word(desk, FOUR[0], "Until spring.", "summary")
    save(desk, anns)
    assert save(desk, bens, BEN).theirs == ()
    item = desk.items()["The bridge is closed"]
    assert (item["summary"], item["by_hand"]) == ("Until spring.", ["headline", "summary"])


def test_words_that_somebody_else_changed_are_shown_and_not_overwritten(desk: Desk) -> None:
    anns, bens = word(desk, FOUR[0], "The bridge is closed"), word(desk, FOUR[0], "No way over the bridge")
    save(desk, anns)
    saved = save(desk, bens, BEN)
    assert saved.theirs == (Theirs("headline", "ann@example.org", "The bridge is closed", "No way over the bridge"),)
    assert not saved.anew
    assert desk.headlines()[0] == "The bridge is closed"
    again = word(desk, "The bridge is closed", "No way over the bridge")
    assert save(desk, again, BEN).theirs == (), "who has seen it may choose their own"
    assert desk.headlines()[0] == "No way over the bridge"


def test_of_several_words_those_are_saved_that_nobody_else_changed(desk: Desk) -> None:
    item = desk.items()[FOUR[1]]
    both = (Word("headline", FOUR[1], "Snow closes the pass"), Word("summary", item["summary"], "Until noon."))
    save(desk, word(desk, FOUR[1], "Snow on the high pass"))
    saved = save(desk, Wanted(str(item["story_id"]), both), BEN)
    assert [one.name for one in saved.theirs] == ["headline"]
    assert desk.items()["Snow on the high pass"]["summary"] == "Until noon."


def test_two_who_write_the_same_are_of_one_mind(desk: Desk) -> None:
    wanted = word(desk, FOUR[0], "The bridge is closed")
    save(desk, wanted)
    assert (save(desk, wanted, BEN).theirs, desk.revision().number) == ((), 2)


def test_what_was_not_touched_overwrites_nothing(desk: Desk) -> None:
    """A whole form comes along with the one field that was changed."""
    item = desk.items()[FOUR[0]]
    form = tuple(Word(name, item[name], item[name]) for name in ("headline", "summary", "url"))
    save(desk, word(desk, FOUR[0], "The bridge is closed"))
    assert save(desk, Wanted(str(item["story_id"]), form), BEN).theirs == ()
    assert desk.headlines()[0] == "The bridge is closed"


def test_a_story_that_somebody_took_out_gives_back_what_was_typed(desk: Desk) -> None:
    anns = word(desk, FOUR[2], "Choir wins again")
    save(desk, Wanted(key(desk, FOUR[2]), drop=True), BEN)
    with pytest.raises(StoryGone, match=r"ben@example.org took the story out .* You wrote: “Choir wins again”\."):
        save(desk, anns)
    with pytest.raises(StoryGone, match=r"meanwhile\.$"):
        save(desk, Wanted(anns.key, by=1))


def test_words_that_cannot_be_saved_are_named(desk: Desk) -> None:
    with pytest.raises(EditInvalid) as raised:
        save(desk, word(desk, FOUR[0], "  "))
    assert raised.value.field == "headline"
    assert desk.revision().number == 1


def test_saving_at_the_same_moment_loses_nothing(either_house: House) -> None:
    desk = desk_of(either_house)
    wanted = [word(desk, headline, f"{headline} today") for headline in FOUR]

    at_once(4, lambda number: save(desk, wanted[number], ANN if number % 2 else BEN))
    assert sorted(desk.headlines()) == sorted(f"{headline} today" for headline in FOUR)


def test_nothing_is_changed_that_is_approved(desk: Desk) -> None:
    with desk.house.app.app_context():
        releasing.approve(desk.edition_id, desk.house.now, COMMAND)
    with pytest.raises(NotEditable):
        save(desk, word(desk, FOUR[0], "The bridge is closed"))


def test_who_approves_approves_what_they_saw(desk: Desk) -> None:
    save(desk, word(desk, FOUR[0], "The bridge is closed"), BEN)
    with desk.house.app.app_context():
        with pytest.raises(NotAsSeen, match=r"ben@example\.org changed this edition after your page was shown"):
            releasing.approve(desk.edition_id, desk.house.now, ANN, seen=1)
        with pytest.raises(NotAsSeen):
            releasing.send(desk.edition_id, desk.house.now, ANN, seen=1)
        releasing.approve(desk.edition_id, desk.house.now, ANN, seen=2)


# Order


def test_a_story_moves_from_where_it_stands_now(desk: Desk) -> None:
    snow = key(desk, FOUR[1])
    save(desk, Wanted(snow, by=-1))
    assert desk.headlines() == [FOUR[1], FOUR[0], FOUR[2], FOUR[3]]
    save(desk, Wanted(snow, by=-1))
    assert desk.headlines()[0] == FOUR[1], "it is the first already"
    save(desk, Wanted(snow, by=1), BEN)
    assert desk.headlines() == list(FOUR)


def test_an_order_is_saved_only_on_the_one_that_was_shown(desk: Desk) -> None:
    keys = tuple(key(desk, headline) for headline in FOUR)
    turned = tuple(reversed(keys))
    save(desk, Wanted(order=turned, order_was=keys))
    assert desk.headlines() == list(reversed(FOUR))
    with pytest.raises(OrderedMeanwhile, match=r"ann@example\.org changed the order"):
        save(desk, Wanted(order=(keys[1], keys[0], *keys[2:]), order_was=keys), BEN)
    assert desk.headlines() == list(reversed(FOUR))


# The group: who leads, whose picture, what is added


def grouped(house: House) -> tuple[Desk, dict[str, int]]:
    """A draft whose first story is told by three outlets, two of them with a picture."""
    paper = newsroom.found(house, approval="manual", items_at_most="2", pictures="link")
    ids = {
        "Gazette": paper.story("Harbor bridge closes for repairs", "Gazette", {"weight": 9.0}),
        "Courier": paper.story(
            "Harbor bridge closes for repairs today", "Courier", image_url="https://c.example/b.jpg"
        ),
        "Herald": paper.story("Harbor bridge closes for repairs now", "Herald", image_url="https://h.example/b.jpg"),
    }
    ids |= {name: paper.story(name, f"Outlet of {name}", {"weight": 6.0 - n}) for n, name in enumerate(FOUR[1:])}
    desk = Desk(paper, paper.draft())
    assert len(first(desk).also_covered) == 2
    return desk, ids


def first(desk: Desk) -> Item:
    return desk.revision().items[0]


def test_another_outlet_s_story_leads_and_stays_when_it_is_composed_again(house: House) -> None:
    desk, ids = grouped(house)
    desk.words(first(desk).headline, headline="Bridge shut")
    save(desk, Wanted(str(ids["Gazette"]), lead=ids["Courier"]))
    item = first(desk)
    assert (item.story_id, item.outlet, item.headline) == (
        ids["Courier"],
        "Courier",
        "Harbor bridge closes for repairs today",
    )
    assert sorted(other["outlet"] for other in item.also_covered) == ["Gazette", "Herald"]
    desk.recompose()
    assert first(desk).story_id == ids["Courier"]
    save(desk, Wanted(str(ids["Courier"]), lead=ids["Gazette"]))
    assert first(desk).headline == "Bridge shut", "what a hand wrote of it comes back with it"
    with pytest.raises(Refused, match="does not tell the same"):
        save(desk, Wanted(str(ids["Gazette"]), lead=ids[FOUR[1]]))


def test_a_picture_of_the_group_is_chosen_or_none_and_stays_so(house: House) -> None:
    desk, ids = grouped(house)
    lead = str(ids["Gazette"])
    save(desk, Wanted(lead, picture="https://h.example/b.jpg"))
    assert first(desk).image_url == "https://h.example/b.jpg"
    save(desk, Wanted(lead, picture=""))
    assert (first(desk).image_url, first(desk).picture_note) == (None, TAKEN_OUT)
    desk.recompose()
    assert (first(desk).image_url, first(desk).picture_note) == (None, TAKEN_OUT)
    with pytest.raises(Refused, match="none of the outlets"):
        save(desk, Wanted(lead, picture="https://elsewhere.example/x.jpg"))


def test_what_almost_made_it_is_added_with_one_press_and_stays(house: House) -> None:
    desk, ids = grouped(house)
    near = [group["story_id"] for group in desk.revision().passed_over]
    assert ids[FOUR[3]] in near
    save(desk, Wanted(added=(ids[FOUR[3]],)))
    assert desk.headlines()[-1] == FOUR[3]
    assert desk.items()[FOUR[3]]["reason"].startswith("added by hand; 1 outlet")
    assert ids[FOUR[3]] not in [group["story_id"] for group in desk.revision().passed_over]
    desk.recompose()
    assert FOUR[3] in desk.headlines(), "composing again leaves it in"
    with pytest.raises(Refused, match="already"):
        save(desk, Wanted(added=(ids[FOUR[3]],)))
    save(desk, Wanted(str(ids[FOUR[3]]), drop=True))
    assert FOUR[3] not in desk.headlines()
    save(desk, Wanted(back=(ids[FOUR[3]],)))
    assert desk.headlines()[-1] == FOUR[3]


def test_a_group_that_almost_made_it_comes_with_all_who_tell_it(house: House) -> None:
    paper = newsroom.found(house, approval="manual", items_at_most="2")
    for place, title in enumerate(FOUR[:2]):
        paper.story(title, f"Outlet of {title}", {"weight": 10.0 - place})
    lead = paper.story("Ferry sails again after the storm", "Gazette")
    paper.story("Ferry sails again after the storm today", "Courier", {"weight": 0.5})
    desk = Desk(paper, paper.draft())
    save(desk, Wanted(added=(lead,)))
    item = desk.items()["Ferry sails again after the storm"]
    assert [other["outlet"] for other in item["also_covered"]] == ["Courier"]
    assert item["outlets"] == 2


def test_a_story_of_another_newsletter_is_not_added(house: House) -> None:
    desk, _ = grouped(house)
    strange: Paper = newsroom.found(house, "ridge-courier")
    theirs = strange.story("Snow on the ridge", "Ridge Courier")
    with pytest.raises(Refused, match="belongs to another newsletter"):
        save(desk, Wanted(added=(theirs,)))


# What is written down, and what is forgotten


def edits(desk: Desk) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    records = [one for one in desk.records() if one.action == "edition.edit"]
    return [(one.actor_name, one.details.get("before", {}), one.details.get("after", {})) for one in records]


def typed(desk: Desk, *texts: str, by: Actor = ANN) -> None:
    """Somebody types these one after the other into the first headline, and is not done."""
    for text in texts:
        save(desk, word(desk, desk.headlines()[0], text), by, typing=True)
        desk.house.later(seconds=2)


def test_who_types_is_written_down_once_with_what_stood_there_before(either_house: House) -> None:
    desk = desk_of(either_house)
    typed(desk, "The b", "The bridge", "The bridge is clo")
    assert edits(desk) == [], "it is saved, and its writer is in the midst of it"
    save(desk, word(desk, "The bridge is clo", "The bridge is closed"))
    assert edits(desk) == [("ann@example.org", {"1:headline": FOUR[0]}, {"1:headline": "The bridge is closed"})]


def test_who_leaves_a_field_is_written_down_though_all_was_saved(desk: Desk) -> None:
    typed(desk, "The bridge is closed")
    save(desk, word(desk, "The bridge is closed", "The bridge is closed"))
    assert edits(desk) == [("ann@example.org", {"1:headline": FOUR[0]}, {"1:headline": "The bridge is closed"})]
    save(desk, word(desk, "The bridge is closed", "The bridge is closed"))
    assert len(edits(desk)) == 1


def test_who_does_not_come_back_is_written_down_by_housekeeping(desk: Desk) -> None:
    typed(desk, "The bridge is closed")
    desk.house.later(minutes=3)
    with desk.house.app.app_context():
        housekeeping.tidy(desk.house.now)
    assert edits(desk) == [("ann@example.org", {"1:headline": FOUR[0]}, {"1:headline": "The bridge is closed"})]
    record = desk.records()[-1]
    assert (record.ip, record.actor_id) == ("192.0.2.1", 1)
    assert record.at < desk.house.now, "when it was written"


def test_what_is_approved_is_written_down_before(desk: Desk) -> None:
    typed(desk, "The bridge is closed")
    with desk.house.app.app_context():
        releasing.approve(desk.edition_id, desk.house.now, BEN)
    assert [one.action for one in desk.records()][-2:] == ["edition.edit", "edition.approve"]


def test_pauses_in_typing_are_forgotten_and_what_matters_stays(desk: Desk) -> None:
    typed(desk, *(f"The bridge {n}" for n in range(8)))
    save(desk, Wanted(key(desk, FOUR[3]), drop=True))
    desk.house.later(minutes=11)
    typed(desk, "The bridge is closed", by=BEN)
    with desk.house.app.app_context():
        left = db.session.get_one(Edition, desk.edition_id).revisions
        assert [one.number for one in left] == [1, 9, 10, 11], (
            "the draft, the last with the story, the last of hers, his"
        )
        assert left[0].items[0].headline == FOUR[0]
    save(desk, Wanted(back=(int(desk.revision().by_hand[-1]["left_out"]),)))
    assert desk.headlines()[-1] == FOUR[3]


def test_a_revision_that_a_mail_leads_to_is_not_forgotten(desk: Desk) -> None:
    typed(desk, "The bridge 1", "The bridge 2", "The bridge 3")
    with desk.house.app.app_context(), transaction():
        audit.record(COMMAND, "edition.propose", f"edition:{desk.edition_id}", desk.house.now, revision=3, staff=[1])
    desk.house.later(minutes=11)
    typed(desk, "The bridge is closed")
    with desk.house.app.app_context():
        assert [one.number for one in db.session.get_one(Edition, desk.edition_id).revisions] == [1, 3, 4, 5]


# Who is there


def test_who_else_is_there_is_known_for_half_a_minute(either_house: House) -> None:
    desk = desk_of(either_house)
    with either_house.app.app_context():
        sittings.here(desk.edition_id, "mail", either_house.now, ANN)
        sittings.here(desk.edition_id, "7", either_house.now, BEN)
        sittings.here(desk.edition_id, "8", either_house.now, BEN)
        there = [(one.name, one.place) for one in sittings.others(desk.edition_id, 1, either_house.now)]
        assert there == [("ben@example.org", "8")]
        later = either_house.now + timedelta(seconds=30)
        assert sittings.others(desk.edition_id, 1, later) == []


def test_an_empty_change_saves_nothing(desk: Desk) -> None:
    assert not save(desk, Wanted()).anew
    assert desk.change(Changes()) == 1
