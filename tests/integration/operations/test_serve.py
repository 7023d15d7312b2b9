"""The service as processes: up together, mended when one is killed, gone together."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Timer
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer

from newsletter.foundation import config as config_module
from newsletter.foundation import database
from newsletter.foundation import processes as processes_alive
from newsletter.foundation.network import port_is_free
from newsletter.foundation.processes import Process
from newsletter.operations import assembling, supervising
from newsletter.operations.supervising import Child, ChildFails, Group
from tests.support.hours import far_from_now
from tests.support.office import Office
from tests.support.ports import free_port

PATIENCE_SECONDS = 120
CHILDREN = ("web", "scheduler", "worker")

CONFIG = """\
site_url = "http://127.0.0.1:{port}"

[web]
port = {port}
threads = 2

[mail]
transport = "folder"
"""


def wait_until(happens: Callable[[], object], what: Callable[[], str] = lambda: "") -> None:
    """Look again and again at what other processes do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def processes() -> dict[int, int]:
    """Every living process with its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = stat.read_text("utf-8", "replace").partition(" ")
        except OSError:
            continue  # it has just ended
        state, parent = rest.rpartition(")")[2].split()[:2]
        if state != "Z":
            found[int(pid)] = int(parent)
    return found


def below(pid: int) -> set[int]:
    """The process's children, their children, and so on."""
    parents = processes()
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


@dataclass
class Service:
    """A running `newsletter serve`."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    @property
    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log
        return self.ask("GET", "/readyz")[0] == 200

    def ask(self, method: str, path: str, **fields: str) -> tuple[int, str]:
        """Status and text of an answer; status 0 where nobody answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, urlencode(fields), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8")
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()

    def pid_of(self, child: str) -> int:
        """The process that the child runs as now."""
        return int(re.findall(rf"The {child} runs as process (\d+)\.", self.log)[-1])


@pytest.fixture
def office(tmp_path: Path, set_up: Path) -> Office:
    """Set up, with one newsletter, on a free port."""
    office = Office(shutil.copytree(set_up, tmp_path / "office"))
    office.config.write_text(CONFIG.format(port=free_port()), "utf-8")
    sender = ("--from", "post@example.org", "--time", f"{far_from_now():%H:%M}")
    office.says("newsletters", "add", "post", "--name", "Morning Post", *sender)
    return office


@contextmanager
def serving(office: Office) -> Iterator[Service]:
    port = config_module.load(office.config).web.port
    command = [sys.executable, "-m", "newsletter", "--config", str(office.config), "serve"]
    with (office.folder / "log").open("wb") as log:
        service = Service(subprocess.Popen(command, stdout=log, stderr=log), office.folder, port)
    seen: set[int] = set()
    try:
        wait_until(lambda: service.is_ready, lambda: service.log)
        wait_until(lambda: all(f"The {child} runs" in service.log for child in CHILDREN), lambda: service.log)
        seen = below(service.process.pid)
        yield service
    finally:
        for pid in seen | below(service.process.pid) | {service.process.pid}:
            if pid in processes():
                os.kill(pid, signal.SIGKILL)
        service.process.wait()


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")


@pytest.mark.slow
@needs_proc
def test_the_service_comes_up_mends_itself_and_ends_as_one(office: Office) -> None:
    with serving(office) as service:
        killed = {child: service.pid_of(child) for child in CHILDREN}
        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: all(service.pid_of(child) != killed[child] for child in CHILDREN), lambda: service.log)
        wait_until(lambda: service.is_ready, lambda: service.log)

        assert "Sign Up for Morning Post" in service.ask("GET", "/")[1]
        assert service.ask("POST", "/subscribe", email="ann@example.org", newsletter="post")[0] == 200
        wait_until(lambda: any((service.folder / "mail").glob("*.eml")), lambda: service.log)

        family = below(service.process.pid)
        assert {service.pid_of(child) for child in CHILDREN} < family, "gunicorn has a child of its own"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE_SECONDS) == 0, service.log
        assert not family & set(processes()), "nobody is left behind"
        assert port_is_free("127.0.0.1", service.port)
        assert "Traceback" not in service.log


def signs_of_life(office: Office) -> dict[int, str]:
    """What the database knows to live, by the process's number."""
    app = assembling.ready(office.config)
    with app.app_context():
        found = {one.pid: one.kind for one in database.db.session.scalars(sa.select(Process))}
        database.db.engine.dispose()
    return found


@pytest.mark.slow
@needs_proc
def test_every_process_gives_signs_of_life_and_who_is_killed_can_take_none_back(office: Office) -> None:
    with serving(office) as service:
        wait_until(lambda: set(signs_of_life(office).values()) == set(CHILDREN), lambda: service.log)
        killed = service.pid_of("worker")
        assert signs_of_life(office)[killed] == "worker"
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: service.pid_of("worker") in signs_of_life(office).keys() - {killed}, lambda: service.log)
        assert killed in signs_of_life(office), "its row grows old, and pages say so"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE_SECONDS) == 0, service.log
        assert signs_of_life(office) == {killed: "worker"}, "who ends in order says so"
        app = assembling.ready(office.config)
        with app.app_context():
            (lost,) = database.db.session.scalars(sa.select(Process)).all()
            assert not lost.is_silent(lost.seen_at + processes_alive.SILENT)
            assert lost.is_silent(lost.seen_at + processes_alive.SILENT + timedelta(seconds=1))


@pytest.mark.slow
@needs_proc
def test_when_the_first_process_is_killed_the_others_end_by_themselves(office: Office) -> None:
    with serving(office) as service:
        family = below(service.process.pid)
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not family & set(processes()), lambda: service.log)
        assert port_is_free("127.0.0.1", service.port), "so that it can be started again"


def test_a_port_in_use_is_told_in_one_line(office: Office, httpserver: HTTPServer) -> None:
    office.config.write_text(CONFIG.format(port=httpserver.port), "utf-8")
    for command in ("serve", "web"):
        assert office.fails(command).startswith(f"Port {httpserver.port} on 127.0.0.1 is in use.")


def test_a_database_that_is_not_made_is_told_in_one_line(office: Office) -> None:
    for file in office.folder.glob("newsletter.db*"):
        file.unlink()
    assert "Run: newsletter db upgrade" in office.fails("serve")


def test_a_service_whose_database_fell_behind_is_not_ready(office: Office) -> None:
    app = assembling.ready(office.config)
    assert app.test_client().get("/readyz").status_code == 200
    with app.app_context():
        database.db.session.execute(sa.text("DELETE FROM alembic_version"))
        database.db.session.commit()
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready\n")
    assert app.test_client().get("/healthz").status_code == 200


# A group of tiny children


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A group takes over this process's signals; afterwards they are pytest's again. It looks around more often."""
    monkeypatch.setattr(supervising, "POLL_SECONDS", 0.02)
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def child(name: str, script: str, is_ready: Callable[[], bool] = lambda: True) -> Child:
    return Child(name, [sys.executable, "-I", "-S", "-c", script], is_ready)


LIVES = "import time\ntime.sleep(60)"
DIES = "raise SystemExit(3)"
DEAF = (
    "import signal, time, pathlib\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\npathlib.Path({!r}).touch()\n" + LIVES
)
NOTES = "open({!r}, 'a').write('x')\n"


def ended(one: Child) -> bool:
    return one.process is not None and one.process.poll() is not None


@pytest.mark.usefixtures("handlers")
def test_a_child_that_always_dies_ends_the_group_and_the_others() -> None:
    well, ill = child("well", LIVES), child("ill", DIES)
    with pytest.raises(ChildFails) as caught:
        Group([well, ill]).run()
    assert str(caught.value).startswith("The ill ended 3 times in a row right after its start (exit status 3)")
    assert "\n" not in str(caught.value)
    assert ended(well)


@pytest.mark.usefixtures("handlers")
def test_a_child_that_dies_once_is_started_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = (
        f"import os\nfirst = not os.path.exists({str(mark)!r})\n" + NOTES.format(str(mark)) + "if first: os.abort()\n"
    )
    stumbler = child("stumbler", script + LIVES, lambda: mark.exists() and len(mark.read_text()) == 2)
    group = Group([stumbler])
    group.run(when_up=group.stop)
    assert mark.read_text() == "xx"
    assert ended(stumbler)


@pytest.mark.usefixtures("handlers")
def test_a_child_that_dies_at_a_good_age_is_always_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "YOUNG_SECONDS", 0.0)
    mark = tmp_path / "mark"
    mark.touch()
    group = Group([child("mortal", NOTES.format(str(mark)), lambda: len(mark.read_text()) >= 5)])
    group.run(when_up=group.stop)
    assert len(mark.read_text()) >= 5


@pytest.mark.usefixtures("handlers")
def test_the_next_child_starts_when_the_one_before_is_ready(tmp_path: Path) -> None:
    ready, saw = tmp_path / "ready", tmp_path / "saw"
    first = child("first", f"import time\ntime.sleep(0.5)\nopen({str(ready)!r}, 'w').close()\n" + LIVES, ready.exists)
    look = f"import os\nopen({str(saw)!r}, 'w').write(str(os.path.exists({str(ready)!r})))\n"
    second = child("second", look + LIVES, lambda: saw.exists() and bool(saw.read_text()))
    group = Group([first, second])
    group.run(when_up=group.stop)
    assert saw.read_text() == "True"


@pytest.mark.usefixtures("handlers")
def test_a_group_that_is_told_to_stop_while_it_starts_says_nothing_of_being_up() -> None:
    called: list[str] = []
    slow, never = child("slow", LIVES, lambda: False), child("never", LIVES)
    group = Group([slow, never])
    timer = Timer(0.3, group.stop)
    timer.start()
    group.run(when_up=lambda: called.append("up"))
    timer.join()
    assert called == []
    assert ended(slow)
    assert never.process is None or ended(never)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_group_in_order(number: signal.Signals) -> None:
    one, two = child("one", LIVES), child("two", LIVES)
    Group([one, two]).run(when_up=lambda: os.kill(os.getpid(), number))
    for each in (one, two):
        assert each.process is not None
        assert each.process.returncode == -signal.SIGTERM, "asked, not killed"


@pytest.mark.usefixtures("handlers")
def test_a_child_that_does_not_listen_is_killed_when_the_grace_is_over(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    deaf, well = child("deaf", DEAF.format(str(mark)), mark.exists), child("well", LIVES)
    group = Group([deaf, well], grace_seconds=0.3)
    group.run(when_up=group.stop)
    assert deaf.process is not None
    assert deaf.process.returncode == -signal.SIGKILL
    assert ended(well)


def test_a_child_whose_parent_is_gone_ends_itself() -> None:
    script = f"from newsletter.operations import supervising\nsupervising.follow_parent()\n{LIVES}"
    strangers = os.environ | {supervising.PARENT: "1", "PYTHONPATH": str(Path(supervising.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], check=False, env=strangers, timeout=120, capture_output=True)
    assert done.returncode == -signal.SIGTERM
