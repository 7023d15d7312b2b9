"""What an operator types to see where an edition's copies are, and to decide about the uncertain ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, cast

import pytest

from newsletter.delivery import deciding
from tests.support.office import Office

NOW = "2026-03-03 05:20:00.000000"


def in_the_database(office: Office, *statements: str) -> None:
    with closing(sqlite3.connect(office.folder / "newsletter.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.fixture
def sent(newsroom: Office, feed: str) -> Office:
    """An edition to three readers, of whom nobody knows whether two have it."""
    office = newsroom.once(
        "delivery",
        ("newsletters", "set", "post", "items_at_least=1"),
        ("sources", "add", feed),
        ("collect",),
        ("edition", "compose"),
    )
    for n, name in enumerate(("ann", "bob", "cleo"), 1):
        in_the_database(
            office,
            "INSERT INTO subscribers (id, address, normalised, address_hash, created_at, language, text_only, "
            f"former_hashes) VALUES ({n}, '{name}@example.org', '{name}@example.org', '{n}', '{NOW}', '', 0, '[]')",
            "INSERT INTO subscriptions "
            "(subscriber_id, newsletter_id, slot_id, state, origin, confirmed_at, welcomed_at) "
            f"SELECT {n}, newsletter_id, id, 'active', 'form', '{NOW}', '{NOW}' FROM slots",
        )
    office.says("edition", "send", "--now")
    in_the_database(
        office,
        "UPDATE deliveries SET state = 'refused', last_reply = '550 5.1.1 <ann@example.org>: unknown' "
        "WHERE subscriber_id = 1",
        "UPDATE deliveries SET state = 'uncertain', last_reply = 'timed out' WHERE subscriber_id > 1",
        "UPDATE shards SET due_at = NULL",
    )
    office.says("deliver", "--until-idle")
    return office


def report(office: Office) -> dict[str, Any]:
    return cast(dict[str, Any], office.data("edition", "report"))


def test_a_report_tells_states_domains_replies_and_what_asks_for_a_hand(sent: Office) -> None:
    told = sent.says("edition", "report")
    for line in (
        "Morning Post of 2026-03-03 is sent, audience 3",
        "  refused            1",
        "  uncertain          2",
        "Domains that refused copies:",
        "          3         0         0         1         2  example.org",
        "          1 refused    550 5.1.1 …: unknown",
        "Uncertain, and for you to decide: 2. See: newsletter edition uncertain",
    ):
        assert line in told.splitlines(), told
    data = report(sent)
    assert (data["state"], data["audience"], data["deliveries"]["uncertain"]) == ("sent", 3, 2)
    assert sum(data["deliveries"].values()) == 3
    assert (data["uncertain_undecided"], data["per_second"]) == (2, None)
    assert {one["name"]: one["refused"] for one in data["domains"]} == {"example.org": 1}
    assert {one["gist"]: one["count"] for one in data["replies"]} == {"timed out": 2, "550 5.1.1 …: unknown": 1}


def test_uncertain_copies_are_listed_and_sent_again_after_a_question(sent: Office) -> None:
    assert sent.says("edition", "uncertain") == (
        "bob@example.org  timed out  since 2026-03-03 05:20 UTC\n"
        "cleo@example.org  timed out  since 2026-03-03 05:20 UTC\n"
    )
    assert [one["address"] for one in cast(list[Any], sent.data("edition", "uncertain"))] == [
        "bob@example.org",
        "cleo@example.org",
    ]
    refused = sent.run("edition", "uncertain", "--resend", typed="n\n")
    assert refused.exit_code == 1
    assert "Resend 2 uncertain copies of Morning Post of 2026-03-03? Who has one already gets two." in refused.stderr
    assert "newsletter: nothing was changed." in refused.stderr
    agreed = sent.run("edition", "uncertain", "--resend", typed="y\n")
    assert (agreed.exit_code, agreed.stdout) == (0, "To go again: 2\n")
    sent.says("deliver", "--until-idle")
    assert report(sent)["deliveries"]["accepted"] == 2
    assert len(sent.mails()) == 2
    assert sent.says("edition", "uncertain") == "No copy is uncertain, or all of them are decided about.\n"


def test_they_are_left_without_a_question_by_yes_but_many_not_without_their_number(
    sent: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "TYPED_ABOVE", 1)
    assert "type their number, 2" in sent.fails("edition", "uncertain", "--leave", "--yes")
    assert report(sent)["uncertain_undecided"] == 2
    typed = sent.run("edition", "uncertain", "--leave", typed="2\n")
    assert (typed.exit_code, typed.stdout) == (0, "Left as they are: 2\n")
    data = report(sent)
    assert (data["uncertain_undecided"], data["deliveries"]["uncertain"]) == (0, 2)
    assert sent.says("edition", "uncertain", "--resend", "--count", "0") == "To go again: 0\n"
