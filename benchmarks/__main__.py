"""python -m benchmarks send [--readers N] [--rounds N] [--json]; `all` runs each and rewrites docs/performance.md."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import send
from benchmarks.figures import Figures

BENCHMARKS: dict[str, Callable[[int, int], Figures]] = {"send": send.measure}
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    names = list(BENCHMARKS) if wanted.what == "all" else [wanted.what]
    measured = {name: BENCHMARKS[name](wanted.readers, wanted.rounds) for name in names}
    for name, figures in measured.items():
        say(f"\n## {name}\n\n{figures.table()}")
    if wanted.what == "all":
        write(measured)
    if wanted.json:
        say(json.dumps({key: value for figures in measured.values() for key, value in figures.values().items()}))
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def write(measured: dict[str, Figures]) -> None:
    """Put the tables between the marks of docs/performance.md."""
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    when = datetime.now(UTC)  # noqa: TID251 - the day it was measured
    machine = f"Measured on {when:%-d %B %Y}, {platform.machine()}, Python {platform.python_version()}."
    tables = "\n\n".join(f"### {name}\n\n{figures.table()}" for name, figures in measured.items())
    PAGE.write_text(f"{head}{BEGIN}\n{machine}\n\n{tables}\n{END}{tail}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
