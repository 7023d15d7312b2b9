"""What axe finds on a page as it stands, in the light and in the dark."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOUR = ["color-contrast", "link-in-text-block"]
"""The only rules that look at colours; what the others find is the same in the dark."""

LOOK = """async rules => {
  const found = await axe.run({resultTypes: ["violations"], runOnly: rules});
  return found.violations.flatMap(({id, nodes}) => nodes.map(node => `${id}: ${node.html.slice(0, 120)}`));
}"""


def violations(page: Page) -> list[str]:
    """By all rules as the page is, and by those of colour in the other scheme."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(LOOK, RULES)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.emulate_media(color_scheme="light" if dark else "dark")
    found += page.evaluate(LOOK, OF_COLOUR)
    page.emulate_media(color_scheme="dark" if dark else "light")
    return found


def faults(page: Page, width: int) -> list[str]:
    """What axe finds on a screen so wide, with all that unfolds unfolded, and whether the page is wider than that."""
    page.set_viewport_size({"width": width, "height": 800})
    page.eval_on_selector_all("details", "every => every.forEach(one => one.open = true)")
    wide = page.evaluate("document.documentElement.scrollWidth")
    return violations(page) + [f"{wide} pixels wide"] * (wide > width)
