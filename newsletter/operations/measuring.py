"""`newsletter stories evaluate`: the shipped grouping and topics, measured on a file of labelled stories."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from newsletter.foundation.errors import NewsletterError
from newsletter.stories import evaluating, topics
from newsletter.stories.evaluating import Score
from newsletter.stories.grouping import Group, StoryText, group_stories
from newsletter.stories.topics import TopicInvalid


class RowInvalid(NewsletterError):
    """{file}, line {line}: {problem}"""


class TopicUnknown(NewsletterError):
    """{problem}"""


@dataclass(frozen=True)
class Row:
    """A line of the file: a story, with its event (`gold`) or its answer (`y`) where somebody labelled it."""

    story: StoryText
    gold: str | None
    pool: str
    y: bool | None


@dataclass(frozen=True)
class Grouped:
    """The groups of each pool, with both measures where the rows are labelled: the means over the pools."""

    groups: tuple[tuple[Group, tuple[StoryText, ...]], ...]
    pairwise: Score | None
    b_cubed: Score | None
    pools: int


@dataclass(frozen=True)
class Judged:
    """A topic's measures; `interval` is where F1 would lie in 95 of 100 such files."""

    score: Score
    interval: tuple[float, float]
    rows: int
    positive: int
    wrong: tuple[tuple[str, bool, tuple[str, ...]], ...]


def read(file: Path, split: str | None = None) -> list[Row]:
    """The rows of a JSON Lines file, only those of a `split` where one is named. Raises RowInvalid."""
    rows = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if split is None or values.get("split") == split:
                rows.append(_row(number, values))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RowInvalid(file=file, line=number, problem=f"{type(error).__name__}: {error}") from error
    return rows


def _row(number: int, values: dict[str, Any]) -> Row:
    at = values.get("t")
    story = StoryText(
        id=number,
        title=str(values["title"]),
        summary=str(values.get("summary") or ""),
        outlet=str(values.get("outlet") or ""),
        at=None if at is None else datetime.fromtimestamp(float(at), UTC),
    )
    gold, y = values.get("gold"), values.get("y")
    return Row(story, None if gold is None else str(gold), str(values.get("pool", "")), None if y is None else bool(y))


def group(rows: Sequence[Row], threshold: float) -> Grouped:
    """The shipped grouping, pool by pool."""
    pools = defaultdict[str, list[Row]](list)
    for row in rows:
        pools[row.pool].append(row)
    found: list[tuple[Group, tuple[StoryText, ...]]] = []
    pairs, cubes = [], []
    for members in pools.values():
        groups = group_stories([row.story for row in members], threshold=threshold)
        stories = {row.story.id: row.story for row in members}
        found += [(one, tuple(stories[id] for id in one.story_ids)) for one in groups]
        if all(row.gold is not None for row in members):
            gold: dict[Hashable, Hashable] = {row.story.id: row.gold for row in members}
            pairs.append(evaluating.pairwise([one.story_ids for one in groups], gold))
            cubes.append(evaluating.b_cubed([one.story_ids for one in groups], gold))
    whole = len(pairs) == len(pools) and bool(pools)
    return Grouped(
        tuple(found), evaluating.mean(pairs) if whole else None, evaluating.mean(cubes) if whole else None, len(pools)
    )


def judge(rows: Sequence[Row], topic_name: str) -> Judged:
    """A shipped topic on rows that are labelled with `y`. Raises TopicUnknown."""
    try:
        topic = topics.shipped(topic_name)
    except TopicInvalid as error:
        raise TopicUnknown(problem=error) from error
    labelled = [row for row in rows if row.y is not None]
    verdicts = [topics.judge(topic, row.story.title, row.story.summary) for row in labelled]
    answers, truth = [verdict.about for verdict in verdicts], [bool(row.y) for row in labelled]
    wrong = tuple(
        (row.story.title, bool(row.y), verdict.words)
        for row, verdict in zip(labelled, verdicts, strict=True)
        if verdict.about is not row.y
    )
    interval = evaluating.f1_interval(answers, truth)
    return Judged(evaluating.yes_or_no(answers, truth), interval, len(labelled), sum(truth), wrong)
