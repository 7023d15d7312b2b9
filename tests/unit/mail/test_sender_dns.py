"""Which records a sender's domain lacks, and what nobody can tell."""

from __future__ import annotations

import pytest

from newsletter.mail import sender_dns
from newsletter.mail.answers import ascii_name, domain_of
from newsletter.mail.sender_dns import Key, SenderRecords
from tests.support.dns_answers import Table, table

KEY = Key("example.org", "news._domainkey.example.org", "v=DKIM1; k=ed25519; p=AAAA")
WHOLE = {
    "example.org": "v=spf1 ip4:192.0.2.25 -all",
    "news._domainkey.example.org": KEY.record,
    "_dmarc.example.org": "v=DMARC1; p=none",
}


def look(lookup: Table, *keys: Key, domain: str = "example.org") -> dict[str, bool | None]:
    return {one.record: one.there for one in sender_dns.look(domain, "example.org", keys, lookup)}


def test_a_domain_that_has_everything_lacks_nothing() -> None:
    assert look(table(WHOLE), KEY) == {"SPF": True, "DKIM": True, "DMARC": True}


@pytest.mark.parametrize(
    ("name", "record"),
    [("example.org", "SPF"), ("news._domainkey.example.org", "DKIM"), ("_dmarc.example.org", "DMARC")],
)
def test_a_record_that_is_not_there_is_missing_and_one_that_nobody_answers_for_is_not_known(
    name: str, record: str
) -> None:
    lookup = table({there: text for there, text in WHOLE.items() if there != name})
    assert look(lookup, KEY)[record] is False
    lookup.failing.add(name)
    assert look(lookup, KEY)[record] is None


@pytest.mark.parametrize(
    ("name", "text", "record"),
    [
        ("example.org", ("v=spf1 -all", "v=spf1 +all"), "SPF"),
        ("news._domainkey.example.org", "v=DKIM1; p=", "DKIM"),
        ("_dmarc.example.org", "v=DMARC1; p=perhaps", "DMARC"),
    ],
)
def test_a_record_that_mailboxes_cannot_use_is_as_good_as_missing(
    name: str, text: str | tuple[str, ...], record: str
) -> None:
    assert look(table(WHOLE | {name: text}), KEY)[record] is False


def test_without_a_key_of_ours_nobody_knows_what_the_relay_signs_with() -> None:
    assert look(table(WHOLE))["DKIM"] is None


def test_the_key_of_the_domain_above_signs_too_and_that_of_another_does_not() -> None:
    other = Key("example.net", "news._domainkey.example.net", KEY.record)
    assert sender_dns.keys_for("news.example.org", [other, KEY]) == [KEY]
    assert sender_dns.keys_for("example.com", [other, KEY]) == []


def test_of_several_keys_one_whose_record_is_there_is_enough() -> None:
    older = Key("example.org", "old._domainkey.example.org", "v=DKIM1; k=ed25519; p=BBBB")
    assert look(table(WHOLE), older, KEY)["DKIM"] is True


def test_the_names_of_what_is_missing_say_where_it_must_stand() -> None:
    assert SenderRecords("example.org", False, True, False).missing == ("SPF", "DMARC")
    elsewhere = SenderRecords("example.org", False, True, True, spf_at="bounces.example.org")
    assert elsewhere.missing == ("SPF (at bounces.example.org)",)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Example.ORG.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("a..b", None),
        ("", None),
        ("x" * 64 + ".org", None),
        (".".join(["abcdefgh"] * 40), None),
        ("a b.org", None),
        ("a\x00.org", None),
    ],
)
def test_a_name_is_spelt_as_the_dns_spells_it(typed: str, name: str | None) -> None:
    assert ascii_name(typed) == name


def test_the_domain_of_an_address_is_what_stands_behind_its_last_at_sign() -> None:
    assert domain_of("news@Bücher.example") == "xn--bcher-kva.example"
