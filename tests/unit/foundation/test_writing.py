"""Numbers are written as readers of a language write them, also where that is done the quick way."""

from __future__ import annotations

import pytest
from babel.numbers import format_decimal

from newsletter.foundation import writing


@pytest.mark.parametrize("n", [0, 7, 999, 1000, 12345, 1_234_567, -5000])
def test_english_numbers_are_babel_s(n: int) -> None:
    assert writing.number(n) == format_decimal(n, locale="en")


def test_other_languages_have_their_own() -> None:
    assert writing.number(1_234_567, "de") == "1.234.567"
