"""``mlops-kit lineage``: where a version came from, and what was made of data."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.errors import UsageError

if TYPE_CHECKING:
    from mlops_kit.lineage.backward import Reader
    from mlops_kit.lineage.graph import Graph


@click.command()
@click.argument("model", metavar="MODEL[@VERSION]", required=False)
@click.option("--data", metavar="NAME@REVISION", help="Instead of a model: what was made of this data commit.")
@options.in_environment
@click.option("--files", type=click.IntRange(0), default=5, show_default=True, help="How many data files are named.")
@click.option("--mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@click.option("--openlineage", is_flag=True, help="Print OpenLineage run events, as JSON. Not with --data.")
@options.as_json
@options.cloud
def command(
    session: Session,
    model: str | None,
    data: str | None,
    environment: str,
    files: int,
    mermaid: bool,
    openlineage: bool,
    as_json: bool,
) -> None:
    """Show what MODEL serves, or one of its versions, was made of: data, code, image, job, and the stages before.

    What the environment's role may not read is named all the same, as far as it is known, and said to be unread. With
    --json, all data files are named.
    """
    from mlops_kit.lineage.mermaid import flowchart
    from mlops_kit.lineage.openlineage import run_events

    if mermaid + openlineage + as_json > 1:
        raise UsageError("--mermaid, --openlineage and --json are three ways to print: choose one.")
    if (model is None) == (data is None):
        raise UsageError("Name a model, as in churn or churn@3, or a data commit with --data; one of the two.")
    if openlineage and data is not None:
        raise UsageError("--openlineage tells the runs that led to one version: name a model.")
    graph = _read(_reader(session, environment, None if as_json else files), model, data)
    if mermaid:
        click.echo(flowchart(graph), nl=False)
    elif openlineage:
        click.echo(json.dumps(run_events(graph), indent=2, ensure_ascii=False))
    elif as_json:
        render.as_json(graph.to_json())
    else:
        _print(graph)


def _reader(session: Session, environment: str, files: int | None) -> Reader:
    from mlops_kit.lineage.backward import Reader

    stage = session.environment(environment)
    cloud = session.cloud(stage)
    return Reader(
        session.project, stage, cloud.sagemaker, cloud.scheduler, cloud.store("lake"), cloud.store("ledger"), files
    )


def _read(reader: Reader, model: str | None, data: str | None) -> Graph:
    from mlops_kit.cli.versions import numbered
    from mlops_kit.datasets import refs
    from mlops_kit.lineage import backward, forward

    if model is None:
        dataset, revision = refs.parse(data or "")
        return forward.of_data(reader, dataset, refs.resolve(reader.lake, dataset, revision))
    if "@" not in model:
        return backward.of_serving(reader, reader.project.model(model, reader.environment))
    name, number = numbered(model)
    return backward.of_version(reader, reader.project.model(name, reader.environment), number)


def _print(graph: Graph) -> None:
    from rich.console import Console

    from mlops_kit.lineage.tree import tree

    console = Console(width=None if sys.stdout.isatty() else 240, soft_wrap=True)
    with console.capture() as capture:
        console.print(tree(graph))
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
