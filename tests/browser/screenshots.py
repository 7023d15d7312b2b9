"""Takes the pictures of docs/screenshots from a demo of its own: make screenshots.

Run as: python -m tests.browser.screenshots FOLDER [PAGE …]; without pages, all of them; `public` stands for those of
readers. Those of the newsroom are taken by `newsroom_pictures`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.test_the_demo import (
    confirm_in_the_mailbox,
    open_edition,
    open_mail,
    send_todays_edition,
    sign_in,
    sign_up_on_the_article,
)
from tests.support.chromium import chromium
from tests.support.demo import RunningDemo, running_demo, wait_until

SIZES = {"desktop": (1280, 900), "phone": (375, 800)}
SCHEMES = ("light", "dark")
TALLEST = 1800
COLOURS = 128
"""A picture in docs is no larger than it must be to be looked at."""

IMAGES_OFF = "-images-off"
"""How the name of a page ends that is shown as by a mail program that fetches no pictures."""

PUBLIC = (
    "front",
    "sign-up-german",
    "signed-up",
    "confirm",
    "preferences",
    "change-address",
    "my-data",
    "erase",
    "lost-link",
    "leave",
    "left",
    "archive",
    "archive-edition",
    "embed",
)


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
    text = open_edition(page, demo)
    leaving, preferences = (
        next(word for word in text.split() if f"/{part}/" in word) for part in ("unsubscribe", "preferences")
    )
    pages |= {
        "start": f"{demo.site}/demo/",
        "article": f"{demo.site}/demo/article",
        "mailbox": f"{demo.site}/demo/mailbox",
        "mail": page.url.removesuffix("/text"),
        "edition-mail": html_of(page),
        f"edition-mail{IMAGES_OFF}": html_of(page),
        "front": f"{demo.site}/",
        "sign-up": f"{demo.site}/subscribe",
        "signed-up": f"{demo.site}/subscribe",
        "left": leaving,
        "leave": leaving,
        "preferences": preferences,
        "change-address": f"{preferences}/address",
        "my-data": f"{preferences}/data",
        "erase": f"{preferences}/erase",
        "lost-link": f"{demo.site}/preferences/",
        "archive": f"{demo.site}/editions/",
        "archive-edition": next(word for word in text.split() if "/editions/" in word),
        "embed": f"{demo.site}/embed/daily-headlines",
        "sign-up-german": f"{demo.site}/subscribe?language=de",
        "not-found": f"{demo.site}/nowhere",
    }
    pages["confirm"] = ask_for(page, demo, "ben@example.org")
    page.context.storage_state(path=str(demo.folder / "cookies.json"))
    page.context.close()
    return pages


def ask_for(page: Page, demo: RunningDemo, address: str) -> str:
    """The link by which somebody who asked just now would confirm."""
    page.goto(f"{demo.site}/subscribe")
    sign_up(page, address.partition("@")[0])
    wait_until(lambda: len(demo.subjects) == 4, demo.log)
    page.goto(f"{demo.site}/demo/mailbox")
    page.get_by_role("link").filter(has_text="Please confirm").first.click()
    page.get_by_role("link", name="Text", exact=True).click()
    return next(word for word in page.locator("pre").inner_text().split() if "/confirm/" in word)


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
            with_pictures, without = context.new_page(), context.new_page()
            without.route("**/*", _no_pictures)
            for name, address in pages.items():
                page = without if name.endswith(IMAGES_OFF) else with_pictures
                page.goto(address)
                if name in ACTS:
                    ACTS[name](page, f"{size}-{scheme}")
                file = folder / f"{name}-{size}-{scheme}.png"
                page.screenshot(path=file, full_page=True)
                make_small(file)
                context.clear_cookies(name="language")
                come_back(page, name)
            context.close()


def _no_pictures(route: Route) -> None:
    if route.request.resource_type == "image":
        route.abort()
    else:
        route.continue_()


def sign_up(page: Page, who: str) -> None:
    page.get_by_label("mail address").fill(f"{who}@example.org")
    page.get_by_role("button", name="Sign Up Now", exact=True).click()


def come_back(page: Page, _who: str) -> None:
    """Whoever left for the last picture has not left in this one."""
    address, undo = page.url, page.get_by_role("button", name="Undo")
    if undo.count():
        undo.click()
        page.goto(address)


def leave(page: Page, who: str) -> None:
    come_back(page, who)
    page.get_by_role("button", name="Leave").click()


ACTS: dict[str, Callable[[Page, str], None]] = {"signed-up": sign_up, "leave": come_back, "left": leave}
"""What is done on a page before its picture is taken."""


def make_small(file: Path) -> None:
    with Image.open(file) as picture:
        shown = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, TALLEST)))
    shown.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


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
        names = [name for one in wanted for name in (PUBLIC if one == "public" else [one])] or list(pages)
        take(browser, demo, {name: pages[name] for name in names}, folder)
        browser.close()
    if not wanted or {"article", "edition-mail"} <= set(wanted):
        overview(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
