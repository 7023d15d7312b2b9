"""The ten minutes of docs/tour.md in a demo of their own, page by page."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.test_access import PASSWORD, heading
from tests.browser.test_edition_desk import drag, headline
from tests.browser.test_the_demo import live_through_the_next_morning, open_mail, sign_in
from tests.support.demo import RunningDemo

NOTED, ERASED = "reader007@example.com", "reader008@example.net"
HEADLINE = "What the harbor does next"

Looks = Callable[[str], None]
"""Called on each page, with its name."""


class Tour:
    """Somebody who goes where the tour leads; `pressed` are the words they went by."""

    def __init__(self, page: Page, demo: RunningDemo, looks: Looks) -> None:
        self.page, self.demo, self.looks = page, demo, looks
        self.pressed: set[str] = set()

    def all(self) -> None:
        self.comes_in()
        self.brings_readers_along()
        self.finds_some_of_them()
        self.arranges_the_edition()
        self.watches_it_go_out()
        self.looks_around()
        self.forgets_somebody()

    def to(self, path: str) -> None:
        self.page.goto(f"{self.demo.site}{path}")

    def press(self, words: str, what: str = "button") -> None:
        self.pressed.add(words)
        self.page.get_by_role(what, name=words, exact=True).first.click()  # type: ignore[arg-type]

    def follow(self, words: str) -> None:
        self.press(words, "link")

    def opens_daily_headlines(self) -> None:
        """Not by the mark at the top, which is called so too."""
        self.pressed.add("Daily Headlines")
        self.page.locator("main").get_by_role("link", name="Daily Headlines", exact=True).first.click()

    def unfold(self, words: str) -> None:
        self.pressed.add(words)
        self.page.locator("summary").get_by_text(words, exact=True).click()

    def comes_in(self) -> None:
        sign_in(self.page, self.demo)
        self.pressed |= {"Sign in as staff", "Sign in as editor@harbor-gazette.example"}
        self.to("/admin/")
        self.looks("admin-first-home")
        self.to("/admin/me")
        self.unfold("Set a password…")
        self.page.get_by_label("The new one").fill(PASSWORD)
        self.press("Save the password")
        self.looks("admin-me")

    def brings_readers_along(self) -> None:
        self.to("/demo/")
        with self.page.expect_download() as download:
            self.follow("This table")
        file = Path(download.value.path()).rename(self.demo.folder / "readers.csv")
        self.to("/admin/")
        self.follow("Subscribers")
        self.follow("Import")
        self.looks("admin-imports")
        self.tries(file)
        expect(self.page.get_by_text("228", exact=True).first).to_be_visible()
        self.looks("admin-import-tried")
        self.press("Start")
        expect(self.page.get_by_role("heading", name="What became of 244 rows")).to_be_visible()
        self.looks("admin-import-done")
        with self.page.expect_download() as refused:
            self.press("Rows not taken as CSV")
        assert len(Path(refused.value.path()).read_text("utf-8").splitlines()) == 1 + 16

    def tries(self, file: Path) -> None:
        self.page.get_by_label("The file").set_input_files(file)
        self.press("Upload and look at it")
        self.page.get_by_label("Where did they agree?").fill("our former system")
        self.press("They have confirmed elsewhere", "radio")
        self.page.get_by_label("How can that be proved?").fill("its log of confirmations")
        self.looks("admin-import-columns")
        self.press("Try it without taking anybody")
        expect(self.page.get_by_role("heading", name="What would become of 244 rows")).to_be_visible()

    def finds_some_of_them(self) -> None:
        page = self.page
        self.follow("Subscribers")
        page.get_by_label("Find an address by any part of it").press_sequentially("reader07")
        expect(page.get_by_role("link", name="reader071@example.net")).to_be_visible()
        self.looks("admin-subscribers")
        page.get_by_label("Find an address by any part of it").fill("")
        self.unfold("Filters")
        page.get_by_label("Domain").fill("example.com")
        page.keyboard.press("Enter")
        expect(page.get_by_text("80 readers")).to_be_visible()
        self.unfold("Keep as a segment…")
        page.get_by_label("Name").fill("At example.com")
        self.looks("admin-filters")
        self.press("Keep the segment")
        expect(page.get_by_text("The segment is kept.")).to_be_visible()
        self.to("/admin/segments")
        expect(page.locator("td .count")).to_contain_text("80")
        self.looks("admin-segments")
        self.follow("At example.com")
        self.does_something_with_them()
        self.to("/admin/subscribers?q=reader007")
        self.follow(NOTED)
        page.get_by_label("A note").fill("Asked by telephone how to get it later in the day.")
        self.press("Keep the note")

    def does_something_with_them(self) -> None:
        page = self.page
        self.press("Do something with all of these…")
        page.get_by_label("Act", exact=True).select_option("pause")
        page.get_by_label("Newsletter", exact=True).select_option("daily-headlines")
        page.get_by_label("Pause until").fill(self.day(9))
        self.press("See how many")
        self.looks("admin-act-choose")
        page.get_by_role("button", name=re.compile("80 readers")).click()
        expect(page.get_by_role("button", name="Undo it")).to_be_visible()
        self.looks("admin-act")
        self.press("Undo it")
        expect(page.get_by_text("Put back", exact=True)).to_be_visible()
        self.to("/admin/many")
        self.looks("admin-acts")

    def day(self, ahead: int) -> str:
        """A day so far from the demo's."""
        return (date.fromisoformat(self.today()) + timedelta(days=ahead)).isoformat()

    def today(self) -> str:
        first = (self.demo.folder / "readers.csv").read_text("utf-8").splitlines()[1]
        return first.split(";")[2]

    def arranges_the_edition(self) -> None:
        page = self.page
        self.follow("Home")
        self.looks("admin-home-before")
        self.opens_daily_headlines()
        expect(headline(page, 1)).to_be_visible()
        third = headline(page, 3).input_value()
        page.get_by_role("heading", name="Stories").evaluate("one => one.scrollIntoView()")
        drag(page, page.locator(".grip").nth(2), page.locator(".grip").nth(0))
        expect(headline(page, 1)).to_have_value(third)
        page.get_by_role("listitem", name="Story 1", exact=True).focus()
        page.keyboard.press("j")
        page.keyboard.press("Shift+K")
        expect(headline(page, 2)).to_have_value(third)
        headline(page, 1).fill(HEADLINE)
        preview = page.frame_locator("#preview-frame iframe:not(.mail-frame-next)")
        expect(preview.get_by_text(HEADLINE).first).to_be_visible()
        page.mouse.wheel(0, -9999)
        self.looks("admin-edition")
        self.pressed |= {"Next in rank", "Leave out", "Put back"}
        page.locator("#items").get_by_role("button", name=re.compile("^Leave out")).last.click()
        page.locator("#left-out").get_by_role("button", name=re.compile("^Put back")).click()
        self.unfold("Test mail…")
        self.press("Send a test mail")
        assert HEADLINE in open_mail(page, self.demo, "Test: ")
        self.to("/admin/")
        self.opens_daily_headlines()
        self.press("Approve")
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        self.looks("admin-edition-approved")

    def watches_it_go_out(self) -> None:
        page = self.page
        self.pressed |= {"Next morning"}
        live_through_the_next_morning(page, self.demo)
        self.to("/admin/")
        self.follow("Editions")
        self.looks("admin-editions")
        page.locator("main table a.row-link").nth(1).click()
        self.follow("Domains, refusals and every copy")
        expect(page.get_by_role("heading", name="Where the copies are")).to_be_visible()
        self.looks("admin-delivery")
        page.get_by_label("A domain, or a whole address").fill(NOTED)
        self.page.get_by_role("button", name="Look").click()
        expect(page.get_by_role("link", name=NOTED)).to_be_visible()
        self.follow(NOTED)
        heading(page, NOTED)
        self.looks("admin-subscriber")
        self.to("/demo/")
        self.follow("Mailbox")
        page.get_by_label("Find mails").fill(NOTED)
        page.keyboard.press("Enter")
        expect(page.locator(".mails > li")).to_have_count(1)
        self.looks("mailbox-found")

    def looks_around(self) -> None:
        self.to("/admin/")
        self.looks("admin-home")
        self.follow("Sources")
        self.looks("admin-sources")
        self.follow("Newsletters")
        self.looks("admin-newsletters")
        self.opens_daily_headlines()
        self.follow("Look")
        self.looks("admin-newsletter-look")
        self.follow("House")
        self.looks("admin-system")
        self.follow("Audit trail")
        expect(self.page.get_by_text(re.compile("import.start"))).to_be_visible()
        self.looks("admin-audit")

    def forgets_somebody(self) -> None:
        page = self.page
        self.to("/admin/subscribers?q=reader008")
        self.follow(ERASED)
        self.unfold("Erase…")
        page.get_by_label(f"Type {ERASED} to erase it").fill(ERASED)
        self.press("Erase this person")
        heading(page, "Is it you?")
        self.looks("admin-prove")
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Go on", exact=True).click()
        expect(page.get_by_text(f"{ERASED} is erased.")).to_be_visible()
        self.to("/admin/subscribers/import")
        self.tries(self.demo.folder / "readers.csv")
        expect(page.get_by_role("rowheader", name="Was erased").last).to_be_visible()
        expect(page.get_by_text("229", exact=True).first).to_be_visible()
