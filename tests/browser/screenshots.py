"""Takes the pictures of docs/screenshots from a demo of its own: make screenshots.

Run as: python -m tests.browser.screenshots FOLDER [PAGE …]; without pages, all of them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS, chromium
from tests.browser.test_the_demo import (
    confirm_in_the_mailbox,
    open_edition,
    open_mail,
    send_todays_edition,
    sign_in,
    sign_up_on_the_article,
)
from tests.support.demo import RunningDemo, running_demo

SIZES = {"desktop": (1280, 900), "phone": (375, 800)}
SCHEMES = ("light", "dark")


def walk(browser: Browser, demo: RunningDemo) -> dict[str, str]:
    """Live through a morning, and give each page's name with its address."""
    page = browser.new_context(java_script_enabled=False).new_page()
    sign_up_on_the_article(page, demo)
    text = open_mail(page, demo, "Please confirm: Daily Headlines")
    confirm = next(word for word in text.split() if "/confirm/" in word)
    pages = {"confirmation-mail": html_of(page), "confirm-done": confirm}
    confirm_in_the_mailbox(page, demo)
    open_mail(page, demo, "Welcome to Daily Headlines")
    pages["welcome-mail"] = html_of(page)
    sign_in(page, demo)
    send_todays_edition(page, demo)
    edition = page.url
    text = open_edition(page, demo)
    pages |= {
        "start": f"{demo.site}/demo/",
        "article": f"{demo.site}/demo/article",
        "mailbox": f"{demo.site}/demo/mailbox",
        "mail": page.url.removesuffix("/text"),
        "edition-mail": html_of(page),
        "front": f"{demo.site}/",
        "sign-up": f"{demo.site}/subscribe",
        "leave": next(word for word in text.split() if "/unsubscribe/" in word),
        "not-found": f"{demo.site}/nowhere",
        "admin-edition": edition,
        "admin-home": f"{demo.site}/admin/",
        "admin-editions": f"{demo.site}/admin/editions",
        "admin-subscribers": f"{demo.site}/admin/subscribers",
        "admin-subscriber": f"{demo.site}/admin/subscribers/1",
        "admin-add": f"{demo.site}/admin/subscribers/add",
        "admin-sources": f"{demo.site}/admin/sources",
        "admin-stories": f"{demo.site}/admin/stories",
        "admin-story": f"{demo.site}/admin/stories/1",
        "admin-story-add": f"{demo.site}/admin/stories/add",
        "admin-newsletters": f"{demo.site}/admin/newsletters",
        "admin-newsletter": f"{demo.site}/admin/newsletters/daily-headlines",
    }
    page.context.storage_state(path=str(demo.folder / "cookies.json"))
    page.context.close()
    return pages


def html_of(page: Page) -> str:
    return page.url.removesuffix("/text") + "/part/html"


def take(browser: Browser, demo: RunningDemo, pages: dict[str, str], folder: Path) -> None:
    """One picture for each page, size and colour scheme."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                storage_state=str(demo.folder / "cookies.json"),
                java_script_enabled=False,
            )
            page = context.new_page()
            for name, address in pages.items():
                page.goto(address)
                page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=True)
            context.close()


def overview(folder: Path) -> None:
    """The article with its box beside the mail, for the README."""
    sheet = Image.new("RGB", (1280, 900), "#d8d4cc")
    for name, left in (("article", 20), ("edition-mail", 650)):
        picture = Image.open(folder / f"{name}-desktop-light.png").convert("RGB")
        picture = picture.crop((100, 0, 1180, 1520)) if name == "article" else picture.crop((310, 0, 970, 929))
        picture = picture.resize((610, round(picture.height * 610 / picture.width)), Image.Resampling.LANCZOS)
        sheet.paste(picture.crop((0, 0, 610, 860)), (left, 20))
    sheet.save(folder / "overview.png", optimize=True)


def main(folder: Path, wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory() as room, running_demo(Path(room) / "demo") as demo, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        pages = walk(browser, demo)
        take(browser, demo, {name: pages[name] for name in wanted or pages}, folder)
        browser.close()
    if not wanted or {"article", "edition-mail"} <= set(wanted):
        overview(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
