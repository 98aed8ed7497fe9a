"""``mlops-kit dataset diff``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.dataset.show import summary
from mlops_kit.cli.session import Session, tell
from mlops_kit.datasets import diff as verb
from mlops_kit.datasets import pointers, refs
from mlops_kit.datasets.diff import Diff
from mlops_kit.datasets.table_diff import TableDiff, table_diffs
from mlops_kit.errors import UsageError
from mlops_kit.objects import Store


@click.command()
@click.argument("name")
@click.argument("old")
@click.argument("new", default=refs.DEFAULT_REF)
@click.option("--path", default="", metavar="PATH", help="Only this file, directory, or files that match the pattern.")
@click.option("--stat", is_flag=True, help="Only the numbers.")
@click.option("--rows", is_flag=True, help="Also compare the rows and columns of CSV, Parquet and JSON Lines files.")
@click.option("--key", multiple=True, metavar="COLUMN", help="With --rows: what names a row. May be given repeatedly.")
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    name: str,
    old: str,
    new: str,
    path: str,
    stat: bool,
    rows: bool,
    key: tuple[str, ...],
    environment: str | None,
    as_json: bool,
) -> None:
    """Compare two commits: files, and rows and schema of tables.

    OLD and NEW are revisions; NEW is main if it is left out.
    """
    pointers.check_name(name)
    if key and not rows:
        raise UsageError("--key says what names a row: it needs --rows.")
    lake = session.cloud(session.environment(environment)).store("lake")
    before, after = refs.resolve(lake, name, old), refs.resolve(lake, name, new)
    found = verb.diff(lake, name, before, after, path)
    tables = _tables(lake, name, found, key) if rows else []
    if as_json:
        render.as_json(_json(before, after, found) | ({"tables": tables} if rows else {}))
        return
    if not stat:
        for line in _lines(found):
            click.echo(line)
    for table in tables:
        _show(table)
    (click.echo if stat else tell)(summary(found.summary))  # of --stat the numbers are the result


def _tables(lake: Store, name: str, found: Diff, key: tuple[str, ...]) -> list[TableDiff]:
    with progress.shown() as shown:
        return list(table_diffs(lake, name, found, key=key or None, progress=shown))


def _lines(found: Diff) -> Iterator[str]:
    """One line a file, in the order of the paths; a million of them are not held twice."""
    size = render.size
    lines = merge(
        ((entry.path, f"- {entry.path} ({size(entry.size)})") for entry in found.removed),
        ((entry.path, f"+ {entry.path} ({size(entry.size)})") for entry in found.added),
        ((one.new.path, f"~ {one.new.path} ({size(one.old.size)} -> {size(one.new.size)})") for one in found.changed),
        ((one.new.path, f"> {one.old.path} -> {one.new.path}") for one in found.renamed),
    )
    return (line for _, line in lines)


def _show(table: TableDiff) -> None:
    click.echo(f"\n{table.path}{'' if table.change == 'changed' else f' ({table.change})'}")
    if table.problem is not None:
        click.echo(f"  not compared: {table.problem}")
        return
    found = table.rows
    if found is None:
        return
    if table.change == "changed":
        for column in found.schema.added:
            click.echo(f"  + column {column}")
        for column in found.schema.removed:
            click.echo(f"  - column {column}")
        for column, before, after in found.schema.retyped:
            click.echo(f"  ~ column {column}: {before} -> {after}")
    changed = "" if found.changed is None else f", {found.changed:,} changed"
    click.echo(
        f"  {found.rows_old:,} -> {render.some(found.rows_new, 'row')}: "
        f"{found.added:,} added, {found.removed:,} removed{changed}"
    )
    for column, count in (found.changed_columns or {}).items():
        click.echo(f"    {column} differs in {render.some(count, 'row')}")
    for example in found.examples:
        sign = {"added": "+", "removed": "-", "changed": "~"}[example.kind]
        click.echo(f"    {sign} {_values(example.row)}")
        if example.before is not None:
            click.echo(f"      was {_values(example.before)}")


def _values(row: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name}={'missing' if value is None else value}" for name, value in row.items())


def _json(before: str, after: str, found: Diff) -> dict[str, object]:
    return {
        "old": before,
        "new": after,
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": list(found.changed),
        "renamed": list(found.renamed),
        "summary": found.summary,
    }
