"""What is chosen from: looking, marking by hand, and measuring how it is chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from newsletter.cli.root import as_json, in_app, in_newsletter, main, show
from newsletter.delivery import releasing
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import the_clock
from newsletter.newsletters.models import newsletter
from newsletter.operations import measuring
from newsletter.stories import adding, marking
from newsletter.stories.adding import StoryByHand
from newsletter.stories.evaluating import Score
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import Mark, Story, StoryMark, marks_of, search

NUMBER = click.IntRange(1, 2**31 - 1)


@main.group()
def stories() -> None:
    """What is chosen from."""


@stories.command("list")
@click.argument("words", nargs=-1)
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1, 1000))
@in_newsletter
@as_json
@in_app
def stories_list(words: tuple[str, ...], limit: int, slug: str | None, json_: bool) -> None:
    """List a newsletter's latest stories, or those with WORDS in headline or outlet."""
    wanted = newsletter(slug)
    said = marks_of(wanted.id)
    rows = [_row(one, said) for one in search(wanted.id, " ".join(words), limit)]

    def line(row: dict[str, Any]) -> str:
        marks = f"  [{', '.join(row['marks'])}]" if row["marks"] else ""
        return f"{row['id']:>7}  {row['published']:%Y-%m-%d %H:%M}  {row['headline']}  ({row['outlet']}){marks}"

    show(rows, json_, line, "No such story. Collect some: newsletter collect")


def _row(one: Story, said: Sequence[StoryMark]) -> dict[str, Any]:
    marks = {mark.mark.value for mark in said if one.id in (mark.story_id, mark.other_story_id)}
    return {
        "id": one.id,
        "headline": one.title,
        "outlet": one.outlet,
        "url": one.url,
        "published": one.published_at,
        "marks": sorted(marks | ({"withdrawn"} if one.withdrawn_at else set())),
    }


@stories.command("add")
@click.argument("url", required=False, default="")
@click.option("--headline", help="The page's own otherwise; needed without URL.")
@click.option("--summary")
@click.option("--outlet")
@click.option("--section")
@click.option("--picture", "image_url", metavar="URL", help="A picture; the page's own otherwise.")
@click.option("--alt", "image_alt", help="What the picture shows, for those who cannot see it.")
@click.option("--no-pin", is_flag=True, help="Let it compete with the others, instead of pinning it.")
@in_newsletter
@in_app
def stories_add(url: str, headline: str | None, no_pin: bool, slug: str | None, **given: str | None) -> None:
    """Add a story by hand: read from the page at URL, or typed in. It is pinned to the next draft."""
    wanted = newsletter(slug)
    typed = StoryByHand(title=headline or "", url=url, **{name: text or "" for name, text in given.items()})
    written = typed if headline or not url else adding.filled_in(typed, the_fetcher())
    added = adding.add(wanted, written, the_clock().now(), COMMAND, pin=not no_pin)
    there = "" if added.is_new else " It was there already; its words stay as they were."
    click.echo(f"Story {added.story.id}: {added.story.title} ({added.story.outlet}).{there}")


def _marks(name: str, kind: Mark, help_: str, *, two: bool) -> None:
    """A command that says a mark, or unsays it with --undo."""

    def command(ids: int | tuple[int, int], undo: bool, slug: str | None) -> None:
        first, other = ids if isinstance(ids, tuple) else (ids, None)
        verb = marking.unmark if undo else marking.mark
        verb(newsletter(slug), first, kind, the_clock().now(), COMMAND, other)
        click.echo("Unsaid." if undo else f"Marked as {kind}. It counts from the next draft on.")

    wrapped: Callable[..., None] = in_newsletter(in_app(command))
    wrapped = click.option("--undo", is_flag=True, help="Unsay it.")(wrapped)
    wrapped = click.argument("ids", type=NUMBER, nargs=2 if two else 1, metavar="STORY OTHER" if two else "STORY")(
        wrapped
    )
    stories.command(name, help=help_)(wrapped)


_marks("hide", Mark.HIDDEN, "Never choose a story.", two=False)
_marks("pin", Mark.PINNED, "Choose a story whatever its points.", two=False)
_marks("tie", Mark.TOGETHER, "Tell two stories as one event.", two=True)
_marks("part", Mark.APART, "Never tell two stories as one event.", two=True)


@stories.command("withdraw")
@click.argument("story", type=NUMBER)
@click.option("--reason", default="", help="Why, for the audit trail.")
@in_app
def stories_withdraw(story: int, reason: str) -> None:
    """Take a story down everywhere, also from editions that are not sent yet."""
    changed = releasing.withdraw(story, reason, the_clock().now(), COMMAND)
    click.echo(f"Withdrawn. {releasing.said_of(changed)}")


@stories.command("restore")
@click.argument("story", type=NUMBER)
@in_app
def stories_restore(story: int) -> None:
    """Let a story that was withdrawn by mistake be chosen again."""
    marking.restore(story, the_clock().now(), COMMAND)
    click.echo("It can be chosen again from the next draft on.")


@stories.command("evaluate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--threshold", default=0.175, show_default=True, help="How alike stories must be to be told as one.")
@click.option("--topic", help="Measure this topic instead, on rows with y.")
@click.option("--split", help="Only the rows of this split.")
@as_json
def stories_evaluate(file: Path, threshold: float, topic: str | None, split: str | None, json_: bool) -> None:
    """Measure grouping, or a topic, on a JSON Lines file of labelled stories; without labels, print the groups."""
    rows = measuring.read(file, split)
    if topic is not None:
        _print_judged(measuring.judge(rows, topic), json_)
    else:
        _print_grouped(measuring.group(rows, threshold), json_)


def _print_judged(judged: measuring.Judged, json_: bool) -> None:
    if json_:
        click.echo(json.dumps(asdict(judged), ensure_ascii=False))
        return
    for title, is_about, words in judged.wrong:
        click.echo(f"{'missed' if is_about else 'wrongly taken'}: {title}  ({', '.join(words) or 'no word'})")
    click.echo(f"{judged.rows} rows, {judged.positive} about it")
    click.echo(_score("topic", judged.score) + "  (95 %: {:.2f} to {:.2f})".format(*judged.interval))


def _print_grouped(grouped: measuring.Grouped, json_: bool) -> None:
    measures = {"pairwise": grouped.pairwise, "B-cubed": grouped.b_cubed}
    known = {name: score for name, score in measures.items() if score is not None}
    if json_:
        rows = [{"words": one.words, "titles": [s.title for s in members]} for one, members in grouped.groups]
        scores = {name: asdict(score) for name, score in known.items()}
        click.echo(json.dumps({"pools": grouped.pools, **scores, "groups": rows}, ensure_ascii=False))
        return
    for one, members in grouped.groups if not known else ():
        click.echo(f"\n{', '.join(one.words) or 'alone'}")
        for story in members:
            click.echo(f"    {story.title}  ({story.outlet or 'unknown outlet'})")
    for name, score in known.items():
        click.echo(_score(name, score))
    if known:
        click.echo(f"the mean over {grouped.pools} pools")


def _score(name: str, score: Score) -> str:
    return f"{name:<9} precision {score.precision:.3f}  recall {score.recall:.3f}  F1 {score.f1:.3f}"
