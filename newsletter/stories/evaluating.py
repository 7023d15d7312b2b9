"""How good grouping and topics are, measured against what people said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

ROUNDS = 2000
COVERED = 0.95


@dataclass(frozen=True)
class Score:
    """Precision, recall and their harmonic mean F1, each from 0 to 1.

    `f1` is carried and not worked out, because the F1 of several days is the mean of theirs.
    """

    precision: float
    recall: float
    f1: float


def score(right: float, said: float, true: float) -> Score:
    """Of `said` answers `right` were right, of `true` ones that could be found. Nothing said, or to find, is 1.0."""
    precision = right / said if said else 1.0
    recall = right / true if true else 1.0
    return _score(precision, recall)


def _score(precision: float, recall: float) -> Score:
    both = precision + recall
    return Score(precision, recall, 2 * precision * recall / both if both else 0.0)


def pairwise(groups: Iterable[Collection[Hashable]], gold: Mapping[Hashable, Hashable]) -> Score:
    """Each pair of stories in one group is an answer, each pair with one gold label is to be found.

    Large groups count much: ten stories make 45 pairs.
    """
    said = right = 0
    for group in groups:
        said += _pairs(len(group))
        right += sum(map(_pairs, Counter(gold[story] for story in group).values()))
    return score(right, said, sum(map(_pairs, Counter(gold.values()).values())))


def _pairs(members: int) -> int:
    return members * (members - 1) // 2


def b_cubed(groups: Iterable[Collection[Hashable]], gold: Mapping[Hashable, Hashable]) -> Score:
    """For each story the share of its group that is of its event, and of its event that is in its group; the means.

    After Bagga and Baldwin, "Entity-Based Cross-Document Coreferencing Using the Vector Space Model" (1998). F1 is
    taken of the two means. Groups must hold every story of `gold` once.
    """
    events = Counter(gold.values())
    precision = recall = 0.0
    for group in groups:
        for event, members in Counter(gold[story] for story in group).items():
            precision += members * members / len(group)
            recall += members * members / events[event]
    return _score(precision / len(gold), recall / len(gold)) if gold else _score(1.0, 1.0)


def mean(scores: Sequence[Score]) -> Score:
    """Over pools, each counting the same. Raises ZeroDivisionError where there are none."""
    return Score(
        sum(score.precision for score in scores) / len(scores),
        sum(score.recall for score in scores) / len(scores),
        sum(score.f1 for score in scores) / len(scores),
    )


def yes_or_no(answers: Sequence[bool], truth: Sequence[bool]) -> Score:
    """Of answers to a question like "is it about the military?", one a story. Raises ValueError on unequal lengths."""
    both = list(zip(answers, truth, strict=True))
    return score(sum(answer and true for answer, true in both), sum(answers), sum(truth))


def f1_interval(answers: Sequence[bool], truth: Sequence[bool], seed: int = 0) -> tuple[float, float]:
    """Between which F1s `yes_or_no` would lie with other stories of the kind, in 95 of 100 cases.

    The percentile bootstrap (Efron 1979), 2,000 rounds; the same seed gives the same interval. With few stories to
    find it is wide, and that is the point.
    """
    both = list(zip(answers, truth, strict=True))
    random = Random(seed)
    found = sorted(yes_or_no(*zip(*random.choices(both, k=len(both)), strict=True)).f1 for _ in range(ROUNDS))
    tail = round(ROUNDS * (1 - COVERED) / 2)
    return found[tail], found[-tail - 1]
