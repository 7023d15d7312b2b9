"""What an article's page says about itself: for stories added by hand, and for sources that allow a look."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from lxml import etree, html

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.stories.fetching import Fetcher

ACCEPT = "text/html, application/xhtml+xml;q=0.9"


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
    """Raises FetchFailed, AddressForbidden and the like, NotAPage."""
    fetched = fetcher.fetch(url, accept=ACCEPT)
    return parse(fetched.body or b"", fetched.url)


def parse(body: bytes, url: str) -> Page:
    """Open Graph first, then what HTML itself has. Raises NotAPage."""
    try:
        root = html.fromstring(body, base_url=url, parser=html.HTMLParser(huge_tree=False, no_network=True))
    except (etree.LxmlError, ValueError) as error:
        raise NotAPage(url=url, problem=str(error) or "it is empty") from error
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
        whole = urljoin(base, address.strip())
        parts = urlsplit(whole)
    except ValueError:
        return ""
    return whole if parts.scheme in ("http", "https") and parts.hostname and len(whole) <= 2000 else ""
