"""What the tests of the pages have in common: a browser on the staff's side, and who sits at it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.staff import signing_in
from newsletter.staff.models import Role, Staff
from newsletter.staff.rights import Grant
from tests.conftest import House
from tests.integration.subscribers import SITE

NOBODYS = 999_999


@dataclass
class Desk:
    """A browser on the staff's side, over HTTPS because the session's cookie wants it."""

    client: FlaskClient

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, base_url=SITE, **options)

    def post(self, path: str, **fields: str) -> TestResponse:
        return self.client.post(path, base_url=SITE, data={"csrf_token": self.token} | fields)

    @property
    def token(self) -> str:
        """The form token of this browser's session."""
        match = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/admin/sign-in").text)
        assert match
        return match[1]

    @property
    def cookie(self) -> str:
        cookie = self.client.get_cookie("newsletter", domain="news.example.org")
        return cookie.value if cookie else ""

    @property
    def is_in(self) -> bool:
        return self.get("/admin/").status_code == 200


def visitor(house: House) -> Desk:
    return Desk(house.browser)


def hire(house: House, role: Role, grant: Grant | None = None) -> str:
    """A new person of the staff, and the path of a link that signs them in."""
    with house.app.app_context():
        address = f"{role}{db.session.scalar(sa.select(sa.func.count()).select_from(Staff))}@example.org"
        signing_in.add(address, role, house.now, COMMAND, grant=grant)
        return urlsplit(signing_in.make_link(address, house.now, COMMAND, house.links)).path


def signed_in(house: House, role: Role = Role.OWNER, query: str = "", grant: Grant | None = None) -> Desk:
    desk, link = visitor(house), hire(house, role, grant)
    answer = desk.post(link + query)
    assert answer.status_code == 303
    return desk


def in_production(house: House) -> House:
    """Faults become pages instead of exceptions."""
    house.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    return house
