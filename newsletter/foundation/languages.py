"""The languages that our own words are written in. English is the source; the others are in newsletter/translations."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "ja": "日本語"}
"""Each by its code, with its name as its speakers write it."""

ENGLISH = "en"

LEFTWARD = ("ar", "dv", "fa", "he", "ps", "ur", "yi")
"""Languages that are written from right to left."""

FOLDER = Path(__file__).parent.parent / "translations"


class Words(str):
    """Words of ours that are translated where they are shown, not where they are written."""

    __slots__ = ()


def spoken(language: str) -> str:
    """The language that our words have for somebody of `language`, such as "de" for "de-AT"; English for most."""
    code = language.partition("-")[0].lower()
    return code if code in LANGUAGES else ENGLISH


def direction(language: str) -> str:
    """How it is written, as HTML's `dir` says it."""
    return "rtl" if language.partition("-")[0].lower() in LEFTWARD else "ltr"


@cache
def catalogue(language: str) -> NullTranslations:
    """What our words are in a language of LANGUAGES; what has no translation stays English.

    The .po files are what is kept and what is read: a compiled copy beside them could only be older.
    """
    if language == ENGLISH:
        return NullTranslations()
    compiled = BytesIO()
    with (FOLDER / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language, abort_invalid=True))
    compiled.seek(0)
    return Translations(compiled)
