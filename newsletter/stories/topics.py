"""Which stories are about a topic, told by its words; a gate for groups, not a bonus.

A topic is data that staff may edit: see topics/military.toml.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SHIPPED = Path(__file__).parent / "topics"
STRONG, NAMES, VETO = "strong", "names", "veto"
IN_TITLE = {STRONG: 3.0, NAMES: 1.0}
IN_SUMMARY = {STRONG: 1.0}
"""Points; what is not named here is a kind of weak phrases, with 2 in a title and ½ in a summary, like names there."""

ENOUGH = 3

Phrase = tuple[str, ...]


class TopicInvalid(ValueError):
    """A topic cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True, eq=False)
class Topic:
    """The kind of each phrase, by the phrase's first word: STRONG, NAMES, VETO or the name of a list of weak ones.

    A word that ends in * stands for all that begin so.
    """

    name: str
    phrases: Mapping[str, Mapping[Phrase, str]]


@dataclass(frozen=True)
class Verdict:
    """Whether a story is about the topic, and the words that decided or at least spoke for it, the strongest first."""

    about: bool
    words: tuple[str, ...]


def parse(text: str) -> Topic:
    """A topic from TOML: a name; lists of phrases strong, names and veto; a table weak of such lists, one a kind.

    Raises TopicInvalid.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TopicInvalid(f"not TOML: {error}") from error
    if unknown := data.keys() - {"name", "weak", STRONG, NAMES, VETO}:
        raise TopicInvalid(f"unknown: {', '.join(sorted(unknown))}")
    name, weak = data.get("name"), data.get("weak", {})
    if not isinstance(name, str) or not isinstance(weak, dict):
        raise TopicInvalid("name must be a text, and weak a table")
    lists = {f"weak {kind}": found for kind, found in weak.items()}
    lists |= {kind: data.get(kind, []) for kind in (STRONG, NAMES, VETO)}
    phrases: dict[str, dict[Phrase, str]] = {}
    for kind, found in lists.items():
        for phrase in _phrases(kind, found):
            phrases.setdefault(phrase[0], {})[phrase] = kind
    return Topic(name, phrases)


def _phrases(kind: str, found: object) -> Iterator[Phrase]:
    if not isinstance(found, list) or not all(isinstance(phrase, str) for phrase in found):
        raise TopicInvalid(f"{kind} must be a list of texts")
    for phrase in found:
        if not (words := tuple(re.findall(r"\w+\*?", phrase.casefold()))):
            raise TopicInvalid(f"{kind} has a phrase without a word: {phrase!r}")
        yield words


def shipped_names() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


@lru_cache
def shipped(name: str) -> Topic:
    """A topic that comes with the product, such as "military". Raises TopicInvalid where there is none of the name."""
    return parse(shipped_text(name))


def shipped_text(name: str) -> str:
    """The same as TOML. Raises TopicInvalid."""
    known = {path.stem: path for path in SHIPPED.glob("*.toml")}
    if name not in known:
        raise TopicInvalid(f"there is no topic {name!r}, but there is: {', '.join(sorted(known))}")
    return known[name].read_text(encoding="utf-8")


def judge(topic: Topic, title: str, summary: str = "") -> Verdict:
    """A story is about the topic with 3 points, by IN_TITLE and IN_SUMMARY.

    A title says what a story is about and a summary what it mentions as well, so a strong phrase in the title is
    enough, or two weak ones of different kinds, or a weak one and a name; the summary only helps. Phrases of one kind
    count once. A word inside a longer phrase counts as that phrase only: "trade war" as a veto hides its "war".
    """
    titled = _hits(topic, title)
    points = sum(IN_TITLE.get(kind, 2) for kind in titled)
    summed = _hits(topic, summary) if 0 < points < ENOUGH else {}
    points += sum(IN_SUMMARY.get(kind, 0.5) for kind in summed.keys() - titled.keys())
    words = [word for hits in (titled, summed) for kind in sorted(hits, key=_order) for word in hits[kind].values()]
    return Verdict(points >= ENOUGH, tuple(dict.fromkeys(words)))


def _hits(topic: Topic, text: str) -> dict[str, dict[Phrase, str]]:
    """By kind, the phrases of a text as they stand there first; without vetoes."""
    hits: dict[str, dict[Phrase, str]] = {}
    for phrase, kind, words in _found(topic, text):
        if kind != VETO:
            hits.setdefault(kind, {}).setdefault(phrase, words)
    return hits


def _order(kind: str) -> tuple[float, str]:
    return -IN_TITLE.get(kind, 2), kind


def _found(topic: Topic, text: str) -> Iterator[tuple[Phrase, str, str]]:
    """The phrases of a text from left to right with their kinds, and as they stand there."""
    words = list(re.finditer(r"\w+", text))
    folded = [word[0].casefold() for word in words]
    at = 0
    while at < len(words):
        if hit := _longest(topic, folded, at):
            last = at + len(hit[0]) - 1
            yield *hit, text[words[at].start() : words[last].end()]
            at = last
        at += 1


def _longest(topic: Topic, words: Sequence[str], at: int) -> tuple[Phrase, str] | None:
    """The longest phrase that stands at a place, and its kind."""
    fitting = [
        (phrase, kind)
        for phrase, kind in _beginning(topic, words[at])
        if len(words) - at >= len(phrase) and all(map(_fits, phrase, words[at:]))
    ]
    return max(fitting, key=lambda hit: (len(hit[0]), hit), default=None)


@lru_cache(maxsize=50_000)
def _beginning(topic: Topic, word: str) -> tuple[tuple[Phrase, str], ...]:
    firsts = [word, *(f"{word[:end]}*" for end in range(1, len(word) + 1))]
    return tuple(hit for first in firsts for hit in topic.phrases.get(first, {}).items())


def _fits(wanted: str, word: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted


def passes(about: Sequence[bool], on_topic_sources: Sequence[bool] = ()) -> bool:
    """Whether a group is let through: half of its stories are about the topic, or a source is marked as on it."""
    return any(on_topic_sources) or 2 * sum(about) >= len(about) > 0
