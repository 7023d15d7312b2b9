"""How the sources are: what an operator asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation.database import db
from newsletter.stories import polling
from newsletter.stories.following import Move, last_moves
from newsletter.stories.models import Source, SourceState, Story

LATEST = 50
"""By so many stories it is judged whether a source is unusually silent."""


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


def _usual_pause(source: Source) -> timedelta | None:
    return polling.usual_pause(latest_dates(source.id)) if source.state is SourceState.SILENT else None


def latest_dates(source_id: int) -> Sequence[datetime]:
    """When the source's latest stories were published, the newest first."""
    query = sa.select(Story.published_at).where(Story.source_id == source_id).order_by(Story.published_at.desc())
    return db.session.scalars(query.limit(LATEST)).all()


def in_words(span: timedelta) -> str:
    """“3 hours”, “2 days”: rounded to what one would say."""
    hours = span / timedelta(hours=1)
    if hours < 1.5:
        return "an hour"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
