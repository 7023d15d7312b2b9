"""A morning in the newsroom from end to end, in a real browser: invited, in with password and code, ten thousand
readers imported, a segment kept, an edition ordered, tried, approved and watched, a person looked up and erased."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.delivery import counting, releasing
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import import_runs
from tests.browser.axe import violations
from tests.browser.test_access import INES, OLIVE, PASSWORD, heading, shown, sign_in
from tests.browser.test_access import house as house
from tests.browser.test_access import site as site
from tests.browser.test_edition_desk import drag, headline
from tests.conftest import House
from tests.integration.subscribers import put_on_the_list
from tests.support import newsroom
from tests.support.hashing import hash_quickly
from tests.support.newsroom import ledger_of
from tests.support.tables_in import many, readers

pytestmark = [pytest.mark.browser, pytest.mark.slow]

READERS = 10_000
BRIDGE, SNOW, CHOIR = "Harbor bridge closes", "Snow on the pass", "Choir wins a prize"
COMPLAINED, NOTED = "r3@example.org", "r77@example.org"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_quickly(monkeypatch)


class Walk:
    """Somebody at the pages, who looks at each with axe and remembers what it found."""

    def __init__(self, page: Page, house: House, site: str) -> None:
        self.page, self.house, self.site = page, house, site
        self.faults: dict[str, list[str]] = {}
        self.told: list[str] = []
        page.on("console", lambda message: self._hears(message.text))
        page.on("pageerror", lambda error: self._hears(str(error)))

    def _hears(self, words: str) -> None:
        if "403" not in words:  # the page that asks once more who it is
            self.told.append(words)

    def to(self, path: str) -> None:
        self.page.goto(f"{self.site}{path}")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def looks(self) -> None:
        if found := violations(self.page):
            self.faults[self.page.url.removeprefix(self.site)] = found


@pytest.fixture
def walk(browser: Browser, house: House, site: str) -> Iterator[Walk]:
    context = browser.new_context(viewport={"width": 1280, "height": 1800}, reduced_motion="reduce")
    yield Walk(context.new_page(), house, site)
    context.close()


def table(folder: Path) -> Path:
    """Ten thousand readers as a spreadsheet program of a German Windows saves them, among what is no reader."""
    rows = [*many(READERS), "nobody", "two@at@example.org", NOTED, ""]
    file = folder / "readers.csv"
    file.write_bytes("\r\n".join(["E-Mail;Straße", *(f"{row};Bäckergasse" for row in rows)]).encode("cp1252"))
    return file


def test_a_morning_in_the_newsroom(walk: Walk, tmp_path: Path) -> None:
    paper = newsroom.found(walk.house, approval="manual", items_at_most="3")
    for place, title in enumerate((BRIDGE, SNOW, CHOIR)):
        paper.story(title, f"Outlet of {title}", {"weight": 8.0 - place})
    put_on_the_list(walk.house, SuppressionReason.COMPLAINT, COMPLAINED)

    is_invited(walk)
    comes_in_with_password_and_code(walk)
    imports_readers(walk, table(tmp_path))
    keeps_a_segment(walk)
    edition_id = orders_an_edition(walk)
    watches_it_go_out(walk, edition_id)
    looks_a_person_up_and_erases_them(walk)

    assert walk.faults == {}
    assert walk.told == [], "nothing is against the pages' policy"


def is_invited(walk: Walk) -> None:
    sign_in(walk.page, walk.site, OLIVE)
    walk.looks()
    walk.to("/admin/staff/invite")
    walk.looks()
    walk.page.get_by_label("Their e-mail address").fill(INES)
    walk.page.get_by_label("Owner").check()
    walk.press("Send the invitation")
    expect(walk.page.get_by_text(f"{INES} gets a mail now.")).to_be_visible()
    walk.looks()
    walk.press("Sign out")


def comes_in_with_password_and_code(walk: Walk) -> None:
    walk.house.work()
    link = re.search(r"http://localhost:\d+/admin/invitation/\S+", walk.house.inbox.of(INES)[0].part("plain"))
    assert link
    walk.page.goto(link[0])
    walk.looks()
    walk.press("Join the newsroom")
    walk.looks()
    walk.page.get_by_text("Set a password…").click()
    walk.page.get_by_label("The new one").fill(PASSWORD)
    walk.press("Save the password")
    walk.press("Set up codes")
    walk.looks()
    walk.page.get_by_label("Code", exact=True).fill(shown(walk.house, INES))
    walk.press("Turn codes on")
    heading(walk.page, "Keep these recovery codes")
    walk.looks()
    walk.page.get_by_role("link", name="I have them").click()
    walk.press("Sign out")
    walk.house.later(seconds=30)
    sign_in(walk.page, walk.site, INES)
    heading(walk.page, "One more step")
    walk.looks()
    walk.page.get_by_label("Code").fill(shown(walk.house, INES))
    walk.press("Sign in")
    walk.looks()


def imports_readers(walk: Walk, file: Path) -> None:
    page = walk.page
    walk.to("/admin/subscribers/import")
    walk.looks()
    page.get_by_label("The file").set_input_files(file)
    walk.press("Upload and look at it")
    expect(page.get_by_label("E-mail address")).to_have_value("0")
    walk.looks()
    page.get_by_label("Where did they agree?").fill("the old system")
    page.get_by_label("They have confirmed elsewhere").check()
    page.get_by_label("How can that be proved?").fill("its log")
    walk.press("Try it without taking anybody")
    imported(walk)
    expect(page.get_by_role("heading", name="What would become of 10,004 rows")).to_be_visible()
    walk.looks()
    assert readers(walk.house) == []
    walk.press("Start")
    imported(walk)
    expect(page.get_by_role("heading", name="What became of 10,004 rows")).to_be_visible()
    walk.looks()
    with page.expect_download() as download:
        walk.press("Rows not taken as CSV")
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert len(lines) == 1 + 5, "one complained, three are no addresses, one stands there twice"
    assert COMPLAINED not in readers(walk.house)


def imported(walk: Walk) -> None:
    """What the scheduler does meanwhile."""
    with walk.house.app.app_context():
        while import_runs.work_due(walk.house.clock, walk.house.keys):
            pass


def keeps_a_segment(walk: Walk) -> None:
    page = walk.page
    walk.to("/admin/subscribers")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Came by").select_option("import")
    page.get_by_label("Domain").fill("example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_text("9,999 readers")).to_be_visible()
    walk.looks()
    page.get_by_text("Keep as a segment…").click()
    page.get_by_label("Name").fill("From the old system")
    walk.press("Keep the segment")
    expect(page.get_by_text("The segment is kept.")).to_be_visible()
    walk.to("/admin/segments")
    expect(page.get_by_role("link", name="From the old system")).to_be_visible()
    expect(page.get_by_text("9,999")).to_be_visible()
    walk.looks()


def orders_an_edition(walk: Walk) -> int:
    page = walk.page
    walk.to("/admin/editions")
    walk.looks()
    page.get_by_role("button", name="Compose today’s edition").click()
    page.get_by_role("link", name="Tuesday, 3 March 2026").click()
    expect(headline(page, 1)).to_have_value(BRIDGE)
    walk.looks()
    page.get_by_role("heading", name="Stories").evaluate("one => one.scrollIntoView()")
    drag(page, page.locator(".grip").nth(2), page.locator(".grip").nth(0))
    expect(headline(page, 1)).to_have_value(CHOIR)
    expect(page.locator("#desk-note")).to_have_text("The order is saved.")
    page.get_by_role("listitem", name="Story 3").focus()
    page.keyboard.press("Shift+K")
    expect(headline(page, 2)).to_have_value(SNOW)
    expect(page.locator("#desk-note")).to_have_text("Moved up.")
    page.get_by_text("Test mail…").click()
    walk.press("Send a test mail")
    walk.house.work()
    (tried,) = [mail for mail in walk.house.inbox.of(INES) if mail.subject.startswith("Test: ")]
    text = tried.part("plain")
    assert text.index(CHOIR) < text.index(SNOW) < text.index(BRIDGE)
    walk.press("Approve")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    walk.looks()
    return int(page.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1])


def watches_it_go_out(walk: Walk, edition_id: int) -> None:
    page = walk.page
    walk.house.later(minutes=41)
    with walk.house.app.app_context():
        assert releasing.release_due(walk.house.now) == 1
    walk.to(f"/admin/editions/{edition_id}/delivery")
    progress = page.get_by_role("progressbar", name="Copies that have come to their end")
    expect(progress).to_have_attribute("value", "0")
    walk.looks()
    half, go_on = Event(), Event()
    walk.house.inbox.answer_data = stopping_at(READERS // 2, half, go_on)
    sends = Thread(target=walk.house.work)
    sends.start()
    try:
        assert half.wait(120)
        counted(walk)
        expect(progress).not_to_have_attribute("value", "0")
        walk.looks()
    finally:
        go_on.set()
        sends.join()
    counted(walk)
    expect(progress).to_have_attribute("value", str(READERS - 1))
    walk.looks()
    assert ledger_of(walk.house, edition_id) == {"accepted": READERS - 1}
    assert len(walk.house.inbox.of(NOTED)) == 1


def stopping_at(number: int, there: Event, go_on: Event) -> Callable[[str], str]:
    """A relay that takes so many mails, and goes on when it is told to."""
    left = count(number - 1, -1)

    def answer(_recipient: str) -> str:
        if next(left) == 0:
            there.set()
            go_on.wait(120)
        return "250 OK"

    return answer


def counted(walk: Walk) -> None:
    """What the scheduler does every few seconds."""
    walk.house.later(minutes=1)
    with walk.house.app.app_context():
        counting.count_due(walk.house.now)


def looks_a_person_up_and_erases_them(walk: Walk) -> None:
    page = walk.page
    walk.to("/admin/subscribers")
    page.get_by_label("Find an address by any part of it").press_sequentially("r77@")
    page.get_by_role("link", name=NOTED).click()
    heading(page, NOTED)
    expect(page.get_by_text("An import")).to_be_visible()
    walk.looks()
    page.get_by_text("Erase…").click()
    page.get_by_label(f"Type {NOTED} to erase it").fill(NOTED)
    walk.press("Erase this person")
    heading(page, "Is it you?")
    walk.looks()
    page.get_by_label("Or a code of your app").fill(shown(walk.house, INES))
    walk.press("Go on with a code")
    expect(page.get_by_text(f"{NOTED} is erased.")).to_be_visible()
    assert NOTED not in readers(walk.house)
