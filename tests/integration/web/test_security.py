"""What every answer carries, what a form wants, and what a hostile word turns into."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer
from sqlalchemy import event

from newsletter.editions import publishing
from newsletter.foundation import secrets
from newsletter.foundation.audit import COMMAND, SYSTEM
from newsletter.foundation.config import Config, DatabaseConfig, DemoConfig, MailConfig, MailTransport
from newsletter.foundation.database import Base, db, transaction
from newsletter.foundation.links import Purpose
from newsletter.newsletters.models import newsletter
from newsletter.operations import demo
from newsletter.operations.demo.clock import DemoClock
from newsletter.stories import collecting, following
from newsletter.stories.models import Source, SourceState
from tests.conftest import MORNING, BuildHouse, House
from tests.integration.subscribers import ANN, SITE, became_reader, everything, sign_up
from tests.integration.web import Desk, in_production, signed_in, visitor
from tests.support import newsroom
from tests.support.every_page import furnished, path_of, rules
from tests.support.outlets import Piece, publish

KEPT = ("/static", "/look", "/pictures", "/editions", "/feed.xml", "/embed")
"""What is the same for everybody, and may be kept by a browser or a proxy."""


# Every page


def test_every_answer_carries_the_headers_that_protect_it(house: House) -> None:
    arguments = furnished(house)
    owner = signed_in(house)
    answers = [(path, owner.get(path, buffered=True)) for path in _pages(house, arguments)]
    assert sum(answer.status_code == 200 for _, answer in answers) >= 15
    answers += [
        ("404", owner.get("/no/such/page")),
        ("405", house.browser.put("/subscribe")),
        ("400", house.browser.post("/admin/sign-in")),
        ("413", house.browser.post("/subscribe", data={"email": "a" * 300_000})),
        ("422", sign_up(house, "nobody")),
        ("303", house.browser.get("/admin/")),
        ("damaged", house.browser.get("/confirm/x")),
        ("signed up", sign_up(house, "other@example.org")),
    ]
    for path, answer in answers:
        headers = answer.headers
        policy = _policy(headers["Content-Security-Policy"])
        assert policy["default-src"] == ["'none'"], path
        assert policy.get("script-src", ["'none'"]) in (["'self'"], ["'none'"]), path
        assert policy["base-uri"] == ["'none'"], path
        framed_by = ["*"] if path.startswith("/embed/") else ["'self'"]
        assert policy["frame-ancestors"] in (["'none'"], framed_by), path
        assert "object-src" not in policy, path
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        if not path.startswith(KEPT):
            assert headers["Cache-Control"] == "no-store", path
        assert "<script>" not in answer.text, path
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", answer.text) or path in MAILS or "/preview/" in path, path


def _pages(house: House, arguments: dict[str, dict[str, object]]) -> Iterable[str]:
    return [path_of(house, rule, **arguments.get(rule.endpoint, {})) for rule in rules(house, "GET")]


def _policy(header: str) -> dict[str, list[str]]:
    parts = [part.split() for part in header.split(";")]
    return {name: values for name, *values in parts}


def test_a_fault_shows_a_calm_page_with_the_same_headers_and_none_of_its_insides(house: House) -> None:
    newsroom.found(house)
    house.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.text("ALTER TABLE newsletters RENAME TO elsewhere"))
    for answer in (house.browser.get("/"), sign_up(house)):
        assert answer.status_code == 500
        assert answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert "newsletters" not in answer.text.lower().replace("newsletters</title>", "").replace(">newsletters<", "")
        for inside in ("sqlite", "traceback", "sqlalchemy", "select"):
            assert inside not in answer.text.lower()


def test_looking_at_any_page_changes_nothing(house: House) -> None:
    arguments = furnished(house)
    owner = signed_in(house)
    before = everything(house)
    for path in _pages(house, arguments):
        owner.client.get(path, base_url=SITE, buffered=True)
    assert everything(house) == before


def test_static_files_are_only_those(house: House) -> None:
    for path in ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "....//app.py", "%2fetc/passwd", "%00", "..\\app.py"):
        for address in (f"/static/{path}", f"/pictures/{path}-600.jpg"):
            assert house.browser.get(address, follow_redirects=True).status_code == 404, address


def test_a_dead_database_is_a_calm_page_for_staff_too(house: House) -> None:
    """The page of a fault asks who is signed in, which asks the database that has just failed."""
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


def test_a_wrong_method_is_told_the_right_ones(house: House) -> None:
    """RFC 9110 §15.5.6 wants Allow."""
    assert "POST" in house.browser.put("/subscribe").headers.get("Allow", "")


# Forms


def test_every_form_of_the_staffs_side_wants_its_token(house: House) -> None:
    arguments = furnished(house)
    owner, other = signed_in(house), signed_in(house)
    before = everything(house)
    by_their_link = {"admin.inbox"}  # the token in its address is the key; there is no cookie to ride on
    posts = [rule for rule in rules(house, "POST", "/admin/") if rule.endpoint not in by_their_link]
    assert len(posts) >= 10
    for rule in posts:
        path = path_of(house, rule, **arguments.get(rule.endpoint, arguments["admin.edition"]))
        for fields in ({}, {"csrf_token": ""}, {"csrf_token": "x"}, {"csrf_token": other.token}):
            data = {"email": ANN, "address_typed": ANN, "newsletter": "morning-post"} | fields
            answer = owner.client.post(path, base_url=SITE, data=data, headers={"Origin": "https://evil.example"})
            assert answer.status_code == 400, (path, fields)
    assert everything(house) == before
    assert owner.is_in


def test_readers_forms_need_no_token_because_they_stand_on_other_sites(house: House) -> None:
    newsroom.found(house)
    assert sign_up(house, headers={"Origin": "https://gazette.example"}).status_code == 200


# Hostile words

MAILS = ("/admin/newsletters/morning-post/look/mail",)
"""What is framed is a mail, whose styles are its own."""

SCRIPT = "<script>alert(1)</script>"
OURS = re.compile(r'<script src="/static/[a-z/.]+" defer></script>')
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


def test_hostile_words_are_text_on_the_staffs_pages(house: House, httpserver: HTTPServer) -> None:
    newsroom.found(house, items_at_least="1")
    hostile_address = "o'x&y`{{7*7}}@example.org"
    sign_up(house, hostile_address, headers={"User-Agent": f"UA{SCRIPT}"}, page_url=f"javascript:{SCRIPT}")
    house.work()
    link = re.search(r"/confirm/\S+", house.inbox.mails[-1].part("plain"))
    assert link
    house.browser.post(link[0], headers={"User-Agent": f'"><img src=x onerror=alert(1)>{SCRIPT}'})
    edition_id = _edition_of_hostile_stories(house, httpserver)
    owner = signed_in(house)
    assert owner.post(f"/admin/editions/{edition_id}/hold", reason=f"Held{SCRIPT}").status_code == 303

    pages = {
        path: owner.get(path).text
        for path in (
            "/admin/",
            f"/admin/subscribers?q={SCRIPT}",
            "/admin/subscribers",
            "/admin/subscribers/1",
            "/admin/sources",
            "/admin/editions",
            f"/admin/editions/{edition_id}",
            f"/admin/editions/{edition_id}/preview/html",
        )
    }
    for path, text in pages.items():
        assert "<script" not in OURS.sub("", text), path
        assert not re.search(r"<[a-z]+[^>]*\son[a-z]+=", text), path
        assert 'href="javascript:' not in text, path
        assert "49@example.org" not in text, path
        assert hostile_address not in text, path
    assert f"UA{ESCAPED}" in pages["/admin/subscribers/1"]
    assert "o&#39;x&amp;y`{{7*7}}" in pages["/admin/subscribers/1"]
    assert f"Held{ESCAPED}" in pages["/admin/"]
    assert f"Held{ESCAPED}" in pages["/admin/editions"]
    assert f"Held{ESCAPED}" in pages[f"/admin/editions/{edition_id}"]
    assert f"Title{ESCAPED}" in pages[f"/admin/editions/{edition_id}"]
    assert f"Title{ESCAPED}" in pages[f"/admin/editions/{edition_id}/preview/html"]
    assert f"Outlet{ESCAPED}" in pages["/admin/sources"]
    assert f"Error{ESCAPED}" in pages["/admin/sources"]


def _edition_of_hostile_stories(house: House, httpserver: HTTPServer) -> int:
    """What a feed means as text, "<script>", it says as "&lt;script&gt;"; a second time in XML."""
    pieces = [Piece(f"Title{ESCAPED}", f"Summary{ESCAPED}", house.now, slug="a")]
    url = publish(httpserver, "/feed.xml", f"Outlet{ESCAPED}", pieces)
    with house.app.app_context():
        following.add_source(newsletter(None), url, None, house.now, COMMAND, fetcher=house.fetcher)
        collecting.collect_due(house.now, house.fetcher)
        edition_id = publishing.compose(newsletter(None).default_slot, house.now.date(), house.now, SYSTEM).id
        with transaction() as session:
            session.execute(sa.update(Source).values(error=f"Error{SCRIPT}", state=SourceState.FAILING))
    return edition_id


def test_a_preview_stands_in_a_frame_in_which_nothing_runs(house: House) -> None:
    arguments = furnished(house)
    preview = f"/admin/editions/{arguments['admin.edition']['id']}/preview"
    answer = signed_in(house).get(f"{preview}/html")
    policy = _policy(answer.headers["Content-Security-Policy"])
    assert "sandbox" in policy
    assert not set(policy["sandbox"]) & {"allow-scripts", "allow-same-origin", "allow-forms", "allow-top-navigation"}
    assert "script-src" not in policy
    assert policy["default-src"] == ["'none'"]
    assert policy["form-action"] == ["'none'"]
    assert policy["frame-ancestors"] == ["'self'"]
    assert answer.mimetype == "text/html"
    assert signed_in(house).get(f"{preview}/text").mimetype == "text/plain"


def test_no_token_of_a_reader_opens_a_page_of_staff(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    for purpose in Purpose:
        token = house.links.make(purpose, 1)
        assert visitor(house).get(f"/admin/link/{token}").status_code == 410


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


# The demo


@pytest.fixture
def demo_house(build_house: BuildHouse, sqlite_url: str, house: House) -> House:
    """The demo's app, with a mailbox of one mail beside a secret."""
    folder = house.app.extensions["newsletter.config"].directory
    DemoClock(folder / "clock.json").set_to(MORNING)
    (folder / "mail").mkdir()
    (folder / "mail" / "secret.eml").write_text("Subject: secret\r\n\r\nsecret\r\n")
    (folder / "000001-0123456789abcdef.eml").write_text("Subject: secret\r\n\r\nsecret\r\n")
    secrets.create(folder / "secret.key")
    config = Config(
        site_url=SITE,
        database=DatabaseConfig(url=sqlite_url),
        mail=MailConfig(transport=MailTransport.FOLDER),
        demo=DemoConfig(),
        directory=folder,
    )
    app = demo.assemble(config)
    app.config["TESTING"] = True
    return House(app, house.clock, house.inbox)


def test_the_demos_mailbox_shows_nothing_but_its_mails(demo_house: House) -> None:
    newsroom.found(demo_house)
    names = (
        "secret",
        "../000001-0123456789abcdef",
        "..%2f000001-0123456789abcdef",
        "%2e%2e%2f000001-0123456789abcdef",
        "..%5c000001-0123456789abcdef",
        "000001-0123456789abcdef%00",
        "000001-0123456789abcdef%0a",
        "*",
        "1" * 400 + "-0123456789abcde",
    )
    for name in names:
        for path in (f"/demo/mailbox/{name}", f"/demo/mailbox/{name}/source", f"/demo/mailbox/{name}/part/text"):
            answer = demo_house.browser.get(path, base_url=SITE)
            assert answer.status_code == 404, path
            assert "Subject: secret" not in answer.text
    desk = visitor(demo_house)
    for name in ("../000001-0123456789abcdef", "000001-0123456789abcdef", "", "http://169.254.169.254/"):
        assert desk.post("/demo/mailbox/one-click", name=name).status_code == 404


def test_the_demos_forms_want_their_token(demo_house: House) -> None:
    for rule in rules(demo_house, "POST", "/demo/"):
        assert demo_house.browser.post(rule.rule).status_code == 400


def test_the_demos_pages_are_in_the_demo_only(house: House, demo_house: House) -> None:
    assert rules(demo_house, "GET", "/demo/")
    assert not rules(house, "GET", "/demo")
    assert house.browser.get("/demo/staff-link").status_code == 404


def test_every_table_is_known_to_these_tests(house: House) -> None:
    """`everything` looks at all tables that the models name; the database has no others."""
    with house.app.app_context():
        there = set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}
    assert there == set(Base.metadata.tables)
