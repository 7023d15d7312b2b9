"""Pages in languages that only tests speak: a few words of one, or all of English in the letters of another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest
from babel.support import NullTranslations

from newsletter.foundation.languages import LANGUAGES, catalogue
from newsletter.web import speaking
from tests.support import pseudo
from tests.support.pseudo import ARABIC, Pseudo

BACKWARDS = "ar"


class Few(NullTranslations):
    """Translates these messages and no others."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__()
        self.words = words

    def gettext(self, message: str) -> str:
        return self.words.get(message, message)

    ugettext = gettext


@contextmanager
def pages_say(words: Mapping[str, NullTranslations]) -> Iterator[None]:
    """Pages in these languages have other words than their catalogues'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speaking, "catalogue", lambda code: words[code] if code in words else catalogue(code))
        yield


@contextmanager
def backwards() -> Iterator[Pseudo]:
    """Pages and mails have one language more, in Arabic letters, from right to left."""
    with pseudo.speaking(BACKWARDS, ARABIC) as words, pages_say({BACKWARDS: words}):
        LANGUAGES[BACKWARDS] = "العربية"  # taken away again by the line above
        yield words


def in_its_letters(english: str, kept: Sequence[str] = ()) -> str:
    """How a page in that language says some English; names are kept."""
    parts = re.split(f"({'|'.join(map(re.escape, kept))})", english) if kept else [english]
    return "".join(part if at % 2 else Pseudo(ARABIC).gettext(part) for at, part in enumerate(parts))
