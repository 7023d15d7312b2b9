"""Replies that say the same of different readers are one line; replies that say different things are not."""

from __future__ import annotations

import pytest

from newsletter.delivery.gists import LONGEST, gist

ALIKE = {
    "550 5.1.1 …: user unknown": (
        "550 5.1.1 <ann@example.org>: user unknown",
        "550  5.1.1 <bob.b+news@mail.example.org>:\r\nuser unknown",
        "550-5.1.1 cleo@example.net: user unknown",
    ),
    "451 4.7.1 greylisted for … seconds, …": (
        "451 4.7.1 greylisted for 291 seconds, id=4f1234ab",
        "451 4.7.1 greylisted for 5 seconds, id=9CCE81-0034",
    ),
    "452 4.2.2 over quota …": (
        "452 4.2.2 over quota x1-20020a05600c. 17si1234567",
        "452 4.2.2 over quota y9-1003a",
    ),
    "554 5.7.1 Client host … blocked, see …": (
        "554 5.7.1 Client host [192.0.2.7] blocked, see https://lists.example/q?ip=192.0.2.7",
        "554 5.7.1 Client host [2001:db8::25] blocked, see http://lists.example/2001",
    ),
    "450 4.3.0 try … later": ("450 4.3.0 try ann@example.org (bob@example.org) later",),
}


@pytest.mark.parametrize(("whole", "replies"), ALIKE.items(), ids=ALIKE)
def test_replies_that_differ_in_whom_they_are_about_are_alike(whole: str, replies: tuple[str, ...]) -> None:
    assert {gist(reply) for reply in replies} == {whole}


@pytest.mark.parametrize(
    "reply",
    [
        "550",
        "421 too busy",
        "550 5.2.1 mailbox disabled",
        "5.1.1 no such user",
        "it closed the connection",
        "",
        "timed out",
    ],
)
def test_what_names_nobody_stays_as_it_is(reply: str) -> None:
    assert gist(reply) == reply


def test_codes_keep_replies_apart() -> None:
    assert gist("550 5.1.1 no") != gist("550 5.2.1 no") != gist("551 5.2.1 no")


def test_no_address_is_left_in_any_of_them() -> None:
    for reply in ("550 no ann@example.org", "<ann@example.org> 550", "for=ann@example.org;x", "a'b@example.org"):
        assert "example.org" not in gist(reply)


def test_it_is_never_longer_than_a_line_and_quick_with_hostile_words() -> None:
    assert len(gist("550 " + "why " * 400)) == LONGEST
    for hostile in ("<" * 500, "@" * 500, "1" * 500, "a" * 499 + "@", "1.2.3." * 80, "(…" * 250):
        assert len(gist(hostile)) <= LONGEST
