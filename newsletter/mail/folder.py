"""A relay that is a folder: each mail becomes one file. For the demo and for trying things out."""

from __future__ import annotations

import hashlib
import os
from email import message_from_bytes
from pathlib import Path

from newsletter.mail.smtp import Conversation, Mail, Outcome, RelayUnavailable, Reply, Transport


class FolderTransport(Transport):
    """Writes each mail to `folder` as <number>-<hash of its Message-ID>.eml, whole or not at all.

    The same Message-ID is written once, as a mailbox that sorts out doubles would show it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> Conversation:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        return _Hand(self._folder)


class _Hand:
    """Puts one mail after the other into the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offered: Mail | None = None

    async def offer(self, mail: Mail) -> Reply | None:
        self._offered = mail
        return None

    async def finish(self, following: Mail | None = None) -> Reply:
        mail = self._offered
        assert mail is not None
        message_id = str(message_from_bytes(mail.octets)["Message-ID"])
        name = hashlib.sha256(message_id.encode()).hexdigest()[:16]
        if any(self._folder.glob(f"*-{name}.eml")):
            return Reply(Outcome.ACCEPTED, "250 already here")
        envelope = f"Return-Path: <{mail.sender}>\r\nDelivered-To: {mail.recipient}\r\n".encode("ascii")
        try:
            return self._write(name, envelope + mail.octets)
        except OSError as error:
            raise _unavailable(self._folder, error) from error

    async def close(self) -> None:
        """Nothing is open."""

    def _write(self, name: str, octets: bytes) -> Reply:
        part = self._folder / f"{name}.part"
        with part.open("wb") as handle:
            handle.write(octets)
            handle.flush()
            os.fsync(handle.fileno())
        number = sum(1 for _ in self._folder.glob("*.eml")) + 1
        part.rename(self._folder / f"{number:06d}-{name}.eml")
        return Reply(Outcome.ACCEPTED, f"250 kept as {number:06d}-{name}.eml")


def _unavailable(folder: Path, error: OSError) -> RelayUnavailable:
    return RelayUnavailable(host=folder, port="folder", cause=error.strerror or error)
