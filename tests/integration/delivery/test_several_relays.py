"""Editions by several relays: shares, rates, backups, and one that fails while others carry its mails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from threading import Event

import pytest

from newsletter.delivery import desk, shards
from newsletter.delivery import sending as engine_room
from newsletter.foundation.config import DomainsConfig, MailConfig, NamedRelayConfig
from newsletter.mail import relays
from newsletter.mail.smtp import RelayUnavailable
from tests.conftest import BuildHouse, House
from tests.support.inbox import Inbox
from tests.support.misbehaving_relay import HANG_UP, MisbehavingRelay, as_usual, running_relay
from tests.support.newsroom import alerts_raised, delivery, edition_state, ledger_of, open_alert_keys, sending
from tests.support.ports import free_port

READERS = [f"reader{number}@example.org" for number in range(12)]


@pytest.fixture
def three() -> Iterator[list[MisbehavingRelay]]:
    with ExitStack() as running:
        yield [running.enter_context(running_relay()) for _ in range(3)]


def relay(name: str, one: MisbehavingRelay, **settings: object) -> NamedRelayConfig:
    values = {"connections": 1, "timeout_seconds": 20} | settings
    return NamedRelayConfig(name=name, host=one.host, port=one.port, **values)  # type: ignore[arg-type]


def by(build_house: BuildHouse, url: str, *ways: NamedRelayConfig) -> House:
    return build_house(url, mail=MailConfig(relays=ways))


def alert(name: str) -> str:
    return f"relay-failing:{name}"


def test_relays_with_shares_get_their_part_of_the_mails(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "AHEAD", 1.0)
    first, second, _ = three
    house = by(build_house, sqlite_url, relay("first", first, share=3), relay("second", second, share=1))
    _, edition_id = sending(house, *(f"reader{number}@example.org" for number in range(80)))
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 80}
    assert len(first.taken) + len(second.taken) == 80
    assert 12 <= len(second.taken) <= 28


def test_a_relay_that_fails_is_left_out_and_the_other_carries_its_mails(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "AHEAD", 1.0)
    first, second, _ = three
    first.answer = lambda moment, recipient: "550 5.7.1 go away" if moment == "dot" else None
    house = by(build_house, sqlite_url, relay("first", first, share=1), relay("second", second, share=1))
    _, edition_id = sending(house, *READERS)
    house.work()

    assert open_alert_keys(house) == [alert("first")]
    assert 0 < len(first.tried) <= desk.FAILS_AT_MOST
    first.answer = as_usual
    house.later(minutes=5)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": len(READERS)}
    assert sorted(first.taken + second.taken) == sorted(READERS)


def test_a_relay_that_is_away_is_told_once_and_forgotten_when_it_is_back(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    nowhere, (_, second, _) = free_port(), three
    away = NamedRelayConfig(name="first", port=nowhere, connections=1)
    house = by(build_house, sqlite_url, away, relay("second", second))
    _, edition_id = sending(house, *READERS[:4])
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 4}
    assert open_alert_keys(house) == [alert("first")]

    with running_relay(port=nowhere) as back:
        house.later(minutes=5)
        _, next_id = sending(house, *(f"later-{one}" for one in READERS[:4]), slug="evening-post")
        house.work()
        assert back.taken
    assert ledger_of(house, next_id) == {"accepted": 4}
    assert open_alert_keys(house) == []
    assert alerts_raised(house, alert("first")) == 1


def test_a_relay_that_failed_is_tried_again_while_the_others_go_on(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_room, "RELAY_PAUSE", timedelta(seconds=0.1))
    first, second, _ = three
    tried: list[str] = []
    back = Event()

    def hang_up_once(moment: str, recipient: str) -> str | None:
        if moment == "connect":
            tried.append(recipient)
            return HANG_UP if len(tried) == 1 else None
        if moment == "dot":
            back.set()
        return None

    def slowly(moment: str, recipient: str) -> str | None:
        if moment == "dot" and len(second.taken) == 10:
            assert back.wait(60), "the first one was not tried again"
        return None

    first.answer, second.answer = hang_up_once, slowly
    house = by(build_house, sqlite_url, relay("first", first), relay("second", second))
    _, edition_id = sending(house, *(f"reader{number}@example.org" for number in range(40)))
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 40}
    assert first.taken


def test_a_relay_that_takes_fewer_connections_is_not_asked_for_more_again_and_again(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    narrow, asked = three[0], []

    def two_at_most(moment: str, recipient: str) -> str | None:
        if moment == "connect":
            asked.append(recipient)
            return "421 4.7.0 too many connections" if len(asked) > 2 else None
        return None

    narrow.answer = two_at_most
    house = build_house(sqlite_url, mail=MailConfig(host=narrow.host, port=narrow.port, connections=8))
    _, edition_id = sending(house, *(f"reader{number}@example.org" for number in range(100)))
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 100}
    assert len(asked) <= 3 * 8


def test_a_sender_that_one_relay_refuses_goes_by_the_other(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    first, second, _ = three
    first.answer = lambda moment, sender: "550 5.7.1 not from here" if moment == "MAIL" else None
    house = by(build_house, sqlite_url, relay("first", first), relay("second", second))
    _, edition_id = sending(house, *READERS)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": len(READERS)}
    assert len(second.taken) == len(READERS)
    assert open_alert_keys(house) == [alert("first")]


def test_a_backup_is_used_while_no_other_can_be(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    first, _, last = three
    house = by(build_house, sqlite_url, relay("last", last, backup=True), relay("first", first))
    _, edition_id = sending(house, *READERS)
    house.work()
    assert (len(first.taken), len(last.taken)) == (len(READERS), 0)

    first.answer = lambda moment, recipient: HANG_UP if moment == "connect" else None
    _, edition_id = sending(house, *(f"later-{one}" for one in READERS[:3]), slug="evening-post")
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 3}
    assert len(last.taken) == 3


def test_when_no_relay_is_of_use_everything_waits_for_one(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    first, second, _ = three
    ways = [relay("first", first), relay("second", second)]
    for one in (first, second):
        one.answer = lambda moment, recipient: HANG_UP if moment == "connect" else None
    house = by(build_house, sqlite_url, *ways)
    _, edition_id = sending(house, *READERS[:3])
    house.work()
    assert ledger_of(house, edition_id) == {"pending": 3}
    assert "relay-failing" in open_alert_keys(house)

    second.answer = as_usual
    house.later(minutes=2)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 3}
    assert sorted(second.taken) == READERS[:3]
    assert "relay-failing" not in open_alert_keys(house)


def test_a_row_says_by_which_relay_it_went(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    first, second, _ = three
    house = by(build_house, sqlite_url, relay("first", first), relay("second", second, backup=True))
    sending(house, READERS[0])
    house.work()
    assert (delivery(house, READERS[0]).last_reply or "").endswith("(first)")


@pytest.mark.parametrize("machines", [1, 2])
def test_the_rate_of_an_hour_holds_over_all_machines_and_nobody_is_alarmed(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay], machines: int
) -> None:
    first = three[0]
    mail = MailConfig(host=first.host, port=first.port, per_hour=5)
    house, *others = [build_house(sqlite_url, mail=mail) for _ in range(machines)]
    _, edition_id = sending(house, *READERS)
    for one in (house, *others):
        one.work()
    assert ledger_of(house, edition_id) == {"accepted": 5, "pending": 7}
    assert open_alert_keys(house) == []

    house.later(hours=1, minutes=1)
    for one in (*others, house):
        one.work()
    assert ledger_of(house, edition_id) == {"accepted": 10, "pending": 2}
    house.later(hours=1, minutes=1)
    house.work()
    assert edition_state(house, edition_id) == "sent"


def test_when_the_hour_is_used_up_nobody_goes_round_in_circles(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many shards, one is leased to find out."""
    monkeypatch.setattr(shards, "SIZE", 2)
    first, leased = three[0], []
    lease = shards.lease
    monkeypatch.setattr(shards, "lease", lambda *about: leased.append(lease(*about)) or leased[-1])
    house = build_house(sqlite_url, mail=MailConfig(host=first.host, port=first.port, per_hour=3))
    monkeypatch.setattr(engine_room, "WAITING", 2)
    _, edition_id = sending(house, *(f"reader{number}@example.org" for number in range(60)))
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 3, "pending": 57}
    assert len([one for one in leased if one is not None]) <= 6


def test_while_one_relay_waits_for_its_hour_the_other_goes_on(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    first, second, _ = three
    ways = relay("first", first, share=1, per_hour=2), relay("second", second, share=1)
    house = by(build_house, sqlite_url, *ways)
    _, edition_id = sending(house, *READERS)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": len(READERS)}
    assert len(first.taken) <= 2


def test_mails_to_a_domain_go_as_fast_as_it_may_be_given_them_and_the_others_do_not_wait(
    build_house: BuildHouse, sqlite_url: str, inbox: Inbox
) -> None:
    slow = DomainsConfig(name="slow", domains=("slow.example",), per_hour=2, connections=1)
    mail = MailConfig(host=inbox.host, port=inbox.port, connections=4, domains=(slow,))
    house = build_house(sqlite_url, mail=mail)
    readers = [f"reader{number}@slow.example" for number in range(5)]
    _, edition_id = sending(house, *readers, *READERS)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 2 + len(READERS), "pending": 3}
    assert {mail.recipient for mail in inbox.mails} >= set(READERS)

    house.later(hours=1, minutes=1)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 4 + len(READERS), "pending": 1}
    house.later(hours=1, minutes=1)
    house.work()
    assert edition_state(house, edition_id) == "sent"
    assert {len(inbox.of(one)) for one in (*readers, *READERS)} == {1}


def test_a_domain_s_connections_are_never_more_than_it_may_have(
    build_house: BuildHouse, sqlite_url: str, inbox: Inbox
) -> None:
    narrow = DomainsConfig(name="narrow", domains=("narrow.example",), connections=2)
    mail = MailConfig(host=inbox.host, port=inbox.port, connections=6, domains=(narrow,))
    house = build_house(sqlite_url, mail=mail)
    seen: list[int] = []
    take = desk.Lane.take

    def counted(lane: desk.Lane, now: float) -> desk.Task:
        task = take(lane, now)
        seen.append(lane.under_way)
        return task

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(desk.Lane, "take", counted)
        _, edition_id = sending(house, *(f"reader{number}@narrow.example" for number in range(15)))
        house.work()
    assert ledger_of(house, edition_id) == {"accepted": 15}
    assert 0 < max(seen) <= 2


def test_people_s_own_mails_go_by_the_first_relay_that_can_be_used(
    build_house: BuildHouse, sqlite_url: str, three: list[MisbehavingRelay]
) -> None:
    first, second, _ = three
    first.answer = lambda moment, recipient: HANG_UP if moment == "connect" else None
    house = by(build_house, sqlite_url, relay("first", first), relay("second", second))
    sending(house)
    house.browser.post("/subscribe", data={"email": READERS[0], "newsletter": "morning-post"})
    house.work()
    assert second.taken == [READERS[0]]


def test_the_first_usable_relay_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    at_monotonic = 1000.0
    monkeypatch.setattr(relays.time, "monotonic", lambda: at_monotonic)
    opened: list[str] = []

    class Way(relays.Transport):
        def __init__(self, name: str, *, works: bool) -> None:
            self.name, self.works = name, works

        def open(self) -> relays.Conversation:
            opened.append(self.name)
            if not self.works:
                raise RelayUnavailable(host=self.name, port=25, cause="away")
            return None  # type: ignore[return-value]

    ways = [Way("first", works=False), Way("second", works=True)]
    usable = relays.FirstUsable([relays.Relay(NamedRelayConfig(name=one.name), one) for one in ways])
    usable.open()
    usable.open()
    ways[0].works = True
    at_monotonic += relays.AVOIDED_SECONDS + 1
    usable.open()
    assert opened == ["first", "second", "second", "first"]

    for one in ways:
        one.works = False
    with pytest.raises(RelayUnavailable, match="first"):
        usable.open()
