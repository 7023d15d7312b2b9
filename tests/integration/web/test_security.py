"""Who may do what on the pages, what every answer carries, and what a hostile word turns into."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer
from sqlalchemy import event
from werkzeug.routing import Rule

from newsletter.delivery import bounces
from newsletter.editions import publishing
from newsletter.foundation import secrets
from newsletter.foundation.audit import COMMAND, SYSTEM
from newsletter.foundation.config import Config, DatabaseConfig, DemoConfig, MailConfig, MailTransport
from newsletter.foundation.database import Base, db, transaction
from newsletter.foundation.links import Purpose
from newsletter.newsletters.models import newsletter
from newsletter.operations import demo
from newsletter.operations.demo.clock import DemoClock
from newsletter.staff.models import Role
from newsletter.stories import collecting, following
from newsletter.stories.models import Source, SourceState
from newsletter.subscribers.models import Subscriber
from tests.conftest import MORNING, BuildHouse, House
from tests.integration.subscribers import ANN, SITE, asked, became_reader, everything, sign_up, words_of
from tests.integration.web import NOBODYS, Desk, hire, in_production, signed_in, visitor
from tests.support import newsroom
from tests.support.outlets import Piece, publish
from tests.support.past import went_out
from tests.support.returning import mail

EVERYBODY = frozenset(Role) | {None}
STAFF = frozenset(Role)
EDITORS = frozenset({Role.OWNER, Role.EDITOR})
OWNERS = frozenset({Role.OWNER})
DECIDED: dict[tuple[str, str], frozenset[Role | None]] = {
    ("static", "GET"): EVERYBODY,
    ("public.index", "GET"): EVERYBODY,
    ("public.look", "GET"): EVERYBODY,
    ("public.picture", "GET"): EVERYBODY,
    ("public.subscribe_form", "GET"): EVERYBODY,
    ("public.subscribe", "POST"): EVERYBODY,
    ("public.confirm", "GET"): EVERYBODY,
    ("public.confirm", "POST"): EVERYBODY,
    ("public.unsubscribe", "GET"): EVERYBODY,
    ("public.unsubscribe", "POST"): EVERYBODY,
    ("public.undo_leaving", "POST"): EVERYBODY,
    ("public.say_why", "POST"): EVERYBODY,
    ("public.unsubscribed", "GET"): EVERYBODY,
    ("preferences.show", "GET"): EVERYBODY,
    ("preferences.pressed", "GET"): EVERYBODY,
    ("preferences.save", "POST"): EVERYBODY,
    ("preferences.pause", "POST"): EVERYBODY,
    ("preferences.resume", "POST"): EVERYBODY,
    ("preferences.leave", "POST"): EVERYBODY,
    ("preferences.address", "GET"): EVERYBODY,
    ("preferences.address", "POST"): EVERYBODY,
    ("preferences.change", "GET"): EVERYBODY,
    ("preferences.change", "POST"): EVERYBODY,
    ("preferences.lost", "GET"): EVERYBODY,
    ("preferences.lost", "POST"): EVERYBODY,
    ("preferences.data", "GET"): EVERYBODY,
    ("preferences.data_json", "GET"): EVERYBODY,
    ("preferences.erase", "GET"): EVERYBODY,
    ("preferences.erase", "POST"): EVERYBODY,
    ("archive.index", "GET"): EVERYBODY,
    ("archive.of_newsletter", "GET"): EVERYBODY,
    ("archive.of_month", "GET"): EVERYBODY,
    ("archive.of_day", "GET"): EVERYBODY,
    ("archive.of_slot", "GET"): EVERYBODY,
    ("archive.special_of_day", "GET"): EVERYBODY,
    ("archive.special_of_slot", "GET"): EVERYBODY,
    ("archive.feed", "GET"): EVERYBODY,
    ("archive.rss", "GET"): EVERYBODY,
    ("archive.json_feed", "GET"): EVERYBODY,
    ("embed.frame", "GET"): EVERYBODY,
    ("embed.sign_up", "POST"): EVERYBODY,
    ("embed.script", "GET"): EVERYBODY,
    ("public.healthz", "GET"): EVERYBODY,
    ("public.readyz", "GET"): EVERYBODY,
    ("admin.sign_in", "GET"): EVERYBODY,
    ("admin.sign_in", "POST"): EVERYBODY,
    ("admin.link", "GET"): EVERYBODY,
    ("admin.link", "POST"): EVERYBODY,
    ("admin.sign_out", "POST"): STAFF,
    ("admin.inbox", "GET"): EVERYBODY,
    ("admin.inbox", "POST"): EVERYBODY,
    ("admin.inbox_preview", "GET"): EVERYBODY,
    ("admin.home", "GET"): STAFF,
    ("admin.sources", "GET"): STAFF,
    ("admin.subscribers", "GET"): STAFF,
    ("admin.subscriber", "GET"): STAFF,
    ("admin.add_subscriber", "GET"): STAFF,
    ("admin.add_subscriber", "POST"): STAFF,
    ("admin.suppress", "POST"): STAFF,
    ("admin.erase_subscriber", "POST"): STAFF,
    ("admin.blocklist", "GET"): STAFF,
    ("admin.block", "POST"): STAFF,
    ("admin.unblock", "POST"): STAFF,
    ("admin.bounces", "GET"): STAFF,
    ("admin.bounce", "GET"): STAFF,
    ("admin.bounced_mail", "GET"): STAFF,
    ("admin.settle_bounce", "POST"): STAFF,
    ("admin.release_bounces", "POST"): STAFF,
    ("admin.leave_bounces", "POST"): STAFF,
    ("admin.me", "GET"): STAFF,
    ("admin.me", "POST"): STAFF,
    ("admin.editions", "GET"): STAFF,
    ("admin.edition", "GET"): STAFF,
    ("admin.preview", "GET"): STAFF,
    ("admin.delivery", "GET"): STAFF,
    ("admin.delivery_progress", "GET"): STAFF,
    ("admin.delivery_csv", "POST"): OWNERS,
    ("admin.pause_delivery", "POST"): EDITORS,
    ("admin.unpause_delivery", "POST"): EDITORS,
    ("admin.resend_copy", "POST"): EDITORS,
    ("admin.leave_copy", "POST"): EDITORS,
    ("admin.resend_copies", "POST"): EDITORS,
    ("admin.leave_copies", "POST"): EDITORS,
    ("admin.compose", "POST"): EDITORS,
    ("admin.recompose", "POST"): EDITORS,
    ("admin.approve", "POST"): EDITORS,
    ("admin.send", "POST"): EDITORS,
    ("admin.hold", "POST"): EDITORS,
    ("admin.resume", "POST"): EDITORS,
    ("admin.stories", "GET"): STAFF,
    ("admin.story", "GET"): STAFF,
    ("admin.edit_edition", "GET"): EDITORS,
    ("admin.edit_edition", "POST"): EDITORS,
    ("admin.pull_back", "POST"): EDITORS,
    ("admin.pause", "POST"): EDITORS,
    ("admin.unpause", "POST"): EDITORS,
    ("admin.cancel", "POST"): EDITORS,
    ("admin.skip_day", "POST"): EDITORS,
    ("admin.pull_story", "POST"): EDITORS,
    ("admin.correct", "POST"): EDITORS,
    ("admin.special", "GET"): EDITORS,
    ("admin.special", "POST"): EDITORS,
    ("admin.say_of_story", "POST"): EDITORS,
    ("admin.add_story", "GET"): EDITORS,
    ("admin.add_story", "POST"): EDITORS,
    ("admin.edit_story", "GET"): EDITORS,
    ("admin.edit_story", "POST"): EDITORS,
    ("admin.withdraw_story", "POST"): EDITORS,
    ("admin.restore_story", "POST"): EDITORS,
    ("admin.newsletters", "GET"): STAFF,
    ("admin.newsletter", "GET"): OWNERS,
    ("admin.newsletter", "POST"): OWNERS,
    ("admin.topic_words", "GET"): STAFF,
    ("admin.box", "GET"): STAFF,
    ("admin.box_alone", "GET"): STAFF,
}
"""Who gets in, for every route and method. A new route fails until somebody has decided; None is a visitor."""


KEPT = ("/static", "/look", "/pictures", "/editions", "/feed.xml", "/embed")
"""What is the same for everybody, and may be kept by a browser or a proxy."""


def rules(house: House, method: str, below: str = "/") -> list[Rule]:
    found = house.app.url_map.iter_rules()
    return [rule for rule in found if rule.rule.startswith(below) and method in (rule.methods or ())]


def path_of(house: House, rule: Rule, **values: object) -> str:
    with house.app.test_request_context():
        known = {"filename": "newsletter.css", "slug": "morning-post", "form": "html", "token": "x"}
        known |= {"id": NOBODYS, "name": "a" * 32, "width": 600, "kind": "form", "_pressed": "undo", "deed": "hold"}
        known |= {"copy": NOBODYS}
        known |= {"month": "2026-03", "day": "2026-03-03", "slot_id": 1, "number": 1} | values
        path = house.app.url_map.bind("").build(rule.endpoint, {name: known[name] for name in rule.arguments})
    return path.removeprefix("http://")


def furnished(house: House) -> dict[str, dict[str, object]]:
    """A house with something on every page; gives the arguments by endpoint."""
    paper = newsroom.found(house)
    story_id = paper.story("Harbor bridge closes", "Harbor Gazette")
    sent = went_out(paper, house.now.date() - timedelta(days=9))
    leave = became_reader(house)
    confirm = asked(house, "new@example.org")
    with house.app.app_context():
        edition = publishing.compose(newsletter(None).default_slot, house.now.date(), house.now, SYSTEM)
        person = db.session.scalars(sa.select(Subscriber)).one()
        ids = {"admin.subscriber": person.id, "admin.edition": edition.id, "admin.preview": edition.id}
        came = bounces.receive(mail("The roof leaks.", sender="postmaster@example.net"), house.now)
        ids |= {"admin.bounce": came.id, "admin.bounced_mail": came.id}
        ids |= {"admin.delivery": sent, "admin.delivery_progress": sent}
        ids |= {"admin.story": story_id, "admin.edit_story": story_id, "admin.edit_edition": edition.id}
    return {
        **{endpoint: {"id": id} for endpoint, id in ids.items()},
        "public.confirm": {"token": confirm.rpartition("/")[2]},
        "preferences.pressed": {"_pressed": "pause"},
        "public.unsubscribe": {"token": leave.rpartition("/")[2]},
        "admin.link": {"token": hire(house, Role.SUPPORT).rpartition("/")[2]},
    }


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
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", answer.text) or "/preview/" in path, path


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


# Who may do what


def test_somebody_has_decided_who_may_use_each_route(house: House) -> None:
    there = {
        (rule.endpoint, method)
        for rule in house.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert there == set(DECIDED)


def test_each_role_may_do_what_was_decided_and_nothing_else(house: House) -> None:
    arguments = furnished(house)
    for role in Role:
        desk = signed_in(house, role)
        for (endpoint, method), allowed in DECIDED.items():
            if None in allowed or endpoint == "admin.sign_out":
                continue
            (rule,) = [rule for rule in rules(house, method) if rule.endpoint == endpoint]
            if method == "GET":
                status = desk.get(path_of(house, rule, **arguments.get(endpoint, {}))).status_code
                assert status == (200 if role in allowed else 403), (role, endpoint)
            else:  # of things that there are not, so that nothing happens to who may do it
                status = desk.post(path_of(house, rule), newsletter="no-such").status_code
                assert status in ((303, 404, 422) if role in allowed else (403,)), (role, endpoint)


def test_a_visitor_is_sent_to_sign_in_and_changes_nothing(house: House) -> None:
    arguments = furnished(house)
    desk = visitor(house)
    token = desk.token
    before = everything(house)
    for endpoint, method in DECIDED:
        if None in DECIDED[endpoint, method]:
            continue
        (rule,) = [rule for rule in rules(house, method) if rule.endpoint == endpoint]
        path = path_of(house, rule, **arguments.get(endpoint, {}))
        answer = desk.client.open(path, method=method, base_url=SITE, data={"csrf_token": token})
        assert answer.status_code == 302, path
        assert urlsplit(answer.headers["Location"]).path == "/admin/sign-in", path
        assert not urlsplit(answer.headers["Location"]).netloc, path
        assert ANN not in words_of(answer), path
    assert everything(house) == before


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

SCRIPT = "<script>alert(1)</script>"
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
        assert "<script" not in text, path
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
