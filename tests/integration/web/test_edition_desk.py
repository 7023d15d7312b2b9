"""The desk of a draft as a browser without scripts uses it, and as its script does: each press is a form."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import html
from pytest_httpserver import HTTPServer

from newsletter.delivery import releasing
from newsletter.editions.models import Edition
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.newsletters.models import newsletter
from newsletter.staff.models import Role
from newsletter.staff.rights import Grant
from tests.conftest import House
from tests.integration.subscribers import SITE, everything
from tests.integration.web import Desk, hire, signed_in
from tests.integration.web.test_edition_edit import THREE, Room, room_of
from tests.support import newsroom
from tests.support.forms import Sheet, open_page, words
from tests.support.outlets import article

HOSTILE = "</textarea></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7*7 }}"


@pytest.fixture
def room(house: House) -> Room:
    return room_of(house)


def path(room: Room) -> str:
    return f"/admin/editions/{room.edition_id}"


def page(room: Room, desk: Desk | None = None) -> Sheet:
    return open_page(desk or room.desk, path(room))


def card(sheet: Sheet, room: Room, headline: str) -> Any:
    return sheet.find(f"story-{room.keys[headline]}")


def form_of(sheet: Sheet, room: Room, headline: str | None) -> dict[str, str]:
    """What stands in a story's form, or in that of the mail's own words."""
    inside = sheet.find("the-mail") if headline is None else card(sheet, room, headline)
    form = inside.xpath(".//form[@data-desk]")[0]
    fields = {one.get("name"): one.get("value", "") for one in form.xpath(".//input[@name]")}
    fields |= {one.get("name"): (one.text or "").removeprefix("\n") for one in form.xpath(".//textarea")}
    return fields | {
        one.get("name"): one.xpath("string(.//option[@selected]/@value)") for one in form.xpath(".//select")
    }


def press(room: Room, story: str | None, sheet: Sheet | None = None, /, **typed: str) -> Sheet:
    """Press a button in a story's form, as it stands on a page that was opened before or now."""
    at = sheet or page(room)
    return sent(room, at.desk, form_of(at, room, story) | typed)


def sent(room: Room, desk: Desk, data: dict[str, str]) -> Sheet:
    answer = desk.client.post(f"{path(room)}/desk", base_url=SITE, data=data)
    if answer.status_code == 303:
        return open_page(desk, answer.headers["Location"].partition("#")[0])
    return Sheet(desk, path(room), answer.status_code, html.document_fromstring(answer.text))


def second(room: Room) -> Desk:
    """A colleague at a browser of their own."""
    house = room.paper.house
    desk = Desk(house.app.test_client())
    assert desk.post(hire(house, Role.EDITOR)).status_code == 303
    return desk


# Without scripts


def test_each_story_has_its_own_form_and_a_button_for_each_thing(room: Room) -> None:
    snow = card(page(room), room, THREE[1])
    named = {words(one) for one in snow.iter("button")}
    assert {"Save story 2", f"Up “{THREE[1]}”", f"Down “{THREE[1]}”", f"Leave out “{THREE[1]}”"} <= named
    assert "Why" in words(snow)


def test_words_are_saved_where_they_stand(room: Room) -> None:
    after = press(room, THREE[1], headline="Snow closes the pass", summary="Until noon.", act="save")
    assert "Saved." in after.words
    item = room.revision().items[1]
    assert (item.headline, item.summary) == ("Snow closes the pass", "Until noon.")
    after = press(room, None, subject="Three things", intro="Good morning.", act="save")
    assert (room.revision().subject, room.revision().intro) == ("Three things", "Good morning.")
    assert "12 letters: a phone shows all of it. Written by hand" in after.words
    assert "It was like that already." in press(room, None, act="save").words


def test_a_button_saves_what_was_typed_as_well(room: Room) -> None:
    press(room, THREE[1], headline="Snow closes the pass", act="up")
    assert room.headlines() == ["Snow closes the pass", THREE[0], THREE[2]]
    assert room.revision().number == 2, "both at once"


def test_a_story_is_moved_left_out_and_put_back(room: Room) -> None:
    press(room, THREE[0], act="down")
    assert room.headlines() == [THREE[1], THREE[0], THREE[2]]
    after = press(room, THREE[1], act="drop")
    assert room.headlines() == [THREE[0], THREE[2]]
    assert "It is left out, and can be put back." in after.words
    back = after.after(f"Put back “{THREE[1]}”")
    assert room.headlines() == [THREE[0], THREE[2], THREE[1]]
    assert "It is back, as the last story." in back.words


def test_a_long_subject_is_told_how_much_of_it_a_phone_shows(room: Room) -> None:
    after = press(room, None, subject="The harbor bridge closes for the whole of the winter", act="save")
    assert "A phone shows about the first 40: “The harbor bridge closes for the whole o…”" in after.words


def test_the_inbox_shows_the_sender_the_subject_and_the_preview_line(room: Room) -> None:
    (inbox,) = page(room).root.xpath("//div[@class='inbox']")
    assert words(inbox) == f"M Morning Post 06:00 {THREE[0]} {THREE[1]} · {THREE[2]}"


def test_what_almost_made_it_is_one_press_away(house: House) -> None:
    room = room_of(house, items_at_most="2")
    shown = page(room)
    assert "Not among the first 2 by points." in shown.words
    after = shown.after(f"Add “{THREE[2]}”")
    assert room.headlines() == list(THREE)
    assert "It is in, as the last story." in after.words


def test_an_article_is_added_by_its_address(room: Room, httpserver: HTTPServer) -> None:
    url = article(httpserver, "/ferry", "Ferry gets a hull", {"description": "It is blue."})
    after = page(room).after("Read it and add it", address=url)
    assert room.headlines() == [*THREE, "Ferry gets a hull"]
    assert "It is in, as the last story." in after.words
    wrong = page(room).after("Read it and add it", address="nowhere")
    assert wrong.status == 409
    assert "write it whole, like https://example.org/story." in wrong.words
    assert wrong.find("address").get("value") == "nowhere"
    assert wrong.links()["Write it yourself"].startswith("/admin/stories/add")


def test_what_cannot_be_saved_stands_there_with_the_reason(room: Room) -> None:
    before = everything(room.paper.house)
    wrong = press(room, THREE[1], headline=" ", summary="Until noon.", act="save")
    assert wrong.status == 422
    name = f"headline-{room.keys[THREE[1]]}"
    assert wrong.wrong()[name] == "write one, or leave the story out."
    assert form_of(wrong, room, THREE[1])["summary"] == "Until noon."
    assert everything(room.paper.house) == before


@pytest.mark.parametrize(
    "typed",
    [
        {"act": "explode"},
        {"back": "x"},
        {"add": "-1"},
        {"lead": "9" * 30},
        {"act": "up", "item": ""},
    ],
)
def test_nonsense_is_refused(room: Room, typed: dict[str, str]) -> None:
    before = everything(room.paper.house)
    assert press(room, THREE[0], **typed).status in (400, 409)
    assert everything(room.paper.house) == before


def test_hostile_words_are_text_everywhere(room: Room) -> None:
    after = press(room, THREE[0], headline=HOSTILE, summary=HOSTILE, image_alt=HOSTILE, act="save")
    after = press(room, None, subject=HOSTILE, preheader=HOSTILE, intro=HOSTILE, act="save")
    assert after.root.xpath("//script[not(@src)]") == []
    assert after.root.xpath("//img[@src='x']") == []
    assert form_of(after, room, THREE[0])["headline"] == HOSTILE
    clash = press(room, THREE[0], headline="mine", act="save", **{"was-headline": "what stood there"})
    assert clash.status == 409
    assert HOSTILE in clash.words
    assert clash.root.xpath("//script[not(@src)]") == []
    for form in ("html", "text"):
        preview = room.desk.get(f"{path(room)}/preview/{form}?scheme=dark#story-1")
        assert "<script" not in preview.text or form == "text"
        assert "frame-ancestors 'self'" in preview.headers["Content-Security-Policy"]
        assert "sandbox" in preview.headers["Content-Security-Policy"]
    room.desk.post(f"{path(room)}/desk", item=str(room.keys[THREE[0]]), act="drop")
    assert page(room).root.xpath("//script[not(@src)]") == []


# Two at once


def test_two_editors_on_pages_of_their_own_lose_nothing(either_house: House) -> None:
    room = room_of(either_house)
    ben = second(room)
    anns, bens = page(room), page(room, ben)
    press(room, THREE[0], anns, headline="The bridge is closed", act="save")
    assert press(room, THREE[1], bens, headline="Snow closes the pass", act="save").status == 200
    assert room.headlines() == ["The bridge is closed", "Snow closes the pass", THREE[2]]
    clash = press(room, THREE[0], bens, headline="No way over the bridge", summary="Until spring.", act="save")
    assert clash.status == 409
    assert "editor0@example.org wrote meanwhile: The bridge is closed" in words(card(clash, room, THREE[0]))
    fields = form_of(clash, room, THREE[0])
    assert (fields["headline"], fields["summary"]) == ("No way over the bridge", "Until spring.")
    assert room.headlines()[0] == "The bridge is closed"
    assert room.revision().items[0].summary == "Until spring.", "what did not clash is saved"
    press(room, THREE[0], clash, act="save")
    assert room.headlines()[0] == "No way over the bridge"


def test_who_takes_theirs_leaves_their_own(room: Room) -> None:
    bens = page(room, second(room))
    press(room, THREE[0], headline="The bridge is closed", act="save")
    clash = press(room, THREE[0], bens, headline="No way over the bridge", act="save")
    assert clash.links()["Take theirs"].startswith(path(room))
    assert form_of(page(room), room, THREE[0])["headline"] == "The bridge is closed"


def test_an_order_that_was_dragged_on_an_older_one_is_not_saved(room: Room) -> None:
    keys = [str(room.keys[headline]) for headline in THREE]
    data = {"csrf_token": room.desk.token, "order": ",".join(reversed(keys)), "order_was": ",".join(keys)}
    assert sent(room, room.desk, data).status == 200
    assert room.headlines() == list(reversed(THREE))
    late = sent(room, room.desk, data | {"order": ",".join([keys[1], keys[0], keys[2]])})
    assert late.status == 409
    assert "changed the order meanwhile" in late.words
    assert room.headlines() == list(reversed(THREE))


def test_who_approves_an_older_page_approves_nothing(room: Room) -> None:
    shown = page(room)
    room.meanwhile(subject="Another thing")
    after = shown.after("Approve")
    assert "ben@example.org changed this edition after your page was shown, so nothing was approved." in after.words
    assert after.after("Approve").words.count("Approved") >= 1


def test_each_sees_who_else_is_there_and_that_something_changed(room: Room) -> None:
    ben = second(room)
    said = ben.post(f"{path(room)}/here", place=str(room.keys[THREE[1]]))
    assert 'data-revision="1"' in said.text
    assert "is here too" not in said.text, "one does not see oneself"
    heard = room.desk.post(f"{path(room)}/here", place="mail").text
    assert "is here too, at story 2." in heard
    assert "is here too, at story 2." in page(room).words
    room.paper.house.later(seconds=31)
    assert "is here too" not in page(room).words


# For whom


def test_support_reads_and_changes_nothing(house: House) -> None:
    room = room_of(house, Role.SUPPORT)
    shown = page(room)
    assert shown.root.xpath("//form[@data-desk]") == []
    assert THREE[1] in shown.words
    assert room.desk.post(f"{path(room)}/desk", act="save", subject="x").status_code == 403
    assert room.desk.post(f"{path(room)}/test", to="editor0@example.org").status_code == 403


def test_who_works_for_another_newsletter_finds_no_desk(house: House) -> None:
    room = room_of(house)
    newsroom.found(house, "ridge-courier")
    with house.app.app_context():
        ids = frozenset({newsletter("ridge-courier").id})
    other = signed_in(house, Role.EDITOR, grant=Grant(Role.EDITOR, may_send=True, newsletter_ids=ids))
    for deed in ("desk", "here", "test"):
        assert other.post(f"{path(room)}/{deed}", to="editor0@example.org").status_code == 404, deed


def test_what_is_approved_has_no_desk_before_it_is_opened_again(room: Room) -> None:
    shown = page(room)
    with room.paper.house.app.app_context():
        releasing.approve(room.edition_id, room.paper.house.now, COMMAND)
    late = press(room, THREE[0], shown, headline="The bridge is closed", act="save")
    assert late.status == 409
    assert "This edition is approved, so it cannot be changed." in late.words
    assert "The bridge is closed" in late.words, "what was typed is not lost"
    assert page(room).root.xpath("//form[@data-desk]") == []


# The preview and the test mail


def test_the_preview_is_shown_as_wished(room: Room) -> None:
    dark = room.desk.get(f"{path(room)}/preview/html?scheme=dark").text
    assert "@media all" in dark
    assert "prefers-color-scheme" not in dark
    light = room.desk.get(f"{path(room)}/preview/html?scheme=light").text
    assert "@media not all" in light
    assert [f'id="story-{n}"' in light for n in (1, 2, 3, 4)] == [True, True, True, False]
    asked = open_page(room.desk, f"{path(room)}?look=phone-dark-text")
    assert asked.find("preview-frame").get("data-width") == "phone"
    assert asked.root.xpath("//iframe/@src") == [f"{path(room)}/preview/text?scheme=dark"]


def test_a_finding_leads_to_where_it_is_mended(room: Room) -> None:
    after = press(room, THREE[1], headline="TK", act="save")
    assert "looks like words that were to be replaced" in after.words
    assert f"#story-{room.keys[THREE[1]]}" in after.root.xpath("//ul[@class='findings']//a/@href")


def test_a_test_mail_is_the_mail_itself_and_goes_to_staff_alone(room: Room) -> None:
    house = room.paper.house
    room.paper.readers("ann@example.org")
    after = page(room).after("Send a test mail", to="editor0@example.org")
    assert "A test mail is on its way to editor0@example.org." in after.words
    house.work()
    (mail,) = house.inbox.of("editor0@example.org")
    assert mail.subject == f"Test: {THREE[0]}"
    for kind in ("plain", "html"):
        body = mail.part(kind)
        assert all(headline in body for headline in THREE)
        assert "editor0@example.org" in body
    refused = page(room).after("Send a test mail", to="ann@example.org")
    assert "to nobody else" in refused.words
    with house.app.app_context():
        assert db.session.get_one(Edition, room.edition_id).frozen_at is None
