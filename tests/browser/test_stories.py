"""The pages of stories and newsletters, in a real browser: nobody is kept out, and nothing runs off a phone's edge."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from newsletter.foundation.audit import COMMAND
from newsletter.newsletters.models import newsletter
from newsletter.stories import adding, gating
from newsletter.stories.adding import StoryByHand
from tests.browser.axe import violations
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.support import newsroom

PHONE = {"width": 320, "height": 640}
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung"


def furnish(house: House) -> int:
    """Something on every page, of the longest kind; gives the edition."""
    paper = newsroom.found(house, items_at_most="2", sections="World, Port", pictures="none")
    first = paper.story("Harbor bridge closes for repairs", "Harbor Gazette")
    second = paper.story("Repairs close the harbor bridge", "Ridge Courier")
    third = paper.story(LONG, f"{LONG}.example", tags=["Port", "Sea"], url=f"https://{LONG[:60]}.example/{LONG * 4}")
    hidden = paper.story("Snow on the pass", "Alp Post")
    paper.story(f"Pass {LONG}", f"{LONG} Post", position=40, identity="4", page="4")
    for kind, one, other in (("together", first, second), ("apart", first, third), ("hidden", hidden, None)):
        paper.mark(kind, one, other)
    paper.mark("pinned", third)
    with house.app.app_context():
        word = StoryByHand("A word to our readers", summary="We moved. " * 20, image_url="https://a.example/k.jpg")
        adding.add(newsletter(paper.slug), word, house.now, COMMAND)
        gating.set_topic(paper.slug, 'name = "all"\nstrong = ["harbor", "snow", "pass"]', house.now, COMMAND)
    return paper.draft()


def faults(page: Page) -> list[str]:
    """What axe finds, in the dark too, and whether the page is wider than the screen."""
    page.eval_on_selector_all("details", "every => every.forEach(one => one.open = true)")
    found = violations(page)
    wide = page.evaluate("document.documentElement.scrollWidth")
    return found + ([f"{wide} pixels wide"] if wide > PHONE["width"] else [])


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["the fullest", "all"])
def test_everybody_can_use_the_pages_on_the_smallest_phone(
    browser: Browser, house: House, site: str, whole: bool
) -> None:
    edition_id = furnish(house)
    page = browser.new_context(viewport=PHONE).new_page()  # type: ignore[arg-type]
    sign_in(page, house, site)
    fullest = ("/admin/stories", f"/admin/editions/{edition_id}")
    others = ("/admin/stories/1", "/admin/stories/6", "/admin/newsletters")
    wrong = (("/admin/stories/add", "Add the story"), ("/admin/newsletters/morning-post/calendar", "Save the days"))
    seen: dict[str, list[str]] = {}
    for path in (*fullest, *others) if whole else fullest:
        page.goto(f"{site}{path}")
        seen[path] = faults(page)
    for path, button in wrong if whole else wrong[:1]:
        page.goto(f"{site}{path}")
        page.locator("form").filter(has_text=button).evaluate("form => form.noValidate = true")
        page.eval_on_selector_all("main input[type=checkbox]", "boxes => boxes.forEach(box => box.checked = false)")
        page.get_by_role("button", name=button, exact=True).click()
        assert page.title().startswith("Error: ")
        seen[f"{path} wrong"] = faults(page)
    assert {path: found for path, found in seen.items() if found} == {}
    page.context.close()
