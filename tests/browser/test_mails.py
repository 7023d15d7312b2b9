"""The mails at every width: nothing sticks out, and nothing is lost, with pictures and without."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route

from tests.unit.mail.test_reader_mails import MAILS as LETTERS
from tests.unit.mail.test_valid_html import EDITIONS, written

WIDTHS = (320, 480, 481, 700)
MAILS = {f"edition: {which}": ("edition", data) for which, data in EDITIONS.items()} | LETTERS

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="675"/>'


@pytest.mark.parametrize("pictures", [True, False], ids=["with pictures", "pictures off"])
def test_no_mail_is_wider_than_the_screen(page: Page, pictures: bool) -> None:
    def fetch(route: Route) -> None:
        if pictures:
            route.fulfill(body=PICTURE, content_type="image/svg+xml")
        else:
            route.abort()

    page.route("https://**", fetch)
    for which, mail in MAILS.items():
        page.set_content(written(*mail))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{which} at {width} px"
            out = page.evaluate(STICKS_OUT, width)
            assert out == [], f"{which} at {width} px"


STICKS_OUT = """width => [...document.querySelectorAll("h1, h2, h3, p, img, a, li")]
    .filter(one => one.getClientRects().length && one.getBoundingClientRect().right > width - 8)
    .map(one => one.outerHTML.slice(0, 120))"""


def test_where_pictures_are_off_their_words_can_be_read(page: Page) -> None:
    page.route("https://**", lambda route: route.abort())
    page.emulate_media(color_scheme="dark")
    page.set_content(written("edition", EDITIONS["usual"]))
    heights = page.evaluate("[...document.images].map(one => [one.alt, one.getBoundingClientRect().height])")
    assert len(heights) == 3
    assert all(alt and height >= 15 for alt, height in heights), "each stands there with at least a line of words"
