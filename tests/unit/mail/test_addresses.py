"""What is an e-mail address, when two are the same, and how one stands in a mail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.foundation.languages import Words
from newsletter.mail import addresses
from newsletter.mail.addresses import AddressInvalid, normalise, parse, wire, without_tag
from tests.conftest import EXAMPLES

LONG_DOMAIN = ".".join(["b" * 60] * 3)  # 182 characters


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  ann@example.org\r\n", "ann@example.org"),
        ("\N{NO-BREAK SPACE}ann@example.org\t", "ann@example.org"),
        ("Ann.Lee@Example.ORG", "Ann.Lee@example.org"),
        ("ann+news@example.org", "ann+news@example.org"),
        ("+@example.org", "+@example.org"),
        ("o'brien&sons@example.org", "o'brien&sons@example.org"),
        ("{{7*7}}@example.org", "{{7*7}}@example.org"),
        ("%s%n@example.org", "%s%n@example.org"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
        ("a" * 64 + "@" + LONG_DOMAIN + ".bbbbbb", "a" * 64 + "@" + LONG_DOMAIN + ".bbbbbb"),
    ],
)
def test_an_address_is_kept_as_its_owner_writes_it_with_the_domain_in_small_letters(typed: str, address: str) -> None:
    assert parse(typed) == address


@pytest.mark.parametrize(
    "typed",
    [
        "ann@mañana.example.org",
        "ann@man\N{COMBINING TILDE}ana.example.org",
        "ann@MAÑANA.Example.org",
        "ann@xn--maana-pta.example.org",
        "ann@XN--MAANA-PTA.example.org",
        "ann@mañana\N{IDEOGRAPHIC FULL STOP}example.org",
        "ann@mañana.\N{FULLWIDTH LATIN SMALL LETTER E}xample.org",
    ],
)
def test_one_international_domain_has_one_spelling(typed: str) -> None:
    assert parse(typed) == "ann@mañana.example.org"


NOT_ADDRESSES = {
    "nothing": "",
    "spaces": "   ",
    "no at-sign": "ann.example.org",
    "words for signs": "ann at example.org",
    "nothing before the at-sign": "@example.org",
    "nothing after it": "ann@",
    "two at-signs": "ann@bob@example.org",
    "a display name": "Ann <ann@example.org>",
    "angle brackets": "<ann@example.org>",
    "two addresses": "ann@example.org,bob@example.org",
    "two addresses with a semicolon": "ann@example.org;bob@example.org",
    "a quoted local part": '"ann"@example.org',
    "a quoted space": '"ann lee"@example.org',
    "a quoted line break": '"ann\r\nBcc: x@example.com"@example.org',
    "a comment": "ann(hi)@example.org",
    "a space": "ann lee@example.org",
    "a dot first": ".ann@example.org",
    "a dot last": "ann.@example.org",
    "two dots": "an..n@example.org",
    "a trailing dot": "ann@example.org.",
    "an ideographic trailing dot": "ann@example.org\N{IDEOGRAPHIC FULL STOP}",
    "a dot too many": "ann@example..org",
    "no dot": "ann@localhost",
    "an IP address": "ann@192.0.2.1",
    "an address literal": "ann@[192.0.2.1]",
    "an IPv6 literal": "ann@[IPv6:2001:db8::1]",
    "an underscore in the domain": "ann@ex_ample.org",
    "a hyphen first": "ann@-example.org",
    "a hyphen last": "ann@example-.org",
    "a reserved domain": "ann@mail.invalid",
    "a local part of 65 octets": "a" * 65 + "@example.org",
    "a label of 64 octets": "ann@" + "b" * 64 + ".org",
    "255 characters": "a" * 64 + "@" + LONG_DOMAIN + ".bbbbbbb",
    "a domain that is too long in its ASCII form": "ann@" + ".".join(["é" * 50] * 4) + ".org",
    "broken punycode": "ann@xn--a.org",
    "an emoji for a domain": "ann@\N{GRINNING FACE}.org",
    "a full-width at-sign": "ann\N{FULLWIDTH COMMERCIAL AT}example.org",
    "a full-width letter": "\N{FULLWIDTH LATIN SMALL LETTER A}nn@example.org",
    "a letter that looks like another": "\N{CYRILLIC SMALL LETTER A}nn@example.org",
    "a Kelvin sign": "\N{KELVIN SIGN}ate@example.org",
    "a byte order mark": "\N{ZERO WIDTH NO-BREAK SPACE}ann@example.org",
    "a zero-width joiner": "ann@exa\N{ZERO WIDTH JOINER}mple.org",
    "a soft hyphen": "ann@exam\N{SOFT HYPHEN}ple.org",
    "a direction override": "ann@example.org\N{RIGHT-TO-LEFT OVERRIDE}",
    "a null byte": "ann\x00@example.org",
    "a null byte at the end": "ann@example.org\x00",
    "an escape": "ann\x1b[2J@example.org",
    "a tab": "an\tn@example.org",
    "a delete": "ann\x7f@example.org",
    "a next-line sign": "an\x85n@example.org",
    "a header after a line break": "ann@example.org\r\nBcc: victim@example.com",
    "a header before the at-sign": "ann\r\nBcc: victim@example.com\r\nX: @example.org",
    "a lone carriage return": "ann\r@example.org",
    "a line separator": "ann\N{LINE SEPARATOR}@example.org",
    "an SMTP command": "ann@example.org>\r\nDATA",
    "a replacement character": "ann\N{REPLACEMENT CHARACTER}@example.org",
}


@pytest.mark.parametrize("text", NOT_ADDRESSES.values(), ids=NOT_ADDRESSES.keys())
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressInvalid):
        parse(text)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("ann at example.org", addresses.NO_AT),
        ("ann@example.org,bob@example.org", addresses.TWO_ATS),
        ("ann lee@example.org", addresses.SPACE),
        ("ann@exam\tple.org", addresses.SPACE),
        ("ann@exa\N{ZERO WIDTH JOINER}mple.org", addresses.UNSEEN),
        ("ann\x00@example.org", addresses.UNSEEN),
        ("@example.org", addresses.NO_NAME),
        ("ann@", addresses.NO_DOMAIN),
        ("ann@localhost", addresses.NO_DOMAIN),
        ("an..n@example.org", addresses.DOT),
        ("ann.@example.org", addresses.DOT),
        ("ann@example.org.", addresses.DOT),
        ("ann@example.org\N{IDEOGRAPHIC FULL STOP}", addresses.DOT),
        ("a" * 65 + "@example.org", addresses.LONG_PART),
        ("ann@" + "b" * 64 + ".org", addresses.LONG_PART),
        ("änn@example.org", addresses.LETTERS),
        ('"ann"@example.org', addresses.LETTERS),
        ("\N{KELVIN SIGN}ate@example.org", addresses.LETTERS),
        ("ann@192.0.2.1", addresses.DOMAIN),
        ("ann@ex_ample.org", addresses.DOMAIN),
        ("ann@xn--a.org", addresses.DOMAIN),
        ("=?utf-8?q?ann?=@example.org", addresses.OTHERWISE),
        ("ann@" + "b" * 255, addresses.TOO_LONG),
    ],
)
def test_a_refusal_says_what_its_writer_can_see_to_be_wrong(typed: str, problem: str) -> None:
    with pytest.raises(AddressInvalid) as caught:
        parse(typed)
    assert caught.value.subject["problem"] is problem


def test_a_megabyte_is_refused_with_a_short_sentence() -> None:
    with pytest.raises(AddressInvalid) as caught:
        parse("a" * 1_000_000 + "@example.org")
    assert len(str(caught.value)) < 200


def test_the_sentence_of_a_refusal_names_what_was_typed_and_fills_in_nothing_else() -> None:
    with pytest.raises(AddressInvalid) as caught:
        parse("{problem} {0.__class__}")
    assert str(caught.value).startswith("“{problem} {0.__class__}” is not an e-mail address: ")


@pytest.mark.parametrize("local", ["=?utf-8?q?ann?=", "=?utf-8?q?a=40b=2ec=3e?=", "x=?x?b?YW5u?="])
def test_an_encoded_word_is_no_local_part(local: str) -> None:
    with pytest.raises(AddressInvalid):
        parse(f"{local}@example.org")


def test_case_tells_no_two_addresses_apart() -> None:
    assert normalise(parse("ANN@EXAMPLE.org")) == normalise(parse("ann@example.ORG")) == "ann@example.org"


def test_a_tag_tells_two_addresses_apart_but_is_the_same_mailbox() -> None:
    assert normalise("ann+a@example.org") != normalise("ann+b@example.org")
    assert without_tag("Ann+a@example.org") == without_tag("ann+b+c@example.org") == "ann@example.org"


@pytest.mark.parametrize(
    ("one", "other"),
    [("ann@straße.example", "ann@strasse.example"), ("ann@βόλος.example", "ann@βόλοσ.example")],
)
def test_two_domains_that_two_people_can_own_stay_two(one: str, other: str) -> None:
    """IDNA2008 registers ß beside ss and ς beside σ (RFC 5894 §7.2); case folding makes them one."""
    assert normalise(parse(one)) != normalise(parse(other))
    assert without_tag(parse(one)) != without_tag(parse(other))


def test_a_plus_in_the_domain_or_alone_is_no_tag() -> None:
    assert without_tag("ann@example.org") == "ann@example.org"
    assert without_tag("+a@example.org") == "+a@example.org", "there is no mailbox without a name"


def test_dots_are_part_of_the_name() -> None:
    assert without_tag("a.n.n@example.org") != without_tag("ann@example.org"), "only one provider thinks otherwise"


def test_an_international_domain_goes_over_the_wire_in_ascii() -> None:
    assert wire("ann@mañana.example.org") == "ann@xn--maana-pta.example.org"
    assert wire("ann@faß.example") == "ann@xn--fa-hia.example", "not ss: that is somebody else's domain (RFC 5894 §7.2)"
    assert wire("ann@example.org") == "ann@example.org"


PROBLEMS = {words for words in vars(addresses).values() if isinstance(words, Words)}
ODD = st.text("a@. <\x00é漢。-_", max_size=30) | st.sampled_from([*NOT_ADDRESSES.values()])


@given(text=st.text(max_size=30) | ODD)
@settings(max_examples=EXAMPLES * 3 // 2)
def test_whatever_is_refused_is_so_in_words_that_can_be_translated(text: str) -> None:
    """And in none of the library’s, which are English only."""
    if not text.strip() or addresses.is_one(text):
        return
    with pytest.raises(AddressInvalid) as caught:
        parse(text)
    assert caught.value.subject["problem"] in PROBLEMS


ATOM = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=20)
LABEL = st.text("abc019-ßςéñ漢ا", min_size=1, max_size=20)


@given(local=st.lists(ATOM, min_size=1, max_size=3), domain=st.lists(LABEL, min_size=1, max_size=3))
@settings(max_examples=EXAMPLES * 3 // 2)
def test_whatever_is_accepted_can_be_written_into_an_envelope_and_a_header(local: list[str], domain: list[str]) -> None:
    text = f"{'.'.join(local)}@{'.'.join(domain)}.org"
    try:
        address = parse(text)
    except AddressInvalid:
        return
    on_the_wire = wire(address)
    assert on_the_wire.isascii()
    assert on_the_wire.isprintable()
    assert not set(on_the_wire) & set(' <>"(),:;\\[]')
    assert len(on_the_wire) <= addresses.LONGEST
    assert parse(on_the_wire) == address == parse(address), "read again it is the same"
