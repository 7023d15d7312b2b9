"""What earlier editions told, so that today's does not tell it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from newsletter.stories.likeness import Background, Terms, cosine, vector, weights
from newsletter.stories.words import terms


@dataclass(frozen=True)
class Carried:
    """An item of an edition that was sent.

    `url` is canonical, `text` the titles and summaries of its group, `outlets` how many told it then.
    """

    url: str
    title: str
    text: str
    outlets: int
    on: date

    @property
    def day(self) -> str:
        """ "21 November" """
        return f"{self.on.day} {self.on:%B}"


class Memory:
    """The items of earlier editions, to be asked about today's groups."""

    def __init__(
        self, carried: Sequence[Carried], today: Iterable[Terms] = (), background: Background | None = None
    ) -> None:
        """The words of today's stories, and of the background, tell which words are common."""
        texts = [Counter(terms(item.text)) for item in carried]
        self._weights = weights([*texts, *today], background) if carried else {}
        self._told = [(vector(text, self._weights), item) for text, item in zip(texts, carried, strict=True)]
        self._by_key = {key: item for item in carried for key in (item.url, _folded(item.title)) if key}

    def same(self, url: str, title: str) -> Carried | None:
        """The item of this URL, or of this title but for case and spaces."""
        return self._by_key.get(url) or self._by_key.get(_folded(title))

    def likest(self, text: Terms) -> tuple[float, Carried] | None:
        """The item whose text is likest to one, and how like it is, from 0 to 1. None when nothing was told."""
        today = vector(text, self._weights)
        found = ((cosine(today, told), item) for told, item in self._told)
        return max(found, key=lambda like: like[0], default=None)


def _folded(title: str) -> str:
    return " ".join(title.casefold().split())
