"""What goes into an edition: the stories of its window, each event told once, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from newsletter.editions.models import Item, items_sent
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.stories import ranking
from newsletter.stories.canonical import canonical
from newsletter.stories.grouping import Group, StoryText, group_stories
from newsletter.stories.models import (
    Mark,
    NewsletterSource,
    Story,
    StoryMark,
    marks_of,
    sources_of,
    stories_between,
)
from newsletter.stories.ranking import Candidate, Carried, Chosen

CARRIED_FOR = timedelta(days=6)
ALSO_COVERED_AT_MOST = 6


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


def compose(newsletter: Newsletter, slot: Slot, now: datetime) -> Draft:
    """Choose from the stories of the newsletter's window before `now`. Reads only."""
    marks = marks_of(newsletter.id)
    stories = _visible(stories_between(newsletter.id, now - timedelta(hours=newsletter.window_hours), now), marks)
    groups = _grouped(stories.values(), newsletter.grouping_threshold, marks)
    candidates = _candidates(stories.values(), sources_of(newsletter.id), marks)
    selection = ranking.choose(
        [[candidates[id] for id in group.story_ids] for group in groups],
        now=now,
        limit=newsletter.items_at_most,
        per_outlet=newsletter.per_outlet_at_most,
        carried=[_carried(item, day) for item, day in items_sent(slot.id, now - CARRIED_FOR)],
    )
    words = {id: group.words for group in groups for id in group.story_ids}
    choices = tuple(_choice(chosen, stories, words[chosen.lead.id]) for chosen in selection.chosen)
    return Draft(
        subject=choices[0].lead.title if choices else newsletter.name,
        preheader=" · ".join(choice.lead.title for choice in choices[1:3]),
        choices=choices,
    )


def _visible(stories: Iterable[Story], marks: Iterable[StoryMark]) -> dict[int, Story]:
    hidden = {mark.story_id for mark in marks if mark.mark is Mark.HIDDEN}
    return {story.id: story for story in stories if story.id not in hidden}


def _grouped(stories: Iterable[Story], threshold: float, marks: Sequence[StoryMark]) -> list[Group]:
    return group_stories(
        [StoryText(s.id, s.title, s.summary, s.source.outlet, s.published_at) for s in stories],
        threshold=threshold,
        together=_pairs(marks, Mark.TOGETHER),
        apart=_pairs(marks, Mark.APART),
    )


def _pairs(marks: Iterable[StoryMark], kind: Mark) -> list[tuple[int, int]]:
    return [(m.story_id, m.other_story_id) for m in marks if m.mark is kind and m.other_story_id is not None]


def _candidates(
    stories: Iterable[Story], sources: Iterable[NewsletterSource], marks: Iterable[StoryMark]
) -> dict[int, Candidate]:
    uses = {use.source_id: use for use in sources}
    pinned = {mark.story_id for mark in marks if mark.mark is Mark.PINNED}
    return {
        story.id: Candidate(
            id=story.id,
            title=story.title,
            url=canonical(story.url),
            outlet=story.source.outlet,
            summary=story.summary,
            weight=uses[story.source_id].weight,
            position=story.position,
            published_at=story.published_at,
            section=story.section,
            own=uses[story.source_id].own,
            pinned=story.id in pinned,
        )
        for story in stories
    }


def _carried(item: Item, day: date) -> Carried:
    also = " ".join(other["title"] for other in item.also_covered)
    return Carried(
        url=canonical(item.url),
        title=item.headline,
        text=f"{item.headline} {item.summary} {also}",
        outlets=1 + len(item.also_covered),
        on=day,
    )


def _choice(chosen: Chosen, stories: dict[int, Story], words: Sequence[str]) -> Choice:
    others = tuple(stories[other.id] for other in chosen.others[:ALSO_COVERED_AT_MOST])
    reason = chosen.score.why
    if words:
        reason += "; tied by " + ", ".join(f"“{word}”" for word in words)
    if chosen.update:
        reason += "; an update, since coverage has doubled"
    return Choice(stories[chosen.lead.id], others, reason[:500])
