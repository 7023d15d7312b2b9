"""A day of invented news: events that several outlets tell, each in words of its own. It is the same every time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

NOW = datetime(2026, 3, 3, 5, 0, tzinfo=UTC)
HOURS = 48
WORDS = 24_000
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"
SMALL_WORDS = ("the", "of", "to", "in", "a", "and", "on", "for", "as", "with", "at", "by", "after", "is", "will")
"""Two words in five of any English text are such; they cost reading and tell nothing."""


@dataclass(frozen=True)
class Told:
    """A story. `position` is its place in its outlet's feed, 1 for the first."""

    id: int
    title: str
    summary: str
    outlet: str
    position: int
    at: datetime

    @property
    def url(self) -> str:
        return f"https://www.{self.outlet}/{self.at:%Y/%m/%d}/story-{self.id}"


class Language:
    """Made-up words, the n-th of them said about 1 / n as often as the first (Zipf)."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._words = [self._word() for _ in range(WORDS)]
        self._said = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))

    def _word(self) -> str:
        pick = self._random.choice
        return "".join(pick(CONSONANTS) + pick(VOWELS) for _ in range(pick((2, 3, 3, 4)))) + pick(CONSONANTS)

    def common(self, count: int) -> list[str]:
        """Words as they come in any text."""
        words = self._random.choices(self._words, cum_weights=self._said, k=count)
        return [self._random.choice(SMALL_WORDS) if self._random.random() < 0.4 else word for word in words]

    def rare(self, count: int) -> list[str]:
        """Words that say what an event is about: names as a rule."""
        return [word.capitalize() for word in self._random.choices(self._words[200:], k=count)]


def day(stories: int, outlets: int = 200) -> list[Told]:
    """So many stories of two days. Most events are told by one outlet, a few by dozens."""
    random = Random(1)
    language = Language(random)
    names = [f"outlet{number}.example" for number in range(outlets)]
    placed = dict.fromkeys(names, 0)
    told: list[Told] = []
    while len(told) < stories:
        subject = language.rare(random.randint(5, 12)) + language.common(6)
        began = random.uniform(0, HOURS)
        for outlet in random.sample(names, k=min(_coverage(random, outlets), stories - len(told))):
            placed[outlet] += 1
            told.append(
                Told(
                    id=len(told) + 1,
                    title=_text(random, language, subject, random.randint(6, 14), 0.5),
                    summary=_text(random, language, subject, random.randint(0, 60), 0.25),
                    outlet=outlet,
                    position=1 + placed[outlet] % 50,
                    at=NOW - timedelta(hours=random.uniform(began, min(HOURS, began + 12))),
                )
            )
    return told


def _coverage(random: Random, outlets: int) -> int:
    """How many outlets tell an event."""
    return min(int(random.paretovariate(1.1)), 60, outlets)


def _text(random: Random, language: Language, subject: list[str], words: int, about: float) -> str:
    """So many words, a share of them `about` the subject."""
    written = [random.choice(subject) if random.random() < about else word for word in language.common(words)]
    return " ".join(written).capitalize()
