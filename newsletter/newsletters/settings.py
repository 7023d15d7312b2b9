"""Making newsletters and changing them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from enum import StrEnum
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction, violated
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.mail import addresses
from newsletter.mail.addresses import AddressInvalid
from newsletter.newsletters import calendar, subjects
from newsletter.newsletters.models import (
    Approval,
    Newsletter,
    Pictures,
    SignUpText,
    Slot,
    ThinDay,
    Typeface,
    newsletter,
)

SIGN_UP_TEXT = (
    "Yes, send me {name} by e-mail. I can leave at any time with one click, and my address is used for nothing else."
)


class SettingInvalid(NewsletterError):
    """{key}: {problem}"""


class SettingsChanged(NewsletterError):
    """Somebody else saved this page after you had opened it. Nothing of yours was saved yet."""


class NewsletterExists(NewsletterError):
    """There is a newsletter “{slug}” already."""


@dataclass(frozen=True)
class NewNewsletter:
    """What a newsletter needs to begin with; the rest has defaults and is changed with `change`."""

    slug: str
    name: str
    from_address: str
    zone: str = "UTC"
    local_time: time = time(6, 0)


def add(new: NewNewsletter, now: datetime, by: Actor, **settings: str) -> Newsletter:
    """Raises NewsletterExists, SettingInvalid."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", new.slug) or len(new.slug) > 60:
        raise SettingInvalid(key="slug", problem="use small letters, digits and single hyphens, at most 60")
    if not calendar.is_zone(new.zone):
        raise SettingInvalid(key="zone", problem=f"“{new.zone}” is no time zone; write it like Europe/Berlin")
    try:
        with transaction() as session:
            made = Newsletter(
                slug=new.slug,
                created_at=now,
                slots=[Slot(zone=new.zone, local_time=new.local_time, is_default=True, created_at=now)],
                sign_up_texts=[_first_text(new.name, now, by)],
            )
            basics = {"name": new.name, "from_name": new.name, "from_address": new.from_address}
            _apply(made, basics | settings)
            session.add(made)
            session.flush()
            audit.record(by, "newsletter.add", f"newsletter:{made.id}", now, slug=new.slug)
    except IntegrityError as error:
        if violated(error, "uq_newsletters_slug", "newsletters.slug"):
            raise NewsletterExists(slug=new.slug) from error
        raise
    return made


def _first_text(name: str, now: datetime, by: Actor) -> SignUpText:
    return SignUpText(version=1, text=SIGN_UP_TEXT.format(name=name), by=by.name, created_at=now)


def change(slug: str | None, now: datetime, by: Actor, *, seen: str | None = None, **settings: str) -> Newsletter:
    """Change settings, given as the texts that a person types. `seen` is the `stamp` of what they saw before.

    Raises SettingInvalid, SettingsChanged.
    """
    with transaction():
        changed = opened(slug, seen, settings)
        before = {key: as_text(getattr(changed, key, "")) for key in settings}
        _apply(changed, settings)
        after = {key: text for key in settings if (text := as_text(getattr(changed, key))) != before[key]}
        if after:
            before = {key: before[key] for key in after}
            audit.record(by, "newsletter.change", f"newsletter:{changed.id}", now, before=before, after=after)
    return changed


def opened(slug: str | None, seen: str | None, keys: Iterable[str]) -> Newsletter:
    """The newsletter, nobody else's to change until the caller's transaction ends. Raises SettingsChanged when what
    stands under the keys is not what was `seen`."""
    alone = sa.select(Newsletter).where(Newsletter.id == newsletter(slug).id).with_for_update(key_share=True)
    held = db.session.scalars(alone.execution_options(populate_existing=True)).one()
    if seen is not None and seen != stamp(held, keys):
        raise SettingsChanged
    return held


def stamp(of: Newsletter, keys: Iterable[str]) -> str:
    """By this it is told whether settings are still what somebody saw."""
    values = [(key, as_text(getattr(of, key, ""))) for key in sorted(keys)]
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def problems(settings: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with each of the texts, by its key; of those that can be judged alone."""
    found = {}
    for key, text in settings.items():
        try:
            READERS[key](text.strip())
        except (ValueError, AddressInvalid) as error:
            found[key] = str(error)
    return found


def as_text(value: object) -> str:
    """A setting as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _apply(changed: Newsletter, settings: dict[str, str]) -> None:
    for key, text in settings.items():
        reader = READERS.get(key)
        if reader is None:
            near = get_close_matches(key, READERS, n=3) or list(READERS)[:3]
            raise SettingInvalid(key=key, problem=f"there is no such setting; there are {', '.join(near)} and others")
        try:
            setattr(changed, key, reader(text.strip()))
        except (ValueError, AddressInvalid) as error:
            raise SettingInvalid(key=key, problem=str(error)) from error
    if changed.block_text and not changed.block_label:
        raise SettingInvalid(key="block_label", problem="say what the note is, such as “From our sponsor”")


def skip(slug: str, day: date, now: datetime, by: Actor) -> Newsletter:
    """Let no edition be made of a date. Again is no error. Raises SettingInvalid."""
    return _redate(slug, now, by, lambda dates: dates | {day.isoformat()})


def unskip(slug: str, day: date, now: datetime, by: Actor) -> Newsletter:
    """Let an edition be made of a date again, on a day of the week that has one. Again is no error."""
    return _redate(slug, now, by, lambda dates: dates - {day.isoformat()})


def _redate(slug: str, now: datetime, by: Actor, made: Callable[[set[str]], set[str]]) -> Newsletter:
    with transaction():
        dates = made(set(opened(slug, None, ()).skip_dates))
        return change(slug, now, by, skip_dates=", ".join(sorted(dates)))


SIGN_UP_TEXT_AT_MOST = 600


def write_sign_up_text(slug: str, text: str, seen: int, now: datetime, by: Actor) -> Newsletter:
    """Ask readers in other words from now on: a new version, which is kept for ever. `seen` is the version that the
    writer began from. The same words are no new version.

    Who asked before, and has still to confirm, agrees to what they read then. Raises SettingInvalid, SettingsChanged.
    """
    words = one_line(text)
    if not 1 <= len(words) <= SIGN_UP_TEXT_AT_MOST:
        raise SettingInvalid(key="text", problem=f"write 1 to {SIGN_UP_TEXT_AT_MOST} characters")
    with transaction() as session:
        held = opened(slug, None, ())
        session.expire(held, ["sign_up_texts"])
        last = held.sign_up_text
        if last.version != seen:
            raise SettingsChanged
        if last.text != words:
            held.sign_up_texts.append(SignUpText(version=seen + 1, text=words, by=by.name, created_at=now))
            before, after = f"{seen}: {last.text}", f"{seen + 1}: {words}"
            audit.record(by, "newsletter.sign-up-text", f"newsletter:{held.id}", now, before=before, after=after)
    return held


def _name(text: str) -> str:
    if not text or len(text) > 120 or not text.isprintable():
        raise ValueError("write 1 to 120 characters on one line")
    return text


def _line(longest: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) > longest or not text.isprintable():
            raise ValueError(f"write at most {longest} characters on one line")
        return text

    return read


def _accent(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError("write a colour like #9b1c1c")
    return text.lower()


def _days(text: str) -> str:
    if not text:
        raise ValueError("choose at least one day")
    if not re.fullmatch(r"[1-7]{1,7}", text) or len(set(text)) != len(text):
        raise ValueError("write the weekdays as digits, 1 for Monday to 7 for Sunday, such as 12345")
    return "".join(sorted(text))


def _between(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > 9 or not low <= int(text) <= high:
            raise ValueError(f"write a number from {low} to {high}")
        return int(text)

    return read


def _threshold(text: str) -> float:
    try:
        threshold = float(text)
    except ValueError:
        threshold = 0.0
    if not 0.05 <= threshold <= 1:
        raise ValueError("write a number from 0.05 (tells more as one) to 1 (tells less as one); 0.175 is usual")
    return threshold


def _sections(text: str) -> list[str]:
    names = [_name(" ".join(part.split())) for part in text.split(",") if part.strip()]
    if len({name.casefold() for name in names}) < len(names) or len(names) > 20:
        raise ValueError("write up to 20 different names with commas between them, such as World, Business, Sport")
    return names


def _sites(text: str) -> list[str]:
    return [_origin(part.strip()) for part in text.split(",") if part.strip()]


def _origin(text: str) -> str:
    """As a browser writes where a page is from (RFC 6454 §6.2)."""
    try:
        parts = urlsplit(text.rstrip("/"))
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.netloc.isascii() and not parts.username
    except ValueError:
        whole = False
    if not whole or parts.path or parts.query or parts.fragment:
        raise ValueError("write sites like https://www.example.org, with commas between them")
    return f"{parts.scheme}://{parts.netloc.lower()}"


SKIP_DATES_AT_MOST = 366


def _dates(text: str) -> list[str]:
    """Each once, in their order. Past ones are kept: they say why there is no edition of that day."""
    named = {_date(part.strip()) for part in text.split(",") if part.strip()}
    if len(named) > SKIP_DATES_AT_MOST:
        raise ValueError(f"write at most {SKIP_DATES_AT_MOST} dates; leave out what is long past")
    return sorted(named)


def _date(text: str) -> str:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError(f"“{text[:40]}” is no date; write dates like 2026-12-25, with commas between them")


def _pattern(text: str) -> str:
    line = _line(200)(text)
    if problem := subjects.problem_in(line):
        raise ValueError(problem)
    return line


def _tags(text: str) -> str:
    """A query without its question mark, every name once, and nothing in it that an address must not hold."""
    tags = text.removeprefix("?")
    pairs = tags.split("&") if tags else []
    names = [pair.partition("=")[0] for pair in pairs]
    if len(tags) > 300 or not all(
        re.fullmatch(r"[\w.~-]+=([\w.~+:,-]|%[0-9A-Fa-f]{2})+", pair, re.A) for pair in pairs
    ):
        raise ValueError("write them like utm_source=daily&utm_medium=email, at most 300 characters, without spaces")
    if len(set(names)) < len(names):
        raise ValueError("write each name once")
    return tags


def _address(*schemes: str) -> Callable[[str], str]:
    """Empty, or a whole address on the web."""

    def read(text: str) -> str:
        try:
            parts = urlsplit(text)
            whole = parts.scheme in schemes and parts.hostname and not parts.username and parts.port != 0
        except ValueError:
            whole = False
        if text and (not whole or len(text) > 1000 or not text.isprintable() or " " in text):
            raise ValueError(f"write it whole, like {schemes[0]}://www.example.org/page, at most 1000 characters")
        return text

    return read


def _language(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", text):
        raise ValueError("write a language’s code, such as en, de or pt-BR")
    return text


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("write yes or no")
    return text == "yes"


def _one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def read(text: str) -> StrEnum:
        if text not in set(kind):
            raise ValueError(f"write {' or '.join(kind)}")
        return kind(text)

    return read


READERS: dict[str, Callable[[str], object]] = {
    "name": _name,
    "tagline": _line(200),
    "promise": _line(300),
    "publisher": _line(120),
    "from_name": _name,
    "from_address": addresses.parse,
    "reply_to": lambda text: addresses.parse(text) if text else None,
    "postal_address": _line(300),
    "language": _language,
    "welcome_text": _line(600),
    "accent": _accent,
    "logo_url": _address("https"),
    "typeface": _one_of(Typeface),
    "days": _days,
    "skip_dates": _dates,
    "cutoff_minutes": _between(0, 720),
    "approval": _one_of(Approval),
    "cooling_minutes": _between(0, 60),
    "subject_pattern": _pattern,
    "link_tags": _tags,
    "pictures": _one_of(Pictures),
    "items_at_most": _between(1, 50),
    "items_at_least": _between(0, 50),
    "thin_day": _one_of(ThinDay),
    "per_outlet_at_most": _between(1, 50),
    "own_at_least": _between(0, 50),
    "window_hours": _between(1, 24 * 14),
    "grouping_threshold": _threshold,
    "sections": _sections,
    "block_text": _line(600),
    "block_label": _line(60),
    "block_link": _line(100),
    "block_url": _address("https", "http"),
    "block_after": _between(1, 50),
    "sites": _sites,
    "noindex": _yes_or_no,
    "has_archive": _yes_or_no,
}
"""Each setting that can be changed, with how the text that a person types is read."""
