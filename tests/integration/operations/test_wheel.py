"""What an operator installs: the wheel alone, on a machine without the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from tests.support.ports import free_port

CHECKOUT = Path(__file__).parents[3]
LEFT_OUT = shutil.ignore_patterns(".*", "var", "dist", "build", "__pycache__", "tests", "benchmarks", "docs")
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    shutil.copytree(CHECKOUT, copy, ignore=LEFT_OUT)
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, copy, cwd=copy)
    (built,) = folder.glob("newsletter-*.whl")
    return built


@pytest.fixture(scope="module")
def newsletter(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment that has the dependencies and the wheel, and knows no checkout.

    Our own site-packages are added by a .pth, whose folder's further .pth files, the editable install among them,
    are not read.
    """
    home = tmp_path_factory.mktemp("machine") / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel)
    (packages,) = home.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(ours) + "\n")
    where = _run(python, "-c", "import newsletter; print(newsletter.__file__)", cwd=home)
    assert Path(where.strip()).is_relative_to(packages)
    return home / "bin" / "newsletter"


def _run(*command: object, cwd: Path = Path("/")) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NEWSLETTER"))}
    done = subprocess.run(
        [str(word) for word in command], check=False, cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "newsletter/migrations/env.py",
        "newsletter/static/newsletter.css",
        "newsletter/templates/public/_box.html",
        "newsletter/templates/admin/home.html",
        "newsletter/templates/email/edition/body.mjml",
        "newsletter/config.example.toml",
    ):
        assert name in names
    assert any(re.fullmatch(r"newsletter/migrations/versions/0001\w*\.py", name) for name in names)
    assert any(name.startswith("newsletter/operations/demo/sample/") for name in names)
    for name in names:
        assert name.startswith(("newsletter/", "newsletter-")), name
        assert not name.endswith((".key", ".db", ".pyc", ".eml")), name


def test_a_newsletter_is_set_up_and_served_from_the_wheel_alone(newsletter: Path, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "config.toml"
    config.write_text(
        f'site_url = "http://127.0.0.1:{port}"\n[web]\nport = {port}\nthreads = 2\n[mail]\ntransport = "folder"\n'
    )
    command = (newsletter, "--config", config)
    assert "The database is at version" in _run(*command, "db", "upgrade")
    _run(*command, "newsletters", "add", "post", "--name", "Morning Post", "--from", "post@example.org")
    with _serving(port, tmp_path, *command, "web"):
        page = _get(port, "/")
        assert page[0] == 200
        assert "Sign Up for Morning Post" in page[1]
        assert 'action="/subscribe"' in page[1]
        styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page[1])
        assert len(styles) == 2
        for style in styles:
            status, text = _get(port, style)
            assert status == 200
            assert "{" in text
        assert _get(port, "/admin/sign-in")[0] == 200
        assert _get(port, "/no/such/page")[0] == 404
    assert "ann@example.org gets a mail" in _run(*command, "subscribers", "add", "ann@example.org")
    _run(*command, "deliver", "--until-idle")
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1, "the mails' templates are there too"


@contextmanager
def _serving(port: int, folder: Path, *command: object) -> Iterator[None]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, cwd="/")
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _get(port, "/readyz")[0] != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        status = process.wait(PATIENCE_SECONDS)
    assert status == 0, log.read_text()


def _get(port: int, path: str) -> tuple[int, str]:
    """Status and text; status 0 where nobody answers yet."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer: HTTPResponse = connection.getresponse()
        return answer.status, answer.read().decode("utf-8")
    except OSError:
        return 0, ""
    finally:
        connection.close()
