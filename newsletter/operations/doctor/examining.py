"""Runs every check beside the others, each with an end, so that none can hide or hold up another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from newsletter.foundation.clock import Clock
from newsletter.foundation.errors import NewsletterError
from newsletter.operations.doctor import (
    clocks,
    databases,
    disks,
    files,
    hosts,
    relays,
    senders,
    services,
    sites,
    warm_ups,
    zones,
)
from newsletter.operations.doctor.findings import Finding, Found, Status
from newsletter.operations.doctor.patient import Patient, admit, discharge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """`sections` are the parts of the config that it stands on: where one is wrong, it cannot say anything."""

    name: str
    look: Callable[[Patient, Found], Iterable[Finding]]
    sections: frozenset[str] = frozenset()


DATABASE = frozenset({"database"})
MAIL = frozenset({"mail"})
BOTH = DATABASE | MAIL

CHECKS = (
    Check("keys", files.keys, frozenset({"secret_key_file", "suppression_key_file"})),
    Check("database", databases.look, DATABASE),
    Check("disk", disks.look, DATABASE | {"pictures"}),
    Check("clock", clocks.look, DATABASE | {"doctor"}),
    Check("time zones", zones.look, DATABASE),
    Check("relay", relays.look, MAIL),
    Check("SPF", senders.spf_records, BOTH),
    Check("DKIM", senders.dkim_records, BOTH),
    Check("DMARC", senders.dmarc_records, BOTH),
    Check("warm-up", warm_ups.look, BOTH),
    Check("PTR", hosts.reverse_names, MAIL),
    Check("MX", hosts.mail_exchangers, BOTH),
    Check("site", sites.look, frozenset({"site_url"})),
    Check("halts", services.halts, DATABASE | {"generation_file"}),
    Check("scheduler", services.scheduler, DATABASE),
    Check("worker", services.worker, DATABASE),
    Check("editions", services.editions, DATABASE),
    Check("alerts", services.alerts, DATABASE),
    Check("sources", services.sources, DATABASE),
    Check("retention", services.retention, DATABASE),
)
"""In the order in which they are told."""


def examine(file: Path, machine: Clock | None = None, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Everything there is to say about the installation of a config file. Never raises what is expected to go wrong."""
    found = Found("config")
    try:
        patient = admit(file, machine)
    except NewsletterError as error:
        return [found.error(str(error)), *(_without_config(check) for check in checks)]
    try:
        said = _run_all(patient, checks)
    finally:
        discharge(patient)
    return [*files.config(patient, found), *said]


def _without_config(check: Check) -> Finding:
    return Found(check.name).unknown("Not looked at, because the config cannot be read.")


@dataclass
class _Run:
    check: Check
    findings: list[Finding] = field(default_factory=list)
    done: bool = False

    def __call__(self, patient: Patient) -> None:
        found = Found(self.check.name)
        try:
            self.findings = list(self.check.look(patient, found))
        except NewsletterError as error:
            self.findings = [found.unknown(f"This could not be looked at: {error}")]
        except sa.exc.SQLAlchemyError:
            self.findings = [found.unknown("This could not be looked at: the database does not answer it.")]
        except Exception as error:  # of a check that fails by its own fault, the others must not suffer
            log.debug("The check “%s” failed.", self.check.name, exc_info=True)
            self.findings = [found.unknown(f"The check itself failed ({type(error).__name__}). Please report it.")]
        self.done = True


def _run_all(patient: Patient, checks: Sequence[Check]) -> list[Finding]:
    """In threads that nobody waits for beyond the end: a name server that says nothing must not keep the command."""
    runs = [_Run(check) for check in checks]
    seconds = patient.config.doctor.timeout_seconds
    ends = time.monotonic() + seconds
    threads = [(run, threading.Thread(target=run, args=(patient,), daemon=True)) for run in runs if _may(run, patient)]
    for _, thread in threads:
        thread.start()
    for run, thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
        if not run.done:
            late = f"It was not known after {seconds:g} seconds."
            run.findings = [
                Finding(run.check.name, Status.UNKNOWN, late, "Try again, or raise timeout_seconds under [doctor].")
            ]
    return [finding for run in runs for finding in run.findings]


def _may(run: _Run, patient: Patient) -> bool:
    if wrong := sorted(run.check.sections & patient.doubtful):
        run.findings = [Found(run.check.name).unknown(f"Not looked at, because “{wrong[0]}” in the config is wrong.")]
    return not wrong
