"""A domain's DMARC policy, its own or its organisation's, and who is aligned with whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail import dmarc
from newsletter.mail.answers import Answer, found
from newsletter.mail.dmarc import MOST_STEPS
from tests.support.dns_answers import Table, table

REJECT = "v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:dmarc@example.org"


def world(**texts: str) -> Table:
    return table({f"_dmarc.{name.replace('_', '.')}": text for name, text in texts.items()})


def test_a_domain_s_own_record_is_taken() -> None:
    seen = dmarc.look("example.org", world(example_org=REJECT))
    assert seen.policy is not None
    policy = seen.policy
    assert (policy.asked, policy.strict_dkim, policy.strict_spf, policy.reports) == ("reject", True, False, True)


def test_below_it_the_organisation_s_record_counts_with_its_word_for_those_below() -> None:
    seen = dmarc.look("news.paper.example.org", world(example_org=REJECT))
    assert seen.policy is not None
    assert (seen.policy.domain, seen.policy.asked, seen.organisation) == ("example.org", "quarantine", "example.org")


def test_a_record_of_its_own_comes_before_the_organisation_s() -> None:
    seen = dmarc.look("news.example.org", world(example_org=REJECT, news_example_org="v=DMARC1; p=none"))
    assert seen.policy is not None
    assert (seen.policy.domain, seen.policy.asked, seen.organisation) == ("news.example.org", "none", "example.org")


def test_a_registry_s_record_makes_nobody_its_own() -> None:
    lookup = world(co_example="v=DMARC1; p=reject; psd=y", paper_co_example="v=DMARC1; p=none")
    assert dmarc.look("news.paper.co.example", lookup).organisation == "paper.co.example"
    assert not dmarc.aligned("news.paper.co.example", "other.co.example", False, lookup)
    assert dmarc.aligned("news.paper.co.example", "mail.paper.co.example", False, lookup)


def test_an_organisation_may_say_that_it_is_one() -> None:
    lookup = world(example_org=REJECT, paper_example_org="v=DMARC1; p=none; psd=n")
    assert dmarc.look("news.paper.example.org", lookup).organisation == "paper.example.org"


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("v=DMARC1; p=none", False),
        ("v=DMARC1;p=Quarantine;", False),
        ("v=DMARC1; rua=mailto:a@example.org", False),
        ("v=DMARC1", True),
        ("v=DMARC1; p=nothing", True),
        ("v=DMARC1; p", True),
        ("v=DMARC1; p=none; p=reject", True),
    ],
)
def test_a_record_that_mailboxes_cannot_use_is_told(record: str, problem: bool) -> None:
    policy = dmarc.look("example.org", world(example_org=record)).policy
    assert policy is not None
    assert bool(policy.problem) is problem


def test_two_records_are_as_good_as_none() -> None:
    policy = dmarc.look("example.org", table({"_dmarc.example.org": (REJECT, REJECT)})).policy
    assert policy is not None
    assert "2 records" in policy.problem


@pytest.mark.parametrize("text", ["v=DMARC2; p=none", "p=none; v=DMARC1", "hello", ""])
def test_other_texts_are_no_policy(text: str) -> None:
    assert dmarc.look("example.org", world(example_org=text)).policy is None


def test_no_answer_is_not_taken_for_no_policy() -> None:
    lookup = Table(failing={"_dmarc.example.org"})
    assert dmarc.look("news.example.org", lookup).trouble


@pytest.mark.parametrize(
    ("other", "strict", "aligned"),
    [
        ("news.example.org", True, True),
        ("example.org", True, False),
        ("example.org", False, True),
        ("mail.example.org", False, True),
        ("example.net", False, False),
    ],
)
def test_alignment_is_by_organisation_unless_it_is_strict(other: str, strict: bool, aligned: bool) -> None:
    assert dmarc.aligned("news.example.org", other, strict, world(example_org="v=DMARC1; p=none")) is aligned


@given(st.lists(st.text(max_size=60), max_size=3), st.integers(1, 60), st.booleans())
def test_whatever_is_said_few_questions_are_asked_and_none_of_a_registry(
    texts: list[str], labels: int, begins_well: bool
) -> None:
    asked: list[str] = []

    def lookup(name: str, kind: str) -> Answer:
        asked.append(name)
        return found(*(f"v=DMARC1;{text}" if begins_well else text for text in texts))

    domain = ".".join(["a"] * labels + ["example"])
    seen = dmarc.look(domain, lookup)
    assert len(asked) <= MOST_STEPS
    assert "_dmarc.example" not in asked
    assert domain.endswith(seen.organisation)
