"""Which stories tell the same event: alike texts are merged into groups, each story into exactly one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nsmallest
from math import inf, log2, nan

from newsletter.stories.likeness import DAMPING, UNSAID, Background, Terms, Vector, alike_pairs, vector, weights
from newsletter.stories.merging import merge
from newsletter.stories.words import is_round_up, surfaces, term, terms, without_outlet, words_among

__all__ = ["Background", "Group", "StoryText", "background_of", "group_stories", "story_terms"]

TITLE_COUNTS = 2
SUMMARY_LETTERS = 600
WINDOW_SECONDS = 48 * 3600
SAME_OUTLET = 0.3
"""An outlet tells an event once; its second story on it is more often about something else."""

KEEP = 0.5
"""The least likeness that counts at all, as a share of the threshold."""

ONE_WORD = 0.95
"""What one word in common, or one name, counts at most, as a share of the threshold: two stories that both say "life"
are not one event, but a story may join several that all say "Kyiv"."""

USUAL_STORIES = 250
SET_PHRASE_STORIES = 5
WORDS_SHOWN = 5


@dataclass(frozen=True)
class StoryText:
    """A story as grouping sees it. `at` is aware of its zone, or None when unknown; so is `outlet` when empty."""

    id: int
    title: str
    summary: str
    outlet: str
    at: datetime | None


@dataclass(frozen=True)
class Group:
    """Stories about one event, the oldest first, and the words that tie them, the strongest first.

    `words` stand as in the stories' titles; a single story has none.
    """

    story_ids: tuple[int, ...]
    words: tuple[str, ...]


def group_stories(
    stories: Sequence[StoryText],
    *,
    threshold: float = 0.175,
    background: Background | None = None,
    together: Collection[tuple[int, int]] = (),
    apart: Collection[tuple[int, int]] = (),
) -> list[Group]:
    """Every story in exactly one group, the largest group first; the order of `stories` does not matter.

    `threshold` is how alike two stories must be to be told as one: 0.15 groups more, 0.20 less. It is meant for a day
    of 250 stories and fitted to more or fewer. One word in common never ties two stories, however rare it is; a
    `background` tells which words are common in general, and helps the more the fewer the stories are.
    Marks by hand always stand, for round-ups too; where `together` marks would bring an `apart` pair into one group,
    the pair stays apart and the mark with the greatest ids gives way. Marks that name an absent story are passed over.
    Raises ValueError when two stories have the same id.
    """
    if len({story.id for story in stories}) < len(stories):
        raise ValueError("two stories have the same id")
    ordered = sorted(stories, key=_canonical)
    texts = story_terms(ordered)
    known = weights(texts, background)
    vectors = [vector(text, known, DAMPING, UNSAID) for text in texts]
    least = threshold * _crowd(len(ordered))
    parts, barred = _marked(ordered, together, apart)
    ties = _ties(ordered, vectors, parts, least)
    groups = [
        _group([ordered[i] for i in part], [vectors[i] for i in part])
        for part in map(sorted, merge(parts, ties, barred, least))
    ]
    return sorted(groups, key=lambda group: (-len(group.story_ids), group.story_ids))


def _group(stories: Sequence[StoryText], vectors: Sequence[Vector]) -> Group:
    oldest_first = sorted(stories, key=lambda story: (story.at.timestamp() if story.at else inf, story.id))
    return Group(tuple(story.id for story in oldest_first), _shared_words(stories, vectors))


def _canonical(story: StoryText) -> tuple[str, str, str, float, int]:
    """Sums of floats depend on their order, so stories are always taken in this one."""
    return story.title, story.summary, story.outlet, story.at.timestamp() if story.at else 0.0, story.id


def _crowd(stories: int) -> float:
    """The factor on the threshold: 10 % more for each doubling of the stories, 5 % more for each halving.

    Among more stories more are alike by chance; among fewer, less is known of which words are common.
    """
    doublings = log2(max(stories, 1) / USUAL_STORIES)
    return 1 + (0.1 * doublings if doublings > 0 else -0.05 * doublings)


def background_of(stories: Iterable[StoryText]) -> Background:
    """From the stories of the last 14 to 30 days; without those to be grouped, which count anyway."""
    return Background.of(terms(story.title) + terms(story.summary[:SUMMARY_LETTERS]) for story in stories)


def story_terms(stories: Sequence[StoryText]) -> list[Terms]:
    """How often each story has each term, the title's doubled, without the name and the set phrases of its outlet."""
    titles = [terms(without_outlet(story.title, story.outlet)) for story in stories]
    summaries = [terms(story.summary[:SUMMARY_LETTERS]) for story in stories]
    phrases = _set_phrases(stories, titles, summaries)
    return [
        _counted(title, summary, phrases.get(story.outlet, frozenset()))
        for story, title, summary in zip(stories, titles, summaries, strict=True)
    ]


def _counted(title: Sequence[str], summary: Sequence[str], phrases: Collection[str]) -> Terms:
    counts = Counter(summary)
    for phrase in phrases:
        del counts[phrase]
    for word in title:
        counts[word] += TITLE_COUNTS
    return counts


def _set_phrases(
    stories: Sequence[StoryText], titles: Sequence[Sequence[str]], summaries: Sequence[Sequence[str]]
) -> dict[str, frozenset[str]]:
    """What an outlet says below most of its titles and hardly ever in one ("Sign up for our newsletters")."""
    below: defaultdict[str, list[set[str]]] = defaultdict(list)
    above: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for story, title, summary in zip(stories, titles, summaries, strict=True):
        if story.outlet and summary:
            below[story.outlet].append(set(summary))
            above[story.outlet].update(set(title))
    return {
        outlet: frozenset(
            word
            for word, count in Counter(word for summary in found for word in summary).items()
            if count >= len(found) / 2 and above[outlet][word] < count / 10
        )
        for outlet, found in below.items()
        if len(found) >= SET_PHRASE_STORIES
    }


def _marked(
    stories: Sequence[StoryText], together: Collection[tuple[int, int]], apart: Collection[tuple[int, int]]
) -> tuple[list[list[int]], dict[int, set[int]]]:
    """The parts that merging starts from, as places in `stories`, and which parts bar which."""
    place = {story.id: i for i, story in enumerate(stories)}
    kept_apart = {(place[a], place[b]) for a, b in apart if a in place and b in place and a != b}
    part_of = {i: [i] for i in range(len(stories))}
    for a, b in sorted(tuple(sorted(pair)) for pair in together):
        if a in place and b in place and part_of[place[a]] is not part_of[place[b]]:
            both = part_of[place[a]] + part_of[place[b]]
            if not any((i, j) in kept_apart for i in both for j in both):
                part_of |= dict.fromkeys(both, both)
    parts = [part for i, part in part_of.items() if part[0] == i]
    number = {i: n for n, part in enumerate(parts) for i in part}
    barred: defaultdict[int, set[int]] = defaultdict(set)
    for i, j in kept_apart:
        barred[number[i]].add(number[j])
        barred[number[j]].add(number[i])
    return parts, barred


def _ties(
    stories: Sequence[StoryText], vectors: Sequence[Vector], parts: Sequence[Sequence[int]], least: float
) -> dict[int, dict[int, float]]:
    """The sums of likeness between parts, of all that counts towards `least` and may be told as one."""
    part_of = {i: n for n, part in enumerate(parts) for i in part}
    alone = {i for i, story in enumerate(stories) if is_round_up(story.title)}
    times = [story.at.timestamp() if story.at else nan for story in stories]  # nothing is more than nan
    outlets = [story.outlet or i for i, story in enumerate(stories)]
    ties: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for i, j, alike in alike_pairs(vectors, KEEP * least):
        if i in alone or j in alone or abs(times[i] - times[j]) > WINDOW_SECONDS:
            continue
        if outlets[i] == outlets[j]:
            alike *= SAME_OUTLET
        if alike > ONE_WORD * least and words_among(vectors[i].keys() & vectors[j].keys()) < 2:
            alike = ONE_WORD * least
        a, b = part_of[i], part_of[j]
        if alike >= KEEP * least and a != b:
            ties[a][b] = ties[b][a] = ties[a].get(b, 0.0) + alike
    return ties


def _shared_words(stories: Sequence[StoryText], vectors: Sequence[Vector]) -> tuple[str, ...]:
    """The words that add most to the likenesses of the members, as they are written."""
    if len(stories) == 1:
        return ()
    sums, squares = defaultdict[str, float](float), defaultdict[str, float](float)
    for weighed in vectors:
        for word, weight in weighed.items():
            sums[word] += weight
            squares[word] += weight * weight
    strength = {word: total * total - squares[word] for word, total in sums.items()}
    strongest = nsmallest(WORDS_SHOWN, strength, key=lambda word: (-strength[word], word))
    tying = [word for word in strongest if strength[word] > 1e-9]
    written = _written(set(tying), [story.title for story in stories])
    if missing := set(tying) - written.keys():
        written |= _written(missing, [story.summary[:SUMMARY_LETTERS] for story in stories])
    return tuple(written[word] for word in tying)


def _written(words: Collection[str], texts: Iterable[str]) -> dict[str, str]:
    """How each of the terms is most often written in the texts, if it stands there."""
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for surface in surfaces(text):
            if (word := term(surface)) in words:
                forms[word][re.sub("['’]s$", "", surface)] += 1
    return {word: min(found, key=lambda form: (-found[form], form)) for word, found in forms.items()}
