"""Joining, signing in with a passkey or with a code, and the pages of staff and account, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from threading import Thread

import pyotp
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from newsletter.foundation import audit
from newsletter.foundation.audit import COMMAND, Actor, ActorKind
from newsletter.foundation.database import db, transaction
from newsletter.staff import codes, signing_in
from newsletter.staff.models import Passkey, Role, Staff
from tests.browser.test_bounces import faults
from tests.conftest import BuildHouse, House
from tests.support import newsroom
from tests.support.hashing import hash_quickly
from tests.support.ports import free_port

pytestmark = pytest.mark.browser

OLIVE, INES, PASSWORD = "olive@example.org", "ines@example.org", "ferry lantern cactus monday"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_quickly(monkeypatch)


@pytest.fixture
def site() -> str:
    """Passkeys want a name; that of this machine needs no HTTPS."""
    return f"http://localhost:{free_port()}"


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str, site: str) -> Iterator[House]:
    """One that answers there, with an owner."""
    house = build_house(sqlite_url, site_url=site)
    with house.app.app_context():
        signing_in.add(OLIVE, Role.OWNER, house.now, COMMAND, PASSWORD)
    server = make_server("127.0.0.1", int(site.rpartition(":")[2]), house.app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield house
    server.shutdown()
    thread.join()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def with_a_key(page: Page, **options: bool) -> str:
    """Give the page a device that makes passkeys and knows its holder; its id."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    device = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": device | {"isUserVerified": True} | options})
    return str(made["authenticatorId"])


def sign_in(page: Page, site: str, address: str = OLIVE) -> None:
    page.goto(f"{site}/admin/sign-in")
    page.get_by_label("Your e-mail address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def shown(house: House, address: str) -> str:
    """What the person's app shows now."""
    with house.app.app_context():
        person = db.session.scalars(sa.select(Staff).where(Staff.address == address)).one()
        return pyotp.TOTP(codes.secret(person, house.keys)).at(house.now)


def heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", name=words, level=1)).to_be_visible()


def test_the_invited_joins_with_a_passkey_and_comes_back_with_it(
    context: BrowserContext, browser: Browser, house: House, site: str
) -> None:
    owner = context.new_page()
    sign_in(owner, site)
    owner.goto(f"{site}/admin/staff/invite")
    owner.get_by_label("Their e-mail address").fill(INES)
    owner.get_by_label("Owner").check()
    owner.get_by_role("button", name="Send the invitation").click()
    expect(owner.get_by_text(f"{INES} gets a mail now.")).to_be_visible()
    house.work()
    link = re.search(r"http://localhost:\d+/admin/invitation/\S+", house.inbox.of(INES)[0].part("plain"))
    assert link

    elsewhere = browser.new_context()
    page = elsewhere.new_page()
    with_a_key(page)
    page.goto(link[0])
    page.get_by_role("button", name="Join the newsroom").click()
    heading(page, "My account")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("A name for it").fill("My phone")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_text("“My phone” opens the newsroom from now on.")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    heading(page, "Nothing needs you now")

    house.later(minutes=11)
    page.goto(f"{site}/admin/staff/invite")
    heading(page, "Is it you?")
    page.get_by_role("button", name="Go on with a passkey").click()
    heading(page, "Invite somebody")
    page.goto(f"{site}/admin/staff")
    house.later(minutes=11)
    page.get_by_role("button", name="Everybody must").click()
    heading(page, "Is it you?")
    page.get_by_role("button", name="Go on with a passkey").click()
    expect(page.get_by_text("Everybody signs in with two things.")).to_be_visible()
    with house.app.app_context():
        assert db.session.scalars(sa.select(Passkey.sign_count)).one() >= 2
    elsewhere.close()


def test_a_browser_that_has_no_passkey_of_ours_says_so_and_stays(
    context: BrowserContext, house: House, site: str
) -> None:
    page = context.new_page()
    with_a_key(page, isUserVerified=False)
    page.goto(f"{site}/admin/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("Nothing came from the passkey.")).to_be_visible()
    assert faults(page, 375) == []
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()


def test_codes_are_set_up_and_asked_for_and_a_recovery_code_opens_too(
    context: BrowserContext, house: House, site: str
) -> None:
    page = context.new_page()
    sign_in(page, site)
    page.goto(f"{site}/admin/me")
    page.get_by_role("button", name="Set up codes").click()
    picture = page.get_by_role("img", name="A square picture")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    page.get_by_label("Code", exact=True).fill(shown(house, OLIVE))
    page.get_by_role("button", name="Turn codes on").click()
    heading(page, "Keep these recovery codes")
    recovery = page.locator(".recovery-codes code").all_text_contents()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save them as a file").click()
    assert saved.value.path().read_text("utf-8").split() == recovery
    page.get_by_role("link", name="I have them").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    house.later(seconds=30)
    for code in (shown(house, OLIVE), recovery[0]):
        sign_in(page, site)
        heading(page, "One more step")
        page.get_by_label("Code").fill(code)
        page.get_by_role("button", name="Sign in", exact=True).click()
        heading(page, "Nothing needs you now")
        page.get_by_role("button", name="Sign out", exact=True).click()


def test_signing_in_and_the_account_work_without_scripts(page: Page, house: House, site: str) -> None:
    sign_in(page, site)
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)
    page.goto(f"{site}/admin/me/passkeys/add")
    expect(page.get_by_text("its scripts are switched off")).to_be_visible()
    page.goto(f"{site}/admin/me")
    page.get_by_text("Change it…").click()
    page.get_by_label("The old one").fill(PASSWORD)
    page.get_by_label("The new one").fill(PASSWORD[::-1])
    page.get_by_role("button", name="Save the password").click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()


def furnish(house: House) -> None:
    """Something on every page."""
    post = newsroom.found(house)
    newsroom.found(house, "ridge-courier")
    with house.app.app_context():
        for name, role in (("a.person.with.quite.a.long.name", Role.EDITOR), ("sue", Role.SUPPORT)):
            signing_in.add(f"{name}@example.org", role, house.now, COMMAND)
        with transaction():
            session_key = {
                "credential_id": "eHg",
                "public_key": b"x",
                "sign_count": 0,
                "name": "The phone of the desk " * 2,
            }
            db.session.add(Passkey(staff_id=1, created_at=house.now, **session_key))
            by = Actor(ActorKind.STAFF, "a.person.with.quite.a.long.name@example.org", 2, "2001:db8:1234:5678::9")
            before, after = {"role": "editor", "newsletters": "all"}, {"role": "support", "newsletters": [post.id]}
            audit.record(by, "staff.grant", "staff:2", house.now, before=before, after=after)
            audit.record(by, "edition.hold", "edition:1", house.now, reason="w" * 90)


PAGES = (
    "/admin/me",
    "/admin/me/passkeys/add",
    "/admin/me/codes",
    "/admin/staff",
    "/admin/staff/2",
    "/admin/staff/1",
    "/admin/staff/invite",
    "/admin/audit",
    "/admin/audit?act=nothing",
)
OUTSIDE = ("/admin/sign-in", "/admin/sign-in/forgotten", "/admin/link/x", "/admin/invitation/x")


def test_the_pages_are_readable_for_everybody_on_any_screen(browser: Browser, house: House, site: str) -> None:
    furnish(house)
    context = browser.new_context()
    page = context.new_page()
    found = {path: look(page, f"{site}{path}") for path in OUTSIDE}
    sign_in(page, site)
    page.goto(f"{site}/admin/staff/invite")
    page.get_by_label("Their e-mail address").fill(INES)
    page.get_by_role("button", name="Send the invitation").click()
    page.goto(f"{site}/admin/me")
    page.get_by_role("button", name="Set up codes").click()
    found |= {path: look(page, f"{site}{path}") for path in PAGES}
    page.goto(f"{site}/admin/me/codes")
    page.get_by_label("Code", exact=True).fill(shown(house, OLIVE))
    page.get_by_role("button", name="Turn codes on").click()
    found["recovery codes"] = look(page)
    house.later(minutes=11)
    found["prove"] = look(page, f"{site}/admin/staff/invite")
    context.clear_cookies()
    sign_in(page, site)
    found["one more step"] = look(page)
    context.close()
    assert {name: what for name, what in found.items() if what} == {}


def look(page: Page, address: str | None = None) -> list[str]:
    if address:
        page.goto(address)
    return [fault for width in (320, 375, 1280) for fault in faults(page, width)]
