"""One conversation with a relay, over a real socket: in few steps, in none too many, and whatever the relay does."""

from __future__ import annotations

import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from newsletter.foundation.clock import SystemClock
from newsletter.foundation.config import MailConfig, SmtpSecurity
from newsletter.mail.smtp import (
    Connection,
    ConversationBroken,
    Mail,
    Outcome,
    RelayUnavailable,
    SenderRefused,
    SmtpTransport,
)
from tests.support.certificates import Authority
from tests.support.guarded_relay import protected
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, at, drip

BODY = b"Subject: News\r\n\r\nThe bridge is open.\r\n"
ANN, BOB, CLEO = (Mail("post@example.org", f"{name}@example.org", BODY) for name in ("ann", "bob", "cleo"))


@pytest.fixture
def pipelining(relay: MisbehavingRelay) -> MisbehavingRelay:
    relay.extensions = ("PIPELINING", "SIZE 1000000")
    return relay


@contextmanager
def talking(relay: MisbehavingRelay, **settings: Any) -> Iterator[Connection]:
    with SmtpTransport(MailConfig(port=relay.port, **settings), None).connected() as connection:
        yield connection


def one_after_the_other(connection: Connection, *mails: Mail) -> list[Outcome]:
    """As the engine does: each is announced with the end of the one before."""
    outcomes = []
    for mail, following in zip(mails, (*mails[1:], None), strict=True):
        refused = connection.offer(mail)
        outcomes.append((refused or connection.finish(following)).outcome)
    return outcomes


# Few steps


def test_an_envelope_is_one_write_and_comes_with_the_end_of_the_mail_before(pipelining: MisbehavingRelay) -> None:
    with talking(pipelining) as connection:
        assert one_after_the_other(connection, ANN, BOB, CLEO) == [Outcome.ACCEPTED] * 3

    written = [piece for piece in pipelining.came if b"MAIL" in piece]
    size = len(BODY)
    assert written[0] == f"MAIL FROM:<post@example.org> SIZE={size}\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n".encode()
    assert all(piece.endswith(b"DATA\r\n") and b".\r\nMAIL FROM" in piece for piece in written[1:])
    assert pipelining.taken == ["ann@example.org", "bob@example.org", "cleo@example.org"]
    assert pipelining.octets == [BODY] * 3


def test_a_relay_that_does_not_say_so_gets_one_command_at_a_time(relay: MisbehavingRelay) -> None:
    with talking(relay) as connection:
        assert one_after_the_other(connection, ANN, BOB) == [Outcome.ACCEPTED] * 2
    assert max(piece.count(b"\r\nRCPT") + piece.count(b"\r\nDATA") for piece in relay.came) == 0
    assert relay.taken == ["ann@example.org", "bob@example.org"]


@pytest.mark.parametrize("refusal", ["550 5.1.1 no such user", "452 4.2.2 mailbox full"])
def test_a_refused_recipient_costs_his_mail_alone(pipelining: MisbehavingRelay, refusal: str) -> None:
    """This relay wants content all the same, which RFC 2920 (§3.1) lets it, and gets none."""
    pipelining.answer = at("RCPT", refusal, to="bob@example.org")
    with talking(pipelining) as connection:
        outcomes = one_after_the_other(connection, ANN, BOB, CLEO)

    assert outcomes[1] is (Outcome.REFUSED if refusal.startswith("5") else Outcome.DEFERRED)
    assert (outcomes[0], outcomes[2]) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
    assert [octets for octets in pipelining.octets if octets] == [BODY] * 2
    assert b"RSET\r\n" in pipelining.came


def test_a_relay_that_wants_no_content_ends_the_mail_there(pipelining: MisbehavingRelay) -> None:
    pipelining.answer = at("DATA", "451 4.7.1 come back later", to="ann@example.org")
    with talking(pipelining) as connection:
        assert one_after_the_other(connection, ANN, BOB) == [Outcome.DEFERRED, Outcome.ACCEPTED]
    assert pipelining.taken == ["bob@example.org"]


def test_a_mail_that_is_larger_than_the_relay_takes_is_not_sent_to_find_out(pipelining: MisbehavingRelay) -> None:
    pipelining.answer = at("MAIL", "552 5.3.4 too large")
    with talking(pipelining) as connection, pytest.raises(SenderRefused, match=r"5\.3\.4 too large"):
        connection.offer(ANN)
    assert BODY not in b"".join(pipelining.came)


@pytest.mark.parametrize(
    ("reply", "outcome", "by_policy"),
    [
        ("250 2.0.0 queued", Outcome.ACCEPTED, False),
        ("450 4.2.1 busy", Outcome.DEFERRED, False),
        ("451 4.7.1 greylisted", Outcome.DEFERRED, False),
        ("452 4.3.1 no room", Outcome.DEFERRED, False),
        ("550 5.1.1 no such user", Outcome.REFUSED, False),
        ("550 5.7.1 not wanted", Outcome.DEFERRED, True),
        ("554 5.7.26 no DMARC", Outcome.DEFERRED, True),
        ("552 5.2.2 mailbox full", Outcome.REFUSED, False),
        ("554 transaction failed", Outcome.REFUSED, False),
    ],
)
@pytest.mark.parametrize("moment", ["RCPT", "dot"])
def test_what_a_relay_says_is_sorted(
    pipelining: MisbehavingRelay, moment: str, reply: str, outcome: Outcome, by_policy: bool
) -> None:
    pipelining.answer = at(moment, reply)
    with talking(pipelining) as connection:
        said = connection.hand_over(ANN)
    assert (said.outcome, said.by_policy) == (outcome, by_policy)
    assert moment == "RCPT" or said.text == reply


# Beyond ASCII

EIGHT_BIT = Mail("post@example.org", "bob@example.org", b"Subject: x\r\n\r\nZo\xc3\xab at the caf\xc3\xa9\r\n")
ZOE = Mail("post@example.org", "zo\u00eb@example.org", BODY)


def test_a_relay_is_told_of_octets_and_addresses_beyond_ascii(pipelining: MisbehavingRelay) -> None:
    pipelining.extensions = ("PIPELINING", "8BITMIME", "SMTPUTF8")
    with talking(pipelining) as connection:
        assert one_after_the_other(connection, ANN, EIGHT_BIT, ZOE) == [Outcome.ACCEPTED] * 3
    sent = b"".join(pipelining.came).decode()
    assert re.findall(r"MAIL FROM:<post@example.org>(.*)\r\n", sent) == ["", " BODY=8BITMIME", " SMTPUTF8"]
    assert "RCPT TO:<zo\u00eb@example.org>\r\n" in sent
    assert pipelining.octets[1] == EIGHT_BIT.octets


def test_an_address_that_the_relay_cannot_name_is_refused_without_asking_and_costs_no_other_mail(
    pipelining: MisbehavingRelay,
) -> None:
    with talking(pipelining) as connection:
        assert one_after_the_other(connection, ANN, ZOE, BOB) == [
            Outcome.ACCEPTED,
            Outcome.REFUSED,
            Outcome.ACCEPTED,
        ]
    assert pipelining.tried == [ANN.recipient, BOB.recipient]


# Relays on bad days


@pytest.mark.parametrize("announced", [True, False], ids=["pipelining", "plain"])
@pytest.mark.parametrize("how", [HANG_UP, f"421 4.3.2 shutting down; {HANG_UP}"])
@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA", "body"])
def test_a_conversation_that_ends_before_the_final_dot_is_no_doubt(
    relay: MisbehavingRelay, moment: str, how: str, announced: bool
) -> None:
    relay.extensions = ("PIPELINING",) if announced else ()
    relay.answer = at(moment, how, to="" if moment == "MAIL" else "ann@example.org")
    long = Mail(ANN.sender, ANN.recipient, BODY * 200_000) if moment == "body" else ANN
    with talking(relay) as connection, pytest.raises(RelayUnavailable) as said:
        connection.hand_over(long)
    assert isinstance(said.value, ConversationBroken) == (moment != "MAIL")
    assert relay.taken == []


def test_a_relay_that_ends_the_mail_before_we_do_has_not_taken_it(pipelining: MisbehavingRelay) -> None:
    pipelining.answer = at("body", f"421 4.4.2 enough; {HANG_UP}")
    with talking(pipelining) as connection:
        assert connection.offer(ANN) is None
        assert select.select([vars(connection)["_conversation"]._wire.sock], [], [], 20)[0]
        with pytest.raises(ConversationBroken, match=r"4\.4\.2 enough"):
            connection.finish()
    assert pipelining.taken == []


def test_a_hang_up_after_the_dot_is_uncertain(pipelining: MisbehavingRelay) -> None:
    pipelining.answer = at("dot", HANG_UP)
    with talking(pipelining) as connection:
        assert connection.hand_over(ANN).outcome is Outcome.UNCERTAIN


@pytest.mark.parametrize("moment", ["connect", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_relay_that_is_silent_is_given_up(relay: MisbehavingRelay, moment: str) -> None:
    silent = Event()
    relay.answer = lambda now, recipient: str(silent.wait(20)) if now == moment else None
    try:
        with (
            pytest.raises(RelayUnavailable, match="did not answer in time"),
            talking(relay, timeout_seconds=0.2) as at_it,
        ):
            at_it.hand_over(ANN)
    finally:
        silent.set()


def test_an_octet_a_second_is_silence_too() -> None:
    """Each octet comes in time, and the reply never."""
    with drip(b"220 " + b"x" * 1000) as port:
        transport = SmtpTransport(MailConfig(port=port, timeout_seconds=0.4), None)
        with pytest.raises(RelayUnavailable, match="did not answer in time"), transport.connected():
            pass


@pytest.mark.parametrize("reply", ["", "hello", "2x0 odd", "250", "250-" + "x" * 100_000])
def test_what_is_no_reply_is_no_relay(relay: MisbehavingRelay, reply: str) -> None:
    relay.answer = at("connect", f"{reply}\r\n; {HANG_UP}")
    with pytest.raises(RelayUnavailable), talking(relay):
        pass


# Protected


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_mails_go_over_a_protected_connection(authority: Authority, security: Any) -> None:
    with protected(security, authority.server()) as inbox:
        config = MailConfig(port=inbox.port, security=security)
        with SmtpTransport(config, None).connected() as connection:
            assert one_after_the_other(connection, ANN, BOB) == [Outcome.ACCEPTED] * 2
    assert [mail.recipient for mail in inbox.mails] == [ANN.recipient, BOB.recipient]


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("wrong", ["expired", "of somebody else", "of an unknown authority"])
def test_nothing_is_said_to_a_relay_that_cannot_prove_who_it_is(
    authority: Authority, tmp_path: Path, security: Any, wrong: str
) -> None:
    (tmp_path / "other").mkdir()
    tls = {
        "expired": lambda: authority.server(days=-1),
        "of somebody else": lambda: authority.server("192.0.2.7"),
        "of an unknown authority": lambda: Authority(tmp_path / "other", SystemClock().now()).server(),
    }[wrong]()
    with protected(security, tls) as inbox:
        config = MailConfig(port=inbox.port, security=security)
        with pytest.raises(RelayUnavailable, match=r"(?i)certificate"), SmtpTransport(config, None).connected():
            pass
    assert inbox.mails == []


def test_without_the_protection_that_was_asked_for_nothing_is_sent(relay: MisbehavingRelay) -> None:
    with pytest.raises(RelayUnavailable, match="STARTTLS"), talking(relay, security="starttls"):
        pass
    relay.extensions = ("STARTTLS",)
    relay.answer = at("STAR", "454 4.7.0 not now")
    with pytest.raises(RelayUnavailable), talking(relay, security="starttls"):
        pass


def test_a_login_is_made_and_a_wrong_one_is_told_without_the_password(authority: Authority) -> None:
    def check(_server: object, _session: object, _envelope: object, _how: str, given: LoginPassword) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"post", b"open sesame"), handled=False)

    with protected("starttls", authority.server(), authenticator=check, auth_required=True) as inbox:
        config = MailConfig(port=inbox.port, security=SmtpSecurity.STARTTLS, username="post", password="open sesame")
        with SmtpTransport(config, "open sesame").connected() as connection:
            assert connection.hand_over(ANN).outcome is Outcome.ACCEPTED
        with pytest.raises(RelayUnavailable) as said, SmtpTransport(config, "wrong word").connected():
            pass
    assert "535" in str(said.value)
    assert "wrong word" not in str(said.value)
