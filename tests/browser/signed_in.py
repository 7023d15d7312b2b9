"""An owner at the staff's pages."""

from __future__ import annotations

from playwright.sync_api import Page

from newsletter.foundation.audit import COMMAND
from newsletter.staff import signing_in
from newsletter.staff.models import Role
from tests.conftest import House


def sign_in(page: Page, house: House, site: str) -> None:
    with house.app.app_context():
        signing_in.add("owner@example.org", Role.OWNER, house.now, COMMAND)
        link = signing_in.make_link("owner@example.org", house.now, COMMAND, house.links)
    page.goto(f"{site}{link.removeprefix('http://127.0.0.1')}")
    page.get_by_role("button", name="Sign in as").click()
