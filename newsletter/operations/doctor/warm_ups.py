"""The plan by which a new sending domain begins with few mails."""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.mail.answers import domain_of
from newsletter.operations.doctor.findings import Finding, Found, listed
from newsletter.operations.doctor.patient import Patient
from newsletter.operations.doctor.senders import addresses_of


def look(patient: Patient, found: Found) -> Iterator[Finding]:
    plan = patient.config.mail.warm_up
    if plan is None:
        yield found.ok("No plan limits how many mails go out in a day.")
        return
    today = patient.clock.now().date()
    domains = sorted({domain_of(address) for address in addresses_of(patient)})
    if domains and plan.domain not in domains:
        yield found.warning(
            f"The plan under [mail.warm_up] is for {plan.domain}, but mails come from {listed(domains)}: it limits "
            "nothing.",
            "Write the domain of the newsletter's own address there.",
        )
    elif today > plan.last_day:
        yield found.warning(
            f"The plan for {plan.domain} ended on {plan.last_day}. It limits nothing any more.",
            "Take [mail.warm_up] out of the config; or, if it never began, write the right date as begins.",
        )
    elif today < plan.begins:
        yield found.warning(
            f"The plan for {plan.domain} begins on {plan.begins}. Until then nothing is limited.",
            "Let it begin on the day of the first edition from there.",
        )
    else:
        yield found.ok(
            f"At most {plan.limit(today):,} copies go out from {plan.domain} today, up to {plan.plan[-1]:,} on "
            f"{plan.last_day}, and as many as there are readers afterwards."
        )
