"""Measuring how stories are chosen."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from newsletter.cli.root import as_json, main
from newsletter.operations import measuring
from newsletter.stories.evaluating import Score


@main.group()
def stories() -> None:
    """What is chosen from."""


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
