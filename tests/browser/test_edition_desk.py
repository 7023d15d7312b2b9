"""The desk of a draft in a real browser: it saves while one types, is worked by mouse and by keys, shows the mail as it
changes, and two people at once lose nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from newsletter.editions.models import Edition, Revision
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db
from newsletter.staff import signing_in
from newsletter.staff.models import Role
from tests.browser.axe import faults
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import Paper

BRIDGE, SNOW, CHOIR, SCHOOL = "Harbor bridge closes", "Snow on the pass", "Choir wins a prize", "New school opens"
LONG = "An uncommonly long headline about " + "x" * 120


class Room:
    """An editor at a draft of three stories, in a browser, and what is stored of it."""

    def __init__(self, browser: Browser, house: House, site: str, paper: Paper, edition_id: int) -> None:
        self.house, self.site, self.edition_id, self._browser = house, site, edition_id, browser
        self.paper = paper
        self.told: list[str] = []
        self.page = self.enter()

    def enter(self, address: str | None = None) -> Page:
        """Somebody comes in by a browser of their own: the owner, or an editor with that address."""
        page = self._context().new_page()
        page.on("console", lambda message: self.told.append(message.text))
        page.on("pageerror", lambda error: self.told.append(str(error)))
        if address is None:
            sign_in(page, self.house, self.site)
        else:
            with self.house.app.app_context():
                signing_in.add(address, Role.EDITOR, self.house.now, COMMAND)
                link = signing_in.make_link(address, self.house.now, COMMAND, self.house.links)
            page.goto(f"{self.site}{link.removeprefix('http://127.0.0.1')}")
            page.get_by_role("button", name="Sign in as").click()
        page.goto(f"{self.site}/admin/editions/{self.edition_id}")
        return page

    def _context(self) -> BrowserContext:
        return self._browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")

    def revision(self) -> Revision:
        with self.house.app.app_context():
            found = db.session.get_one(Edition, self.edition_id).revisions[-1]
            assert found.items is not None
            db.session.expunge_all()
            return found

    def headlines(self) -> list[str]:
        return [item.headline for item in self.revision().items]

    def saved(self, *headlines: str, page: Page | None = None) -> None:
        """The page says that it is saved, and so it is."""
        expect((page or self.page).locator("#desk-note")).not_to_have_text(re.compile("Saving|^$"))
        assert self.headlines() == list(headlines)


def headline(page: Page, place: int) -> Locator:
    return page.get_by_label(f"Headline of story {place}", exact=True)


def order(page: Page) -> list[str]:
    return [field.input_value() for field in page.locator(".desk-headline textarea").all()]


def drag(page: Page, what: Locator, to: Locator) -> None:
    """Take hold of something, and let go above the upper end of another thing, once the list has made room for it."""
    page.bring_to_front()  # a download before leaves it without the focus
    what.hover(position={"x": 12, "y": 12})
    start, end = what.bounding_box(), to.bounding_box()
    assert start is not None
    assert end is not None
    held, above = what.element_handle(), to.element_handle()
    page.mouse.down()
    page.mouse.move(start["x"] + 12, start["y"] - 20, steps=4)
    for step in range(20):
        page.mouse.move(end["x"] + 60 + step % 2, end["y"] - 20 + step % 3, steps=12)
        if page.evaluate("([held, above]) => held.compareDocumentPosition(above) === 4", [held, above]):
            break
    page.mouse.up()


@pytest.fixture
def room(browser: Browser, house: House, site: str) -> Iterator[Room]:
    paper = newsroom.found(house, approval="manual", items_at_most="3", sections="World, Sport")
    for place, title in enumerate((BRIDGE, SNOW, CHOIR, SCHOOL)):
        paper.story(title, f"Outlet of {title}", {"weight": 8.0 - place})
    found = Room(browser, house, site, paper, paper.draft())
    yield found
    for context in browser.contexts:
        context.close()


def test_what_is_typed_is_saved_and_shown_in_the_mail(room: Room) -> None:
    page = room.page
    mail = page.frame_locator("#preview-frame iframe:not(.mail-frame-next)")
    headline(page, 1).fill("The bridge is closed")
    expect(mail.get_by_role("heading", name="The bridge is closed")).to_be_visible()
    room.saved("The bridge is closed", SNOW, CHOIR)
    page.get_by_label("Subject").fill("The bridge is closed for the whole of the winter")
    expect(page.locator(".inbox-subject")).to_have_text("The bridge is closed for the whole of the winter")
    expect(page.locator("#subject-hint")).to_contain_text("48 letters. A phone shows about the first 40")
    page.get_by_label("Preview line").focus()
    expect(page.locator("#desk-note")).to_have_text("Saved.")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    with room.house.app.app_context():
        edits = db.session.query(AuditRecord).filter_by(action="edition.edit").order_by(AuditRecord.id).all()
        assert [sorted(one.details["before"]) for one in edits] == [["1:headline"], ["subject"]]
    assert room.told == [], "nothing is against the page's policy"


def test_the_mail_is_shown_as_wished_and_stays_so(room: Room) -> None:
    page = room.page
    page.get_by_role("link", name="Phone").click()
    page.get_by_role("link", name="Dark").click()
    frame = page.locator("#preview-frame")
    expect(frame).to_have_attribute("data-width", "phone")
    expect(page.locator("#preview-frame iframe")).to_have_count(1)
    box = page.locator("#preview-frame iframe").bounding_box()
    assert box is not None
    assert box["width"] == 377
    mail = page.frame_locator("#preview-frame iframe:not(.mail-frame-next)")
    expect(mail.locator(".paper").first).to_have_css("background-color", "rgb(27, 26, 24)")
    page.reload()
    expect(frame).to_have_attribute("data-scheme", "dark")
    page.get_by_role("link", name="Plain text").click()
    expect(mail.get_by_text(f"1. {BRIDGE}")).to_be_visible()


def test_stories_are_dragged_with_the_mouse(room: Room) -> None:
    page = room.page
    page.get_by_role("heading", name="Stories").evaluate("one => one.scrollIntoView()")
    drag(page, page.locator(".grip").nth(2), page.locator(".grip").nth(0))
    expect(page.locator("#desk-note")).to_have_text("The order is saved.")
    room.saved(CHOIR, BRIDGE, SNOW)
    assert order(page) == [CHOIR, BRIDGE, SNOW]
    expect(page.locator(".item-place").first).to_have_text("1")


def test_stories_are_moved_by_buttons_that_keep_the_focus(room: Room) -> None:
    page = room.page
    down = page.get_by_role("button", name=f"Down “{BRIDGE}”")
    down.focus()
    page.keyboard.press("Enter")
    expect(headline(page, 2)).to_have_value(BRIDGE)
    expect(down).to_be_focused()
    page.keyboard.press("Enter")
    expect(headline(page, 3)).to_have_value(BRIDGE)
    expect(down).to_be_focused()
    room.saved(SNOW, CHOIR, BRIDGE)


def test_all_is_done_by_keys(room: Room) -> None:
    page = room.page
    page.keyboard.press("j")
    expect(page.locator(".desk-item").nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Shift+K")
    expect(headline(page, 1)).to_have_value(SNOW)
    expect(page.get_by_role("listitem", name="Story 1")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".desk-item")).to_have_count(2)
    expect(page.get_by_role("heading", name="Left out")).to_be_visible()
    page.keyboard.press("z")
    expect(headline(page, 3)).to_have_value(SNOW)
    page.keyboard.press("k")
    page.keyboard.press("e")
    page.keyboard.press("End")
    page.keyboard.type(" jxz?")
    expect(page.locator("dialog")).not_to_be_visible()
    page.keyboard.press("Escape")
    assert " jxz?" in " ".join(order(page)), "no key does anything else while one types"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.get_by_label("Single keys do this").uncheck()
    page.get_by_role("button", name="Close", exact=True).click()
    page.locator(".desk-item").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("?")
    expect(page.locator("dialog")).not_to_be_visible()
    expect(page.locator(".desk-item")).to_have_count(3)
    page.reload()
    page.locator(".desk-item").first.focus()
    page.keyboard.press("?")
    expect(page.locator("dialog")).not_to_be_visible()
    page.get_by_role("button", name="Keys").click()
    expect(page.get_by_label("Single keys do this")).not_to_be_checked()


def test_what_almost_made_it_comes_in_with_one_press(room: Room) -> None:
    room.page.get_by_role("button", name=f"Add “{SCHOOL}”").click()
    expect(headline(room.page, 4)).to_have_value(SCHOOL)
    room.saved(BRIDGE, SNOW, CHOIR, SCHOOL)


def test_two_at_once_see_each_other_and_what_the_other_writes(room: Room) -> None:
    ann, ben = room.page, room.enter("ben@example.org")
    expect(ben.locator("#others")).to_contain_text("owner@example.org is here too")
    ann.clock.install()
    ann.reload()
    headline(ann, 1).focus()
    ann.clock.run_for(1_000)
    expect(ann.locator("#others")).to_contain_text("ben@example.org is here too")
    headline(ben, 2).fill("Snow closes the pass")
    headline(ben, 3).focus()
    expect(ben.locator("#desk-note")).to_have_text("Saved.")
    headline(ann, 1).type("! ")
    ann.clock.run_for(20_000)
    expect(headline(ann, 2)).to_have_value("Snow closes the pass")
    expect(headline(ann, 1)).to_be_focused()
    assert "!" in headline(ann, 1).input_value(), "what one is writing stays"
    expect(ann.locator("#story-2")).to_have_class(re.compile("desk-changed"))


def test_words_that_both_wrote_stand_beside_each_other_and_one_chooses(room: Room) -> None:
    ann, ben = room.page, room.enter("ben@example.org")
    for page in (ann, ben):
        page.clock.install()  # so that neither hears of the other before both have written
        page.reload()
    headline(ben, 1).fill("No way over the bridge")
    headline(ben, 2).focus()
    expect(ben.locator("#desk-note")).to_have_text("Saved.")
    headline(ann, 1).fill("The bridge is closed")
    headline(ann, 2).focus()
    beside = ann.locator(".theirs")
    expect(beside).to_contain_text("ben@example.org wrote meanwhile: No way over the bridge")
    expect(headline(ann, 1)).to_have_value("The bridge is closed")
    assert room.headlines()[0] == "No way over the bridge"
    beside.get_by_role("button", name="Save mine").click()
    expect(ann.locator(".theirs")).to_have_count(0)
    room.saved("The bridge is closed", SNOW, CHOIR, page=ann)
    headline(ben, 1).fill("Nobody crosses the bridge")
    headline(ben, 2).focus()
    ben.get_by_role("link", name="Take theirs").click()
    expect(headline(ben, 1)).to_have_value("The bridge is closed")
    assert room.headlines()[0] == "The bridge is closed"


def test_what_cannot_be_saved_stays_and_is_tried_again(room: Room) -> None:
    page = room.page
    page.clock.install()
    page.reload()
    page.route("**/desk", lambda route: route.abort())
    headline(page, 1).fill("The bridge is closed")
    page.clock.run_for(1_000)
    expect(page.locator("#desk-note")).to_contain_text("What you typed stays here, and is tried again.")
    page.unroute("**/desk")
    page.clock.run_for(6_000)
    expect(page.locator("#desk-note")).to_have_text("Saved.")
    room.saved("The bridge is closed", SNOW, CHOIR)


def test_everybody_can_use_the_desk_on_any_screen(browser: Browser, house: House, site: str) -> None:
    paper = newsroom.found(house, approval="manual", items_at_most="3", sections="World, Sport", pictures="link")
    buffer = BytesIO()
    Image.new("RGB", (640, 360), "teal").save(buffer, "PNG")
    paper.story(BRIDGE, "Gazette", {"weight": 9.0}, image_url=f"{site}/static/favicon.svg", image_alt="A bridge")
    paper.story(f"{BRIDGE} today", "Courier", image_url=f"{site}/static/favicon.svg?2")
    for title in (LONG, SNOW, CHOIR, SCHOOL):
        paper.story(title, f"Outlet of {title}"[:60])
    room = Room(browser, house, site, paper, paper.draft())
    page = room.page
    page.get_by_role("button", name=re.compile("Leave out")).last.click()
    expect(page.get_by_role("heading", name="Left out")).to_be_visible()
    found = {f"at {width}": faults(page, width) for width in (320, 375, 1280)}
    page.get_by_role("button", name="Keys").click()
    found["keys"] = faults(page, 320)
    page.keyboard.press("Escape")
    page.clock.install()
    page.reload()
    ben = room.enter("ben@example.org")
    headline(ben, 1).fill("No way over the bridge")
    headline(ben, 2).focus()
    expect(ben.locator("#desk-note")).to_have_text("Saved.")
    headline(page, 1).fill("The bridge is closed")
    headline(page, 2).focus()
    expect(page.locator(".theirs")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")  # away from under the line that stays where it is
    found["two at once"] = faults(page, 320)
    for context in browser.contexts:
        context.close()
    assert {name: what for name, what in found.items() if what} == {}


def test_without_scripts_all_of_it_are_forms(page: Page, house: House, site: str) -> None:
    paper = newsroom.found(house, approval="manual")
    for place, title in enumerate((BRIDGE, SNOW, CHOIR)):
        paper.story(title, f"Outlet of {title}", {"weight": 8.0 - place})
    edition_id = paper.draft()
    sign_in(page, house, site)
    page.goto(f"{site}/admin/editions/{edition_id}")
    headline(page, 2).fill("Snow closes the pass")
    page.get_by_role("button", name="Save story 2").click()
    page.get_by_role("button", name="Up “Snow closes the pass”").click()
    expect(headline(page, 1)).to_have_value("Snow closes the pass")
    page.get_by_role("link", name="Dark").click()
    expect(page.locator("#preview-frame")).to_have_attribute("data-scheme", "dark")
    expect(page.get_by_role("button", name="Keys")).not_to_be_visible()
