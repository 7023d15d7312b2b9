"""Sending one edition to many readers, against smtp-source sending as many octets into the same smtp-sink."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from benchmarks import databases, sinks
from benchmarks import readers as readers_of
from benchmarks.figures import Figures
from newsletter.app import create_app, worker
from newsletter.delivery import releasing
from newsletter.delivery.models import Delivery, DeliveryState, states_of
from newsletter.editions.models import Edition, EditionState, Item, Revision
from newsletter.foundation import database, secrets
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import Config, DatabaseConfig, DkimConfig, MailConfig
from newsletter.mail import signing
from newsletter.newsletters import calendar, settings
from newsletter.newsletters.models import newsletter
from newsletter.newsletters.settings import NewNewsletter

OCTETS = 45_000
SOURCE_CONNECTIONS = 8
CONNECTIONS = 32
NOW = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)
NOTE = (
    f"{CONNECTIONS} connections of ours against {SOURCE_CONNECTIONS} of smtp-source, which keeps no ledger; ours is "
    "durable. With `_dkim` each mail is signed with RSA-2048."
)


def measure(readers: int, rounds: int) -> Figures:
    """Alternates the C tool and our full path, ledger included, round by round."""
    figures = Figures(notes=[NOTE])
    with sinks.sink() as port:
        for name, url in databases.each():
            with url as address:
                with _house(address, port, readers) as app:
                    for number in range(rounds):
                        _round(figures, name, app, port, readers, number)
                if name == "postgresql":
                    with _house(address, port, 0, dkim=True) as app:
                        for number in range(rounds, 2 * rounds):
                            _round(figures, f"{name}_dkim", app, port, readers, number)
    return figures


def _round(figures: Figures, name: str, app: Flask, port: int, readers: int, number: int) -> None:
    source = readers / sinks.source_seconds(port, readers, OCTETS, SOURCE_CONNECTIONS)
    with app.app_context():
        edition_id = _edition(number)
    wall, cpu = time.perf_counter(), time.process_time()
    worker(app).until_idle()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    with app.app_context():
        assert states_of(edition_id)[DeliveryState.ACCEPTED] == readers
    figures.add(f"{name}_smtp_source_per_s", source)
    figures.add(f"{name}_ours_per_s", readers / wall)
    figures.add(f"{name}_ratio_to_smtp_source", readers / wall / source)
    figures.add(f"{name}_cpu_ms_a_message", cpu / readers * 1000)


@contextmanager
def _house(url: str, port: int, readers: int, *, dkim: bool = False) -> Iterator[Flask]:
    """An installation on the database, which has its newsletter already where `readers` is 0."""
    room = Path(tempfile.mkdtemp())
    for name in ("secret.key", "suppression.key"):
        secrets.create(room / name)
    keys = (DkimConfig(domain="example.org", selector="bench", key_file=Path("dkim.pem")),) if dkim else ()
    if dkim:
        signing.generate(room / "dkim.pem")
    mail = MailConfig(
        host="127.0.0.1",
        port=port,
        bounce_address="bounces@example.org",
        connections=CONNECTIONS,
        dkim=keys,
    )
    site = "https://news.example.org"
    app = create_app(Config(site_url=site, database=DatabaseConfig(url=url), mail=mail, directory=room))
    with app.app_context():
        database.upgrade(database.db.engine)
        if readers:
            settings.add(NewNewsletter("bench", "Daily Headlines", "news@example.org"), NOW, COMMAND)
            readers_of.fill(newsletter(None), readers, NOW)
    try:
        yield app
    finally:
        with app.app_context():
            database.db.engine.dispose()
        shutil.rmtree(room)


def _edition(number: int) -> int:
    """An edition of a day of its own, of about 45,000 octets as a mail, already on its way."""
    published = newsletter(None)
    slot = published.default_slot
    day = date.fromordinal(datetime.now(UTC).date().toordinal() + number)  # noqa: TID251 - today, or finish_by has passed
    moments = calendar.schedule(day, slot.local_time, slot.zone, 45)
    assert moments is not None
    with database.transaction() as session:
        session.execute(sa.delete(Delivery))
        made = Edition(
            newsletter_id=published.id,
            slot_id=slot.id,
            local_date=day,
            state=EditionState.DRAFTED,
            slot_at=moments.slot_at,
            cutoff_at=moments.cutoff_at,
            start_by=datetime(2999, 1, 1, tzinfo=UTC),
            finish_by=datetime(2999, 1, 1, tzinfo=UTC),
            created_at=NOW,
            revisions=[_revision()],
        )
        session.add(made)
        session.flush()
        edition_id = made.id
    releasing.send(edition_id, datetime.now(UTC), COMMAND, at_once=True)  # noqa: TID251 - the worker's clock is the machine's
    return edition_id


def _revision() -> Revision:
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
