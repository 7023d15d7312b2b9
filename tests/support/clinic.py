"""An installation that the doctor looks at: a config, keys and a database, with a name server, a relay and a site."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from newsletter.foundation import secrets
from newsletter.operations import doctor
from newsletter.operations.doctor import Finding, Status
from tests.support.ports import free_port

PASSWORD = "sesame-open-47"


@dataclass
class Clinic:
    """`sections` are written as the config; each value is a table or a single setting."""

    folder: Path
    sections: dict[str, object] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "config.toml"

    def set(self, section: str, **values: object) -> None:
        table = self.sections.setdefault(section, {})
        assert isinstance(table, dict)
        table.update(values)

    def write(self) -> Path:
        single = [f"{key} = {json.dumps(value)}" for key, value in self.sections.items() if not isinstance(value, dict)]
        tables = [
            line for name, table in self.sections.items() if isinstance(table, dict) for line in _table(name, table)
        ]
        self.file.write_text("\n".join([*single, *tables]) + "\n", "utf-8")
        return self.file

    def keys(self) -> None:
        for name in ("secret.key", "suppression.key"):
            secrets.create(self.folder / name)

    def examine(self) -> list[Finding]:
        return doctor.examine(self.write())

    def says(self, check: str) -> list[Finding]:
        """What is found by one check."""
        found = [finding for finding in self.examine() if finding.check == check]
        assert found, check
        return found

    def one(self, check: str, status: Status) -> Finding:
        """The only finding of a check with that status."""
        found = self.says(check)
        matching = [finding for finding in found if finding.status is status]
        assert len(matching) == 1, found
        return matching[0]


def _table(name: str, table: dict[str, object]) -> list[str]:
    plain = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not _is_tables(value)]
    several = [
        (key, one) for key, value in table.items() if isinstance(value, list) and _is_tables(value) for one in value
    ]
    return [
        f"[{name}]",
        *plain,
        *(line for key, one in several for line in (f"[[{name}.{key}]]", *_table("", one)[1:])),
    ]


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


class _Takes:
    async def handle_RCPT(self, *_: object) -> str:  # noqa: N802 - aiosmtpd names its hooks so
        return "550 The doctor sends no mail"


def _knows(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
    right = getattr(data, "login", b"") == b"news" and getattr(data, "password", b"") == PASSWORD.encode()
    return AuthResult(success=right, handled=False)


@contextmanager
def running_relay(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False
) -> Iterator[int]:
    """A relay on 127.0.0.1; gives its port. It knows one person, “news”."""
    relay = Controller(
        _Takes(),
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=tls,
        tls_context=starttls,
        authenticator=_knows if login else None,
        auth_require_tls=starttls is not None,
        data_size_limit=20_000_000,
    )
    relay.start()
    try:
        yield relay.port
    finally:
        relay.stop()
