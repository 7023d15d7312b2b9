"""What goes into an edition: the stories of its window, each event told once, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice

from newsletter.editions import reaching
from newsletter.editions.models import Item, items_sent
from newsletter.newsletters import calendar
from newsletter.newsletters.models import Newsletter, Slot, ThinDay
from newsletter.stories import gating, ranking, topics
from newsletter.stories.canonical import canonical
from newsletter.stories.grouping import Background, Group, StoryText, background_of, group_stories
from newsletter.stories.models import (
    Mark,
    NewsletterSource,
    Story,
    StoryMark,
    marks_of,
    newest_story_id,
    pinned_since,
    sources_of,
    stories_between,
    texts_before,
)
from newsletter.stories.ranking import Candidate, Carried, Chosen, PassedOver
from newsletter.stories.topics import Topic

CARRIED_FOR = timedelta(days=6)
"""What was told is remembered this long, and a day longer than stories are looked for."""

FURTHEST_HOURS = 7 * 24
"""How far back a thin day looks at most."""

ALSO_COVERED_AT_MOST = 6
TOLD_LETTERS = 4000

BACKGROUND_DAYS = timedelta(days=21)
BACKGROUND_STORIES = 5000
"""Enough to know which words are common; more would only take longer."""

LEFT_OUT = "left out by hand"
SILENCED = "its source is silenced in this newsletter"
NEAR_MISSES, OFF_TOPIC = 25, 10
"""How many of the groups that did not make it are kept with a draft, for staff to look at."""


@dataclass(frozen=True)
class Choice:
    """A story that is in, those that tell the same event, and why it was chosen.

    `outlets` counts all who told it, `told` is the text of the whole group.
    """

    lead: Story
    others: tuple[Story, ...]
    reason: str
    section: str = ""
    is_update: bool = False
    outlets: int = 1
    told: str = ""


@dataclass(frozen=True)
class Draft:
    """An edition's content before it is stored, with what almost made it.

    Without a `subject` or a `preheader` the edition words its own. `note` says what was done about too few stories.
    """

    choices: tuple[Choice, ...]
    passed_over: tuple[PassedOver, ...] = ()
    newest_story_id: int = 0
    subject: str = ""
    preheader: str = ""
    note: str = ""


@dataclass(frozen=True)
class Wishes:
    """What a person wants of the stories of one edition, by their ids.

    What tells the event of a story in `without` is not chosen, unless it is in `told`. Where a group has a story of
    `told`, that one stays its lead: hands have been at its words or at its place. Those in `linked` have a link that a
    hand wrote, so it does not matter what their own is. Those in `added` are in, as if they were pinned.
    """

    without: AbstractSet[int] = field(default_factory=frozenset)
    told: AbstractSet[int] = field(default_factory=frozenset)
    linked: AbstractSet[int] = field(default_factory=frozenset)
    added: AbstractSet[int] = field(default_factory=frozenset)


Groups = list[list[Candidate]]


def least(newsletter: Newsletter) -> int:
    """With fewer stories it is a thin day."""
    return max(1, min(newsletter.items_at_least, newsletter.items_at_most))


def compose(newsletter: Newsletter, slot: Slot, now: datetime, wishes: Wishes | None = None) -> Draft:
    """Choose from the stories of the newsletter's window before `now`; on a thin day from an ever longer one, where the
    newsletter wants that. Reads only. Raises TopicUnusable."""
    wanted, hours = wishes or Wishes(), newsletter.window_hours
    draft = _compose(newsletter, slot, now, hours, wanted)
    found, enough = len(draft.choices), least(newsletter)
    if newsletter.thin_day is not ThinDay.WIDEN:
        return draft
    for longer in longer_windows(hours):
        if len(draft.choices) >= enough:
            break
        draft = _compose(newsletter, slot, now, longer, wanted)
        note = f"looked back {longer} hours instead of {hours} because there were {found} of {enough} stories"
        draft = replace(draft, note=note)
    return draft


def longer_windows(hours: int) -> Iterator[int]:
    """Twice as far back, four times, and so on, at most a week: 60, 120, 168 for 30."""
    while hours < FURTHEST_HOURS:
        hours = min(hours * 2, FURTHEST_HOURS)
        yield hours


def _compose(newsletter: Newsletter, slot: Slot, now: datetime, hours: int, wishes: Wishes) -> Draft:
    newest, marks = newest_story_id(newsletter.id), marks_of(newsletter.id)
    since = now - timedelta(hours=hours)
    known = [*stories_between(newsletter.id, since, now), *pinned_since(newsletter.id, since)]
    uses = {use.source_id: use for use in sources_of(newsletter.id)}
    pinned = {mark.story_id for mark in marks if mark.mark is Mark.PINNED} | wishes.added
    heard, silenced = _heard(known, uses, pinned, calendar.local_date_at(now, slot.zone))
    visible = _visible(heard, marks)
    faults = _faults(visible.values(), wishes.linked)
    stories = {id: story for id, story in visible.items() if id not in faults}
    background = _background(newsletter.id, since)
    grouped = _grouped(stories.values(), newsletter.grouping_threshold, marks, background)
    candidates = _candidates(visible.values(), uses, pinned, newsletter.sections)
    unheard = _candidates(silenced, uses, pinned, newsletter.sections)
    groups = [[candidates[id] for id in group.story_ids] for group in grouped]
    wanted, left_out = _as_wished(groups, wishes)
    on_topic, off_topic = _by_topic(wanted, gating.topic_of(newsletter), stories, uses)
    told_since = min(now - CARRIED_FOR, since - timedelta(days=1))
    selection = ranking.choose(
        on_topic,
        now=now,
        limit=newsletter.items_at_most,
        per_outlet=newsletter.per_outlet_at_most,
        own_at_least=newsletter.own_at_least,
        carried=[_carried(item, day) for item, day in items_sent(slot.id, told_since)],
        sections=newsletter.sections,
        background=background,
    )
    by_story = {id: group for group in grouped for id in group.story_ids}
    choices = (_choice(chosen, stories, by_story[chosen.lead.id]) for chosen in selection.chosen)
    return Draft(
        choices=tuple(_led_by(choice, by_story[choice.lead.id], stories, wishes.told) for choice in choices),
        newest_story_id=newest,
        passed_over=(
            *_best(left_out, LEFT_OUT, now),
            *_unreachable(faults, candidates, now),
            *selection.passed_over[:NEAR_MISSES],
            *_best(off_topic, "not about the newsletter’s topic", now),
            *_best([[one] for one in unheard.values()], SILENCED, now),
        ),
    )


def _as_wished(groups: Groups, wishes: Wishes) -> tuple[Groups, Groups]:
    """The groups that may be chosen, and those that a hand left out."""
    wanted: Groups = []
    left_out: Groups = []
    for group in groups:
        ids = {story.id for story in group}
        (left_out if ids & wishes.without and not ids & wishes.told else wanted).append(group)
    return wanted, left_out


def _led_by(choice: Choice, group: Group, stories: Mapping[int, Story], told: AbstractSet[int]) -> Choice:
    """The same, shown by the group's story that the edition told already."""
    lead = next((stories[id] for id in group.story_ids if id in told), choice.lead)
    if choice.lead.id in told or lead is choice.lead:
        return choice
    others = [other for other in (choice.lead, *choice.others) if other.outlet != lead.outlet]
    return replace(choice, lead=lead, others=tuple(others[:ALSO_COVERED_AT_MOST]))


def _heard(
    stories: Collection[Story], uses: Uses, pinned: AbstractSet[int], day: date
) -> tuple[list[Story], list[Story]]:
    """The stories that may be told, and those whose source staff have silenced on the day. A pin is a hand's word about
    one story, and counts for more."""
    heard: list[Story] = []
    silenced: list[Story] = []
    for story in stories:
        use = _use(story, uses)
        silent = use is not None and use.is_silent_on(day) and story.id not in pinned
        (silenced if silent else heard).append(story)
    return heard, silenced


def _visible(stories: Iterable[Story], marks: Iterable[StoryMark]) -> dict[int, Story]:
    hidden = {mark.story_id for mark in marks if mark.mark is Mark.HIDDEN}
    return {story.id: story for story in stories if story.id not in hidden}


def _faults(stories: Iterable[Story], linked: AbstractSet[int]) -> dict[int, str]:
    """The stories that no reader could follow, and why: they would keep the whole edition from being approved. One by
    hand may have no link."""
    wanted = (one for one in stories if one.id not in linked and (one.url or one.source_id is not None))
    return {one.id: wrong for one in wanted if (wrong := reaching.fault(one.url))}


def _unreachable(faults: Mapping[int, str], candidates: Mapping[int, Candidate], now: datetime) -> list[PassedOver]:
    """Without the link, which could be anything."""
    found = [(replace(candidates[id], url=""), wrong) for id, wrong in faults.items()]
    passed = [PassedOver(one, ranking.score([one], now), f"its link {wrong}") for one, wrong in found]
    return sorted(passed, key=lambda one: -one.score.total)[:OFF_TOPIC]


def _background(newsletter_id: int, before: datetime) -> Background:
    texts = texts_before(newsletter_id, before, before - BACKGROUND_DAYS, BACKGROUND_STORIES)
    return background_of(StoryText(n, title, summary, "", None) for n, (title, summary) in enumerate(texts))


def _grouped(
    stories: Collection[Story], threshold: float, marks: Sequence[StoryMark], background: Background
) -> list[Group]:
    return group_stories(
        [StoryText(s.id, s.title, s.summary, s.outlet, s.published_at) for s in stories],
        threshold=threshold,
        background=background,
        together=[*_pairs(marks, Mark.TOGETHER), *_of_one_page(stories)],
        apart=_pairs(marks, Mark.APART),
    )


def _of_one_page(stories: Collection[Story]) -> list[tuple[int, int]]:
    """One article that several feeds carry, or that was added by hand as well, is one, whatever its headlines."""
    first: dict[str, int] = {}
    return [(first.setdefault(story.page, story.id), story.id) for story in sorted(stories, key=lambda story: story.id)]


def _pairs(marks: Iterable[StoryMark], kind: Mark) -> list[tuple[int, int]]:
    return [(m.story_id, m.other_story_id) for m in marks if m.mark is kind and m.other_story_id is not None]


Uses = dict[int, NewsletterSource]


def _candidates(
    stories: Iterable[Story], uses: Uses, pinned: AbstractSet[int], sections: Sequence[str]
) -> dict[int, Candidate]:
    known = _known(sections)
    return {story.id: _candidate(story, _use(story, uses), known, story.id in pinned) for story in stories}


def _known(sections: Sequence[str]) -> dict[str, str]:
    return {section.casefold(): section for section in sections}


def section_of(story: Story, newsletter: Newsletter) -> str:
    """The newsletter's section that a story belongs to; empty for none."""
    use = _use(story, {use.source_id: use for use in sources_of(newsletter.id)})
    return _section(story, use, _known(newsletter.sections))


def _use(story: Story, uses: Uses) -> NewsletterSource | None:
    """How the newsletter uses the story's source; None for a story by hand."""
    return uses.get(story.source_id) if story.source_id is not None else None


def _candidate(story: Story, use: NewsletterSource | None, sections: dict[str, str], pinned: bool) -> Candidate:
    return Candidate(
        id=story.id,
        title=story.title,
        url=canonical(story.url) if story.url else "",
        outlet=story.outlet,
        summary=story.summary,
        weight=use.weight if use else 1.0,
        position=story.position if use else None,
        published_at=story.published_at,
        section=_section(story, use, sections),
        own=use.own if use else False,
        pinned=pinned,
    )


def _section(story: Story, use: NewsletterSource | None, sections: dict[str, str]) -> str:
    return next((sections[name] for name in _section_names(story, use) if name in sections), "")


def _section_names(story: Story, use: NewsletterSource | None) -> Iterator[str]:
    """The names by which a story may belong to a section, the surest first: its own, its tags', its source's."""
    yield story.section.casefold()
    yield from (str(tag).casefold() for tag in story.tags)
    if use:
        yield use.section.casefold()


def _by_topic(groups: Groups, topic: Topic | None, stories: dict[int, Story], uses: Uses) -> tuple[Groups, Groups]:
    """The groups that the topic lets through, and the others. What staff pinned or wrote is always let through."""
    if topic is None:
        return groups, []
    on_topic: Groups = []
    off_topic: Groups = []
    for group in groups:
        used = [_use(stories[story.id], uses) for story in group]
        by_hand = any(use is None for use in used) or any(story.pinned for story in group)
        about = [topics.judge(topic, story.title, story.summary).about for story in group]
        passes = by_hand or topics.passes(about, [use.on_topic for use in used if use])
        (on_topic if passes else off_topic).append(group)
    return on_topic, off_topic


def _best(groups: Groups, reason: str, now: datetime) -> list[PassedOver]:
    scored = sorted(((ranking.score(group, now), group) for group in groups), key=lambda one: -one[0].total)
    return [ranking.passed_over(group, score, reason) for score, group in islice(scored, OFF_TOPIC)]


def _carried(item: Item, day: date) -> Carried:
    return Carried(
        url=canonical(item.url) if item.url else "",
        title=item.headline,
        text=item.told or f"{item.headline} {item.summary}",
        outlets=item.outlets,
        on=day,
    )


def _choice(chosen: Chosen, stories: dict[int, Story], group: Group) -> Choice:
    reason = chosen.score.why
    if group.words:
        reason += "; tied by " + ", ".join(f"“{word}”" for word in group.words)
    if chosen.update:
        reason += "; an update of what was told before"
    members = [stories[id] for id in group.story_ids]
    return Choice(
        lead=stories[chosen.lead.id],
        others=tuple(stories[other.id] for other in chosen.others[:ALSO_COVERED_AT_MOST]),
        reason=reason[:500],
        section=chosen.section,
        is_update=chosen.update,
        outlets=1 + len(chosen.others),
        told=" ".join(f"{story.title} {story.summary}" for story in members)[:TOLD_LETTERS],
    )
