"""A real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from tests.conftest import BuildHouse, House, missing
from tests.support.chromium import chromium

WITHOUT = [
    "WebUIOmniboxPopup",  # Chromium's own address bar is two pages, made for every window: a third of all its work
    "WebUIOmniboxAimPopup",
    "SpareRendererForSitePerProcess",
    *("AimEnabled", "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades"),
    *("LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding"),
    *("PreconnectToSearch", "ThirdPartyStoragePartitioning", "Translate"),
]
"""The last three lines are Playwright's list, which ours takes the place of."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(WITHOUT)}",
]


expect.set_options(timeout=20_000)  # that a machine is busy is no fault


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str) -> House:
    """One that is at home on loopback, for the staff's pages."""
    return build_house(sqlite_url, site_url="http://127.0.0.1")


@pytest.fixture
def site(house: House) -> Iterator[str]:
    """Where it is served."""
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        missing("browser", "Chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that runs no scripts: everything must work without."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()
