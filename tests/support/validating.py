"""An HTML validator for mails: the parser of the HTML Standard, and its rules for what may stand where.

The parser is html5lib, which finds what is not nested, closed, quoted or named as the standard says. It knows no
content models, so these are here, as far as mails need them: an element, an attribute or a CSS property that is not in
the tables is a fault. The Nu Html Checker would be the whole standard, but is 33 MB and needs Java. It was asked once
about all mails of test_valid_html.py: what it calls an error is what `FOR_OUTLOOK` and `OF_VENDORS` let through, and
nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from xml.etree.ElementTree import Element

import html5lib

PHRASING = frozenset({"a", "b", "br", "i", "img", "span"})
FLOW = PHRASING | {"div", "h1", "h2", "h3", "p", "table", "ul"}

MODELS: dict[str, AbstractSet[str]] = {
    "html": {"head", "body"},
    "head": {"meta", "style", "title"},
    "body": FLOW,
    "div": FLOW,
    "td": FLOW,
    "li": FLOW,
    "table": {"tbody"},
    "tbody": {"tr"},
    "tr": {"td"},
    "ul": {"li"},
    "a": PHRASING - {"a"},
    **dict.fromkeys(("b", "h1", "h2", "h3", "i", "p", "span"), PHRASING),
    **dict.fromkeys(("br", "img", "meta", "style", "title"), frozenset()),
}
"""Which elements may stand in which. A table is for layout, and has nothing else."""

EVERYWHERE = {"class", "dir", "id", "lang", "role", "style", "tabindex", "title"}
ATTRIBUTES = {
    "a": {"href", "target"},
    "img": {"src", "alt", "width", "height"},
    "meta": {"name", "content", "http-equiv", "charset"},
    "style": {"media", "type"},
}

FOR_OUTLOOK = {
    "html": {"xmlns", "xmlns:v", "xmlns:o"},
    "table": {"align", "border", "cellpadding", "cellspacing", "width"},
    "td": {"align", "bgcolor", "valign", "vertical-align", "width"},
}
"""What the standard calls obsolete, and mails need: Outlook on Windows draws them with Word, which does not read the
CSS that would say the same. The namespaces are for Word as well; `vertical-align` is mrml's, beside a `valign`."""

ROLES = {"article", "presentation"}
ARIA = {"aria-hidden", "aria-label", "aria-roledescription"}

PROPERTIES = {
    "background", "background-color", "border", "border-bottom", "border-collapse", "border-color", "border-radius",
    "border-top", "color", "color-scheme", "cursor", "direction", "display", "font", "font-family", "font-size",
    "font-style", "font-weight", "height", "letter-spacing", "line-height", "margin", "max-height", "max-width",
    "opacity", "outline", "overflow", "overflow-wrap", "padding", "padding-bottom", "padding-left", "padding-right",
    "padding-top", "text-align", "text-decoration", "text-transform", "vertical-align", "width", "word-break",
    "word-spacing",
}  # fmt: skip
OF_VENDORS = re.compile(r"-?(?:mso|ms|webkit)-")

FOR_WORD = re.compile(r"<!--\[if mso \| IE\]>(.*?)<!\[endif\]-->", re.DOTALL)
LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-[A-Z]{2})?")
ADDRESS = re.compile(r"https?://[^\s<>\"]+|#")


def faults(html: str) -> list[str]:
    """What is wrong, as mail programs see it and as Outlook does, each fault once."""
    as_word_sees_it = FOR_WORD.sub(r"\1", html)
    return list(dict.fromkeys([*_faults(html), *(f"in Outlook: {one}" for one in _parsed(as_word_sees_it)[1])]))


def _faults(html: str) -> Iterator[str]:
    root, wrong = _parsed(html)
    yield from wrong
    every = list(_all(root))
    for element in every:
        yield from _element(element)
    ids = Counter(element.get("id") for element in every if element.get("id"))
    yield from (f"{count} elements have the id {id}" for id, count in ids.items() if count > 1)
    if not (root.findtext("head/title") or "").strip():
        yield "there is no title"
    if not root.get("lang"):
        yield "the page does not say its language"


def _parsed(html: str) -> tuple[Element, list[str]]:
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    root = parser.parse(html)
    return root, [f"{code} {data or ''}".strip() for _, code, data in parser.errors]


def _all(root: Element) -> Iterator[Element]:
    """Without comments, whose tag is a function."""
    return (element for element in root.iter() if isinstance(element.tag, str))


def _element(element: Element) -> Iterator[str]:
    tag = str(element.tag)
    if tag not in MODELS:
        yield f"<{tag}> is not for mails"
        return
    yield from (f"<{child}> may not stand in <{tag}>" for child in _children(element) - MODELS[tag])
    yield from _attributes(element, tag)
    if tag == "style":
        for block in re.findall(r"\{([^{}]*)\}", element.text or ""):
            yield from _declarations(block)


def _children(element: Element) -> set[str]:
    return {child.tag for child in element if isinstance(child.tag, str)}


def _attributes(element: Element, tag: str) -> Iterator[str]:
    allowed = EVERYWHERE | ARIA | ATTRIBUTES.get(tag, set()) | FOR_OUTLOOK.get(tag, set())
    for name, value in element.items():
        if name not in allowed:
            yield f"<{tag}> has no attribute {name}"
        yield from _value(tag, name, value)
    missing = {"a": ("href",), "img": ("src", "alt"), "meta": ("content",)}.get(tag, ())
    yield from (f"<{tag}> lacks {name}" for name in missing if element.get(name) is None)


def _value(tag: str, name: str, value: str) -> Iterator[str]:
    rules = {
        "href": ADDRESS,
        "src": ADDRESS,
        "lang": LANGUAGE,
        "dir": re.compile("ltr|rtl|auto"),
        "role": re.compile("|".join(ROLES)),
        "id": re.compile(r"\S+"),
        "height": re.compile(r"\d+"),
        "width": re.compile(r"\d+" if tag == "img" else r"\d+%?"),
        "tabindex": re.compile(r"-1"),
        "aria-hidden": re.compile("true"),
    }
    if name in rules and not rules[name].fullmatch(value):
        yield f"<{tag}> has a {name} that is none: {value}"
    if name == "style":
        yield from _declarations(value)


def _declarations(css: str) -> Iterator[str]:
    for declaration in filter(None, map(str.strip, css.split(";"))):
        name, colon, value = (part.strip() for part in declaration.partition(":"))
        if not (colon and value) or (name not in PROPERTIES and not OF_VENDORS.match(name)):
            yield f"there is no CSS property as in “{declaration}”"
