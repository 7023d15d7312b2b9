"""Which address was probably meant: near-misses of the commonest domains, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.addresses import COMMON, LONGEST, normalise, parse, suggestion

NEAR_MISSES = {
    "a letter missing": {"gmal.com": "gmail.com", "yaho.com": "yahoo.com", "outlok.com": "outlook.com"},
    "a letter too much": {"gmaill.com": "gmail.com", "yahooo.com": "yahoo.com", "iclloud.com": "icloud.com"},
    "a wrong letter": {"gnail.com": "gmail.com", "hormail.com": "hotmail.com", "outlool.com": "outlook.com"},
    "swapped letters": {"gmial.com": "gmail.com", "gamil.com": "gmail.com", "wbe.de": "web.de", "gxm.de": "gmx.de"},
    "two slips in a long name": {"hotmmial.com": "hotmail.com", "protnmial.com": "protonmail.com"},
    "three slips, one of them in the ending": {"hotmmial.con": "hotmail.com"},
    "an ending that is none": {"gmail.con": "gmail.com", "gmx.ed": "gmx.de", "yahoo.co.ku": "yahoo.co.uk"},
    "an ending cut short": {"gmail.co": "gmail.com", "hotmail.cm": "hotmail.com", "yahoo.om": "yahoo.com"},
    "a dot missing": {"gmailcom": "gmail.com", "yahoo.couk": "yahoo.co.uk", "tonline.de": "t-online.de"},
    "a dot misplaced": {"gmailc.om": "gmail.com", "gmai.lcom": "gmail.com"},
    "a dot too much": {"gmail..com": "gmail.com", "gmail.com.": "gmail.com", ".gmail.com": "gmail.com"},
    "a comma for a dot": {"gmail,com": "gmail.com"},
    "no ending at all": {"gmail": "gmail.com", "hotmail": "hotmail.com"},
    "an ending that the company has not": {"gmail.de": "gmail.com", "icloud.fr": "icloud.com"},
    "somebody's own domain with an ending that is none": {"harbor-gazette.con": "harbor-gazette.com"},
}


@pytest.mark.parametrize("kind", NEAR_MISSES)
def test_a_near_miss_of_a_common_domain_is_noticed(kind: str) -> None:
    for typed, meant in NEAR_MISSES[kind].items():
        assert suggestion(f"ann@{typed}") == f"ann@{meant}"


OTHERS = {
    "example.org": "has nothing to do with any",
    "harbor-gazette.example": "has nothing to do with any",
    "yahoo.pl": "is a country's own",
    "hotmail.se": "is a country's own",
    "live.no": "is a country's own",
    "mail.de": "is another company",
    "email.de": "is another company",
    "mail.org": "is another company",
    "posteo.net": "is another company's ending",
    "wdr.de": "is near to web.de by chance",
    "love.com": "is near to live.com by chance",
    "mag.com": "is near to mac.com by chance",
    "horizon.net": "is near to verizon.net by chance",
    "gov.uk": "is short",
    "126.com": "is near to 163.com by chance",
    "b.co": "is real",
    "co": "is no name",
    "": "is none",
}


@pytest.mark.parametrize("domain", OTHERS)
def test_nothing_is_suggested_for_a_domain_that(domain: str) -> None:
    assert suggestion(f"ann@{domain}") is None, f"{domain} {OTHERS[domain]}"


@pytest.mark.parametrize("domain", COMMON)
def test_a_common_domain_is_never_doubted(domain: str) -> None:
    assert suggestion(f"ann@{domain}") is None
    assert suggestion(f"Ann@{domain.upper()}") is None


def test_what_stands_before_the_at_sign_stays_as_it_was_typed() -> None:
    assert suggestion(" Ann.Lee+news@gmial.com ") == "Ann.Lee+news@gmail.com"


@pytest.mark.parametrize("text", ["", "@", "ann", "@gmial.com", "a b@gmial.com", "ann@@gmial.com", "a\0b@gmial.com"])
def test_what_would_be_no_address_with_any_domain_gets_no_suggestion(text: str) -> None:
    assert suggestion(text) is None


def test_a_text_longer_than_an_address_is_not_looked_at() -> None:
    assert suggestion("a" * LONGEST + "@gmial.com") is None
    assert suggestion("ann@" + "gmial." * 50_000 + "com") is None


@given(st.text(max_size=60))
def test_whatever_was_typed_the_suggestion_is_an_address_that_needs_none(text: str) -> None:
    for typed in (text, f"ann@{text}", f"ann@{text}.com", f"{text}@gmial.com"):
        meant = suggestion(typed)
        if meant is not None:
            assert parse(meant) == meant
            assert suggestion(meant) is None
            assert normalise(meant) != normalise(typed)


@given(st.sampled_from(COMMON[:5]), st.integers(min_value=0, max_value=20), st.sampled_from("abcdefghij"))
def test_one_letter_too_much_in_the_commonest_domains_always_finds_back(domain: str, place: int, letter: str) -> None:
    name, _, ending = domain.partition(".")
    typed = f"{name[:place]}{letter}{name[place:]}.{ending}"
    assert suggestion(f"ann@{typed}") in (f"ann@{domain}", None if typed in COMMON else f"ann@{domain}")
