"""The pages of a newsletter's settings: each is saved as a whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import AuditRecord
from newsletter.foundation.database import db
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter
from newsletter.staff.models import Role
from newsletter.stories import topics
from newsletter.web.admin.newsletters import LABELS, PARTS
from tests.conftest import House
from tests.integration.subscribers import everything
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.forms import Sheet, open_page, words

PAGE = "/admin/newsletters/morning-post"
SHIPS = 'name = "ships"\nstrong = ["ferry", "trawler"]\n\n[weak]\nplaces = ["quay"]\n'

OTHER = {
    "sites": "https://www.paper.example, http://localhost:8080",
    "noindex": "yes",
    "has_archive": "no",
    "language": "de",
    "welcome_text": "Good to have you. <The desk>",
    "name": "Evening Post",
    "tagline": "The day, told once",
    "promise": "Ten stories at six",
    "publisher": "The Post Company",
    "from_name": "Evening Desk",
    "from_address": "desk@example.org",
    "reply_to": "answers@example.org",
    "postal_address": "1 Quay Street, Port Ellery",
    "accent": "#1f4e5f",
    "logo_url": "https://cdn.paper.example/logo.png",
    "typeface": "sans",
    "days": ["1", "3", "5"],
    "skip_dates": "2026-12-25, 2027-01-01",
    "cutoff_minutes": "90",
    "approval": "manual",
    "cooling_minutes": "10",
    "subject_pattern": "{name}: {lead}",
    "link_tags": "utm_source=daily&utm_medium=email",
    "thin_day": "widen",
    "block_text": "The bridge walk is on Sunday. <Come along!>",
    "block_label": "From our sponsor",
    "block_link": "Sign up for the walk",
    "block_url": "https://walk.example/sunday?from=post&x=1",
    "block_after": "2",
    "pictures": "link",
    "items_at_most": "12",
    "items_at_least": "4",
    "per_outlet_at_most": "5",
    "own_at_least": "2",
    "window_hours": "48",
    "grouping_threshold": "0.2",
    "sections": "World, Business, Sport",
    "topic": "military",
}
"""Another value for everything that can be set."""

CHOICES = ("approval", "pictures", "thin_day", "typeface", "language", "noindex", "has_archive")
CALENDAR = "calendar"


def part_of(field: str) -> str:
    """The page that has the setting."""
    return next((name for name, part in PARTS.items() if field in part.keys), CALENDAR)


def of_part(part: str, values: dict[str, Any]) -> dict[str, Any]:
    return {key: text for key, text in values.items() if part_of(key) == part}


def as_typed(values: dict[str, Any]) -> dict[str, Any]:
    """Words of one's own for a topic stand in a field of their own."""
    topic = values.get("topic", "")
    if not topic or topic.strip().isidentifier():
        return values
    return values | {"topic": "own", "topic_words": topic}


@dataclass(frozen=True)
class Room:
    """The owner, at a newsletter's page."""

    house: House
    desk: Desk

    def open(self, part: str) -> Sheet:
        return open_page(self.desk, f"{PAGE}/{part}")

    def save(self, **values: str) -> Sheet:
        """Change settings of one page."""
        (part,) = {part_of(key) for key in values}
        return self.open(part).after("Save", **as_typed(values))

    def stored(self) -> dict[str, str]:
        with self.house.app.app_context():
            stored = newsletter("morning-post")
            return {key: settings.as_text(getattr(stored, key)) for key in (*settings.READERS, "topic")}

    def records(self) -> list[Any]:
        """What was changed, as (action, before, after)."""
        with self.house.app.app_context():
            query = sa.select(AuditRecord).where(AuditRecord.subject == "newsletter:1").order_by(AuditRecord.id)
            found = [(one.action, one.details, one.actor_name) for one in db.session.scalars(query)]
            return [one for one in found if one[0] != "newsletter.add"]


@pytest.fixture
def room(house: House) -> Room:
    newsroom.found(house)
    return Room(house, signed_in(house))


def flat(typed: dict[str, Any]) -> dict[str, str]:
    """As it is stored."""
    return {key: "".join(value) if key == "days" else value for key, value in typed.items()}


def test_every_setting_has_a_page_and_a_name() -> None:
    there = [key for part in PARTS.values() for key in part.keys]
    assert sorted([*there, "days", "skip_dates"]) == sorted([*settings.READERS, "topic"])
    assert LABELS.keys() == {*there, "days"}
    assert OTHER.keys() == {*settings.READERS, "topic"}, "each is tried below"


@pytest.mark.parametrize("part", PARTS)
def test_every_setting_of_a_page_is_saved_read_back_and_recorded(room: Room, part: str) -> None:
    before, other = room.stored(), of_part(part, OTHER)
    saved = room.open(part).after("Save", **other)
    assert "It counts from the next draft on." in saved.words
    assert room.stored() == before | flat(other)
    fields = saved.fields("Save")
    assert {key: fields[key] for key in other} == other
    told = {key: text for _, details, _ in room.records() for key, text in _pairs(details).items()}
    assert told == {key: (before[key], flat(other)[key]) for key in other}
    assert {who for _, _, who in room.records()} == {"owner0@example.org"}


def _pairs(details: dict[str, Any]) -> dict[str, tuple[str, str]]:
    if isinstance(details["before"], str):
        return {"topic": (details["before"], details["after"])}
    return {key: (details["before"][key], text) for key, text in details["after"].items()}


def test_all_of_it_is_saved_on_either_database(either_house: House) -> None:
    newsroom.found(either_house)
    room = Room(either_house, signed_in(either_house))
    for part in PARTS:
        room.open(part).press("Save", **of_part(part, OTHER))
    stored = room.stored()
    assert {key: stored[key] for key in stored if part_of(key) != CALENDAR} == {
        key: flat(OTHER)[key] for key in stored if part_of(key) != CALENDAR
    }


def test_a_save_says_what_is_different_now(room: Room) -> None:
    saved = room.save(name="Evening Post", tagline="x" * 90)
    assert "Saved. Name: “Morning Post” → “Evening Post”. Line below the name: empty → “" + "x" * 60 in saved.words


def test_what_is_saved_as_it_was_leaves_no_record(room: Room) -> None:
    room.save(name="Evening Post")
    room.save(topic="military")
    before, records = everything(room.house), room.records()
    assert "Nothing is different, so nothing was saved." in room.open("words").after("Save").words
    room.save(topic=" military ")
    room.save(name=" Evening Post ")
    assert room.records() == records
    assert everything(room.house) == before


def test_only_what_changed_is_in_the_record(room: Room) -> None:
    room.save(items_at_most="8")
    ((action, details, _),) = room.records()
    assert action == "newsletter.change"
    assert details == {"before": {"items_at_most": "10"}, "after": {"items_at_most": "8"}}


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("name", "", "write 1 to 120 characters on one line"),
        ("name", "x" * 121, "write 1 to 120 characters on one line"),
        ("name", "Post\u202eevil", "write 1 to 120 characters on one line"),
        ("name", "Post\r\nBcc: victim@example.org", "write 1 to 120 characters on one line"),
        ("tagline", "x" * 201, "write at most 200 characters on one line"),
        ("promise", "x" * 301, "write at most 300 characters on one line"),
        ("publisher", "x" * 121, "write at most 120 characters on one line"),
        ("postal_address", "x" * 301, "write at most 300 characters on one line"),
        ("postal_address", "1 Quay Street\x00", "write at most 300 characters on one line"),
        ("from_name", "", "write 1 to 120 characters on one line"),
        ("from_address", "nobody", "“nobody” is not an e-mail address:"),
        ("from_address", "", "Please type an e-mail address."),
        ("reply_to", "a@b@c", "“a@b@c” is not an e-mail address:"),
        ("accent", "red", "write a colour like #9b1c1c"),
        ("accent", "#9b1c1c;x", "write a colour like #9b1c1c"),
        ("cutoff_minutes", "721", "write a number from 0 to 720"),
        ("cutoff_minutes", "-1", "write a number from 0 to 720"),
        ("items_at_most", "0", "write a number from 1 to 50"),
        ("items_at_most", "51", "write a number from 1 to 50"),
        ("items_at_most", "ten", "write a number from 1 to 50"),
        ("items_at_most", "9" * 5000, "write a number from 1 to 50"),
        ("items_at_most", "²", "write a number from 1 to 50"),
        ("items_at_least", "", "write a number from 0 to 50"),
        ("per_outlet_at_most", "0", "write a number from 1 to 50"),
        ("own_at_least", "1.5", "write a number from 0 to 50"),
        ("window_hours", "337", "write a number from 1 to 336"),
        ("grouping_threshold", "0.01", "write a number from 0.05"),
        ("grouping_threshold", "nan", "write a number from 0.05"),
        ("grouping_threshold", "1,5", "write a number from 0.05"),
        ("sections", "World, world", "write up to 20 different names with commas between them"),
        ("sections", ", ".join(map(str, range(21))), "write up to 20 different names with commas between them"),
        ("sections", "x" * 121, "write 1 to 120 characters on one line"),
        ("approval", "nobody", "write manual or auto"),
        ("cooling_minutes", "61", "write a number from 0 to 60"),
        ("cooling_minutes", "-1", "write a number from 0 to 60"),
        ("subject_pattern", "{Lead}", "there is no {Lead}; there are {lead}, {name}, {date}, {count}"),
        ("subject_pattern", "{}", "there is no {}; there are {lead}"),
        ("subject_pattern", "{lead", "a brace stands alone; write {lead}, {name}, {date}, {count} whole"),
        ("subject_pattern", "{lead!r}", "there is no {lead!r}"),
        ("subject_pattern", "{{lead}}", "a brace stands alone"),
        ("subject_pattern", "x" * 201, "write at most 200 characters on one line"),
        ("subject_pattern", "{lead}\r\nBcc: victim@example.org", "write at most 200 characters on one line"),
        ("link_tags", "utm_source", "write them like utm_source=daily&utm_medium=email"),
        ("link_tags", "utm_source=our paper", "write them like utm_source=daily"),
        ("link_tags", "a=1&&b=2", "write them like utm_source=daily"),
        ("link_tags", 'a="><script>', "write them like utm_source=daily"),
        ("link_tags", "a=%zz", "write them like utm_source=daily"),
        ("link_tags", "a=1&a=2", "write each name once"),
        ("link_tags", "a=" + "x" * 300, "at most 300 characters"),
        ("logo_url", "http://cdn.paper.example/logo.png", "write it whole, like https://www.example.org/page"),
        ("logo_url", "/logo.png", "write it whole, like https://"),
        ("logo_url", "javascript:alert(1)", "write it whole, like https://"),
        ("block_url", "www.paper.example", "write it whole, like https://"),
        ("block_url", "https://me@walk.example/", "write it whole, like https://"),
        ("block_url", "https://walk.example/a b", "write it whole, like https://"),
        ("block_label", "", "say what the note is, such as “From our sponsor”"),
        ("block_label", "x" * 61, "write at most 60 characters on one line"),
        ("block_text", "x" * 601, "write at most 600 characters on one line"),
        ("block_link", "x" * 101, "write at most 100 characters on one line"),
        ("block_after", "51", "write a number from 1 to 50"),
        ("block_after", "0", "write a number from 1 to 50"),
        ("thin_day", "sleep", "write hold or skip or widen"),
        ("typeface", "comic", "write serif or sans"),
        ("pictures", "", "write own or link or none"),
        ("topic", "gardening", "there is no topic 'gardening', but there is: military"),
        ("topic", "name = [", "not TOML"),
        ("topic", "two words", "not TOML"),
        ("topic", 'name = "x"\nstrong = "ferry"', "strong must be a list of texts"),
        ("topic", 'name = "x"\nstrong = [1]', "strong must be a list of texts"),
        ("topic", 'name = "x"\nstrong = ["…"]', "strong has a phrase without a word"),
        ("topic", "strong = []", "name must be a text"),
        ("topic", 'name = "x"\nfoo = 1', "unknown: foo"),
        ("topic", 'name = "x"\nstrong = ' + "[" * 20_000, "its brackets stand too deep in one another"),
        ("topic", 'name = "\x00"', "not TOML"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_saved(
    room: Room, field: str, text: str, problem: str
) -> None:
    before = everything(room.house)
    typed = of_part(part_of(field), OTHER) | {field: text}
    again = room.open(part_of(field)).after("Save", **as_typed(typed))
    assert again.status == 422
    (where, said) = again.wrong().popitem()
    beside = "topic_words" if field == "topic" else field
    assert (where, again.wrong().keys() - {where}) == (beside, set())
    assert problem in said
    assert len(said) < 400
    assert again.root.findtext(".//title").startswith("Error: ")
    kept = again.fields("Save")
    others = {key: value for key, value in typed.items() if key not in (*CHOICES, field)}
    assert {key: kept[key] for key in others} == others
    if "\x00" not in text and "\n" not in text and field not in CHOICES:
        assert kept[beside] == text
    assert everything(room.house) == before


def test_everything_that_is_wrong_is_told_at_once(room: Room) -> None:
    again = room.open("words").after("Save", name="", tagline="x" * 201, publisher="The Post Company")
    assert again.wrong().keys() == {"name", "tagline"}
    assert again.fields("Save")["publisher"] == "The Post Company"


@pytest.mark.parametrize("part", [part for part in PARTS if part != "mail"])
def test_nothing_is_saved_of_a_form_that_is_empty_or_strange(room: Room, part: str) -> None:
    before = everything(room.house)
    assert room.desk.post(f"{PAGE}/{part}").status_code in (409, 422)
    assert room.desk.post(f"{PAGE}/{part}", no_such="setting", id="2", slug="other").status_code in (409, 422)
    assert everything(room.house) == before


# Two at once


def test_of_two_who_save_one_page_the_second_sees_what_the_first_saved(room: Room) -> None:
    mine, theirs = room.open("words"), room.open("words")
    assert "Saved." in theirs.after("Save", name="Evening Post", tagline="By them").words
    again = mine.after("Save", name="Noon Post", tagline="")
    assert again.status == 409
    assert "Somebody else saved this page after you had opened it. Nothing of yours was saved yet." in again.words
    stored = again.root.xpath("//dl[@class='stored']/div")
    assert [[words(one) for one in pair] for pair in stored] == [
        ["Name", "Evening Post"],
        ["Line below the name", "By them"],
    ]
    assert room.stored()["name"] == "Evening Post"
    assert again.fields("Save")["name"] == "Noon Post", "what was typed is not lost"
    assert "“Evening Post” → “Noon Post”" in again.after("Save").words
    assert (room.stored()["name"], room.stored()["tagline"]) == ("Noon Post", "")


def test_who_saves_another_page_meanwhile_is_in_nobodys_way(room: Room) -> None:
    mine, theirs = room.open("words"), room.open("selection")
    theirs.press("Save", items_at_most="8")
    assert "Saved." in mine.after("Save", name="Noon Post").words
    assert (room.stored()["name"], room.stored()["items_at_most"]) == ("Noon Post", "8")


def test_a_topic_that_somebody_else_changed_is_not_overwritten(room: Room) -> None:
    mine = room.open("selection")
    room.save(topic="military")
    again = mine.after("Save", items_at_most="8")
    assert again.status == 409
    assert (room.stored()["topic"], room.stored()["items_at_most"]) == ("military", "10")


# The topic


def test_a_topic_of_ones_own_is_kept_as_it_was_written(room: Room) -> None:
    saved = room.save(topic=SHIPS.replace("\n", "\r\n"))
    assert "Saved." in saved.words
    assert room.stored()["topic"] == SHIPS.strip()
    assert saved.fields("Save")["topic_words"] == SHIPS.strip()
    assert "Words of our own" in open_page(room.desk, "/admin/newsletters").words
    assert room.desk.get(f"{PAGE}/topic.toml").text == SHIPS.strip()


def test_a_topic_on_one_line_is_one_of_ones_own_too(room: Room) -> None:
    room.save(topic='name = "ships"')
    assert "Words of our own" in open_page(room.desk, "/admin/newsletters").words


def test_the_words_of_a_topic_that_comes_with_the_product_can_be_read(room: Room) -> None:
    saved = room.save(topic="military")
    link = saved.links()["See the words that are in use"]
    answer = room.desk.get(link)
    assert (answer.mimetype, answer.text) == ("text/plain", topics.shipped_text("military"))
    assert "Military" in open_page(room.desk, "/admin/newsletters").words


def test_an_empty_topic_lets_everything_in_again(room: Room) -> None:
    room.save(topic="military")
    saved = room.save(topic=" \r\n ")
    assert room.stored()["topic"] == ""
    assert "See the words that are in use" not in saved.links()
    assert "Everything" in open_page(room.desk, "/admin/newsletters").words
    assert room.desk.get(f"{PAGE}/topic.toml").text == ""


def test_a_topic_that_came_with_an_earlier_version_is_told_and_not_a_fault(room: Room) -> None:
    with room.house.app.app_context():
        db.session.execute(sa.text("UPDATE newsletters SET topic = 'weather'"))
        db.session.commit()
    answer = room.desk.get(f"{PAGE}/topic.toml")
    assert answer.status_code == 404
    assert "there is no topic &#39;weather&#39;" in answer.text
    assert room.open("selection").after("Save", topic="weather").wrong().keys() == {"topic_words"}
    assert "Saved." in room.save(topic="").words


def test_ones_own_words_may_begin_from_ours(room: Room) -> None:
    begun = open_page(room.desk, room.open("selection").links()["Begin from our words for military"])
    assert begun.fields("Save")["topic"] == "own"
    assert begun.fields("Save")["topic_words"].strip() == topics.shipped_text("military").strip()
    assert room.stored()["topic"] == ""


def test_hostile_words_of_a_topic_are_text(room: Room) -> None:
    script = "</textarea><script>alert(1)</script>"
    saved = room.save(topic=f'name = "ships"\nstrong = ["{script}"]')
    assert script in saved.fields("Save")["topic_words"]
    assert saved.root.xpath("//script[not(@src)]") == []
    answer = room.desk.get(f"{PAGE}/topic.toml")
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = room.save(sections=script * 10, topic="<script>")
    assert again.status == 422
    assert again.root.xpath("//script[not(@src)]") == []


# Who may


@pytest.mark.parametrize("role", [Role.EDITOR, Role.SUPPORT])
def test_others_see_the_list_and_the_words_and_change_nothing(room: Room, role: Role) -> None:
    desk = signed_in(room.house, role)
    before = everything(room.house)
    listed = open_page(desk, "/admin/newsletters")
    assert "post@example.org" in listed.words
    assert "Morning Post" not in listed.links(), "it would lead them to a refusal"
    assert "Make a newsletter" not in listed.links()
    assert desk.get(PAGE).status_code == 403
    assert desk.post(f"{PAGE}/words", **of_part("words", OTHER)).status_code == 403
    assert desk.get(f"{PAGE}/topic.toml").status_code == 200
    assert everything(room.house) == before


def test_the_owner_comes_from_the_list_to_the_settings(room: Room) -> None:
    assert open_page(room.desk, "/admin/newsletters").links()["Morning Post"] == PAGE


def test_the_form_wants_its_token(room: Room) -> None:
    before = everything(room.house)
    data = of_part("words", OTHER)
    answer = room.desk.client.post(f"{PAGE}/words", base_url="https://news.example.org", data=data)
    assert answer.status_code == 400
    assert everything(room.house) == before


def test_a_newsletter_that_there_is_not_is_not_found(room: Room) -> None:
    for path in ("", "/topic.toml", "/words", "/slots", "/calendar", "/texts", "/look/mail", "/no-such-part"):
        assert room.desk.get(f"/admin/newsletters/no-such{path}").status_code == 404
    assert room.desk.get(f"{PAGE}/no-such-part").status_code == 404
    assert room.desk.post("/admin/newsletters/no-such/words", **of_part("words", OTHER)).status_code == 404


def test_one_newsletters_settings_are_not_anothers(room: Room) -> None:
    newsroom.found(room.house, "other-post")
    with room.house.app.app_context():
        before = {key: settings.as_text(getattr(newsletter("other-post"), key)) for key in settings.READERS}
    for part in PARTS:
        room.open(part).press("Save", **of_part(part, OTHER))
    with room.house.app.app_context():
        assert {key: settings.as_text(getattr(newsletter("other-post"), key)) for key in settings.READERS} == before


def test_before_there_is_a_newsletter_the_list_says_how_to_make_one(house: House) -> None:
    empty = open_page(signed_in(house), "/admin/newsletters")
    assert "An owner makes the first one here. At a command line: newsletter newsletters add" in empty.words
    assert empty.links()["Make a newsletter"] == "/admin/new-newsletter"


def test_what_the_page_sets_counts_from_the_next_draft_on(room: Room) -> None:
    paper = newsroom.Paper(room.house, 1, "morning-post", 1)
    paper.tells(*newsroom.SUBJECTS)
    assert len(paper.compose().choices) == 5
    room.save(items_at_most="3")
    assert len(paper.compose().choices) == 3


def test_tags_may_begin_with_a_question_mark_and_hold_what_is_escaped(room: Room) -> None:
    room.save(link_tags="?utm_source=m%C3%BCnchen&utm_campaign=a+b")
    assert room.stored()["link_tags"] == "utm_source=m%C3%BCnchen&utm_campaign=a+b"
