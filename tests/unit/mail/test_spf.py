"""What an SPF record says of an address (RFC 7208), also where whoever wrote it means ill."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail import spf
from newsletter.mail.answers import Answer, Heard, found
from newsletter.mail.spf import MOST_LOOKUPS, Verdict
from tests.support.dns_answers import Table, table

RELAY = "192.0.2.25"


def verdict(record: str, address: str = RELAY, **others: tuple[str, ...]) -> Verdict:
    return spf.check("example.org", address, table({"example.org": record}, **others)).verdict


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("v=spf1 -all", Verdict.FAIL),
        ("v=spf1 ~all", Verdict.SOFTFAIL),
        ("v=spf1 ?all", Verdict.NEUTRAL),
        ("v=spf1 all", Verdict.PASS),
        ("v=spf1", Verdict.NEUTRAL),
        ("V=SPF1 IP4:192.0.2.25 -ALL", Verdict.PASS),
        ("v=spf1 ip4:192.0.2.25 -all", Verdict.PASS),
        ("v=spf1 ip4:192.0.2.0/24 -all", Verdict.PASS),
        ("v=spf1 ip4:192.0.2.128/25 -all", Verdict.FAIL),
        ("v=spf1 -ip4:192.0.2.25 +all", Verdict.FAIL),
        ("v=spf1 ip6:2001:db8::/32 -all", Verdict.FAIL),
        ("v=spf1 ip4:192.0.2 -all", Verdict.PERMERROR),
        ("v=spf1 ip4:192.0.2.0/33 -all", Verdict.PERMERROR),
        ("v=spf1 ip4 -all", Verdict.PERMERROR),
        ("v=spf1 include -all", Verdict.PERMERROR),
        ("v=spf1 ipv4:192.0.2.25 -all", Verdict.PERMERROR),
        ("v=spf1 a:mail.example.org/99 -all", Verdict.PERMERROR),
        ("v=spf1 !all", Verdict.PERMERROR),
        ("v=spf1 unknown=yes -all", Verdict.FAIL),
        ("v=spf1 ip4:192.0.2.25 é", Verdict.PERMERROR),
    ],
)
def test_a_record_without_other_names(record: str, said: Verdict) -> None:
    assert verdict(record) is said


def test_an_ipv6_address_is_found_in_its_network_only() -> None:
    assert verdict("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::25") is Verdict.PASS
    assert verdict("v=spf1 ip4:192.0.2.0/24 -all", "2001:db8::25") is Verdict.FAIL


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("a", Verdict.PASS),
        ("a:mail.example.org", Verdict.PASS),
        ("a:other.example.org", Verdict.FAIL),
        ("a:other.example.org/24", Verdict.PASS),
        ("a:other.example.org/24//64", Verdict.PASS),
        ("mx", Verdict.PASS),
        ("mx:nowhere.example.org", Verdict.FAIL),
        ("exists:%{i}._spf.%{d}", Verdict.PASS),
        ("exists:%{ir}.list.example.org", Verdict.FAIL),
        ("exists:%{l}.people.example.org", Verdict.UNKNOWABLE),
        ("exists:%{z}.example.org", Verdict.UNKNOWABLE),
        ("exists:100%.example.org", Verdict.PERMERROR),
        ("ptr:example.org", Verdict.PASS),
        ("ptr:example.net", Verdict.FAIL),
    ],
)
def test_terms_that_ask_the_dns(term: str, said: Verdict) -> None:
    lookup = table(
        {"example.org": f"v=spf1 {term} -all"},
        A__example_org=(RELAY,),
        A__mail_example_org=(RELAY,),
        A__other_example_org=("192.0.2.99",),
        MX__example_org=("mail.example.org",),
    )
    lookup.records[f"{RELAY}._spf.example.org", "A"] = ("127.0.0.2",)
    lookup.records["25.2.0.192.in-addr.arpa", "PTR"] = ("mail.example.org", "liar.example.net")
    assert spf.check("example.org", RELAY, lookup).verdict is said


def test_an_include_counts_only_when_it_passes() -> None:
    texts = {"example.org": "v=spf1 include:relay.test ~all", "relay.test": "v=spf1 ip4:192.0.2.0/24 -all"}
    assert spf.check("example.org", RELAY, table(texts)).by == "include:relay.test"
    assert spf.check("example.org", "198.51.100.1", table(texts)).verdict is Verdict.SOFTFAIL


def test_an_include_of_nothing_spoils_the_whole_record() -> None:
    checked = spf.check("example.org", RELAY, table({"example.org": "v=spf1 include:gone.test ~all"}))
    assert (checked.verdict, "gone.test, which has no SPF record" in checked.why) == (Verdict.PERMERROR, True)


def test_a_redirect_is_followed_when_nothing_else_holds() -> None:
    texts = {
        "example.org": "v=spf1 redirect=_spf.%{d} ip4:198.51.100.7",
        "_spf.example.org": "v=spf1 ip4:192.0.2.25 -all",
    }
    assert spf.check("example.org", RELAY, table(texts)).verdict is Verdict.PASS
    assert spf.check("example.org", "198.51.100.7", table(texts)).lookups == 0
    assert spf.check("example.org", "203.0.113.1", table(texts)).verdict is Verdict.FAIL
    assert verdict("v=spf1 redirect=gone.test") is Verdict.PERMERROR


def test_two_records_are_none() -> None:
    lookup = table({"example.org": ("v=spf1 +all", "something else", "v=spf1 -all")})
    assert len(spf.records_at("example.org", lookup).records) == 2
    assert "2 SPF records" in spf.check("example.org", RELAY, lookup).why


def test_other_texts_are_no_record() -> None:
    lookup = table({"example.org": ("v=spf10 -all", "spf1", "v=spf1-all", "google-site-verification=x")})
    assert spf.records_at("example.org", lookup).heard is Heard.NONE
    assert spf.check("example.org", RELAY, lookup).verdict is Verdict.NONE
    assert spf.check("gone.test", RELAY, lookup).verdict is Verdict.NONE


def test_ten_lookups_are_allowed_and_eleven_are_not() -> None:
    def record(count: int) -> Table:
        names = [f"i{number}.test" for number in range(count)]
        included = dict.fromkeys(names, "v=spf1 ip4:198.51.100.1 -all")
        return table({"example.org": f"v=spf1 {' '.join(f'include:{name}' for name in names)} -all", **included})

    assert spf.check("example.org", None, record(10)).lookups == 10
    assert spf.check("example.org", RELAY, record(10)).verdict is Verdict.FAIL
    for address in (RELAY, None):
        checked = spf.check("example.org", address, record(11))
        assert (checked.verdict, "more than 10 lookups" in checked.why) == (Verdict.PERMERROR, True)


def test_what_a_record_costs_is_counted_to_its_end_although_an_address_is_found_early() -> None:
    texts = {"example.org": "v=spf1 a include:relay.test mx -all", "relay.test": "v=spf1 exists:%{i}.x.test ~all"}
    lookup = table(texts, A__example_org=(RELAY,), MX__example_org=("mail.example.org",))
    assert spf.check("example.org", RELAY, lookup).lookups == 1
    assert spf.check("example.org", None, lookup).lookups == 4


def test_three_names_without_anything_behind_them_spoil_the_record() -> None:
    assert verdict("v=spf1 a:a.test a:b.test -all") is Verdict.FAIL
    assert verdict("v=spf1 a:a.test a:b.test a:c.test -all") is Verdict.PERMERROR


def test_eleven_mail_servers_spoil_the_record() -> None:
    assert verdict("v=spf1 mx -all", MX__example_org=tuple(f"m{n}.test" for n in range(11))) is Verdict.PERMERROR


def test_no_answer_is_not_taken_for_no_record() -> None:
    lookup = table({"example.org": "v=spf1 include:relay.test ~all"})
    lookup.failing.add("relay.test")
    assert spf.check("example.org", RELAY, lookup).verdict is Verdict.TEMPERROR
    lookup.failing.add("example.org")
    assert spf.check("example.org", RELAY, lookup).verdict is Verdict.TEMPERROR


# Those who mean ill


@pytest.mark.parametrize("record", ["v=spf1 include:example.org -all", "v=spf1 redirect=example.org"])
def test_a_record_that_refers_to_itself_ends(record: str) -> None:
    lookup = table({"example.org": record})
    assert spf.check("example.org", RELAY, lookup).verdict is Verdict.PERMERROR
    assert len(lookup.asked) < 5


def test_a_circle_of_two_ends() -> None:
    lookup = table({"a.test": "v=spf1 include:b.test -all", "b.test": "v=spf1 include:a.test -all"})
    assert spf.check("a.test", None, lookup).verdict is Verdict.PERMERROR


def test_a_server_that_makes_up_ever_new_includes_is_left_after_ten() -> None:
    asked: list[str] = []

    def endless(name: str, kind: str) -> Answer:
        asked.append(name)
        return found(f"v=spf1 include:x{len(asked)}.{name[-60:]} -all")

    assert spf.check("example.org", RELAY, endless).verdict is Verdict.PERMERROR
    assert len(asked) == MOST_LOOKUPS + 1


def test_a_giant_record_is_not_read_to_its_end() -> None:
    assert verdict("v=spf1 " + "ip4:198.51.100.1 " * 100_000 + "-all") is Verdict.PERMERROR


TERMS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["a", "mx", "ptr", "all", "-all", "include:a.test", "redirect=b.test", "exists:%{i}.%{d}", "exp=x"]
    ),
    st.from_regex(r"[+?~-]?(a|mx|include|exists|ip4|ip6)(:[%{}a-z0-9./:-]{0,20})?(/[0-9]{0,4})?", fullmatch=True),
    st.from_regex(r"exists:%\{[a-zA-Z][0-9]{0,5}r?[.+,/_=-]{0,3}\}", fullmatch=True),
)
RECORDS = st.lists(TERMS, max_size=12).map(lambda terms: "v=spf1 " + " ".join(terms))


@given(
    RECORDS, RECORDS, RECORDS, st.sampled_from([RELAY, "2001:db8::1", None]), st.lists(st.text(max_size=20), max_size=5)
)
def test_whatever_the_dns_says_there_is_a_verdict_after_few_questions(
    first: str, second: str, third: str, address: str | None, names: list[str]
) -> None:
    lookup = table({"example.org": first, "a.test": second, "b.test": third})
    lookup.records["example.org", "MX"] = tuple(names)
    lookup.records["example.org", "A"] = ("192.0.2.1", "192.0.2.25")
    checked = spf.check("example.org", address, lookup)
    assert checked.verdict in Verdict
    assert checked.lookups <= MOST_LOOKUPS + 1
    assert len(lookup.asked) <= 12 * 12
    assert bool(checked.why) == (checked.verdict in (Verdict.PERMERROR, Verdict.TEMPERROR, Verdict.UNKNOWABLE))
