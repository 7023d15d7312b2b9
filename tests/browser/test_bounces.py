"""The page of what came back, in a real browser: nobody is kept out, and nothing runs off a phone's edge."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from newsletter.foundation.audit import COMMAND
from newsletter.staff import signing_in
from newsletter.staff.models import Role
from tests.browser.axe import violations
from tests.conftest import BuildHouse, House
from tests.integration.web.test_bounces import stop_an_edition
from tests.support.post import comes_back
from tests.support.returning import dsn, mail, reported

pytestmark = pytest.mark.browser


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str) -> House:
    return build_house(sqlite_url, site_url="http://127.0.0.1")


@pytest.fixture
def site(house: House) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def sign_in(page: Page, house: House, site: str) -> None:
    with house.app.app_context():
        signing_in.add("owner@example.org", Role.OWNER, house.now, COMMAND)
        link = signing_in.make_link("owner@example.org", house.now, COMMAND, house.links)
    page.goto(f"{site}{link.removeprefix('http://127.0.0.1')}")
    page.get_by_role("button", name="Sign in as").click()


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
