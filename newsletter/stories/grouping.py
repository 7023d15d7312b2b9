from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class StoryText:
    id: int
    title: str
    summary: str
    outlet: str
    at: datetime | None


@dataclass(frozen=True)
class Group:
    story_ids: tuple[int, ...]
    words: tuple[str, ...]


def group_stories(
    stories: Sequence[StoryText],
    *,
    threshold: float = 0.175,
    background: object = None,
    together: Collection[tuple[int, int]] = (),
    apart: Collection[tuple[int, int]] = (),
) -> list[Group]:
    return [Group((s.id,), ()) for s in stories]
