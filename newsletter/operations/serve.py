"""The processes of the service: web, scheduler and worker, apart or as one supervised group."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from newsletter import scheduling
from newsletter.app import worker as worker_of
from newsletter.delivery import bounces
from newsletter.foundation import safety
from newsletter.foundation.clock import the_clock
from newsletter.foundation.config import Config, the_config
from newsletter.foundation.errors import CannotStart
from newsletter.foundation.network import port_is_free
from newsletter.foundation.processes import Kind
from newsletter.mail.envelopes import is_for_us
from newsletter.mail.receiving import Listener
from newsletter.operations import assembling
from newsletter.operations.living import Life, living
from newsletter.operations.supervising import Child, Group, follow_parent
from newsletter.stories.fetching import the_fetcher

log = logging.getLogger(__name__)


class PortInUse(CannotStart):
    """Port {port} on {host} is in use. Stop the program that uses it, or choose another port: {how}."""


def set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx2", "httpcore2", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # that a tick takes longer than its pause is no news


def group(file: Path) -> None:
    """Web, scheduler and worker in one group, until SIGTERM. Raises CannotStart."""
    config = _config(assembling.ready(file))
    check_port(config, "port under [web] in the config")
    the_group(config, file).run()


def the_group(config: Config, file: Path) -> Group:
    """The three processes. The web comes first, because what the demo collects is served by itself."""

    def listening() -> bool:
        return not port_is_free(config.web.host, config.web.port)

    children = [_child("web", file, listening), _child("scheduler", file), _child("worker", file)]
    if config.bounces.listen:
        children.append(_child("bounces listen", file))
    return Group(children)


def _child(name: str, file: Path, is_ready: Callable[[], bool] = lambda: True) -> Child:
    return Child(name, [sys.executable, "-m", "newsletter", "--config", str(file), *name.split()], is_ready)


def check_port(config: Config, how: str) -> None:
    """Raises PortInUse."""
    if not port_is_free(config.web.host, config.web.port):
        raise PortInUse(host=config.web.host, port=config.web.port, how=how)


def _config(app: Flask) -> Config:
    with app.app_context():
        return the_config()


def web(file: Path) -> None:
    """The pages, by gunicorn, until SIGTERM. Raises CannotStart."""
    follow_parent()
    config = _config(assembling.ready(file))
    check_port(config, "port under [web] in the config")
    _Gunicorn(config).run()


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__()

    def load_config(self) -> None:
        web = self._config.web
        host = f"[{web.host}]" if ":" in web.host else web.host
        settings: dict[str, Any] = {
            "bind": f"{host}:{web.port}",
            "worker_class": "newsletter.operations.hurrying.HurryingWorker",
            "workers": web.workers,
            "threads": web.threads,
            "graceful_timeout": 30,
            "loglevel": "warning",
            "proc_name": "newsletter web",
            "forwarded_allow_ips": "",  # web/security.py decides whom we believe
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in each worker after the fork, so that no two processes share a connection."""
        app = assembling.assemble(self._config)
        life = Life(app, Kind.WEB).begin()
        self.cfg.set("worker_exit", lambda _server, _worker: life.end())
        return app


def scheduler(file: Path) -> None:
    """The ticks, until SIGTERM. Raises CannotStart."""
    follow_parent()
    app, stop = assembling.ready(file), _stopped_by_signals()
    with app.app_context():
        clock, fetcher = the_clock(), the_fetcher()
    with living(app, Kind.SCHEDULER):
        scheduling.run(app, clock, fetcher, stop)


def worker(file: Path) -> None:
    """The worker, until SIGTERM; what is in flight then is finished. Raises CannotStart."""
    follow_parent()
    app, stop = assembling.ready(file), _stopped_by_signals()
    with app.app_context():
        if (reason := safety.halted()) is not None:
            log.warning("Nothing is sent: %s %s", reason, safety.REMEDY)
    with living(app, Kind.WORKER):
        worker_of(app, stop).run()


def listen(file: Path) -> None:
    """The mail server for what comes back, until SIGTERM. Raises CannotStart."""
    follow_parent()
    app, stop = assembling.ready(file), _stopped_by_signals()
    with app.app_context():
        config = the_config()
    listener = bounce_listener(app, config)
    listener.start()
    log.info("Bounces are taken at %s, port %d.", config.bounces.host, config.bounces.port)
    with living(app, Kind.BOUNCES):
        stop.wait()
    listener.stop()


def bounce_listener(app: Flask, config: Config) -> Listener:
    """It takes mail for the bounce and the unsubscribe address, and says so only when it is stored."""

    def take(octets: bytes, recipient: str) -> None:
        with app.app_context():
            bounces.receive(octets, the_clock().now(), recipient)

    return Listener(config.bounces, lambda address: is_for_us(config, address), take)


def deliver(file: Path, until_idle: bool) -> None:
    """The worker in the foreground, for ever or until nothing is due. Raises CannotStart, RelayUnavailable, Halted."""
    app = assembling.ready(file)
    at_work = worker_of(app, _stopped_by_signals())
    if until_idle:
        at_work.until_idle()
        if at_work.trouble:
            raise at_work.trouble
        with app.app_context():
            safety.ensure_running()
    else:
        with living(app, Kind.WORKER):
            at_work.run()


def _stopped_by_signals() -> Event:
    stop = Event()

    def stopping(*_: object) -> None:
        stop.set()
        log.info("Asked to stop: what is in flight is finished.")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stopping)
    return stop
