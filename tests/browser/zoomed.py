"""What a reader loses who enlarges a page: words that are gone, cut off, or lie on top of each other."""

from __future__ import annotations

from collections import Counter

from playwright.sync_api import Page

WINDOW = {"width": 1280, "height": 900}
ZOOMED = {"width": 640, "height": 450}
"""The same window at 200 %, on a screen of two points a pixel (WCAG 2.2, 1.4.4)."""

LARGER_TEXT = "size => { document.documentElement.style.fontSize = size; }"

LOOK = """() => {
  const UNSEEN = '.skip, .trap, .away', parts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, range = document.createRange();
    if (!node.data.trim() || node.parentElement.closest('select, script, style, ' + UNSEEN)) continue;
    range.selectNodeContents(node);
    parts.push([node.parentElement, node.data.trim().replace(/\\s+/g, ' '), [...range.getClientRects()], false]);
  }
  for (const one of document.querySelectorAll('input:not([type=hidden]), select, textarea, button, img'))
    if (!one.closest(UNSEEN))
      parts.push([one, `<${one.localName} ${one.name || one.alt || ''}>`, [one.getBoundingClientRect()], true]);
  const big = box => box.width > 1 && box.height > 1;
  const onPage = box => big(box) && box.right > 0 && box.bottom + scrollY > 0;
  const visible = one => one.checkVisibility({visibilityProperty: true});
  const shown = parts.filter(([one, _, boxes]) => visible(one) && boxes.some(onPage));

  const holds = (frame, box) => box.left >= frame.left - 1 && box.right <= frame.right + 1
    && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
  const frames = one => {
    const found = [];
    for (let above = one; above && above !== document.body; above = above.parentElement)
      if (getComputedStyle(above).overflow !== 'visible') found.push(above.getBoundingClientRect());
    return found;
  };
  const width = document.documentElement.clientWidth;
  const cut = shown.filter(([one, _, boxes]) => boxes.filter(big).some(box => box.left < -1 || box.right > width + 1)
    || frames(one).some(frame => !boxes.filter(big).every(box => holds(frame, box))));

  const over = [];
  const boxes = shown.flatMap(([one, name, every, framed]) => every.filter(big).map(box => [one, name, box, framed]));
  boxes.forEach(([one, name, box, framed], at) => boxes.slice(at + 1).forEach(([other, its, second, too]) => {
    const across = Math.min(box.right, second.right) - Math.max(box.left, second.left);
    const down = Math.min(box.bottom, second.bottom) - Math.max(box.top, second.top);
    const nested = (framed && one.contains(other)) || (too && other.contains(one));
    if (across > 2 && down > 0.25 * Math.min(box.height, second.height) && !nested) over.push([name, its]);
  }));
  return {
    shown: shown.map(([_, name]) => name),
    cut: cut.map(([_, name]) => name),
    over,
    scrolls: document.documentElement.scrollWidth > width,
  };
}"""
"""The page's words and controls: which are shown, which stick out of the page or of what clips them, which lie on each
other by more than lines do, and whether one must scroll sideways."""


def losses(page: Page) -> list[str]:
    """What is wrong with a page at 200 %, by the browser's zoom and by larger text alone; it is left as it was."""
    page.set_viewport_size(WINDOW)
    before = page.evaluate(LOOK)
    found = [f"at 100 %: {fault}" for fault in _faults(before, before)]
    page.set_viewport_size(ZOOMED)
    found += [f"zoomed: {fault}" for fault in _faults(before, page.evaluate(LOOK))]
    page.set_viewport_size(WINDOW)
    page.evaluate(LARGER_TEXT, "200%")
    found += [f"larger text: {fault}" for fault in _faults(before, page.evaluate(LOOK))]
    page.evaluate(LARGER_TEXT, "")
    return found


def _faults(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    lost = Counter(before["shown"]) - Counter(after["shown"])
    return [
        *(f"lost: {words}" for words in lost),
        *(f"cut off: {words}" for words in after["cut"]),
        *(f"on each other: {one} | {other}" for one, other in after["over"]),
        *["scrolls sideways"] * bool(after["scrolls"]),
    ]
