"""Looking at a feed before it is collected: what would come in, and every problem seen. Stores nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.stories.asking import Ask, answer_to
from newsletter.stories.fetching import Fetcher
from newsletter.stories.parsing import ParsedStory

OLD = timedelta(days=14)

DATE = re.compile(r" (“[^”]*”|\d{4}-\d\d-\d\d \d\d:\d\d UTC)")
"""Which date it is, in a note; the notes of many stories differ in nothing else."""


@dataclass(frozen=True)
class Checked:
    """`url` is where the feed was found in the end; `problems` are sentences."""

    url: str
    title: str
    stories: tuple[ParsedStory, ...]
    problems: tuple[str, ...]
    kind: str = ""


def check(url: str, fetcher: Fetcher, now: datetime) -> Checked:
    """Raises FetchFailed, NotAFeed, AddressForbidden and the like."""
    answer = answer_to(Ask(0, url), fetcher, now)
    if answer.error is not None:
        raise answer.error
    stories = answer.feed.stories if answer.feed else ()
    title = answer.feed.title if answer.feed else ""
    where = answer.fetched.url if answer.fetched else url
    problems = (*_address_problems(url, where), *_problems(title, stories, now))
    return Checked(where, title, stories, problems, answer.feed.kind if answer.feed else "")


def _address_problems(url: str, where: str) -> Iterator[str]:
    if where != url:
        yield f"The address leads on to {where}; add that one."


def _problems(title: str, stories: Sequence[ParsedStory], now: datetime) -> Iterator[str]:
    if not title:
        yield "The feed has no title, so its outlet wants a name from you."
    if not stories:
        yield "There is no story with a title and an address in it."
        return
    for note, count in Counter(DATE.sub("", story.date_note) for story in stories if story.date_note).items():
        yield f"{count} of {len(stories)}: {note}."
    if all(now - story.published_at > OLD for story in stories):
        yield f"The newest story is {(now - max(s.published_at for s in stories)).days} days old."
    if count := sum(not story.summary for story in stories):
        yield f"{count} of {len(stories)} have no summary; grouping has only their titles to go by."
    pictured = [story for story in stories if story.image_url]
    if not pictured:
        yield "No story has a picture; a look at their pages (page fetch) may find some."
    elif count := sum(not story.image_alt for story in pictured):
        yield f"{count} of {len(pictured)} pictures have no description (alt text)."
