"""E-mail addresses: what is one, when two are the same, and which was probably meant."""

from __future__ import annotations

import re
from functools import lru_cache

import idna
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from newsletter.foundation.errors import ReaderError
from newsletter.foundation.languages import Words

LONGEST = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets


class AddressInvalid(ReaderError):
    """“{address}” is not an e-mail address: {problem}"""


class AddressDisposable(AddressInvalid):
    """“{address}” belongs to a service for addresses that last a few minutes, and mail should reach you for longer.
    Please type one that you keep."""


class AddressMissing(AddressInvalid):
    """Please type an e-mail address."""


def parse(text: str) -> str:
    """The address in `text` as it should be written in mails: trimmed, its domain in lower case.

    No DNS is asked, so a form answers in the same time for every domain. Raises AddressInvalid.
    """
    text = text.strip()
    if not text:
        raise AddressMissing
    if len(text) > LONGEST:
        raise AddressInvalid(address=text[:40] + "…", problem=TOO_LONG)
    if "=?" in text:  # RFC 2047 §5 forbids encoded words in addresses; some mail software reads them all the same
        raise AddressInvalid(address=text, problem=problem(text))
    try:
        return validate_email(text, check_deliverability=False, strict=True, allow_smtputf8=False).normalized
    except EmailNotValidError as error:
        raise AddressInvalid(address=text, problem=problem(text)) from error


TOO_LONG = Words("it is longer than 254 characters.")
NO_AT = Words("it must have an @-sign, as in ann@example.org.")
TWO_ATS = Words("it has more than one @-sign.")
SPACE = Words("there is a space in it.")
UNSEEN = Words("there is a character in it that cannot be seen. Please type it anew.")
NO_NAME = Words("something must stand before its @-sign.")
NO_DOMAIN = Words("after its @-sign must stand a name with a dot in it, such as example.org.")
DOT = Words("it has a dot too many.")
LONG_PART = Words("what stands before its @-sign, or between two dots after it, is too long.")
LETTERS = Words("before its @-sign, mail takes only the letters a to z, digits and signs such as dots.")
DOMAIN = Words("mail cannot go to what stands after its @-sign.")
OTHERWISE = Words("mail cannot go to it as it is written.")

CARRIED = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+", re.IGNORECASE | re.ASCII)
DOTS = re.compile("[.\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH FULL STOP}\N{HALFWIDTH IDEOGRAPHIC FULL STOP}]")


def problem(text: str) -> Words:
    """What its writer can see to be wrong with what is no address."""
    name, _, domain = text.partition("@")
    labels = DOTS.split(domain)
    found = {
        NO_AT: "@" not in text,
        TWO_ATS: text.count("@") > 1,
        SPACE: any(letter.isspace() for letter in text),
        UNSEEN: not text.isprintable(),
        NO_NAME: not name,
        NO_DOMAIN: not domain or len(labels) == 1,
        DOT: "" in (*name.split("."), *labels),
        LONG_PART: len(name) > 64 or max(map(len, labels)) > 63,
        LETTERS: not CARRIED.fullmatch(name),
        OTHERWISE: "=?" in text,
    }
    return next((words for words, so in found.items() if so), DOMAIN)


def is_disposable(address: str) -> bool:
    """Whether its domain, or one above it, gives out addresses for a few minutes, by a list that others keep."""
    from disposable_email_domains import blocklist  # ten thousand names, for those who refuse them

    labels = wire(address).lower().rpartition("@")[2].split(".")
    return any(".".join(labels[n:]) in blocklist for n in range(len(labels) - 1))


PLAIN = re.compile(
    r"[a-z0-9_+-](?:\.?[a-z0-9_+-]){0,31}@(?:[a-z0-9](?:-?[a-z0-9]){0,30}\.){1,4}"
    rf"(?!(?:{'|'.join(SPECIAL_USE_DOMAIN_NAMES)})$)[a-z]{{2,20}}",
    re.ASCII,
)
"""Addresses about which there can be no question, in small letters."""


def read(text: str) -> tuple[str, str]:
    """The same as `parse`, with what `normalise` makes of it; for tables of a million addresses. Most are plain, and
    looking at each more closely takes twenty times as long. Raises AddressInvalid."""
    lowered = text.lower()
    if PLAIN.fullmatch(lowered):
        local, _, domain = text.partition("@")
        return f"{local}@{domain.lower()}", lowered
    address = parse(text)
    return address, normalise(address)


def is_one(text: str) -> bool:
    try:
        parse(text)
    except AddressInvalid:
        return False
    return True


def normalise(address: str) -> str:
    """What tells two addresses apart: case does not, the +tag does (people use it to sort their mail).

    An international domain counts in its ASCII form: case folding would take straße for strasse, which are two.
    """
    return wire(address.strip()).lower()


def without_tag(address: str) -> str:
    """The mailbox behind an address, for counting: ann+news@example.org is ann@example.org."""
    local, _, domain = normalise(address).rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def wire(address: str) -> str:
    """The address as SMTP and headers take it: an international domain in its ASCII form (RFC 5890)."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


WHERE_MAIL_IS = """
gmail.com yahoo.com hotmail.com outlook.com icloud.com aol.com live.com msn.com me.com mac.com mail.com email.com
googlemail.com ymail.com rocketmail.com comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net
charter.net protonmail.com proton.me pm.me zoho.com fastmail.com hey.com gmx.de gmx.net gmx.at gmx.ch gmx.com web.de
t-online.de freenet.de arcor.de posteo.de mailbox.org yahoo.de hotmail.de outlook.de live.de yahoo.fr hotmail.fr
outlook.fr live.fr orange.fr wanadoo.fr free.fr laposte.net sfr.fr yahoo.es hotmail.es outlook.es telefonica.net
yahoo.it hotmail.it libero.it yahoo.co.uk hotmail.co.uk live.co.uk btinternet.com sky.com yahoo.co.jp docomo.ne.jp
ezweb.ne.jp softbank.ne.jp yahoo.com.br hotmail.com.br outlook.com.br bol.com.br uol.com.br yahoo.com.mx yahoo.com.au
yahoo.co.in yahoo.ca bluewin.ch hotmail.ch qq.com 163.com mail.ru yandex.ru
"""
COMMON = tuple(WHERE_MAIL_IS.split())
"""Where most readers have their mail, the commonest first: what a near-miss may have meant."""

SLIPS = dict.fromkeys(("con", "cmo", "ocm", "vom", "xom", "cpm", "comm", "coom", "c0m", "ccom"), "com") | {
    "nte": "net",
    "ent": "net",
    "nett": "net",
    "ogr": "org",
    "rog": "org",
    "orgg": "org",
    "ed": "de",
    "rf": "fr",
    "pj": "jp",
    "ku": "uk",
}
"""Endings that do not exist, with what was meant."""

COM_ONLY = ("gmail", "googlemail", "icloud")
REAL_ENDING = re.compile(r"(?:(?:co|com|net|org|ne|or|ac)\.)?[a-z]{2}|com|net|org|edu|gov|info|biz")


def suggestion(address: str) -> str | None:
    """The address that was probably meant, when its domain is a near-miss of a common one; None when it is not.

    Pure: nobody is asked, so it tells nothing about who is known.
    """
    local, at, typed = address.strip().rpartition("@")
    meant = _meant(typed.lower()) if at and len(address) <= LONGEST else None
    try:
        return parse(f"{local}@{meant}") if meant else None
    except AddressInvalid:
        return None


@lru_cache(maxsize=1000)
def _meant(domain: str) -> str | None:
    if domain in COMMON:
        return None
    slips = {common: found for common in COMMON if (found := _slips(domain, common)) is not None}
    if slips:
        return min(slips, key=slips.__getitem__)  # the commonest of the nearest
    rest, dot, ending = domain.rpartition(".")
    if not dot or ending not in SLIPS:
        return None
    mended = f"{rest}.{SLIPS[ending]}"
    return _meant(mended) or mended


def _slips(typed: str, common: str) -> int | None:
    """How many slips of the finger lie between two domains; None when one was hardly meant by the other."""
    name, _, ending = common.partition(".")
    if typed in (name, common.replace(".", "")):
        return 1
    typed_name, _, typed_ending = typed.replace(",", ".").strip(".").partition(".")
    in_name = _slips_in_name(typed_name, name)
    if in_name is None:
        return None
    in_ending = _slips_in_ending(typed_ending, ending, alone=name in COM_ONLY and not in_name)
    return in_name + in_ending if in_ending is not None and in_name + in_ending <= 2 else None


def _slips_in_name(typed: str, meant: str) -> int | None:
    """Short names are near to many others: in one of four letters only swapped ones are a slip, in a long one two are,
    unless it begins differently (horizon is no verizon)."""
    if typed == meant:
        return 0
    at_most = 1 if len(meant) < 6 or typed[:1] != meant[:1] else 2
    if abs(len(typed) - len(meant)) > at_most or len(set(typed) ^ set(meant)) > 2 * at_most:
        return None
    if len(meant) < 5 and sorted(typed) != sorted(meant):
        return None
    slips = _distance(typed, meant)
    return slips if slips <= at_most else None


def _slips_in_ending(typed: str, meant: str, alone: bool) -> int | None:
    """Another real ending is mostly another company's and no slip, unless the company has this one `alone`."""
    if typed == meant:
        return 0
    rest, dot, last = typed.rpartition(".")
    if f"{rest}{dot}{SLIPS.get(last)}" == meant or alone or (typed in ("co", "cm", "om") and meant == "com"):
        return 1
    return 1 if not REAL_ENDING.fullmatch(typed) and _distance(typed, meant) == 1 else None


def _distance(typed: str, meant: str) -> int:
    """Letters too much, missing, wrong or swapped with their neighbour (optimal string alignment)."""
    above: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, 1):
        above, before, row = row, above, [i]
        for j, wanted in enumerate(meant, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == meant[j - 2] and typed[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
    return row[-1]
