"""Strangers' HTML into words: what is shown is text, and nothing of the markup is left."""

from __future__ import annotations

import re
from html import unescape

import nh3

from newsletter.foundation.text import one_line

MARKUP_AT_MOST = 20_000
"""Further in, nobody reads a summary; and nh3's time grows with the square of how deep the markup is nested."""

INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup"
    "|time|tt|u|var|wbr"
)
BREAK = re.compile(rf"<(?=/?(?!(?:{INLINE})\b)[a-z])", re.IGNORECASE)
"""Before any tag that ends a line or a cell, so that the words on its two sides do not become one."""

UNSEEN = {
    *("audio", "button", "canvas", "head", "iframe", "math", "noscript", "object", "script", "select", "style", "svg"),
    *("template", "textarea", "title", "video"),
}
"""What stands in these is not for readers."""

ESCAPED_AGAIN = 2
"""Some systems escape what is escaped already, and then once more."""

ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z]\w*);", re.IGNORECASE)
LINES = re.compile(
    r"</?(?:br|div|figcaption|figure|h[1-6]|hr|img|li|ol|p|table|tbody|td|th|tr|ul)\b[^<>]*>", re.IGNORECASE
)
LETTERS = re.compile(r"</?(?:a|b|em|font|i|span|strong|u)\b[^<>]*>", re.IGNORECASE)
"""These are never meant to be read; “<script>” that is left by now is, by who writes about it."""


def words_in(markup: str) -> str:
    """The words in a piece of HTML or text, on one line, without control characters."""
    words = markup[:MARKUP_AT_MOST]
    if "<" in words or "&" in words:
        words = unescape(nh3.clean(BREAK.sub(" <", words), tags=set(), clean_content_tags=UNSEEN))
        for _ in range(ESCAPED_AGAIN):
            words = LETTERS.sub("", LINES.sub(" ", ENTITY.sub(lambda entity: unescape(entity[0]), words)))
    return one_line(words)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, ended at a sentence where one ends late enough, else at a word with "…"."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    if (stop := max(head.rfind(mark) for mark in (". ", "! ", "? ", "。"))) > limit // 2:
        return head[: stop + 1]
    return head[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
