"""Readers in and out in a real browser: nobody is kept out, nothing runs off a phone's edge, and the page tells how far
it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import import_runs
from tests.browser.axe import faults
from tests.browser.signed_in import sign_in
from tests.conftest import House
from tests.integration.subscribers import put_on_the_list
from tests.support import newsroom
from tests.support.tables_in import many, readers

LONG = "a" * 60 + "@" + "b" * 60 + ".example.org"
WIDE = [f"A column with a long name {number}" for number in range(12)]


def table(folder: Path) -> Path:
    rows = [*many(40), LONG, "nobody", "<b>@x", "r1@example.org", "x" * 90]
    file = folder / ("readers-of-the-old-system-" + "x" * 80 + ".csv")
    file.write_text(
        "\n".join([";".join(["E-Mail", *WIDE]), *(";".join([row, *["words"] * 12]) for row in rows)]), "utf-8-sig"
    )
    return file


def everywhere(page: Page, what: str) -> dict[str, list[str]]:
    return {f"{what} at {width}": found for width in (320, 375, 1280) if (found := faults(page, width))}


def work(house: House) -> None:
    with house.app.app_context():
        import_runs.work_due(house.clock, house.keys)


def test_a_file_is_walked_through_to_its_end_on_any_screen(
    browser: Browser, house: House, site: str, tmp_path: Path
) -> None:
    newsroom.found(house)
    newsroom.found(house, "ridge-courier")
    put_on_the_list(house, SuppressionReason.COMPLAINT, "r3@example.org")
    page = browser.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    sign_in(page, house, site)
    page.goto(f"{site}/admin/subscribers")
    page.get_by_role("link", name="Import").click()
    found = everywhere(page, "upload")
    page.get_by_label("The file").set_input_files(table(tmp_path))
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_label("E-mail address")).to_have_value("0")
    found |= everywhere(page, "columns")
    page.get_by_label("Where did they agree?").fill("the old system")
    page.get_by_label("They have confirmed elsewhere").check()
    page.get_by_label("How can that be proved?").fill("its log")
    page.get_by_role("button", name="Try it without taking anybody").click()
    expect(page.get_by_role("heading", name="The file is tried; nobody is taken yet")).to_be_visible()
    found |= everywhere(page, "trying")
    work(house)
    expect(page.get_by_role("heading", name="What would become of 45 rows")).to_be_visible()
    found |= everywhere(page, "tried")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    work(house)
    expect(page.get_by_role("heading", name="What became of 45 rows")).to_be_visible()
    found |= everywhere(page, "done")
    with page.expect_download() as download:
        page.get_by_role("button", name="Rows not taken as CSV").click()
    assert len(Path(download.value.path()).read_text("utf-8").splitlines()) == 6
    page.goto(f"{site}/admin/subscribers/export")
    found |= everywhere(page, "export")
    page.close()
    assert found == {}
    assert told == [], "nothing is against the page's policy"
    assert len(readers(house)) == 40


def test_without_scripts_it_goes_on_by_a_link(
    page: Page, house: House, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_runs, "BATCH_OF_FILE", 20)
    monkeypatch.setattr(import_runs, "SLICE_SECONDS", 0)
    newsroom.found(house)
    sign_in(page, house, site)
    page.goto(f"{site}/admin/subscribers/import")
    page.get_by_label("The file").set_input_files(table(tmp_path))
    page.get_by_role("button", name="Upload and look at it").click()
    page.get_by_label("Where did they agree?").fill("the old system")
    page.get_by_role("button", name="Try it without taking anybody").click()
    work(house)
    page.get_by_role("link", name="Refresh").click()
    expect(page.get_by_text("20 rows,")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Thrown away, with its file. Nobody was taken.")).to_be_visible()
