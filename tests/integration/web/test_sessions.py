"""Signing in, staying in and being out: what a session is worth, and where it may lead."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.staff import signing_in
from newsletter.staff.models import Role, Staff, StaffSession
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import SITE, count, everything
from tests.integration.web import NOBODYS, hire, in_production, signed_in, visitor


def test_the_sessions_cookie_is_for_this_site_over_https_and_not_for_scripts(house: House) -> None:
    desk, link = visitor(house), hire(house, Role.OWNER)
    (cookie,) = desk.post(link).headers.getlist("Set-Cookie")
    flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
    assert flags == {"secure", "httponly", "path=/", "samesite=lax"}


def test_on_a_laptop_without_https_the_cookie_works_too(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, site_url="http://127.0.0.1:8000")
    cookie = house.browser.get("/admin/sign-in").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "Secure" not in cookie


def test_a_session_that_was_planted_before_signing_in_is_worth_nothing_after(house: House) -> None:
    planted = visitor(house)
    token = planted.token
    victim = visitor(house)
    victim.client.set_cookie("newsletter", planted.cookie, domain="news.example.org", secure=True)
    assert victim.post(hire(house, Role.OWNER)).status_code == 303
    assert victim.is_in
    assert not planted.is_in
    assert victim.cookie != planted.cookie
    answer = victim.client.post("/admin/sign-out", base_url=SITE, data={"csrf_token": token})
    assert answer.status_code == 400, "the planted form token is gone as well"


def test_a_cookie_that_we_did_not_sign_opens_nothing(house: House) -> None:
    cookie = signed_in(house).cookie
    payload, _, signature = cookie.rpartition(".")
    for forged in (payload, f"{payload}.{signature[:-2]}AA", cookie.swapcase(), "x", "", "....", "%00"):
        desk = visitor(house)
        desk.client.set_cookie("newsletter", forged, domain="news.example.org", secure=True)
        assert not desk.is_in
    desk = visitor(house)
    desk.client.set_cookie("remember_token", "1|x", domain="news.example.org", secure=True)
    assert not desk.is_in


def test_signing_out_ends_the_session_in_the_database(house: House) -> None:
    desk, elsewhere = signed_in(house), signed_in(house)
    cookie = desk.cookie
    assert desk.post("/admin/sign-out").status_code == 303
    assert not desk.is_in
    thief = visitor(house)
    thief.client.set_cookie("newsletter", cookie, domain="news.example.org", secure=True)
    assert not thief.is_in, "a copy of the cookie is worth nothing either"
    assert elsewhere.is_in
    with house.app.app_context():
        ended = db.session.scalars(sa.select(StaffSession.ended_at).order_by(StaffSession.id)).all()
        assert ended == [house.now, None]


def test_signing_out_takes_a_press_and_not_a_picture_on_another_site(house: House) -> None:
    desk = signed_in(house)
    assert desk.get("/admin/sign-out").status_code == 405
    assert desk.is_in


def test_a_session_ends_after_fourteen_days(house: House) -> None:
    desk = signed_in(house)
    for _ in range(7):
        house.later(days=2, seconds=-1)
        assert desk.is_in, "it is used every other day"
    house.later(seconds=7)
    assert not desk.is_in


def test_a_session_that_nobody_uses_ends_after_three_days(house: House) -> None:
    desk = signed_in(house)
    house.later(days=2)
    assert desk.is_in
    house.later(days=3, seconds=-1)
    assert desk.is_in, "it was used the day before yesterday"
    house.later(days=3)
    assert not desk.is_in


def test_not_each_click_is_written_down(house: House) -> None:
    desk = signed_in(house)
    before = everything(house)
    house.later(minutes=5, seconds=-1)
    assert desk.is_in
    assert everything(house) == before
    house.later(seconds=1)
    assert desk.is_in
    with house.app.app_context():
        assert db.session.scalars(sa.select(StaffSession.last_seen_at)).one() == house.now


def test_who_is_taken_off_the_staff_or_gets_another_role_feels_it_at_the_next_click(house: House) -> None:
    desk = signed_in(house)
    assert desk.post(f"/admin/editions/{NOBODYS}/send").status_code == 303
    _change_staff(house, role=Role.SUPPORT)
    assert desk.post(f"/admin/editions/{NOBODYS}/send").status_code == 403
    _change_staff(house, disabled_at=house.now)
    assert not desk.is_in


def _change_staff(house: House, **values: object) -> None:
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).values(**values))


ELSEWHERE = (
    "https://evil.example/admin/",
    "//evil.example/admin/",
    "///evil.example/admin/",
    "/\\evil.example/admin/",
    "\\\\evil.example/admin/",
    "/admin/\\evil.example",
    "/%09/evil.example/admin/",
    "%20//evil.example/admin/",
    "javascript:alert(1)//admin/",
    "http:/admin/",
    "@evil.example/admin/",
    ".evil.example/admin/",
    "/subscribe",
    "",
)


def test_signing_in_leads_to_our_own_pages_only(house: House) -> None:
    goes_to = dict.fromkeys(ELSEWHERE, "/admin/") | {"/admin/subscribers?q=ann": "/admin/subscribers?q=ann"}
    for wanted, expected in goes_to.items():
        desk, link = visitor(house), hire(house, Role.OWNER)
        location = desk.post(f"{link}?next={wanted}").headers["Location"]
        assert location == expected, wanted
        assert urlsplit(urljoin(f"{SITE}/admin/link/x", location)).netloc == "news.example.org"


def test_the_host_header_sends_nobody_elsewhere(house: House) -> None:
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Prefix": "//evil"}):
        location = house.browser.get("/admin/editions", headers=headers).headers["Location"]
        assert "evil" not in location
        assert location.startswith("/admin/sign-in?")


@pytest.mark.parametrize("wanted", ["/admin/%0d%0aSet-Cookie:%20x=1", "/admin/%0a", "//[", "//[::1"])
def test_a_broken_next_leads_home(house: House, wanted: str) -> None:
    """The one-time link is used up by then."""
    desk, link = visitor(in_production(house)), hire(house, Role.OWNER)
    answer = desk.post(f"{link}?next={wanted}")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/admin/"


def test_asking_for_the_head_of_the_sign_in_page_is_no_failed_password(house: House) -> None:
    """Else an uptime monitor would lock its own network out, at 140 ms and 64 MB for each HEAD."""
    before = everything(house)
    assert house.browser.head("/admin/sign-in").status_code == 200
    assert everything(house) == before


def test_a_password_is_taken_by_post_only(house: House) -> None:
    """Nothing asks a HEAD for the form's token."""
    with house.app.app_context():
        signing_in.add("olive@example.org", Role.OWNER, house.now, COMMAND, "correct horse battery")
    data = {"address": "olive@example.org", "password": "correct horse battery"}
    answer = house.browser.open("/admin/sign-in", method="HEAD", base_url=SITE, data=data)
    assert "Location" not in answer.headers
    assert count(house, StaffSession) == 0
