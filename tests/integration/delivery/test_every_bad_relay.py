"""An edition and a relay that does one bad thing at one moment, each with each: the ledger adds up all the time, nobody
gets two, and in the end each reader has the mail, is refused by the relay's own word, or nobody can know."""

from __future__ import annotations

from collections import Counter
from email import message_from_bytes
from pathlib import Path
from threading import Event

import pytest

from newsletter.delivery.desk import FAILS_AT_MOST
from newsletter.delivery.engine import RELAY_ALERT
from newsletter.foundation.clock import SystemClock
from newsletter.foundation.config import MailConfig, SmtpSecurity
from tests.conftest import BuildHouse, House
from tests.support.certificates import Authority
from tests.support.guarded_relay import protected
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, at, drip, running_relay
from tests.support.newsroom import alerts_raised, edition_state, ledger_of, open_alert_keys, sending
from tests.support.ports import free_port

READERS = tuple(f"{name}@example.org" for name in ("ann", "bob", "cleo", "dora", "emil", "fay"))
CONNECTIONS = 2
TIMES = 3
UNKNOWN_AT_MOST = CONNECTIONS + FAILS_AT_MOST - 1
"""Mails that are under way when a relay falls silent, and those that it takes until it is left alone."""

MOMENTS = ("connect", "EHLO", "MAIL", "RCPT", "DATA", "body", "dot")
PASSES = ("421 4.3.2 going down", "450 4.2.1 try later", "451 4.7.1 come back", "452 4.2.2 mailbox full")
FOR_GOOD = ("550 5.1.1 no such user", "552 5.2.2 mailbox full", "554 5.6.0 not taken")
POLICY = "550 5.7.1 not from you"
REPLIES = (*PASSES, *FOR_GOOD, POLICY, HANG_UP)
READERS_OWN = {"RCPT", "DATA", "dot"}
"""Moments at which a reply is about one reader's mail; those before it are about us."""


def until_it_is_over(house: House, edition_id: int) -> dict[str, int]:
    """Let time pass until the edition is out; looks at what must hold all the time."""
    counts: dict[str, int] = {}
    for pause in (0, 1, 1, 5, 15, 30, 60, 60, 60):
        house.later(minutes=pause)
        house.work()
        counts = ledger_of(house, edition_id)
        assert counts.get("uncertain", 0) <= UNKNOWN_AT_MOST
        assert "sending" not in counts
        if edition_state(house, edition_id) == "sent":
            return counts
    raise AssertionError(f"it never came to its end: {counts}")


def came_whole(relay: MisbehavingRelay) -> Counter[str]:
    return Counter(str(message_from_bytes(octets)["To"]) for octets in relay.octets)


@pytest.fixture
def house(build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay) -> House:
    return build_house(sqlite_url, mail=MailConfig(port=relay.port, connections=CONNECTIONS))


@pytest.mark.parametrize(
    "extensions", [(), pytest.param(("PIPELINING",), marks=pytest.mark.slow)], ids=["", "pipelined"]
)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("reply", REPLIES)
def test_whatever_it_says_and_whenever_each_reader_has_the_mail_once_or_a_known_reason(
    house: House, relay: MisbehavingRelay, reply: str, moment: str, extensions: tuple[str, ...]
) -> None:
    _, edition_id = sending(house, *READERS)
    relay.extensions = extensions
    ends = "; " + HANG_UP if moment == "body" and reply != HANG_UP else ""  # who speaks in the middle has had enough
    relay.answer = at(moment, reply + ends, times=TIMES)

    counts = until_it_is_over(house, edition_id)

    taken = Counter(relay.taken)
    assert set(taken.values()) <= {1}, "nobody gets two"
    assert counts.pop("accepted", 0) == taken.total(), "whoever counts as having it has it"
    refused, uncertain = counts.pop("refused", 0), counts.pop("uncertain", 0)
    for_good = reply in FOR_GOOD and moment in READERS_OWN
    if moment == "body":  # as it had the dot by then or not, by chance
        assert refused + uncertain <= TIMES
        assert refused == 0 or reply in FOR_GOOD
    else:
        assert refused == (TIMES if for_good else 0)
        assert uncertain == (TIMES if (reply, moment) == (HANG_UP, "dot") else 0)
    assert counts == {}, "all the others were sent, and none was given up"
    if reply == HANG_UP:
        assert set(came_whole(relay).values()) <= {1}, "what came whole may have been taken, and is not sent again"


# Who it is, and what protects the way there


def paused_and_kept(house: House, edition_id: int) -> None:
    """What a relay that cannot be used leaves: every row pending, no attempt made, and one alert however often."""
    for _ in range(3):
        house.work()
        house.later(minutes=1)
    assert ledger_of(house, edition_id) == {"pending": len(READERS)}
    assert open_alert_keys(house) == [RELAY_ALERT]
    assert alerts_raised(house, RELAY_ALERT) == 1


def then_all_is_well(house: House, edition_id: int) -> None:
    assert until_it_is_over(house, edition_id) == {"accepted": len(READERS)}
    assert open_alert_keys(house) == []


@pytest.mark.parametrize("security", [SmtpSecurity.TLS, SmtpSecurity.STARTTLS])
@pytest.mark.parametrize("wrong", ["expired", "of somebody else", "of an unknown authority"])
def test_an_edition_waits_for_a_relay_that_can_prove_who_it_is(
    build_house: BuildHouse, sqlite_url: str, authority: Authority, tmp_path: Path, wrong: str, security: SmtpSecurity
) -> None:
    port = free_port()
    house = build_house(sqlite_url, mail=MailConfig(port=port, security=security, connections=CONNECTIONS))
    _, edition_id = sending(house, *READERS)
    (tmp_path / "other").mkdir()
    certificates = {
        "expired": lambda: authority.server(days=-1),
        "of somebody else": lambda: authority.server("192.0.2.7"),
        "of an unknown authority": lambda: Authority(tmp_path / "other", SystemClock().now()).server(),
    }
    with protected(security, certificates[wrong](), port) as inbox:
        paused_and_kept(house, edition_id)
        assert inbox.mails == []
    with protected(security, authority.server(), port) as inbox:
        then_all_is_well(house, edition_id)
        assert sorted(mail.recipient for mail in inbox.mails) == list(READERS)


@pytest.mark.parametrize("extensions", [(), ("STARTTLS",)], ids=["not offered", "refused"])
def test_an_edition_waits_for_a_relay_that_protects_it(
    build_house: BuildHouse, sqlite_url: str, authority: Authority, relay: MisbehavingRelay, extensions: tuple[str, ...]
) -> None:
    mail = MailConfig(port=relay.port, security=SmtpSecurity.STARTTLS, connections=CONNECTIONS)
    house = build_house(sqlite_url, mail=mail)
    _, edition_id = sending(house, *READERS)
    relay.extensions = extensions
    relay.answer = at("STAR", "454 4.7.0 not now", times=100)
    paused_and_kept(house, edition_id)
    assert relay.came, "it was talked to"
    assert relay.tried == [], "nobody's address was told in the clear"


# Silence


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_edition_survives_a_relay_that_never_answers(
    build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay, moment: str
) -> None:
    mail = MailConfig(port=relay.port, connections=CONNECTIONS, timeout_seconds=0.5, final_timeout_seconds=0.5)
    house = build_house(sqlite_url, mail=mail)
    _, edition_id = sending(house, *READERS)
    silent, usual = Event(), relay.answer
    relay.answer = lambda now, _recipient: str(silent.wait(60)) if now == moment else None
    house.work()
    counts = ledger_of(house, edition_id)
    unknown = counts.pop("uncertain", 0)
    assert unknown <= (UNKNOWN_AT_MOST if moment in ("body", "dot") else 0)
    assert set(counts) <= {"pending", "deferred"}

    relay.answer = usual
    silent.set()
    counts = until_it_is_over(house, edition_id)
    assert counts.get("uncertain", 0) == unknown
    assert counts["accepted"] == len(READERS) - unknown
    assert max(came_whole(relay).values()) == 1


def test_an_edition_survives_a_relay_of_an_octet_a_second(build_house: BuildHouse, sqlite_url: str) -> None:
    """Each comes in time, and the reply never."""
    with drip(b"220 " + b"x" * 1000) as port:
        house = build_house(sqlite_url, mail=MailConfig(port=port, connections=CONNECTIONS, timeout_seconds=0.4))
        _, edition_id = sending(house, *READERS)
        paused_and_kept(house, edition_id)
    with running_relay(port=port) as relay:
        then_all_is_well(house, edition_id)
        assert sorted(relay.taken) == list(READERS)
