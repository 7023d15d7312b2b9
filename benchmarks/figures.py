"""Measured numbers and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Figures:
    """Each figure's rounds, by its name. Units stand in the name: _per_s, _ms, _mb; ratios are bare."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: float) -> None:
        self.rounds.setdefault(name, []).append(value)

    def values(self) -> dict[str, float]:
        """The median of each figure."""
        return {name: round(median(values), 4) for name, values in self.rounds.items()}

    def table(self) -> str:
        """A Markdown table: median, least and most of the rounds."""
        rows = [
            f"| `{name}` | {median(values):,.3f} | {min(values):,.3f} | {max(values):,.3f} | {len(values)} |"
            for name, values in self.rounds.items()
        ]
        head = ["| figure | median | least | most | rounds |", "|---|--:|--:|--:|--:|"]
        return "\n".join([*head, *rows, *(f"\n{note}" for note in self.notes)])
