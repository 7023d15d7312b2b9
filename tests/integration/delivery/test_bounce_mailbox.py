"""The mailbox for bounces is emptied, a mail at a time, and nothing in it is lost or counts twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from newsletter import scheduling
from newsletter.delivery import bounces
from newsletter.foundation import safety
from newsletter.foundation.config import BouncesConfig
from newsletter.mail.mailboxes import MailboxUnavailable
from newsletter.mail.suppression import SuppressionReason
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import ANN, suppressed_for
from tests.support import newsroom
from tests.support.imap import Mailbox, running_mailbox
from tests.support.newsroom import alerts_raised, open_alert_keys
from tests.support.ports import free_port
from tests.support.post import Mailed, mailed, rows
from tests.support.returning import dsn, mail, reported


@pytest.fixture(params=[True, False], ids=["moves", "copies"])
def mailbox(request: pytest.FixtureRequest) -> Iterator[Mailbox]:
    with running_mailbox(can_move=request.param) as box:
        yield box


def settings(port: int, **more: object) -> BouncesConfig:
    values = {
        "imap_host": "127.0.0.1",
        "imap_port": port,
        "imap_security": "none",
        "imap_username": "bounces@example.org",
        "imap_password": "secret",
        "timeout_seconds": 5,
    }
    return BouncesConfig(**values | more)  # type: ignore[arg-type]


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str, mailbox: Mailbox) -> House:
    return build_house(sqlite_url, bounces=settings(mailbox.port))


def one_mailed(house: House) -> Mailed:
    paper = newsroom.found(house)
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    return one


def poll(house: House) -> int:
    with house.app.app_context():
        return bounces.poll(house.now)


def test_what_lies_there_is_taken_in_and_moved_away(house: House, mailbox: Mailbox) -> None:
    one = one_mailed(house)
    bounce, letter = dsn(reported(ANN), to=one.return_path), mail("Hello")
    mailbox.put(bounce, letter)
    assert poll(house) == 2
    assert suppressed_for(house) == {SuppressionReason.HARD_BOUNCE}
    assert mailbox.folders == {"INBOX": {}, "Read": {1: bounce, 2: letter}}
    assert poll(house) == 0


@pytest.mark.parametrize(
    "command", ["LOGIN", "UID SEARCH", "UID FETCH", "UID MOVE", "UID COPY", "UID STORE", "EXPUNGE"]
)
def test_whenever_the_mailbox_breaks_off_nothing_is_lost_and_nothing_counts_twice(
    house: House, mailbox: Mailbox, command: str
) -> None:
    one = one_mailed(house)
    mailbox.put(dsn(reported(ANN), to=one.return_path), mail("Hello"))
    mailbox.break_at = command
    try:
        poll(house)
    except MailboxUnavailable:
        assert open_alert_keys(house) == [bounces.MAILBOX]
    else:
        assert mailbox.break_at, "this server was never asked that"
    poll(house)
    assert open_alert_keys(house) == []
    assert len(rows(house)) == 2
    assert mailbox.folders["INBOX"] == {}


def test_a_mail_stays_there_until_the_database_has_it(
    house: House, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.put(mail("Hello"))

    def away(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, OSError("away"))

    with monkeypatch.context() as patched:
        patched.setattr(bounces, "_receive", away)
        with pytest.raises(sa.exc.OperationalError):
            poll(house)
    assert len(mailbox.folders["INBOX"]) == 1
    poll(house)
    assert len(rows(house)) == 1


def test_a_broken_mailbox_is_told_once(house: House, mailbox: Mailbox) -> None:
    mailbox.password = "another"
    for _ in range(3):
        with pytest.raises(MailboxUnavailable, match=r"127\.0\.0\.1 cannot be read: .*wrong password"):
            poll(house)
    assert alerts_raised(house, bounces.MAILBOX) == 1
    mailbox.password = "secret"
    poll(house)
    assert open_alert_keys(house) == []


def test_a_large_mail_comes_as_its_beginning(build_house: BuildHouse, sqlite_url: str, mailbox: Mailbox) -> None:
    house = build_house(sqlite_url, bounces=settings(mailbox.port, max_megabytes=0.1))
    one = one_mailed(house)
    mailbox.put(dsn(reported(ANN), to=one.return_path) + b"x" * 1_000_000)
    assert poll(house) == 1
    assert suppressed_for(house) == {SuppressionReason.HARD_BOUNCE}


def test_the_scheduler_asks_and_an_absent_mailbox_hinders_it_not(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, bounces=settings(free_port()))
    (tick,) = [one for one in scheduling.ticks(house.fetcher) if one.name == "bounces"]
    with house.app.app_context():
        assert tick.verb(house.now) == 0
    assert open_alert_keys(house) == [bounces.MAILBOX]


def test_tls_is_the_default_and_a_server_without_it_gets_no_password(
    build_house: BuildHouse, sqlite_url: str, mailbox: Mailbox
) -> None:
    assert BouncesConfig().imap_security == "tls"
    house = build_house(sqlite_url, bounces=settings(mailbox.port, imap_security="starttls"))
    with pytest.raises(MailboxUnavailable):
        poll(house)
    assert "LOGIN" not in mailbox.seen


def test_without_a_mailbox_nobody_is_asked(build_house: BuildHouse, sqlite_url: str) -> None:
    assert poll(build_house(sqlite_url)) == 0


def test_what_is_halted_leaves_the_mailbox_alone(house: House, mailbox: Mailbox) -> None:
    mailbox.put(mail("Hello"))
    with house.app.app_context():
        safety.halt("It is a copy.", house.now)
        assert bounces.poll_due(house.now) == 0
    assert mailbox.seen == []
