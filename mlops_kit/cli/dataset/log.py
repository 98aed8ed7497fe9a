"""``mlops-kit dataset log``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, tell
from mlops_kit.datasets import history, refs
from mlops_kit.datasets.history import Graph
from mlops_kit.datasets.records import Commit
from mlops_kit.errors import UsageError


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@click.option("-n", "--number", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@click.option("--graph", is_flag=True, help="Draw all that branches and tags lead to, and how it hangs together.")
@options.first_stage
@options.as_json
@options.cloud
def command(session: Session, dataset: str, number: int, graph: bool, environment: str | None, as_json: bool) -> None:
    """Show the commits that led somewhere, newest first.

    REV is a branch, a tag, a commit id or the start of one, then any of ~N and ^; default: main.
    """
    name, revision = refs.parse(dataset)
    if graph and "@" in dataset:
        raise UsageError(
            "Either one commit's history or --graph, which draws all of them.",
            hint=f"mlops-kit dataset log {name} --graph",
        )
    lake = session.cloud(session.environment(environment)).store("lake")
    if graph:
        drawn = history.graph(lake, name)
        if not drawn.refs:
            refs.resolve(lake, name, revision)  # says what there is instead
        if as_json:
            render.as_json([_json(commit) | {"refs": _names(drawn, commit)} for commit in drawn.commits[:number]])
        else:
            _draw(drawn, number)
        return
    found = history.log(lake, name, refs.resolve(lake, name, revision), number)
    if as_json:
        render.as_json([_json(commit) for commit in found.commits])
        return
    render.table(
        ["COMMIT", "TIME", "FILES", "SIZE", "AUTHOR", "MESSAGE"],
        [
            (c.id[:12], c.time, f"{c.files:,}", render.size(c.size), render.who(c.author), render.first_line(c.message))
            for c in found.commits
        ],
    )
    if found.more:
        tell(f"older commits are not shown: see them with -n {number * 5}")
    if found.absent:
        tell(f"{found.absent[:12]}, the parent of the last one, is not in this environment; see the one before it")


def _draw(drawn: Graph, number: int) -> None:
    commits = {commit.id: commit for commit in drawn.commits[:number]}
    for line in history.draw(list(commits), {one.id: one.parent for one in commits.values()}):
        if line.commit is None:
            click.echo(line.drawing.rstrip())
            continue
        commit = commits[line.commit]
        names = ", ".join(_names(drawn, commit))
        pointed = f" ({names})" if names else ""
        click.echo(f"{line.drawing} {commit.id[:12]}{pointed} {render.first_line(commit.message)}")
        holds = f"{render.some(commit.files, 'file')}, {render.size(commit.size)}"
        click.echo(f"{line.below} {commit.time}, {render.who(commit.author)}, {holds}")
    if len(drawn.commits) > number:
        left = render.some(len(drawn.commits) - number, "older commit")
        tell(f"{left} not shown: -n {len(drawn.commits)}")
    for ref in drawn.dangling:
        tell(f"{ref.full_name} points to {ref.commit[:12]}, which is not in this environment")


def _names(drawn: Graph, commit: Commit) -> list[str]:
    return [ref.name if ref.kind == "branch" else f"tag: {ref.name}" for ref in drawn.refs.get(commit.id, ())]


def _json(commit: Commit) -> dict[str, object]:
    return {
        "commit": commit.id,
        "parent": commit.parent,
        "time": commit.time,
        "author": commit.author,
        "message": commit.message,
        "files": commit.files,
        "size": commit.size,
    }
