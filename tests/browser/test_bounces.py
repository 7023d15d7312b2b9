"""The page of what came back, in a real browser: nobody is kept out, and nothing runs off a phone's edge."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.axe import violations
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.integration.web.test_bounces import stop_an_edition
from tests.support.post import comes_back
from tests.support.returning import dsn, mail, reported

pytestmark = pytest.mark.browser


def faults(page: Page, width: int) -> list[str]:
    page.set_viewport_size({"width": width, "height": 700})
    wide = page.evaluate("document.documentElement.scrollWidth")
    return violations(page) + [f"{wide} pixels wide"] * (wide > width)


def test_bounces_are_readable_for_everybody_on_any_screen(browser: Browser, house: House, site: str) -> None:
    stop_an_edition(house)
    comes_back(house, dsn(reported("reader0@example.org", diagnostic="550 " + "x" * 300)))
    comes_back(house, mail("w" * 900, sender="postmaster@example.net", subject="Problem" * 30))
    page = browser.new_page()
    sign_in(page, house, site)
    found = {}
    for path in ("/admin/bounces", "/admin/bounces/9", "/admin/bounces/10"):
        page.goto(f"{site}{path}")
        for width in (320, 375, 1280):
            found[f"{path} at {width}"] = faults(page, width)
    page.close()
    assert {name: what for name, what in found.items() if what} == {}
