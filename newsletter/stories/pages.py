"""What an article's page says about itself: for stories added by hand, and for sources that allow a look."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from lxml import etree, html
from w3lib.encoding import html_to_unicode

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.stories import reading
from newsletter.stories.fetching import FeedGone, Fetcher

ACCEPT = "text/html, application/xhtml+xml;q=0.9"
KINDS = ("", "text/html", "application/xhtml+xml")
"""What a server may call a page; some do not call it anything."""


class NotAPage(NewsletterError):
    """{url} is no page that can be read: {problem}."""


@dataclass(frozen=True)
class Page:
    """An article's own words for itself; empty where it has none. `image_url` is whole."""

    url: str
    title: str
    summary: str
    outlet: str
    image_url: str
    image_alt: str


def read(url: str, fetcher: Fetcher) -> Page:
    """Raises FetchFailed, AddressForbidden and the like, NotAPage, ReadingStopped."""
    try:
        fetched = fetcher.fetch(url, accept=ACCEPT)
    except FeedGone as error:
        raise NotAPage(url=url, problem="the server says that it is gone for good (410)") from error
    kind = one_line(fetched.content_type.partition(";")[0]).lower()
    if kind not in KINDS:
        raise NotAPage(url=url, problem=f"the server calls it {kind[:60]}, and a page is text/html")
    return reading.apart(parse, fetched.body or b"", fetched.url, fetched.content_type)


def parse(body: bytes, url: str, content_type: str = "") -> Page:
    """Open Graph first, then what HTML itself has.

    Some octets keep it busy for hours; see reading.apart. Raises NotAPage.
    """
    try:
        root = html.document_fromstring(
            _text(body, content_type).encode("utf-8", "replace"),
            base_url=url,
            parser=html.HTMLParser(encoding="utf-8", huge_tree=False, no_network=True),
        )
    except (etree.LxmlError, ValueError) as error:
        raise NotAPage(url=url, problem="it is empty") from error
    said = _meta(root)
    title = said.get("og:title") or said.get("twitter:title") or one_line(root.findtext(".//title") or "")
    image = said.get("og:image:secure_url") or said.get("og:image") or said.get("twitter:image") or ""
    return Page(
        url=_whole(said.get("og:url") or url, url) or url,
        title=title[:500],
        summary=(said.get("og:description") or said.get("description") or "")[:600],
        outlet=(said.get("og:site_name") or urlsplit(url).hostname or "").removeprefix("www.")[:200],
        image_url=_whole(image, url),
        image_alt=(said.get("og:image:alt") or "")[:500],
    )


def _text(body: bytes, content_type: str) -> str:
    """As a browser reads octets: by their mark, what the server says, what the page says, or what they look like."""
    try:
        return html_to_unicode(content_type, body, auto_detect_fun=_undeclared)[1]
    except (LookupError, UnicodeError):  # Python knows encodings, such as base64, that are not of texts
        return body.decode("utf-8", "replace")


def _undeclared(body: bytes) -> str:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _meta(root: html.HtmlElement) -> dict[str, str]:
    said: dict[str, str] = {}
    for element in root.iter("meta"):
        name = (element.get("property") or element.get("name") or "").strip().lower()
        content = one_line(element.get("content") or "")
        if name and content:
            said.setdefault(name, content)
    return said


def _whole(address: str, base: str) -> str:
    if not address:
        return ""
    try:
        whole = urljoin(base, address.strip()).replace(" ", "%20")
        parts = urlsplit(whole)
    except ValueError:
        return ""
    return whole if parts.scheme in ("http", "https") and parts.hostname and len(whole) <= 2000 else ""
