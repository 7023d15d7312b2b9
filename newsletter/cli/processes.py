"""The service's processes, and its database."""

from __future__ import annotations

from pathlib import Path

import click

from newsletter.cli.root import in_app, main
from newsletter.delivery import restoring
from newsletter.foundation import config as config_module
from newsletter.foundation import safety
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.foundation.text import in_octets
from newsletter.operations import assembling, backup, serve
from newsletter.operations.demo import running


@main.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--dir", "folder", default="var/demo", show_default=True, type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--fresh", is_flag=True, help="Throw an earlier demo away and start over.")
def demo(port: int, folder: Path, fresh: bool) -> None:
    """The whole product with sample outlets and a mailbox viewer; no SMTP account needed."""
    running.run(folder, port, fresh, click.echo)


@main.command("serve")
@click.pass_obj
def serve_(file: Path) -> None:
    """Web, scheduler and worker in one group, for one machine."""
    serve.group(file)


@main.command()
@click.pass_obj
def web(file: Path) -> None:
    """Only the pages."""
    serve.web(file)


@main.command()
@click.pass_obj
def scheduler(file: Path) -> None:
    """Only the scheduler."""
    serve.scheduler(file)


@main.command()
@click.pass_obj
def worker(file: Path) -> None:
    """Only the worker that sends."""
    serve.worker(file)


@main.command()
@click.option("--until-idle", is_flag=True, help="End when nothing is due.")
@click.pass_obj
def deliver(file: Path, until_idle: bool) -> None:
    """Run the worker in the foreground."""
    serve.deliver(file, until_idle)


@main.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
@click.pass_obj
def db_upgrade(file: Path) -> None:
    """Create the tables, or bring them to this program's version; make the keys where there are none."""
    version = assembling.upgrade(config_module.load(file))
    click.echo(f"The database is at version {version}.")


@db.command("check")
@click.pass_obj
def db_check(file: Path) -> None:
    """Say whether the database is ready for this program, and may send."""
    with assembling.ready(file).app_context():
        if (reason := safety.found_wrong(the_clock().now())) is not None:
            raise safety.Halted(reason=reason)
    click.echo("The database is ready.")


@db.command("backup")
@click.argument("to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@in_app
def db_backup(to: Path) -> None:
    """Copy the database to FILE while the service runs. Keep the config and the two .key files with it."""
    octets = backup.back_up(to, the_clock().now(), COMMAND)
    click.echo(f"{to} holds the database ({in_octets(octets)}). Keep config.toml and the two .key files with it.")


@db.command("accept-restore")
@in_app
def db_accept_restore() -> None:
    """Let this database send, after a restore, a long pause or a wrong clock has halted everything."""
    accepted = restoring.accept(the_clock().now(), COMMAND)
    if accepted is None:
        click.echo("Nothing is halted, and nothing speaks against sending. Nothing was changed.")
        return
    click.echo(f"Found: {accepted.found}")
    for held in accepted.held:
        click.echo(f"Held: {held}.")
    if accepted.uncertain:
        click.echo(f"Welcome copies that may have gone out, and are not sent again: {accepted.uncertain}.")
    click.echo("This database may send again. What is held waits for you.")
