"""Languages that only tests speak: no letter of ours is left in them, so that what was forgotten stands out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from string import ascii_lowercase

import pytest
from babel.support import NullTranslations

from newsletter.foundation.languages import LANGUAGES
from newsletter.mail import templates
from tests.catalogues import KEPT_TOGETHER


def _alphabet(letters: str, **other: str) -> dict[int, str]:
    """Both cases of our letters as `letters`, and `other` characters by their names."""
    return str.maketrans(dict(zip(ascii_lowercase, letters, strict=True)) | other)


LONG_LATIN = _alphabet("áƀćðéƒǵħíĵķłḿńóƥɋŕśťúṽŵẋýź") | str.maketrans({"e": "éé", "o": "óó", "a": "áá"})
"""Some words grow by a half, as German ones do."""

KANA = _alphabet("アイウエオカキクケコサシスセソタチツテトナニヌネノハ") | str.maketrans({" ": ""})
"""Without spaces, as Japanese is."""

ARABIC = _alphabet("ابجدهوزحطيكلمنسعفصقرشتثخذض")

Translated = str | tuple[str, str]


class Pseudo(NullTranslations):
    """Translates every message, keeps tags and places, and remembers what it was asked for."""

    def __init__(self, alphabet: Mapping[int, str]) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.asked: set[Translated] = set()

    def gettext(self, message: str) -> str:
        self.asked.add(message)
        return self._in_its_letters(message)

    def ngettext(self, one: str, many: str, number: int) -> str:
        self.asked.add((one, many))
        return self._in_its_letters(one if number == 1 else many)

    ugettext, ungettext = gettext, ngettext  # the names that Jinja asks for first

    def _in_its_letters(self, message: str) -> str:
        parts = re.split(f"({KEPT_TOGETHER.pattern})", message)
        return "".join(part if at % 2 else part.lower().translate(self.alphabet) for at, part in enumerate(parts))


@contextmanager
def speaking(language: str, alphabet: Mapping[int, str]) -> Iterator[Pseudo]:
    """Mails in `language` are written in `alphabet`; a language that we do not have is one that we have meanwhile."""
    words, known = Pseudo(alphabet), templates.catalogue
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LANGUAGES, language, "Pseudo")
        patch.setattr(templates, "catalogue", lambda code: words if code == language else known(code))
        templates._environment.cache_clear()
        yield words
    templates._environment.cache_clear()
