"""A folder with a config and somebody at its command line, for tests of what an operator types."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import time_machine
from click.testing import CliRunner, Result

from newsletter import cli
from newsletter.operations import assembling
from tests.conftest import MORNING
from tests.support.remembered import forget_connections

CONFIG = """\
site_url = "https://news.example.org"

[database]
url = "sqlite:///newsletter.db"

[mail]
transport = "folder"

[fetching]
allow_networks = ["127.0.0.1/32"]
timeout_seconds = 5
"""


@dataclass
class Office:
    """A folder with a config, and somebody at its command line. It is a Tuesday, 05:20 UTC."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def once(self, name: str, *commands: tuple[str, ...]) -> Office:
        """Where these commands succeeded. Only the first office of a name types them; those after it are its copies."""
        kept = self.folder.with_name(f"office-{name}")
        if not kept.exists():
            for words in commands:
                self.says(*words)
            shutil.copytree(self.folder, kept)
        shutil.copytree(kept, self.folder, dirs_exist_ok=True)
        return self

    def run(self, *words: str, typed: str | None = None) -> Result:
        command = ["--config", str(self.config), *words]
        try:
            with time_machine.travel(MORNING, tick=False):
                return CliRunner().invoke(cli.main, command, input=typed)
        finally:
            forget_connections()

    def says(self, *words: str, typed: str | None = None) -> str:
        """What a command that succeeds prints."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 0, (words, result.output, result.exception)
        assert result.stderr == "", words
        return result.stdout

    def data(self, *words: str) -> object:
        """What a command prints for a script."""
        return json.loads(self.says(*words, "--json"))

    def fails(self, *words: str) -> str:
        """The one line of a failure that was to be expected."""
        result = self.run(*words)
        assert isinstance(result.exception, SystemExit), (words, result.output, result.exception)
        assert result.exit_code == 1, (words, result.output)
        assert result.stdout == "", words
        line, end, rest = result.stderr.partition("\n")
        assert (end, rest) == ("\n", ""), (words, result.stderr)
        assert line.startswith("newsletter: "), words
        assert len(line) < 400, words
        return line.removeprefix("newsletter: ")

    def mails(self) -> list[str]:
        """The text of each mail that left, in order."""
        files = sorted((self.folder / "mail").glob("*.eml"))
        messages = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
        return [message.get_body(("plain",)).get_content() for message in messages]  # type: ignore[union-attr]

    def press(self, start: str) -> int:
        """Press the link in the latest mail whose path starts so; gives the status of the answer."""
        link = re.search(rf"https://news\.example\.org({start}\S+)", self.mails()[-1])
        assert link, self.mails()[-1]
        with time_machine.travel(MORNING, tick=False):
            return assembling.ready(self.config).test_client().post(link[1]).status_code
