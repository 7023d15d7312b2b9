"""Sign-ups through the real web process, from many loopback addresses; and whether its answers tell who is known."""

from __future__ import annotations

import http.client
import random
import socket  # noqa: TID251 - a visitor that costs nearly nothing, so that what is measured is ours
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import sqlalchemy as sa

from benchmarks import databases
from benchmarks.apart import apart, cpu_of_group
from benchmarks.figures import Figures
from benchmarks.readers import fill
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.config import WebConfig, load
from newsletter.foundation.database import db
from newsletter.newsletters import settings
from newsletter.newsletters.models import newsletter
from newsletter.newsletters.settings import NewNewsletter
from newsletter.operations import assembling
from tests.support.ports import free_port

CLIENTS = 4
ASKED_BY_ONE = 10
"""Sign-ups from one address, fewer than the cap of an hour."""

NOTE = (
    "`newsletter web` as it is without settings of one's own: {processes} processes of {threads} threads each; "
    "{clients} visitors ask at a time, from loopback addresses of their own, and every row is counted in the database "
    "afterwards. `web_cpu_ms` is what a sign-up takes of the web's processes, without the database's server; `auc` is "
    "how well the time of an answer tells a reader's address from an unknown one, over {pairs} pairs in turns: at 0.5 "
    "not at all."
)
PRESS = """\
POST /subscribe HTTP/1.1
Host: 127.0.0.1:{port}
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Accept-Language: en-GB,en;q=0.8
Content-Type: application/x-www-form-urlencoded
Content-Length: {length}
Connection: close

{body}"""
CONFIG = """\
site_url = "http://127.0.0.1:{port}"
[database]
url = "{url}"
[web]
port = {port}
[mail]
transport = "folder"
[sign_up]
storm_requests = 1000000
"""


def measure(sign_ups: int, pairs: int, rounds: int, readers: int = 0) -> Figures:
    usual = WebConfig()
    note = NOTE.format(processes=usual.workers, threads=usual.threads, clients=CLIENTS, pairs=pairs)
    figures = Figures(notes=[note])
    for name, url in databases.each():
        with url as address, _web(address, max(readers, pairs)) as (port, web):
            for number in range(rounds):
                before = cpu_of_group(web)
                seconds, _ = apart(_ask_all, port, number, sign_ups)
                figures.add(f"{name}_sign_ups_per_s", sign_ups / seconds)
                figures.add(f"{name}_web_cpu_ms", (cpu_of_group(web) - before) / sign_ups * 1000)
                assert _requests(address) == (number + 1) * sign_ups, "an answer came before its row was safe"
            for number in range(rounds):
                figures.add(f"{name}_auc", apart(_tell_apart, port, rounds + number, pairs)[0])
    return figures


@contextmanager
def _web(url: str, readers: int) -> Iterator[tuple[int, int]]:
    """The port that it listens at, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        port, file = free_port(), Path(folder) / "config.toml"
        file.write_text(CONFIG.format(port=port, url=url), "utf-8")
        _set_up(file, readers)
        web = subprocess.Popen([sys.executable, "-m", "newsletter", "--config", str(file), "web"])
        try:
            _wait_for(port)
            yield port, web.pid
        finally:
            web.terminate()
            web.wait()


def _set_up(file: Path, readers: int) -> None:
    config = load(file)
    assembling.upgrade(config)
    app = assembling.assemble(config)
    with app.app_context():
        now = the_clock().now()
        settings.add(NewNewsletter("bench", "Daily Headlines", "news@example.org"), now, COMMAND)
        fill(newsletter(None), readers, now)
        db.engine.dispose()


def _wait_for(port: int) -> None:
    for _ in range(300):
        with suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the web process did not come up")


def _ask_all(port: int, number: int, sign_ups: int) -> float:
    """Seconds until so many sign-ups were answered."""
    asked = [(_from(number, n // ASKED_BY_ONE), f"new{number}.{n}@example.org") for n in range(sign_ups)]
    shares = [asked[start::CLIENTS] for start in range(CLIENTS)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as visitors:
        for done in [visitors.submit(_ask_each, port, share) for share in shares]:
            done.result()
    return time.perf_counter() - begun


def _from(number: int, visitor: int) -> str:
    """A loopback address of one visitor in one round."""
    return f"127.{1 + number}.{visitor // 250}.{1 + visitor % 250}"


def _ask_each(port: int, asked: Sequence[tuple[str, str]]) -> None:
    for ip, address in asked:
        _seconds_of(port, ip, address)


def _seconds_of(port: int, ip: str, address: str) -> float:
    """How long one sign-up takes, from the press to the last octet of the answer."""
    body = urlencode({"email": address, "newsletter": "bench"})
    press = PRESS.format(port=port, length=len(body), body=body).replace("\n", "\r\n").encode()
    with socket.create_connection(("127.0.0.1", port), 60, source_address=(ip, 0)) as visitor:
        begun = time.perf_counter()
        visitor.sendall(press)
        answer = b"".join(iter(lambda: visitor.recv(65536), b""))
        seconds = time.perf_counter() - begun
    if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"</html>")):
        raise RuntimeError(f"a sign-up was answered with {answer[:100]!r}")
    return seconds


def _requests(url: str) -> int:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(sa.text("SELECT count(*) FROM sign_up_requests"))
    engine.dispose()
    return int(found or 0)


def _tell_apart(port: int, number: int, pairs: int) -> float:
    """The chance that a reader's address is answered later than an unknown one; ties count half (Mann-Whitney)."""
    chance = random.Random(number)
    known, unknown = [], []
    for n in range(pairs):
        pair = [(known, f"reader{n}@example.org"), (unknown, f"nobody{n}@example.org")]
        chance.shuffle(pair)
        for place, (times, address) in enumerate(pair):
            times.append(_seconds_of(port, _from(number, 2 * n + place), address))
    later = sum((one > other) + (one == other) / 2 for one in known for other in unknown)
    return later / pairs**2
