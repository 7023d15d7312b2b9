"""The ten minutes of docs/tour.md, done as it says: by its words, in its order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.touring import Tour
from tests.support.demo import running_demo

TOUR = Path(__file__).parents[2] / "docs" / "tour.md"


@pytest.mark.slow
def test_the_tour_goes_as_it_says(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1800}, reduced_motion="reduce")
    with running_demo(tmp_path / "demo") as demo:
        tour = Tour(context.new_page(), demo, looks=lambda name: None)
        tour.all()
        assert "ERROR" not in demo.log.read_text()
    context.close()
    told = TOUR.read_text("utf-8")
    words = {" ".join(found.split()) for found in re.findall(r"\*\*(.+?)\*\*", told, re.DOTALL)}
    assert words - tour.pressed == set()
    pictures = set(re.findall(r"\((screenshots/\S+)\)", told))
    assert {picture for picture in pictures if not (TOUR.parent / picture).exists()} == set()
