"""Who left, bounced or complained elsewhere is not mailed here; nobody is lost on the way."""

from __future__ import annotations

import gc
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter.foundation.audit import COMMAND
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import transfer
from newsletter.subscribers.transfer import Fault, FileUnreadable, Imported
from tests.conftest import House
from tests.integration.subscribers import ANN, asked, became_reader, everything, put_on_the_list, suppressed_for
from tests.support import newsroom as desk
from tests.support.office import Office

LEFT, BOUNCED = SuppressionReason.LEFT, SuppressionReason.HARD_BOUNCE
COMPLAINED, BY_HAND = SuppressionReason.COMPLAINT, SuppressionReason.BY_HAND


def bring(house: House, file: Path, **options: object) -> tuple[Imported, list[Fault]]:
    faults: list[Fault] = []
    with house.app.app_context():
        done = transfer.import_suppressions(
            file,
            house.now,
            house.keys,
            COMMAND,
            report=faults.append,
            **options,  # type: ignore[arg-type]
        )
    return done, faults


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "suppressions.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_each_row_is_suppressed_for_its_reason(either_house: House, tmp_path: Path) -> None:
    house = either_house
    file = written(
        tmp_path,
        "email,reason,date\n"
        "Ann@Example.org,unsubscribed,2025-01-02\n"
        '"bob@example.org",Hard Bounce,\n'
        "cleo@example.org,SPAM_COMPLAINT,2025-01-02T03:04:05Z\n"
        "dora@example.org,do-not-mail,nobody knows\n"
        "emil@straße.example,cleaned\n",
    )
    done, faults = bring(house, file)
    assert faults == []
    assert (done.rows, {k: v for k, v in done.added.items() if v}) == (
        5,
        {LEFT: 1, BOUNCED: 2, COMPLAINED: 1, BY_HAND: 1},
    )
    wanted = {ANN: LEFT, "bob@example.org": BOUNCED, "cleo@example.org": COMPLAINED, "dora@example.org": BY_HAND}
    for address, reason in (wanted | {"emil@straße.example": BOUNCED}).items():
        assert suppressed_for(house, address) == {reason}
    rows = everything(house)
    assert "bob@" not in repr(rows), "only hashes are kept"
    assert "suppressions.import" in repr(rows["audit_records"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("email,reason\nann@example.org,unsubscribed\n", LEFT),
        ("Email Address;Status\r\nann@example.org;blocklisted\r\n", LEFT),
        ("e-mail\treason\nann@example.org\tbounced\n", BOUNCED),
        ("\ufeffemail,type\nann@example.org,complaint\n", COMPLAINED),
        ("Email Address,First Name,UNSUB_TIME,UNSUB_REASON\nann@example.org,Ann,2025-01-01 10:00:00,NORMAL\n", LEFT),
        ("Email Address,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE\nann@example.org,2025-01-01 10:00:00,News\n", BOUNCED),
        ("id,email,name,subscribed_to_emails\n1,ann@example.org,Ann,false\n", LEFT),
        ("email,confirmed,blacklisted\nann@example.org,1,1\n", LEFT),
        ("ann@example.org,unsubscribed\n", LEFT),
        ('\n\nemail,reason\n"ann@example.org","opted_out"\n', LEFT),
        ("email,reason\n  ann@example.org  ,  Unsubscribed  \n", LEFT),
    ],
)
def test_files_as_other_systems_write_them(house: House, tmp_path: Path, text: str, reason: SuppressionReason) -> None:
    done, faults = bring(house, written(tmp_path, text.lstrip("\n")))
    assert (done.rows, faults) == (1, [])
    assert suppressed_for(house) == {reason}


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "cp1252", "utf-8"])
def test_files_in_other_character_sets(house: House, tmp_path: Path, charset: str) -> None:
    text = "email;reason;name\nann@example.org;unsubscribed;Jürgen\njürgen@example.org;unsubscribed;x\n"
    done, faults = bring(house, written(tmp_path, text.encode(charset)))
    assert suppressed_for(house) == {LEFT}
    assert [fault.line for fault in faults] == [3], "what is no address is told"
    assert "jürgen@example.org" in faults[0].problem
    assert done.faults == 1


def test_who_may_be_mailed_is_not_suppressed(house: House, tmp_path: Path) -> None:
    done, _ = bring(house, written(tmp_path, "email,status\nann@example.org,active\nbob@example.org,soft bounce\n"))
    assert done.harmless == 2
    assert everything(house)["suppressions"] == []


def test_a_bad_row_is_told_with_its_line_and_keeps_no_other_out(house: House, tmp_path: Path) -> None:
    text = (
        "email,reason\nno address,unsubscribed\n\nann@example.org,unsubscribed\nbob@example.org,because\n"
        'cleo@example.org\n"eve@example\n.org",unsubscribed\nbob@example.org,bounced\n'
    )
    done, faults = bring(house, written(tmp_path, text))
    assert [fault.line for fault in faults] == [2, 5, 6, 7]
    assert "“because” is not known" in faults[1].problem
    assert "no reason is given" in faults[2].problem
    assert (done.rows, done.faults) == (6, 4)
    assert (suppressed_for(house), suppressed_for(house, "bob@example.org")) == ({LEFT}, {BOUNCED})


def test_a_quotation_mark_that_never_closes_is_told(house: House, tmp_path: Path) -> None:
    lines = "".join(f"r{n}@example.org,unsubscribed\n" for n in range(1000))
    done, faults = bring(house, written(tmp_path, f'email,reason\nann@example.org,unsubscribed\n"{lines}'))
    assert suppressed_for(house) == {LEFT}
    assert faults[0].line == 3
    assert done.faults >= 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "nothing in it"),
        (b"name,reason\nAnn,left\n", "called email"),
        (b"email,name\nann@example.org,Ann\n", "--reason"),
        (b"PK\x03\x04\0\0\0\0", "save it as CSV"),
        (b"a\0\0\0\0\0\1b", "no text"),
    ],
)
def test_a_file_that_cannot_be_meant_changes_nothing(house: House, tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(FileUnreadable, match=told):
        bring(house, written(tmp_path, content))
    assert everything(house)["suppressions"] == []


def test_a_reason_may_be_said_for_the_whole_file(house: House, tmp_path: Path) -> None:
    bring(house, written(tmp_path, "email\nann@example.org\n"), otherwise=LEFT)
    assert suppressed_for(house) == {LEFT}


def test_the_same_file_again_changes_nothing_more(either_house: House, tmp_path: Path) -> None:
    house = either_house
    rows = "".join(f"r{n}@example.org,unsubscribed\n" for n in range(2500))
    file = written(tmp_path, f"email,reason\n{rows}R7@example.org,unsubscribed\n")
    first, _ = bring(house, file)
    assert (first.added[LEFT], first.known) == (2500, 1)
    before = everything(house)["suppressions"]
    again, _ = bring(house, file)
    assert (again.added[LEFT], again.known) == (0, 2501)
    assert everything(house)["suppressions"] == before


def test_a_dry_run_says_the_same_and_changes_nothing(house: House, tmp_path: Path) -> None:
    file = written(tmp_path, "email,reason\nann@example.org,unsubscribed\nnobody,unsubscribed\n")
    before = everything(house)
    dry, _ = bring(house, file, dry=True)
    assert everything(house) == before
    assert bring(house, file)[0] == dry


def test_who_confirmed_here_since_stays(house: House, tmp_path: Path) -> None:
    desk.found(house)
    became_reader(house)
    house.later(days=1)
    before, since = datetime(2026, 1, 1, tzinfo=UTC), house.now
    done, _ = bring(house, written(tmp_path, f"email,reason,date\n{ANN},unsubscribed,{before.isoformat()}\n"))
    assert (done.later, suppressed_for(house)) == (1, set())
    bring(house, written(tmp_path, f"email,reason,date\n{ANN},unsubscribed,{since.isoformat()}\n"))
    assert suppressed_for(house) == {LEFT}


def test_a_complaint_stands_whenever_it_was(house: House, tmp_path: Path) -> None:
    desk.found(house)
    became_reader(house)
    bring(house, written(tmp_path, f"email,reason,date\n{ANN},complaint,2020-01-01\n"))
    assert suppressed_for(house) == {COMPLAINED}


def test_an_import_lifts_nothing(house: House, tmp_path: Path) -> None:
    put_on_the_list(house, COMPLAINED)
    bring(house, written(tmp_path, "email,reason\nann@example.org,active\n"))
    bring(house, written(tmp_path, "email,reason\nann@example.org,unsubscribed\n"))
    assert suppressed_for(house) == {COMPLAINED, LEFT}


def test_who_left_elsewhere_comes_back_by_their_own_word_alone(house: House, tmp_path: Path) -> None:
    desk.found(house)
    bring(house, written(tmp_path, f"email,reason\n{ANN},unsubscribed\n"))
    assert house.browser.post(asked(house)).status_code == 200
    assert suppressed_for(house) == set()


def test_memory_does_not_grow_with_the_file(house: House, tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        file = written(tmp_path, "email,reason\n" + "".join(f"r{n}@example.org,bounced\n" for n in range(rows)))
        tracemalloc.start()
        bring(house, file, dry=True, progress=lambda rows: gc.collect())
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1_000)
    assert peak(12_000) < 1.5 * peak(3_000)


def test_the_command_says_what_it_did_and_what_it_could_not_take(newsroom: Office, tmp_path: Path) -> None:
    file = written(tmp_path, "email,reason\nann@example.org,unsubscribed\nnobody,unsubscribed\n")
    dry = newsroom.run("subscribers", "import", "--suppressions", str(file), "--dry-run")
    assert "Would be suppressed: 1 left." in dry.output
    told = newsroom.run("subscribers", "import", "--suppressions", str(file))
    assert told.exit_code == 0
    assert "Suppressed: 1 left." in told.output
    assert "line 3: " in told.stderr
    again = json.loads(newsroom.run("subscribers", "import", "--suppressions", str(file), "--json").stdout)
    assert (again["known"], again["faults"], again["added"]["left"]) == (1, 1, 0)
