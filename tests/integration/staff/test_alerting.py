"""Staff are told of each alert once, as a mail and by the webhook; a storm of alerts does not bury the one that
matters."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter import scheduling
from newsletter.editions.concerning import newsletter_of
from newsletter.foundation import alerts, calling, safety
from newsletter.foundation.alerts import Alert
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.config import AlertsConfig, MailConfig
from newsletter.foundation.database import db, transaction
from newsletter.mail.message import Sender
from newsletter.staff import alerting, managing, settings, signing_in
from newsletter.staff.models import Role, Staff, StaffUnknown, staff_at
from newsletter.staff.rights import Grant
from newsletter.staff.settings import WishInvalid
from newsletter.stories import health
from newsletter.stories.models import NewsletterSource, Source, SourceState
from tests.conftest import BuildHouse, House
from tests.support.inbox import Received
from tests.support.newsroom import found, open_alert_keys, sending
from tests.support.ports import free_port
from tests.support.racing import at_once
from tests.support.webhook import Webhook, running_webhook

OLIVE, ED, SUE = "olive@example.org", "ed@example.org", "sue@example.org"
POST = Sender("Morning Post", "post@example.org")
HELD, RELAY = "edition-held:12", "relay-failing"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as running:
        yield running


@pytest.fixture
def told_house(build_house: BuildHouse, sqlite_url: str, webhook: Webhook) -> House:
    return build_house(sqlite_url, alerts=AlertsConfig(webhook_url=webhook.url))


def hire(house: House, **people: Role) -> None:
    with house.app.app_context():
        for name, role in people.items():
            signing_in.add(f"{name}@example.org", role, house.now, COMMAND)


def wish(house: House, address: str, **wishes: str) -> None:
    with house.app.app_context():
        settings.change(address, house.now, COMMAND, **wishes)


def raise_(house: House, *keys: str) -> None:
    with house.app.app_context(), transaction():
        for key in keys:
            alerts.raise_(key, f"Something is wrong with {key}.", f"Look after {key}.", house.now)


def resolve(house: House, key: str) -> None:
    with house.app.app_context(), transaction():
        alerts.resolve(key, house.now)


def tell(house: House) -> int:
    """What the scheduler and a worker do, once."""
    with house.app.app_context():
        told = alerting.tell(house.now, POST)
    house.work()
    return told


def mails(house: House, address: str = OLIVE) -> list[Received]:
    return house.inbox.of(address)


# Who is told, of what, and how often


def test_an_alert_is_told_once_with_what_to_do_and_the_way_there(either_house: House) -> None:
    house = either_house
    hire(house, olive=Role.OWNER)
    raise_(house, HELD)
    for _ in range(3):
        tell(house)
        house.later(minutes=20)
    (mail,) = mails(house)
    text = " ".join(mail.part("plain").split())
    assert mail.subject == "Daily Headlines: Something is wrong with edition-held:12."
    assert mail.message["From"] == "Morning Post <post@example.org>"
    assert "Look after edition-held:12." in text
    assert "https://news.example.org/admin/editions/12" in text
    assert "It began on 3 March 2026, 05:20 UTC." in text
    assert "https://news.example.org/admin/editions/12" in mail.part("html")


def test_owners_and_editors_are_told_and_support_only_if_they_want(house: House) -> None:
    hire(house, olive=Role.OWNER, ed=Role.EDITOR, sue=Role.SUPPORT)
    raise_(house, HELD)
    tell(house)
    assert [len(mails(house, who)) for who in (OLIVE, ED, SUE)] == [1, 1, 0]

    wish(house, ED, wants_alerts="no")
    wish(house, SUE, wants_alerts="yes")
    raise_(house, RELAY)
    tell(house)
    assert [len(mails(house, who)) for who in (OLIVE, ED, SUE)] == [2, 1, 1]


def test_who_was_disabled_is_not_told(house: House) -> None:
    hire(house, olive=Role.OWNER, ed=Role.EDITOR)
    with house.app.app_context(), transaction() as session:
        session.execute(sa.update(Staff).where(Staff.address == ED).values(disabled_at=house.now))
    raise_(house, HELD)
    tell(house)
    assert [len(mails(house, who)) for who in (OLIVE, ED)] == [1, 0]


def test_what_was_over_before_anybody_was_told_is_not_told(told_house: House, webhook: Webhook) -> None:
    hire(told_house, olive=Role.OWNER)
    raise_(told_house, HELD)
    resolve(told_house, HELD)
    assert tell(told_house) == 0
    assert mails(told_house) == []
    assert webhook.told == []


def test_what_begins_anew_is_told_anew(house: House) -> None:
    hire(house, olive=Role.OWNER)
    for _ in range(2):
        raise_(house, HELD)
        tell(house)
        resolve(house, HELD)
    assert len(mails(house)) == 2


def test_several_at_once_are_one_mail(house: House) -> None:
    hire(house, olive=Role.OWNER)
    raise_(house, HELD, RELAY, "sources-silent:1", "draft-failed:1:2026-03-03")
    assert tell(house) == 4
    (mail,) = mails(house)
    assert mail.subject == "Daily Headlines: 4 things need a hand"
    for part in (mail.part("plain"), mail.part("html")):
        for key in (HELD, RELAY, "sources-silent:1", "draft-failed:1:2026-03-03"):
            assert f"Something is wrong with {key}." in " ".join(part.split())
            assert f"Look after {key}." in " ".join(part.split())
        for path in ("/admin/editions/12", "/admin/sources", "/admin/editions", "/admin/"):
            assert f"https://news.example.org{path}" in part


def test_a_storm_of_alerts_is_a_few_mails_and_loses_none(house: House) -> None:
    """Three at once, then one in a quarter of an hour."""
    hire(house, olive=Role.OWNER)
    for number in range(60):
        raise_(house, f"edition-held:{number}")
        tell(house)
        house.later(minutes=1)
    house.later(minutes=15)
    tell(house)
    assert 6 <= len(mails(house)) <= 8
    told = " ".join(mail.part("plain") for mail in mails(house))
    assert all(f"edition-held:{number}." in " ".join(told.split()) for number in range(60))

    house.later(hours=2)
    raise_(house, RELAY)
    tell(house)
    assert RELAY in mails(house)[-1].subject, "the storm is over, and the next is told at once"


def test_two_who_tell_at_the_same_time_send_one_mail(either_house: House) -> None:
    house = either_house
    hire(house, olive=Role.OWNER)
    raise_(house, HELD)

    def one(_number: int) -> int:
        with house.app.app_context():
            return alerting.tell(house.now, POST)

    assert sorted(at_once(3, one)) == [0, 0, 1]
    house.work()
    assert len(mails(house)) == 1


def test_without_anybody_to_tell_an_alert_stays_on_the_desk(house: House) -> None:
    raise_(house, HELD)
    tell(house)
    assert open_alert_keys(house) == [HELD]


def test_without_a_newsletter_the_mail_comes_from_the_site_s_own_name(house: House) -> None:
    hire(house, olive=Role.OWNER)
    raise_(house, HELD)
    with house.app.app_context():
        alerting.tell(house.now)
    house.work()
    assert mails(house)[0].message["From"] == "Daily Headlines <newsroom@news.example.org>"


def test_the_scheduler_tells_in_the_newsletter_s_name(house: House) -> None:
    found(house)
    hire(house, olive=Role.OWNER)
    raise_(house, HELD)
    scheduling.run_once(house.app, house.clock, house.fetcher)
    house.work()
    assert mails(house)[0].message["From"] == "Morning Post <post@example.org>"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("edition-held:7", "/admin/editions/7"),
        ("edition-paused:7", "/admin/editions/7"),
        ("edition-overdue:1:2026-03-03", "/admin/editions"),
        ("draft-failed:1:2026-03-03", "/admin/editions"),
        ("sources-silent:1", "/admin/sources"),
        ("relay-failing", "/admin/"),
        ("something-new:1", "/admin/"),
    ],
)
def test_every_alert_leads_to_a_page_of_the_desk(house: House, key: str, path: str) -> None:
    assert alerting.place_of(key)[0] == path


# The webhook


def test_the_webhook_is_told_each_alert_once(told_house: House, webhook: Webhook) -> None:
    hire(told_house, olive=Role.OWNER)
    raise_(told_house, HELD, RELAY)
    for _ in range(3):
        tell(told_house)
        told_house.later(minutes=2)
    assert webhook.told[0] == {
        "key": HELD,
        "message": f"Something is wrong with {HELD}.",
        "remedy": f"Look after {HELD}.",
        "raised_at": "2026-03-03T05:20:00+00:00",
        "site_url": "https://news.example.org",
    }
    assert webhook.keys == [HELD, RELAY]
    assert webhook.headers[0]["Content-Type"] == "application/json"
    assert len(mails(told_house)) == 1


def test_a_webhook_that_breaks_is_tried_a_few_times_and_nobody_gets_a_second_mail(
    told_house: House, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.status = 500
    hire(told_house, olive=Role.OWNER)
    raise_(told_house, HELD)
    with caplog.at_level(logging.WARNING):
        for _ in range(90):
            tell(told_house)
            told_house.later(minutes=1)
    assert webhook.keys == [HELD] * 4
    assert len(mails(told_house)) == 1
    assert "it answered 500" in caplog.text
    assert "token=secret" not in caplog.text, "such addresses are secrets"


def test_a_webhook_that_comes_back_is_told_late(told_house: House, webhook: Webhook) -> None:
    webhook.status = 503
    raise_(told_house, HELD)
    tell(told_house)
    webhook.status = 200
    tell(told_house)
    assert webhook.keys == [HELD], "not again at once"
    told_house.later(minutes=1)
    for _ in range(3):
        tell(told_house)
        told_house.later(minutes=10)
    assert webhook.keys == [HELD, HELD]


def test_what_is_over_meanwhile_is_not_told_late(told_house: House, webhook: Webhook) -> None:
    webhook.status = 503
    raise_(told_house, HELD)
    tell(told_house)
    resolve(told_house, HELD)
    told_house.later(minutes=10)
    tell(told_house)
    assert len(webhook.told) == 1


def test_a_slow_webhook_delays_no_mail_and_is_waited_for_once_a_tick(
    told_house: House, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "SECONDS", 0.3)
    webhook.slow = True
    hire(told_house, olive=Role.OWNER)
    raise_(told_house, HELD, RELAY, "sources-silent:1")
    tell(told_house)
    assert len(webhook.told) == 1, "the others have their turn with the next tick"
    assert len(mails(told_house)) == 1
    assert answers(told_house) == [(False, "127.0.0.1 did not take it: it did not answer within 0.3 seconds.")]


@pytest.mark.parametrize("status", [301, 308, 404, 410])
def test_a_webhook_that_leads_elsewhere_or_does_not_know_us_has_failed(
    told_house: House, webhook: Webhook, status: int
) -> None:
    webhook.status, webhook.location = status, webhook.url
    raise_(told_house, HELD)
    tell(told_house)
    assert answers(told_house) == [(False, f"127.0.0.1 did not take it: it answered {status}.")]
    assert len(webhook.told) == 1, "no redirect is followed"


def test_a_webhook_that_refuses_every_connection_has_failed(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, alerts=AlertsConfig(webhook_url=f"http://127.0.0.1:{free_port()}/"))
    hire(house, olive=Role.OWNER)
    raise_(house, HELD)
    tell(house)
    assert answers(house) == [(False, "127.0.0.1 did not take it: the connection failed.")]
    assert len(mails(house)) == 1


def answers(house: House) -> list[tuple[bool, str]]:
    """What became of each post, as the audit trail has it."""
    with house.app.app_context():
        query = sa.select(AuditRecord.details).where(AuditRecord.action == alerting.POSTED).order_by(AuditRecord.id)
        return [(details["taken"], details["answer"]) for details in db.session.scalars(query)]


def test_what_is_halted_tells_nobody_outside_until_staff_say_go(told_house: House, webhook: Webhook) -> None:
    """It may be a copy; that it is halted stands on its pages and in /readyz."""
    hire(told_house, olive=Role.OWNER)
    with told_house.app.app_context(), transaction():
        safety.halt("this database is an older copy.", told_house.now)
    raise_(told_house, HELD)
    for _ in range(3):
        assert tell(told_house) == 0
        told_house.later(minutes=20)
    assert (mails(told_house), webhook.told) == ([], [])
    assert told_house.browser.get("/readyz").status_code == 503
    with told_house.app.app_context(), transaction():
        safety.go_on(told_house.now)
    tell(told_house)
    assert webhook.keys == [HELD], "the halt is over by then"
    assert len(mails(told_house)) == 1


def test_while_the_relay_is_away_the_webhook_is_told_all_the_same(
    build_house: BuildHouse, sqlite_url: str, webhook: Webhook
) -> None:
    nobody = MailConfig(host="127.0.0.1", port=free_port())
    house = build_house(sqlite_url, mail=nobody, alerts=AlertsConfig(webhook_url=webhook.url))
    hire(house, olive=Role.OWNER)
    raise_(house, HELD)
    tell(house)
    tell(house)
    assert sorted(webhook.keys) == [HELD, RELAY]


# Sources that fell silent


def sources(house: House, newsletter_id: int, *states: SourceState, own: bool = False) -> None:
    with house.app.app_context(), transaction() as session:
        for number, state in enumerate(states):
            source = Source(
                url=f"https://{number}.example/feed",
                outlet=f"Outlet {number}",
                state=state,
                next_poll_at=house.now,
                created_at=house.now,
            )
            source.newsletters = [NewsletterSource(newsletter_id=newsletter_id, own=own)]
            session.add(source)


OK, SILENT, GONE, OFF = SourceState.OK, SourceState.SILENT, SourceState.GONE, SourceState.DISABLED


@pytest.mark.parametrize(
    ("states", "own", "said"),
    [
        ((OK, OK, OK, SILENT), False, None),
        ((OK, OK, SILENT, GONE), False, "2 of its 4 sources: Outlet 2, Outlet 3."),
        ((SILENT,), False, "1 of its 1 sources: Outlet 0."),
        ((OK, OFF, SILENT, OFF), False, "1 of its 2 sources: Outlet 2."),
        ((OK, OK, OK, SILENT), True, "1 of its 4 sources: Outlet 3."),
        ((OFF, OFF), True, None),
        ((), False, None),
        ((SILENT,) * 7, False, "7 of its 7 sources: Outlet 0, Outlet 1, Outlet 2, Outlet 3, Outlet 4 and others."),
    ],
)
def test_staff_are_told_when_half_of_the_sources_or_the_paper_s_own_are_silent(
    house: House, states: tuple[SourceState, ...], own: bool, said: str | None
) -> None:
    paper = found(house)
    sources(house, paper.id, *states, own=own)
    with house.app.app_context():
        health.watch(house.now)
        assert health.watch(house.now) == (said is not None)
        messages = [alert.message for alert in alerts.open_alerts()]
    assert messages == ([f"Morning Post hears nothing new from {said}"] if said else [])


def test_sources_that_speak_again_end_the_alert(house: House) -> None:
    paper = found(house)
    sources(house, paper.id, SILENT)
    with house.app.app_context():
        health.watch(house.now)
        assert open_alert_keys(house) == [f"sources-silent:{paper.id}"]
        with transaction() as session:
            session.execute(sa.update(Source).values(state=OK))
        health.watch(house.now)
    assert open_alert_keys(house) == []


# What a person wants


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"wants_drafts": "maybe"}, "write yes or no"),
        ({"wants_alerts": ""}, "write yes or no"),
        ({"wants_cake": "yes"}, "there is no such setting; there are wants_drafts and wants_alerts"),
        ({"role": "owner"}, "there is no such setting"),
    ],
)
def test_a_wish_that_is_none_is_refused_and_nothing_is_changed(house: House, wishes: dict[str, str], why: str) -> None:
    hire(house, sue=Role.SUPPORT)
    with pytest.raises(WishInvalid, match=why):
        wish(house, SUE, **{"wants_alerts": "yes"} | wishes)
    with house.app.app_context():
        person = db.session.scalars(sa.select(Staff)).one()
        assert (person.wants_alerts, person.wants_drafts, person.role) == (False, False, Role.SUPPORT)


def test_who_works_for_some_newsletters_is_told_of_theirs_and_of_what_concerns_the_house(house: House) -> None:
    hire(house, olive=Role.OWNER, ed=Role.EDITOR)
    paper, edition_id = sending(house, slug="morning-post")
    other = found(house, "ridge-courier")
    with house.app.app_context():
        ed = staff_at("ed@example.org")
        assert ed is not None
        managing.grant(ed.id, Grant(Role.EDITOR, newsletter_ids=frozenset({other.id})), house.now, COMMAND)
    for key in (
        f"edition-held:{edition_id}",
        f"edition-overdue:{paper.slot_id}:2026-03-03",
        f"draft-failed:{paper.slot_id}:2026-03-03",
        f"sources-silent:{paper.id}",
        f"bounces-policy:{edition_id}",
    ):
        raise_(house, key)
    with house.app.app_context():
        alerting.tell(house.now, POST, newsletter_of)
    house.work()
    assert (len(house.inbox.of("olive@example.org")), len(house.inbox.of("ed@example.org"))) == (1, 0)
    raise_(house, "relay", f"sources-silent:{other.id}", "edition-held:999", "edition-held:x")
    house.later(minutes=1)
    with house.app.app_context():
        alerting.tell(house.now, POST, newsletter_of)
    house.work()
    (told,) = house.inbox.of("ed@example.org")
    assert f"sources-silent:{other.id}" in told.part("plain")
    assert f"sources-silent:{paper.id}" not in told.part("plain")


def test_a_wish_is_audited_once_and_only_when_it_changes_something(house: House) -> None:
    hire(house, olive=Role.OWNER)
    for _ in range(2):
        wish(house, "  Olive@Example.org", wants_drafts="yes", wants_alerts="yes")
    with house.app.app_context():
        query = sa.select(AuditRecord.details).where(AuditRecord.action == "staff.change")
        assert list(db.session.scalars(query)) == [{"before": {"wants_drafts": False}, "after": {"wants_drafts": True}}]


def test_nobody_can_wish_for_who_is_not_on_the_staff(house: House) -> None:
    with pytest.raises(StaffUnknown):
        wish(house, OLIVE, wants_drafts="yes")


def test_an_alert_remembers_when_it_was_told(house: House) -> None:
    raise_(house, HELD)
    house.later(minutes=1)
    tell(house)
    with house.app.app_context():
        (alert,) = db.session.scalars(sa.select(Alert)).all()
        assert alert.told_at == alert.raised_at + timedelta(minutes=1)
