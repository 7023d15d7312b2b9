"""Which groups go into an edition, in which order, under which story, and why each of them does or does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import inf, log2

from newsletter.stories.carrying import Carried, Memory
from newsletter.stories.likeness import Background
from newsletter.stories.words import terms

__all__ = ["Candidate", "Carried", "Chosen", "PassedOver", "Score", "Selection", "choose", "leading", "score"]

COVERAGE, PLACE, SECTION, PIN = 3.0, 1.5, 1.0, 100.0
HALVED_EVERY_HOURS = 18
TOLD_BEFORE, LIKE_BEFORE = 0.40, 0.30
"""How like an earlier item's text a group's is when it tells that event again, and when it may."""

TITLE_COUNTS = 2


@dataclass(frozen=True)
class Candidate:
    """A story that may be chosen.

    `url` is canonical. `weight` is its outlet's, 1.0 as a rule; `own` marks the paper's own stories. `position` is the
    place in its feed, 1 for the first. Unknown: position None, published_at None, section empty.
    """

    id: int
    title: str
    url: str
    outlet: str
    summary: str = ""
    weight: float = 1.0
    position: int | None = None
    published_at: datetime | None = None
    section: str = ""
    own: bool = False
    pinned: bool = False


@dataclass(frozen=True)
class Score:
    """Points, each part with its name in words: ("7 outlets", 9.0), ("5 h old", 0.82)."""

    parts: tuple[tuple[str, float], ...]

    @property
    def total(self) -> float:
        return sum(points for _, points in self.parts)

    @property
    def why(self) -> str:
        """In one line: "7 outlets, 2nd on Harbor Gazette, 5 h old"."""
        return ", ".join(name for name, _ in self.parts)


@dataclass(frozen=True)
class Chosen:
    """A group that is in: the story shown, one story of each other outlet, and whether it is news of an old item.

    `section` is where it stands in the edition, empty for above all sections.
    """

    lead: Candidate
    others: tuple[Candidate, ...]
    score: Score
    update: bool = False
    section: str = ""


@dataclass(frozen=True)
class PassedOver:
    """A group that is not in, and the reason in words. `others` are one story of each other outlet."""

    lead: Candidate
    score: Score
    reason: str
    others: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Selection:
    """The chosen in the order of the edition, the others in the order of their points."""

    chosen: tuple[Chosen, ...]
    passed_over: tuple[PassedOver, ...]


def score(group: Sequence[Candidate], now: datetime, sections: Collection[str] = ()) -> Score:
    """What speaks for a group.

    3·log2(1 + Σ outlet weight) + 1.5·place + 0.5^(hours / 18) + 1 for a wanted section + 100 for a pin.
    An outlet counts once, with its greatest weight. Place is 1 / log2(1 + position) of the best position in a feed,
    so 1, 0.63, 0.5, … (the discount of Järvelin and Kekäläinen's cumulated gain, 2002). Hours count from the newest
    story.
    """
    parts = [("pinned", PIN)] if any(story.pinned for story in group) else []
    parts.append(_coverage(group))
    if placed := [story for story in group if story.position]:
        parts.append(_place(min(placed, key=lambda story: (_position(story), -story.weight, story.outlet))))
    if dated := [story.published_at for story in group if story.published_at]:
        parts.append(_age((now - max(dated)).total_seconds() / 3600))
    if wanted := sorted({story.section for story in group if story.section} & set(sections)):
        parts.append((f"in {wanted[0]}", SECTION))
    return Score(tuple(parts))


def _coverage(group: Sequence[Candidate]) -> tuple[str, float]:
    weights: dict[str, float] = {}
    for story in group:
        weights[story.outlet] = max(story.weight, weights.get(story.outlet, 0.0))
    name = "1 outlet" if len(weights) == 1 else f"{len(weights)} outlets"
    return name, COVERAGE * log2(1 + sum(weights.values()))


def _place(best: Candidate) -> tuple[str, float]:
    position = best.position or 1
    return f"{_ordinal(position)} on {best.outlet}", PLACE / log2(1 + position)


def _age(hours: float) -> tuple[str, float]:
    hours = max(0.0, hours)
    name = "less than an hour old" if hours < 1 else f"{int(hours)} h old"
    return name if hours < 48 else f"{int(hours // 24)} days old", 0.5 ** (hours / HALVED_EVERY_HOURS)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _position(story: Candidate) -> float:
    return inf if story.position is None else story.position


def leading(story: Candidate) -> tuple[bool, bool, float, float, float, int]:
    """Sorts a group's stories, the one to show first: pinned, the paper's own, of the weightiest outlet, best placed,
    earliest."""
    published = inf if story.published_at is None else story.published_at.timestamp()
    return not story.pinned, not story.own, -story.weight, _position(story), published, story.id


def choose(
    groups: Sequence[Sequence[Candidate]],
    *,
    now: datetime,
    limit: int,
    per_outlet: int,
    own_at_least: int = 0,
    carried: Sequence[Carried] = (),
    sections: Sequence[str] = (),
    background: Background | None = None,
) -> Selection:
    """At most `limit` groups by their points, each event once, across editions too.

    - A group with a story of the URL or title of a `carried` item is passed over. So is one whose text is like that of
      a carried item by 0.40, unless it is pinned. One that is like it by 0.30 loses the 3 points that half its outlets
      are worth, or is an update if twice as many outlets tell it as then.
    - No outlet leads more than `per_outlet` items: another outlet's story leads then, or the group is passed over.
      Pinned stories lead regardless.
    - The best `own_at_least` groups with a story of the paper's own are in, whatever their points and outlet.
    - The first item is one that two outlets tell, or a pinned one, if there is such an item. Then come those of no
      section, then the `sections` in their order, each by points.
    """
    today = (_terms([story]) for group in groups for story in group)
    memory = Memory(carried, today, background)
    entries = [_Entry(score(group, now, sections), group) for group in groups if group]
    kept = _best_of_our_own(entries, memory, min(own_at_least, limit))
    queue = [_kept(entry) if entry.number in kept else entry for entry in entries]
    heapify(queue)
    chosen: list[Chosen] = []
    passed: list[PassedOver] = []
    led = Counter[str]()
    while queue:
        entry = heappop(queue)
        verdict = _no_place(entry, len(chosen), len(kept), limit) or _remembered(entry, memory)
        if isinstance(verdict, _Entry):
            heappush(queue, verdict)
        elif verdict := verdict or _take(entry, chosen, led, per_outlet):
            passed.append(passed_over(entry.group, entry.score, verdict))
        else:
            kept.discard(entry.number)
    return Selection(_arranged(_with_a_lead(chosen), sections), tuple(passed))


def _best_of_our_own(entries: Iterable[_Entry], memory: Memory, places: int) -> set[int]:
    """The numbers of the groups for which places are kept: the best that are not told already."""
    queue = [entry for entry in entries if any(story.own for story in entry.group)] if places else []
    heapify(queue)
    kept: set[int] = set()
    while queue and len(kept) < places:
        entry = heappop(queue)
        verdict = _remembered(entry, memory)
        if isinstance(verdict, _Entry):
            heappush(queue, verdict)
        elif verdict is None:
            kept.add(entry.number)
    return kept


def _kept(entry: _Entry) -> _Entry:
    return replace(entry, kept=True, score=Score((*entry.score.parts, ("a place kept for our own", 0.0))))


def _no_place(entry: _Entry, chosen: int, kept: int, limit: int) -> str | None:
    if chosen == limit:
        return f"not among the first {limit} by points"
    if chosen + kept >= limit and not entry.kept:
        return "the last places were kept for our own stories"
    return None


@dataclass(frozen=True)
class _Entry:
    """A group in the queue, the one with the most points first. `kept` when a place is kept for it."""

    score: Score
    group: Sequence[Candidate]
    judged: bool = False
    update: bool = False
    kept: bool = False

    @property
    def number(self) -> int:
        """Tells the group from the others."""
        return min(story.id for story in self.group)

    def __lt__(self, other: _Entry) -> bool:
        return self._order < other._order

    @cached_property
    def _order(self) -> tuple[float, float, int]:
        newest = max((story.published_at.timestamp() for story in self.group if story.published_at), default=0.0)
        return -self.score.total, -newest, self.number

    @property
    def lead(self) -> Candidate:
        return min(self.group, key=leading)


def _remembered(entry: _Entry, memory: Memory) -> str | _Entry | None:
    """Why a group is out, or what it is worth, after what earlier editions told; None if they change nothing."""
    if entry.judged:
        return None
    for story in entry.group:
        if item := memory.same(story.url, story.title):
            return f"already in the edition of {item.day}"
    like, item = memory.likest(_terms(entry.group)) or (0.0, None)
    if item is None or like < LIKE_BEFORE:
        return None
    pinned = any(story.pinned for story in entry.group)
    if like >= TOLD_BEFORE and not pinned:
        return f"tells again what was in the edition of {item.day}: {item.title}"
    if pinned or len({story.outlet for story in entry.group}) >= 2 * item.outlets:
        return replace(entry, judged=True, update=True)
    parts = (*entry.score.parts, (f"like an item of {item.day}", -COVERAGE))
    return replace(entry, judged=True, score=Score(parts))


def _terms(stories: Sequence[Candidate]) -> Counter[str]:
    return Counter(term for story in stories for term in terms(story.title) * TITLE_COUNTS + terms(story.summary))


def _take(entry: _Entry, chosen: list[Chosen], led: Counter[str], per_outlet: int) -> str | None:
    """Put a group among the chosen, or say why its outlets leave no room for it."""
    ordered = sorted(entry.group, key=leading)
    free = (story for story in ordered if story.pinned or (entry.kept and story.own) or led[story.outlet] < per_outlet)
    lead = next(free, None)
    if lead is None:
        return f"{_ordinal(led[ordered[0].outlet] + 1)} story of {ordered[0].outlet}"
    led[lead.outlet] += 1
    chosen.append(Chosen(lead, _others(lead, ordered), entry.score, entry.update, _section(lead, entry.group)))
    return None


def passed_over(group: Sequence[Candidate], score: Score, reason: str) -> PassedOver:
    ordered = sorted(group, key=leading)
    return PassedOver(ordered[0], score, reason, _others(ordered[0], ordered))


def _others(lead: Candidate, ordered: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The first story of each other outlet."""
    others = {story.outlet: story for story in reversed(ordered) if story.outlet != lead.outlet}
    return tuple(sorted(others.values(), key=leading))


def _section(lead: Candidate, group: Sequence[Candidate]) -> str:
    """The section of the story that is shown, else the one that most of the others name."""
    named = Counter(story.section for story in group if story.section)
    return lead.section or min(named, key=lambda section: (-named[section], section), default="")


def _with_a_lead(chosen: Sequence[Chosen]) -> tuple[Chosen, ...]:
    first = next((item for item in chosen if item.others or item.lead.pinned), None)
    return (first, *(item for item in chosen if item is not first)) if first else tuple(chosen)


def _arranged(chosen: tuple[Chosen, ...], sections: Sequence[str]) -> tuple[Chosen, ...]:
    """The first item stands above the sections, and so does what belongs to none."""
    place = {section: n for n, section in enumerate(sections)}
    first, rest = chosen[:1], chosen[1:]
    placed = [item if item.section in place else replace(item, section="") for item in rest]
    return (
        *(replace(item, section="") for item in first),
        *sorted(placed, key=lambda item: place.get(item.section, -1)),
    )
