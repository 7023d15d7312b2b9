"""What a newsletter's stories must be about: its topic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.newsletters import settings
from newsletter.newsletters.models import Newsletter, newsletter
from newsletter.stories import topics
from newsletter.stories.topics import Topic, TopicInvalid


class TopicUnusable(NewsletterError):
    """The topic cannot be used and was not changed: {problem}."""


def set_topic(slug: str | None, text: str, now: datetime, by: Actor) -> Newsletter:
    """Let only stories about a topic into a newsletter: one that comes with the product, by its name, or one's own
    words as TOML (see topics/military.toml). Empty lets everything in again.

    Raises NewsletterUnknown and the like, TopicUnusable.
    """
    check(text)
    with transaction():
        changed = newsletter(slug)
        before, changed.topic = changed.topic, text.strip()
        if changed.topic != before:
            audit.record(by, "newsletter.topic", f"newsletter:{changed.id}", now, before=before, after=changed.topic)
    return changed


def change_choosing(
    slug: str, topic: str, now: datetime, by: Actor, *, seen: str | None = None, **changed: str
) -> Newsletter:
    """The topic and other settings at once, or none of them. Raises TopicUnusable, SettingInvalid, SettingsChanged."""
    with transaction():
        settings.opened(slug, seen, {*changed, "topic"})
        set_topic(slug, topic, now, by)
        return settings.change(slug, now, by, **changed)


def check(text: str) -> None:
    """Raises TopicUnusable."""
    with _in_words():
        _read(text.strip())


def topic_of(of: Newsletter) -> Topic | None:
    """Raises TopicUnusable when a topic that came with the product does so no more."""
    with _in_words():
        return _read(of.topic)


def words_of(of: Newsletter) -> str:
    """The topic's words as TOML, to begin one's own from; empty where there is no topic. Raises TopicUnusable."""
    with _in_words():
        return topics.shipped_text(of.topic) if _is_name(of.topic) else of.topic


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except TopicInvalid as error:
        raise TopicUnusable(problem=str(error)) from error
    except RecursionError as error:  # tomllib's, of brackets within brackets
        raise TopicUnusable(problem="its brackets stand too deep in one another") from error


def _read(text: str) -> Topic | None:
    if not text:
        return None
    return topics.shipped(text) if _is_name(text) else topics.parse(text)


def _is_name(text: str) -> bool:
    return text.isidentifier()
