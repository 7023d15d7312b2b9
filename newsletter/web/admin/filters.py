"""Which readers somebody looks for, as it is typed: a form's fields, made conditions, and said in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from newsletter.foundation import writing
from newsletter.foundation.text import one_line
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.subscribers import segments
from newsletter.subscribers.models import SubscriptionOrigin
from newsletter.subscribers.segments import (
    AtDomain,
    Bounced,
    CameBy,
    Condition,
    InSlot,
    InState,
    Joined,
    Left,
    OfNewsletter,
    Part,
    ReaderState,
)
from newsletter.web.admin.access import my_newsletter, my_newsletters

FIELDS = (
    "q",
    "newsletter",
    "slot",
    "state",
    "source",
    "joined_since",
    "joined_until",
    "left_since",
    "left_until",
    "domain",
    "bounced",
)
STATES = {
    ReaderState.ACTIVE: "Active",
    ReaderState.PAUSED: "Paused",
    ReaderState.UNSUBSCRIBED: "Unsubscribed",
    ReaderState.SUPPRESSED: "Never mailed",
}
SOURCES = {
    SubscriptionOrigin.FORM: "The form on our pages",
    SubscriptionOrigin.EMBED: "The box on another page",
    SubscriptionOrigin.STAFF: "Staff",
    SubscriptionOrigin.COMMAND: "The command line",
    SubscriptionOrigin.IMPORT: "An import",
    SubscriptionOrigin.PREFERENCES: "Their preferences",
    SubscriptionOrigin.UNKNOWN: "Not known",
}


@dataclass(frozen=True)
class Filter:
    """What was asked for. `typed` are the fields that were filled in, `wrong` those that say nothing one could look
    for; then nobody is looked for."""

    typed: dict[str, str]
    conditions: tuple[Condition, ...]
    wrong: dict[str, str]

    @property
    def text(self) -> str:
        return self.typed.get("q", "")

    @property
    def is_open(self) -> bool:
        """Whether something else is asked for than a part of the address."""
        return bool(self.typed.keys() - {"q"})


def asked(values: Mapping[str, str]) -> Filter:
    """From a form's fields. Raises NewsletterUnknown for one that is another's."""
    typed = {name: text for name in FIELDS if (text := one_line(values.get(name, ""))[: segments.LONGEST])}
    wrong: dict[str, str] = {}
    conditions = tuple(_conditions(typed, wrong))
    return Filter(typed, () if wrong else conditions, wrong)


def _conditions(typed: dict[str, str], wrong: dict[str, str]) -> Iterator[Condition]:
    if text := typed.get("q"):
        yield Part(text)
    if slug := typed.get("newsletter"):
        yield OfNewsletter(my_newsletter(slug).id)
    if slot := typed.get("slot"):
        known = {str(one.id): one.id for one in my_slots()}
        if slot in known:
            yield InSlot(known[slot])
        else:
            wrong["slot"] = "There is no such time."
    if state := typed.get("state"):
        if state in set(ReaderState):
            yield InState(ReaderState(state))
        else:
            wrong["state"] = "There is no such state."
    if source := typed.get("source"):
        if source in set(SubscriptionOrigin):
            yield CameBy(SubscriptionOrigin(source))
        else:
            wrong["source"] = "There is no such way."
    days = {name: _day(typed, name, wrong) for name in FIELDS if name.endswith(("_since", "_until"))}
    if days["joined_since"] or days["joined_until"]:
        yield Joined(days["joined_since"], days["joined_until"])
    if days["left_since"] or days["left_until"]:
        yield Left(days["left_since"], days["left_until"])
    if typed.get("domain") and (name := segments.domain(typed["domain"])):
        yield AtDomain(name)
    if typed.get("bounced"):
        yield Bounced()


def _day(typed: dict[str, str], name: str, wrong: dict[str, str]) -> date | None:
    try:
        return date.fromisoformat(typed[name]) if name in typed else None
    except ValueError:
        wrong[name] = "Write the day like 2026-12-24."
        return None


def my_slots() -> list[Slot]:
    return [slot for one in my_newsletters() for slot in one.slots]


def fields_of(conditions: Sequence[Condition], every: Sequence[Newsletter]) -> dict[str, str]:
    """A form's fields that ask for them."""
    slugs = {one.id: one.slug for one in every}
    fields: dict[str, str | None] = {}
    for one in conditions:
        match one:
            case Part(text):
                fields["q"] = text
            case OfNewsletter(id):
                fields["newsletter"] = slugs.get(id)
            case InSlot(id):
                fields["slot"] = str(id)
            case InState(state):
                fields["state"] = state
            case CameBy(origin):
                fields["source"] = origin
            case Joined(since, until):
                fields |= {"joined_since": _iso(since), "joined_until": _iso(until)}
            case Left(since, until):
                fields |= {"left_since": _iso(since), "left_until": _iso(until)}
            case AtDomain(name):
                fields["domain"] = name
            case Bounced():
                fields["bounced"] = "yes"
    return {name: text for name, text in fields.items() if text}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def in_words(conditions: Sequence[Condition], every: Sequence[Newsletter]) -> list[str]:
    """Each as a short clause; none for everybody."""
    names = {one.id: one.name for one in every}
    slots = {slot.id: f"{one.name}, {slot.label}" for one in every for slot in one.slots}
    return [_said(one, names, slots) for one in conditions]


def _said(one: Condition, names: Mapping[int, str], slots: Mapping[int, str]) -> str:
    match one:
        case Part(text):
            return f"address with “{text}”"
        case OfNewsletter(id):
            return f"of {names.get(id, 'a newsletter that is gone')}"
        case InSlot(id):
            return f"at {slots.get(id, 'a time that is gone')}"
        case InState(state):
            return STATES[state].lower()
        case CameBy(origin):
            return f"came by: {SOURCES[origin].lower()}"
        case Joined(since, until):
            return f"joined {_span(since, until)}"
        case Left(since, until):
            return f"left {_span(since, until)}".rstrip()
        case AtDomain(name):
            return f"at {name}"
        case Bounced():
            return "mails came back"


def _span(since: date | None, until: date | None) -> str:
    day = {of: writing.day(of, "en") for of in (since, until) if of}
    if since and until:
        return f"from {day[since]} to {day[until]}"
    return f"from {day[since]} on" if since else f"until {day[until]}" if until else ""
