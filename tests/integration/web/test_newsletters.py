"""The pages of newsletters: what each is and how its stories are chosen, changed as a whole or not at all."""

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
from tests.conftest import House
from tests.integration.subscribers import everything
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.forms import Sheet, open_page

PAGE = "/admin/newsletters/morning-post"
SHIPS = 'name = "ships"\nstrong = ["ferry", "trawler"]\n\n[weak]\nplaces = ["quay"]\n'

OTHER = {
    "sites": "https://www.paper.example, http://localhost:8080",
    "noindex": "yes",
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

CHOICES = ("approval", "pictures", "thin_day", "typeface")


@dataclass(frozen=True)
class Room:
    """The owner, at a newsletter's page."""

    house: House
    desk: Desk

    def open(self) -> Sheet:
        return open_page(self.desk, PAGE)

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


def test_every_setting_is_saved_and_read_back(either_house: House) -> None:
    newsroom.found(either_house)
    room = Room(either_house, signed_in(either_house))
    assert OTHER.keys() == {*settings.READERS, "topic"}, "a new setting belongs into the form"
    before = room.stored()
    saved = room.open().after("Save", **OTHER)
    assert "Saved. It counts from the next draft on." in saved.words
    assert room.stored() == flat(OTHER)
    assert {key: value for key, value in saved.fields("Save").items() if key != "csrf_token"} == OTHER
    (_, changed, who), (action, topic, _) = room.records()
    assert changed["before"] == {key: before[key] for key in settings.READERS}
    assert changed["after"] == {key: flat(OTHER)[key] for key in settings.READERS}
    assert (action, topic) == ("newsletter.topic", {"before": "", "after": "military"})
    assert who == "owner0@example.org"


def test_what_is_saved_as_it_was_leaves_no_record(room: Room) -> None:
    room.open().press("Save", **OTHER)
    before, records = everything(room.house), room.records()
    assert "Saved." in room.open().after("Save").words
    room.open().press("Save", topic=" military\r\n", name=" Evening Post ")
    assert room.records() == records
    assert everything(room.house) == before


def test_only_what_changed_is_in_the_record(room: Room) -> None:
    room.open().press("Save", items_at_most="8")
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
        ("skip_dates", "25.12.2026", "“25.12.2026” is no date; write dates like 2026-12-25"),
        ("skip_dates", "2026-12-25, 2026-02-29", "“2026-02-29” is no date"),
        ("skip_dates", "2026-12-25T06:00", "is no date"),
        ("skip_dates", "٢٠٢٦-١٢-٢٥", "is no date"),
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
    typed = OTHER | {field: text}
    again = room.open().after("Save", **typed)
    assert again.status == 422
    (where, said) = again.wrong().popitem()
    assert (where, again.wrong().keys() - {where}) == (field, set())
    assert problem in said
    assert len(said) < 400
    assert again.root.findtext(".//title").startswith("Error: ")
    kept = {key: value for key, value in again.fields("Save").items() if key in OTHER}
    assert {key: kept[key] for key in typed if key not in (*CHOICES, field)} == {
        key: typed[key] for key in typed if key not in (*CHOICES, field)
    }
    if "\x00" not in text and "\n" not in text and field not in CHOICES:
        assert kept[field] == text
    assert everything(room.house) == before


@pytest.mark.parametrize("days", [[], ["0"], ["8"], ["1", "1"], ["x"], ["12345678"]])
def test_days_that_are_none_stand_beside_the_boxes(room: Room, days: list[str]) -> None:
    again = room.open().after("Save", days=days)
    assert again.status == 422
    said = "write the weekdays as digits" if days else "choose at least one day"
    assert said in again.find("days-error").text_content()
    assert room.records() == []


def test_nothing_is_saved_of_a_form_that_is_empty_or_strange(room: Room) -> None:
    before = everything(room.house)
    assert room.desk.post(PAGE).status_code == 422
    assert room.desk.post(PAGE, no_such="setting", id="2", slug="other").status_code == 422
    assert everything(room.house) == before


# The topic


def test_a_topic_of_ones_own_is_kept_as_it_was_written(room: Room) -> None:
    saved = room.open().after("Save", topic=SHIPS.replace("\n", "\r\n"))
    assert "Saved." in saved.words
    assert room.stored()["topic"] == SHIPS.strip()
    assert saved.fields("Save")["topic"] == SHIPS.strip()
    assert "Words of our own" in open_page(room.desk, "/admin/newsletters").words
    assert room.desk.get(f"{PAGE}/topic.toml").text == SHIPS.strip()


def test_a_topic_on_one_line_is_one_of_ones_own_too(room: Room) -> None:
    room.open().press("Save", topic='name = "ships"')
    assert "Words of our own" in open_page(room.desk, "/admin/newsletters").words


def test_the_words_of_a_topic_that_comes_with_the_product_can_be_read(room: Room) -> None:
    saved = room.open().after("Save", topic="military")
    link = saved.links()["See the words of the present topic"]
    answer = room.desk.get(link)
    assert (answer.mimetype, answer.text) == ("text/plain", topics.shipped_text("military"))
    assert "Military" in open_page(room.desk, "/admin/newsletters").words


def test_an_empty_topic_lets_everything_in_again(room: Room) -> None:
    room.open().press("Save", topic="military")
    saved = room.open().after("Save", topic=" \r\n ")
    assert room.stored()["topic"] == ""
    assert "See the words of the present topic" not in saved.links()
    assert "Everything" in open_page(room.desk, "/admin/newsletters").words
    assert room.desk.get(f"{PAGE}/topic.toml").text == ""


def test_a_topic_that_came_with_an_earlier_version_is_told_and_not_a_fault(room: Room) -> None:
    with room.house.app.app_context():
        db.session.execute(sa.text("UPDATE newsletters SET topic = 'weather'"))
        db.session.commit()
    answer = room.desk.get(f"{PAGE}/topic.toml")
    assert answer.status_code == 404
    assert "there is no topic &#39;weather&#39;" in answer.text
    assert room.open().after("Save").wrong().keys() == {"topic"}
    assert "Saved." in room.open().after("Save", topic="").words


def test_hostile_words_of_a_topic_are_text(room: Room) -> None:
    script = "</textarea><script>alert(1)</script>"
    saved = room.open().after("Save", topic=f'name = "ships"\nstrong = ["{script}"]')
    assert script in saved.fields("Save")["topic"]
    assert saved.root.xpath("//script") == []
    answer = room.desk.get(f"{PAGE}/topic.toml")
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = room.open().after("Save", name=script, topic="<script>")
    assert again.status == 422
    assert again.root.xpath("//script") == []


# Who may


@pytest.mark.parametrize("role", [Role.EDITOR, Role.SUPPORT])
def test_others_see_the_list_and_the_words_and_change_nothing(room: Room, role: Role) -> None:
    desk = signed_in(room.house, role)
    before = everything(room.house)
    listed = open_page(desk, "/admin/newsletters")
    assert "post@example.org" in listed.words
    assert "Morning Post" not in listed.links(), "it would lead them to a refusal"
    assert desk.get(PAGE).status_code == 403
    assert desk.post(PAGE, **flat(OTHER)).status_code == 403
    assert desk.get(f"{PAGE}/topic.toml").status_code == 200
    assert everything(room.house) == before


def test_the_owner_comes_from_the_list_to_the_settings(room: Room) -> None:
    assert open_page(room.desk, "/admin/newsletters").links()["Morning Post"] == PAGE


def test_the_form_wants_its_token(room: Room) -> None:
    before = everything(room.house)
    answer = room.desk.client.post(PAGE, base_url="https://news.example.org", data=flat(OTHER))
    assert answer.status_code == 400
    assert everything(room.house) == before


def test_a_newsletter_that_there_is_not_is_not_found(room: Room) -> None:
    for path in ("/admin/newsletters/no-such", "/admin/newsletters/no-such/topic.toml"):
        assert room.desk.get(path).status_code == 404
    assert room.desk.post("/admin/newsletters/no-such", **flat(OTHER)).status_code == 404


def test_one_newsletters_settings_are_not_anothers(room: Room) -> None:
    newsroom.found(room.house, "other-post")
    with room.house.app.app_context():
        before = {key: settings.as_text(getattr(newsletter("other-post"), key)) for key in settings.READERS}
    room.open().press("Save", **OTHER)
    with room.house.app.app_context():
        assert {key: settings.as_text(getattr(newsletter("other-post"), key)) for key in settings.READERS} == before


def test_before_there_is_a_newsletter_the_list_says_how_to_make_one(house: House) -> None:
    assert "Make the first one: newsletter newsletters add" in open_page(signed_in(house), "/admin/newsletters").words


def test_what_the_page_sets_counts_from_the_next_draft_on(room: Room) -> None:
    paper = newsroom.Paper(room.house, 1, "morning-post", 1)
    paper.tells(*newsroom.SUBJECTS)
    assert len(paper.compose().choices) == 5
    room.open().press("Save", items_at_most="3")
    assert len(paper.compose().choices) == 3


def test_dates_without_an_edition_are_kept_in_their_order_and_each_once(room: Room) -> None:
    room.open().press("Save", skip_dates=" 2027-01-01,2020-02-29 ,, 2027-01-01 ")
    assert room.stored()["skip_dates"] == "2020-02-29, 2027-01-01"
    with room.house.app.app_context():
        assert newsletter("morning-post").skip_dates == ["2020-02-29", "2027-01-01"]
    room.open().press("Save", skip_dates="")
    assert room.stored()["skip_dates"] == ""


def test_tags_may_begin_with_a_question_mark_and_hold_what_is_escaped(room: Room) -> None:
    room.open().press("Save", link_tags="?utm_source=m%C3%BCnchen&utm_campaign=a+b")
    assert room.stored()["link_tags"] == "utm_source=m%C3%BCnchen&utm_campaign=a+b"
