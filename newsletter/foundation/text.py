"""Strangers' words, made fit for one line of a page, a mail or a header."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d\u200e\u200f"
"""Invisible, but Persian words, family emoji and mixed directions are wrong without them."""


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell of a table may not begin with, since a table program would compute it (OWASP, CSV injection)."""


def cell(text: str) -> str:
    """`text` as a cell of a CSV file that people open with a table program."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULAS) else text


def without_apostrophe(text: str) -> str:
    """What stood in a cell before `cell` made it harmless."""
    return text[1:] if text.startswith("'") and text[1:].lstrip(" ").startswith(FORMULAS) else text


def one_line(text: str) -> str:
    """`text` without line breaks, control characters, direction overrides and runs of spaces."""
    return " ".join((text if text.isprintable() else "".join(map(_kept, text))).split())


def _kept(character: str) -> str:
    if character.isprintable() or character in JOINERS:
        return character
    return "" if unicodedata.category(character) in ("Cf", "Cs", "Cn", "Co") else " "


def in_octets(octets: int) -> str:
    """“3.2 GB”, in powers of ten, as disks are sold."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}" if octets < 100 * size else f"{octets / size:.0f} {unit}"
    return f"{octets / 1000:.0f} KB"


def id_in(text: str) -> int | None:
    """A row's id as an address or a form names it, no larger than a column holds; None for what is none."""
    return min(int(text), 2**31 - 1) if text.isascii() and text.isdecimal() else None
