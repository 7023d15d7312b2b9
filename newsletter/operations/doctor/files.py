"""The config, and the files that hold secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from newsletter.foundation import installation, secrets
from newsletter.foundation.config import Config
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import signing
from newsletter.operations.doctor.findings import Finding, Found
from newsletter.operations.doctor.patient import Patient


def config(patient: Patient, found: Found) -> Iterator[Finding]:
    for fault in patient.faults:
        yield found.error(str(fault), "Mend this line; config.example.toml has every setting with a sentence on it.")
    if not patient.faults:
        yield found.ok(f"{patient.file} can be read, and every key in it is known.")
    if _has_password(patient.config):
        yield from _openness(patient.file, "a password stands in it", found)
    if problem := _password_problem(patient.config):
        yield found.error(problem, "Put the password alone into that file, or set password_file under [mail].")


def _has_password(config: Config) -> bool:
    """That of the relay or the mailbox, in the file itself and not in the environment."""
    given = any(one.password is not None for one in config.mail.all_relays)
    relay = given and "NEWSLETTER_MAIL__PASSWORD" not in os.environ
    mailbox = config.bounces.imap_password is not None and "NEWSLETTER_BOUNCES__IMAP_PASSWORD" not in os.environ
    return relay or mailbox


def _password_problem(config: Config) -> str:
    try:
        for relay in config.mail.all_relays:
            if relay.username and not config.relay_password(relay):
                return f"The password for the relay {relay.host} is empty."
    except NewsletterError as error:
        return str(error)
    return ""


def keys(patient: Patient, found: Found) -> Iterator[Finding]:
    """Each exists, can be read, and by nobody else; and the suppression key is the one that the database knows."""
    config = patient.config
    pair = (config.path(config.secret_key_file), config.path(config.suppression_key_file))
    faults = [finding for file in pair for finding in _key(file, found)]
    for key in config.mail.dkim:
        faults += _signing_key(config.path(key.key_file), found)
    for password, whose in ((config.mail.password_file, "relay"), (config.bounces.imap_password_file, "mailbox")):
        if password and config.path(password).exists():
            faults += _openness(config.path(password), f"the {whose}'s password stands in it", found)
    if wrong := sorted({"mail", "bounces"} & patient.doubtful):
        faults.append(found.unknown(f"What [{wrong[0]}] names was not looked at, because it is wrong in the config."))
    if not faults:
        faults += _other_key(patient, pair, found)
    yield from faults or [found.ok("The keys are there, and only we can read them.")]


def _key(file: Path, found: Found) -> Iterator[Finding]:
    try:
        secrets.read(file, file)
    except NewsletterError as error:
        yield found.error(str(error))
    else:
        yield from _openness(file, "it is a secret", found)


def _signing_key(file: Path, found: Found) -> Iterator[Finding]:
    try:
        signing.read(file)
    except NewsletterError as error:
        yield found.error(str(error))
    else:
        yield from _openness(file, "who has it can sign mails in your name", found)


def _openness(file: Path, why: str, found: Found) -> Iterator[Finding]:
    mode = file.stat().st_mode
    remedy = f"Run: chmod 600 {file}"
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield found.error(f"Everybody on this machine can read {file}, and {why}.", remedy)
    elif mode & (stat.S_IRGRP | stat.S_IWGRP):
        yield found.warning(f"The group of {file} can read it, and {why}.", remedy)


def _other_key(patient: Patient, pair: tuple[Path, Path], found: Found) -> Iterator[Finding]:
    try:
        with patient.database():
            installation.verify(secrets.read(*pair), pair[1])
    except (secrets.KeyChanged, secrets.KeyMissing) as error:
        yield found.error(str(error))
    except NewsletterError:
        return  # the database has a check of its own
