"""Installations to be measured: their keys and tables, their readers, and editions on their way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks import readers as readers_of
from newsletter.app import create_app
from newsletter.delivery import releasing
from newsletter.delivery.models import Delivery, DeliveryState, states_of
from newsletter.editions.models import Edition, EditionState, Item, Revision
from newsletter.foundation import database, secrets
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import Config, DatabaseConfig, FetchingConfig, MailConfig
from newsletter.newsletters import calendar, settings
from newsletter.newsletters.models import Newsletter, newsletter, newsletters
from newsletter.newsletters.settings import NewNewsletter

NOW = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)
ALWAYS = datetime(2999, 1, 1, tzinfo=UTC)


@contextmanager
def house(url: str, fetching: FetchingConfig | None = None) -> Iterator[Config]:
    """An installation with nothing in it but its keys and tables."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        for name in ("secret.key", "suppression.key"):
            secrets.create(room / name)
        config = Config(
            site_url="https://news.example.org",
            database=DatabaseConfig(url=url),
            fetching=fetching or FetchingConfig(),
            directory=room,
        )
        with inside(config):
            database.upgrade(database.db.engine)
        yield config


@contextmanager
def inside(config: Config) -> Iterator[None]:
    """The context of its app, in this process."""
    with create_app(config).app_context():
        try:
            yield
        finally:
            database.db.session.remove()
            database.db.engine.dispose()


def with_relay(config: Config, port: int, connections: int, **mail: object) -> Config:
    """The same installation, sending to a relay on this machine."""
    relay = {"host": "127.0.0.1", "port": port, "bounce_address": "bounces@example.org", "connections": connections}
    return config.model_copy(update={"mail": MailConfig.model_validate(relay | mail)})


def fill(readers: int) -> None:
    """Let its newsletter, which is made where there is none, have so many readers."""
    if not newsletters():
        settings.add(NewNewsletter("bench", "Daily Headlines", "news@example.org"), NOW, COMMAND)
    readers_of.fill(newsletter(None), readers, NOW)


def send(readers: int) -> int:
    """Put an edition to so many on its way; gives its id."""
    edition_id = draft()
    release(edition_id, readers)
    return edition_id


def draft() -> int:
    """An edition of a day of its own, of about 45,000 octets as a mail, that will be alone in its ledger: without the
    remains of earlier ones each has the same to do."""
    whole = "TRUNCATE" if database.db.engine.dialect.name == "postgresql" else "DELETE FROM"
    with database.transaction() as session:
        session.execute(sa.text(f"{whole} {Delivery.__tablename__}"))
        made = _edition(newsletter(None), session.scalar(sa.select(sa.func.count(Edition.id))) or 0)
        session.add(made)
        session.flush()
        return made.id


def release(edition_id: int, readers: int) -> None:
    """Send it, by the machine's clock, which is the worker's."""
    now = datetime.now(UTC)  # noqa: TID251
    releasing.send(edition_id, now, COMMAND, at_once=True, typed_audience=str(readers))


def ensure_accepted(edition_id: int, readers: int) -> None:
    """Else what was measured was not a whole edition."""
    counts = states_of(edition_id)
    database.db.session.rollback()  # PostgreSQL must not keep old versions of rows for who only looks
    if counts[DeliveryState.ACCEPTED] != readers:
        raise RuntimeError(f"an edition to {readers} readers ended as {counts}")


def _edition(published: Newsletter, number: int) -> Edition:
    today = datetime.now(UTC).date()  # noqa: TID251 - or its finish_by has passed
    day, slot = today + timedelta(days=number), published.default_slot
    moments = calendar.schedule(day, slot.local_time, slot.zone, 45)
    assert moments is not None
    return Edition(
        newsletter_id=published.id,
        slot_id=slot.id,
        local_date=day,
        state=EditionState.DRAFTED,
        slot_at=moments.slot_at,
        cutoff_at=moments.cutoff_at,
        start_by=ALWAYS,
        finish_by=ALWAYS,
        created_at=NOW,
        revisions=[revision()],
    )


def revision() -> Revision:
    items = [
        Item(
            position=position,
            headline=f"Headline number {position} of this measured edition",
            summary="Words that fill a summary. " * 38,
            url=f"https://www.example.org/stories/{position}",
            outlet="Bay Herald",
            reason="measured",
            published_at=NOW,
        )
        for position in range(1, 13)
    ]
    return Revision(number=1, subject="A measured edition", created_at=NOW, created_by="benchmark", items=items)
