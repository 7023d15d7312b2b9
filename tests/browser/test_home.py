"""The first page and those of the whole house, in a real browser: charts are drawn under the page's policy, nobody is
kept out, and nothing runs off a phone's edge."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import faults
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.support.busy_house import busy

PAGES = ("", "suppressions", "blocklist", "consent-texts", "system", "staff", "audit")

PAINTED = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) colours.add(data.slice(at, at + 3).join());
  return [...colours];
}"""


def test_everybody_can_read_and_use_the_pages_on_any_screen(browser: Browser, house: House, site: str) -> None:
    busy(house)
    page = browser.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    sign_in(page, house, site)
    found = {}
    for path in PAGES:
        page.goto(f"{site}/admin/{path}")
        for width in (320, 375, 1280):
            found[f"{path} at {width}"] = faults(page, width)
    page.goto(f"{site}/admin/suppressions")
    page.locator("#asked").fill("typo@example.org")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_text("typo@example.org is on the list")).to_be_visible()
    found["what was looked up"] = faults(page, 320)
    page.close()
    assert {name: what for name, what in found.items() if what} == {}
    assert told == [], "nothing is against the page's policy"


def test_charts_are_drawn_in_the_colours_of_the_scheme(browser: Browser, house: House, site: str) -> None:
    busy(house)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    sign_in(page, house, site)
    page.goto(f"{site}/admin/")
    charts = page.locator(".chart canvas")
    expect(charts).to_have_count(4)
    light = charts.nth(0).evaluate(PAINTED)
    assert len(light) > 3, "there is more than a blank sheet"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.querySelectorAll('.chart canvas').length === 4")
    dark = page.locator(".chart canvas").nth(0).evaluate(PAINTED)
    assert len(dark) > 3
    assert set(light[:1]) != set(dark[:1]), "it is drawn anew"
    page.set_viewport_size({"width": 375, "height": 800})
    page.wait_for_function("() => document.querySelector('.chart canvas').clientWidth <= 375")
    page.close()


def test_without_scripts_the_figures_are_in_tables(page: Page, house: House, site: str) -> None:
    busy(house)
    sign_in(page, house, site)
    page.goto(f"{site}/admin/")
    page.get_by_text("Day by day").first.click()
    expect(page.get_by_role("table", name="Readers of Morning Post by day of UTC")).to_be_visible()
    page.goto(f"{site}/admin/consent-texts")
    page.get_by_role("link", name="Count who agreed to it").first.click()
    expect(page.get_by_text("0 people agreed to it").first).to_be_visible()
    page.goto(f"{site}/admin/system")
    page.get_by_role("link", name="Refresh").click()
    expect(page.get_by_text("As of 05:20:00 UTC.")).to_be_visible()


def test_who_agreed_is_counted_once_the_page_is_there(browser: Browser, house: House, site: str) -> None:
    busy(house)
    page = browser.new_page()
    sign_in(page, house, site)
    page.goto(f"{site}/admin/consent-texts")
    expect(page.get_by_text("0 people agreed to it")).to_have_count(2)
    page.close()


def test_the_system_page_tells_what_happens_while_it_happens(browser: Browser, house: House, site: str) -> None:
    busy(house)
    page = browser.new_page()
    sign_in(page, house, site)
    page.clock.install()
    page.goto(f"{site}/admin/system")
    expect(page.get_by_text("As of 05:20:00 UTC.")).to_be_visible()
    house.later(minutes=2)
    page.clock.run_for(10_100)
    expect(page.get_by_text("As of 05:22:00 UTC.")).to_be_visible()
    expect(page.get_by_text("No worker gives a sign of life.")).to_be_visible()
    page.close()


@pytest.mark.parametrize("width", [320])
def test_the_way_to_every_page_is_there_on_a_phone_without_scripts(
    page: Page, house: House, site: str, width: int
) -> None:
    busy(house)
    page.set_viewport_size({"width": width, "height": 700})
    sign_in(page, house, site)
    page.get_by_role("navigation", name="Newsroom").get_by_role("link", name="House").click()
    for name in ("Suppression list", "Blocklist", "Consent texts", "Staff", "Audit trail", "System"):
        page.get_by_role("navigation", name="House").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
