"""How alike texts are: TF-IDF vectors, their cosine, and the pairs worth looking at among thousands."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log, sqrt

Terms = Mapping[str, float]
"""How often a text has each term; a word of the title may count more than once."""

Vector = dict[str, float]
"""What each term of a text weighs in it."""

RARE = 8
"""A word in fewer stories than an event brings is no better evidence than a word in this many."""

FREE_LENGTH, DAMPING = 3.0, 0.3
"""Long texts share words by chance: beyond the length of three, vectors shrink by length ** 0.3."""

UNSAID = 1.0
"""Short texts leave out what would tell them apart: each is read as if it had a rare word more, and no other had it."""

OFTEN = 100
"""A word in more texts than this may be passed over as one that brings texts together, see `alike_pairs`."""


@dataclass(frozen=True)
class Background:
    """In how many of one's own recent stories each term stands, so that a common word is known as common."""

    stories: int = 0
    frequency: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[Iterable[str]]) -> Background:
        """From the terms of each story."""
        stories, frequency = 0, Counter[str]()
        for terms in texts:
            stories += 1
            frequency.update(set(terms))
        return cls(stories, frequency)


def weights(texts: Sequence[Terms], background: Background | None = None) -> dict[str, float]:
    """What each term of these texts tells: 1.0 for a rare one, less the more stories have it.

    This is IDF, log(1 + N / df), as a share of a rare term's. Where N is large events bring more stories too, so
    rare is √N / 2 there. With a background a term tells no more than among these texts alone: what half of them have,
    and hardly any before, is the talk of the day and tells none of its events from another.
    """
    frequency = Counter(term for text in texts for term in text)
    here = _shares(frequency, len(texts))
    if not (background and background.stories):
        return here
    known = {term: count + background.frequency.get(term, 0) for term, count in frequency.items()}
    ever = _shares(known, len(texts) + background.stories)
    return {term: min(weight, ever[term]) for term, weight in here.items()}


def _shares(frequency: Mapping[str, int], total: int) -> dict[str, float]:
    rare = max(RARE, sqrt(total) / 2)
    most = log(1 + total / rare)
    return {term: log(1 + total / max(count, rare)) / most for term, count in frequency.items()}


def vector(terms: Terms, weights: Mapping[str, float], damping: float = 0.0, unsaid: float = 0.0) -> Vector:
    """A text as a vector of length 1; terms without a weight are left out. Frequency counts by its root.

    With damping it is shorter for a long text, with something unsaid for a short one.
    """
    telling = [(term, sqrt(count) * weights[term]) for term, count in terms.items() if term in weights]
    length = sqrt(unsaid + sum([weight * weight for _, weight in telling]))
    if not length:
        return {}
    shrunk = (FREE_LENGTH / max(length, FREE_LENGTH)) ** damping / length
    return {term: weight * shrunk for term, weight in telling}


def cosine(one: Vector, other: Vector) -> float:
    """From 0 for texts without a common word to 1 for equal ones."""
    return sum(weight * other[term] for term, weight in one.items() if term in other)


def alike_pairs(vectors: Sequence[Vector], least: float) -> Iterator[tuple[int, int, float]]:
    """(i, j, likeness) with j < i of the pairs alike by at least `least`, but for a few that are barely so.

    Where "president" and other words in more than OFTEN texts could not make up `least` by themselves, they only add
    to what rarer words have found; else a few of them would bring together thousands.
    """
    counts = Counter(term for vector in vectors for term in vector)
    texts: defaultdict[str, list[int]] = defaultdict(list)
    shares: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
    for i, vector in enumerate(vectors):
        telling, adding = _by_use(vector, counts, least)
        likeness = [0.0] * i
        for term, weight in telling:
            for j, share in zip(texts[term], shares[term], strict=True):
                likeness[j] += weight * share
        found = set[int]().union(*[texts[term] for term, _ in telling])
        if adding:
            for j in [j for j in found if likeness[j] >= least / 2]:
                likeness[j] += sum([weight * vectors[j].get(term, 0.0) for term, weight in adding])
        for j in [j for j in found if likeness[j] >= least]:
            yield i, j, likeness[j]
        for term, weight in (*telling, *adding):
            texts[term].append(i)
            shares[term].append(weight)


Weighed = list[tuple[str, float]]


def _by_use(vector: Vector, counts: Mapping[str, int], least: float) -> tuple[Weighed, Weighed]:
    """A text's words that bring it together with others, and those that only add: the most frequent ones of more than
    OFTEN texts, as long as their squares, so their share in a likeness, stay below `least`."""
    telling = [(term, weight) for term, weight in vector.items() if 1 < counts[term] <= OFTEN]
    adding: Weighed = []
    share = 0.0
    for term in sorted((term for term in vector if counts[term] > OFTEN), key=lambda term: (-counts[term], term)):
        share += vector[term] ** 2
        (adding if share < least else telling).append((term, vector[term]))
    return telling, adding
