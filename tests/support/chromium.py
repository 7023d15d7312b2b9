"""Debian's Chromium, if it is there."""

from __future__ import annotations

import shutil


def chromium() -> str | None:
    """Where the browser is."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)
