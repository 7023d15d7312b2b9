"""Sending an edition: how fast, to how many, and what fixing its audience takes. Sizes are numbers of readers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from benchmarks import databases, growth, houses, sinks, speeds
from benchmarks.figures import Figures
from benchmarks.sinks import Sink
from benchmarks.speeds import Bench

PARTS = ("speed", "dkim", "relay", "workers", "growth", "freeze")
"""What can be measured of it. In all but the first, growth and freeze, only on PostgreSQL."""

PREFIXES = {"postgresql": "", "sqlite": "sqlite_"}
CONNECTIONS = 16
"""Where none are compared."""

FAST, MANY, MOST = 5_000, 100_000, 1_000_000
"""Readers for speeds, and for growth unless more are asked for."""

STEPS = (10_000, 100_000, 1_000_000)

NOTE = (
    "On PostgreSQL with fsync unless `sqlite` is in the name. Mails went to {sink}. Speeds are of editions to "
    "{size.speed:,} readers by a worker that stays from round to round; the figures without another word are those of "
    "`best_connections`. `cpu_a_message_us` is CPU of the worker's process alone. In `relay_10ms` the relay answers "
    "each batch of commands 10 ms later, and `ratio` is our speed ÷ (connections ÷ 20 ms). Where there are two "
    "workers, each has 8 connections. `readers_N` is an edition to so many over {connections} connections, and "
    "`growth_ratio` the time of a mail among the most of them ÷ among the fewest, `growth_cpu_ratio` its CPU. "
    "`freeze_s` is from the press of the button until the audience of {size.freeze:,} is durable: the ledger's rows "
    "(`insert`; by PostgreSQL's own account the readers were chosen in `choosing`, and the rest is writing), their "
    "shards, PostgreSQL's look at the new rows, and the rest, which is sealing the revision and the commit."
)


@dataclass(frozen=True)
class Size:
    """How many readers there are where speeds are compared, to how many it grows, and for how many it is frozen."""

    speed: int
    growth: tuple[int, ...]
    freeze: int


def sized(readers: int | None, *, to_the_most: bool = False) -> Size:
    """As usual, or so that `readers` are the most."""
    top = readers or (MOST if to_the_most else MANY)
    return Size(min(readers or FAST, FAST), (*(step for step in STEPS if step < top), top), readers or MOST)


def measure(
    size: Size, rounds: int, parts: Collection[str] = PARTS, among: Collection[str] = databases.KINDS
) -> Figures:
    kinds = dict(databases.each(among))
    with sinks.sink() as sink:
        figures = Figures(notes=_notes(size, sink, kinds))
        for name, prefix in PREFIXES.items():
            if name in kinds:
                with kinds[name] as url, houses.house(url) as config:
                    _measure(figures, Bench(config, size.speed, rounds, prefix), sink, size, parts)
    return figures


def _measure(figures: Figures, bench: Bench, sink: Sink, size: Size, parts: Collection[str]) -> None:
    """In one house, whose readers become more and more."""
    with houses.inside(bench.config):
        houses.fill(size.speed)
    near = houses.with_relay(bench.config, sink.port, CONNECTIONS)
    best = speeds.against_source(figures, bench, sink) if "speed" in parts else CONNECTIONS
    if bench.prefix == PREFIXES["postgresql"]:
        if "dkim" in parts:
            speeds.signed(figures, bench, sink, best)
        if "relay" in parts:
            speeds.far_away(figures, bench)
        if "workers" in parts:
            speeds.two_workers(figures, bench, sink)
    if "growth" in parts:
        growth.grow(figures, near, bench.prefix, size.growth, bench.rounds)
    if "freeze" in parts:
        growth.freeze(figures, near, bench.prefix, size.freeze)


def _notes(size: Size, sink: Sink, kinds: Collection[str]) -> list[str]:
    notes = [NOTE.format(size=size, sink=sink.name, connections=CONNECTIONS)]
    if sinks.tool("smtp-source") is None:
        notes.append("smtp-source (Debian's package postfix) is missing here, so nothing is compared with it.")
    if "postgresql" not in kinds:
        notes.append("PostgreSQL's server is missing here, or was not wanted, so only SQLite was measured.")
    return notes
