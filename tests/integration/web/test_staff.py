"""The pages on which owners look after the staff, and the trail of what everybody did."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import COMMAND, SYSTEM, Actor, ActorKind, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.staff.models import Invitation, Role, Staff
from newsletter.web.admin import trail
from tests.conftest import House
from tests.integration.subscribers import count, everything
from tests.integration.web import Desk, hire, signed_in, visitor
from tests.support import newsroom
from tests.support.forms import open_page

INES = "ines@example.org"


def person(house: House, address: str) -> Staff:
    with house.app.app_context():
        found = db.session.scalars(sa.select(Staff).where(Staff.address == address)).one()
        assert found.newsletter_ids is None or found.limits
        db.session.expunge(found)
        return found


def said(desk: Desk, path: str) -> str:
    """What stands on a page, with a space between its parts."""
    return " ".join(" ".join(open_page(desk, path).root.itertext()).split())


# The staff


def test_an_owner_invites_and_the_invited_joins_in_the_browser(house: House) -> None:
    post, _ = newsroom.found(house), newsroom.found(house, "ridge-courier")
    owner = signed_in(house)
    fields = {"email": INES, "role": "editor", "may_send": "yes", "where": "some", "newsletter": str(post.id)}
    assert owner.post("/admin/staff/invite", **fields).status_code == 303
    page = said(owner, "/admin/staff")
    assert "Invited" in page
    assert f"{INES} Editor sends Morning Post" in page
    house.work()
    link = re.search(r"/admin/invitation/\S+", house.inbox.mails[-1].part("plain"))
    assert link
    ines = visitor(house)
    assert f"command line invites {INES}" not in open_page(ines, link[0]).words
    assert "owner0@example.org invites ines@example.org" in open_page(ines, link[0]).words
    joined = ines.post(link[0])
    assert joined.headers["Location"] == "/admin/me"
    assert "Choose now how you sign in" in open_page(ines, "/admin/me").words
    assert person(house, INES).newsletter_ids == {post.id}
    assert "Invited" not in open_page(owner, "/admin/staff").words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"email": "ines", "role": "editor", "where": "all"}, "Nothing was changed|does not look|@"),
        ({"email": INES, "role": "king", "where": "all"}, "Choose a role"),
        ({"email": INES, "where": "all"}, "Choose a role"),
        ({"email": INES, "role": "editor", "where": "some"}, "Choose at least one newsletter"),
        ({"email": INES, "role": "editor", "where": "some", "newsletter": "99"}, "Choose at least one newsletter"),
        ({"email": INES, "role": "editor", "where": "some", "newsletter": "9" * 30}, "Choose at least one newsletter"),
        ({"email": "owner0@example.org", "role": "editor", "where": "all"}, "on the staff already"),
    ],
)
def test_an_invitation_that_cannot_be_says_why_and_keeps_what_was_typed(
    house: House, fields: dict[str, str], words: str
) -> None:
    newsroom.found(house)
    owner = signed_in(house)
    answer = owner.post("/admin/staff/invite", **fields)
    assert answer.status_code == 422
    assert re.search(words, answer.text)
    assert f'value="{fields["email"]}"' in answer.text
    assert count(house, Invitation) == 0


def test_an_invitation_is_sent_again_and_taken_back_on_the_page(house: House) -> None:
    owner = signed_in(house)
    owner.post("/admin/staff/invite", email=INES, role="support", where="all")
    again = open_page(owner, "/admin/staff").after("Send again")
    assert "It is sent again" in again.words
    house.work()
    assert len(house.inbox.mails) == 2
    back = open_page(owner, "/admin/staff").after("Take back")
    assert "The invitation is taken back" in back.words
    assert INES not in open_page(owner, "/admin/staff").words
    assert owner.post("/admin/staff/invitations/1/again").status_code == 303


def test_a_person_is_changed_disabled_and_let_in_again_on_their_page(house: House) -> None:
    post = newsroom.found(house)
    owner, editor = signed_in(house), signed_in(house, Role.EDITOR)
    fields = {"role": "editor", "where": "some", "newsletter": str(post.id)}
    assert owner.post("/admin/staff/2/rights", **fields).status_code == 303
    assert editor.post("/admin/editions/1/send").status_code == 403, "from the next click on"
    form = open_page(owner, "/admin/staff/2").fields("Save")
    assert "may_send" not in form
    assert form["newsletter"] == [str(post.id)]
    disabled = open_page(owner, "/admin/staff/2").after("Disable editor1@example.org")
    assert "Disabled since" in disabled.words
    assert not editor.is_in
    assert "may come in again" in open_page(owner, "/admin/staff/2").after("Let them in again").words


def test_the_only_owner_is_told_why_not(house: House) -> None:
    owner = signed_in(house)
    answer = owner.post("/admin/staff/1/rights", role="editor", where="all")
    assert answer.status_code == 422
    assert "is the only owner" in answer.text
    assert "is the only owner" in open_page(owner, "/admin/staff/1").after("Disable owner0@example.org").words
    assert owner.is_in


def test_each_person_shows_what_guards_them_and_when_they_were_there(house: House) -> None:
    owner = signed_in(house)
    hire(house, Role.SUPPORT)
    rows = said(owner, "/admin/staff")
    assert "support1@example.org Support does not send All None –" in rows
    assert "3 Mar 2026, 05:20" in rows


# The trail


def fill(house: House, *acts: str, name: str = "ed@example.org", days_ago: int = 0) -> None:
    with house.app.app_context(), transaction():
        for act in acts:
            by = Actor(ActorKind.STAFF, name, 7, "192.0.2.7")
            audit.record(by, act, "edition:12", house.now - timedelta(days=days_ago), before="a", after="b")


def acts_on(desk: Desk, query: str = "") -> list[str]:
    page = open_page(desk, f"/admin/audit{query}")
    return [cell.text_content().strip() for cell in page.root.xpath("//td[@data-label='Act']")]


def test_the_trail_says_who_did_what_and_from_where(house: House) -> None:
    owner = signed_in(house)
    owner.post("/admin/staff/invite", email=INES, role="support", where="all")
    hire(house, Role.EDITOR)
    fill(house, "edition.edit")
    page = said(owner, "/admin/audit")
    assert "ed@example.org from 192.0.2.7 edition.edit edition 12 a → b" in page
    assert "owner0@example.org from 127.0.0.1 staff.invite invitation 1 address: ines@example.org role: support" in page
    assert "command line staff.add staff 2" in page


def test_it_is_filtered_by_person_act_subject_and_days(house: House) -> None:
    owner = signed_in(house)
    fill(house, "edition.send", "edition.hold", days_ago=10)
    fill(house, "editions", "edition.send", name="eve@example.org", days_ago=5)
    assert acts_on(owner, "?who=ed@example.org") == ["edition.hold", "edition.send"]
    assert acts_on(owner, "?act=edition.send") == ["edition.send"] * 2
    assert acts_on(owner, "?act=edition.") == ["edition.send", "edition.hold", "edition.send"]
    assert acts_on(owner, "?subject=edition:12&who=eve@example.org") == ["edition.send", "editions"]
    assert acts_on(owner, "?subject=edition&until=2026-02-22") == ["edition.hold", "edition.send"]
    assert acts_on(owner, "?subject=edition:1") == []
    assert acts_on(owner, "?since=2026-02-21&until=2026-02-21") == ["edition.hold", "edition.send"]
    assert acts_on(owner, "?since=2026-02-22&until=2026-02-25") == []
    assert acts_on(owner, "?until=9999-12-31&act=edition.hold") == ["edition.hold"]
    assert acts_on(owner, "?act=%25") == []
    wrong = owner.get("/admin/audit?since=yesterday")
    assert wrong.status_code == 422
    assert "Write dates like" in wrong.text


def test_old_acts_are_leafed_through_with_the_same_conditions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "A_PAGE", 3)
    owner = signed_in(house)
    fill(house, *(f"edition.{number}" for number in range(7)))
    fill(house, "other", name="eve@example.org")
    seen, path = [], "/admin/audit?who=ed@example.org"
    while path:
        page = open_page(owner, path)
        seen += [cell.text_content().strip() for cell in page.root.xpath("//td[@data-label='Act']")]
        path = page.links().get("Older acts", "")
    assert seen == [f"edition.{number}" for number in reversed(range(7))]
    assert owner.get("/admin/audit?before=x&before=99999999999999").status_code == 200


def test_the_export_has_every_row_and_no_formula(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "A_BATCH", 2)
    owner = signed_in(house)
    for name in ("=1+1", "+1", "-1", "@x", " =1", "\tx", "plain"):
        fill(house, "edition.edit", name=name)
    answer = owner.post("/admin/audit.csv", act="edition.")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == "attachment; filename=audit-2026-03-03.csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["who"] for row in rows] == ["plain", "'\tx", "' =1", "'@x", "'-1", "'+1", "'=1+1"]
    assert rows[0]["details"] == '{"before": "a", "after": "b"}'
    assert rows[0]["ip"] == "192.0.2.7"
    with house.app.app_context():
        last = db.session.scalars(sa.select(AuditRecord).order_by(AuditRecord.id.desc()).limit(1)).one()
        assert (last.action, last.details) == ("audit.export", {"act": "edition."})


def test_nobody_changes_the_trail_or_takes_anything_out(either_house: House) -> None:
    house = either_house
    fill(house, "edition.send")
    before = everything(house)
    for statement in (sa.update(AuditRecord).values(actor_name="x"), sa.delete(AuditRecord)):
        with house.app.app_context(), pytest.raises(sa.exc.DBAPIError, match="append-only"), transaction() as session:
            session.execute(statement)
    assert everything(house) == before


def test_hostile_words_are_text_in_the_trail(house: House) -> None:
    owner = signed_in(house)
    script = "<script>alert(1)</script>"
    with house.app.app_context(), transaction():
        audit.record(COMMAND, script[:60], f"x:{script}", house.now, note=script, before={"a": script}, after={"a": 1})
        audit.record(SYSTEM, "x", "story:1e5", house.now, rows=[1, {"a": None}], none=None)
    page = owner.get("/admin/audit")
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert page.text.count("&lt;script&gt;") >= 4
