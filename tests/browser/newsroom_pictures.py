"""Takes the pictures of the newsroom's pages in docs/screenshots, on the tour through a demo: make screenshots.

Run as: python -m tests.browser.newsroom_pictures FOLDER
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.screenshots import SCHEMES, SIZES, make_small
from tests.browser.touring import Tour
from tests.support import returning
from tests.support.chromium import chromium
from tests.support.demo import RunningDemo, running_demo, wait_until

ALSO_ON_A_PHONE = ("admin-home", "admin-edition", "admin-subscribers", "admin-subscriber", "admin-delivery")
NOT_TOLD = ("admin-first-home", "admin-home-before", "admin-edition-approved", "mailbox-found")
"""Pages of the tour that look like others."""

AT_WORK: ViewportSize = {"width": 1280, "height": 1800}
"""So high that what is dragged need not be scrolled for."""

HERE = "/admin/newsletters/daily-headlines"
PLAIN = {
    "admin-subscriber-add": "/admin/subscribers/add",
    "admin-export": "/admin/subscribers/export",
    "admin-special": "/admin/editions/special",
    "admin-stories": "/admin/stories",
    "admin-story": "/admin/stories/1",
    "admin-story-edit": "/admin/stories/1/edit",
    "admin-story-add": "/admin/stories/add",
    "admin-source": "/admin/sources/1",
    "admin-source-add": "/admin/sources/add",
    "admin-sources-import": "/admin/sources/import",
    "admin-newsletter": HERE,
    "admin-newsletter-words": f"{HERE}/words",
    "admin-newsletter-sender": f"{HERE}/sender",
    "admin-newsletter-selection": f"{HERE}/selection",
    "admin-newsletter-approval": f"{HERE}/approval",
    "admin-newsletter-mail": f"{HERE}/mail",
    "admin-newsletter-site": f"{HERE}/site",
    "admin-newsletter-slots": f"{HERE}/slots",
    "admin-newsletter-calendar": f"{HERE}/calendar",
    "admin-newsletter-texts": f"{HERE}/texts",
    "admin-newsletter-box": f"{HERE}/box",
    "admin-newsletter-add": "/admin/new-newsletter",
    "admin-bounces": "/admin/bounces",
    "admin-bounce": "/admin/bounces/1",
    "admin-suppressions": "/admin/suppressions",
    "admin-blocklist": "/admin/blocklist",
    "admin-consent-texts": "/admin/consent-texts",
    "admin-staff": "/admin/staff",
    "admin-staff-person": "/admin/staff/1",
}
"""Pages beside the tour, in the order in which they are looked at."""


class Camera:
    def __init__(self, page: Page, folder: Path) -> None:
        self._page, self._folder = page, folder

    def __call__(self, name: str) -> None:
        """Both schemes of the page as it stands, for some in both sizes."""
        if name in NOT_TOLD:
            return
        for size, (width, height) in SIZES.items():
            if size == "desktop" or name in ALSO_ON_A_PHONE:
                self._page.set_viewport_size({"width": width, "height": height})
                for scheme in SCHEMES:
                    self._take(name, size, scheme)
        self._page.set_viewport_size(AT_WORK)
        self._page.emulate_media(color_scheme="light")

    def _take(self, name: str, size: str, scheme: str) -> None:
        self._page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        self._page.wait_for_load_state("networkidle")
        file = self._folder / f"{name}-{size}-{scheme}.png"
        self._page.screenshot(path=file, full_page=True, animations="disabled")
        make_small(file)


def something_comes_back(demo: RunningDemo) -> None:
    """A mail that somebody wrote to the address for bounces, and a hard bounce of nobody's."""
    file = demo.folder / "came-back.eml"
    for octets in (returning.mail("The roof leaks.", sender="postmaster@example.net"), returning.dsn()):
        file.write_bytes(octets)
        command = [sys.executable, "-m", "newsletter", "--config", str(demo.folder / "config.toml")]
        subprocess.run([*command, "bounces", "read", str(file)], check=True, capture_output=True)


def growth_anew(demo: RunningDemo) -> None:
    """As if the readers of the table had joined here, each on the day that it says."""
    rows = [line.split(";") for line in (demo.folder / "readers.csv").read_text("utf-8").splitlines()[1:241]]
    joined = Counter(date.fromisoformat(day) for _, status, day, _ in rows if status == "subscribed")
    today = max(joined)
    with sqlite3.connect(demo.folder / "newsletter.db") as database:
        (counted_at,) = database.execute("SELECT max(counted_at) FROM subscriber_days").fetchone()
        for day in (today - timedelta(days=ago) for ago in range(1, 90)):
            active = sum(count for one, count in joined.items() if one <= day)
            database.execute(
                "INSERT OR REPLACE INTO subscriber_days (newsletter_id, day, active, joined, left, counted_at)"
                " VALUES (1, ?, ?, ?, 0, ?)",
                (day.isoformat(), active, joined[day], counted_at),
            )


def staff_pages(tour: Tour, camera: Camera) -> None:
    """An invitation as its owner sees it, codes as they are set up, and the pages of who is signed out."""
    page, demo = tour.page, tour.demo
    tour.to("/admin/staff/invite")
    page.get_by_label("Their e-mail address").fill("night-desk@harbor-gazette.example")
    camera("admin-staff-invite")
    page.get_by_role("button", name="Send the invitation").click()
    tour.to("/admin/staff")
    camera("admin-staff")
    tour.to("/admin/me")
    page.get_by_role("button", name="Set up codes").click()
    camera("admin-codes")
    page.get_by_role("button", name="Sign out").click()
    tour.to("/admin/sign-in")
    camera("admin-sign-in")
    tour.to("/admin/sign-in/forgotten")
    camera("admin-forgotten")
    wait_until(lambda: any("invite" in one.lower() for one in demo.subjects), demo.log)
    mail = max((demo.folder / "mail").glob("*.eml"))
    tour.to(f"/demo/mailbox/{mail.stem}/text")
    link = next(word for word in page.locator("pre").inner_text().split() if "/invitation/" in word)
    tour.to(urlsplit(link).path)
    camera("admin-invitation")


def walk(browser: Browser, demo: RunningDemo, folder: Path) -> None:
    context = browser.new_context(viewport=AT_WORK, reduced_motion="reduce")
    camera = Camera(context.new_page(), folder)
    tour = Tour(camera._page, demo, camera)
    for step in (tour.comes_in, tour.brings_readers_along, tour.finds_some_of_them, tour.arranges_the_edition):
        step()
    growth_anew(demo)
    something_comes_back(demo)
    tour.watches_it_go_out()
    tour.looks_around()
    tour.forgets_somebody()
    for name, path in PLAIN.items():
        tour.to(path)
        camera(name)
    staff_pages(tour, camera)
    context.close()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room, running_demo(Path(room) / "demo") as demo, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        walk(browser, demo, folder)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
