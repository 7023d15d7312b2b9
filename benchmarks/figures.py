"""Measured numbers and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

HEAD = ("| figure | median | least | most | rounds | on |", "|---|--:|--:|--:|--:|---|")


@dataclass
class Figures:
    """Each figure's rounds, by its name. Units stand in the name: _per_s, _s, _ms, _us, _mb; ratios are bare."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: float) -> None:
        self.rounds.setdefault(name, []).append(value)

    def values(self) -> dict[str, float]:
        """The median of each figure."""
        return {name: round(median(values), 4) for name, values in self.rounds.items()}

    def rows(self, day: str) -> dict[str, str]:
        """A Markdown table's row for each, measured on that day: median, least and most of the rounds."""
        return {
            name: f"| `{name}` | {_spread(values)} | {len(values)} | {day} |" for name, values in self.rounds.items()
        }


def _spread(values: Sequence[float]) -> str:
    return " | ".join(f"{of(values):,.3f}" for of in (median, min, max))
