"""What a poll brought is written in few statements, so that a transaction of many stories holds nobody up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from newsletter.foundation.database import db, transaction
from newsletter.stories.collecting import take_stories
from newsletter.stories.models import Source, Story
from newsletter.stories.parsing import ParsedStory
from tests.conftest import MORNING, House


def told(number: int, title: str = "Bridge closed", identity: str = "", page: str = "", at: int = 1) -> ParsedStory:
    return ParsedStory(
        identity=identity or f"id {number}",
        page=page or f"page {number}",
        url=f"https://harbor.example/{number}",
        title=title,
        summary="All about it.",
        author="Ann Writer",
        section="World",
        tags=("World", "Bridges"),
        image_url=None,
        image_alt="",
        image_credit="",
        position=at,
        published_at=MORNING,
        date_note=None,
    )


@pytest.fixture
def source_id(either_house: House) -> Iterator[int]:
    """A source nobody has asked yet, in the house's app."""
    with either_house.app.app_context():
        with transaction() as session:
            source = Source(
                url="https://harbor.example/feed", outlet="Harbor", next_poll_at=MORNING, created_at=MORNING
            )
            session.add(source)
            session.flush()
            id = source.id
        yield id


def take(source_id: int, stories: Sequence[ParsedStory]) -> tuple[int, int]:
    with transaction():
        return take_stories(source_id, stories, MORNING)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that reach the database meanwhile; one for many rows is one."""
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", count)


def test_many_stories_take_no_more_statements_than_one(source_id: int) -> None:
    with counted() as for_one:
        take(source_id, [told(0)])
    with counted() as for_many:
        assert take(source_id, [told(number) for number in range(1, 51)]) == (50, 0)
    assert len(for_many) == len(for_one)

    with counted() as for_all:
        stories = [told(number, "Bridge open" if number < 25 else "Bridge closed", at=2) for number in range(51)]
        assert take(source_id, stories) == (0, 25)
    assert len(for_all) == len(for_one) + 1, "those with other words, and those that only moved"
    found = db.session.execute(sa.select(Story.title, Story.position, sa.func.count()).group_by("title", "position"))
    assert sorted(tuple(row) for row in found) == [("Bridge closed", 2, 26), ("Bridge open", 2, 25)]


def test_an_unchanged_feed_writes_nothing(source_id: int) -> None:
    stories = [told(number) for number in range(50)]
    take(source_id, stories)
    with counted() as again:
        assert take(source_id, stories) == (0, 0)
    assert [statement.split()[0] for statement in again if not statement.startswith("BEGIN")] == ["SELECT"]


def test_what_one_feed_tells_twice_at_first_sight_is_one_story_in_its_later_words(source_id: int) -> None:
    """The second item's page is the first one's id: outlets do link their items so."""
    first, second = told(1, identity="the page"), told(2, "Bridge open", page="the page", at=2)
    assert take(source_id, [first, second])[0] == 1
    (story,) = db.session.scalars(sa.select(Story))
    assert (story.title, story.position, story.tags) == ("Bridge open", 2, ["World", "Bridges"])
