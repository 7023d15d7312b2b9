"""Changes by hand: they are saved as revisions, lose nobody else's, and stay when the edition is composed anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image
from pytest_httpserver import HTTPServer

from newsletter.delivery import releasing
from newsletter.editions import editing, keeping, publishing, rendering
from newsletter.editions.editing import Changes, EditedMeanwhile, EditInvalid, ItemChange, NotEditable
from newsletter.editions.models import Edition, EditionState, Item, Revision
from newsletter.foundation.audit import COMMAND, Actor, ActorKind, AuditRecord
from newsletter.foundation.database import db
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.newsletters import settings
from newsletter.newsletters.models import Slot
from newsletter.stories import marking
from newsletter.stories.models import Story
from tests.conftest import House
from tests.integration.subscribers import everything
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.racing import at_once

ANN = Actor(ActorKind.STAFF, "ann@example.org")
BEN = Actor(ActorKind.STAFF, "ben@example.org")
FOUR = ("Harbor bridge closes", "Snow on the pass", "Choir wins a prize", "New school opens")


@dataclass
class Desk:
    """Somebody at a draft of four stories, which stand in the order of FOUR."""

    paper: Paper
    edition_id: int

    @property
    def house(self) -> House:
        return self.paper.house

    def change(self, changes: Changes, number: int | None = None, by: Actor = ANN, **options: bool) -> int:
        """Save to a revision, the last one unless told; the number of what was saved."""
        with self.house.app.app_context():
            base = number or db.session.get_one(Edition, self.edition_id).revisions[-1].number
            return editing.change(self.edition_id, base, changes, self.house.now, by, **options).number

    def item(self, headline: str) -> int:
        """The item's id in the last revision."""
        return int(self.items()[headline]["id"])

    def words(self, of: str, **words: Any) -> int:
        return self.change(Changes(items=(ItemChange(self.item(of), **words),)))

    def order(self, *headlines: str) -> int:
        return self.change(Changes(order=tuple(self.item(headline) for headline in headlines)))

    def items(self) -> dict[str, dict[str, Any]]:
        """The last revision's items, in their order, by their headlines."""
        columns = [column.key for column in sa.inspect(Item).column_attrs]
        return {item.headline: {name: getattr(item, name) for name in columns} for item in self.revision().items}

    def headlines(self) -> list[str]:
        return list(self.items())

    def revision(self) -> Revision:
        """The last one, to look at."""
        with self.house.app.app_context():
            found = db.session.get_one(Edition, self.edition_id).revisions[-1]
            assert [item.position for item in found.items] == list(range(1, len(found.items) + 1))
            db.session.expunge_all()
            return found

    def recompose(self) -> None:
        with self.house.app.app_context():
            slot = db.session.get_one(Slot, self.paper.slot_id)
            publishing.compose(slot, publishing.today(slot, self.house.now), self.house.now, COMMAND)

    def records(self) -> list[AuditRecord]:
        with self.house.app.app_context():
            query = sa.select(AuditRecord).where(AuditRecord.subject == f"edition:{self.edition_id}")
            return list(db.session.scalars(query.order_by(AuditRecord.id)))


def told(paper: Paper, title: str, weight: float, **columns: Any) -> int:
    """A story of an outlet of its own; the heavier, the further up."""
    return paper.story(title, f"Outlet of {title}", {"weight": weight}, **columns)


def desk_of(house: House, **changed: str) -> Desk:
    paper = newsroom.found(house, approval="manual", **changed)
    for place, title in enumerate(FOUR):
        told(paper, title, 8.0 - place)
    return Desk(paper, paper.draft())


@pytest.fixture
def desk(house: House) -> Desk:
    return desk_of(house)


# Saving


def test_each_save_is_a_revision_of_its_own_and_says_whose_it_is(either_house: House) -> None:
    desk = desk_of(either_house)
    before = desk.items()
    desk.house.later(minutes=1)
    assert desk.words("Snow on the pass", headline="Snow closes the pass", summary="Until noon.") == 2
    assert desk.change(Changes(intro="Good morning.\r\n\r\nIt is cold."), by=BEN) == 3
    with either_house.app.app_context():
        first, second, third = db.session.get_one(Edition, desk.edition_id).revisions
        assert [item.headline for item in first.items] == list(FOUR), "what was drafted stays to be looked at"
        assert (second.created_by, second.created_at) == ("ann@example.org", either_house.now)
        assert (third.created_by, third.intro, third.by_hand) == (
            "ben@example.org",
            "Good morning.\n\nIt is cold.",
            ["intro"],
        )
    changed = desk.items()["Snow closes the pass"]
    assert (changed["summary"], changed["by_hand"]) == ("Until noon.", ["headline", "summary"])
    same = [name for name in changed if name not in ("id", "revision_id", "headline", "summary", "by_hand")]
    assert {name: changed[name] for name in same} == {name: before["Snow on the pass"][name] for name in same}
    assert desk.items()["Choir wins a prize"]["by_hand"] == []


def test_what_was_changed_is_in_the_record(desk: Desk) -> None:
    desk.change(
        Changes(
            subject="Three things",
            items=(ItemChange(desk.item(FOUR[1]), headline="Snow"), ItemChange(desk.item(FOUR[2]), drop=True)),
            order=(desk.item(FOUR[3]),),
        )
    )
    record = desk.records()[-1]
    assert (record.action, record.actor_name) == ("edition.edit", "ann@example.org")
    assert record.details == {
        "revision": 2,
        "words": ["subject"],
        "items": ["2:headline"],
        "order": [4, 1, 2, 3],
        "left_out": [FOUR[2]],
        "put_back": [],
        "before": {"subject": FOUR[0], "2:headline": FOUR[1]},
        "after": {"subject": "Three things", "2:headline": "Snow"},
    }


def test_what_changes_nothing_saves_nothing(desk: Desk) -> None:
    before, rows = desk.revision(), everything(desk.house)
    item = desk.items()[FOUR[0]]
    same = Changes(
        subject=f" {before.subject}\r\n",
        preheader=before.preheader,
        intro="",
        items=(ItemChange(item["id"], headline=f"{FOUR[0]} ", summary=item["summary"], image_alt="", section=""),),
        order=tuple(desk.item(headline) for headline in FOUR),
    )
    assert desk.change(same) == 1
    assert desk.change(Changes()) == 1
    assert everything(desk.house) == rows


def test_the_order_is_the_hand_s_and_what_it_does_not_name_comes_after(desk: Desk) -> None:
    desk.order(FOUR[2], FOUR[3])
    assert desk.headlines() == [FOUR[2], FOUR[3], FOUR[0], FOUR[1]]
    assert desk.revision().by_hand == ["order"]


def test_the_one_that_comes_up_stands_above_the_sections_and_the_one_that_goes_down_in_its_own(house: House) -> None:
    paper = newsroom.found(house, sections="Sport, Port")
    told(paper, "Rowers win the regatta", 8.0, section="sport")
    told(paper, "Trawler lands a record catch", 7.0, section="port")
    desk = Desk(paper, paper.draft())
    assert [item["section"] for item in desk.items().values()] == ["", "Port"]
    desk.order("Trawler lands a record catch")
    assert [(headline, item["section"]) for headline, item in desk.items().items()] == [
        ("Trawler lands a record catch", ""),
        ("Rowers win the regatta", "Sport"),
    ]
    desk.words("Trawler lands a record catch", section="Port")
    desk.recompose()
    assert [(headline, item["section"]) for headline, item in desk.items().items()] == [
        ("Trawler lands a record catch", "Port"),
        ("Rowers win the regatta", "Sport"),
    ], "a section that a hand chose stays"


def test_the_block_and_the_near_misses_go_along(house: House) -> None:
    note = {"block_text": "The bridge walk.", "block_label": "Sponsor", "block_after": "1"}
    desk = desk_of(house, items_at_most="3", **note)
    before = desk.revision()
    assert before.block == {"label": "Sponsor", "text": "The bridge walk.", "link": "", "url": "", "after": 1}
    with house.app.app_context():
        settings.change(desk.paper.slug, house.now, COMMAND, block_text="Another word.")
    desk.words(FOUR[0], headline="The bridge is closed")
    after = desk.revision()
    assert (after.block, after.passed_over, after.newest_story_id) == (
        before.block,
        before.passed_over,
        before.newest_story_id,
    )
    desk.recompose()
    assert desk.revision().block["text"] == "Another word."


def test_a_block_has_a_link_only_with_words_and_an_address(house: House) -> None:
    note = {"block_text": "The bridge walk.", "block_label": "Sponsor"}
    paper = newsroom.found(house, **note, block_link="Come along", block_url="https://walk.example/")
    paper.tells(*FOUR)
    block = Desk(paper, paper.draft()).revision().block
    assert (block["link"], block["url"]) == ("Come along", "https://walk.example/")
    with house.app.app_context():
        publication = settings.change(paper.slug, house.now, COMMAND, block_url="")
        assert (publishing.block_of(publication)["link"], publishing.block_of(publication)["url"]) == ("", "")
        publication = settings.change(paper.slug, house.now, COMMAND, block_text="")
        assert publishing.block_of(publication) == {}


# Two at once


def test_who_saves_to_an_older_revision_is_told_who_saved_meanwhile(either_house: House) -> None:
    desk = desk_of(either_house)
    item = desk.item(FOUR[0])
    desk.house.later(minutes=3)
    desk.change(Changes(subject="Three things"), by=BEN)
    rows = everything(desk.house)
    with pytest.raises(EditedMeanwhile) as caught:
        desk.change(Changes(items=(ItemChange(item, headline="Bridge shut"),)), number=1)
    assert str(caught.value) == "Changed by ben@example.org at 05:23 UTC; yours was not saved."
    assert everything(desk.house) == rows


def test_a_draft_that_was_composed_anew_meanwhile_is_a_later_one_too(desk: Desk) -> None:
    desk.recompose()
    with pytest.raises(EditedMeanwhile, match="Changed by command line at 05:20 UTC"):
        desk.change(Changes(subject="Three things"), number=1)


def test_of_two_who_save_at_the_same_time_one_is_refused(either_house: House) -> None:
    desk, people = desk_of(either_house), (ANN, BEN)

    def save(number: int) -> str:
        try:
            desk.change(Changes(subject=f"{people[number].name}'s words"), number=1, by=people[number])
        except EditedMeanwhile as error:
            return str(error.subject["who"])
        return "saved"

    answers = at_once(2, save)
    winner = people[answers.index("saved")].name
    assert sorted(answers) == sorted(["saved", winner])
    assert desk.revision().subject == f"{winner}'s words"


# What cannot be changed


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (EditionState.APPROVED, "This edition is approved, so it cannot be changed. Open it again for changes first"),
        (EditionState.SENDING, "This edition is sending, so it cannot be changed. To mend what is going out, pull a"),
        (EditionState.SENT, "This edition is sent, so it cannot be changed. To mend what went out, make a correction"),
        (EditionState.SKIPPED, "This edition is skipped, so it cannot be changed. Compose it again first"),
        (EditionState.CANCELLED, "This edition is cancelled, so it cannot be changed. Nothing more becomes of it"),
    ],
)
def test_what_is_no_draft_is_not_changed_and_says_what_to_do(desk: Desk, state: EditionState, said: str) -> None:
    with desk.house.app.app_context():
        db.session.get_one(Edition, desk.edition_id).state = state
        db.session.commit()
    rows = everything(desk.house)
    with pytest.raises(NotEditable, match=said):
        desk.change(Changes(subject="Three things"))
    assert everything(desk.house) == rows


def test_an_approved_edition_is_opened_again_and_changed_at_once(either_house: House) -> None:
    desk = desk_of(either_house)
    with either_house.app.app_context():
        releasing.approve(desk.edition_id, either_house.now, BEN)
    assert desk.change(Changes(), reopen=True) == 1, "nothing changed, so it stays approved"
    assert newsroom.edition_state(either_house, desk.edition_id) == "approved"
    assert desk.change(Changes(subject="Three things"), reopen=True) == 2
    assert newsroom.edition_state(either_house, desk.edition_id) == "drafted"
    with either_house.app.app_context():
        found = db.session.get_one(Edition, desk.edition_id)
        first, second = found.revisions
        assert (first.sealed_at is None, second.sealed_at, second.parts) == (False, None, [])
        assert (found.approved_at, found.approved_by, found.send_at) == (None, None, None)
    assert [record.action for record in desk.records()][-2:] == ["edition.edit", "edition.reopen"]


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("subject", "x" * 301, "it is 301 characters long; write at most 300."),
        ("subject", "One\nBcc: victim@example.org", "write it on one line."),
        ("subject", "One\rtwo", "write it on one line."),
        ("subject", "One\x00two", "it has characters that nobody can see"),
        ("subject", "One\u202etwo", "it has characters that nobody can see"),
        ("subject", "One\u2028two", "it has characters that nobody can see"),
        ("subject", "One\ud800", "it has characters that nobody can see"),
        ("preheader", "x" * 301, "it is 301 characters long; write at most 300."),
        ("preheader", "One\ntwo", "write it on one line."),
        ("intro", "x" * 2001, "it is 2001 characters long; write at most 2000."),
        ("intro", "One\x1btwo", "it has characters that nobody can see"),
        ("headline", "", "write one, or leave the story out."),
        ("headline", " \u200d ", "write one, or leave the story out."),
        ("headline", "x" * 501, "it is 501 characters long; write at most 500."),
        ("headline", "One\ntwo", "write it on one line."),
        ("summary", "x" * 601, "it is 601 characters long; write at most 600."),
        ("summary", "One\n\ntwo", "write it on one line."),
        ("image_alt", "x" * 501, "it is 501 characters long; write at most 500."),
        ("image_alt", "One\ttwo", "it has characters that nobody can see"),
        ("section", "Gossip", "choose one of World, Sport, or none."),
        ("url", "/story", "write it whole, like https://example.org/story."),
        ("url", "javascript:alert(1)", "write it whole, like https://example.org/story."),
        ("url", "https://", "write it whole, like https://example.org/story."),
        ("url", "https://post.example/a b", "write it whole, like https://example.org/story."),
        ("url", "https://post.example:99999/", "write it whole, like https://example.org/story."),
        ("url", "https://post.example/" + "x" * 2000, "write at most 2000."),
    ],
)
def test_what_cannot_be_saved_says_why_and_nothing_is_saved(house: House, field: str, text: str, problem: str) -> None:
    desk = desk_of(house, sections="World, Sport")
    item = desk.item(FOUR[0])
    rows = everything(house)
    of_item = field in editing.ITEM_FIELDS
    wrong = {"items": (ItemChange(item, **{field: text}),), "intro": "Fine."} if of_item else {field: text}
    with pytest.raises(EditInvalid) as caught:
        desk.change(Changes(**wrong))
    assert problem in caught.value.problem
    assert (caught.value.field, caught.value.item_id) == (field, item if of_item else None)
    assert "Nothing was saved." in str(caught.value)
    assert everything(house) == rows


@pytest.mark.parametrize(
    "text",
    ["Zoë’s café – “naïve”", "می‌خواهم", "👩‍👩‍👧 at the fair", "10\u00a0000 readers", "<script>alert(1)</script>"],
)
def test_what_people_write_is_kept_as_they_write_it(desk: Desk, text: str) -> None:
    desk.words(FOUR[0], headline=text)
    desk.change(Changes(subject=text, preheader=text, intro=text))
    revision = desk.revision()
    assert {revision.subject, revision.preheader, revision.intro, desk.headlines()[0]} == {text}


def test_hostile_words_of_a_hand_are_text_in_the_mail(desk: Desk) -> None:
    script = "<script>alert('x')</script>"
    desk.words(FOUR[0], headline=script, summary=script, image_alt=script)
    desk.change(Changes(subject=script, preheader=script, intro=script))
    with desk.house.app.app_context():
        parts = rendering.render(db.session.get_one(Edition, desk.edition_id).revisions[-1])
    assert "<script" not in parts.html
    assert "&lt;script&gt;" in parts.html
    assert script in parts.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (lambda desk: Changes(items=(ItemChange(999_999, headline="x"),)), "item 999999 is not in this revision"),
        (lambda desk: Changes(order=(999_999,)), "item 999999 is not in this revision"),
        (lambda desk: Changes(back=(999_999,)), "story 999999 was not left out of this edition"),
        (
            lambda desk: Changes(items=tuple(ItemChange(desk.item(one), drop=True) for one in FOUR)),
            "an edition needs a story. To send none, skip or cancel it",
        ),
    ],
)
def test_what_does_not_belong_to_the_edition_is_refused(desk: Desk, changes: Any, said: str) -> None:
    wanted, rows = changes(desk), everything(desk.house)
    with pytest.raises(Refused, match=said):
        desk.change(wanted)
    assert everything(desk.house) == rows


def test_a_revision_that_there_is_not_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="there is no revision 7 of this edition"):
        desk.change(Changes(subject="Three things"), number=7)


# Composed anew


def test_words_of_a_hand_stay_when_it_is_composed_anew(either_house: House) -> None:
    desk = desk_of(either_house, sections="World, Sport")
    desk.words(FOUR[1], headline="Snow closes the pass", image_alt="A plough", section="Sport")
    desk.words(FOUR[2], summary="", url="https://choir.example/prize")
    desk.change(Changes(subject="Three things", preheader="and a fourth", intro="Good morning."))
    told(desk.paper, "Ferry gets a hull", 9.5)
    desk.recompose()
    items = desk.items()
    assert next(iter(items)) == "Ferry gets a hull"
    snow, choir = items["Snow closes the pass"], items[FOUR[2]]
    assert (snow["image_alt"], snow["section"], snow["summary"]) == ("A plough", "Sport", f"All about it: {FOUR[1]}.")
    assert (choir["summary"], choir["url"]) == ("", "https://choir.example/prize")
    assert sorted(snow["by_hand"]) == ["headline", "image_alt", "section"]
    revision = desk.revision()
    assert (revision.subject, revision.preheader, revision.intro) == ("Three things", "and a fourth", "Good morning.")
    assert sorted(revision.by_hand) == ["intro", "preheader", "subject"]


def test_a_hand_s_order_stays_and_new_stories_stand_where_their_points_put_them(either_house: House) -> None:
    desk = desk_of(either_house)
    desk.order(FOUR[3], FOUR[1], FOUR[0], FOUR[2])
    told(desk.paper, "Ferry gets a hull", 7.5)
    told(desk.paper, "Oyster beds reopen", 0.1)
    desk.recompose()
    assert desk.headlines() == [FOUR[3], "Ferry gets a hull", FOUR[1], FOUR[0], FOUR[2], "Oyster beds reopen"]
    desk.recompose()
    assert desk.headlines() == [FOUR[3], "Ferry gets a hull", FOUR[1], FOUR[0], FOUR[2], "Oyster beds reopen"]


def test_without_an_order_of_a_hand_the_points_decide_anew(desk: Desk) -> None:
    desk.words(FOUR[3], headline="School")
    told(desk.paper, "Ferry gets a hull", 9.5)
    desk.recompose()
    assert desk.headlines() == ["Ferry gets a hull", *FOUR[:3], "School"]


def test_an_order_of_those_that_are_still_there_stays(desk: Desk) -> None:
    desk.order(FOUR[3], FOUR[2], FOUR[1], FOUR[0])
    with desk.house.app.app_context():
        marking.withdraw(int(desk.items()[FOUR[2]]["story_id"]), "", desk.house.now, ANN)
        db.session.commit()
    desk.recompose()
    assert desk.headlines() == [FOUR[3], FOUR[1], FOUR[0]]


def test_a_story_that_was_left_out_stays_out_of_this_edition_and_the_next_best_takes_its_place(
    either_house: House,
) -> None:
    desk = desk_of(either_house, items_at_most="3")
    assert desk.headlines() == list(FOUR[:3])
    desk.words(FOUR[0], drop=True)
    assert desk.headlines() == list(FOUR[1:3])
    for _ in range(2):
        desk.recompose()
        assert desk.headlines() == list(FOUR[1:])
    revision = desk.revision()
    assert [one.headline for one in keeping.left_out(revision)] == [FOUR[0]]
    assert (revision.passed_over[0]["headline"], revision.passed_over[0]["reason"]) == (FOUR[0], "left out by hand")
    newsroom.found(either_house, "other-post")
    assert FOUR[0] in [choice.lead.title for choice in desk.paper.compose().choices], "the next edition may have it"


def test_the_event_is_left_out_with_the_story_whoever_tells_it(house: House) -> None:
    paper = newsroom.found(house)
    for title, outlet in (
        ("Harbor bridge closes for repairs", "Harbor Gazette"),
        ("Repairs close the harbor bridge", "Ridge Courier"),
    ):
        paper.story(title, outlet)
    paper.tells("Choir wins a prize", "New school opens")
    desk = Desk(paper, paper.draft())
    desk.words(desk.headlines()[0], drop=True)
    paper.story("Harbor bridge shut: repairs begin", "Inland Mirror")
    desk.recompose()
    assert sorted(desk.headlines()) == ["Choir wins a prize", "New school opens"]


def test_what_was_left_out_because_another_item_tells_it_takes_that_one_not_with_it(house: House) -> None:
    """The hand drops one of two items of one event; when they are grouped later, the one that was kept stays."""
    paper = newsroom.found(house, grouping_threshold="1")
    paper.story("Harbor bridge closes for repairs", "Harbor Gazette", {"weight": 5.0})
    paper.story("Repairs close the harbor bridge", "Ridge Courier", {"weight": 4.0})
    paper.tells("Choir wins a prize")
    desk = Desk(paper, paper.draft())
    desk.words("Harbor bridge closes for repairs", drop=True)
    with house.app.app_context():
        settings.change(paper.slug, house.now, COMMAND, grouping_threshold="0.175")
    desk.recompose()
    assert "Repairs close the harbor bridge" in desk.headlines()
    assert "Harbor bridge closes for repairs" not in desk.headlines()


def test_a_story_whose_words_a_hand_changed_stays_the_one_that_is_shown(house: House) -> None:
    paper = newsroom.found(house)
    paper.story("Harbor bridge closes for repairs", "Harbor Gazette", {"weight": 2.0})
    paper.tells("Choir wins a prize")
    desk = Desk(paper, paper.draft())
    desk.words("Harbor bridge closes for repairs", headline="Our bridge")
    paper.story("Repairs close the harbor bridge", "Ridge Courier", {"weight": 9.0})
    desk.recompose()
    bridge = desk.items()["Our bridge"]
    assert (bridge["outlet"], bridge["outlets"]) == ("Harbor Gazette", 2)
    assert [other["outlet"] for other in bridge["also_covered"]] == ["Ridge Courier"]


def test_words_of_a_story_that_fell_out_and_came_back_are_still_there(house: House) -> None:
    desk = desk_of(house, items_at_most="4")
    desk.words(FOUR[3], headline="School opens its doors")
    heavier = [told(desk.paper, title, 9.0) for title in ("Ferry gets a hull", "Oyster beds reopen")]
    desk.recompose()
    assert "School opens its doors" not in desk.headlines()
    for story_id in heavier:
        desk.paper.mark("hidden", story_id)
    desk.recompose()
    assert desk.headlines()[-1] == "School opens its doors"


def test_what_was_left_out_can_be_put_back_as_it_stood(either_house: House) -> None:
    desk = desk_of(either_house)
    story_id = int(desk.items()[FOUR[1]]["story_id"])
    desk.words(FOUR[1], headline="Snow closes the pass")
    desk.words("Snow closes the pass", drop=True)
    desk.recompose()
    desk.change(Changes(back=(story_id,)))
    assert desk.headlines() == [FOUR[0], FOUR[2], FOUR[3], "Snow closes the pass"]
    assert desk.revision().by_hand == []
    desk.recompose()
    assert desk.headlines() == [FOUR[0], "Snow closes the pass", FOUR[2], FOUR[3]]


def test_a_story_that_was_withdrawn_cannot_be_put_back(desk: Desk) -> None:
    story_id = int(desk.items()[FOUR[1]]["story_id"])
    desk.words(FOUR[1], drop=True)
    with desk.house.app.app_context():
        db.session.get_one(Story, story_id).withdrawn_at = desk.house.now
        db.session.commit()
    with pytest.raises(Refused, match="was withdrawn; restore it first"):
        desk.change(Changes(back=(story_id,)))


def test_a_thin_edition_that_fills_up_keeps_what_a_hand_changed(house: House) -> None:
    paper = newsroom.found(house, items_at_least="3")
    told(paper, FOUR[0], 5.0)
    desk = Desk(paper, paper.draft())
    desk.words(FOUR[0], headline="The bridge is closed")
    told(paper, FOUR[1], 4.0)
    told(paper, FOUR[2], 3.0)
    paper.draft()
    assert desk.headlines() == ["The bridge is closed", FOUR[1], FOUR[2]]
    assert newsroom.edition_state(house, desk.edition_id) == "drafted"


def test_a_withdrawn_story_takes_no_hand_s_words_of_others_along(desk: Desk) -> None:
    desk.words(FOUR[1], headline="Snow closes the pass")
    desk.change(Changes(intro="Good morning."))
    with desk.house.app.app_context():
        releasing.withdraw(int(desk.items()[FOUR[0]]["story_id"]), "", desk.house.now, ANN)
    assert desk.headlines() == ["Snow closes the pass", FOUR[2], FOUR[3]]
    assert (desk.revision().subject, desk.revision().by_hand) == ("Snow closes the pass", ["intro"])


# Pictures


@pytest.fixture
def bridge(httpserver: HTTPServer) -> str:
    """The address of a picture that is really there."""
    buffer = BytesIO()
    Image.new("RGB", (640, 360), "teal").save(buffer, "PNG")
    httpserver.expect_request("/bridge.png").respond_with_data(buffer.getvalue(), content_type="image/png")
    return httpserver.url_for("/bridge.png")


def test_a_save_before_the_pictures_are_there_gets_them_all_the_same(
    house: House, bridge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draft can be seen, and changed, while its pictures are still being fetched."""
    paper = newsroom.found(house)
    told(paper, FOUR[0], 5.0, image_url=bridge, image_alt="The bridge")
    told(paper, FOUR[1], 4.0)
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "illustrate", lambda *_: 0)
        desk = Desk(paper, paper.draft())
    assert desk.items()[FOUR[0]]["picture"] is None
    desk.words(FOUR[0], image_alt="The bridge in fog")
    item = desk.items()[FOUR[0]]
    assert (item["picture"] is None, item["image_alt"]) == (False, "The bridge in fog")
    desk.recompose()
    again = desk.items()[FOUR[0]]
    assert (again["picture"], again["image_alt"]) == (item["picture"], "The bridge in fog")


# Opened again


def test_an_approved_edition_is_opened_again_as_it_was(either_house: House) -> None:
    desk = desk_of(either_house)
    with either_house.app.app_context():
        releasing.approve(desk.edition_id, either_house.now, BEN)
        for _ in range(2):
            publishing.reopen(desk.edition_id, either_house.now, ANN)
    assert newsroom.edition_state(either_house, desk.edition_id) == "drafted"
    with either_house.app.app_context():
        first, second = db.session.get_one(Edition, desk.edition_id).revisions
        assert (first.sealed_at is None, second.sealed_at) == (False, None)
        assert [item.headline for item in second.items] == [item.headline for item in first.items]
        assert (second.subject, second.created_by) == (first.subject, "ann@example.org")
    assert [record.action for record in desk.records()].count("edition.reopen") == 1
    desk.house.later(minutes=45)
    with either_house.app.app_context():
        releasing.release_due(either_house.now)
    assert newsroom.edition_state(either_house, desk.edition_id) == "drafted", "it waits to be approved once more"


def test_one_whose_slot_has_come_is_held_when_it_is_opened_again(house: House) -> None:
    desk = desk_of(house)
    with house.app.app_context():
        settings.change(desk.paper.slug, house.now, COMMAND, approval="auto")
        releasing.approve(desk.edition_id, house.now, BEN)
        house.later(minutes=41)
        publishing.reopen(desk.edition_id, house.now, ANN)
        assert db.session.get_one(Edition, desk.edition_id).held_reason == "opened again for changes by ann@example.org"
        releasing.release_due(house.now)
    assert newsroom.edition_state(house, desk.edition_id) == "held drafted"


def test_what_is_going_out_is_not_opened_again(house: House) -> None:
    desk = desk_of(house)
    desk.paper.readers("ann@example.org")
    newsroom.send(house, desk.edition_id)
    with house.app.app_context():
        found = db.session.get_one(Edition, desk.edition_id)
        found.state = EditionState.SENDING
        db.session.commit()
        with pytest.raises(NewsletterError, match="only an approved one can be opened again"):
            publishing.reopen(desk.edition_id, house.now, ANN)


def test_readers_get_what_was_approved_last(house: House) -> None:
    desk = desk_of(house)
    desk.paper.readers("reader@example.org")
    with house.app.app_context():
        releasing.approve(desk.edition_id, house.now, BEN)
    desk.change(Changes(subject="Three things"), reopen=True)
    with house.app.app_context():
        releasing.approve(desk.edition_id, house.now, BEN)
    house.clock.at += timedelta(minutes=41)
    with house.app.app_context():
        releasing.release_due(house.now)
    house.work()
    (mail,) = house.inbox.of("reader@example.org")
    assert mail.message["Subject"] == "Three things"
