"""Telling each event once and choosing the day's items, as composing an edition does it. Pure, on one core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import news
from benchmarks.apart import Spent, spending
from benchmarks.news import NOW, Told
from newsletter.operations import measuring
from newsletter.stories import ranking
from newsletter.stories.grouping import StoryText, group_stories
from newsletter.stories.ranking import Candidate, Carried

CHOSEN, PER_OUTLET, CARRIED = 10, 2, 60


def among_made_up(count: int) -> tuple[Spent, Spent]:
    return choose(news.day(count))


def among_labelled(files: Iterable[Path]) -> tuple[Spent, Spent]:
    """All the stories of the files, in one pool."""
    rows = [row.story for file in files for row in measuring.read(file)]
    return choose([Told(n, s.title, s.summary, s.outlet, 1 + n % 50, s.at or NOW) for n, s in enumerate(rows, 1)])


def choose(stories: Sequence[Told]) -> tuple[Spent, Spent]:
    """Group and rank them, when earlier editions told some of them already; how long each took."""
    texts = [StoryText(s.id, s.title, s.summary, s.outlet, s.at) for s in stories]
    candidates = {s.id: Candidate(s.id, s.title, s.url, s.outlet, s.summary, 1.0, s.position, s.at) for s in stories}
    carried = [Carried(s.url, s.title, f"{s.title} {s.summary}", 3, s.at.date()) for s in stories[::10][:CARRIED]]
    with spending() as grouping:
        groups = group_stories(texts)
    with spending() as ranked:
        members = [[candidates[id] for id in group.story_ids] for group in groups]
        selection = ranking.choose(members, now=NOW, limit=CHOSEN, per_outlet=PER_OUTLET, carried=carried)
    assert selection.chosen
    return grouping[0], ranked[0]
