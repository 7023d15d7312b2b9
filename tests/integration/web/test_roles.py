"""Who gets in where: every route of the app's own map, for every role, for visitors, and for who works elsewhere."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from newsletter.delivery.bounce_models import Bounce
from newsletter.foundation.database import transaction
from newsletter.newsletters.models import newsletter
from newsletter.staff.models import Role
from newsletter.staff.rights import Grant, Right
from newsletter.subscribers.models import Subscriber
from newsletter.web.admin.access import Decision, decision_of, pages
from newsletter.web.admin.places import place_of
from tests.conftest import House
from tests.integration.subscribers import ANN, everything, words_of
from tests.integration.web import NOBODYS, Desk, in_production, signed_in, visitor
from tests.support import newsroom
from tests.support.every_page import furnished, path_of, rules

PEOPLE = {
    "owner": Grant(Role.OWNER),
    "editor": Grant(Role.EDITOR, may_send=True),
    "editor who does not send": Grant(Role.EDITOR),
    "support": Grant(Role.SUPPORT),
    "support who sends": Grant(Role.SUPPORT, may_send=True),
}
STAFF = frozenset(PEOPLE)
EVERYBODY = STAFF | {"visitor"}
EDITORS = frozenset({"owner", "editor", "editor who does not send"})
SENDERS = frozenset({"owner", "editor", "support who sends"})
OWNERS = frozenset({"owner"})
DECIDED: dict[tuple[str, str], frozenset[str]] = {
    ("static", "GET"): EVERYBODY,
    ("public.index", "GET"): EVERYBODY,
    ("public.look", "GET"): EVERYBODY,
    ("public.picture", "GET"): EVERYBODY,
    ("public.subscribe_form", "GET"): EVERYBODY,
    ("public.subscribe", "POST"): EVERYBODY,
    ("public.confirm", "GET"): EVERYBODY,
    ("public.confirm", "POST"): EVERYBODY,
    ("public.unsubscribe", "GET"): EVERYBODY,
    ("public.unsubscribe", "POST"): EVERYBODY,
    ("public.undo_leaving", "POST"): EVERYBODY,
    ("public.say_why", "POST"): EVERYBODY,
    ("public.unsubscribed", "GET"): EVERYBODY,
    ("preferences.show", "GET"): EVERYBODY,
    ("preferences.pressed", "GET"): EVERYBODY,
    ("preferences.save", "POST"): EVERYBODY,
    ("preferences.pause", "POST"): EVERYBODY,
    ("preferences.resume", "POST"): EVERYBODY,
    ("preferences.leave", "POST"): EVERYBODY,
    ("preferences.address", "GET"): EVERYBODY,
    ("preferences.address", "POST"): EVERYBODY,
    ("preferences.change", "GET"): EVERYBODY,
    ("preferences.change", "POST"): EVERYBODY,
    ("preferences.lost", "GET"): EVERYBODY,
    ("preferences.lost", "POST"): EVERYBODY,
    ("preferences.data", "GET"): EVERYBODY,
    ("preferences.data_json", "GET"): EVERYBODY,
    ("preferences.erase", "GET"): EVERYBODY,
    ("preferences.erase", "POST"): EVERYBODY,
    ("archive.index", "GET"): EVERYBODY,
    ("archive.of_newsletter", "GET"): EVERYBODY,
    ("archive.of_month", "GET"): EVERYBODY,
    ("archive.of_day", "GET"): EVERYBODY,
    ("archive.of_slot", "GET"): EVERYBODY,
    ("archive.special_of_day", "GET"): EVERYBODY,
    ("archive.special_of_slot", "GET"): EVERYBODY,
    ("archive.feed", "GET"): EVERYBODY,
    ("archive.rss", "GET"): EVERYBODY,
    ("archive.json_feed", "GET"): EVERYBODY,
    ("embed.frame", "GET"): EVERYBODY,
    ("embed.sign_up", "POST"): EVERYBODY,
    ("embed.script", "GET"): EVERYBODY,
    ("public.healthz", "GET"): EVERYBODY,
    ("public.readyz", "GET"): EVERYBODY,
    ("admin.sign_in", "GET"): EVERYBODY,
    ("admin.sign_in", "POST"): EVERYBODY,
    ("admin.link", "GET"): EVERYBODY,
    ("admin.link", "POST"): EVERYBODY,
    ("admin.sign_in_code", "GET"): EVERYBODY,
    ("admin.sign_in_code", "POST"): EVERYBODY,
    ("admin.forgotten", "GET"): EVERYBODY,
    ("admin.forgotten", "POST"): EVERYBODY,
    ("admin.invitation", "GET"): EVERYBODY,
    ("admin.invitation", "POST"): EVERYBODY,
    ("admin.sign_out", "POST"): STAFF,
    ("admin.inbox", "GET"): EVERYBODY,
    ("admin.inbox", "POST"): EVERYBODY,
    ("admin.inbox_preview", "GET"): EVERYBODY,
    ("admin.home", "GET"): STAFF,
    ("admin.sources", "GET"): STAFF,
    ("admin.export_sources", "GET"): STAFF,
    ("admin.source", "GET"): STAFF,
    ("admin.change_source", "POST"): EDITORS,
    ("admin.use_source", "POST"): EDITORS,
    ("admin.poll_source", "POST"): EDITORS,
    ("admin.silence_source", "POST"): EDITORS,
    ("admin.hear_source", "POST"): EDITORS,
    ("admin.remove_source", "POST"): EDITORS,
    ("admin.follow_source", "POST"): EDITORS,
    ("admin.add_source", "GET"): EDITORS,
    ("admin.add_source", "POST"): EDITORS,
    ("admin.import_sources", "GET"): EDITORS,
    ("admin.import_sources", "POST"): EDITORS,
    ("admin.subscribers", "GET"): STAFF,
    ("admin.subscriber", "GET"): STAFF,
    ("admin.add_subscriber", "GET"): STAFF,
    ("admin.add_subscriber", "POST"): STAFF,
    ("admin.imports", "GET"): STAFF,
    ("admin.imports", "POST"): STAFF,
    ("admin.one_import", "GET"): STAFF,
    ("admin.check_import", "POST"): STAFF,
    ("admin.read_import", "POST"): STAFF,
    ("admin.import_progress", "GET"): STAFF,
    ("admin.start_import", "POST"): STAFF,
    ("admin.cancel_import", "POST"): STAFF,
    ("admin.refused_csv", "POST"): STAFF,
    ("admin.export", "GET"): STAFF,
    ("admin.export_readers", "POST"): STAFF,
    ("admin.count_subscribers", "GET"): STAFF,
    ("admin.ask_again", "POST"): STAFF,
    ("admin.pause_subscriber", "POST"): STAFF,
    ("admin.end_pause_of_subscriber", "POST"): STAFF,
    ("admin.move_subscriber", "POST"): STAFF,
    ("admin.unsubscribe_subscriber", "POST"): STAFF,
    ("admin.change_address_of_subscriber", "POST"): STAFF,
    ("admin.note_subscriber", "POST"): STAFF,
    ("admin.delete_note", "POST"): STAFF,
    ("admin.export_subscriber", "POST"): STAFF,
    ("admin.segments", "GET"): STAFF,
    ("admin.save_segment", "POST"): STAFF,
    ("admin.segment", "GET"): STAFF,
    ("admin.count_segment", "GET"): STAFF,
    ("admin.delete_segment", "POST"): STAFF,
    ("admin.choose_act", "GET"): STAFF,
    ("admin.begin_act", "POST"): STAFF,
    ("admin.acts", "GET"): STAFF,
    ("admin.act", "GET"): STAFF,
    ("admin.act_progress", "GET"): STAFF,
    ("admin.stop_act", "POST"): STAFF,
    ("admin.undo_act", "POST"): STAFF,
    ("admin.suppress", "POST"): STAFF,
    ("admin.erase_subscriber", "POST"): STAFF,
    ("admin.blocklist", "GET"): STAFF,
    ("admin.block", "POST"): STAFF,
    ("admin.unblock", "POST"): STAFF,
    ("admin.block_several", "POST"): STAFF,
    ("admin.suppressions", "GET"): STAFF,
    ("admin.look_up_suppression", "POST"): STAFF,
    ("admin.add_suppression", "POST"): STAFF,
    ("admin.take_back_suppression", "POST"): OWNERS,
    ("admin.suppressions_csv", "POST"): OWNERS,
    ("admin.consent_texts", "GET"): STAFF,
    ("admin.system", "GET"): OWNERS,
    ("admin.system_facts", "GET"): OWNERS,
    ("admin.bounces", "GET"): STAFF,
    ("admin.bounce", "GET"): STAFF,
    ("admin.bounced_mail", "GET"): STAFF,
    ("admin.settle_bounce", "POST"): STAFF,
    ("admin.release_bounces", "POST"): STAFF,
    ("admin.leave_bounces", "POST"): STAFF,
    ("admin.me", "GET"): STAFF,
    ("admin.my_mails", "POST"): STAFF,
    ("admin.my_password", "POST"): STAFF,
    ("admin.add_passkey", "GET"): STAFF,
    ("admin.add_passkey", "POST"): STAFF,
    ("admin.remove_passkey", "POST"): STAFF,
    ("admin.codes", "GET"): STAFF,
    ("admin.codes", "POST"): STAFF,
    ("admin.codes_picture", "GET"): STAFF,
    ("admin.begin_codes", "POST"): STAFF,
    ("admin.stop_codes", "POST"): STAFF,
    ("admin.recovery_codes", "POST"): STAFF,
    ("admin.end_session", "POST"): STAFF,
    ("admin.end_other_sessions", "POST"): STAFF,
    ("admin.prove", "POST"): STAFF,
    ("admin.staff", "GET"): OWNERS,
    ("admin.invite", "GET"): OWNERS,
    ("admin.invite", "POST"): OWNERS,
    ("admin.invite_again", "POST"): OWNERS,
    ("admin.take_back_invitation", "POST"): OWNERS,
    ("admin.person", "GET"): OWNERS,
    ("admin.grant", "POST"): OWNERS,
    ("admin.disable_person", "POST"): OWNERS,
    ("admin.enable_person", "POST"): OWNERS,
    ("admin.reset_second_factor", "POST"): OWNERS,
    ("admin.staff_policy", "POST"): OWNERS,
    ("admin.audit", "GET"): OWNERS,
    ("admin.audit_csv", "POST"): OWNERS,
    ("admin.editions", "GET"): STAFF,
    ("admin.edition", "GET"): STAFF,
    ("admin.preview", "GET"): STAFF,
    ("admin.delivery", "GET"): STAFF,
    ("admin.delivery_progress", "GET"): STAFF,
    ("admin.delivery_csv", "POST"): OWNERS,
    ("admin.pause_delivery", "POST"): SENDERS,
    ("admin.unpause_delivery", "POST"): SENDERS,
    ("admin.resend_copy", "POST"): SENDERS,
    ("admin.leave_copy", "POST"): SENDERS,
    ("admin.resend_copies", "POST"): SENDERS,
    ("admin.leave_copies", "POST"): SENDERS,
    ("admin.compose", "POST"): EDITORS,
    ("admin.recompose", "POST"): EDITORS,
    ("admin.approve", "POST"): SENDERS,
    ("admin.send", "POST"): SENDERS,
    ("admin.hold", "POST"): EDITORS,
    ("admin.resume", "POST"): SENDERS,
    ("admin.stories", "GET"): STAFF,
    ("admin.story", "GET"): STAFF,
    ("admin.desk", "POST"): EDITORS,
    ("admin.here", "POST"): STAFF,
    ("admin.send_test", "POST"): EDITORS,
    ("admin.edit_edition", "GET"): EDITORS,
    ("admin.edit_edition", "POST"): EDITORS,
    ("admin.pull_back", "POST"): EDITORS,
    ("admin.pause", "POST"): EDITORS,
    ("admin.unpause", "POST"): SENDERS,
    ("admin.cancel", "POST"): EDITORS,
    ("admin.skip_day", "POST"): EDITORS,
    ("admin.pull_story", "POST"): EDITORS,
    ("admin.correct", "POST"): EDITORS,
    ("admin.special", "GET"): EDITORS,
    ("admin.special", "POST"): EDITORS,
    ("admin.say_of_story", "POST"): EDITORS,
    ("admin.add_story", "GET"): EDITORS,
    ("admin.add_story", "POST"): EDITORS,
    ("admin.edit_story", "GET"): EDITORS,
    ("admin.edit_story", "POST"): EDITORS,
    ("admin.withdraw_story", "POST"): EDITORS,
    ("admin.restore_story", "POST"): EDITORS,
    ("admin.newsletters", "GET"): STAFF,
    ("admin.newsletter", "GET"): OWNERS,
    ("admin.add_newsletter", "GET"): OWNERS,
    ("admin.add_newsletter", "POST"): OWNERS,
    ("admin.newsletter_part", "GET"): OWNERS,
    ("admin.newsletter_part", "POST"): OWNERS,
    ("admin.sender_records", "GET"): OWNERS,
    ("admin.look_preview", "GET"): OWNERS,
    ("admin.look_mail", "GET"): OWNERS,
    ("admin.look_box", "GET"): OWNERS,
    ("admin.look_sheet", "GET"): OWNERS,
    ("admin.sign_up_texts", "GET"): OWNERS,
    ("admin.sign_up_texts", "POST"): OWNERS,
    ("admin.slots", "GET"): OWNERS,
    ("admin.add_slot", "POST"): OWNERS,
    ("admin.default_slot", "POST"): OWNERS,
    ("admin.close_slot", "POST"): OWNERS,
    ("admin.calendar", "GET"): OWNERS,
    ("admin.calendar", "POST"): OWNERS,
    ("admin.skip_date", "POST"): OWNERS,
    ("admin.topic_words", "GET"): STAFF,
    ("admin.box", "GET"): STAFF,
    ("admin.box_alone", "GET"): STAFF,
}
"""Who gets in, for every route and method. A new route fails until somebody has decided."""

OTHERWISE = {"admin.codes": 303, "admin.segment": 303, "admin.codes_picture": 404}
"""Pages that are only there while codes are being set up, or lead to another."""

LISTS = {
    "admin.home",
    "admin.sources",
    "admin.export_sources",
    "admin.add_source",
    "admin.import_sources",
    "admin.subscribers",
    "admin.add_subscriber",
    "admin.imports",
    "admin.export",
    "admin.export_readers",
    "admin.count_subscribers",
    "admin.ask_again",
    "admin.segments",
    "admin.save_segment",
    "admin.choose_act",
    "admin.begin_act",
    "admin.acts",
    "admin.bounces",
    "admin.consent_texts",
    "admin.editions",
    "admin.compose",
    "admin.skip_day",
    "admin.special",
    "admin.stories",
    "admin.add_story",
    "admin.newsletters",
}
"""Pages of many newsletters, which leave out those that one does not work for. The last tests look at each."""

WORDLESS = {
    "admin.compose",
    "admin.skip_day",
    "admin.count_subscribers",
    "admin.ask_again",
    "admin.save_segment",
    "admin.begin_act",
    "admin.export_readers",
}
"""Of those, forms without a page and a mere number; tests of theirs look at what they let through."""

OWN = {
    "admin.me",
    "admin.my_mails",
    "admin.my_password",
    "admin.add_passkey",
    "admin.remove_passkey",
    "admin.codes",
    "admin.codes_picture",
    "admin.begin_codes",
    "admin.stop_codes",
    "admin.recovery_codes",
    "admin.end_session",
    "admin.end_other_sessions",
    "admin.prove",
    "admin.sign_out",
}
"""Pages about oneself and nobody else."""

WORDS_OF_THE_POST = ("morning-post", "Morning Post", "Harbor", ANN)


def decided(house: House, endpoint: str) -> Decision:
    found = decision_of(house.app.view_functions[endpoint])
    assert found is not None, endpoint
    return found


def limited(house: House, slug: str, role: Role = Role.EDITOR) -> Desk:
    """Somebody who works for that newsletter only, with all that the role can be given."""
    with house.app.app_context():
        ids = frozenset({newsletter(slug).id})
    return signed_in(house, role, grant=Grant(role, may_send=True, newsletter_ids=ids))


def plain(answer: TestResponse) -> str:
    return re.sub(r'name="csrf_token" value="[^"]+"', "", answer.text)


# Roles


def test_somebody_has_decided_who_may_use_each_route(house: House) -> None:
    there = {
        (rule.endpoint, method)
        for rule in house.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert there == set(DECIDED)


def test_each_route_of_staff_says_itself_whom_it_is_for(house: House) -> None:
    for (endpoint, _), people in DECIDED.items():
        if endpoint.startswith("admin."):
            assert decided(house, endpoint).visitors == (people == EVERYBODY), endpoint


def test_a_route_that_says_nothing_is_for_nobody(house: House) -> None:
    undecided = house.app.view_functions["admin.home"]
    house.app.view_functions["admin.home"] = lambda: "Secret"
    try:
        assert signed_in(house).get("/admin/").status_code == 404
    finally:
        house.app.view_functions["admin.home"] = undecided


@pytest.mark.parametrize("who", PEOPLE)
def test_each_role_may_do_what_was_decided_and_nothing_else(house: House, who: str) -> None:
    arguments = furnished(house)
    desk = signed_in(house, PEOPLE[who].role, grant=PEOPLE[who])
    token = desk.token
    for (endpoint, method), allowed in DECIDED.items():
        if "visitor" in allowed or endpoint == "admin.sign_out":
            continue
        (rule,) = [rule for rule in rules(house, method) if rule.endpoint == endpoint]
        if method == "GET":
            status = desk.get(path_of(house, rule, **arguments.get(endpoint, {})), buffered=True).status_code
            assert status == (OTHERWISE.get(endpoint, 200) if who in allowed else 403), (who, endpoint)
        else:  # of things that there are not, so that nothing happens to who may do it
            status = desk.post(path_of(house, rule), newsletter="no-such", csrf_token=token).status_code
            assert status in ((200, 303, 404, 422) if who in allowed else (403,)), (who, endpoint)


def test_a_visitor_is_sent_to_sign_in_and_changes_nothing(house: House) -> None:
    arguments = furnished(house)
    desk = visitor(house)
    token = desk.token
    before = everything(house)
    for endpoint, method in DECIDED:
        if "visitor" in DECIDED[endpoint, method]:
            continue
        (rule,) = [rule for rule in rules(house, method) if rule.endpoint == endpoint]
        path = path_of(house, rule, **arguments.get(endpoint, {}))
        answer = desk.client.open(path, method=method, base_url="https://news.example.org", data={"csrf_token": token})
        assert answer.status_code == 302, path
        assert urlsplit(answer.headers["Location"]).path == "/admin/sign-in", path
        assert not urlsplit(answer.headers["Location"]).netloc, path
        assert ANN not in words_of(answer), path
    assert everything(house) == before


# Newsletters


def test_what_belongs_to_another_newsletter_is_not_there(house: House) -> None:
    """Of each route, with what there is of the Morning Post, for an editor of the Ridge Courier."""
    arguments = furnished(house)
    newsroom.found(house, "ridge-courier")
    desk = limited(house, "ridge-courier")
    token = desk.token
    before = everything(house)
    left = set()
    for endpoint, method in DECIDED:
        if not endpoint.startswith("admin.") or "visitor" in DECIDED[endpoint, method]:
            continue
        (rule,) = [rule for rule in rules(house, method) if rule.endpoint == endpoint]
        theirs = arguments.get(endpoint) or arguments.get(_like(rule.rule), {})
        decision = decided(house, endpoint)
        if decision.right is Right.OWN or decision.whole_house:
            status = 403
        elif place_of(rule.rule):
            status = 404
        else:
            left.add(endpoint)
            continue
        data = {"csrf_token": token, "reason": "x", "email": ANN, "address_typed": ANN}
        here, nowhere = (
            desk.client.open(
                path_of(house, rule, **which), method=method, base_url="https://news.example.org", data=data
            )
            for which in (theirs, {"id": NOBODYS, "slug": "no-such"})
        )
        assert here.status_code == nowhere.status_code == status, (endpoint, here.status_code)
        assert plain(here) == plain(nowhere), f"{endpoint} tells that there is such a thing"
    assert left == LISTS | OWN
    assert everything(house) == before


def _like(rule: str) -> str:
    """An endpoint of the same kind of thing, of which there is one; else it is of the newsletter itself."""
    kinds = {"editions": "admin.edition", "subscribers": "admin.subscriber", "stories": "admin.story"}
    kinds |= {"sources": "admin.source"}
    kinds = {"subscribers/import": "admin.one_import"}
    kinds |= {"editions": "admin.edition", "subscribers": "admin.subscriber", "stories": "admin.story"}
    kinds |= {"segments": "admin.segment", "many": "admin.act"}
    kinds |= {"bounces/editions": "admin.edition", "bounces": "admin.bounce", "staff": "admin.person"}
    return next((name for kind, name in kinds.items() if rule.startswith(f"/admin/{kind}/")), "admin.box")


@pytest.mark.parametrize("endpoint", sorted(LISTS - WORDLESS))
def test_a_list_leaves_out_what_belongs_to_another_newsletter(house: House, endpoint: str) -> None:
    furnished(house)
    newsroom.found(house, "ridge-courier")
    _make_trouble(house)
    (rule,) = [rule for rule in rules(house, "GET") if rule.endpoint == endpoint]
    mine, theirs = limited(house, "ridge-courier"), limited(house, "morning-post")
    answer = mine.get(path_of(house, rule))
    assert answer.status_code == 200
    for word in WORDS_OF_THE_POST:
        assert word not in answer.text, word
    told = theirs.get(path_of(house, rule)).text
    assert any(word in told for word in WORDS_OF_THE_POST), "its own people see it"
    assert "Ridge Courier" not in told


def _make_trouble(house: House) -> None:
    """A source that fails, and a bounce, of the Morning Post; its edition is held already."""
    with house.app.app_context(), transaction() as session:
        session.execute(sa.text("UPDATE sources SET state = 'failing'"))
        reader = session.scalars(sa.select(Subscriber)).one()
        for bounce in session.scalars(sa.select(Bounce)):
            bounce.subscriber_id, bounce.address, bounce.needs_staff = reader.id, reader.address, True


def test_a_search_finds_no_reader_of_another_newsletter(house: House) -> None:
    furnished(house)
    newsroom.found(house, "ridge-courier")
    assert ANN not in limited(house, "ridge-courier").get("/admin/subscribers?q=ann").text.replace('value="ann', "")
    assert ANN in limited(house, "morning-post").get("/admin/subscribers?q=ann").text


def test_a_reader_of_two_newsletters_is_seen_through_one_of_them(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    with house.app.app_context():
        assert (
            house.browser.post("/subscribe", data={"email": ANN, "newsletter": [post.slug, courier.slug]}).status_code
            == 200
        )
    house.work()
    link = re.search(r"/confirm/\S+", house.inbox.mails[-1].part("plain"))
    assert link
    house.browser.post(link[0])
    house.work()
    page = limited(house, "ridge-courier").get("/admin/subscribers/1").text
    assert "Ridge Courier" in page
    assert "Morning Post" not in page
    assert "Suppress" not in page, "that would be for all newsletters"
    whole = signed_in(house).get("/admin/subscribers/1").text
    assert "Morning Post" in whole
    assert "Suppress" in whole


def test_no_form_reaches_into_another_newsletter(house: House) -> None:
    arguments = furnished(house)
    courier = newsroom.found(house, "ridge-courier")
    own = courier.story("Choir wins", "Ridge Courier")
    desk = limited(in_production(house), "ridge-courier")
    edition, story = (str(arguments[name]["id"]) for name in ("admin.edition", "admin.story"))
    before = everything(house)
    for path, fields in (
        ("/admin/editions/compose", {"newsletter": "morning-post"}),
        ("/admin/editions/skip", {"slot": "1", "day": "2026-03-03", "reason": "x"}),
        ("/admin/editions/special", {"slot": "1"}),
        ("/admin/editions/special", {"slot": str(courier.slot_id), "story": story}),
        ("/admin/subscribers/add", {"newsletter": "morning-post", "email": "new@example.org"}),
        ("/admin/subscribers/import", {"newsletter": "morning-post"}),
        ("/admin/subscribers/export", {"newsletter": "morning-post"}),
        ("/admin/stories/add", {"newsletter": "morning-post", "title": "x"}),
        (f"/admin/stories/{own}/say", {"kind": "pinned", "edition": edition}),
        (f"/admin/stories/{own}/say", {"kind": "together", "other": story}),
        (f"/admin/stories/{own}/say", {"kind": "pinned", "newsletter": "morning-post"}),
    ):
        assert desk.post(path, **fields).status_code == 404, (path, fields)
    for path in ("/admin/stories?newsletter=morning-post", "/admin/editions/special?slot=1"):
        answer = desk.get(path)
        assert answer.status_code == 404, path
        assert "Morning Post" not in answer.text
    assert everything(house) == before


def test_a_story_of_two_newsletters_is_taken_down_by_who_works_for_both(house: House) -> None:
    post, courier = newsroom.found(house), newsroom.found(house, "ridge-courier")
    shared = post.story("Harbor bridge closes", "Harbor Gazette")
    with house.app.app_context(), transaction() as session:
        session.execute(
            sa.text(
                "INSERT INTO newsletter_sources (newsletter_id, source_id, weight, own, on_topic, section, silenced) "
                f"SELECT {courier.id}, source_id, weight, own, on_topic, section, silenced FROM newsletter_sources"
            )
        )
    desk = limited(house, "ridge-courier")
    assert desk.get(f"/admin/stories/{shared}").status_code == 200
    before = everything(house)
    for deed in ("withdraw", "restore", "edit"):
        assert desk.post(f"/admin/stories/{shared}/{deed}", reason="x", title="x").status_code == 403, deed
    assert everything(house) == before
    assert signed_in(house).post(f"/admin/stories/{shared}/withdraw", reason="x").status_code == 303


def test_who_is_limited_to_no_newsletter_any_more_sees_none(house: House) -> None:
    furnished(house)
    desk = signed_in(house, Role.EDITOR, grant=Grant(Role.EDITOR, newsletter_ids=frozenset()))
    for path in ("/admin/", "/admin/editions", "/admin/subscribers", "/admin/sources", "/admin/newsletters"):
        answer = desk.get(path)
        assert answer.status_code == 200, path
        assert not any(word in answer.text for word in WORDS_OF_THE_POST), path


def test_the_pages_below_a_place_are_those_that_have_one_of_its_things(house: House) -> None:
    """A new kind of thing with a number wants a place, or to be for owners or oneself."""
    for rule in rules(house, "GET", f"{pages.url_prefix}/") + rules(house, "POST", f"{pages.url_prefix}/"):
        decision = decided(house, rule.endpoint)
        if rule.arguments & {"id", "slug"} and not place_of(rule.rule):
            assert decision.visitors or decision.right is Right.OWN or rule.endpoint in OWN, rule.rule
