"""An edition's subject and preview line, where no hand wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from newsletter.editions.models import Edition, Revision, subject_before
from newsletter.foundation import writing
from newsletter.foundation.languages import spoken
from newsletter.foundation.text import one_line
from newsletter.newsletters.subjects import filled
from newsletter.stories.markup import shortened

AT_MOST = 300
LEAD, DATE = "{lead}", "{date}"


@dataclass(frozen=True)
class Wording:
    """The subject, and the preview line that mail programs show after it."""

    subject: str
    preheader: str


@dataclass(frozen=True)
class Name:
    """What a subject may say besides headlines: `date` is in words."""

    name: str
    date: str
    pattern: str = ""


def wording_of(found: Edition, headlines: Sequence[str]) -> Wording:
    """What an edition with these headlines is called by itself. Reads only."""
    publication = found.newsletter
    day = writing.long_day(found.local_date, spoken(publication.language))
    return worded(headlines, Name(publication.name, day, publication.subject_pattern), subject_before(found))


def worded(headlines: Sequence[str], name: Name, before: str = "") -> Wording:
    """The lead's headline, or the newsletter's pattern; but never `before` again, in whichever case and spacing.

    Then the next headline stands in the lead's place, because it says something new; a subject without headlines in it,
    or with none that is new, gets the date, or a number where the date is there already. The preview line goes on with
    the first two headlines that are not there yet. Pure.
    """
    told = [line for line in map(one_line, headlines) if line]
    for subject, used in _subjects(told, name):
        if not is_same(subject, before):
            return Wording(subject, preheader_of([line for line in told if line != used]))
    raise AssertionError("there is always another subject")


def renewed(written: Revision, headlines: Sequence[str]) -> Wording:
    """What a revision is called with other headlines: words that were its own follow them, a hand's words stay."""
    own = wording_of(written.edition, [item.headline for item in written.items])
    new = wording_of(written.edition, headlines)
    return Wording(
        subject=new.subject if written.subject == own.subject else written.subject,
        preheader=new.preheader if written.preheader == own.preheader else written.preheader,
    )


def preheader_of(headlines: Sequence[str]) -> str:
    return shortened(" · ".join(headlines[:2]), AT_MOST)


def _subjects(headlines: Sequence[str], name: Name) -> Iterator[tuple[str, str]]:
    """What the subject may be, the best first, each with the headline that it tells."""
    pattern = name.pattern or LEAD
    leads = list(headlines) if LEAD in pattern else []
    named = [(_filled(pattern, lead, name, len(headlines)), lead) for lead in leads or [""]]
    yield from named
    first, used = named[0]
    if DATE not in pattern:
        yield _ending(first, f" · {name.date}"), used
    yield from ((_ending(first, f" ({n})"), used) for n in count(2))


def _ending(subject: str, words: str) -> str:
    return shortened(subject, AT_MOST - len(words)) + words


def _filled(pattern: str, lead: str, name: Name, stories: int) -> str:
    """A long headline is cut, so that the rest of the pattern stands."""
    rest = filled(pattern, lead="", name=name.name, date=name.date, count=stories)
    room = max(20, (AT_MOST - len(rest)) // max(1, pattern.count(LEAD)))
    whole = filled(pattern, lead=shortened(lead, room), name=name.name, date=name.date, count=stories)
    return shortened(one_line(whole), AT_MOST) or name.name


def is_same(subject: str, other: str) -> bool:
    """Whether readers take one subject for the other: case and spacing do not matter."""
    return _folded(subject) == _folded(other)


def _folded(subject: str) -> str:
    return " ".join(subject.casefold().split())
