"""The page of where an edition's copies are, in a real browser: nobody is kept out, nothing runs off a phone's edge,
and it tells what happens while it happens."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import faults
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.integration.delivery.test_reporting import MIXED
from tests.support.ledgers import Copy, ledger_with

LONG = "550 5.7.1 " + "x" * 200 + " ann@example.org says no"
WHATEVER = (
    *MIXED,
    Copy("u2@other.example", "uncertain", None),
    Copy(f"a{'b' * 60}@{'c' * 60}.example", "refused", LONG),
    Copy("r3@xn--bcher-kva.example", "refused", LONG),
    *(Copy(f"m{n}@mail.example") for n in range(30)),
)


def test_everybody_can_read_and_use_the_page_on_any_screen(browser: Browser, house: House, site: str) -> None:
    _, edition_id = ledger_with(house, *WHATEVER)
    page = browser.new_page()
    sign_in(page, house, site)
    found = {}
    for query in ("", "?state=refused", "?q=nowhere.example"):
        page.goto(f"{site}/admin/editions/{edition_id}/delivery{query}")
        for width in (320, 375, 1280) if not query else (320,):
            found[f"{query} at {width}"] = faults(page, width)
    page.close()
    assert {name: what for name, what in found.items() if what} == {}


def test_the_figures_change_while_it_goes_out_and_the_page_when_it_is_over(
    browser: Browser, house: House, site: str
) -> None:
    _, edition_id = ledger_with(house, Copy("ann@mail.example"), Copy("bob@mail.example", "pending"))
    page = browser.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    sign_in(page, house, site)
    page.clock.install()
    page.goto(f"{site}/admin/editions/{edition_id}/delivery")
    progress = page.get_by_role("progressbar", name="Copies that have come to their end")
    expect(progress).to_have_attribute("value", "1")
    page.evaluate("window.stayed = true")
    house.later(minutes=1)
    page.clock.run_for(5_100)
    expect(page.get_by_text("Counted at 05:22:00 UTC.")).to_be_visible()
    assert page.evaluate("window.stayed"), "only the figures were asked for"
    for _ in range(2):
        house.work()
    page.clock.run_for(5_100)
    expect(page.get_by_text("It has gone out.")).to_be_visible()
    expect(progress).to_have_attribute("value", "2")
    assert told == [], "nothing is against the page's policy"
    page.close()


def test_the_figures_wait_for_who_is_deciding(browser: Browser, house: House, site: str) -> None:
    doubtful = [Copy(f"u{n}@mail.example", "uncertain") for n in range(3)]
    _, edition_id = ledger_with(house, *doubtful, Copy("bob@mail.example", "pending"))
    page = browser.new_page()
    sign_in(page, house, site)
    page.clock.install()
    page.goto(f"{site}/admin/editions/{edition_id}/delivery")
    page.get_by_text("Send all again…").click()
    house.later(minutes=1)
    page.clock.run_for(10_000)
    expect(page.get_by_text("Counted at 05:21:00 UTC.")).to_be_visible()
    page.get_by_role("button", name="Send 3 copies again").click()
    expect(page.get_by_text("Copies to go again: 3.")).to_be_visible()
    page.close()


def test_without_scripts_everything_is_there_and_a_link_asks_anew(page: Page, house: House, site: str) -> None:
    _, edition_id = ledger_with(house, *WHATEVER)
    sign_in(page, house, site)
    page.goto(f"{site}/admin/editions/{edition_id}/delivery")
    page.get_by_label("State").select_option("refused")
    page.get_by_label("A domain, or a whole address").fill("other.example")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("rowheader", name="r2@other.example")).to_be_visible()
    page.get_by_role("link", name="Refresh").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
