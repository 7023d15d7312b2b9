"""Signed links and return paths: each opens what it was made for, and nothing else."""

from __future__ import annotations

import hashlib
import re
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from newsletter.foundation.links import LinkExpired, LinkInvalid, Links, Purpose

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
LINKS = Links("a secret that is long enough to be one", "https://news.example.org")
OTHER = Links("another secret, from somebody else's service", "https://news.example.org")

ids = st.integers(0, 2**63 - 1)
purposes = st.sampled_from(Purpose)
BASE64 = string.ascii_letters + string.digits + "-_."


@given(ids, purposes)
def test_a_link_leads_back_to_its_subject(subject: int, purpose: Purpose) -> None:
    assert LINKS.read(purpose, LINKS.make(purpose, subject)) == subject
    assert LINKS.read_in_time(purpose, LINKS.make(purpose, subject), NOON) == subject


@given(ids, purposes)
@example(1111111111, Purpose.UNSUBSCRIBE)
@example(2222222222222222, Purpose.UNSUBSCRIBE)
def test_a_token_is_word_for_word_what_itsdangerous_makes(subject: int, purpose: Purpose) -> None:
    """So that links of any version open, and whoever reads ours finds it documented."""
    serializer = URLSafeSerializer(
        "a secret that is long enough to be one",
        salt=f"newsletter.{purpose}",
        signer_kwargs={"digest_method": hashlib.sha256},
    )
    assert LINKS.make(purpose, subject) == serializer.dumps([subject, 0])
    assert LINKS.make(purpose, subject, NOON) == serializer.dumps([subject, int(NOON.timestamp())])
    assert LINKS.make_for(purpose, subject, 7) == serializer.dumps([subject, 0, 7])


@given(ids, purposes, purposes)
def test_no_purpose_opens_another_s_page(subject: int, made_for: Purpose, shown_to: Purpose) -> None:
    token = LINKS.make(made_for, subject)
    if made_for is not shown_to:
        with pytest.raises(LinkInvalid):
            LINKS.read(shown_to, token)


@given(ids, purposes)
def test_nobody_else_s_secret_signs_our_links(subject: int, purpose: Purpose) -> None:
    with pytest.raises(LinkInvalid):
        LINKS.read(purpose, OTHER.make(purpose, subject))


@given(ids, purposes, st.data())
def test_a_link_with_one_changed_character_opens_nothing_else(
    subject: int, purpose: Purpose, data: st.DataObject
) -> None:
    token = LINKS.make(purpose, subject)
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.sampled_from(BASE64)) + token[place + 1 :]
    try:
        assert LINKS.read(purpose, changed) == subject  # base64 has spare bits at its end
    except LinkInvalid:
        assert changed != token


@given(st.text(st.characters()))
@example("")
@example(".")
@example("..")
@example("\udcff")
@example("WzEsMF0")
@example("." + "A" * 5000)
def test_anything_that_is_no_link_is_called_damaged(token: str) -> None:
    for purpose in Purpose:
        for read in (LINKS.read, LINKS.read_for):
            with pytest.raises(LinkInvalid):
                read(purpose, token)


def test_a_link_is_good_until_its_moment_and_not_at_it() -> None:
    token = LINKS.make(Purpose.CONFIRM, 7, NOON)

    assert LINKS.read_in_time(Purpose.CONFIRM, token, NOON - timedelta(seconds=1)) == 7
    for later in (NOON, NOON + timedelta(days=900)):
        with pytest.raises(LinkExpired, match="03 March 2026"):
            LINKS.read_in_time(Purpose.CONFIRM, token, later)
    assert LINKS.read(Purpose.CONFIRM, token) == 7, "the page that says so still knows what it was about"


def test_a_link_without_a_moment_never_expires() -> None:
    token = LINKS.make(Purpose.UNSUBSCRIBE, 7)

    assert LINKS.read_in_time(Purpose.UNSUBSCRIBE, token, NOON + timedelta(days=36500)) == 7


def test_a_link_stands_below_our_own_address_in_characters_that_every_mail_program_links() -> None:
    link = LINKS.link(Purpose.UNSUBSCRIBE, 2**63 - 1)

    assert re.fullmatch(r"https://news\.example\.org/unsubscribe/[A-Za-z0-9._-]+", link)
    assert len(link) < 150


def test_a_link_holds_an_id_and_no_more() -> None:
    assert LINKS.make(Purpose.UNSUBSCRIBE, 7) == LINKS.make(Purpose.UNSUBSCRIBE, 7)


# Links that are bound to one person


@given(ids, ids, purposes)
def test_a_link_for_one_person_names_both_and_is_no_link_for_everybody(
    subject: int, person: int, purpose: Purpose
) -> None:
    token = LINKS.make_for(purpose, subject, person)
    assert LINKS.read_for(purpose, token) == (subject, person)
    with pytest.raises(LinkInvalid):
        LINKS.read(purpose, token)
    with pytest.raises(LinkInvalid):
        LINKS.read_for(purpose, LINKS.make(purpose, subject))


@given(ids, ids, purposes, purposes)
def test_a_link_for_one_person_opens_no_other_purpose_s_page(
    subject: int, person: int, made_for: Purpose, shown_to: Purpose
) -> None:
    if made_for is not shown_to:
        with pytest.raises(LinkInvalid):
            LINKS.read_for(shown_to, LINKS.make_for(made_for, subject, person))


# Return paths (VERP)

kinds = st.sampled_from(["d", "o"])


@given(kinds, ids)
@example("d", 2**63 - 1)
@example("d", 0)
def test_a_return_path_is_short_and_lower_case_and_survives_folding(kind: str, subject: int) -> None:
    made = LINKS.verp(kind, subject)

    assert re.fullmatch(r"[a-z][a-z2-7]+-[a-z2-7]{16}", made)
    assert len(made) <= 40
    for folded in (made, made.upper(), made.title(), made.swapcase()):
        assert LINKS.read_verp(folded) == (kind, subject)


@given(kinds, ids, st.data())
def test_a_return_path_with_one_changed_character_is_not_ours(kind: str, subject: int, data: st.DataObject) -> None:
    made = LINKS.verp(kind, subject)
    place = data.draw(st.integers(0, len(made) - 1))
    changed = made[:place] + data.draw(st.sampled_from(string.ascii_lowercase + "234567-")) + made[place + 1 :]
    if changed != made:
        with pytest.raises(LinkInvalid):
            LINKS.read_verp(changed)


@given(kinds, ids, st.integers(1, 20))
def test_a_return_path_that_was_cut_off_is_not_ours(kind: str, subject: int, left: int) -> None:
    with pytest.raises(LinkInvalid):
        LINKS.read_verp(LINKS.verp(kind, subject)[:-left])


@given(st.text(st.characters(codec="utf-8")))
@example("")
@example("-")
@example("d-")
@example("dae")
@example("postmaster")
def test_anything_that_is_no_return_path_is_called_damaged(local_part: str) -> None:
    with pytest.raises(LinkInvalid):
        LINKS.read_verp(local_part)


def test_octets_that_no_address_may_hold_are_called_damaged() -> None:
    """Python's mail parser gives raw octets of a header as lone surrogates."""
    with pytest.raises(LinkInvalid):
        LINKS.read_verp("dae-\udcff")


def test_nobody_else_s_secret_signs_our_return_paths() -> None:
    with pytest.raises(LinkInvalid):
        LINKS.read_verp(OTHER.verp("d", 7))
