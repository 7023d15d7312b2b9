from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.foundation.text import one_line


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("  two\r\nlines\tand\x00 more ", "two lines and more"),
        ("Subject\r\nBcc: someone@example.org", "Subject Bcc: someone@example.org"),
        ("over\u202eridden", "overridden"),
        ("soft\u00adhyphen", "softhyphen"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("no\u00a0break", "no break"),
        ("\ud800", ""),
    ],
)
def test_what_is_kept_on_one_line(given_text: str, kept: str) -> None:
    assert one_line(given_text) == kept


@given(st.text())
def test_one_line_is_one_line_and_stays_as_it_is(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line
