"""What went wrong once, and must not again."""

from __future__ import annotations

from typing import Any

import pytest

from newsletter.foundation.audit import COMMAND
from newsletter.staff import signing_in
from newsletter.staff.models import Role, StaffSession
from newsletter.web.security import TrustedProxies
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import SITE, count, everything
from tests.integration.web.test_security import Desk, hire, signed_in, visitor
from tests.support import newsroom


def in_production(house: House) -> House:
    """Faults become pages instead of exceptions."""
    house.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    return house


def test_asking_for_the_head_of_the_sign_in_page_is_no_failed_password(house: House) -> None:
    """An uptime monitor locks its own network out; and each HEAD costs 140 ms and 64 MB without a form token."""
    before = everything(house)
    assert house.browser.head("/admin/sign-in").status_code == 200
    assert everything(house) == before


def test_a_password_is_taken_by_post_only(house: House) -> None:
    """HEAD with a form body signs in without the form's token."""
    with house.app.app_context():
        signing_in.add("olive@example.org", Role.OWNER, house.now, COMMAND, "correct horse battery")
    data = {"address": "olive@example.org", "password": "correct horse battery"}
    answer = house.browser.open("/admin/sign-in", method="HEAD", base_url=SITE, data=data)
    assert "Location" not in answer.headers
    assert count(house, StaffSession) == 0


@pytest.mark.parametrize("wanted", ["/admin/%0d%0aSet-Cookie:%20x=1", "/admin/%0a", "//[", "//[::1"])
def test_a_broken_next_leads_home(house: House, wanted: str) -> None:
    """500 after the one-time link was used up."""
    desk, link = visitor(in_production(house)), hire(house, Role.OWNER)
    answer = desk.post(f"{link}?next={wanted}")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/admin/"


def test_a_number_too_large_for_the_database_is_not_there(either_house: House) -> None:
    desk = signed_in(in_production(either_house))
    huge = 10**19
    for path in (
        f"/admin/subscribers/{huge}",
        f"/admin/editions/{huge}",
        f"/admin/editions/{huge}/preview/html",
        f"/pictures/{'a' * 32}-{'9' * 300}.jpg",
    ):
        assert desk.get(path).status_code == 404, path
    assert desk.get(f"/admin/subscribers?before={huge}").status_code in (200, 404)


def test_a_null_byte_breaks_no_page(either_house: House) -> None:
    """PostgreSQL takes no null byte in a text."""
    newsroom.found(either_house)
    desk = signed_in(in_production(either_house))
    assert desk.get("/admin/subscribers?q=%00").status_code == 200
    stranger = visitor(either_house)
    answer = stranger.post("/admin/sign-in", address="a\x00@example.org", password="x\x00")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("remote", "claimed", "believed"),
    [
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, ::ffff:10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5:41234", "203.0.113.5"),
        ("10.0.0.1", "[2001:db8:bbbb::5]:41234", "2001:db8:bbbb::5"),
    ],
)
def test_a_proxy_is_recognised_however_its_address_is_written(remote: str, claimed: str, believed: str) -> None:
    """Behind a server on "::" all readers together get 20 sign-ups an hour, and the proof of consent names the
    proxy."""
    environ: dict[str, Any] = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": claimed}
    guarded = TrustedProxies(lambda env, _: [str(env["REMOTE_ADDR"]).encode()], ("10.0.0.0/8",))
    assert b"".join(guarded(environ, lambda *_: lambda _: None)).decode() == believed


def test_a_wrong_method_is_told_the_right_ones(house: House) -> None:
    """RFC 9110 §15.5.6 wants Allow."""
    assert "POST" in house.browser.put("/subscribe").headers.get("Allow", "")


def test_a_dead_database_is_a_calm_page_for_staff_too(house: House) -> None:
    """The page of a fault asks who is signed in, which asks the database that has just failed."""
    from sqlalchemy import event

    from newsletter.foundation.database import db

    desk: Desk = signed_in(in_production(house))

    def fail(*_: object) -> None:
        raise RuntimeError("the database is gone")

    with house.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", fail)
    try:
        answer = desk.get("/admin/")
        assert answer.status_code == 500
        assert "Something broke" in answer.text
    finally:
        event.remove(engine, "before_cursor_execute", fail)


def test_no_visitor_is_counted_as_nobody(build_house: BuildHouse, sqlite_url: str) -> None:
    """A trusted proxy whose header says nothing usable is an answer, not a fault."""
    house = build_house(sqlite_url)
    newsroom.found(house)
    in_production(house)
    answer = house.browser.post(
        "/subscribe", data={"email": "ann@example.org"}, environ_overrides={"REMOTE_ADDR": "unix:"}
    )
    assert answer.status_code == 200
