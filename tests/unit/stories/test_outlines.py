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


def test_what_is_no_feed_is_named() -> None:
    listed = outlines.examine(NESTED)
    assert [one.url for one in listed.feeds] == [one.url for one in outlines.read(NESTED)]
    assert listed.unreadable == ("No web", "Nothing")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
BOMB = f'<!DOCTYPE opml [{LAUGHS}]><opml><body><outline text="&l9;" xmlUrl="https://a.example/"/></body></opml>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037"])
def test_a_bomb_is_refused_in_whatever_encoding_it_comes(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{"IBM037" if encoding == "cp037" else encoding}"?>'
    with pytest.raises(NotAnOutline):
        outlines.examine((declared + BOMB).encode(encoding))


def test_outlines_may_be_nested_as_deeply_as_they_like() -> None:
    deep = b"<outline text='x'>" * 200 + b'<outline text="A" xmlUrl="https://a.example/"/>' + b"</outline>" * 200
    (found,) = outlines.read(b"<opml><body>" + deep + b"</body></opml>")
    assert found == Outline("https://a.example/", "A", "x")


def test_outside_files_and_addresses_are_not_fetched() -> None:
    outside = b'<!DOCTYPE opml SYSTEM "http://127.0.0.1:9/opml.dtd"><opml><body><outline text="A"/></body></opml>'
    assert outlines.examine(outside).unreadable == ("A",)
