from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.stories import outlines
from newsletter.stories.outlines import NotAnOutline, Outline, StarterUnknown

NESTED = b"""<?xml version="1.0"?><opml version="1.1"><head/><body>
<outline text="Alone" xmlUrl="https://a.example/feed"/>
<outline text="Coast"><outline type="rss" title="Bay &amp; Herald" xmlUrl=" https://b.example/feed "/>
  <outline text="Islands"><outline text="Cape Courier" xmlUrl="https://c.example/feed"/></outline></outline>
<outline text="Twice" xmlUrl="https://a.example/feed"/>
<outline text="No web" xmlUrl="file:///etc/passwd"/><outline text="Nothing"/>
</body></opml>"""


def test_nested_outlines_become_sections() -> None:
    assert outlines.read(NESTED) == [
        Outline("https://a.example/feed", "Alone"),
        Outline("https://b.example/feed", "Bay & Herald", "Coast"),
        Outline("https://c.example/feed", "Cape Courier", "Islands"),
    ]


@pytest.mark.parametrize(
    "octets", [b"", b"no xml", b"<html><body/></html>", b"<opml version='2.0'><head/></opml>", b"\x00\xff"]
)
def test_what_is_no_opml_is_an_error_with_a_name(octets: bytes) -> None:
    with pytest.raises(NotAnOutline):
        outlines.read(octets)


def test_entities_are_not_unfolded() -> None:
    bomb = b'<!DOCTYPE opml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><opml><body><outline text="&b;" xmlUrl="https://a.example/"/></body></opml>'
    with pytest.raises(NotAnOutline, match="entities"):
        outlines.read(bomb)


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(st.dictionaries(st.integers(1, 10**6), st.tuples(names, names | st.just("")), max_size=8))
def test_what_is_written_is_read_back(feeds: dict[int, tuple[str, str]]) -> None:
    listed = {Outline(f"https://a.example/{n}", outlet, section) for n, (outlet, section) in feeds.items()}
    assert set(outlines.read(outlines.write("My feeds", listed))) == listed


def test_the_defense_list_comes_with_the_program() -> None:
    listed = outlines.starter("defense")
    assert len(listed) == 76
    assert {outline.section for outline in listed} == {"Americas", "Europe", "Middle East", "Asia and Pacific"}
    assert all(outline.outlet for outline in listed)


def test_a_list_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(StarterUnknown, match="defense"):
        outlines.starter("gardening")
