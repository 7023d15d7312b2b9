"""Staff see what came back, decide where they are asked, and read strangers' words without harm."""

from __future__ import annotations

import pytest

from newsletter.delivery.bounce_models import Deed
from newsletter.mail.suppression import SuppressionReason
from newsletter.staff.models import Role
from tests.conftest import House
from tests.integration.subscribers import ANN, everything, suppressed_for
from tests.integration.web import signed_in, visitor
from tests.support import newsroom
from tests.support.newsroom import open_alert_keys
from tests.support.post import comes_back, mailed, rows
from tests.support.returning import dsn, mail, reported


def stop_an_edition(house: House) -> int:
    paper = newsroom.found(house)
    names = [f"reader{n}@example.org" for n in range(8)]
    paper.readers(*names)
    sent = mailed(paper, *names)
    for name, one in zip(names, sent, strict=True):
        comes_back(house, dsn(reported(name), to=one.return_path))
    return sent[0].edition_id


def test_an_empty_page_says_what_to_do(house: House) -> None:
    newsroom.found(house)
    page = signed_in(house).get("/admin/bounces").text
    assert "Nothing came back" in page
    assert "[bounces] in the config" in page


def test_what_nobody_understands_is_read_and_settled(house: House) -> None:
    newsroom.found(house)
    octets = mail("<script>alert(1)</script> The roof leaks.", sender="postmaster@example.net", subject="<b>Problem")
    comes_back(house, octets)
    desk = signed_in(house, Role.SUPPORT)
    assert "&lt;b&gt;Problem" in desk.get("/admin/bounces").text
    page = desk.get("/admin/bounces/1").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; The roof leaks." in page
    saved = desk.get("/admin/bounces/1/mail.eml")
    assert (saved.data, saved.mimetype) == (octets, "application/octet-stream")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert desk.post("/admin/bounces/1/settle").status_code == 303
    assert "Nothing needs you now" in desk.get("/admin/bounces").text
    assert rows(house)[0].settled_by == "support0@example.org"


def test_a_bounce_that_only_names_an_address_leads_to_its_reader(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(ANN)
    comes_back(house, dsn(reported(ANN)))
    desk = signed_in(house)
    assert 'href="/admin/subscribers/1">A reader has this address' in desk.get("/admin/bounces").text
    assert "nothing was done" in desk.get("/admin/bounces/1").text
    assert suppressed_for(house) == set()


def test_staff_suppress_them_all(house: House) -> None:
    edition_id = stop_an_edition(house)
    desk = signed_in(house, Role.SUPPORT)
    page = desk.get("/admin/bounces").text
    assert "too much came back" in page
    assert "3 addresses wait" in page
    assert desk.post(f"/admin/bounces/editions/{edition_id}/release").status_code == 303
    assert len(everything(house)["suppressions"]) == 8
    assert "too much came back" not in desk.get("/admin/bounces").text
    desk.post(f"/admin/bounces/editions/{edition_id}/leave")
    assert "no bounces wait for a decision" in desk.get("/admin/bounces").text


def test_staff_leave_them_alone(house: House) -> None:
    edition_id = stop_an_edition(house)
    desk = signed_in(house)
    assert desk.post(f"/admin/bounces/editions/{edition_id}/leave").status_code == 303
    assert len(everything(house)["suppressions"]) == 5
    assert open_alert_keys(house) == []
    assert [one.deed for one in rows(house)][-3:] == [Deed.NOTHING] * 3


def test_what_was_done_stands_among_the_latest(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    comes_back(house, dsn(reported(ANN, diagnostic="550 5.1.1 gone"), to=one.return_path))
    page = signed_in(house).get("/admin/bounces").text
    assert all(words in page for words in (ANN, "Suppressed", "5.1.1", "550 5.1.1 gone"))
    assert suppressed_for(house) == {SuppressionReason.HARD_BOUNCE}


@pytest.mark.parametrize("path", ["1/settle", "editions/1/release", "editions/1/leave"])
def test_strangers_are_sent_to_the_sign_in_page(house: House, path: str) -> None:
    stop_an_edition(house)
    assert "/admin/sign-in" in visitor(house).post(f"/admin/bounces/{path}").location
    assert len(everything(house)["suppressions"]) == 5


@pytest.mark.parametrize("path", ["", "/1", "/1/mail.eml"])
def test_what_strangers_wrote_is_for_staff_alone(house: House, path: str) -> None:
    comes_back(house, mail("Secret", sender="postmaster@example.net"))
    assert "/admin/sign-in" in visitor(house).get(f"/admin/bounces{path}").location


@pytest.mark.parametrize("path", ["/99", "/99/mail.eml"])
def test_what_is_not_there_is_not_found(house: House, path: str) -> None:
    newsroom.found(house)
    assert signed_in(house).get(f"/admin/bounces{path}").status_code == 404
