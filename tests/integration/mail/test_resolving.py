"""Asking a real name server: what there is, what there is not, and no answer, are three things."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from newsletter.mail.answers import Heard
from newsletter.mail.resolving import LONGEST_TEXT, MOST_RECORDS, Resolver
from tests.support.name_server import NameServer, running_name_server
from tests.support.ports import free_port


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with running_name_server() as server:
        yield server


def ask(dns: NameServer, name: str, kind: str = "TXT", seconds: float = 5) -> tuple[Heard, tuple[str, ...]]:
    answer = Resolver([dns.address], seconds)(name, kind)
    assert bool(answer.trouble) == answer.failed
    return answer.heard, answer.records


def test_records_of_each_kind_are_plain_words(dns: NameServer) -> None:
    dns.says("example.org", "v=spf1 -all")
    dns.has("example.org", "MX", "20 backup.example.org.", "10 Mail.example.org.")
    dns.has("mail.example.org", "A", "192.0.2.25")
    dns.has("mail.example.org", "AAAA", "2001:DB8::25")
    dns.has("25.2.0.192.in-addr.arpa", "PTR", "Mail.Example.org.")
    assert ask(dns, "Example.ORG.") == (Heard.FOUND, ("v=spf1 -all",))
    assert ask(dns, "example.org", "MX") == (Heard.FOUND, ("mail.example.org", "backup.example.org"))
    assert ask(dns, "mail.example.org", "A") == (Heard.FOUND, ("192.0.2.25",))
    assert ask(dns, "mail.example.org", "AAAA") == (Heard.FOUND, ("2001:db8::25",))
    assert ask(dns, "25.2.0.192.in-addr.arpa", "PTR") == (Heard.FOUND, ("mail.example.org",))


def test_no_such_name_no_such_record_and_trouble_are_told_apart(dns: NameServer) -> None:
    dns.empty.add("example.org")
    dns.troubled.add("broken.example.org")
    assert ask(dns, "gone.example.org") == (Heard.NO_NAME, ())
    assert ask(dns, "example.org") == (Heard.NONE, ())
    assert ask(dns, "broken.example.org") == (Heard.FAILED, ())
    assert "SERVFAIL" in Resolver([dns.address])("broken.example.org", "TXT").trouble


def test_silence_ends_soon_and_is_no_answer(dns: NameServer) -> None:
    dns.silent.add("example.org")
    assert ask(dns, "example.org", seconds=0.3) == (Heard.FAILED, ())


def test_nonsense_is_no_answer(dns: NameServer) -> None:
    dns.garbled.add("example.org")
    assert ask(dns, "example.org", seconds=0.5) == (Heard.FAILED, ())


def test_a_server_that_is_not_there_is_no_answer() -> None:
    assert Resolver([f"127.0.0.1:{free_port()}"], 0.5)("example.org", "TXT").failed


def test_a_long_record_comes_by_tcp_and_in_one_piece(dns: NameServer) -> None:
    text = "v=DKIM1; k=rsa; p=" + "A" * 3000
    dns.says("news._domainkey.example.org", text)
    assert ask(dns, "news._domainkey.example.org") == (Heard.FOUND, (text,))
    assert dns.by_tcp == 1


def test_what_is_too_long_or_too_many_is_cut_off(dns: NameServer) -> None:
    dns.says("long.example.org", "x" * 60_000)
    dns.zone["many.example.org", "TXT"] = [f'"{number}"' for number in range(2000)]
    (text,) = ask(dns, "long.example.org")[1]
    assert len(text) == LONGEST_TEXT
    assert len(ask(dns, "many.example.org")[1]) == MOST_RECORDS


def test_octets_that_are_no_text_do_no_harm(dns: NameServer) -> None:
    dns.zone["example.org", "TXT"] = ['"\\255\\000v=spf1"']
    assert ask(dns, "example.org") == (Heard.FOUND, ("\N{REPLACEMENT CHARACTER}\x00v=spf1",))


def test_what_is_no_name_is_not_asked_for(dns: NameServer) -> None:
    for name in ("", "a..b", "x" * 300, "a b", "\udcff.org"):
        assert ask(dns, name) == (Heard.NO_NAME, ()), name
    assert dns.asked == []


def test_each_question_is_asked_once(dns: NameServer) -> None:
    dns.says("example.org", "v=spf1 -all")
    resolver = Resolver([dns.address])
    assert resolver("example.org", "TXT") == resolver("EXAMPLE.org", "TXT")
    assert len(dns.asked) == 1
