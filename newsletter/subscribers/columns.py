"""Which column of a table means what, and what its cells say: pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from newsletter.subscribers.tables import cell, named, word


class Meaning(StrEnum):
    """What a column can be taken for. `state` says whether they may be mailed at all; `date`, `source` and `ip` are of
    the consent that was given elsewhere."""

    ADDRESS = "address"
    STATE = "state"
    SLOT = "slot"
    LANGUAGE = "language"
    DATE = "date"
    SOURCE = "source"
    IP = "ip"


NAMES: dict[Meaning, tuple[str, ...]] = {
    Meaning.ADDRESS: (
        "email", "e mail", "email address", "e mail address", "subscriber email", "member email", "user email",
        "mail", "emailaddress", "emailadresse", "email adresse", "e mail adresse", "mailadresse", "adresse email",
        "adresse e mail", "adresse mail", "courriel", "adresse de courriel", "correo", "correo electrónico",
        "correo electronico", "dirección de correo", "dirección de correo electrónico", "indirizzo email",
        "indirizzo e mail", "posta elettronica", "e mailadres", "emailadres", "endereço de email", "e post",
        "epost", "sähköposti", "adres e mail", "e posta", "почта", "эл почта", "электронная почта", "メール",
        "メールアドレス", "eメール", "電子メール", "邮箱", "电子邮件", "電子郵件", "이메일", "address", "adresse",
        "subscriber", "recipient", "empfänger", "destinataire", "destinatario",
    ),
    Meaning.STATE: (
        "state", "status", "subscription status", "subscriber status", "email status", "unsubscribed", "opted out",
        "blacklisted", "blocklisted", "subscribed to emails", "subscribed", "opted in", "zustand", "abonniert",
        "abgemeldet", "statut", "état", "désabonné", "estado", "stato", "状態",
    ),
    Meaning.SLOT: (
        "slot", "time zone", "timezone", "zone", "tz", "zeitzone", "ausgabe", "fuseau horaire", "fuseau", "édition",
        "zona horaria", "huso horario", "タイムゾーン", "時間帯",
    ),
    Meaning.LANGUAGE: (
        "language", "lang", "locale", "sprache", "langue", "idioma", "lingua", "taal", "言語",
    ),
    Meaning.DATE: (
        "consented at", "consent date", "date of consent", "consent time", "confirmed at", "confirm time",
        "confirmation date", "opt in date", "opt in time", "optin time", "optin date", "subscribed at", "subscribed on",
        "signup date", "sign up date", "signed up at", "date subscribed", "date added", "created at", "created",
        "date", "datum", "anmeldedatum", "angemeldet am", "bestätigt am", "einwilligung am", "date d inscription",
        "inscrit le", "date de consentement", "fecha", "fecha de alta", "fecha de suscripción", "data",
        "登録日", "日付",
    ),
    Meaning.SOURCE: (
        "consent source", "source of consent", "consent page", "source", "signup source", "sign up source",
        "page", "page url", "url", "referrer", "quelle", "herkunft", "seite", "origine", "page d inscription",
        "origen", "página", "登録元",
    ),
    Meaning.IP: (
        "consent ip", "confirm ip", "ip", "ip address", "optin ip", "opt in ip", "signup ip", "sign up ip",
        "ip adresse", "adresse ip", "dirección ip",
    ),
}  # fmt: skip
"""How columns are called, in small letters and with spaces for what joins words; what is surest comes first."""

LOOKS = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]{2,}")
"""Of what could be an address, to find its column."""


@dataclass(frozen=True)
class Table:
    """What the first rows of a file tell: whether the first of them holds names, what its columns are called, and what
    each is probably for."""

    has_names: bool
    titles: tuple[str, ...]
    guessed: Mapping[Meaning, int]


def look(first: Sequence[Sequence[str]]) -> Table:
    """By the names in the first row; where an address stands in it, it has none, and the address is what is found."""
    top = first[0] if first else ()
    width = max(map(len, first), default=0)
    has_names = not any(LOOKS.fullmatch(one.strip()) for one in top)
    guessed = _by_names([word(one) for one in top]) if has_names else {}
    if (column := _of_addresses(first, guessed.get(Meaning.ADDRESS))) is not None:
        others = {what: at for what, at in guessed.items() if at != column and what is not Meaning.ADDRESS}
        guessed = {Meaning.ADDRESS: column} | others
    return Table(has_names, _titles(top if has_names else (), width), guessed)


def _by_names(names: Sequence[str]) -> dict[Meaning, int]:
    found: dict[Meaning, int] = {}
    for meaning, known in NAMES.items():
        free = ["" if at in found.values() else name for at, name in enumerate(names)]
        if (at := named(free, known)) is not None:
            found[meaning] = at
    return found


def _of_addresses(first: Sequence[Sequence[str]], guessed: int | None) -> int | None:
    """The column in which most addresses stand; the one that is called so, unless it has none at all."""
    counts = [
        sum(bool(LOOKS.fullmatch(cell(row, at))) for row in first) for at in range(max(map(len, first), default=0))
    ]
    if guessed is not None and (not any(counts) or counts[guessed]):
        return guessed
    return counts.index(max(counts)) if any(counts) else None


def _titles(top: Sequence[str], width: int) -> tuple[str, ...]:
    """Each as it stands in the file; without a name, or with another's, by its number."""
    told: list[str] = []
    for at in range(width):
        name = cell(top, at)[:60]
        told.append(f"Column {at + 1}" if not name else f"{name} (column {at + 1})" if name in told else name)
    return tuple(told)


DOTTED = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})(?:,?\s+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
SLASHED = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?:,?\s+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")


def moment(text: str) -> datetime | None:
    """As ISO 8601, 31.12.2025 or 2025/12/31, without a zone in UTC. None in any other form: in 3/4/2025 nobody can know
    which is the month."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return _written_out(text)


def _written_out(text: str) -> datetime | None:
    if match := DOTTED.fullmatch(text):
        day, month, year, hour, minute, second = (int(part or 0) for part in match.groups())
    elif match := SLASHED.fullmatch(text):
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    else:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def ip(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def chosen(kept: Mapping[str, int]) -> dict[Meaning, int]:
    """Columns by what they are for, as an import keeps them."""
    return {meaning: kept[meaning] for meaning in Meaning if meaning in kept}
