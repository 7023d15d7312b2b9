"""Public pages for who reads them enlarged to 200 %: nothing is lost, cut off or covered, or scrolls sideways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import test_archive
from tests.browser.public_house import PublicHouse, furnish, running
from tests.browser.public_states import BOXES, FULLEST, STATES
from tests.browser.zoomed import WINDOW, losses
from tests.conftest import BuildHouse


@pytest.fixture
def public(build_house: BuildHouse, sqlite_url: str) -> Iterator[PublicHouse]:
    with running(build_house, sqlite_url) as public:
        yield public


@pytest.fixture
def sharp(browser: Browser) -> Iterator[Page]:
    """A page on a screen of two points a pixel, as an enlarged one is drawn."""
    context = browser.new_context(viewport=WINDOW, device_scale_factor=2)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    "names", [FULLEST, pytest.param((*STATES, *BOXES), marks=pytest.mark.slow)], ids=["the fullest", "all"]
)
def test_every_public_page_holds_at_200_percent(sharp: Page, public: PublicHouse, names: tuple[str, ...]) -> None:
    """By zoom, and by larger text alone (WCAG 2.2, 1.4.4)."""
    furnish(public)
    seen = {}
    for name in names:
        (STATES | BOXES)[name](sharp, public)
        seen[name] = losses(sharp)
    assert {name: found for name, found in seen.items() if found} == {}


@pytest.mark.slow
def test_past_editions_hold_at_200_percent(sharp: Page, public: PublicHouse) -> None:
    seen = {}
    for path in (*test_archive.furnish(public), "/editions/"):
        sharp.goto(f"{public.site}{path}")
        seen[path] = losses(sharp)
    assert {path: found for path, found in seen.items() if found} == {}


SPOILT = {
    "zoomed: lost: Where to leave": "@media (max-width: 700px) { a { display: none } }",
    "larger text: cut off: Where to leave": "p { height: 24px; overflow: hidden; font-size: 1rem }",
    "zoomed: cut off: Where to leave": "a { position: absolute; left: 600px; white-space: nowrap }",
    "larger text: on each other: All that matters | Where to leave": "h1, p {font-size: 1rem; height: 20px; margin: 0}",
    "zoomed: scrolls sideways": "p { width: 900px }",
}


@pytest.mark.parametrize(("fault", "style"), SPOILT.items(), ids=SPOILT)
def test_what_would_be_lost_is_noticed(sharp: Page, fault: str, style: str) -> None:
    page = "<!doctype html><h1>All that matters</h1><p><a href='/'>Where to leave</a></p>"
    sharp.set_content(page)
    assert losses(sharp) == []
    sharp.set_content(f"{page}<style>{style}</style>")
    assert fault in losses(sharp)
