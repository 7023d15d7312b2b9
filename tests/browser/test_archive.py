"""Past editions in a real browser: nobody is kept out, nothing runs off a phone's edge, and nothing jumps about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from newsletter.stories.pictures import the_pictures
from tests.browser.axe import violations
from tests.browser.public_house import PublicHouse, running
from tests.conftest import BuildHouse
from tests.support import newsroom
from tests.support.past import went_out

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung"
SHIFTS = """() => new Promise(tell => {
  let sum = 0;
  new PerformanceObserver(list => list.getEntries().forEach(one => { sum += one.value; }))
    .observe({type: "layout-shift", buffered: true});
  requestAnimationFrame(() => requestAnimationFrame(() => tell(sum)));
})"""


@pytest.fixture
def public(build_house: BuildHouse, sqlite_url: str) -> Iterator[PublicHouse]:
    with running(build_house, sqlite_url) as public:
        yield public


def furnish(public: PublicHouse) -> list[str]:
    """An archive with something of each kind, and of the longest; gives its pages."""
    house = public.house
    paper = newsroom.found(house, tagline="All that matters", accent="#ffcc00", promise=LONG)
    tokyo = paper.slot("Asia/Tokyo", time(6, 0))
    with house.app.app_context():
        names = [the_pictures().keep(jpeg(*size)) for size in ((1600, 900), (300, 900), (640, 480))]
    others = [{"story_id": None, "outlet": f"{LONG} {n}", "title": "x", "url": "https://a.example/"} for n in range(3)]
    items = [
        {"headline": "Harbor bridge closes for repairs", "summary": "Until May. " * 20, "image_credit": LONG},
        {"headline": f"Pass {LONG}", "summary": LONG, "outlet": LONG, "also_covered": others, "outlets": 9},
        {"headline": "Snow", "is_update": True, "section": "Port and sea"},
        {"headline": "A word to our readers", "section": LONG, "url": ""},
    ]
    shown = [item | {"picture": name, "image_alt": "A ship"} for item, name in zip(items, names, strict=False)]
    for day in (date(2025, 11, 30), date(2026, 1, 5), date(2026, 3, 1), date(2026, 3, 2)):
        went_out(paper, day, items=[*shown, *items[len(shown) :]], intro=f"Good morning.\n\n{LONG}", preheader=LONG)
    went_out(paper, date(2026, 3, 2), LONG, slot_id=tokyo)
    here = "/editions/morning-post/"
    return [here, f"{here}2026-03/", f"{here}2026-03-01", f"{here}{tokyo}/2026-03-02", f"{here}2020-01-01"]


def jpeg(width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def faults(page: Page, width: int) -> list[str]:
    """What axe finds, whether the page is wider than the screen, and whether anything jumped."""
    wide, moved = page.evaluate("document.documentElement.scrollWidth"), page.evaluate(SHIFTS)
    return violations(page) + [f"{wide} pixels wide"] * (wide > width) + [f"moved by {moved}"] * (moved > 0)


@pytest.mark.parametrize(
    "widths", [(320,), pytest.param((375, 640, 960, 1280), marks=pytest.mark.slow)], ids=["the smallest", "wider"]
)
def test_everybody_can_read_past_editions_on_any_screen(
    browser: Browser, public: PublicHouse, widths: tuple[int, ...]
) -> None:
    pages = furnish(public)
    newsroom.found(public.house, "evening-post")
    seen: dict[str, list[str]] = {}
    for width in widths:
        context = browser.new_context(viewport={"width": width, "height": 700})
        page = context.new_page()
        for path in (*pages, "/editions/"):
            page.goto(f"{public.site}{path}", wait_until="load")
            page.evaluate("scrollTo(0, document.body.scrollHeight)")
            page.wait_for_function("[...document.images].every(one => one.complete)")
            assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)"), path
            seen[f"{path} at {width}"] = faults(page, width)
        context.close()
    assert {path: found for path, found in seen.items() if found} == {}


def test_one_can_leaf_through_it_with_links_alone(page: Page, public: PublicHouse) -> None:
    furnish(public)
    page.goto(f"{public.site}/")
    page.get_by_role("link", name="Past editions").click()
    page.get_by_role("link", name="Harbor bridge closes for repairs").first.click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Monday, 2 March 2026")
    page.get_by_role("link", name="Earlier Sunday, 1 March 2026").click()
    page.get_by_role("link", name="Earlier Monday, 5 January 2026").click()
    page.get_by_role("link", name="All editions").click()
    page.get_by_role("link", name="November 2025").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Editions of November 2025"
