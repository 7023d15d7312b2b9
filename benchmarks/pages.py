"""The tables of docs/performance.md: each stands between marks of its own, and what is around them stays as it is."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from benchmarks.figures import HEAD, Figures

ROW = re.compile(r"^\| `(\w+)` \|.*\|$", re.MULTILINE)


class MarksMissing(ValueError):
    """A page has no place for a benchmark's table."""


def section(figures: Figures, day: str, rows: dict[str, str] | None = None) -> str:
    """A table, with the rows that were there for what was not measured now, and what is to be said of it."""
    every = (rows or {}) | figures.rows(day)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}."
    return "\n\n".join(["\n".join([*HEAD, *every.values()]), *figures.notes, f"Measured on {machine}"])


def write(page: Path, name: str, figures: Figures, day: str) -> None:
    """Put a benchmark's table between its marks. Each row says when it was measured; one that was not
    measured now stays as it was. The page is whole at any time. Raises MarksMissing."""
    begin, end = f"<!-- measured: {name} -->\n", f"<!-- /measured: {name} -->"
    text = page.read_text("utf-8")
    head, begun, rest = text.partition(begin)
    before, ended, tail = rest.partition(end)
    if not (begun and ended):
        raise MarksMissing(f"{page} has no lines {begin.strip()} and {end}")
    new = page.with_suffix(".new")
    new.write_text(f"{head}{begin}{section(figures, day, _rows(before))}\n{end}{tail}", "utf-8")
    new.replace(page)


def _rows(table: str) -> dict[str, str]:
    return {row[1]: row[0] for row in ROW.finditer(table)}
