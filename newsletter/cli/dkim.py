"""The keys that sign mails."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import ValidationError

from newsletter.cli.root import main
from newsletter.foundation.config import DkimConfig
from newsletter.mail import signing


@main.group()
def dkim() -> None:
    """The keys that sign mails, so that mailbox providers know whom they come from."""


@dkim.command("generate")
@click.option("--domain", required=True, help="The domain that the newsletter's mails come from.")
@click.option("--selector", default="news", show_default=True, help="The key's name in the DNS; each key has its own.")
@click.option("--ed25519", is_flag=True, help="A short key of the newer kind, beside an RSA one and never alone.")
@click.pass_obj
def dkim_generate(config: Path, domain: str, selector: str, ed25519: bool) -> None:
    """Write a private key beside the config, and say what the DNS and the config need."""
    file = config.parent / f"dkim-{selector}-{domain}.pem"
    try:
        DkimConfig(domain=domain, selector=selector, key_file=file)
    except ValidationError as error:
        raise click.UsageError(f"“{selector}._domainkey.{domain}” is no name for a DNS record.") from error
    private = signing.generate(file, ed25519=ed25519)
    click.echo(f"The private key is in {file}. Back it up with the config, and show it to nobody.\n")
    click.echo(f"1. Put this TXT record into the DNS:\n\n   {selector}._domainkey.{domain}.\n")
    click.echo(f"   {signing.record(private)}\n")
    click.echo("2. When it can be looked up, add this to the config and start the service anew:\n")
    click.echo(f'   [[mail.dkim]]\n   domain = "{domain}"\n   selector = "{selector}"\n   key_file = "{file.name}"')
