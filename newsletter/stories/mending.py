"""A feed's octets as a tree, mended where outlets commonly break it, so that one way of reading is enough."""

from __future__ import annotations

import re
from html import escape
from html.entities import html5

from feedparser.encodings import convert_to_utf8
from lxml import etree
from lxml import html as pages

from newsletter.stories.items import NotAFeed, whole_address
from newsletter.stories.markup import MARKUP_AT_MOST

ROOT = re.compile(rb"<(?:[a-z][\w.-]*:)?(?:rss|rdf|feed)[\s>/]", re.IGNORECASE)
ELEMENT = re.compile(rb"<[a-z_]", re.IGNORECASE)

DECLARED = re.compile(rb"<!ENTITY\s+([^>]*)>")
HARMLESS = re.compile(rb"""([\w.-]+)\s+(?:"(&\#\w+;|[^&"%]{0,100})"|'(&\#\w+;|[^&'%]{0,100})')\s*""")
"""A name for a short piece of text that does not unfold any further."""

ELSEWHERE = re.compile(rb"""[^"'&]*\b(SYSTEM|PUBLIC)\b.*""", re.DOTALL)
"""Leads to a file, which nobody fetches."""

CDATA = re.compile(rb"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
AMPERSAND = re.compile(rb"&(?:(#\d+|#x[0-9a-f]+|[a-z]\w*);)?", re.IGNORECASE)
XML_S_OWN = (b"amp", b"lt", b"gt", b"quot", b"apos")


def tree(body: bytes, content_type: str, url: str) -> etree._Element:
    """The tree of a feed, or of whatever else has elements. A last item that was cut off is not in it.

    Raises NotAFeed, also where entities are declared that would unfold.
    """
    text: bytes = convert_to_utf8({"content-type": content_type} if content_type else {}, body, {}) if body else b""
    start = ROOT.search(text) or ELEMENT.search(text)
    if start is None:
        raise NotAFeed(problem="it has neither items nor a known format" if body.strip() else "the answer is empty")
    entities = _entities(text[: start.start()])
    mended = b"".join(
        part if part.startswith(b"<![CDATA[") else _with_known_entities(part, entities)
        for part in CDATA.split(CONTROL.sub(b"", text[start.start() :]))
    )
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False, encoding="utf-8")
    try:
        root = etree.fromstring(mended, parser, base_url=url)
    except (etree.LxmlError, ValueError) as error:
        raise NotAFeed(problem=f"it cannot be read ({error})") from error
    if root is None:
        raise NotAFeed(problem="it cannot be read")
    if _is_cut_off(mended):
        for last in items(root)[-1:]:
            remove(last)
    return root


def octets(root: etree._Element) -> bytes:
    """A tree as the octets of well-formed XML, without what nobody reads of its texts.

    Texts with markup in them stand as CDATA: a reader of XML is told every escaped character one by one.
    """
    for element in root.iter():
        text = element.text
        if text and isinstance(element.tag, str) and not len(element):
            if "]]>" not in text and ("<" in text or "&" in text):
                element.text = etree.CDATA(text[:MARKUP_AT_MOST])
            elif len(text) > MARKUP_AT_MOST:
                element.text = text[:MARKUP_AT_MOST]
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)  # type: ignore[no-any-return]


def items(root: etree._Element) -> list[etree._Element]:
    return list(root.iter("{*}item", "{*}entry"))


def remove(element: etree._Element) -> None:
    """Take an element out of its tree, with the text that comes after it."""
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _entities(head: bytes) -> dict[bytes, bytes]:
    """The entities that a feed declares for itself, all of them harmless. Raises NotAFeed."""
    found: dict[bytes, bytes] = {}
    for declared in DECLARED.findall(head):
        if harmless := HARMLESS.fullmatch(declared):
            found[harmless[1]] = harmless[2] or harmless[3] or b""
        elif not ELSEWHERE.fullmatch(declared):
            raise NotAFeed(problem="it declares entities that unfold, which no feed needs")
    return found


def _with_known_entities(text: bytes, declared: dict[bytes, bytes]) -> bytes:
    """HTML's entities as characters, and an ampersand that begins none as itself: XML knows neither."""

    def known(match: re.Match[bytes]) -> bytes:
        name = match[1]
        if name is None:
            return b"&amp;"
        if name in XML_S_OWN:
            return match[0]
        if name.startswith(b"#"):
            return match[0] if _is_character(name[1:].lower()) else b""
        if name in declared:
            return declared[name]
        character = html5.get(f"{name.decode('ascii', 'replace')};")
        return escape(character).encode("utf-8") if character else b"&amp;" + match[0][1:]

    return AMPERSAND.sub(known, text) if b"&" in text else text


def _is_character(number: bytes) -> bool:
    """Whether XML has a character of that number, such as 8217 or x2019."""
    code = int(number[1:], 16) if number.startswith(b"x") else int(number[:9])
    return code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000


def _is_cut_off(text: bytes) -> bool:
    """Whether the last item is not ended; its address, say, may be half of one."""
    begun = max(text.rfind(name) for name in (b"<item>", b"<item ", b"<entry>", b"<entry "))
    return begun > max(text.rfind(name) for name in (b"</item", b"</entry", b"</rss", b"</feed", b"</rdf:RDF"))


FEEDS_AT_MOST = 20
"""A page that names more is no outlet's."""


def feeds_of_page(body: bytes, url: str) -> list[str]:
    """The addresses of the feeds that a web page names as its own, each once."""
    try:
        page = pages.fromstring(body, base_url=url, parser=pages.HTMLParser(huge_tree=False, no_network=True))
    except (etree.LxmlError, ValueError):
        return []
    found: dict[str, None] = {}
    for link in page.iter("link"):
        rel, kind = (link.get(name, "").lower() for name in ("rel", "type"))
        if "alternate" in rel.split() and kind.endswith(("rss+xml", "atom+xml", "feed+json")):
            found[whole_address(link.get("href", ""), url)] = None
        if len(found) > FEEDS_AT_MOST:
            break
    return [address for address in found if address]
