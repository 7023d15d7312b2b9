"""What the desk costs before anybody reads: collecting from many outlets, telling each event once, and choosing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import choosing, collecting, databases, houses, outlets
from benchmarks.apart import Spent, apart
from benchmarks.figures import Figures

ITEMS = 50
"""What a feed holds."""

NOTE = (
    "`choose` is grouping and ranking so many stories, `rank` its smaller part. `collect` is a round over {sources} "
    "sources of {items} new stories each, `unchanged` one in which each answers 304; `parse_cpu_s` is what parsing the "
    "same feeds takes alone, and `parse_ratio` its share of the CPU of `collect`."
)


@dataclass(frozen=True)
class Size:
    """How much is measured. `pools` is a folder of labelled stories, all of them one more pool if it is there."""

    stories: Sequence[int]
    sources: int
    pools: Path


def measure(size: Size, rounds: int) -> Figures:
    figures = Figures(notes=[NOTE.format(sources=size.sources, items=ITEMS)])
    for _ in range(rounds):
        _choosing(figures, size)
    _collecting(figures, size, rounds)
    return figures


def _choosing(figures: Figures, size: Size) -> None:
    for count in size.stories:
        _chosen(figures, str(count), *apart(choosing.among_made_up, count))
    if files := sorted(size.pools.glob("*.jsonl")):
        _chosen(figures, "pools", *apart(choosing.among_labelled, files))


def _chosen(figures: Figures, name: str, spent: tuple[Spent, Spent], peak: float) -> None:
    grouping, ranking = spent
    figures.add(f"choose_{name}_s", grouping.wall + ranking.wall)
    figures.add(f"choose_{name}_cpu_s", grouping.cpu + ranking.cpu)
    figures.add(f"rank_{name}_s", ranking.wall)
    figures.add(f"choose_{name}_mb", peak)


def _collecting(figures: Figures, size: Size, rounds: int) -> None:
    feeds = collecting.feeds(size.sources, ITEMS)
    hosts = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(size.sources)]
    with ExitStack() as open_:
        many, one = (open_.enter_context(outlets.served(feeds, who)) for who in (hosts, hosts[:1]))
        homes = {
            name: open_.enter_context(houses.house(open_.enter_context(url), collecting.FETCHING))
            for name, url in databases.each()
        }
        for _ in range(rounds):
            parsing = apart(collecting.parse_all, feeds)[0]
            figures.add("parse_cpu_s", parsing.cpu)
            for name, config in homes.items():
                (whole, unchanged), peak = apart(collecting.collect_twice, config, many)
                figures.add(f"{name}_collect_s", whole.wall)
                figures.add(f"{name}_collect_cpu_s", whole.cpu)
                figures.add(f"{name}_parse_ratio", parsing.cpu / whole.cpu)
                figures.add(f"{name}_collect_mb", peak)
                figures.add(f"{name}_unchanged_s", unchanged.wall)
        for name, config in homes.items():
            whole, unchanged = apart(collecting.collect_twice, config, one)[0]
            figures.add(f"{name}_collect_one_host_s", whole.wall)
            figures.add(f"{name}_unchanged_one_host_s", unchanged.wall)
