"""``mlops-kit dataset show``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.datasets import refs
from mlops_kit.datasets import show as verb
from mlops_kit.datasets.diff import Summary


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@options.first_stage
@options.as_json
@options.cloud
def command(session: Session, dataset: str, environment: str | None, as_json: bool) -> None:
    """Show one commit: what it holds and what it changed."""
    name, revision = refs.parse(dataset)
    lake = session.cloud(session.environment(environment)).store("lake")
    shown = verb.show(lake, name, refs.resolve(lake, name, revision))
    commit = shown.commit
    if as_json:
        render.as_json(
            {
                "commit": commit.id,
                "header": commit,
                "refs": [ref.full_name for ref in shown.refs],
                "types": shown.types,
                "biggest": shown.biggest,
                "change": shown.change,
            }
        )
        return
    click.echo(f"commit  {commit.id}")
    click.echo(f"parent  {commit.parent or 'none: the first commit'}")
    if shown.refs:
        click.echo(f"refs    {', '.join(ref.full_name for ref in shown.refs)}")
    click.echo(f"author  {commit.author}")
    click.echo(f"time    {commit.time}")
    click.echo(f"holds   {render.some(commit.files, 'file')}, {render.size(commit.size)}")
    if shown.change is not None:
        click.echo(f"change  {summary(shown.change)}")
    click.echo()
    for line in commit.message.splitlines():
        click.echo(f"    {line}".rstrip())
    click.echo()
    types = [(one.extension or "none", f"{one.files:,}", render.size(one.size)) for one in shown.types]
    render.table(["TYPE", "FILES", "SIZE"], types)
    click.echo()
    render.table(["BIGGEST", "SIZE"], [(entry.path, render.size(entry.size)) for entry in shown.biggest])


def summary(change: Summary) -> str:
    """A diff in one line."""
    parts = [
        f"{total.files:,} {what}"
        for total, what in (
            (change.added, "added"),
            (change.removed, "removed"),
            (change.changed_new, "changed"),
            (change.renamed, "renamed"),
        )
        if total.files
    ]
    sign = "-" if change.growth < 0 else "+"
    return f"{', '.join(parts) or 'nothing'}; {change.unchanged:,} unchanged; {sign}{render.size(abs(change.growth))}"
