"""What is wrong with an edition before it is approved, and what to do about it: pure.

Six of them block: nobody approves an edition that has one, by hand or by itself. They are what every reader would see,
what cannot be taken back once it is out, and what a person mends in a minute: no stories; no subject; a link that leads
nowhere; a mail so large that Gmail cuts off its end, with the link to leave; words that somebody meant to replace; and
an audience quite other than the last one, which tells of an import or a purge that went wrong, and for which the number
has to be typed. All others are hints: a person may know better, and an automatic edition goes out in spite of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from newsletter.editions import linking
from newsletter.mail.sender_dns import SenderRecords

LARGEST_OCTETS = 100_000
CLIPPED_OCTETS = 102_000
"""Gmail clips at 102 KB; which KB, it does not say, so the smaller."""

LONGEST_SUBJECT = 110
FEW_READERS = 10
"""Below so many more or fewer, a third is only a few people, as in a newsletter's first weeks: that is a hint."""

CERTAIN = re.compile(
    r"lorem\s+ipsum"
    r"|\{\{.*?(?:\}\}|$)|\{%.*?(?:%\}|$)"
    r"|\{(?:lead|name|date|count)\}"
    r"|\[(?:headline|title|subject|summary|intro|name|date|link|url|image|picture|caption|insert\b[^\]]*|your\b[^\]]*)\]"
    r"|\bTK(?:TK)+\b|(?-i:\bTODO\b)\s*:",
    re.IGNORECASE,
)
DOUBTFUL = re.compile(r"\b(?:TK|TODO|FIXME|XXX+)\b")
"""Placeholders that also mean something: a shop, the Spanish for “all”, the thirtieth of a contest."""


class Kind(StrEnum):
    NO_STORIES = "no stories"
    SUBJECT = "subject"
    LINK = "link"
    PICTURE = "picture"
    SIZE = "size"
    HEADLINE = "headline"
    SECTION = "section"
    PLACEHOLDER = "placeholder"
    POSTAL_ADDRESS = "postal address"
    SENDER = "sender"
    SOURCES = "sources"
    AUDIENCE = "audience"
    WARM_UP = "warm-up"
    TEMPLATE = "template"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, in two sentences: what it is, and what to do. `item_position` is the story's place."""

    kind: Kind
    blocking: bool
    message: str
    remedy: str
    item_position: int | None = None


@dataclass(frozen=True)
class Told:
    """A story as it stands in the edition.

    `picture` is the address of the one that is shown, or "". `others` are the addresses of those who also cover it, by
    outlet. `by_hand` names what staff wrote of it; `linkless` is one that staff gave no page on purpose.
    """

    position: int
    headline: str
    summary: str = ""
    url: str = ""
    section: str = ""
    picture: str = ""
    alt: str = ""
    others: tuple[tuple[str, str], ...] = ()
    by_hand: frozenset[str] = frozenset()
    linkless: bool = False


@dataclass(frozen=True)
class Content:
    """The edition. `block` are the words of the house or sponsor's block, `block_url` its link or ""."""

    subject: str
    preheader: str = ""
    intro: str = ""
    stories: tuple[Told, ...] = ()
    block: str = ""
    block_url: str = ""
    by_hand: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Silent:
    """A source that has told nothing since a moment, or never did."""

    outlet: str
    since: datetime | None


@dataclass(frozen=True)
class Audience:
    """How many readers would get it now, how many got the last one, and what a person typed as the number."""

    now: int
    last: int | None = None
    typed: int | None = None


@dataclass(frozen=True)
class Around:
    """What else the edition depends on.

    `html_octets` is None where it could not be rendered. `left_out` says how many readers get nothing because the
    sender's domain is new, and begins with few mails. `inner` says that readers are in the same network as the
    service, `lets_in` that the operator lets feeds in from inner networks, so that links into them may be meant.
    """

    html_octets: int | None = None
    sections: tuple[str, ...] = ()
    last_subject: str | None = None
    postal_address: str = ""
    sender: SenderRecords | None = None
    silent: tuple[Silent, ...] = ()
    audience: Audience | None = None
    left_out: int = 0
    inner: bool = False
    lets_in: bool = False


def examine(content: Content, around: Around) -> list[Finding]:
    """What is wrong, that which blocks first, and then from the top of the mail to its end."""
    looks: Sequence[Callable[[Content, Around], Iterator[Finding]]] = (
        _stories,
        _audience,
        _warm_up,
        _subject,
        _placeholders,
        _links,
        _pictures,
        _headlines,
        _sections,
        _size,
        _postal_address,
        _sender,
        _sources,
    )
    found = [finding for look in looks for finding in look(content, around)]
    return sorted(found, key=lambda finding: not finding.blocking)


def _stories(content: Content, around: Around) -> Iterator[Finding]:
    if not content.stories:
        yield Finding(
            Kind.NO_STORIES, True, "There are no stories in it.", "Compose it again, or skip it for this day."
        )


def _audience(content: Content, around: Around) -> Iterator[Finding]:
    audience = around.audience
    if audience is None or audience.last is None or _was_typed(audience):
        return
    change = audience.now - audience.last
    if 3 * abs(change) > audience.last:
        yield Finding(
            Kind.AUDIENCE,
            abs(change) >= FEW_READERS,
            f"It would go to {_readers(audience.now)}; the last edition went to {audience.last:,}.",
            f"If that is right, type {audience.now} to approve it. If not, look at who was added or removed since then."
            if abs(change) >= FEW_READERS
            else "Look at who was added or removed since then.",
        )


def _warm_up(content: Content, around: Around) -> Iterator[Finding]:
    if around.left_out:
        yield Finding(
            Kind.WARM_UP,
            False,
            f"{_readers(around.left_out)} would get nothing: the sender’s domain is new, and begins with few mails.",
            "Nothing needs to be done: the plan lets more of them in each day. It stands in the config, as warm_up.",
        )


def _was_typed(audience: Audience) -> bool:
    """The number may have moved a little since the page was shown."""
    return audience.typed is not None and abs(audience.typed - audience.now) <= max(1, audience.now // 100)


def _readers(count: int) -> str:
    return "1 reader" if count == 1 else f"{count:,} readers"


def _subject(content: Content, around: Around) -> Iterator[Finding]:
    subject = content.subject.strip()
    if not subject:
        yield Finding(Kind.SUBJECT, True, "The subject is empty.", "Write one; without it a mail is taken for spam.")
    elif len(subject) > LONGEST_SUBJECT:
        yield Finding(
            Kind.SUBJECT,
            False,
            f"The subject has {len(subject)} characters; a phone shows about 40, a desktop about 70.",
            "Shorten it, or see that its first words tell the news.",
        )
    if subject and around.last_subject is not None and _key(subject) == _key(around.last_subject):
        yield Finding(
            Kind.SUBJECT,
            False,
            "The subject is the same as the last edition's.",
            "Write another one, so that nobody takes it for a mail that they have read.",
        )


def _placeholders(content: Content, around: Around) -> Iterator[Finding]:
    """They block where staff wrote them. In an outlet's own text they may well be right, and no feed shall be able to
    hold an edition."""
    in_stories: set[str] = set()
    for story in content.stories:
        for part, text in (("headline", story.headline), ("summary", story.summary), ("image_alt", story.alt)):
            for word, _ in _words_to_replace(text):
                in_stories.add(word)
                where = f"{'picture’s description' if part == 'image_alt' else part} of story {story.position}"
                yield _placeholder(word, where, part in story.by_hand, story.position)
    for part, text in (("subject", content.subject), ("preheader", content.preheader), ("intro", content.intro)):
        for word, certain in _words_to_replace(text):
            written = part in content.by_hand or part == "intro"
            if written or word not in in_stories:  # else it is a story's headline, and told there
                yield _placeholder(word, "preview line" if part == "preheader" else part, certain or written)
    for word, _ in _words_to_replace(content.block):
        yield _placeholder(word, "house or sponsor’s block", True)


def _words_to_replace(text: str) -> Iterator[tuple[str, bool]]:
    """Each placeholder in a text, and whether it is certain to be one."""
    for match in CERTAIN.finditer(text):
        yield match[0][:40], True
    rest = CERTAIN.sub(" ", text)
    for match in DOUBTFUL.finditer(rest):
        alone = rest.strip() == match[0]
        if alone or not rest.isupper():  # a headline all in capitals has its words in capitals
            yield match[0], alone


def _placeholder(word: str, where: str, blocking: bool, position: int | None = None) -> Finding:
    return Finding(
        Kind.PLACEHOLDER,
        blocking,
        f"“{word}” in the {where} looks like words that were to be replaced.",
        "Write what belongs there." if position is None else "Write what belongs there, or take the story out.",
        position,
    )


def _links(content: Content, around: Around) -> Iterator[Finding]:
    for which, url, position in _addresses(content):
        if wrong := linking.fault(url, around.inner):
            blocking = linking.blocks(url, around.inner, around.lets_in) is not None
            remedy = "Correct it, or take the story out." if position else "Correct it in the newsletter’s settings."
            yield Finding(Kind.LINK, blocking, f"{which} {wrong}.", remedy, position)


def _addresses(content: Content) -> Iterator[tuple[str, str, int | None]]:
    """Every address in the mail that is not our own, with what it is."""
    for story in content.stories:
        if story.url or not story.linkless:
            yield f"The link of story {story.position}", story.url, story.position
        for outlet, url in story.others:
            if url:
                yield f"The link to {outlet} below story {story.position}", url, story.position
        if story.picture:
            yield f"The address of the picture of story {story.position}", story.picture, story.position
    if content.block_url:
        yield "The link of the house or sponsor’s block", content.block_url, None


def _pictures(content: Content, around: Around) -> Iterator[Finding]:
    for story in content.stories:
        if story.picture and not story.alt.strip():
            yield Finding(
                Kind.PICTURE,
                False,
                f"The picture of story {story.position} has no description.",
                "Say in a few words what it shows, for readers who do not see it.",
                story.position,
            )


def _headlines(content: Content, around: Around) -> Iterator[Finding]:
    alike: dict[str, list[int]] = defaultdict(list)
    for story in content.stories:
        alike[_key(story.headline)].append(story.position)
    for key, positions in alike.items():
        if not key:
            yield Finding(
                Kind.HEADLINE,
                False,
                f"The headline of story {positions[0]} is empty.",
                "Write one, or take the story out.",
                positions[0],
            )
        elif len(positions) > 1:
            yield Finding(
                Kind.HEADLINE,
                False,
                f"Stories {_listed(map(str, positions))} have the same headline.",
                "Keep one of them, or tie them together so that they are told as one.",
                positions[1],
            )


def _key(text: str) -> str:
    """What is left of a text without case, spaces and punctuation; by it two are the same."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LMN")


def _sections(content: Content, around: Around) -> Iterator[Finding]:
    filled = {story.section.casefold() for story in content.stories}
    empty = [section for section in around.sections if section.casefold() not in filled]
    if content.stories and empty:
        yield Finding(
            Kind.SECTION,
            False,
            f"There is nothing for {_listed(empty)} today.",
            "Nothing needs to be done: a section without stories is left out.",
        )


def _size(content: Content, around: Around) -> Iterator[Finding]:
    octets = around.html_octets or 0
    if octets > LARGEST_OCTETS:
        yield Finding(
            Kind.SIZE,
            octets > CLIPPED_OCTETS,
            f"The mail has {-(-octets // 1000)} KB of HTML. Gmail cuts off what is over 102 KB, the link to leave too.",
            "Shorten summaries, or take a story out.",
        )


def _postal_address(content: Content, around: Around) -> Iterator[Finding]:
    if not around.postal_address.strip():
        yield Finding(
            Kind.POSTAL_ADDRESS,
            False,
            "There is no postal address at its foot, which the law of many countries wants.",
            "Write it into the newsletter’s settings.",
        )


def _sender(content: Content, around: Around) -> Iterator[Finding]:
    if around.sender is not None and (missing := around.sender.missing):
        records = "record" if len(missing) == 1 else "records"
        yield Finding(
            Kind.SENDER,
            False,
            f"{around.sender.domain} has no {_listed(missing, 'or')} {records}: mailboxes may take its mails for spam.",
            "Ask whoever keeps the domain to add what newsletter doctor prints.",
        )


def _sources(content: Content, around: Around) -> Iterator[Finding]:
    if around.silent:
        named = [_silence(one) for one in around.silent[:3]]
        more = len(around.silent) - len(named)
        yield Finding(
            Kind.SOURCES,
            False,
            f"Unusually silent: {_listed([*named, f'{more} more'] if more else named)}.",
            "Look at the page of sources; their stories may be missing here.",
        )


def _silence(one: Silent) -> str:
    return f"{one.outlet} since {one.since:%d %b, %H:%M} UTC" if one.since else one.outlet


def _listed(words: Iterator[str] | map[str] | Sequence[str], last: str = "and") -> str:
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end
