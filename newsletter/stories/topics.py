"""Which stories are about a topic, told by its words; a gate for groups, not a bonus.

A topic is data that staff may edit: see topics/military.toml.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SHIPPED = Path(__file__).parent / "topics"
STRONG, VETO = "strong", "veto"

Phrase = tuple[str, ...]


class TopicInvalid(ValueError):
    """A topic cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class Topic:
    """What each phrase says, by the phrase's first word: STRONG, VETO or the kind of a weak phrase.

    A word that ends in * stands for all that begin so.
    """

    name: str
    phrases: Mapping[str, Mapping[Phrase, str]]


@dataclass(frozen=True)
class Verdict:
    """Whether a story is about the topic, and the words that say so, as they stand in it."""

    about: bool
    strong: tuple[str, ...]
    weak: tuple[str, ...]


def parse(text: str) -> Topic:
    """A topic from TOML: a name, lists of phrases `strong` and `veto`, and a table `weak` of lists, one a kind.

    Raises TopicInvalid.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TopicInvalid(f"not TOML: {error}") from error
    if unknown := data.keys() - {"name", "strong", "weak", "veto"}:
        raise TopicInvalid(f"unknown: {', '.join(sorted(unknown))}")
    name, weak = data.get("name"), data.get("weak", {})
    if not isinstance(name, str) or not isinstance(weak, dict):
        raise TopicInvalid("name must be a text, and weak a table")
    lists = {f"weak {kind}": phrases for kind, phrases in weak.items()}
    phrases: dict[str, dict[Phrase, str]] = {}
    for kind, found in {**lists, STRONG: data.get(STRONG, []), VETO: data.get(VETO, [])}.items():
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


@lru_cache
def shipped(name: str) -> Topic:
    """A topic that comes with the product, such as "military". Raises TopicInvalid where there is none of the name."""
    known = {path.stem: path for path in SHIPPED.glob("*.toml")}
    if name not in known:
        raise TopicInvalid(f"there is no topic {name!r}, but there is: {', '.join(sorted(known))}")
    return parse(known[name].read_text(encoding="utf-8"))


def judge(topic: Topic, title: str, summary: str = "") -> Verdict:
    """A title says what a story is about, a summary what it mentions as well.

    So a story is about the topic by a strong phrase in its title, by weak phrases of two kinds in it, or by a weak one
    there and a strong one in the summary. A word inside a longer phrase counts as that phrase only: "trade war" as a
    veto hides its "war".
    """
    titled, summed = _hits(topic, title), _hits(topic, summary)
    strong = _words(titled, {STRONG})
    kinds = titled.keys() - {STRONG}
    if strong or len(kinds) > 1:
        return Verdict(True, strong, _words(titled, kinds))
    behind = _words(summed, {STRONG})
    return Verdict(bool(kinds and behind), behind if kinds else (), _words(titled, kinds))


def _hits(topic: Topic, text: str) -> dict[str, dict[Phrase, str]]:
    """By what they say, the phrases of a text as they stand there first."""
    hits: dict[str, dict[Phrase, str]] = {}
    for phrase, kind, words in _found(topic, text):
        if kind != VETO:
            hits.setdefault(kind, {}).setdefault(phrase, words)
    return hits


def _words(hits: Mapping[str, Mapping[Phrase, str]], kinds: Collection[str]) -> tuple[str, ...]:
    return tuple(words for kind, found in hits.items() if kind in kinds for words in found.values())


def _found(topic: Topic, text: str) -> Iterator[tuple[Phrase, str, str]]:
    """The phrases of a text from left to right with what they say, and as they stand there."""
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
    """The longest phrase that begins at a word, and what it says."""
    word = words[at]
    fitting = [
        (phrase, kind)
        for first in (word, *(f"{word[:end]}*" for end in range(2, len(word) + 1)))
        for phrase, kind in topic.phrases.get(first, {}).items()
        if len(words) - at >= len(phrase) and all(map(_fits, phrase, words[at:]))
    ]
    return max(fitting, key=lambda hit: (len(hit[0]), hit), default=None)


def _fits(wanted: str, word: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted


def passes(about: Sequence[bool], on_topic_sources: Sequence[bool] = ()) -> bool:
    """Whether a group is let through: half of its stories are about the topic, or a source is marked as on it."""
    return any(on_topic_sources) or 2 * sum(about) >= len(about) > 0
