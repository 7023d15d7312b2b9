"""The pages of stories: finding one, saying something about it, adding one, and what strangers' words do there."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa
from lxml import html
from PIL import Image
from pytest_httpserver import HTTPServer

from newsletter.delivery import releasing
from newsletter.editions import preflight
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.staff.models import Role
from newsletter.stories.adding import StoryByHand
from newsletter.stories.models import Story, StoryMark
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import ANN, everything
from tests.integration.web import Desk, signed_in
from tests.support import newsroom
from tests.support.forms import Sheet, open_page
from tests.support.newsroom import Paper
from tests.support.outlets import article

WORD = StoryByHand(
    title="A word to our readers",
    url="https://gazette.example/word",
    summary="We moved. The kettle came first.",
    outlet="Harbor Gazette",
    section="Desk",
    image_url="https://gazette.example/word.jpg",
    image_alt="A kettle in a box",
    image_credit="Ann Example",
)
PLAIN = replace(WORD, image_url="")
BRIDGE = ("Harbor bridge closes for repairs", "Repairs close the harbor bridge")
ADD = "/admin/stories/add"


@dataclass(frozen=True)
class Room:
    """A paper, and an editor at its pages."""

    paper: Paper
    desk: Desk

    @property
    def house(self) -> House:
        return self.paper.house

    def open(self, path: str) -> Sheet:
        return open_page(self.desk, path)

    def story(self, id: int) -> Sheet:
        return self.open(f"/admin/stories/{id}")

    def add(self, new: StoryByHand) -> Sheet:
        """The page of the story, or the form again."""
        return self.open(ADD).after("Add the story", **asdict(new))


def room(house: House, role: Role = Role.EDITOR, **changed: str) -> Room:
    return Room(newsroom.found(house, **{"items_at_least": "1"} | changed), signed_in(house, role))


def stories(house: House) -> list[StoryByHand]:
    with house.app.app_context():
        return [StoryByHand.written(known) for known in db.session.scalars(sa.select(Story).order_by(Story.id))]


def marks(house: House) -> list[tuple[str, int, int | None]]:
    with house.app.app_context():
        found = db.session.scalars(sa.select(StoryMark).order_by(StoryMark.id))
        return [(mark.mark.value, mark.story_id, mark.other_story_id) for mark in found]


def items(house: House, edition_id: int) -> list[str]:
    """The headlines of its last revision."""
    with house.app.app_context():
        return [item.headline for item in releasing.edition(edition_id).revisions[-1].items]


def picture() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (1600, 900), "teal").save(buffer, "PNG")
    return buffer.getvalue()


# From a page into the mail


def test_a_story_goes_from_its_page_into_the_edition_and_the_mail(either_house: House, httpserver: HTTPServer) -> None:
    here = room(either_house)
    here.paper.tells(*newsroom.SUBJECTS)
    here.paper.readers(ANN)
    httpserver.expect_request("/bridge.png").respond_with_data(picture(), content_type="image/png")
    said = {
        "title": "Harbor bridge closes",
        "description": "It is closed until spring.",
        "site_name": "Bay Herald",
        "image": "/bridge.png",
        "image:alt": "The bridge in fog",
    }
    url = article(httpserver, "/bridge", "Bridge - Herald", said)

    filled = here.open(ADD).after("Fill in from the page", url=url)
    assert filled.status == 200
    typed = filled.fields("Add the story")
    assert typed | {"csrf_token": ""} == {
        **asdict(StoryByHand("Harbor bridge closes", url, "It is closed until spring.", "Bay Herald")),
        "image_url": httpserver.url_for("/bridge.png"),
        "image_alt": "The bridge in fog",
        "pin": ["yes"],
        "newsletter": "morning-post",
        "csrf_token": "",
    }
    assert stories(either_house)[5:] == [], "nothing is saved yet"
    page = filled.after("Add the story", title="The harbor bridge is closed", image_credit="Ann Example")
    assert "“The harbor bridge is closed” is added, and pinned to the next draft." in page.words
    assert "Pinned: it is chosen whatever its points." in page.words

    edition_id = here.paper.draft()
    assert items(either_house, edition_id)[0] == "The harbor bridge is closed"
    edition = here.open(f"/admin/editions/{edition_id}")
    assert "The harbor bridge is closed" in edition.words
    assert "Why pinned" in edition.words
    newsroom.send(either_house, edition_id)
    either_house.work()
    (mail,) = either_house.inbox.editions_of(ANN)
    assert mail.subject == "The harbor bridge is closed"
    in_html, in_text = html.document_fromstring(mail.part("html")), mail.part("plain")
    (shown,) = in_html.xpath(f'//a[@href="{url}"]//img')
    assert shown.get("alt") == "The bridge in fog"
    assert re.fullmatch(r"https://news\.example\.org/pictures/[0-9a-f]{32}-1200\.jpg", shown.get("src"))
    for word in ("The harbor bridge is closed", "It is closed until spring.", "Bay Herald"):
        assert word in in_html.text_content()
        assert word in in_text
    assert "Ann Example" in in_html.text_content()
    assert url in in_text


def test_a_typed_in_story_without_a_page_stands_without_a_link(either_house: House) -> None:
    here = room(either_house)
    here.paper.tells("Snow on the pass")
    here.paper.readers(ANN)
    added = here.add(StoryByHand("A word to our readers", summary="We moved.", outlet="The Desk"))
    assert "A word to our readers" not in added.links()
    edition_id = here.paper.draft()
    edition = here.open(f"/admin/editions/{edition_id}")
    assert "A word to our readers" in edition.words
    assert "A word to our readers" not in edition.links()
    newsroom.send(either_house, edition_id)
    either_house.work()
    (mail,) = either_house.inbox.editions_of(ANN)
    root = html.document_fromstring(mail.part("html"))
    (heading,) = root.xpath('//*[self::h2 or self::h3][contains(., "A word to our readers")]')
    assert heading.xpath(".//a | ancestor::a") == []
    assert not [link.get("href") for link in root.iter("a") if not link.get("href", "").strip()]
    entry = mail.part("plain").partition("1. A word to our readers")[2].partition("2. Snow on the pass")[0]
    assert "We moved." in entry
    assert "The Desk" in entry
    assert "http" not in entry


def test_what_was_typed_is_not_overwritten_by_the_page(house: House, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/word", "Their title", {"description": "Their summary", "image:alt": "Their words"})
    typed = asdict(replace(WORD, url=url, summary=""))
    filled = room(house).open(ADD).after("Fill in from the page", **typed).fields("Add the story")
    assert {name: filled[name] for name in typed} == typed | {"summary": "Their summary"}


def test_the_pin_can_be_left_out(house: House) -> None:
    here = room(house)
    page = here.open(ADD).after("Add the story", **asdict(WORD), pin=[])
    assert "“A word to our readers” is added." in page.words
    assert marks(house) == []


def test_the_box_stays_unticked_while_the_form_is_filled_in(house: House, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/word", "A word", {})
    filled = room(house).open(ADD).after("Fill in from the page", url=url, pin=[])
    assert "pin" not in filled.fields("Add the story")


# What cannot be read or used


def test_a_page_that_cannot_be_read_is_told_and_the_form_keeps_what_was_typed(
    build_house: BuildHouse, sqlite_url: str, httpserver: HTTPServer
) -> None:
    house = build_house(sqlite_url)
    fetching = house.app.extensions["newsletter.config"].fetching.model_copy(update={"max_megabytes": 1})
    here = room(build_house(sqlite_url, fetching=fetching))
    httpserver.expect_request("/paper.pdf").respond_with_data(b"%PDF", content_type="application/pdf")
    httpserver.expect_request("/huge").respond_with_data(b"x" * 1_100_000, content_type="text/html")
    httpserver.expect_request("/empty").respond_with_data(b"", content_type="text/html")
    sentences = {
        "http://10.0.0.1/word": "10.0.0.1 is not a public address",
        "http://[::1]/word": "is not a public address",
        "https://no-such-outlet.invalid/word": "no-such-outlet.invalid cannot be reached",
        httpserver.url_for("/paper.pdf"): "the server calls it application/pdf",
        httpserver.url_for("/huge"): "The answer is larger than 1 MB.",
        httpserver.url_for("/empty"): "no page that can be read: it is empty.",
        httpserver.url_for("/nowhere"): "The server answered 500",
    }
    for url, sentence in sentences.items():
        typed = asdict(replace(WORD, url=url, title=""))
        again = here.open(ADD).after("Fill in from the page", **typed)
        assert again.status == 422, url
        (notice,) = again.root.xpath('//*[@role="alert"]')
        assert sentence in notice.text_content(), url
        assert "Nothing was saved; what you wrote stands below." in notice.text_content()
        kept = again.fields("Add the story")
        assert {name: kept[name] for name in typed} == typed, url
        assert "Error: Add a story" in again.root.findtext(".//title")
    assert stories(here.house) == []


@pytest.mark.parametrize(
    ("button", "field", "text", "problem"),
    [
        ("Fill in from the page", "url", "", "write it, and its page fills in the rest."),
        ("Fill in from the page", "url", "gazette.example/word", "write it whole, like https://example.org/story."),
        ("Fill in from the page", "url", "javascript:alert(1)", "write it whole, like https://example.org/story."),
        ("Add the story", "url", "javascript:alert(1)", "write it whole, like https://example.org/story."),
        ("Add the story", "image_url", "data:image/png,x", "write it whole, like https://example.org/story."),
        ("Add the story", "title", "", "write one."),
        ("Add the story", "title", "x" * 10_000, "it is over 500 characters."),
        ("Add the story", "summary", "x" * 601, "it is over 600 characters."),
        ("Add the story", "image_alt", "x" * 501, "it is over 500 characters."),
    ],
)
def test_what_is_wrong_stands_beside_its_field(house: House, button: str, field: str, text: str, problem: str) -> None:
    here, typed = room(house), asdict(replace(WORD, **{field: text}))
    again = here.open(ADD).after(button, **typed)
    assert again.status == 422
    assert again.wrong() == {field: problem}
    kept = again.fields("Add the story")
    assert {name: kept[name] for name in typed} == typed
    assert stories(house) == []


def test_a_page_that_is_here_already_is_told_so_and_its_words_stay(house: House) -> None:
    here = room(house)
    here.add(WORD)
    page = here.add(replace(WORD, title="Other words", url="http://www.gazette.example/word?utm_source=x"))
    assert "It was here already, from Harbor Gazette, as “A word to our readers”" in page.words
    assert "It is pinned now." in page.words
    assert stories(house) == [WORD]


# Editing


def test_a_story_by_hand_is_edited(house: House) -> None:
    here = room(house)
    here.add(WORD)
    form = here.story(1).links()["Edit"]
    assert {n: v for n, v in here.open(form).fields("Save").items() if n != "csrf_token"} == asdict(WORD)
    page = here.open(form).after("Save", title="Another word", url="", image_alt="")
    assert "Saved. It counts from the next draft on." in page.words
    assert stories(house) == [replace(WORD, title="Another word", url="", image_alt="")]
    again = here.open(form).after("Save", title="")
    assert (again.status, again.wrong()) == (422, {"title": "write one."})
    assert stories(house)[0].title == "Another word"


def test_an_outlets_own_story_is_not_edited_and_the_page_says_why(house: House) -> None:
    here = room(house)
    snow = here.paper.story("Snow on the pass", "Ridge Courier")
    assert "Edit" not in here.story(snow).links()
    again = here.open(f"/admin/stories/{snow}/edit").after("Save", title="Our words")
    assert again.status == 422
    assert "its words are Ridge Courier’s own. Change them in the edition instead." in again.words
    assert stories(house)[0].title == "Snow on the pass"


def test_a_story_of_a_later_newsletter_stays_on_that_newsletters_pages(house: House) -> None:
    here = room(house)
    newsroom.found(house, "other-post")
    page = here.open(f"{ADD}?newsletter=other-post").after("Add the story", **asdict(WORD))
    assert "By hand, in Other Post" in page.words
    assert "By hand, in Other Post" in here.story(1).words
    saved = here.open("/admin/stories/1/edit").after("Save", title="Another word")
    assert "By hand, in Other Post" in saved.words


def test_a_withdrawn_story_says_so_and_comes_back(house: House) -> None:
    here = room(house)
    here.add(PLAIN)
    edition_id = here.paper.draft()
    page = here.story(1).after("Withdraw it everywhere", reason="The outlet asked us to")
    assert "Withdrawn. It was taken out of Morning Post of 2026-03-03." in page.words
    assert "Withdrawn on 3 Mar 2026" in page.words
    assert "Edit" not in page.links()
    assert items(house, edition_id) == []
    assert "Withdrawn" in here.open("/admin/stories").words
    again = here.add(PLAIN)
    assert again.wrong() == {"url": "it was withdrawn, as story 1. Restore that one first."}
    restored = here.story(1).after("Restore")
    assert "It can be chosen again, from the next draft on." in restored.words
    assert "Withdrawn on" not in restored.words


# Saying something about a story


@pytest.mark.parametrize(("do", "mark", "undo"), [("Pin", "pinned", "Unpin"), ("Hide", "hidden", "Show again")])
def test_a_mark_is_one_press_and_so_is_taking_it_back(house: House, do: str, mark: str, undo: str) -> None:
    here = room(house)
    snow = here.paper.story("Snow on the pass", "Ridge Courier")
    page = here.story(snow).after(do)
    assert marks(house) == [(mark, snow, None)]
    assert do not in page.buttons()
    assert mark.capitalize() in here.open("/admin/stories").words
    back = page.after(undo)
    assert "Taken back." in back.words
    assert do in back.buttons()
    assert marks(house) == []


@pytest.mark.parametrize(
    ("button", "mark", "sentence"),
    [("Tell as one", "together", "Told as one with"), ("Keep apart", "apart", "Kept apart from")],
)
def test_two_stories_are_tied_or_parted_and_both_pages_say_so(
    house: House, button: str, mark: str, sentence: str
) -> None:
    here = room(house)
    snow, choir = here.paper.story("Snow on the pass", "Alp Post"), here.paper.story("Choir wins a prize", "Mill Post")
    page = here.story(choir).after(button, other=f" {snow} ")
    assert marks(house) == [(mark, snow, choir)]
    assert f"{sentence} Snow on the pass (Alp Post)" in page.words
    other = here.story(snow)
    assert f"{sentence} Choir wins a prize (Mill Post)" in other.words
    assert "Taken back." in other.after("Take back").words
    assert marks(house) == []


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ("1", "together and apart need two stories"),
        ("", "together and apart need two stories"),
        ("999", "There is no story 999."),
        ("snow", "There is no story “snow”."),
        ("-2", "There is no story “-2”."),
        ("99999999999999999999", "There is no story “99999999999999999999”."),
        ("<script>alert(1)</script>", "There is no story “<script>alert(1)</script>”."),
    ],
)
def test_another_story_that_is_none_is_refused_in_words(either_house: House, other: str, sentence: str) -> None:
    here = room(either_house)
    snow = here.paper.story("Snow on the pass", "Ridge Courier")
    assert snow == 1
    for button in ("Tell as one", "Keep apart"):
        assert sentence in here.story(snow).after(button, other=other).words
    assert marks(either_house) == []


def test_what_is_said_on_one_newsletters_page_is_not_said_on_anothers(house: House) -> None:
    here, other = room(house), newsroom.found(house, "other-post")
    snow = here.paper.story("Snow on the pass", "Ridge Courier")
    page = here.open(f"/admin/stories/{snow}?newsletter=other-post").after("Hide")
    assert "By hand, in Other Post" in page.words
    assert "Hidden: it is never chosen." in page.words
    assert "Hidden: it is never chosen." not in here.story(snow).words
    with house.app.app_context():
        assert [mark.newsletter_id for mark in db.session.scalars(sa.select(StoryMark))] == [other.id]
    assert [choice.lead.title for choice in here.paper.compose().choices] == ["Snow on the pass"]


# From an edition's page


def test_an_editor_says_it_beside_the_item_and_the_draft_follows(house: House) -> None:
    here = room(house)
    first, second = (
        here.paper.story(title, outlet)
        for title, outlet in zip(BRIDGE, ("Harbor Gazette", "Ridge Courier"), strict=True)
    )
    here.paper.story("Snow on the pass", "Alp Post")
    edition_id = here.paper.draft()
    page = here.open(f"/admin/editions/{edition_id}")
    other = "Ridge Courier" if items(house, edition_id)[0] == BRIDGE[0] else "Harbor Gazette"
    apart = page.after(f"Keep apart from {other}")
    assert "The two are kept apart from now on." in apart.words
    assert sorted(items(house, edition_id)) == sorted([*BRIDGE, "Snow on the pass"])
    assert marks(house) == [("apart", first, second)]
    pinned = apart.after("Pin")
    hidden = pinned.after("Hide")
    assert "Hidden: it is not chosen any more." in hidden.words
    assert len(items(house, edition_id)) == 2


def test_what_did_not_make_it_says_why_and_can_be_pinned(house: House) -> None:
    here = room(house, items_at_most="1")
    here.paper.story("Snow on the pass", "Alp Post")
    here.paper.story("A cat is found", "Mill Post", position=90)
    edition_id = here.paper.draft()
    page = here.open(f"/admin/editions/{edition_id}")
    (near,) = page.root.xpath('//details[contains(@class, "near-misses")]')
    assert "A cat is found" in near.text_content()
    assert "Why not not among the first 1 by points" in " ".join(near.text_content().split())
    (form,) = near.xpath(".//form")
    path, fields = form.get("action"), {one.get("name"): one.get("value") for one in form.iter("input")}
    answer = here.desk.client.post(path, base_url="https://news.example.org", data=fields)
    assert answer.headers["Location"] == f"/admin/editions/{edition_id}"
    assert items(house, edition_id) == ["A cat is found"]


def test_a_word_about_an_edition_that_was_approved_meanwhile_stands_for_later_ones(house: House) -> None:
    here = room(house)
    here.paper.tells("Snow on the pass", "Choir wins a prize")
    edition_id = here.paper.draft()
    page, before = here.open(f"/admin/editions/{edition_id}"), items(house, edition_id)
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    after = page.after("Hide")
    assert "Hidden: it is not chosen any more. But this edition stays as it was." in after.words
    assert items(house, edition_id) == before
    assert len(marks(house)) == 1
    assert after.find("stories") is not None
    assert "Hide" not in after.buttons()


# Who may, and what there is not


def test_the_support_role_looks_and_changes_nothing(house: House) -> None:
    here = room(house)
    here.add(PLAIN)
    here.paper.tells("Snow on the pass")
    edition_id = here.paper.draft()
    support = Room(here.paper, signed_in(house, Role.SUPPORT))
    before = everything(house)
    for path in ("/admin/stories", "/admin/stories/1", f"/admin/editions/{edition_id}"):
        page = support.open(path)
        assert page.status == 200
        assert WORD.title in page.words
        assert set(page.buttons()) <= {"Search"}, path
        assert not {"Edit", "Add a story"} & set(page.links()), path
    said = {"kind": "hidden", "newsletter": "morning-post"}
    for path, fields in {
        "/admin/stories/1/say": said,
        ADD: asdict(WORD) | {"url": "https://gazette.example/other"},
        "/admin/stories/1/edit": asdict(WORD) | {"title": "Theirs"},
        "/admin/stories/1/withdraw": {"reason": "x"},
        "/admin/stories/1/restore": {},
    }.items():
        assert support.desk.post(path, **fields).status_code == 403, path
    assert support.desk.get(ADD).status_code == support.desk.get("/admin/stories/1/edit").status_code == 403
    assert everything(house) == before


def test_the_forms_want_their_token(house: House) -> None:
    here = room(house)
    here.add(WORD)
    before = everything(house)
    for path in ("say", "edit", "withdraw", "restore"):
        data = asdict(WORD) | {"kind": "hidden", "title": "Theirs", "csrf_token": "x"}
        answer = here.desk.client.post(f"/admin/stories/1/{path}", base_url="https://news.example.org", data=data)
        assert answer.status_code == 400, path
    assert here.desk.client.post(ADD, base_url="https://news.example.org", data=asdict(WORD)).status_code == 400
    assert everything(house) == before


def test_what_there_is_not_is_not_found_and_nonsense_is_no_request(either_house: House) -> None:
    here = room(either_house)
    here.paper.tells("Snow on the pass")
    before = everything(either_house)
    for id in ("999", "2147483647", "2147483648", "99999999999999999999", "0", "-1", "one"):
        assert here.desk.get(f"/admin/stories/{id}").status_code == 404, id
        assert here.desk.get(f"/admin/stories/{id}/edit").status_code == 404, id
        assert here.desk.post(f"/admin/stories/{id}/edit", **asdict(WORD)).status_code == 404, id
        assert here.desk.post(f"/admin/stories/{id}/say", kind="hidden").status_code == 404, id
    for path in ("/admin/stories", "/admin/stories/1", ADD):
        assert here.desk.get(f"{path}?newsletter=no-such").status_code == 404, path
    for kind in ("", "nonsense", "HIDDEN", "withdrawn"):
        assert here.desk.post("/admin/stories/1/say", kind=kind).status_code == 400, kind
    for edition in ("one", "99999999999999999999"):
        assert here.desk.post("/admin/stories/1/say", kind="hidden", edition=edition).status_code == 404
    assert everything(either_house) == before


def test_before_there_is_a_newsletter_the_pages_say_how_to_make_one(house: House) -> None:
    desk = signed_in(house)
    for path in ("/admin/stories", ADD):
        page = open_page(desk, path)
        assert page.status == 404
        assert "There is no newsletter yet. Make one:" in page.words


def test_the_trail_says_who_did_it(house: House) -> None:
    here = room(house)
    here.add(WORD)
    here.story(1).press("Hide")
    here.open("/admin/stories/1/edit").press("Save", title="Another word")
    with house.app.app_context():
        query = sa.select(AuditRecord).where(AuditRecord.subject == "story:1").order_by(AuditRecord.id)
        done = [(one.action, one.actor_name) for one in db.session.scalars(query)]
    actions = ("story.add", "story.pinned", "story.hidden", "story.edit")
    assert done == [(action, "editor0@example.org") for action in actions]


# Finding


@pytest.fixture
def shelf(either_house: House) -> Room:
    here = room(either_house)
    for title, outlet in (
        ("Bread up 5 % in May", "Ridge Courier"),
        ("Bread up 50 cents", "Bay_Herald"),
        ("BRIDGE closes", "Bay Herald"),
        ("Snow on the pass \\ road shut", "100% Local"),
    ):
        here.paper.story(title, outlet)
    newsroom.found(either_house, "other-post").story("Bread of another paper", "Far Post")
    return here


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("bread", {"Bread up 5 % in May", "Bread up 50 cents"}),
        ("bread courier", {"Bread up 5 % in May"}),
        ("  CENTS\tbread ", {"Bread up 50 cents"}),
        ("herald bridge", {"BRIDGE closes"}),
        ("5 %", {"Bread up 5 % in May"}),
        ("%", {"Bread up 5 % in May", "Snow on the pass \\ road shut"}),
        ("100%", {"Snow on the pass \\ road shut"}),
        ("y_h", {"Bread up 50 cents"}),
        ("_", {"Bread up 50 cents"}),
        ("\\", {"Snow on the pass \\ road shut"}),
        ("/", set()),
        ("'", set()),
        ("bread bridge", set()),
        ("\x00bread\x00", {"Bread up 5 % in May", "Bread up 50 cents"}),
        ("", {"Bread up 5 % in May", "Bread up 50 cents", "BRIDGE closes", "Snow on the pass \\ road shut"}),
    ],
)
def test_every_word_must_stand_in_headline_or_outlet_as_it_is(shelf: Room, words: str, found: set[str]) -> None:
    answer = shelf.desk.get("/admin/stories", query_string={"q": words})
    assert answer.status_code == 200
    links = html.document_fromstring(answer.text).xpath('//a[@class="row-link"]')
    assert {link.text_content() for link in links} == found


@pytest.mark.parametrize("words", ["a " * 5000, "x" * 100_000, "<script>", "' OR 1=1 --", "\ud7ff" * 300])
def test_no_words_break_the_search(shelf: Room, words: str) -> None:
    answer = shelf.desk.get("/admin/stories", query_string={"q": words})
    assert answer.status_code == 200
    assert "<script>" not in answer.text


def test_the_search_that_finds_nothing_says_what_to_do(shelf: Room) -> None:
    page = shelf.open("/admin/stories?q=zeppelin")
    assert "No story with “zeppelin”" in page.words
    assert page.find("q").get("value") == "zeppelin"
    assert page.links()["show all"] == "/admin/stories?newsletter=morning-post"


def test_older_stories_are_a_page_further(house: House) -> None:
    here = room(house)
    with house.app.app_context(), transaction() as session:
        for number in range(120):
            at = house.now - timedelta(minutes=number)
            session.add(
                Story(
                    newsletter_id=here.paper.id,
                    identity=f"{number}",
                    page=f"{number}",
                    url="",
                    title=f"Story {number:03}",
                    published_at=at,
                    first_seen_at=at,
                    updated_at=at,
                )
            )
    seen: list[str] = []
    path: str | None = "/admin/stories?q=story"
    sizes = []
    while path:
        page = here.open(path)
        found = [link.text_content() for link in page.root.xpath('//a[@class="row-link"]')]
        sizes.append(len(found))
        seen += found
        path = page.links().get("Older stories")
    assert sizes == [50, 50, 20]
    assert seen == [f"Story {number:03}" for number in range(120)]


@pytest.mark.parametrize("start", ["-5", "x", "", "1e3", "99999999999999999999", "120"])
def test_a_page_that_there_is_not_is_the_first_or_an_empty_one(either_house: House, start: str) -> None:
    here = room(either_house)
    here.paper.tells("Snow on the pass")
    page = here.open(f"/admin/stories?from={start}")
    assert ("Snow on the pass" in page.words) == (start not in ("99999999999999999999", "120"))


def test_without_stories_the_page_says_what_to_do(house: House) -> None:
    page = room(house).open("/admin/stories")
    assert "No story yet" in page.words
    assert page.links()["add one by hand"] == f"{ADD}?newsletter=morning-post"


# Hostile words

SCRIPT = "<script>alert(1)</script>"
HOSTILE = f"\"'>{SCRIPT}{{{{7*7}}}}<img src=x onerror=alert(1)>\u202egnorw\u202c\x00\x1b &amp; & %s"
CLEAN = f"\"'>{SCRIPT}{{{{7*7}}}}<img src=x onerror=alert(1)>gnorw &amp; & %s"


def test_hostile_words_are_text_everywhere(
    either_house: House, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preflight would stop such an edition; it must not be what keeps the words harmless."""
    monkeypatch.setattr(preflight, "examine", lambda *_: [])
    httpserver.expect_request("/a.png").respond_with_data(picture(), content_type="image/png")
    here = room(either_house, items_at_most="1", sections=SCRIPT)
    here.paper.readers(ANN)
    fields = ("title", "summary", "outlet", "section", "image_alt", "image_credit")
    url = "https://gazette.example/'\"><script>alert(1)</script>"
    new = replace(WORD, url=url, image_url=httpserver.url_for("/a.png"), **dict.fromkeys(fields, HOSTILE[:100]))
    clean = " ".join(CLEAN[:98].split())
    page = here.add(new)
    assert stories(either_house)[0].title == clean
    assert f"“{clean}” is added" in page.words
    again = here.open(ADD).after("Add the story", **asdict(replace(new, url=f"javascript:{SCRIPT}")))
    assert again.status == 422
    for name, title in (("One", CLEAN), ("Two", "Choir wins <b>a prize</b>")):
        here.paper.story(title, f"{name} {SCRIPT}", url=url, identity=name, page=name)
    edition_id = here.paper.draft()
    newsroom.send(either_house, edition_id)
    either_house.work()
    paths = (
        "/admin/stories",
        "/admin/stories?q=script",
        "/admin/stories/1",
        "/admin/stories/2",
        "/admin/stories/1/edit",
        "/admin/editions",
        f"/admin/editions/{edition_id}",
        f"/admin/editions/{edition_id}/preview/html",
        "/admin/newsletters",
    )
    texts = {path: here.desk.get(path).text for path in paths}
    (mail,) = either_house.inbox.editions_of(ANN)
    texts["mail"] = mail.part("html")
    for path, text in texts.items():
        root = html.document_fromstring(text)
        assert root.xpath("//script[not(@src)] | //img[@src='x'] | //@onerror") == [], path
        assert not [link for link in root.xpath("//@href | //@src") if link.lower().startswith("javascript")], path
        assert "49<" not in text, path
        assert "\u202e" not in text, path
    assert clean in html.document_fromstring(texts["/admin/stories/1"]).text_content()
    shown = html.document_fromstring(texts["mail"])
    assert clean in shown.text_content()
    assert shown.xpath("//img/@alt") == [clean]
    assert clean[:60] in " ".join(mail.part("plain").split())
    assert clean[:60] in mail.subject
    (near,) = html.document_fromstring(texts[f"/admin/editions/{edition_id}"]).xpath('//*[contains(@class, "near")]')
    assert "Choir wins <b>a prize</b>" in near.text_content()
