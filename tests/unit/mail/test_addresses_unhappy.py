from __future__ import annotations

import pytest

from newsletter.mail.addresses import normalise, parse, without_tag


@pytest.mark.parametrize(
    ("one", "other"),
    [("ann@straße.example", "ann@strasse.example"), ("ann@βόλος.example", "ann@βόλοσ.example")],
)
def test_two_domains_that_two_people_can_own_stay_two(one: str, other: str) -> None:
    """IDNA2008 registers ß beside ss and ς beside σ (RFC 5894 §7.2); case folding makes them one."""
    assert normalise(parse(one)) != normalise(parse(other))
    assert without_tag(parse(one)) != without_tag(parse(other))


@pytest.mark.parametrize("local", ["=?utf-8?q?ann?=", "=?utf-8?q?a=40b=2ec=3e?=", "x=?x?b?YW5u?="])
def test_an_encoded_word_is_no_local_part(local: str) -> None:
    from newsletter.mail.addresses import AddressInvalid

    with pytest.raises(AddressInvalid):
        parse(f"{local}@example.org")
