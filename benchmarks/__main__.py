"""python -m benchmarks send|desk|signup [--rounds N] [--json] …; `all` runs each and rewrites docs/performance.md."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import desk, send, signup
from benchmarks.figures import Figures

BENCHMARKS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "send": lambda wanted: send.measure(wanted.readers, wanted.rounds),
    "desk": lambda wanted: desk.measure(desk.Size(wanted.stories, wanted.sources, wanted.pools), wanted.rounds),
    "signup": lambda wanted: signup.measure(wanted.sign_ups, wanted.pairs, wanted.rounds),
}
POOLS = Path(__file__).parents[2] / "shared" / "data" / "stories" / "pools"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--readers", type=int, default=1000, help="to send to")
    parser.add_argument("--stories", type=int, nargs="+", default=[1000, 10_000], help="to choose from, each in turn")
    parser.add_argument("--sources", type=int, default=300, help="to collect from")
    parser.add_argument("--pools", type=Path, default=POOLS, help="a folder of labelled stories, used if it is there")
    parser.add_argument("--sign-ups", type=int, default=2000, help="in a round")
    parser.add_argument("--pairs", type=int, default=500, help="of addresses to tell apart by the time of the answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args(given)
    names = list(BENCHMARKS) if wanted.what == "all" else [wanted.what]
    measured = {name: BENCHMARKS[name](wanted) for name in names}
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
