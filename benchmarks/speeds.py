"""How fast an edition goes out: against smtp-source, over a distance, and with two workers instead of one.

Everything is done in turns, round by round, with workers that stay; each round is a whole edition, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import houses, sinks
from benchmarks.crews import Crew, hired
from benchmarks.figures import Figures
from benchmarks.relays import Relay, relay
from benchmarks.sinks import Sink
from newsletter.foundation.config import Config
from newsletter.mail import signing

CONNECTIONS = (8, 16, 32)
FAR_CONNECTIONS = (8, 32)
AWAY_SECONDS = 0.01
SHARED_CONNECTIONS = 8
"""Of each worker, where there are two."""


@dataclass(frozen=True)
class Turn:
    """An edition: mails a second, microseconds of CPU a mail; and what smtp-source sent a second just before."""

    per_s: float
    cpu_us: float
    source_per_s: float | None = None


@dataclass(frozen=True)
class Bench:
    """An installation with so many readers, and how often each thing is measured there. `prefix` begins the names of
    its figures."""

    config: Config
    readers: int
    rounds: int
    prefix: str = ""

    def in_turns(
        self, kinds: Mapping[str, tuple[Config, int]], before: Callable[[], float | None] = lambda: None
    ) -> dict[str, list[Turn]]:
        """Rounds of each kind: settings, and how many workers have them. `before` is called before each edition."""
        turns: dict[str, list[Turn]] = {kind: [] for kind in kinds}
        with ExitStack() as stack:
            stack.enter_context(houses.inside(self.config))
            crews = {kind: stack.enter_context(hired(*settings)) for kind, settings in kinds.items()}
            for _ in range(self.rounds):
                for kind, crew in crews.items():
                    turns[kind].append(self._turn(crew, before()))
        return turns

    def _turn(self, crew: Crew, source: float | None) -> Turn:
        edition_id = houses.send(self.readers)
        work = crew.work()
        houses.ensure_accepted(edition_id, self.readers)
        return Turn(self.readers / work.wall, work.cpu / self.readers * 1e6, source)

    def tell(self, figures: Figures, name: str, turns: list[Turn]) -> None:
        """How it compares with smtp-source, of one kind."""
        for turn in turns:
            figures.add(f"{self.prefix}{name}per_s", turn.per_s)
            figures.add(f"{self.prefix}{name}cpu_a_message_us", turn.cpu_us)
            if turn.source_per_s is not None:
                figures.add(f"{self.prefix}{name}smtp_source_per_s", turn.source_per_s)
                figures.add(f"{self.prefix}{name}ratio_to_smtp_source", turn.per_s / turn.source_per_s)


def against_source(figures: Figures, bench: Bench, sink: Sink) -> int:
    """With so many connections each, and again the best of them; gives how many it has."""
    kinds = {str(count): (houses.with_relay(bench.config, sink.port, count), 1) for count in CONNECTIONS}
    turns = bench.in_turns(kinds, lambda: sinks.source_per_s(sink.port, bench.readers))
    for kind in kinds:
        for turn in turns[kind]:
            figures.add(f"{bench.prefix}connections_{kind}_per_s", turn.per_s)
    best = max(kinds, key=lambda kind: median(turn.per_s for turn in turns[kind]))
    bench.tell(figures, "", turns[best])
    figures.add(f"{bench.prefix}best_connections", int(best))
    return int(best)


def signed(figures: Figures, bench: Bench, sink: Sink, connections: int) -> None:
    """With a DKIM key of either kind."""
    kinds = {}
    for name in ("rsa", "ed25519"):
        file = Path(f"{name}.pem")
        signing.generate(bench.config.path(file), ed25519=name == "ed25519")
        key = {"domain": "example.org", "selector": name, "key_file": file}
        kinds[name] = houses.with_relay(bench.config, sink.port, connections, dkim=(key,)), 1
    turns = bench.in_turns(kinds, lambda: sinks.source_per_s(sink.port, bench.readers))
    for name in kinds:
        bench.tell(figures, f"dkim_{name}_", turns[name])


def far_away(figures: Figures, bench: Bench) -> None:
    """To a relay that takes 10 ms for each round trip, as a share of what two of them a mail allow."""
    with relay(AWAY_SECONDS) as there:
        kinds = {str(count): (houses.with_relay(bench.config, there.port, count), 1) for count in FAR_CONNECTIONS}
        turns = bench.in_turns(kinds)
        _ensure_each_has(there, bench.readers, bench.rounds * len(kinds))
    ratios = {kind: [turn.per_s * 2 * AWAY_SECONDS / int(kind) for turn in turns[kind]] for kind in kinds}
    for kind in kinds:
        for turn, ratio in zip(turns[kind], ratios[kind], strict=True):
            figures.add(f"{bench.prefix}relay_10ms_{kind}_per_s", turn.per_s)
            figures.add(f"{bench.prefix}relay_10ms_{kind}_ratio", ratio)
    for each in zip(*ratios.values(), strict=True):
        figures.add(f"{bench.prefix}relay_10ms_ratio", min(each))


def two_workers(figures: Figures, bench: Bench, sink: Sink) -> None:
    """On one edition, beside one alone: to a relay that is near, and to one where nobody waits for the processor."""
    with relay(AWAY_SECONDS) as there:
        for name, port in (("", sink.port), ("_10ms", there.port)):
            config = houses.with_relay(bench.config, port, SHARED_CONNECTIONS)
            turns = bench.in_turns({"one": (config, 1), "two": (config, 2)})
            for one, two in zip(turns["one"], turns["two"], strict=True):
                figures.add(f"{bench.prefix}one_worker{name}_per_s", one.per_s)
                figures.add(f"{bench.prefix}two_workers{name}_per_s", two.per_s)
                figures.add(f"{bench.prefix}two_workers{name}_ratio", two.per_s / one.per_s)
        _ensure_each_has(there, bench.readers, bench.rounds * 2)


def _ensure_each_has(there: Relay, readers: int, editions: int) -> None:
    """By what the relay itself has counted."""
    received = there.received()
    if len(received) != readers or set(received.values()) != {editions}:
        raise RuntimeError(f"not each of {readers} readers got {editions} mails: {received.most_common(3)}")
