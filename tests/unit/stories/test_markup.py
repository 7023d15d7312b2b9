from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories.markup import MARKUP_AT_MOST, shortened, words_in


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ("Plain words", "Plain words"),
        ("  Two\n\tlines  ", "Two lines"),
        ("<p>One</p><p>two</p>", "One two"),
        ("One<br>two<br/>three", "One two three"),
        ("<b>B</b>old and <a href='x'>linked</a>", "Bold and linked"),
        ("<ul><li>One</li><li>two</li></ul>", "One two"),
        (
            "<table><tr><td>One<table><tr><td>two</td><td>three</td></tr></table></td><td>four</table>",
            "One two three four",
        ),
        ("<script>alert(1)</script>One<style>p{}</style> two", "One two"),
        ("<SCRIPT type=x>alert(1)</SCRIPT>One<!-- <p>secret</p> -->", "One"),
        ("<svg><title>Icon</title><path/></svg>One<noscript>two</noscript><iframe>three</iframe>", "One"),
        ("<p onclick='x()'>One <img src=x onerror=alert(1)> two", "One two"),
        ("One &amp; two &lt; three &#8217; &eacute; &nbsp; end", "One & two < three ’ é end"),
        ("AT&amp;amp;T and R&amp;amp;D", "AT&T and R&D"),
        ("It&amp;#8217;s caf&amp;eacute;", "It’s café"),
        ("&lt;p&gt;One &lt;b&gt;two&lt;/b&gt;&lt;/p&gt;&lt;p&gt;three&lt;/p&gt;", "One two three"),
        ("&amp;lt;p&amp;gt;One&amp;lt;/p&amp;gt;two", "One two"),
        ("Why &lt;script&gt; is dangerous", "Why <script> is dangerous"),
        ("5 < 6 & 7 > 3", "5 < 6 & 7 > 3"),
        ("R&D", "R&D"),
        ("One\x00\x07\x1b two \u202eevil\u202c \ufeff\u200b", "One two evil"),
        ("<p>One<p>two<div>three", "One two three"),
        ("<<p>>One<//p><", "< >One<"),
        ("One <a href='", "One"),
        ("", ""),
        ("<p></p>", ""),
    ],
)
def test_html_of_any_kind_becomes_clean_words(markup: str, words: str) -> None:
    assert words_in(markup) == words


MARKUP = st.lists(
    st.sampled_from(
        ["<", ">", "&", ";", "/", "p", "script", "amp", "lt", "#60", "!--", "-->", " ", "a", "=", "'", "\x00"]
    ),
    max_size=40,
).map("".join)


@given(MARKUP | st.text(max_size=80))
def test_any_markup_gives_one_line_without_control_characters(markup: str) -> None:
    words = words_in(markup)
    assert words == words.strip()
    assert "  " not in words
    assert not {"\n", "\r", "\t", "\x00", "\u202e"} & set(words)


def test_markup_without_an_end_is_read_as_far_as_anybody_would() -> None:
    assert len(words_in("<p>word " * MARKUP_AT_MOST)) < MARKUP_AT_MOST


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("Short.", 20, "Short."),
        ("The first sentence. The second one.", 25, "The first sentence."),
        ("One. A sentence that is longer than that", 20, "One. A sentence…"),
        ("Wordwithoutanyend", 8, "Wordwit…"),
    ],
)
def test_a_long_text_ends_at_a_sentence_or_a_word(text: str, limit: int, short: str) -> None:
    assert shortened(text, limit) == short


@given(st.text(max_size=200), st.integers(2, 50))
def test_a_shortened_text_is_never_too_long(text: str, limit: int) -> None:
    assert len(shortened(text, limit)) <= limit
