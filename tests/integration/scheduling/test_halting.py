"""A copy must not send, and a wrong clock neither (DESIGN.md, rule 7)."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.delivery import releasing, restoring, shards, welcoming
from newsletter.delivery.restoring import Accepted
from newsletter.editions import publishing
from newsletter.editions.models import Edition
from newsletter.foundation import installation, safety
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.clock import the_clock
from newsletter.foundation.database import db, transaction
from newsletter.foundation.installation import Installation
from newsletter.mail import outbox
from newsletter.newsletters.models import newsletters
from newsletter.subscribers import answering
from tests.conftest import BuildHouse, House
from tests.integration.web import signed_in
from tests.support.attempts import start
from tests.support.copies import another_machine, copy_database, restore_database
from tests.support.newsroom import (
    SUBJECTS,
    Paper,
    delivery,
    edition_state,
    found,
    ledger_of,
    open_alert_keys,
    send,
    sending,
)
from tests.support.schedulers import WrongClock, rounds, scheduler

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"
MONDAY = datetime(2026, 3, 2, 5, 50, tzinfo=UTC)


def halted(house: House) -> str | None:
    with house.app.app_context():
        return safety.halted()


def accept(house: House) -> Accepted:
    with house.app.app_context():
        accepted = restoring.accept(house.now, COMMAND)
        assert accepted is not None
        return accepted


def written(folder: Path) -> tuple[int, bool]:
    content = json.loads((folder / "generation.json").read_text("utf-8"))
    return content["generation"], content["sure"]


def generation(house: House) -> int:
    with house.app.app_context():
        return db.session.scalars(sa.select(Installation.generation)).one()


def write_to(house: House, address: str) -> None:
    """A confirmation that waits in the outbox."""
    with house.app.app_context():
        slug = newsletters()[0].slug
        assert house.browser.post("/subscribe", data={"email": address, "newsletter": slug}).status_code == 200
        assert answering.answer_due(house.now, house.keys, house.links) == 1
        assert outbox.waiting() == 1


def draft(house: House, slug: str, *readers: str, **changed: str) -> tuple[Paper, int]:
    paper = found(house, slug, **changed)
    paper.tells(*SUBJECTS)
    paper.readers(*readers)
    return paper, paper.draft()


def busy_monday(house: House) -> tuple[int, int]:
    """Ten minutes before six: one edition that goes out at six, another that is going out, and a mail in the outbox;
    the scheduler runs, and the worker has not come to it yet."""
    house.clock.at = MONDAY
    rounds(scheduler(house))
    _, ahead = draft(house, "post-ahead", ANN)
    _, going = draft(house, "post-going", BOB)
    with house.app.app_context():
        newsletter = db.session.get_one(Edition, going).newsletter
        with transaction():
            newsletter.cooling_minutes = 0
    send(house, going)
    rounds(scheduler_of(house))
    write_to(house, CLEO)
    assert ledger_of(house, going) == {"pending": 1}
    return ahead, going


def scheduler_of(house: House):  # type: ignore[no-untyped-def]
    """A scheduler at once after the one before, whose lease has run out."""
    house.later(seconds=31)
    return scheduler(house)


@pytest.mark.parametrize("first", ["scheduler", "worker"])
def test_a_database_copied_on_monday_and_started_on_wednesday_sends_nothing_and_says_why(
    house: House, build_house: BuildHouse, tmp_path: Path, first: str
) -> None:
    ahead, going = busy_monday(house)
    url = copy_database(house, tmp_path / "copy.db")
    copy = build_house(url, directory=another_machine(tmp_path, tmp_path / "elsewhere"))
    copy.clock.at = MONDAY + timedelta(days=2, minutes=20)

    for _ in range(3):
        if first == "worker":
            copy.work()
        rounds(scheduler(copy))
        copy.work()
        copy.later(minutes=5)

    assert copy.inbox.mails == []
    assert "the scheduler last ran at 2026-03-02 05:50 UTC, 2 days ago" in str(halted(copy))
    assert open_alert_keys(copy).count("halted") == 1
    assert edition_state(copy, ahead) == "drafted"
    assert ledger_of(copy, going) == {"pending": 1}, "nothing is lost"
    lines = copy.browser.get("/readyz")
    assert lines.status_code == 503
    assert "Nothing is sent: the scheduler last ran at" in lines.text
    with copy.app.app_context(), pytest.raises(safety.Halted, match="newsletter db accept-restore"):
        releasing.send(ahead, copy.now, COMMAND, "2026-03-02")


def test_a_copy_that_is_believed_holds_what_may_have_gone_out_and_goes_on_with_the_rest(
    house: House, build_house: BuildHouse, tmp_path: Path
) -> None:
    ahead, going = busy_monday(house)
    house.clock.at = MONDAY + timedelta(hours=14)
    rounds(scheduler(house))
    house.work()
    accepted = accept(house)
    assert "13 hours ago" in accepted.found

    assert edition_state(house, ahead) == "held drafted"
    assert ledger_of(house, going) == {"skipped(expired)": 1}, "its window is over anyway"
    rounds(scheduler_of(house))
    house.work()
    assert [mail.recipient for mail in house.inbox.mails] == [CLEO], "of the outbox nothing is lost"
    assert "halted" not in open_alert_keys(house)
    assert house.browser.get("/readyz").text == "ready\n"
    with house.app.app_context():
        record = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.action == "service.accept-restore")).one()
        assert record.details["held"] == [ahead]
        assert accepted.held == (
            "Post Ahead of 2026-03-02 for 06:00 UTC: its time passed while everything was halted, "
            "and it may have gone out already",
        )


@pytest.mark.parametrize("copied_at", ["05:10", "05:50"], ids=["before the draft", "after the draft"])
def test_a_database_copied_before_and_restored_after_its_edition_went_out_sends_it_to_nobody_again(
    house: House, tmp_path: Path, copied_at: str
) -> None:
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(ANN)
    house.clock.at = datetime.fromisoformat(f"2026-03-03T{copied_at}+00:00")
    rounds(scheduler(house))
    write_to(house, CLEO)
    copy_database(house, tmp_path / "copy.db")
    house.work()
    for minute in (15, 60):
        house.clock.at = house.clock.at.replace(hour=5, minute=0) + timedelta(minutes=minute)
        rounds(scheduler_of(house))
        house.work()
    assert len(house.inbox.editions_of(ANN)) == 1
    assert written(tmp_path) == (1, True)

    house.clock.at = house.clock.at.replace(hour=7, minute=0)
    restore_database(house, tmp_path / "copy.db")
    for _ in range(3):
        rounds(scheduler_of(house))
        house.work()

    assert str(halted(house)).startswith(f"1 edition has gone out, says {tmp_path}/generation.json, and this database")
    assert len(house.inbox.mails) == 2, "not even the mail of the outbox again"
    accepted = accept(house)
    assert [line.partition(" for ")[0] for line in accepted.held] == ["Morning Post of 2026-03-03"]
    for _ in range(3):
        rounds(scheduler_of(house))
        house.work()
    assert len(house.inbox.editions_of(ANN)) == 1
    assert (generation(house), written(tmp_path)) == (1, (1, True))

    paper.tells("Theatre burns", "Trams are free")
    for at in ("2026-03-03T17:00", "2026-03-04T04:30", "2026-03-04T05:20", "2026-03-04T06:00"):
        house.clock.at = datetime.fromisoformat(f"{at}+00:00")
        rounds(scheduler(house))
        house.work()
    assert len(house.inbox.editions_of(ANN)) == 2, "and tomorrow's goes out as ever"


def test_the_person_who_sends_by_hand_from_an_older_copy_is_told_before_anybody_else_looked(
    house: House, tmp_path: Path
) -> None:
    _, edition_id = draft(house, "morning-post", ANN, cooling_minutes="0")
    copy_database(house, tmp_path / "copy.db")
    send_now(house, edition_id)
    restore_database(house, tmp_path / "copy.db")

    with house.app.app_context(), pytest.raises(safety.Halted, match="older copy"):
        releasing.send(edition_id, house.now, COMMAND)
    assert edition_state(house, edition_id) == "drafted"
    assert written(tmp_path) == (1, True), "and the evidence stays"


def send_now(house: House, edition_id: int) -> None:
    send(house, edition_id)
    with house.app.app_context():
        releasing.release_due(house.now)


def test_who_ended_on_friday_in_order_and_comes_back_on_monday_asks_first(house: House) -> None:
    one = scheduler(house)
    rounds(one)
    one._leader.resign()
    house.later(hours=12, minutes=1)
    rounds(scheduler(house))
    assert "12 hours ago" in str(halted(house))


def test_a_pause_of_a_few_hours_halts_nobody(house: House) -> None:
    rounds(scheduler(house))
    house.later(hours=11)
    rounds(scheduler(house))
    assert halted(house) is None


def test_a_database_that_never_saw_a_scheduler_is_halted_by_no_pause(house: House) -> None:
    _, edition_id = sending(house, ANN, cooling_minutes="0")
    send_now(house, edition_id)
    house.later(hours=1)
    house.work()
    house.later(days=30)
    house.work()
    assert halted(house) is None
    assert len(house.inbox.editions_of(ANN)) == 1


# The clock


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_set_wrong_by_a_day_sends_nothing_and_loses_nothing(house: House, days: int) -> None:
    """At ten to six; by the wrong clock it is twenty past six of another day."""
    wrong = WrongClock(house)
    the_clock.install(house.app, wrong)
    paper, edition_id = draft(house, "morning-post", ANN)
    paper.tells("Theatre burns", "Trams are free")
    at_work, one = house.worker(), scheduler(house, wrong)
    house.clock.at = house.clock.at.replace(minute=50)
    rounds(one)
    at_work.step()
    write_to(house, CLEO)

    wrong.off = timedelta(days=days, minutes=30)
    house.later(seconds=3)
    for tick in one.ticks:
        one.tick(tick)  # before anybody has beaten
    at_work.step()
    assert f"the machine's clock was moved {'forward by 24 h 30 min' if days > 0 else 'back by 23 h 30 min'}" in str(
        halted(house)
    )
    for _ in range(3):
        house.later(seconds=5)
        rounds(one)
        at_work.step()
    assert house.inbox.mails == []
    assert edition_state(house, edition_id) == "drafted"

    wrong.off = timedelta()
    house.later(seconds=5)
    rounds(one)
    at_work.step()
    accept(house)
    house.clock.at = house.clock.at.replace(hour=6, minute=0, second=5)
    rounds(one)
    at_work.until_idle()
    assert sorted(mail.recipient for mail in house.inbox.mails) == [ANN, CLEO], "the right edition, and once"
    assert ledger_of(house, edition_id) == {"accepted": 1}
    with house.app.app_context():
        others = db.session.scalars(sa.select(Edition).where(Edition.id != edition_id, Edition.slot_at > house.now))
        assert all(other.held_at for other in others), "what the wrong clock drafted waits for somebody"


def test_a_worker_alone_notices_the_clock_before_it_lets_anything_expire(house: House) -> None:
    wrong = WrongClock(house)
    the_clock.install(house.app, wrong)
    _, edition_id = sending(house, ANN, cooling_minutes="0")
    send_now(house, edition_id)
    at_work = house.worker()
    with house.app.app_context():
        at_work._watch.tell(safety.look)
    wrong.off = timedelta(days=1)
    at_work.until_idle()
    assert ledger_of(house, edition_id) == {"pending": 1}
    assert "moved forward by 24 h 0 min" in str(halted(house))


def test_a_leap_that_could_not_be_written_down_is_told_again(house: House) -> None:
    wrong = WrongClock(house)
    watch = safety.Watch(wrong)
    told: list[timedelta] = []
    watch.tell(lambda now, moved: told.append(moved))
    wrong.off = timedelta(hours=3)

    def fails(now: datetime, moved: timedelta) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch.tell(fails)
    watch.tell(lambda now, moved: told.append(moved))
    watch.tell(lambda now, moved: told.append(moved))
    assert told == [timedelta(), timedelta(hours=3), timedelta()]


def test_a_clock_that_is_corrected_a_little_halts_nobody(house: House) -> None:
    wrong = WrongClock(house)
    one = scheduler(house, wrong)
    for minutes in (4, 0, -4, 0):
        wrong.off = timedelta(minutes=minutes)
        house.later(seconds=5)
        rounds(one)
    assert halted(house) is None


# The file


class Crash(BaseException):
    """As if the process were killed."""


def crash_at_the_freeze(house: House, edition_id: int) -> None:
    with house.app.app_context(), suppress(Crash), transaction():
        releasing.approve(edition_id, house.now, COMMAND)
        releasing.freeze(db.session.get_one(Edition, edition_id), house.now)
        raise Crash


def test_a_crash_between_the_file_and_the_commit_is_no_alarm(house: House, tmp_path: Path) -> None:
    _, edition_id = draft(house, "morning-post", ANN, cooling_minutes="0")
    crash_at_the_freeze(house, edition_id)
    assert (generation(house), written(tmp_path)) == (0, (1, False))

    rounds(scheduler(house))
    assert halted(house) is None
    send_now(house, edition_id)
    assert (generation(house), written(tmp_path)) == (1, (1, True))
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_a_crash_between_the_commit_and_the_file_is_no_alarm_and_is_made_up_for(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, edition_id = draft(house, "morning-post", ANN, cooling_minutes="0")
    with monkeypatch.context() as killed:
        killed.setattr(safety, "_make_sure", lambda file, generation: None)
        send_now(house, edition_id)
    assert (generation(house), written(tmp_path)) == (1, (1, False))

    rounds(scheduler(house))
    assert halted(house) is None
    assert written(tmp_path) == (1, True)


def test_a_freeze_that_is_rolled_back_leaves_nothing_to_be_done_afterwards(house: House, tmp_path: Path) -> None:
    _, edition_id = draft(house, "morning-post", ANN)
    crash_at_the_freeze(house, edition_id)
    with house.app.app_context(), transaction():
        pass
    assert written(tmp_path) == (1, False)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"generation": "1", "sure": true}', '{"generation": 1}', "\x00"])
def test_a_damaged_file_halts_and_says_which_and_is_mended_by_accepting(
    house: House, tmp_path: Path, content: str
) -> None:
    _, edition_id = draft(house, "morning-post", ANN)
    (tmp_path / "generation.json").write_text(content, "utf-8")
    house.clock.at = house.clock.at.replace(minute=59)
    rounds(scheduler(house))
    assert halted(house) == (
        f"the file {tmp_path}/generation.json, by which an older copy of the database is known, cannot be read "
        "(its content is damaged)."
    )
    accept(house)
    assert written(tmp_path) == (0, True)
    house.clock.at = house.clock.at.replace(hour=6, minute=1)
    rounds(scheduler(house))
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}, "nothing is lost"


def test_a_file_that_cannot_be_opened_halts_and_says_why(house: House, tmp_path: Path) -> None:
    (tmp_path / "generation.json").mkdir()
    with house.app.app_context():
        assert "cannot be read (Is a directory)" in str(safety.look(house.now))


def test_where_the_file_cannot_be_written_no_edition_begins_and_the_reason_is_on_it(
    build_house: BuildHouse, sqlite_url: str, tmp_path: Path
) -> None:
    house = build_house(sqlite_url, generation_file=Path("away/generation.json"))
    _, edition_id = draft(house, "morning-post", ANN)
    house.clock.at = house.clock.at.replace(hour=6, minute=0)
    rounds(scheduler(house))

    assert edition_state(house, edition_id) == "held drafted"
    assert halted(house) is None, "it is no copy"
    with house.app.app_context():
        reason = db.session.get_one(Edition, edition_id).held_reason
    assert f"The file {tmp_path}/away/generation.json cannot be written (No such file or directory)" in str(reason)
    assert "generation-file" in open_alert_keys(house)

    (tmp_path / "away").mkdir()
    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    rounds(scheduler_of(house))
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}, "nothing is lost"
    assert "generation-file" not in open_alert_keys(house)


def test_a_machine_whose_file_lags_is_brought_up_and_one_without_a_file_makes_its_own(
    house: House, build_house: BuildHouse, sqlite_url: str, tmp_path: Path
) -> None:
    other = build_house(sqlite_url, directory=another_machine(tmp_path, tmp_path / "elsewhere"))
    rounds(scheduler(other))
    assert written(tmp_path / "elsewhere") == (0, True)
    _, edition_id = draft(house, "morning-post", ANN, cooling_minutes="0")
    send_now(house, edition_id)
    assert (written(tmp_path), written(tmp_path / "elsewhere")) == ((1, True), (0, True))

    rounds(scheduler(other))

    assert halted(other) is None
    assert written(tmp_path / "elsewhere") == (1, True)


def test_what_another_process_has_counted_meanwhile_is_not_counted_back(house: House, tmp_path: Path) -> None:
    file = tmp_path / "generation.json"
    with house.app.app_context():
        safety._write(file, safety.Noted(3, sure=False))
        safety._make_sure(file, 2)
    assert written(tmp_path) == (3, False)


# While everything is halted


def test_sign_ups_are_taken_while_everything_is_halted_and_answered_afterwards(house: House) -> None:
    found(house)
    with house.app.app_context(), transaction():
        safety.halt("somebody pulled the plug.", house.now)
    assert house.browser.post("/subscribe", data={"email": ANN, "newsletter": "morning-post"}).status_code == 200
    house.work()
    assert house.inbox.mails == []
    accept(house)
    house.work()
    assert [mail.subject for mail in house.inbox.of(ANN)] == ["Please confirm: Morning Post"]


def test_a_shard_that_is_on_its_way_stops_in_the_middle(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB, cooling_minutes="0")
    send_now(house, edition_id)
    with house.app.app_context():
        shard = shards.lease(house.now)
        assert shard is not None
        with transaction():
            safety.halt("somebody pulled the plug.", house.now)
        assert [start(row, house.now) for row in shard.rows] == [None, None]
        assert shards.lease(house.now) is None
    assert ledger_of(house, edition_id) == {"pending": 2}


def test_a_welcome_copy_that_waited_is_uncertain_after_a_restore(house: House) -> None:
    _, edition_id = sending(house, ANN, cooling_minutes="0")
    send_now(house, edition_id)
    paper = Paper(house, 1, "morning-post", 1)
    house.work()
    paper.readers(BOB, welcomed_at=None)
    with house.app.app_context():
        assert welcoming.welcome_due(house.now) == 1
        with transaction():
            safety.halt("somebody pulled the plug.", house.now)
    accepted = accept(house)
    house.work()
    assert accepted.uncertain == 1
    assert delivery(house, BOB).state == "uncertain"
    assert house.inbox.of(BOB) == []


def test_the_first_reason_stays_and_is_raised_once(house: House) -> None:
    with house.app.app_context():
        for reason in ("the first.", "the second."):
            with transaction():
                safety.halt(reason, house.now)
    assert halted(house) == "the first."
    assert open_alert_keys(house) == ["halted"]


def test_staff_see_on_every_page_that_everything_is_halted(house: House) -> None:
    browser = signed_in(house)
    assert "accept-restore" not in browser.get("/admin/sources").text
    with house.app.app_context(), transaction():
        safety.halt("somebody pulled the plug.", house.now)
    for path in ("/admin/", "/admin/sources", "/admin/editions"):
        assert "Nothing is sent, and nothing is lost: somebody pulled the plug." in browser.get(path).text, path
    assert "pulled the plug" not in house.browser.get("/").text, "readers need not know"


def test_nothing_is_changed_where_nothing_is_wrong(house: House) -> None:
    _, edition_id = sending(house, ANN, cooling_minutes="0")
    send_now(house, edition_id)
    with house.app.app_context():
        assert restoring.accept(house.now, COMMAND) is None
    assert edition_state(house, edition_id) == "sending"


def test_a_database_without_an_installation_is_left_alone(house: House) -> None:
    with house.app.app_context():
        with transaction() as session:
            session.execute(sa.delete(Installation))
        with transaction():
            safety.froze(house.now)
            safety.halt("somebody pulled the plug.", house.now)
        assert safety.look(house.now) is None
        assert installation.fingerprint() is None
