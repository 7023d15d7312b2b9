"""The pages of sources and of newsletters' settings in a real browser: nobody is kept out, nothing runs off a phone's
edge, and scripts only make them quicker."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters import settings, slots
from newsletter.newsletters.models import newsletter
from newsletter.stories import following
from newsletter.stories.models import Source, SourceState
from tests.browser.axe import faults
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.support import newsroom

ONE = "/admin/newsletters/morning-post"
PAGES = {
    "sources": "/admin/sources",
    "source": "/admin/sources/1",
    "source-add": "/admin/sources/add",
    "sources-import": "/admin/sources/import",
    "newsletters": "/admin/newsletters",
    "newsletter-add": "/admin/new-newsletter",
    "newsletter": ONE,
    **{part: f"{ONE}/{part}" for part in ("words", "sender", "look", "selection", "approval", "mail", "site")},
    "slots": f"{ONE}/slots",
    "calendar": f"{ONE}/calendar?month=2026-03",
    "texts": f"{ONE}/texts?count=yes",
    "box": f"{ONE}/box",
}
BLUE = re.compile(r"oklch\(0\.43\d* 0\.12\d* 252\.")
"""#0b5394, as the box's sheet mixes it."""

TROUBLE = "The server answered 404 Not Found: there is nothing at this address."


def furnish(house: House) -> newsroom.Paper:
    """A paper with three sources, of which one is in trouble, a second slot, a closed one, and a date left out."""
    paper = newsroom.found(house, zone="Europe/Berlin", tagline="The day, told once", postal_address="1 Quay Street")
    for title, outlet in (
        ("Harbor bridge closes for the winter", "Harbor Gazette"),
        ("School strike ends after nine days", "Ridge Courier"),
        ("A lighthouse finds its keeper", "Bay Herald"),
    ):
        paper.story(title, outlet)
    paper.readers("ann@example.org", "bob@example.org")
    with house.app.app_context():
        by, now = COMMAND, house.now
        with transaction():
            ill = db.session.get_one(Source, 2)
            ill.state, ill.error, ill.failures = SourceState.FAILING, TROUBLE, 3
            ill.failing_since = ill.polled_at = now - timedelta(days=1)
            db.session.get_one(Source, 1).state = SourceState.OK
            db.session.get_one(Source, 1).succeeded_at = now
        following.silence(newsletter("morning-post"), 3, None, now, by)
        slots.add("morning-post", "America/New_York", slots.read_time("02:30"), now, by)
        settings.skip("morning-post", (now + timedelta(days=5)).date(), now, by)
        settings.write_sign_up_text("morning-post", "Yes, send me the Morning Post each day.", 1, now, by)
    paper.draft()
    return paper


@pytest.mark.parametrize("some", [0, 1, 2])
def test_everybody_can_read_and_use_each_page_on_any_screen(
    browser: Browser, house: House, site: str, some: int
) -> None:
    furnish(house)
    page = browser.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if "/embed/" not in message.text else None)
    sign_in(page, house, site)  # the box's own preview asks the address that the site would have
    found = {}
    for name, path in list(PAGES.items())[some::3]:
        page.goto(f"{site}{path}")
        for width in (320, 375, 1280):
            found[f"{name} at {width}"] = faults(page, width)
    page.close()
    assert {name: what for name, what in found.items() if what} == {}
    assert told == [], "nothing is against the page's policy"


def test_what_is_wrong_and_what_somebody_else_saved_can_be_read_by_everybody(
    browser: Browser, house: House, site: str
) -> None:
    furnish(house)
    page = browser.new_page()
    sign_in(page, house, site)
    page.goto(f"{site}{ONE}/words")
    page.get_by_label("Name", exact=True).fill(" ")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("write 1 to 120 characters on one line")).to_be_visible()
    wrong = faults(page, 320)
    page.get_by_label("Name", exact=True).fill("Noon Post")
    with house.app.app_context():
        settings.change("morning-post", house.now, COMMAND, name="Evening Post")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else saved this page after you had opened it.")).to_be_visible()
    assert wrong + faults(page, 320) == []
    page.close()


def test_the_preview_follows_the_form(browser: Browser, house: House, site: str) -> None:
    furnish(house)
    page = browser.new_page(viewport={"width": 375, "height": 800})
    sign_in(page, house, site)
    page.goto(f"{site}{ONE}/look")
    page.evaluate("window.stayed = true")
    mail = page.frame_locator("iframe[title^='The mail']")
    expect(mail.get_by_role("heading", name="Harbor bridge closes for the winter")).to_be_visible()
    box = page.frame_locator("iframe[title='The sign-up box']")
    page.get_by_label("Colour").fill("#0b5394")
    expect(page.locator(".look-box")).to_have_attribute("src", re.compile("0b5394"))
    expect(box.get_by_role("button", name="Sign Up Now")).to_have_css("background-color", BLUE)
    page.get_by_label("Typeface").select_option("sans")
    expect(page.locator(".mail-frame")).to_have_attribute("src", re.compile("sans"))
    headline = page.frame_locator("iframe[title^='The mail']").get_by_role("heading", name="Harbor bridge closes")
    expect(headline).to_have_css("font-family", "Arial, Helvetica, sans-serif")
    assert page.evaluate("window.stayed"), "the form stays, with what was typed"
    expect(page.get_by_label("Colour")).to_have_value("#0b5394")
    page.close()


def test_a_day_of_the_calendar_is_pressed_where_one_is(browser: Browser, house: House, site: str) -> None:
    furnish(house)
    page = browser.new_page(viewport={"width": 375, "height": 600})
    sign_in(page, house, site)
    page.goto(f"{site}{ONE}/calendar")
    page.evaluate("window.stayed = true")
    day = page.get_by_role("button", name="20 May 2026")
    day.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="20 May 2026: left out. Take it back")).to_be_focused()
    expect(page.get_by_text("There is no edition on Wednesday, 20 May 2026")).to_be_attached()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="20 May 2026: an edition. Leave it out")).to_be_focused()
    assert page.evaluate("window.stayed")
    page.close()


def test_the_sender_is_asked_about_behind_the_page(browser: Browser, house: House, site: str) -> None:
    furnish(house)
    page = browser.new_page()
    sign_in(page, house, site)
    page.goto(f"{site}{ONE}/sender")
    expect(page.get_by_text("Not known: this installation is set not to ask name servers")).to_be_visible()
    page.close()


def test_the_code_of_the_box_is_copied_by_a_button(browser: Browser, house: House, site: str) -> None:
    furnish(house)
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    sign_in(page, house, site)
    page.goto(f"{site}{ONE}/box")
    page.get_by_role("button", name="Copy the code of “In a frame”").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.get_by_label("Paste this").nth(1).input_value()
    context.close()


def test_without_scripts_everything_is_there(page: Page, house: House, site: str) -> None:
    furnish(house)
    sign_in(page, house, site)
    page.goto(f"{site}{ONE}/look")
    page.get_by_label("Colour").fill("#0b5394")
    page.get_by_role("button", name="Show it without saving").click()
    expect(page.get_by_title("The sign-up box")).to_have_attribute(
        "src", f"{ONE}/look/box?accent=%230b5394&typeface=serif&logo_url="
    )
    page.goto(f"{site}{ONE}/calendar")
    page.get_by_role("button", name="20 May 2026").click()
    expect(page.get_by_text("There is no edition on Wednesday, 20 May 2026")).to_be_visible()
    page.goto(f"{site}{ONE}/sender")
    page.get_by_role("link", name="Ask the name servers").click()
    expect(page.get_by_text("Not known: this installation is set not to ask name servers")).to_be_visible()
    page.goto(f"{site}/admin/sources/1")
    page.get_by_text("Silence…").click()
    page.get_by_role("button", name="For good").click()
    expect(page.get_by_text("Silenced until somebody lets it in again.")).to_be_visible()
