"""What went wrong once, and must not again."""

from __future__ import annotations

from contextlib import suppress
from threading import Event

from newsletter.app import worker
from newsletter.foundation.database import db, transaction
from newsletter.mail import outbox
from newsletter.mail.message import Sender
from newsletter.mail.outbox import OutboxMail, OutboxState
from newsletter.mail.smtp import Outcome, Reply
from tests.conftest import House
from tests.support.newsroom import ledger_of, open_alert_keys, sending

ANN, BOB = "ann@example.org", "bob@example.org"
POST = Sender("Post", "post@example.org")
WORDS = {"service_name": "Post", "message": "m", "remedy": "r", "admin_link": "https://news.example.org/admin/"}


def put(house: House, to: str, **data: str) -> int:
    with house.app.app_context():
        with transaction():
            outbox.put("alert", to=to, sender=POST, now=house.now, **data)
        return outbox.mails_to(to)[0].id


def mail(house: House, mail_id: int) -> OutboxMail:
    with house.app.app_context():
        found = db.session.get_one(OutboxMail, mail_id)
        db.session.expunge(found)
        return found


def test_a_template_that_breaks_does_not_stop_editions(house: House) -> None:
    """Five minutes of a worker that pauses 5 s after each fault are 60 steps; here are more broken mails than that."""
    _, edition_id = sending(house, ANN)
    for number in range(70):
        put(house, f"reader{number}@example.org")
    at_work = house.worker()
    for _ in range(120):
        with suppress(Exception):
            at_work.step()
        house.later(seconds=5)
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_a_mail_that_cannot_be_made_is_given_up_and_staff_are_told(house: House) -> None:
    mail_id = put(house, ANN)
    at_work = house.worker()
    for _ in range(40):
        with suppress(Exception):
            at_work.step()
        house.later(hours=1)
    assert mail(house, mail_id).state is OutboxState.FAILED
    assert "could not be made" in (mail(house, mail_id).last_reply or "")
    assert open_alert_keys(house) != []


def test_a_late_refusal_does_not_undo_what_another_worker_has_sent(house: House) -> None:
    """One worker was slower than its lease; the other one was told 250."""
    mail_id = put(house, ANN, **WORDS)
    with house.app.app_context():
        slow = outbox._claim(house.now)
        assert slow is not None
    house.later(minutes=6)
    house.work()
    assert mail(house, mail_id).state is OutboxState.SENT
    with house.app.app_context():
        outbox._record(mail_id, Reply(Outcome.REFUSED, "550 duplicate"), house.now)
    assert mail(house, mail_id).state is OutboxState.SENT


def test_a_stop_does_not_wait_for_the_whole_outbox(house: House) -> None:
    for number in range(20):
        put(house, f"reader{number}@example.org", **WORDS)
    stop = Event()

    def take(_address: str) -> str:
        stop.set()
        return "250 OK"

    house.inbox.answer_data = take
    worker(house.app, stop).run()
    assert len(house.inbox.mails) == 1
