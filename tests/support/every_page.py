"""Every page that there is, by the app's own map, and a house with something on each."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import sqlalchemy as sa
from werkzeug.routing import Rule

from newsletter.delivery import bounces
from newsletter.editions import publishing
from newsletter.foundation.audit import COMMAND, SYSTEM
from newsletter.foundation.database import db
from newsletter.newsletters.models import newsletter
from newsletter.staff import inviting
from newsletter.staff.models import Role
from newsletter.staff.notes import nobodys_sender
from newsletter.staff.rights import Grant
from newsletter.stories.models import story
from newsletter.subscribers import bulk, segmenting, uploading
from newsletter.subscribers.bulk import Wanted
from newsletter.subscribers.desk_models import BulkKind
from newsletter.subscribers.models import Subscriber
from newsletter.subscribers.segments import OfNewsletter
from tests.conftest import House
from tests.integration.subscribers import asked, became_reader
from tests.integration.web import NOBODYS, hire
from tests.support import newsroom
from tests.support.past import went_out
from tests.support.returning import mail


def rules(house: House, method: str, below: str = "/") -> list[Rule]:
    found = house.app.url_map.iter_rules()
    return [rule for rule in found if rule.rule.startswith(below) and method in (rule.methods or ())]


def path_of(house: House, rule: Rule, **values: object) -> str:
    with house.app.test_request_context():
        known = {"filename": "newsletter.css", "slug": "morning-post", "form": "html", "token": "x"}
        known |= {"id": NOBODYS, "name": "a" * 32, "width": 600, "kind": "form", "_pressed": "undo", "deed": "hold"}
        known |= {"copy": NOBODYS, "month": "2026-03", "day": "2026-03-03", "slot_id": 1, "number": 1}
        known |= {"part": "words"} | values
        known |= {
            "copy": NOBODYS,
            "note": NOBODYS,
            "month": "2026-03",
            "day": "2026-03-03",
            "slot_id": 1,
            "number": 1,
        } | values
        path = house.app.url_map.bind("").build(rule.endpoint, {name: known[name] for name in rule.arguments})
    return path.removeprefix("http://")


def furnished(house: House) -> dict[str, dict[str, object]]:
    """A house with something on every page; gives the arguments by endpoint."""
    paper = newsroom.found(house)
    story_id = paper.story("Harbor bridge closes", "Harbor Gazette")
    sent = went_out(paper, house.now.date() - timedelta(days=9))
    leave = became_reader(house)
    confirm = asked(house, "new@example.org")
    with house.app.app_context():
        edition = publishing.compose(newsletter(None).default_slot, house.now.date(), house.now, SYSTEM)
        person = db.session.scalars(sa.select(Subscriber)).one()
        ids = {"admin.subscriber": person.id, "admin.edition": edition.id, "admin.preview": edition.id}
        came = bounces.receive(mail("The roof leaks.", sender="postmaster@example.net"), house.now)
        ids |= {"admin.bounce": came.id, "admin.bounced_mail": came.id}
        ids |= {"admin.delivery": sent, "admin.delivery_progress": sent}
        grant, links = Grant(Role.EDITOR), house.links
        inviting.invite("ines@example.org", grant, house.now, COMMAND, links, nobodys_sender())
        ids |= {"admin.person": 1}
        ids |= {"admin.source": story(story_id).source_id or 0}
        brought = uploading.keep(BytesIO(b"email\nzoe@example.org\n"), "old.csv", newsletter(None), house.now, COMMAND)
        ids |= {"admin.one_import": brought, "admin.import_progress": brought}
        ours, here = (OfNewsletter(paper.id),), frozenset({paper.id})
        segment = segmenting.save("Readers of the Harbor", ours, house.now, COMMAND, here)
        move = Wanted(BulkKind.PAUSE, paper.id, until=house.now.date() + timedelta(days=9))
        act = bulk.begin(move, ours, "", house.now, COMMAND, here)
        ids |= {"admin.segment": segment, "admin.count_segment": segment}
        ids |= {"admin.act": act, "admin.act_progress": act}
        ids |= {"admin.story": story_id, "admin.edit_story": story_id, "admin.edit_edition": edition.id}
    return {
        **{endpoint: {"id": id} for endpoint, id in ids.items()},
        "public.confirm": {"token": confirm.rpartition("/")[2]},
        "preferences.pressed": {"_pressed": "pause"},
        "public.unsubscribe": {"token": leave.rpartition("/")[2]},
        "admin.link": {"token": hire(house, Role.SUPPORT).rpartition("/")[2]},
    }
