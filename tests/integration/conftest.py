"""A house whose relay misbehaves, and offices at whose command line somebody sits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from newsletter.foundation import config as config_module
from newsletter.foundation.clock import SystemClock
from newsletter.foundation.config import MailConfig
from newsletter.operations import assembling
from tests.conftest import MORNING, BuildHouse, House
from tests.support.certificates import Authority
from tests.support.misbehaving_relay import MisbehavingRelay, running_relay
from tests.support.office import CONFIG, Office
from tests.support.outlets import Piece, publish
from tests.support.remembered import forget_connections


@pytest.fixture
def relay() -> Iterator[MisbehavingRelay]:
    with running_relay() as relay:
        yield relay


@pytest.fixture
def shaky_house(build_house: BuildHouse, sqlite_url: str, relay: MisbehavingRelay) -> House:
    """A house whose relay misbehaves."""
    return build_house(sqlite_url, mail=MailConfig(host=relay.host, port=relay.port))


@pytest.fixture(scope="session")
def set_up(memory: Path, sqlite_template: Path) -> Path:
    """An office's folder with tables and keys, to be copied: to set one up takes longer than most commands."""
    office = Office(memory / "set-up")
    office.folder.mkdir()
    office.config.write_text(CONFIG, "utf-8")
    shutil.copy(sqlite_template, office.folder / "newsletter.db")
    assembling.upgrade(config_module.load(office.config))
    return office.folder


@pytest.fixture
def bare(memory: Path) -> Office:
    """A config and nothing else."""
    office = Office(memory / "office")
    forget_connections()
    shutil.rmtree(office.folder, ignore_errors=True)
    office.folder.mkdir()
    office.config.write_text(CONFIG, "utf-8")
    return office


@pytest.fixture
def office(bare: Office, set_up: Path) -> Office:
    """Set up, with tables and keys."""
    shutil.copytree(set_up, bare.folder, dirs_exist_ok=True)
    return bare


@pytest.fixture
def newsroom(office: Office) -> Office:
    """Set up, with one newsletter."""
    add = ("newsletters", "add", "post", "--name", "Morning Post", "--from", "post@example.org")
    return office.once("newsroom", add)


@pytest.fixture
def feed(httpserver: HTTPServer) -> str:
    early = MORNING.replace(hour=3)
    pieces = [Piece("Harbor bridge closes", "It is closed until spring.", early), Piece("New school opens", "", early)]
    return publish(httpserver, "/bay.xml", "Bay Herald", pieces)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    trusted = Authority(tmp_path, SystemClock().now())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.file))
    return trusted
