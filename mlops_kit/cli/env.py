"""``mlops-kit env``: what exists where, how it differs, and whether the files are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.config import compare, resolved


@click.group()
def command() -> None:
    """List, show, compare and check the environment files."""


@command.command("list")
@options.as_json
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the environments in stage order."""
    project = Session(ctx.find_root().obj).project
    if as_json:
        render.as_json([stage.model_dump(mode="json") for stage in project.stages])
        return
    render.table(
        ["ENVIRONMENT", "ACCOUNT", "REGION", "PROMOTES FROM", "PROTECTED", "MODELS"],
        [
            (
                stage.name,
                stage.account,
                stage.region,
                stage.promotes_from or "-",
                "yes" if stage.protect else "no",
                ", ".join(stage.models) or "-",
            )
            for stage in project.stages
        ],
    )


@command.command()
@click.argument("environment")
@options.as_json
@click.pass_context
def show(ctx: click.Context, environment: str, as_json: bool) -> None:
    """Print an environment and its models as YAML, with every default and override resolved.

    Values that no file gives are marked with "# default".
    """
    project = Session(ctx.find_root().obj).project
    shown = resolved.resolve(project, project.environment(environment))
    if not as_json:
        click.echo(resolved.as_yaml(shown), nl=False)
        return
    render.as_json(
        {
            "environment": shown.environment,
            "models": shown.models,
            "defaults": {
                "environment": [setting.dotted for setting in resolved.settings(shown.environment) if setting.default],
                "models": {
                    model.name: [setting.dotted for setting in resolved.settings(model) if setting.default]
                    for model in shown.models
                },
            },
        }
    )


@command.command()
@click.argument("a")
@click.argument("b")
@options.as_json
@click.pass_context
def diff(ctx: click.Context, a: str, b: str, as_json: bool) -> None:
    """Show what differs between the environments A and B, defaults included.

    Differences in what protects data and releases are marked with "!" and the reason to look at them. The exit code is
    0 whether or not anything differs.
    """
    project = Session(ctx.find_root().obj).project
    found = compare.compare(*(resolved.resolve(project, project.environment(name)) for name in (a, b)))
    if as_json:
        render.as_json({"different": found.different, **asdict(found)})
        return
    _section("different by nature", found, found.by_nature)
    _section("settings", found, found.settings)
    for model in found.models:
        _section(f"model {model.name}", found, model.differences)
    for environment, names in ((a, found.only_in_a), (b, found.only_in_b)):
        for name in names:
            click.echo(f"model {name}: only in {environment}\n")
    marked = [*found.settings, *(difference for model in found.models for difference in model.differences)]
    if not found.different:
        click.echo("no differences" + (" other than those by nature" if found.by_nature else ""))
    elif count := sum(difference.safety is not None for difference in marked):
        click.echo(f"! {count} of {len(marked)} differences protect data or releases: review these first")


def _section(title: str, found: compare.Comparison, differences: Sequence[compare.Difference]) -> None:
    if not differences:
        return
    click.echo(f"{title}:")
    render.table(
        ["", "SETTING", found.a, found.b, ""],
        [
            ("!" if each.safety else "", each.path, _cell(each.a), _cell(each.b), each.safety or "")
            for each in differences
        ],
    )
    click.echo()


def _cell(value: object) -> str:
    return "-" if value is None else resolved.flow(value)


@command.command()
@click.pass_context
def validate(ctx: click.Context) -> None:
    """Check every environment and model file; list every problem with its file and line."""
    project = Session(ctx.find_root().obj).project
    models = {name for _, name in project.models}
    click.echo(f"No problems found (environments: {len(project.stages)}, models: {len(models)}).")
