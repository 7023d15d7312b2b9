"""Average-link merging of what is alike, under marks that say what must not be merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from heapq import heappop, heappush
from math import sqrt

EXPECTED_COHESION = 0.3
"""How alike the members of one group are on average, as far as merging is concerned."""

Ties = Mapping[int, Mapping[int, float]]
"""What is alike, and how much: ties[i][j] == ties[j][i]."""


def merge(parts: Sequence[Sequence[int]], ties: Ties, barred: Mapping[int, Set[int]], least: float) -> list[list[int]]:
    """Merge the two parts that are most alike, again and again, while they are alike by `least`.

    `parts` hold numbers; `ties` and `barred` name parts by their place in `parts`. Parts that bar each other, and what
    they were merged with, stay apart. Parts that are equally alike are merged in the order of their numbers.

    How alike two parts are is the sum over their members' ties by |A| |B| c(A) c(B), with c(n)² = e + (1 − e) / n and
    e = EXPECTED_COHESION. This is the cosine of the two parts' mean vectors if members of one part are alike by e
    (the mean of n unit vectors with mean cosine e has the squared length e + (1 − e) / n). Plain average link (e = 1)
    asks of two big groups what it asks of two texts, and so leaves events in pieces; the true lengths instead of an
    expected e would favour loose groups.
    """
    merging = _Merging(parts, ties, barred, least)
    while merging.step():
        pass
    return [part for part in merging.parts if part]


class _Merging:
    """Parts by number; a merged part lives on under one of its numbers and is empty under the other."""

    def __init__(
        self, parts: Sequence[Sequence[int]], ties: Ties, barred: Mapping[int, Set[int]], least: float
    ) -> None:
        self.parts = [list(part) for part in parts]
        self._ties = {i: dict(others) for i, others in ties.items()}
        self._barred = defaultdict[int, set[int]](set, {i: set(others) for i, others in barred.items()})
        self._least = least
        self._size = [_size(len(part)) for part in self.parts]
        self._due: list[tuple[float, int, int]] = []
        for i in self._ties:
            self._offer(i)

    def step(self) -> bool:
        """Merge once; False when nothing is left to merge."""
        while self._due:
            unlike, i, j = heappop(self._due)
            if not self.parts[i]:
                continue
            if (
                self.parts[j]
                and j not in self._barred[i]
                and self._ties[i][j] / (self._size[i] * self._size[j]) == -unlike
            ):
                self._join(i, j)
                return True
            self._offer(i)
        return False

    def _offer(self, i: int) -> None:
        """Put on the heap what `i` is most alike.

        The pair that is most alike of all is always there: whichever of the two changed last offered it, or offered
        a pair still more alike that has changed since, which comes off the heap first and is then replaced.
        """
        size, barred = self._size, self._barred.get(i, ())
        best, partner = 0.0, -1
        for j, tie in self._ties[i].items():
            alike = tie / (size[i] * size[j])
            if (alike > best or (alike == best and j < partner)) and j not in barred:
                best, partner = alike, j
        if best >= self._least:
            heappush(self._due, (-best, i, partner))

    def _join(self, i: int, j: int) -> None:
        if len(self._ties[i]) < len(self._ties[j]):
            i, j = j, i
        self.parts[i] += self.parts[j]
        self.parts[j] = []
        self._size[i] = _size(len(self.parts[i]))
        self._retie(i, j)
        for other in self._barred.pop(j, ()):
            self._barred[i].add(other)
            self._barred[other].add(i)
        self._offer(i)

    def _retie(self, i: int, j: int) -> None:
        """What was tied to j is tied to i now."""
        mine = self._ties[i]
        for other, sum_ in self._ties.pop(j).items():
            theirs = self._ties[other]
            del theirs[j]
            if other != i:
                mine[other] = theirs[i] = mine.get(other, 0.0) + sum_


def _size(members: int) -> float:
    """|A| c(A), see `merge`."""
    return sqrt(members * (1 - EXPECTED_COHESION + EXPECTED_COHESION * members))
