"""The command itself, and what its parts share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import Flask

from newsletter import __version__
from newsletter.foundation.errors import NewsletterError
from newsletter.operations import assembling, serve

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON, for scripts.")


class Commands(click.Group):
    """Turns expected failures into one line on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NewsletterError as error:
            fail(str(error))


def fail(line: str) -> NoReturn:
    click.echo(f"newsletter: {line}", err=True)
    sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="newsletter")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="NEWSLETTER_CONFIG",
    default="config.toml",
    show_default=True,
    help="The configuration file.",
)
@click.pass_context
def main(ctx: click.Context, config: Path) -> None:
    """Daily Headlines: collect, compose and send a daily newsletter."""
    serve.set_up_logging()
    ctx.obj = config


def in_app(command: Callable[..., None]) -> Callable[..., None]:
    """Run a command in the app of the config, once the app can work."""

    @click.pass_obj
    def wrapped(file: Path, /, *args: Any, **kwargs: Any) -> None:
        app: Flask = assembling.ready(file)
        with app.app_context():
            command(*args, **kwargs)

    return update_wrapper(wrapped, command)


def show(rows: list[dict[str, Any]], json_: bool, line: Callable[[dict[str, Any]], str], empty: str) -> None:
    if json_:
        click.echo(json.dumps(rows, ensure_ascii=False, default=str))
    for row in rows if not json_ else ():
        click.echo(line(row))
    if not rows and not json_:
        click.echo(empty)


def settings_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """What was typed as KEY=VALUE …"""
    split = [pair.partition("=") for pair in pairs]
    for key, equals, _ in split:
        if not equals:
            raise click.UsageError(f"“{key}” is not of the form KEY=VALUE.")
    return {key.strip(): value for key, _, value in split}


in_newsletter = click.option("--newsletter", "slug", help="Which newsletter; not needed when there is one.")
