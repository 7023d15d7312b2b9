"""What providers see of us is told in words by the limits that they publish, and honestly where nobody can know."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import repute
from newsletter.delivery.bounce_models import Bounce
from newsletter.delivery.repute import Repute, Verdict
from newsletter.foundation.config import BouncesConfig
from newsletter.foundation.database import transaction
from newsletter.mail.verdicts import Kind
from tests.conftest import House
from tests.support.ledgers import Copy, ledger_with

LISTENS = BouncesConfig(listen=True)


def seen(house: House, mails: int, hard: int = 0, complaints: int = 0, ever: bool = True) -> Repute:
    return Repute(newsletter_id=1, as_of=house.now, mails=mails, hard=hard, complaints=complaints, complaints_ever=ever)


@pytest.mark.parametrize(
    ("mails", "hard", "verdict", "said"),
    [
        (0, 0, Verdict.UNKNOWN, "0 of only 0 mails."),
        (1, 1, Verdict.UNKNOWN, "1 of only 1 mail."),
        (199, 199, Verdict.UNKNOWN, "199 of only 199 mails."),
        (200, 0, Verdict.WELL, "0 of 200 mails (0.00 %)."),
        (200, 3, Verdict.WELL, "(1.50 %)"),
        (100_000, 1_999, Verdict.WELL, "(1.99 %)"),
        (100_000, 2_000, Verdict.LOOK, "(2.00 %)"),
        (100_000, 4_999, Verdict.LOOK, "(4.99 %)"),
        (100_000, 5_000, Verdict.ACT, "5,000 of 100,000 mails (5.00 %)."),
        (300, 300, Verdict.ACT, "(100.00 %)"),
    ],
)
def test_bounces_for_good_are_judged_by_two_and_five_percent(
    house: House, mails: int, hard: int, verdict: Verdict, said: str
) -> None:
    found, _ = repute.judge(seen(house, mails, hard), LISTENS)
    assert found.verdict is verdict
    assert said in found.said
    assert bool(found.remedy) is (verdict in (Verdict.LOOK, Verdict.ACT))


@pytest.mark.parametrize(
    ("mails", "complaints", "verdict", "said"),
    [
        (999, 9, Verdict.UNKNOWN, "9 of only 999 mails."),
        (1000, 0, Verdict.WELL, "0 of 1,000 mails (0.00 %)."),
        (1_000_000, 1, Verdict.WELL, "less than 0.01 %"),
        (1_000_000, 999, Verdict.WELL, "(0.09 %)"),
        (1_000_000, 1_000, Verdict.LOOK, "(0.10 %)"),
        (1_000_000, 2_999, Verdict.LOOK, "(0.29 %)"),
        (1_000_000, 3_000, Verdict.ACT, "(0.30 %)"),
    ],
)
def test_complaints_are_judged_by_a_tenth_and_three_tenths_of_a_percent(
    house: House, mails: int, complaints: int, verdict: Verdict, said: str
) -> None:
    _, found = repute.judge(seen(house, mails, complaints=complaints), LISTENS)
    assert found.verdict is verdict
    assert said in found.said


def test_where_no_complaint_ever_came_nobody_says_that_all_is_well(house: House) -> None:
    _, found = repute.judge(seen(house, 1_000_000, ever=False), LISTENS)
    assert found.verdict is Verdict.UNKNOWN
    assert "no provider tells us" in found.said
    assert "feedback loops" in found.remedy


@pytest.mark.parametrize(("hard", "verdict"), [(0, Verdict.UNKNOWN), (30_000, Verdict.LOOK), (60_000, Verdict.ACT)])
def test_where_nothing_is_let_in_it_is_said_that_little_can_be_known(house: House, hard: int, verdict: Verdict) -> None:
    bounces, complaints = repute.judge(seen(house, 1_000_000, hard), BouncesConfig())
    assert bounces.verdict is verdict, "what the relay refuses is trouble enough"
    assert "only what the relay refuses" in bounces.said
    assert complaints.verdict is Verdict.UNKNOWN
    assert "No complaint can be known" in complaints.said
    assert "docs/bounces.md" in bounces.remedy
    assert "docs/bounces.md" in complaints.remedy


def test_before_anything_was_counted_nothing_is_claimed(house: House) -> None:
    assert {one.verdict for one in repute.judge(None, LISTENS)} == {Verdict.UNKNOWN}


def bounced(house: House, edition_id: int, kind: Kind, delivery_id: int, ago: timedelta = timedelta()) -> None:
    with house.app.app_context(), transaction() as session:
        count = session.scalar(sa.select(sa.func.count()).select_from(Bounce))
        session.add(
            Bounce(
                received_at=house.now - ago,
                digest=f"{count}",
                kind=kind,
                edition_id=edition_id,
                delivery_id=delivery_id,
            )
        )


def counted(house: House) -> Repute:
    with house.app.app_context():
        repute.count_due(house.now)
        (found,) = repute.reputes([1]).values()
        return found


def test_each_copy_counts_once_and_for_thirty_days(either_house: House) -> None:
    house = either_house
    copies = [Copy(f"a{n}@mail.example") for n in range(5)]
    _, edition_id = ledger_with(house, *copies, Copy("r@mail.example", "refused"), Copy("u@mail.example", "uncertain"))
    for kind, delivery in ((Kind.HARD, 1), (Kind.HARD, 1), (Kind.HARD, 2), (Kind.SOFT, 3), (Kind.COMPLAINT, 4)):
        bounced(house, edition_id, kind, delivery)
    found = counted(house)
    assert (found.mails, found.hard, found.complaints, found.complaints_ever) == (6, 2, 1, True)
    house.later(days=31)
    found = counted(house)
    assert (found.mails, found.hard, found.complaints, found.complaints_ever) == (0, 0, 0, True)
    assert found.as_of == house.now
