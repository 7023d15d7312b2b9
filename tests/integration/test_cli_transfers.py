"""What an operator types to bring readers in and to take them along."""

import json
from pathlib import Path

import pytest

from newsletter.subscribers import import_runs
from tests.integration.test_cli import ANN
from tests.support.office import Office

TABLE = "E-Mail;Datum\nann@example.org;2024-05-06\nbob@example.org;\nnobody;\nANN@example.org;\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "old.csv"
    file.write_text(TABLE)
    return file


def test_a_dry_run_says_what_would_be_and_leaves_nothing_behind(newsroom: Office, file: Path) -> None:
    told = newsroom.says("subscribers", "import", str(file), "--confirmed", "--proof", "its log", "--dry-run")
    assert [line.split(maxsplit=1) for line in told.splitlines()] == [
        ["2", "taken"],
        ["1", "stands in the file before"],
        ["1", "no e-mail address"],
        ["4", "rows, of which nobody was taken: it was only tried"],
    ]
    assert "no subscriber" in newsroom.fails("subscribers", "show", ANN)


def test_who_confirmed_elsewhere_reads_and_is_exported_again(newsroom: Office, file: Path) -> None:
    words = ("subscribers", "import", str(file), "--confirmed", "--proof", "its log")
    done = newsroom.data(*words)
    assert done == {
        "import": 1,
        "dry_run": False,
        "mode": "confirmed",
        "rows": 4,
        "counts": {"taken": 2, "doubled": 1, "invalid": 1},
    }
    assert "active" in newsroom.says("subscribers", "show", ANN)
    out = file.with_name("out.jsonl")
    assert newsroom.says("subscribers", "export", str(out)) == f"2 readers are in {out}.\n"
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(row["email"], row["consented_at"][:10], row["consent_source"]) for row in rows] == [
        (ANN, "2024-05-06", "old.csv"),
        ("bob@example.org", "2026-03-03", "old.csv"),
    ]
    assert out.stat().st_mode & 0o777 == 0o600
    assert newsroom.data("subscribers", "export", str(file.with_name("out.csv")), "--state", "paused") == {
        "file": str(file.with_name("out.csv")),
        "rows": 0,
    }
    assert "already" in newsroom.says(*words)


def test_each_is_asked_by_mail_unless_they_confirmed_elsewhere(newsroom: Office, file: Path) -> None:
    assert "2  asked by mail" in newsroom.says("subscribers", "import", str(file))
    assert "no subscriber" in newsroom.fails("subscribers", "show", ANN)
    newsroom.says("deliver", "--until-idle")
    assert len(newsroom.mails()) == 2


def test_what_is_wrong_is_told_in_a_line_and_nothing_is_changed(newsroom: Office, file: Path) -> None:
    assert "Say how it can be proved" in newsroom.fails("subscribers", "import", str(file), "--confirmed")
    assert "no column “Mail”" in newsroom.fails("subscribers", "import", str(file), "--column", "address=Mail")
    assert "no meaning of a column" in newsroom.run("subscribers", "import", str(file), "--column", "x=E-Mail").stderr
    workbook = file.with_name("book.xlsx")
    workbook.write_bytes(b"PK\x03\x04")
    assert "save it as CSV" in newsroom.fails("subscribers", "import", str(workbook))
    assert "ends in .csv or .jsonl" in newsroom.run("subscribers", "export", "out.txt").stderr
    assert "cannot be written" in newsroom.fails("subscribers", "export", str(file / "out.csv"))


def test_a_column_is_said_where_its_name_tells_nothing(newsroom: Office, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_text("a,b\nx@example.org,ann@example.org\n")
    done = newsroom.data("subscribers", "import", str(file), "--column", "address=b", "--confirmed", "--proof", "x")
    assert done["counts"] == {"taken": 1}  # type: ignore[call-overload]
    assert "active" in newsroom.says("subscribers", "show", ANN)


def test_who_is_stopped_in_the_middle_has_taken_some_and_the_same_file_takes_the_rest(
    newsroom: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "old.csv"
    file.write_text("email\n" + "".join(f"r{n}@example.org\n" for n in range(50)))
    monkeypatch.setattr(import_runs, "BATCH_OF_FILE", 10)
    real, batches = import_runs._Work._take, 0

    def interrupted(*given: object, **more: object) -> bool:
        nonlocal batches
        batches += 1
        if batches == 8:  # six of the dry run, and one that took
            raise KeyboardInterrupt
        return real(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(import_runs._Work, "_take", interrupted)
    stopped = newsroom.run("subscribers", "import", str(file), "--confirmed", "--proof", "x")
    assert stopped.exit_code == 1
    assert "Stopped. 10 were taken and stay; the same file again takes the rest." in stopped.stderr
    done = newsroom.data("subscribers", "import", str(file), "--confirmed", "--proof", "x")
    assert done["counts"] == {"taken": 40, "already": 10}  # type: ignore[call-overload]
