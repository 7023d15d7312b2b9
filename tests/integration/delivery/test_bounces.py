"""What comes back has its consequences, each once, and only for whom we signed."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import bounces, owning, tallying
from newsletter.delivery.bounce_models import Bounce, Deed
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.tallying import NothingStopped
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.database import db, transaction
from newsletter.mail import outbox
from newsletter.mail.message import Sender
from newsletter.mail.suppression import SuppressionReason
from newsletter.mail.verdicts import Kind
from newsletter.subscribers.consent import Origin, remember
from newsletter.subscribers.models import ConsentKind, Subscription, subscriber_at
from tests.conftest import House
from tests.integration.subscribers import (
    ANN,
    asked,
    became_reader,
    count,
    erase,
    everything,
    link_in,
    sign_up,
    state_of,
    story_of,
    suppressed_for,
)
from tests.support import newsroom
from tests.support.newsroom import Paper, alerts_raised, delivery, open_alert_keys
from tests.support.post import Mailed, comes_back, mailed, rows
from tests.support.racing import at_once
from tests.support.returning import arf, dsn, mail, notice, reported

BOB = "bob@example.org"
HARD, LATER = {SuppressionReason.HARD_BOUNCE}, timedelta(days=2)


def one_mailed(house: House, address: str = ANN) -> tuple[Paper, Mailed]:
    paper = newsroom.found(house)
    paper.readers(address)
    (one,) = mailed(paper, address)
    house.later(minutes=5)
    return paper, one


def audited(house: House, action: str) -> list[AuditRecord]:
    with house.app.app_context():
        found = list(db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == action)))
        db.session.expunge_all()
        return found


def confirms(house: House, address: str) -> None:
    with house.app.app_context(), transaction():
        remember(ConsentKind.CONFIRMED, address, 1, Origin(), house.now, house.keys)


# Hard


def test_a_hard_bounce_suppresses_at_once_and_leaves_the_delivery_as_it_was(either_house: House) -> None:
    house = either_house
    _, one = one_mailed(house)
    assert comes_back(house, dsn(reported(ANN), to=one.return_path)) is Deed.SUPPRESSED
    assert suppressed_for(house) == HARD
    assert delivery(house, ANN).state is DeliveryState.ACCEPTED, "rule 12"
    (row,) = rows(house)
    assert (row.kind, row.status, row.delivery_id, row.edition_id) == (
        Kind.HARD,
        "5.1.1",
        one.delivery_id,
        one.edition_id,
    )
    assert row.subscriber_id is not None
    assert (row.raw, row.needs_staff) == (None, False)
    (record,) = audited(house, "bounce.suppress")
    assert ANN not in repr((record.subject, record.details))


def test_the_same_mail_counts_once_by_whichever_way_it_comes(either_house: House) -> None:
    house = either_house
    _, one = one_mailed(house)
    octets = dsn(reported(ANN), to=one.return_path)
    comes_back(house, octets, one.return_path)
    before = everything(house)
    assert comes_back(house, octets) is Deed.SUPPRESSED
    assert comes_back(house, b"Received: by imap\r\n" + octets.replace(b"\r\n", b"\n")) is Deed.SUPPRESSED
    assert everything(house) == before


def test_the_same_mail_at_once_counts_once(either_house: House) -> None:
    house = either_house
    _, one = one_mailed(house)
    octets = dsn(reported(ANN), to=one.return_path)
    assert at_once(4, lambda _: comes_back(house, octets)) == [Deed.SUPPRESSED] * 4
    assert len(rows(house)) == 1


def test_a_signed_message_id_does_where_the_return_path_was_rewritten(house: House) -> None:
    _, one = one_mailed(house)
    octets = dsn(reported(ANN), to="postmaster@relay.example.com", message_id=one.message_id)
    assert comes_back(house, octets) is Deed.SUPPRESSED
    assert suppressed_for(house) == HARD


def test_the_return_path_is_believed_before_the_message_id(house: House) -> None:
    paper = newsroom.found(house)
    paper.readers(ANN, BOB)
    ann, bob = mailed(paper, ANN, BOB)
    comes_back(house, dsn(reported("x@example.net"), to=bob.return_path, message_id=ann.message_id))
    assert (suppressed_for(house, ANN), suppressed_for(house, BOB)) == (set(), HARD)


@pytest.mark.parametrize("forged", ["bounces@example.org", "bounces+dae-abcdefghijklmnop@example.org"])
def test_a_mere_address_suppresses_nobody_and_goes_to_staff(house: House, forged: str) -> None:
    one_mailed(house)
    octets = dsn(reported(ANN), to=forged, message_id="dae-abcdefghijklmnop@example.org")
    assert comes_back(house, octets) is Deed.STAFF
    assert suppressed_for(house) == set()
    (row,) = rows(house)
    assert (row.address, row.needs_staff, row.raw) == (ANN, True, octets)


def test_a_token_of_another_kind_names_no_delivery(house: House) -> None:
    _, one = one_mailed(house)
    other = house.links.verp("u", one.delivery_id)
    assert comes_back(house, dsn(reported(ANN), to=f"bounces+{other}@example.org")) is Deed.STAFF
    assert suppressed_for(house) == set()


def test_of_several_recipients_the_reader_s_own_counts(house: House) -> None:
    _, one = one_mailed(house)
    both = reported(ANN, "4.2.2"), reported("other@example.net", "5.1.1")
    assert comes_back(house, dsn(*both, to=one.return_path)) is Deed.COUNTED
    assert suppressed_for(house) == set()
    both = reported("other@example.net", "4.2.2"), reported(ANN.upper(), "5.1.1")
    assert comes_back(house, dsn(*both, to=one.return_path, date="2")) is Deed.SUPPRESSED


def test_who_confirmed_anew_since_that_mail_is_left_alone(house: House) -> None:
    _, one = one_mailed(house)
    confirms(house, ANN)
    assert comes_back(house, dsn(reported(ANN), to=one.return_path)) is Deed.LATE
    assert suppressed_for(house) == set()


def test_who_has_another_address_by_now_is_left_alone(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    (one,) = mailed(the_paper(house), ANN)
    house.later(minutes=20)
    page = f"/preferences/{house.links.make('preferences', 1)}"  # type: ignore[arg-type]
    house.browser.post(f"{page}/address", data={"email": BOB})
    house.work()
    assert house.browser.post(link_in(house, BOB, "/change/")).status_code == 200
    assert comes_back(house, dsn(reported(ANN), to=one.return_path)) is Deed.LATE
    assert (suppressed_for(house, ANN), suppressed_for(house, BOB)) == (set(), set())


def the_paper(house: House) -> Paper:
    with house.app.app_context():
        one = db.session.scalars(sa.select(Subscription)).first()
        assert one
        return Paper(house, one.newsletter_id, "morning-post", one.slot_id)


def test_what_comes_back_of_somebody_who_was_erased_changes_nothing(house: House) -> None:
    _, one = one_mailed(house)
    erase(house)
    assert comes_back(house, dsn(reported(ANN), to=one.return_path)) is Deed.NOTHING
    assert suppressed_for(house) == {SuppressionReason.ERASURE}


def test_the_person_s_own_confirming_lifts_a_hard_bounce(house: House) -> None:
    _, one = one_mailed(house)
    comes_back(house, dsn(reported(ANN), to=one.return_path))
    house.later(minutes=20)
    assert house.browser.post(asked(house)).status_code == 200
    assert suppressed_for(house) == set()


# Of single mails


def test_a_confirmation_mail_that_bounces_suppresses_the_address(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    asked(house)
    sent = house.inbox.of(ANN)[-1]
    assert comes_back(house, dsn(reported(ANN), to=sent.sender)) is Deed.SUPPRESSED
    assert suppressed_for(house) == HARD
    assert rows(house)[0].outbox_id is not None


def test_the_message_id_of_a_single_mail_does_too(house: House) -> None:
    newsroom.found(house)
    asked(house)
    message_id = str(house.inbox.of(ANN)[-1].message["Message-ID"]).strip("<>")
    assert comes_back(house, notice("qmail").replace(b"dae-abcdefghijklmnop@example.org", message_id.encode()))
    assert suppressed_for(house) == HARD


def test_an_alert_that_bounces_is_told_and_suppresses_nobody_of_the_staff(house: House) -> None:
    newsroom.found(house)
    sent = _alert_to(house, "olive@example.org")
    assert comes_back(house, dsn(reported("olive@example.org"), to=sent)) is Deed.STAFF
    assert suppressed_for(house, "olive@example.org") == set()
    assert open_alert_keys(house) == [bounces.STAFF_BOUNCED]
    with house.app.app_context():
        bounces.settle(rows(house)[0].id, house.now, COMMAND)
    assert open_alert_keys(house) == []


def _alert_to(house: House, address: str) -> str:
    with house.app.app_context():
        with transaction():
            words = dict.fromkeys(("message", "remedy", "admin_link", "service_name"), "x")
            outbox.put("alert", to=address, sender=Sender("P", "post@example.org"), now=house.now, **words)  # type: ignore[arg-type]
        id = db.session.scalars(sa.select(owning.OutboxMail.id)).one()
        return f"bounces+{house.links.verp('o', id)}@example.org"


# Too many at once


def crowd(house: House, size: int, audience: int | None = None) -> list[tuple[str, Mailed]]:
    paper = newsroom.found(house)
    names = [f"reader{n}@example.org" for n in range(size)]
    paper.readers(*names)
    return list(zip(names, mailed(paper, *names, audience=audience), strict=True))


def bounce_all(house: House, some: list[tuple[str, Mailed]], status: str = "5.1.1") -> list[Deed]:
    return [comes_back(house, dsn(reported(name, status), to=one.return_path)) for name, one in some]


def suppressed(house: House) -> int:
    return len(everything(house)["suppressions"])


@pytest.mark.parametrize(
    ("audience", "allowed"), [(1, 5), (100, 5), (250, 5), (299, 5), (300, 6), (1000, 20), (1_000_000, 20_000)]
)
def test_the_limit_is_two_percent_and_five_at_least(audience: int, allowed: int) -> None:
    assert tallying.limit(audience) == allowed


def test_above_the_limit_suppression_stops_and_staff_are_asked_once(either_house: House) -> None:
    house = either_house
    readers = crowd(house, 12, audience=300)
    assert bounce_all(house, readers[:6]) == [Deed.SUPPRESSED] * 6
    assert open_alert_keys(house) == []
    assert bounce_all(house, readers[6:]) == [Deed.WAITING] * 6
    assert suppressed(house) == 6
    key = f"bounces-stopped:{readers[0][1].edition_id}"
    assert open_alert_keys(house) == [key]
    assert alerts_raised(house, key) == 1
    assert len(audited(house, "bounces.stop")) == 1


def test_staff_suppress_them_all_and_who_comes_later_too(either_house: House) -> None:
    house = either_house
    readers = crowd(house, 10)
    bounce_all(house, readers[:9])
    edition_id = readers[0][1].edition_id
    with house.app.app_context():
        assert tallying.release(edition_id, house.now, house.keys, COMMAND) == 4
    assert suppressed(house) == 9
    assert bounce_all(house, readers[9:]) == [Deed.SUPPRESSED]
    assert open_alert_keys(house) == []
    with house.app.app_context():
        assert tallying.release(edition_id, house.now, house.keys, COMMAND) == 0, "again is no error"
        with pytest.raises(NothingStopped):
            tallying.leave(edition_id, house.now, COMMAND)
    assert len(audited(house, "bounces.release")) == 1


def test_staff_leave_them_alone_and_who_comes_later_too(either_house: House) -> None:
    house = either_house
    readers = crowd(house, 10)
    bounce_all(house, readers[:9])
    with house.app.app_context():
        assert tallying.leave(readers[0][1].edition_id, house.now, COMMAND) == 4
    assert bounce_all(house, readers[9:]) == [Deed.NOTHING]
    assert suppressed(house) == 5
    assert open_alert_keys(house) == []


def test_who_confirmed_anew_meanwhile_is_not_suppressed_with_the_others(house: House) -> None:
    readers = crowd(house, 7)
    bounce_all(house, readers)
    house.later(minutes=1)
    with house.app.app_context():
        confirms(house, readers[6][0])
        assert tallying.release(readers[0][1].edition_id, house.now, house.keys, COMMAND) == 1


def test_a_decision_without_a_question_is_refused(house: House) -> None:
    with house.app.app_context(), pytest.raises(NothingStopped):
        tallying.release(1, house.now, house.keys, COMMAND)


def test_two_reports_of_one_mail_count_one_reader(house: House) -> None:
    readers = crowd(house, 6)
    bounce_all(house, readers[:5])
    again = [comes_back(house, dsn(reported(name), to=one.return_path, date="2")) for name, one in readers[:5]]
    assert again == [Deed.COUNTED] * 5
    assert open_alert_keys(house) == []


def test_many_refusals_by_policy_are_told_and_suppress_nobody(house: House) -> None:
    readers = crowd(house, 8)
    assert bounce_all(house, readers, "5.7.1") == [Deed.COUNTED] * 8
    assert suppressed(house) == 0
    key = f"bounces-policy:{readers[0][1].edition_id}"
    assert open_alert_keys(house) == [key]
    assert alerts_raised(house, key) == 1


# Soft


def softly(house: House, paper: Paper, days: list[int], bounced: list[int], status: str = "4.2.2") -> list[Deed]:
    """An edition on each of the days; on some it bounces an hour later. The clock ends at the last one."""
    start, deeds = house.now, []
    for day in days:
        house.clock.at = start + timedelta(days=day)
        (one,) = mailed(paper, ANN)
        house.later(hours=1)
        if day in bounced:
            deeds.append(comes_back(house, dsn(reported(ANN, status), to=one.return_path)))
    return deeds


@pytest.fixture
def paper(either_house: House) -> Paper:
    made = newsroom.found(either_house)
    made.readers(ANN)
    either_house.later(minutes=1)
    return made


def test_five_soft_bounces_over_ten_days_suppress(either_house: House, paper: Paper) -> None:
    days = [0, 2, 5, 8, 10]
    assert softly(either_house, paper, days, days) == [Deed.COUNTED] * 4 + [Deed.SUPPRESSED]
    assert suppressed_for(either_house) == HARD


def test_five_within_ten_days_are_not_enough(either_house: House, paper: Paper) -> None:
    days = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert softly(either_house, paper, days, days) == [Deed.COUNTED] * 10
    assert suppressed_for(either_house) == set()


def test_four_are_never_enough(either_house: House, paper: Paper) -> None:
    assert softly(either_house, paper, [0, 20, 40, 60], [0, 20, 40, 60]) == [Deed.COUNTED] * 4


def test_a_mail_that_arrived_between_begins_the_count_anew(either_house: House, paper: Paper) -> None:
    days = [0, 2, 4, 6, 8, 10, 12, 14, 16]
    deeds = softly(either_house, paper, days, [0, 2, 4, 8, 10, 12, 14, 16])
    assert deeds == [Deed.COUNTED] * 8
    assert softly(either_house, paper, [2], [2]) == [Deed.SUPPRESSED], "five since, over ten days"


def test_a_mail_that_may_still_bounce_is_no_success(either_house: House, paper: Paper) -> None:
    """One is sent every other day, and its bounce comes four days later."""
    house, start = either_house, either_house.now
    sent = {}
    deeds = []
    for day in range(0, 16, 2):
        house.clock.at = start + timedelta(days=day)
        (sent[day],) = mailed(paper, ANN)
        if day >= 4:
            deeds.append(comes_back(house, dsn(reported(ANN, "4.4.7"), to=sent[day - 4].return_path)))
    assert deeds == [Deed.COUNTED] * 5 + [Deed.SUPPRESSED], "the sixth is ten days after the first"


def test_two_reports_of_one_mail_are_one_soft_bounce(either_house: House, paper: Paper) -> None:
    days = [0, 3, 6, 11]
    softly(either_house, paper, days, days)
    (last,) = mailed(paper, ANN, day=(either_house.now + timedelta(days=1)).date())
    reports = [
        comes_back(either_house, dsn(reported(ANN, "4.2.2", action="failed"), to=row, date=str(n)))
        for n, row in enumerate([last.return_path] * 2)
    ]
    assert reports[0] is Deed.SUPPRESSED
    with either_house.app.app_context():
        reader = subscriber_at(ANN)
        assert reader
        assert len(bounces._softly_bounced(reader.id, either_house.now)) == 5


def test_soft_bounces_stop_at_the_edition_s_limit_as_hard_ones_do(house: House) -> None:
    readers = crowd(house, 6)
    paper = the_paper(house)
    names = [name for name, _ in readers]
    deeds = bounce_all(house, readers, "5.0.0")
    for days in (3, 3, 3, 3):
        house.later(days=days)
        sent = mailed(paper, *names, audience=6)
        deeds = bounce_all(house, list(zip(names, sent, strict=True)), "5.0.0")
    assert deeds == [Deed.SUPPRESSED] * 5 + [Deed.WAITING]


# Complaints


def test_a_complaint_suppresses_and_unsubscribes_at_once(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    became_reader(house)
    (one,) = mailed(the_paper(house), ANN)
    house.later(minutes=5)
    assert comes_back(house, arf(message_id=one.message_id)) is Deed.SUPPRESSED
    assert suppressed_for(house) == {SuppressionReason.COMPLAINT}
    assert state_of(house) == ["unsubscribed"]
    last = story_of(house)[-1]
    assert (last.kind, last.by) == (ConsentKind.UNSUBSCRIBED, bounces.COMPLAINED)
    assert delivery(house, ANN).state is DeliveryState.ACCEPTED


def test_a_complaint_about_a_confirmation_mail_suppresses_for_good(house: House) -> None:
    newsroom.found(house)
    asked(house)
    message_id = str(house.inbox.of(ANN)[-1].message["Message-ID"]).strip("<>")
    assert comes_back(house, arf(message_id=message_id)) is Deed.SUPPRESSED
    assert suppressed_for(house) == {SuppressionReason.COMPLAINT}
    house.later(hours=1)
    before = len(house.inbox.mails)
    sign_up(house)
    house.work()
    assert len(house.inbox.mails) == before, "rule 14"


def test_a_complaint_that_names_nothing_of_ours_goes_to_staff(house: House) -> None:
    one_mailed(house)
    assert comes_back(house, arf(message_id="1@example.com")) is Deed.STAFF
    assert suppressed_for(house) == set()


# Robots and people


@pytest.mark.parametrize(
    "headers", [{"subject": "Out of office"}, {"subject": "Please confirm your message"}, {"Auto_Submitted": "yes"}]
)
def test_robots_answers_count_as_nothing(house: House, headers: dict[str, str]) -> None:
    _, one = one_mailed(house)
    assert comes_back(house, mail("Away.", to=one.return_path, **headers)) is Deed.NOTHING
    (row,) = rows(house)
    assert (row.raw, row.needs_staff) == (None, False)
    assert count(house, owning.OutboxMail) == 0


def test_what_nobody_understands_goes_to_staff_with_its_words(house: House) -> None:
    octets = mail("The roof leaks.", sender="postmaster@example.net", subject="Problem")
    assert comes_back(house, octets) is Deed.STAFF
    assert rows(house)[0].raw == octets


def test_a_large_mail_is_kept_from_its_beginning(house: House) -> None:
    comes_back(house, mail("x" * 70 + "\n" * 1, sender="postmaster@example.net") + b"y" * 1_000_000)
    assert len(rows(house)[0].raw or b"") == 65_536


def test_a_fault_of_ours_with_one_mail_loses_it_to_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, one = one_mailed(house)

    def broken(case: object) -> Deed:
        raise ZeroDivisionError

    monkeypatch.setitem(bounces.DEEDS, Kind.HARD, broken)
    assert comes_back(house, dsn(reported(ANN), to=one.return_path)) is Deed.STAFF
    assert rows(house)[0].raw is not None


def answers(house: House) -> list[str]:
    house.work()
    return [sent.subject for sent in house.inbox.of("desk@example.org")]


def test_a_person_s_answer_goes_on_to_the_reply_address(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    assert comes_back(house, mail("I <3 the harbor news.", sender=ANN, to=one.return_path)) is Deed.PASSED_ON
    assert answers(house) == ["Re: Morning Post"]
    sent = house.inbox.of("desk@example.org")[0]
    assert "I <3 the harbor news." in sent.part("plain")
    assert sent.message["Reply-To"] == ANN
    assert sent.message["Auto-Submitted"] == "auto-generated"
    assert "post@example.org" in str(sent.message["From"])


def test_an_answer_that_names_its_mail_only_in_its_references_goes_on(house: House) -> None:
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    octets = mail("Thank you", to="bounces@example.org", In_Reply_To=f"<{one.message_id}>")
    assert comes_back(house, octets) is Deed.PASSED_ON


def test_an_answer_to_nothing_of_ours_goes_to_staff(house: House) -> None:
    newsroom.found(house, reply_to="desk@example.org")
    assert comes_back(house, mail("Buy a boat!", to="bounces@example.org")) is Deed.STAFF
    assert answers(house) == []


@pytest.mark.parametrize("sender", ["post@example.org", "desk@example.org", "bounces+x@example.org", "nobody", ""])
def test_nothing_of_ourselves_or_of_nobody_goes_round(house: House, sender: str) -> None:
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    assert comes_back(house, mail("Hello", sender=sender, to=one.return_path)) is Deed.STAFF
    assert answers(house) == []


def test_our_own_mail_does_not_go_round_whoever_sends_it_back(house: House) -> None:
    """Somebody's rule sends what we passed on back to us, with its Message-ID, and without what marks it."""
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    comes_back(house, mail("Hello", sender=ANN, to=one.return_path))
    assert len(answers(house)) == 1
    passed_on = str(house.inbox.of("desk@example.org")[0].message["Message-ID"])
    round_trip = mail("Hello", sender="eve@example.com", to=one.return_path, Message_ID=passed_on)
    assert comes_back(house, round_trip) is Deed.STAFF
    assert len(answers(house)) == 1


def test_a_bounce_of_what_was_passed_on_ends_there(house: House) -> None:
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    comes_back(house, mail("Hello", sender=ANN, to=one.return_path))
    house.work()
    sent = house.inbox.of("desk@example.org")[0]
    assert comes_back(house, dsn(reported("desk@example.org"), to=sent.sender)) is Deed.STAFF
    assert suppressed_for(house, "desk@example.org") == set()
    assert len(answers(house)) == 1


def test_a_reply_address_that_leads_to_ourselves_gets_nothing(house: House) -> None:
    paper = newsroom.found(house, reply_to="bounces@example.org")
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    assert comes_back(house, mail("Hello", sender=ANN, to=one.return_path)) is Deed.STAFF
    assert count(house, owning.OutboxMail) == 0


def test_one_sender_is_passed_on_twenty_times_a_day(house: House) -> None:
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(ANN)
    (one,) = mailed(paper, ANN)
    deeds = [comes_back(house, mail(f"Mail {n}", sender=ANN, to=one.return_path)) for n in range(21)]
    assert deeds == [Deed.PASSED_ON] * 20 + [Deed.STAFF]


def test_what_staff_settled_is_off_their_list(house: House) -> None:
    comes_back(house, mail("The roof leaks.", sender="postmaster@example.net"))
    with house.app.app_context():
        assert bounces.settle(1, house.now, COMMAND)
        assert not bounces.settle(1, house.now, COMMAND)
        assert db.session.get_one(Bounce, 1).settled_by == COMMAND.name
