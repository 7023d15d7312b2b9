"""The listener takes mail for our own addresses only, and says that it has it when it is stored."""

from __future__ import annotations

import smtplib  # noqa: TID251 - somebody has to speak to the listener
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from newsletter.foundation.config import BounceProtocol, BouncesConfig, Config, the_config
from newsletter.foundation.database import db
from newsletter.mail.receiving import CannotListenForBounces, Listener
from newsletter.mail.suppression import SuppressionReason
from newsletter.operations import serve
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import ANN, state_of, suppressed_for
from tests.support import newsroom
from tests.support.ports import free_port
from tests.support.post import Mailed, mailed, rows
from tests.support.returning import dsn, mail, reported

LMTP, SMTP = BounceProtocol.LMTP, BounceProtocol.SMTP
Client = smtplib.SMTP


@pytest.fixture(params=[LMTP, SMTP])
def protocol(request: pytest.FixtureRequest) -> BounceProtocol:
    return BounceProtocol(request.param)


def settings(protocol: BounceProtocol, **more: object) -> BouncesConfig:
    values = {"port": free_port(), "protocol": protocol, "unsubscribe_address": "leave@example.org"}
    return BouncesConfig(**values | more)  # type: ignore[arg-type]


@pytest.fixture
def listening(build_house: BuildHouse, sqlite_url: str, protocol: BounceProtocol) -> House:
    return build_house(sqlite_url, bounces=settings(protocol))


def config_of(house: House) -> Config:
    with house.app.app_context():
        return the_config()


@contextmanager
def client_of(house: House) -> Iterator[Client]:
    there = config_of(house).bounces
    listener = serve.bounce_listener(house.app, config_of(house))
    listener.start()
    try:
        with talking(there) as client:
            yield client
    finally:
        listener.stop()


@contextmanager
def talking(there: BouncesConfig) -> Iterator[Client]:
    if there.protocol is LMTP:
        with smtplib.LMTP(there.host, there.port) as client:
            yield client
    else:
        with smtplib.SMTP(there.host, there.port, timeout=10) as client:
            yield client


def give(client: Client, octets: bytes, *recipients: str) -> list[tuple[int, str]]:
    """The answers: to each recipient, or to the data; one for each recipient in LMTP."""
    client.ehlo_or_helo_if_needed()
    assert client.docmd("MAIL", "FROM:<>")[0] == 250, "bounces have no sender"
    answers = [client.docmd("RCPT", f"TO:<{one}>") for one in recipients]
    taken = [one for one in answers if one[0] == 250]
    if taken:
        assert client.docmd("DATA")[0] == 354
        client.send(octets.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        times = len(taken) if isinstance(client, smtplib.LMTP) else 1
        answers = [one for one in answers if one[0] != 250] + [client.getreply() for _ in range(times)]
    return [(code, text.decode()) for code, text in answers]


def one_mailed(house: House) -> Mailed:
    paper = newsroom.found(house)
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    return one


def test_a_bounce_is_stored_and_acted_upon_before_it_is_taken(listening: House) -> None:
    one = one_mailed(listening)
    with client_of(listening) as client:
        assert [code for code, _ in give(client, dsn(reported(ANN), to="<>"), one.return_path)] == [250]
        assert suppressed_for(listening) == {SuppressionReason.HARD_BOUNCE}
    assert len(rows(listening)) == 1


def test_the_same_mail_again_is_taken_and_counts_once(listening: House) -> None:
    one = one_mailed(listening)
    with client_of(listening) as client:
        for _ in range(2):
            assert [code for code, _ in give(client, dsn(reported(ANN)), one.return_path)] == [250]
    assert len(rows(listening)) == 1


@pytest.mark.parametrize(
    "address", ["ann@example.org", "bounces@example.com", "xbounces@example.org", "leave@example.com", "postmaster"]
)
def test_nobody_else_s_mail_is_taken(listening: House, address: str) -> None:
    with client_of(listening) as client:
        assert give(client, mail("Hello"), address) == [(550, "5.1.1 Nobody has this address here")]
    assert rows(listening) == []


@pytest.mark.parametrize(
    "address", ["bounces@example.org", "BOUNCES+x@EXAMPLE.org", "leave+anything@example.org", "leave@example.org"]
)
def test_our_addresses_are_taken_with_any_tag_and_in_any_case(listening: House, address: str) -> None:
    with client_of(listening) as client:
        assert give(client, mail("Hello"), address)[0][0] == 250


def test_a_mail_to_the_leaving_address_unsubscribes(listening: House) -> None:
    one_mailed(listening)
    tag = listening.links.verp("u", 1)
    with client_of(listening) as client:
        assert give(client, b"\r\n", f"leave+{tag.upper()}@example.org")[0][0] == 250
    assert state_of(listening) == ["unsubscribed"]


def test_while_the_database_is_away_the_sender_keeps_the_mail(
    listening: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = one_mailed(listening)
    with client_of(listening) as client:
        with listening.app.app_context(), db.engine.connect() as away:
            away.exec_driver_sql("ALTER TABLE bounces RENAME TO elsewhere")
            away.commit()
        (answer,) = give(client, dsn(reported(ANN)), one.return_path)
        assert answer[0] == 451
        with listening.app.app_context(), db.engine.connect() as back:
            back.exec_driver_sql("ALTER TABLE elsewhere RENAME TO bounces")
            back.commit()
        assert suppressed_for(listening) == set()
        assert give(client, dsn(reported(ANN)), one.return_path)[0][0] == 250
    assert suppressed_for(listening) == {SuppressionReason.HARD_BOUNCE}


def test_a_mail_that_is_too_large_is_refused_and_the_next_one_taken(
    build_house: BuildHouse, sqlite_url: str, protocol: BounceProtocol
) -> None:
    house = build_house(sqlite_url, bounces=settings(protocol, max_megabytes=0.01))
    with client_of(house) as client:
        large = give(client, mail("x" * 60 + "\n") + b"y\r\n" * 5_000, "bounces@example.org", "bounces+a@example.org")
        assert {code for code, _ in large} == {552}
        assert give(client, mail("Hello"), "bounces@example.org")[0][0] == 250
    assert len(rows(house)) == 1


def test_what_robots_write_is_taken_whatever_it_looks_like(listening: House) -> None:
    odd = b"Subject: \xff\xfe\r\n\r\n\0" + b"z" * 500_000 + b"\r\n.dot\r\nlone\nfeed"
    with client_of(listening) as client:
        assert give(client, odd, "bounces@example.org")[0][0] == 250


def test_lmtp_answers_for_each_recipient(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, bounces=settings(LMTP))
    paper = newsroom.found(house)
    paper.readers(ANN, "bob@example.org")
    ann, bob = mailed(paper, ANN, "bob@example.org")
    with client_of(house) as client:
        answers = give(client, dsn(to="x"), ann.return_path, "nobody@example.org", bob.return_path)
    assert [code for code, _ in answers] == [550, 250, 250]
    assert len(rows(house)) == 2


def test_in_lmtp_one_recipient_may_fail_alone() -> None:
    def take(octets: bytes, recipient: str) -> None:
        if recipient.startswith("b"):
            raise sa.exc.OperationalError("", {}, OSError("away"))

    there = settings(LMTP)
    listener = Listener(there, lambda address: True, take)
    listener.start()
    try:
        with talking(there) as client:
            answers = give(client, mail("Hello"), "a@example.org", "b@example.org")
    finally:
        listener.stop()
    assert [code for code, _ in answers] == [250, 451]


def test_a_port_that_is_taken_is_told(protocol: BounceProtocol) -> None:
    there = settings(protocol)
    first, second = (Listener(there, lambda address: True, lambda octets, to: None) for _ in range(2))
    first.start()
    try:
        with pytest.raises(CannotListenForBounces, match=str(there.port)):
            second.start()
    finally:
        first.stop()
