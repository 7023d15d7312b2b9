"""The page on which a draft is changed by hand: without scripts, and nothing that was typed is lost."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from newsletter.delivery import releasing
from newsletter.editions import editing, publishing
from newsletter.editions.editing import Changes, ItemChange
from newsletter.editions.models import Edition, EditionState, Revision
from newsletter.foundation.audit import COMMAND, Actor, ActorKind
from newsletter.foundation.database import db
from newsletter.newsletters.models import Slot
from newsletter.staff.models import Role
from tests.conftest import House
from tests.integration.subscribers import everything
from tests.integration.web import NOBODYS, Desk, signed_in
from tests.support import newsroom
from tests.support.forms import Sheet, open_page
from tests.support.newsroom import Paper

BEN = Actor(ActorKind.STAFF, "ben@example.org")
THREE = ("Harbor bridge closes", "Snow on the pass", "Choir wins a prize")


@dataclass
class Room:
    """An editor at the page of a draft with three stories."""

    paper: Paper
    desk: Desk
    edition_id: int
    keys: dict[str, int]

    @property
    def path(self) -> str:
        return f"/admin/editions/{self.edition_id}/edit"

    def open(self) -> Sheet:
        return open_page(self.desk, self.path)

    def revision(self) -> Revision:
        with self.paper.house.app.app_context():
            found = db.session.get_one(Edition, self.edition_id).revisions[-1]
            assert found.items is not None
            db.session.expunge_all()
            return found

    def headlines(self) -> list[str]:
        return [item.headline for item in self.revision().items]

    def name(self, field: str, headline: str) -> str:
        """A story's field in the form."""
        return f"{field}-{self.keys[headline]}"

    def meanwhile(self, **of_edition: str) -> None:
        """A colleague saves."""
        self.save(Changes(**of_edition))

    def save(self, changes: Changes) -> None:
        with self.paper.house.app.app_context():
            number = db.session.get_one(Edition, self.edition_id).revisions[-1].number
            editing.change(self.edition_id, number, changes, self.paper.house.now, BEN)

    def item(self, headline: str) -> int:
        return next(item.id for item in self.revision().items if item.headline == headline)


def room_of(house: House, role: Role = Role.EDITOR, **changed: str) -> Room:
    paper = newsroom.found(house, approval="manual", **changed)
    keys = {
        title: paper.story(title, f"Outlet of {title}", {"weight": 8.0 - place}) for place, title in enumerate(THREE)
    }
    return Room(paper, signed_in(house, role), paper.draft(), keys)


@pytest.fixture
def room(house: House) -> Room:
    return room_of(house)


def test_the_page_shows_what_is_stored_and_the_edition_s_page_leads_to_it(room: Room) -> None:
    shown = open_page(room.desk, f"/admin/editions/{room.edition_id}")
    assert shown.links()["Change words and order"] == room.path
    fields = room.open().fields("Save")
    assert (fields["subject"], fields["preheader"], fields["intro"]) == (THREE[0], f"{THREE[1]} · {THREE[2]}", "")
    assert [fields[room.name("headline", title)] for title in THREE] == list(THREE)
    assert [fields[room.name("position", title)] for title in THREE] == ["1", "2", "3"]
    assert fields[room.name("summary", THREE[0])] == f"All about it: {THREE[0]}."
    assert fields["revision"] == "1"


def test_what_is_typed_is_saved_as_one_revision(either_house: House) -> None:
    room = room_of(either_house, sections="World, Sport")
    after = room.open().after(
        "Save",
        subject="Three things",
        preheader="and no fourth",
        intro="Good morning.\r\n\r\nIt is cold.",
        **{
            room.name("headline", THREE[1]): "Snow closes the pass",
            room.name("summary", THREE[1]): "Until noon.",
            room.name("image_alt", THREE[1]): "A plough",
            room.name("url", THREE[1]): "https://pass.example/snow?a=1&b=2",
            room.name("section", THREE[1]): "Sport",
        },
    )
    assert after.path == f"/admin/editions/{room.edition_id}"
    assert "Saved." in after.words
    revision = room.revision()
    assert (revision.number, revision.created_by) == (2, "editor0@example.org")
    assert (revision.subject, revision.preheader) == ("Three things", "and no fourth")
    assert revision.intro == "Good morning.\n\nIt is cold."
    snow = revision.items[1]
    assert (snow.headline, snow.summary, snow.image_alt) == ("Snow closes the pass", "Until noon.", "A plough")
    assert (snow.url, snow.section) == ("https://pass.example/snow?a=1&b=2", "Sport")
    assert sorted(snow.by_hand) == ["headline", "image_alt", "section", "summary", "url"]
    assert [item.by_hand for item in (revision.items[0], revision.items[2])] == [[], []]


def test_a_form_that_is_saved_as_it_was_opened_saves_nothing(room: Room) -> None:
    before = everything(room.paper.house)
    assert "It was like that already." in room.open().after("Save").words
    assert everything(room.paper.house) == before


@pytest.mark.parametrize(
    ("places", "order"),
    [
        (("1", "2", "1"), [2, 0, 1]),
        (("2", "2", "3"), [1, 0, 2]),
        (("3", "2", "3"), [1, 2, 0]),
        (("3", "2", "1"), [2, 1, 0]),
        (("9", "2", "3"), [1, 2, 0]),
        (("1", "1", "3"), [1, 0, 2]),
        ((" 2 ", "1", "3"), [1, 0, 2]),
    ],
)
def test_a_place_is_a_number_and_who_was_moved_there_has_it(
    room: Room, places: tuple[str, ...], order: list[int]
) -> None:
    typed = {room.name("position", title): place for title, place in zip(THREE, places, strict=True)}
    room.open().after("Save", **typed)
    assert room.headlines() == [THREE[n] for n in order]


def test_a_story_is_left_out_and_put_back(room: Room) -> None:
    room.open().after("Save", **{room.name("out", THREE[0]): "yes"})
    assert room.headlines() == list(THREE[1:])
    assert room.revision().subject == THREE[1], "a subject that was the headline follows the lead"
    again = room.open()
    assert f"Put back: {THREE[0]}" in again.words
    again.after("Save", **{room.name("back", THREE[0]): "yes", room.name("position", THREE[1]): "1"})
    assert room.headlines() == [*THREE[1:], THREE[0]]


def test_the_page_says_what_a_hand_wrote_and_how_to_have_the_usual_again(room: Room) -> None:
    assert "Empty for the usual one." in room.open().words
    room.open().after("Save", subject="Three things")
    again = room.open()
    assert "Written by hand; empty for the usual one." in again.words
    again.after("Save", subject="")
    assert (room.revision().subject, room.revision().by_hand) == (THREE[0], [])


# What is wrong


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("subject", "x" * 301, "it is 301 characters long; write at most 300."),
        ("intro", "One\x00two", "it has characters that nobody can see"),
        ("headline", "", "write one, or leave the story out."),
        ("summary", "One\r\ntwo", "write it on one line."),
        ("url", "/story", "write it whole, like https://example.org/story."),
        ("position", "first", "write a number, 1 for the first."),
        ("position", "0", "write a number, 1 for the first."),
        ("position", "-1", "write a number, 1 for the first."),
        ("position", "1000", "write a number, 1 for the first."),
        ("position", "²", "write a number, 1 for the first."),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    room: Room, field: str, text: str, problem: str
) -> None:
    of_story = field not in editing.EDITION_FIELDS
    name = room.name(field, THREE[1]) if of_story else field
    before = everything(room.paper.house)
    mine = {room.name("headline", THREE[2]): "Choir sings", room.name("out", THREE[0]): "yes", name: text}
    again = room.open().after("Save", **mine)
    assert again.status == 422
    assert again.wrong().keys() == {name}
    assert problem in again.wrong()[name]
    fields = again.fields("Save")
    assert fields[room.name("headline", THREE[2])] == "Choir sings"
    assert fields[room.name("out", THREE[0])] == ["yes"]
    if "\x00" not in text:
        assert fields[name].split() == text.split()
    assert again.root.findtext(".//title").startswith("Error: ")
    assert everything(room.paper.house) == before


def test_hostile_words_are_text(room: Room) -> None:
    script = "</textarea><script>alert(1)</script>\"'"
    headline = room.name("headline", THREE[0])
    room.open().after("Save", subject=script, intro=script, **{headline: script})
    shown = room.open()
    assert [shown.fields("Save")[name] for name in ("subject", "intro", headline)] == [script] * 3
    assert shown.root.xpath("//script[not(@src)]") == []
    room.meanwhile(subject=f"{script}!")
    conflict = shown.after("Save", subject="mine")
    assert conflict.status == 409
    assert f"{script}!" in conflict.words
    assert conflict.root.xpath("//script[not(@src)]") == []


# Two at once


def test_a_conflict_shows_both_and_loses_neither(either_house: House) -> None:
    room = room_of(either_house)
    mine = room.open()
    either_house.later(minutes=2)
    room.save(
        Changes(
            subject="Ben's words",
            intro="Ben's introduction",
            items=(ItemChange(room.item(THREE[1]), headline="Ben's snow"),),
        )
    )
    before = everything(either_house)
    headline, summary = room.name("headline", THREE[1]), room.name("summary", THREE[2])
    conflict = mine.after("Save", subject="My words", **{headline: "My snow", summary: "My choir."})
    assert conflict.status == 409
    assert everything(either_house) == before
    assert "Changed by ben@example.org at 05:22 UTC; yours was not saved." in conflict.words
    assert "Saved meanwhile by ben@example.org: “Ben's words”. Yours stands below." in conflict.words
    assert "“Ben's snow”" in conflict.words
    fields = conflict.fields("Save")
    assert (fields["subject"], fields[headline], fields[summary]) == ("My words", "My snow", "My choir.")
    assert fields["intro"] == "Ben's introduction", "what only he changed stands as he saved it"
    assert fields["revision"] == "2"
    conflict.after("Save")
    saved = room.revision()
    assert (saved.number, saved.subject, saved.intro) == (3, "My words", "Ben's introduction")
    assert [(item.headline, item.summary) for item in saved.items[1:]] == [
        ("My snow", f"All about it: {THREE[1]}."),
        (THREE[2], "My choir."),
    ]


def test_words_about_a_story_that_is_gone_meanwhile_are_shown(room: Room) -> None:
    mine = room.open()
    room.save(Changes(items=(ItemChange(room.item(THREE[1]), drop=True),)))
    alt = room.name("image_alt", THREE[1])
    conflict = mine.after("Save", **{room.name("headline", THREE[1]): "My snow", alt: "A plough", "intro": "Hello."})
    assert conflict.status == 409
    assert f"Headline of “{THREE[1]}” My snow" in conflict.words
    assert f"Picture’s description of “{THREE[1]}” A plough" in conflict.words
    assert room.name("headline", THREE[1]) not in conflict.fields("Save")
    conflict.after("Save")
    assert (room.headlines(), room.revision().intro) == ([THREE[0], THREE[2]], "Hello.")


def test_ticks_and_places_survive_a_conflict(room: Room) -> None:
    mine = room.open()
    room.meanwhile(intro="Ben's introduction")
    conflict = mine.after(
        "Save", **{room.name("out", THREE[0]): "yes", room.name("position", THREE[2]): "1", "subject": "Mine"}
    )
    conflict.after("Save")
    assert (room.headlines(), room.revision().subject) == ([THREE[2], THREE[1]], "Mine")


def test_a_draft_that_was_composed_anew_meanwhile_is_a_conflict_too(room: Room) -> None:
    mine = room.open()
    house = room.paper.house
    room.paper.story("Ferry gets a hull", "Quay Times", {"weight": 9.5})
    with house.app.app_context():
        slot = db.session.get_one(Slot, room.paper.slot_id)
        publishing.compose(slot, publishing.today(slot, house.now), house.now, COMMAND)
    conflict = mine.after("Save", **{room.name("headline", THREE[0]): "My bridge"})
    assert "Changed by command line at 05:20 UTC" in conflict.words
    conflict.after("Save")
    assert room.headlines() == ["Ferry gets a hull", "My bridge", *THREE[1:]]


def test_a_form_of_a_revision_that_is_forgotten_by_now_loses_no_words(room: Room) -> None:
    room.meanwhile(intro="Ben's first try")
    mine = room.open()
    room.paper.house.later(seconds=5)
    room.meanwhile(intro="Ben's introduction")
    room.paper.house.later(minutes=11)
    room.meanwhile(preheader="Ben's line")
    with room.paper.house.app.app_context():
        assert [one.number for one in db.session.get_one(Edition, room.edition_id).revisions] == [1, 3, 4]
    conflict = mine.after("Save", subject="My words")
    assert conflict.status == 409
    assert "Saved meanwhile by ben@example.org: “Ben's introduction”" in conflict.words
    assert conflict.fields("Save")["subject"] == "My words"
    conflict.after("Save")
    assert (room.revision().number, room.revision().subject) == (5, "My words")


# An edition that is no draft


def test_an_approved_edition_is_opened_again_with_the_save(room: Room) -> None:
    with room.paper.house.app.app_context():
        releasing.approve(room.edition_id, room.paper.house.now, BEN)
    shown = room.open()
    assert "To save changes opens it again, and somebody must approve it once more." in shown.words
    assert "Save" not in shown.buttons()
    shown.after("Open it again and save", subject="Three things")
    assert newsroom.edition_state(room.paper.house, room.edition_id) == "drafted"
    assert (room.revision().subject, room.revision().sealed_at) == ("Three things", None)


def test_what_was_typed_while_somebody_approved_it_is_not_lost(room: Room) -> None:
    mine = room.open()
    with room.paper.house.app.app_context():
        releasing.approve(room.edition_id, room.paper.house.now, BEN)
    refused = mine.after("Save", subject="Three things")
    assert refused.status == 409
    assert "This edition is approved, so it cannot be changed. Open it again for changes first" in refused.words
    assert refused.fields("Open it again and save")["subject"] == "Three things"
    refused.after("Open it again and save")
    assert room.revision().subject == "Three things"


def test_what_has_gone_out_shows_its_words_and_offers_no_save(room: Room) -> None:
    mine = room.open()
    with room.paper.house.app.app_context():
        db.session.get_one(Edition, room.edition_id).state = EditionState.SENT
        db.session.commit()
    before = everything(room.paper.house)
    refused = mine.after("Save", subject="Three things")
    assert refused.status == 409
    assert "To mend what went out, make a correction." in refused.words
    assert refused.buttons() == []
    assert refused.find("subject").get("value") == "Three things"
    shown = room.open()
    assert "so it cannot be changed any more" in shown.words
    assert shown.buttons() == []
    assert everything(room.paper.house) == before
    assert "Change words and order" not in open_page(room.desk, f"/admin/editions/{room.edition_id}").links()


# Who may


def test_support_may_not(house: House) -> None:
    room = room_of(house, Role.SUPPORT)
    before = everything(house)
    assert room.desk.get(room.path).status_code == 403
    assert room.desk.post(room.path, revision="1", subject="x").status_code == 403
    assert "Change words and order" not in open_page(room.desk, f"/admin/editions/{room.edition_id}").links()
    assert everything(house) == before


def test_the_form_wants_its_token_and_a_revision_that_there_is(room: Room) -> None:
    before = everything(room.paper.house)
    answer = room.desk.client.post(room.path, base_url="https://news.example.org", data={"revision": "1"})
    assert answer.status_code == 400
    assert room.desk.post(room.path, revision="7", subject="x").status_code == 400
    assert room.desk.post(room.path, revision="one", subject="x").status_code == 400
    assert everything(room.paper.house) == before


def test_an_edition_that_there_is_not_is_not_found(room: Room) -> None:
    assert room.desk.get(f"/admin/editions/{NOBODYS}/edit").status_code == 404


def test_a_form_of_fifty_long_stories_in_any_script_can_be_saved(house: House) -> None:
    paper = newsroom.found(house, items_at_most="50", per_outlet_at_most="50")
    for n in range(50):
        paper.story(f"港の橋 {n}", f"新聞 {n}", summary="雪" * 600)
    room = Room(paper, signed_in(house, Role.EDITOR), paper.draft(), {})
    shown = room.open()
    assert shown.root.find(".//form[@enctype='multipart/form-data']") is not None
    fields = {**shown.fields("Save"), "subject": "長い"}
    answer = room.desk.client.post(
        room.path, base_url="https://news.example.org", data=fields, content_type="multipart/form-data"
    )
    assert answer.status_code == 303
    assert room.revision().subject == "長い"
