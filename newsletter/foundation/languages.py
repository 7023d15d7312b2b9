"""The languages that our own words are written in."""

from __future__ import annotations

LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "ja": "日本語"}
"""Each by its code, with its name as its speakers write it."""

ENGLISH = "en"


def spoken(language: str) -> str:
    """The language that our words have for somebody of `language`, such as "de" for "de-AT"; English for most."""
    code = language.partition("-")[0].lower()
    return code if code in LANGUAGES else ENGLISH
