"""What went wrong once, and must not again."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from newsletter.delivery import shards
from newsletter.delivery.engine import RELAY_ALERT
from newsletter.foundation.config import MailConfig
from newsletter.foundation.database import db, transaction
from newsletter.mail import outbox
from newsletter.mail.message import Sender
from newsletter.mail.outbox import OutboxMail
from tests.conftest import BuildHouse, House
from tests.support.misbehaving_relay import MisbehavingRelay, at, running_relay
from tests.support.newsroom import SUBJECTS, found, ledger_of, open_alert_keys, send, sending
from tests.support.ports import free_port

ANN, BOB = "ann@example.org", "bob@example.org"
WORDS = {"service_name": "Post", "message": "m", "remedy": "r", "admin_link": "https://news.example.org/admin/"}


def test_a_newsletter_whose_sender_is_refused_does_not_stop_the_others(
    shaky_house: House, relay: MisbehavingRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a bounce_address the envelope's sender is the newsletter's own."""
    house = shaky_house
    monkeypatch.setattr(shards, "SIZE", 5)
    refused = found(house, "refused-post", from_address="refused@example.net")
    healthy = found(house, "healthy-post", from_address="post@example.org")
    refused.tells(*SUBJECTS)
    healthy.tells("Theatre burns", "Trams are free")
    refused.readers(*[f"reader{number}@example.org" for number in range(100)])
    healthy.readers(ANN)
    relay.answer = at("MAIL", "553 5.7.1 sender address rejected", to="refused@example.net", times=-1)
    editions = [paper.draft() for paper in (refused, healthy)]
    for edition_id in editions:
        send(house, edition_id)
    at_work = house.worker()
    for _ in range(24):  # two minutes of a worker that pauses 5 s after each refusal
        at_work.step()
        house.later(seconds=5)
    assert relay.taken == [ANN]
    assert ledger_of(house, editions[0]) == {"pending": 100}


def test_a_transactional_mail_whose_sender_is_refused_does_not_stop_editions(
    shaky_house: House, relay: MisbehavingRelay
) -> None:
    house = shaky_house
    _, edition_id = sending(house, ANN)
    with house.app.app_context(), transaction():
        outbox.put("alert", to=BOB, sender=Sender("Post", "refused@example.net"), now=house.now, **WORDS)
    relay.answer = at("MAIL", "553 5.7.1 sender address rejected", to="refused@example.net", times=-1)
    at_work = house.worker()
    for _ in range(24):
        at_work.step()
        house.later(seconds=5)
    assert relay.taken == [ANN]
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_a_relay_that_answers_again_with_a_refusal_has_answered(build_house: BuildHouse, sqlite_url: str) -> None:
    port = free_port()
    house = build_house(sqlite_url, mail=MailConfig(port=port))
    found(house)
    with house.app.app_context(), transaction():
        outbox.put("alert", to=BOB, sender=Sender("Post", "post@example.org"), now=house.now, **WORDS)
    at_work = house.worker()
    at_work.step()
    assert open_alert_keys(house) == [RELAY_ALERT]
    with running_relay(at("RCPT", "550 no such user", times=-1), port=port):
        house.later(seconds=5)
        at_work.step()
    with house.app.app_context():
        assert db.session.scalars(sa.select(OutboxMail.state)).all() == ["failed"]
    assert open_alert_keys(house) == []
