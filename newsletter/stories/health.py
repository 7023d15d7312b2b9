"""How the sources are: what an operator asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import alerts
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Newsletter, newsletters
from newsletter.stories import polling
from newsletter.stories.following import Move, last_moves
from newsletter.stories.models import NewsletterSource, Source, SourceState, Story, sources_of

LATEST = 50
"""By so many stories it is judged whether a source is unusually silent."""

A_DAY = timedelta(days=1)
"""A source that fails for a few hours costs a story or two, and mostly comes back by itself."""


@dataclass(frozen=True)
class Health:
    """`newest` is when its newest story was published; `usual_pause` how long a silent source was silent at most
    before; `moved` where it was before its last move."""

    stories: int = 0
    newest: datetime | None = None
    usual_pause: timedelta | None = None
    moved: Move | None = None


def of(sources: Sequence[Source]) -> dict[int, Health]:
    """The health of each source, by its id."""
    ids = [source.id for source in sources]
    query = sa.select(Story.source_id, sa.func.count(), sa.func.max(Story.published_at)).group_by(Story.source_id)
    told = {row[0]: (row[1], row[2]) for row in db.session.execute(query)}
    moves = last_moves(ids)
    return {
        source.id: Health(*told.get(source.id, (0, None)), _usual_pause(source), moves.get(source.id))
        for source in sources
    }


WEEK = timedelta(days=7)


def a_day(now: datetime) -> dict[int, float]:
    """How many stories a day each source published over the last week, by its id; those without any are left out."""
    counted = sa.select(Story.source_id, sa.func.count()).where(
        Story.source_id.is_not(None), Story.published_at > now - WEEK, Story.published_at <= now
    )
    return {row[0]: row[1] / 7 for row in db.session.execute(counted.group_by(Story.source_id))}


def latest_stories(source_id: int, limit: int) -> Sequence[Story]:
    """What a source told last, the newest first, withdrawn ones too."""
    query = sa.select(Story).where(Story.source_id == source_id)
    return db.session.scalars(query.order_by(Story.published_at.desc(), Story.id.desc()).limit(limit)).all()


def _usual_pause(source: Source) -> timedelta | None:
    return polling.usual_pause(latest_dates(source.id)) if source.state is SourceState.SILENT else None


def latest_dates(source_id: int) -> Sequence[datetime]:
    """When the source's latest stories were published, the newest first."""
    query = sa.select(Story.published_at).where(Story.source_id == source_id).order_by(Story.published_at.desc())
    return db.session.scalars(query.limit(LATEST)).all()


@dataclass(frozen=True)
class Silence:
    """A source that a newsletter hears nothing from. `since` is when its newest story was published, if it has any."""

    outlet: str
    own: bool
    since: datetime | None


def silent(newsletter_id: int, now: datetime) -> list[Silence]:
    """The newsletter's sources that have told nothing since yesterday and usually do: silent, gone, or failing for
    a day. The longest silence first."""
    uses = [use for use in _listened_to(newsletter_id, now) if _is_silent(use.source, now)]
    newest = _newest([use.source_id for use in uses])
    found = [Silence(use.source.outlet, use.own, newest.get(use.source_id)) for use in uses]
    return sorted(found, key=lambda one: (one.since is not None, one.since, one.outlet))


def _listened_to(newsletter_id: int, now: datetime) -> list[NewsletterSource]:
    """Those that staff have not silenced there; by the day in UTC, since it is about none of the slots."""
    return [use for use in sources_of(newsletter_id) if not use.is_silent_on(now.date())]


def _is_silent(source: Source, now: datetime) -> bool:
    if source.state is SourceState.FAILING:
        return source.failing_since is not None and now - source.failing_since >= A_DAY
    return source.state in (SourceState.SILENT, SourceState.GONE)


def _newest(source_ids: Sequence[int]) -> dict[int, datetime]:
    query = sa.select(Story.source_id, sa.func.max(Story.published_at)).where(Story.source_id.in_(source_ids))
    return {row[0]: row[1] for row in db.session.execute(query.group_by(Story.source_id))}


def watch(now: datetime) -> int:
    """Tell staff where a newsletter's own source or half of all its sources are silent, and forget it when they speak
    again. Says how many newsletters that is."""
    found = {one: silent(one.id, now) for one in newsletters()}
    asked = {one: _asked(one.id, now) for one in found}
    open_keys = {alert.key for alert in alerts.open_alerts()}
    for one, silences in found.items():
        wrong = _is_too_quiet(asked[one], silences)
        if wrong != (_silence_key(one) in open_keys):
            with transaction():
                _tell(one, silences, asked[one], now) if wrong else alerts.resolve(_silence_key(one), now)
    return sum(_is_too_quiet(asked[one], silences) for one, silences in found.items())


def _is_too_quiet(asked: int, silences: Sequence[Silence]) -> bool:
    return any(silence.own for silence in silences) or 0 < asked <= 2 * len(silences)


def _asked(newsletter_id: int, now: datetime) -> int:
    """How many of its sources should tell something."""
    return sum(use.source.state is not SourceState.DISABLED for use in _listened_to(newsletter_id, now))


def _silence_key(one: Newsletter) -> str:
    return f"sources-silent:{one.id}"


def _tell(one: Newsletter, silences: Sequence[Silence], asked: int, now: datetime) -> None:
    named = ", ".join(silence.outlet for silence in silences[:5]) + (" and others" if len(silences) > 5 else "")
    alerts.raise_(
        _silence_key(one),
        f"{one.name} hears nothing new from {len(silences)} of its {asked} sources: {named}.",
        "The page of sources says what is wrong with each. Until that is mended, editions are made of the others.",
        now,
    )


def in_words(span: timedelta) -> str:
    """“3 hours”, “2 days”: rounded to what one would say."""
    hours = span / timedelta(hours=1)
    if hours < 1.5:
        return "an hour"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
