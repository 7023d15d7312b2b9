"""python -m benchmarks send|desk|admin|signup|transfer [--readers N] [--rounds N] [--json] …; `all` renews the tables
of docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import admin, databases, desk, pages, send, signup, transfer
from benchmarks.figures import Figures

BENCHMARKS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "send": lambda wanted: send.measure(
        send.sized(wanted.readers, to_the_most=wanted.growth), wanted.rounds, wanted.parts, wanted.databases
    ),
    "desk": lambda wanted: desk.measure(desk.Size(wanted.stories, wanted.sources, wanted.pools), wanted.rounds),
    "admin": lambda wanted: admin.measure(wanted.readers),
    "signup": lambda wanted: signup.measure(wanted.sign_ups, wanted.pairs, wanted.rounds, wanted.readers or 0),
    "transfer": lambda wanted: transfer.measure(wanted.readers or transfer.READERS, wanted.databases),
}
POOLS = Path(__file__).parents[2] / "shared" / "data" / "stories" / "pools"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--readers", type=int, help="at most, to send to; beside those who sign up, so many")
    parser.add_argument(
        "--growth", action="store_true", help=f"send to {send.MOST} readers as well, which takes an hour"
    )
    parser.add_argument("--parts", nargs="+", choices=send.PARTS, default=send.PARTS, help="of sending; usually all")
    parser.add_argument(
        "--databases", nargs="+", choices=databases.KINDS, default=databases.KINDS, help="for send and transfer"
    )
    parser.add_argument("--stories", type=int, nargs="+", default=[1000, 10_000], help="to choose from, each in turn")
    parser.add_argument("--sources", type=int, default=300, help="to collect from")
    parser.add_argument("--pools", type=Path, default=POOLS, help="a folder of labelled stories, used if it is there")
    parser.add_argument("--sign-ups", type=int, default=2000, help="in a round")
    parser.add_argument("--pairs", type=int, default=500, help="of addresses to tell apart by the time of the answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="say the medians as one JSON object in the last line")
    parser.add_argument("--write", action="store_true", help="renew what was measured in docs/performance.md")
    wanted = parser.parse_args(given)
    values: dict[str, float] = {}
    for name in BENCHMARKS if wanted.what == "all" else [wanted.what]:
        figures, day = BENCHMARKS[name](wanted), f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the day it is measured
        say(f"\n## {name}\n\n{pages.section(figures, day)}")
        if wanted.write or wanted.what == "all":
            pages.write(PAGE, name, figures, day)
        values |= figures.values()
    if wanted.json:
        say(json.dumps(values))
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
