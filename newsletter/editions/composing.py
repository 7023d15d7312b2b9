"""What goes into an edition: the stories of its window, each event told once, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.editions.models import items_sent
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.stories.grouping import StoryText, group_stories
from newsletter.stories.models import (
    Mark,
    NewsletterSource,
    Story,
    StoryMark,
    marks_of,
    sources_of,
    stories_between,
)

CARRIED_FOR = timedelta(days=6)
ALSO_COVERED_AT_MOST = 6


@dataclass(frozen=True)
class Candidate:
    """A story as choosing sees it, with what its newsletter thinks of its source."""

    story: Story
    weight: float
    own: bool
    pinned: bool


@dataclass(frozen=True)
class Choice:
    """A story that is in, those that tell the same event, and why it was chosen."""

    lead: Story
    others: tuple[Story, ...]
    reason: str


@dataclass(frozen=True)
class Draft:
    """An edition's content before it is stored."""

    subject: str
    preheader: str
    choices: tuple[Choice, ...]
    considered: int
    groups: int
    notes: tuple[str, ...] = field(default=())


def compose(newsletter: Newsletter, slot: Slot, now: datetime) -> Draft:
    """Choose from the stories of the newsletter's window before `now`. Reads only."""
    stories = stories_between(newsletter.id, now - timedelta(hours=newsletter.window_hours), now)
    marks = marks_of(newsletter.id)
    hidden = {mark.story_id for mark in marks if mark.mark is Mark.HIDDEN}
    carried = {key for item, _ in items_sent(slot.id, now - CARRIED_FOR) for key in (item.url, _folded(item.headline))}
    fresh = [s for s in stories if s.id not in hidden and s.url not in carried and _folded(s.title) not in carried]
    pinned = frozenset(mark.story_id for mark in marks if mark.mark is Mark.PINNED)
    candidates = _candidates(fresh, sources_of(newsletter.id), pinned)
    groups = _grouped(candidates, newsletter.grouping_threshold, marks)
    choices = choose(groups, now, newsletter.items_at_most, newsletter.per_outlet_at_most)
    return Draft(
        subject=choices[0].lead.title if choices else newsletter.name,
        preheader=" · ".join(choice.lead.title for choice in choices[1:3]),
        choices=choices,
        considered=len(stories),
        groups=len(groups),
    )


def _folded(title: str) -> str:
    return " ".join(title.casefold().split())


def _candidates(
    stories: Iterable[Story], sources: Iterable[NewsletterSource], pinned: frozenset[int]
) -> dict[int, Candidate]:
    by_source = {source.source_id: source for source in sources}
    return {
        story.id: Candidate(
            story, by_source[story.source_id].weight, by_source[story.source_id].own, story.id in pinned
        )
        for story in stories
    }


def _grouped(candidates: dict[int, Candidate], threshold: float, marks: Iterable[StoryMark]) -> list[list[Candidate]]:
    texts = [
        StoryText(c.story.id, c.story.title, c.story.summary, c.story.source.outlet, c.story.published_at)
        for c in candidates.values()
    ]
    groups = group_stories(
        texts, threshold=threshold, together=_pairs(marks, Mark.TOGETHER), apart=_pairs(marks, Mark.APART)
    )
    return [[candidates[id] for id in group.story_ids] for group in groups]


def _pairs(marks: Iterable[StoryMark], kind: Mark) -> list[tuple[int, int]]:
    return [(m.story_id, m.other_story_id) for m in marks if m.mark is kind and m.other_story_id is not None]


def choose(groups: Sequence[Sequence[Candidate]], now: datetime, limit: int, per_outlet: int) -> tuple[Choice, ...]:
    """One story of each group, the groups that most outlets tell first, at most `per_outlet` from one outlet."""
    chosen: list[Choice] = []
    used: Counter[int] = Counter()
    for group in sorted(groups, key=_order, reverse=True):
        lead = max(group, key=_leading)
        if len(chosen) == limit:
            break
        if used[lead.story.source_id] >= per_outlet and not lead.pinned:
            continue
        used[lead.story.source_id] += 1
        chosen.append(Choice(lead.story, _others(lead, group), _reason(group, now)))
    return tuple(chosen)


def _order(group: Sequence[Candidate]) -> tuple[bool, float, datetime, int]:
    """Pinned first, then by the weight of the outlets that tell it, then the newest."""
    weights = {candidate.story.source_id: candidate.weight for candidate in group}
    newest = max(candidate.story.published_at for candidate in group)
    return any(c.pinned for c in group), sum(weights.values()), newest, -min(c.story.id for c in group)


def _leading(candidate: Candidate) -> tuple[bool, bool, float, int, float, int]:
    """Which story of a group is shown: pinned, the paper's own, the weightiest outlet, the best placed, the first."""
    story = candidate.story
    return (
        candidate.pinned,
        candidate.own,
        candidate.weight,
        -story.position,
        -story.published_at.timestamp(),
        -story.id,
    )


def _others(lead: Candidate, group: Sequence[Candidate]) -> tuple[Story, ...]:
    """One story of each other outlet, the weightiest first."""
    outlets: dict[int, Story] = {}
    for candidate in sorted(group, key=_leading, reverse=True):
        if candidate.story.source_id != lead.story.source_id:
            outlets.setdefault(candidate.story.source_id, candidate.story)
    return tuple(outlets.values())[:ALSO_COVERED_AT_MOST]


def _reason(group: Sequence[Candidate], now: datetime) -> str:
    """Why it was chosen, in words: "3 outlets, 5 h old"."""
    outlets = len({candidate.story.source_id for candidate in group})
    hours = int((now - max(c.story.published_at for c in group)).total_seconds() // 3600)
    pinned = "pinned, " if any(c.pinned for c in group) else ""
    age = f"{hours} h old" if hours else "less than an hour old"
    return f"{pinned}{outlets} {'outlet' if outlets == 1 else 'outlets'}, {age}"
