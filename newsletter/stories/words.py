"""Text as choosing sees it: terms that different outlets' wordings of one event have in common."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from math import ceil

# Scripts that put no spaces between words (and Korean, whose particles stick to them) are read as pairs of characters.
_UNSPACED = (
    "\u3005\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
)
# Vowel signs are letters to a reader, but `\w` does not count them: without these, Hindi words would fall apart.
_SIGNS = "\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"


def _surface(letter: str) -> str:
    """A word, a number with what sticks to it (14,000 or 4.4M), or initials with their dots (U.S.)."""
    return rf"(?:[^\W\d_]\.){{2,}}|\d+(?:[.,]\d+)*(?:{letter})*|(?:{letter})+(?:['’](?:{letter})+)*"


_SURFACE = re.compile(_surface(r"[^\W_]"))
_FOREIGN_SURFACE = re.compile(rf"[{_UNSPACED}]+|" + _surface(rf"(?![{_UNSPACED}])(?:[^\W_]|[{_SIGNS}])"))
_FOREIGN = re.compile(rf"[{_UNSPACED}{_SIGNS}]")
_PAIRED = re.compile(rf"[{_UNSPACED}]")
_GRAMMAR = re.compile("[\u3041-\u309f]{2}")  # Japanese writes its endings and particles in these
_ACCENTS = re.compile("[\u0300-\u036f]")
_ELIDED = re.compile(r"^(?:[cdjlmnst]|qu)'(?=\w\w)")  # l'accord, d'Ukraine, qu'elle

STEM_LETTERS = 8
"""Endings differ and beginnings agree in most languages: no more letters than this count."""

# Words of grammar and of the news trade. Those of one language that mean something in another ("war", "un") are left
# out: what every story says is weighed down by how often it is said anyway.
_STOP_WORDS = """
    a about after all also am amid an and any are as at be been before but by can could d did do does down for from get
    gets got had has have he her here his how i if in into is it its just ll m may might more most my new no not of off
    on one or our out over re s said say says she should so some t than that the their them then there these they this
    those to two under up ve vs was we were what when where which while who why will with would you your
    als auch auf aus bei das dem den der ein eine einem einen einer hatte im ist mehr nach nicht oder sich sind uber
    um und vom von vor werden wie wird zu zum zur
    au aux avec ce cette dans de du elle en entre est et il ils la le les leur ne ont ou par pas qui que sa se ses sont
    sur une
    al como con del el esta este fue ha han las lo los mas para pero por su sus y ya
    che da dal dalla degli dei della delle di e gli hanno nel nella per piu si sono sul sulla
    ao aos com das do dos em foi mais na nas nos o os pela pelo seu sua uma
    aan bij dat een heeft het naar niet ook op te tot uit voor wordt zijn
    в во для до за из и как к на не о об от по при с со что это
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def surfaces(text: str) -> list[str]:
    """The words of a text as they stand there; of scripts without spaces, every two neighbouring characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        if _FOREIGN.search(text):
            return [word for surface in _FOREIGN_SURFACE.findall(text) for word in _pairs(surface)]
    return _SURFACE.findall(text)


def _pairs(surface: str) -> list[str]:
    if not _PAIRED.match(surface) or len(surface) == 1:
        return [surface]
    return [surface[at : at + 2] for at in range(len(surface) - 1)]


@lru_cache(maxsize=50_000)
def term(surface: str) -> str:
    """What a word counts as: without case, accents and ending. Empty when it tells nothing about an event."""
    word = _plain(surface)
    if word in STOP_WORDS or (len(word) == 1 and word.isascii() and word.isalpha()):
        return ""
    return _stem(word)[:STEM_LETTERS] if word.isalpha() else word


def _plain(surface: str) -> str:
    word = surface.casefold().replace("’", "'")
    if not word.isascii():
        word = unicodedata.normalize("NFKC", _ACCENTS.sub("", unicodedata.normalize("NFKD", word)))
    word = _ELIDED.sub("", word) if "'" in word else word
    word = word.removesuffix("'s").replace("'", "").replace(",", "")
    return word if word[0:1].isdigit() else word.replace(".", "")


def _stem(word: str) -> str:
    """English plurals, -ing and -ed, and the silent e. Deliberately weak: a wrong tie is worse than a missed one."""
    if len(word) > 4:
        word = _singular(word)
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            doubled = len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz"
            word = word[:-1] if doubled else word
            break
    return word.removesuffix("e") if len(word) > 4 else word


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def terms(text: str) -> list[str]:
    """The terms of a text in its order, repeated as often as they stand there."""
    return [found for surface in surfaces(text) if (found := term(surface))]


NAME_LETTERS = 7
"""Scripts without spaces write a name, a country's or an agency's, in up to this many characters."""


def words_among(found: Collection[str]) -> int:
    """How many words, or names, some terms of a text are.

    Pairs of characters that overlap are one word, up to NAME_LETTERS characters; pairs of mere grammar are none.
    """
    unspaced = [pair for pair in found if len(pair) == 2 and _PAIRED.match(pair)]
    if not unspaced:
        return len(found)
    pairs = [pair for pair in unspaced if not _GRAMMAR.match(pair)]
    seconds = {pair[1] for pair in pairs}
    words = sum(pair[0] not in seconds for pair in pairs)
    return len(found) - len(unspaced) + max(words, ceil(len(pairs) / (NAME_LETTERS - 1)))


_SEPARATOR = re.compile(r"\s+[-–—|~:•·»]+\s+|\s*[|»•·]\s*")
_DOMAIN = re.compile(r"(?:www\.)?([\w.-]+)\.[a-z]{2,}", re.IGNORECASE)
_OUTLET_WORDS_AT_MOST = 5


def without_outlet(title: str, outlet: str) -> str:
    """The title without a first or last part that only names its outlet ("Bridge closed - Harbor Gazette").

    The outlet may be given as a name or as a domain.
    """
    names = _names(outlet)
    if not names or not (cut := list(_SEPARATOR.finditer(title))):
        return title
    head, tail = title[: cut[0].start()], title[cut[-1].end() :]
    if _is_outlet(tail, names):
        return title[: cut[-1].start()]
    return title[cut[0].end() :] if _is_outlet(head, names) else title


@lru_cache(maxsize=10_000)
def _names(outlet: str) -> frozenset[str]:
    domain = _DOMAIN.fullmatch(outlet.strip())
    parts = domain[1].split(".") if domain else [re.split(r"\s*[(|]", outlet)[0]]
    return frozenset(name for part in (outlet, *parts) if len(name := _squashed(part)) > 2)


def _is_outlet(part: str, names: frozenset[str]) -> bool:
    squashed = _squashed(part)
    if not squashed or len(part.split()) > _OUTLET_WORDS_AT_MOST:
        return False
    return squashed in names or any(
        len(n) > 4 and len(squashed) > 4 and (n in squashed or squashed in n) for n in names
    )


def _squashed(name: str) -> str:
    letters = "".join(_plain(surface) for surface in surfaces(name))
    return letters.removeprefix("the") if len(letters) > 6 else letters


_ROUND_UP = re.compile(
    r"\b(?:morning|evening|afternoon|midday|daily|nightly|weekly|weekend|news|world)"
    r" (?:brief|briefing|digest|headlines|newsletter|recap|wrap)\b"
    r"|(?<!review )\bround-?ups?\b|\b(?:and|other) (?:\w+ )?headlines$"
    r"|\blive ?(?:blog|updates?|coverage|ticker)\b|\blive:|^live\b\W|\bminute by minute\b|\bas it happened\b"
    r"|\bweek (?:ahead|in (?:review|pictures|photos))\b|\bin (?:brief|pictures|photos)$|\bnews quiz\b"
    r"|\b(?:top|biggest) (?:\d+|three|five|ten) (?:stories|headlines)\b"
    r"|\bthings (?:you need )?to know (?:before|for|on|this|today)\b"
    r"|\b(?:photos|pictures|quote|question) of the (?:day|week)\b|\b(?:today's|the) (?:front pages|papers)$"
    r"|\bnewsblog\b|\bpresseschau\b|\ben direct\b|\ben directo\b|\ben vivo\b"
)
_ROUND_UP_HINTS = (
    *("brief", "digest", "headlines", "newsletter", "recap", "wrap", "round", "live", "minute", "happened", "week"),
    *("pictures", "photos", "quiz", "stories", "things to", "things you", "of the day", "the papers", "front pages"),
    *("newsblog", "presseschau", "direct", "vivo"),
)


def is_round_up(title: str) -> bool:
    """Whether a story tells many events or is written while one goes on: a morning briefing, a live blog."""
    folded = title.casefold().replace("’", "'")
    hinted = any(hint in folded for hint in _ROUND_UP_HINTS)  # 20 times faster than the expression
    return hinted and _ROUND_UP.search(folded) is not None
