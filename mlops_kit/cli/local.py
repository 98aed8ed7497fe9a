"""``mlops-kit local``: the local cloud."""

from __future__ import annotations

import shlex

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, tell
from mlops_kit.errors import UsageError
from mlops_kit.local import lifecycle, state
from mlops_kit.local.state import Layout
from mlops_kit.naming import PERSON_ROLES, PersonRole


@click.group()
def command() -> None:
    """Start, stop and inspect the local cloud."""


@command.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port to listen on, on this machine only. Default: {state.DEFAULT_PORT}.",
)
@options.enforce_iam
@click.option("--no-deploy", is_flag=True, help="Only start it; deploy with `npx cdktf deploy`, see `local env`.")
@click.pass_context
def up(ctx: click.Context, port: int | None, enforce_iam: bool, no_deploy: bool) -> None:
    """Start the local cloud and deploy every environment to it. Running it again applies what has changed."""
    project = Session(ctx.find_root().obj).project
    running = lifecycle.up(project, port, tell, apply=not no_deploy, enforce_iam=enforce_iam)
    click.echo(running.url)


@command.command()
@click.argument("environment")
@click.option("--role", type=click.Choice(PERSON_ROLES), help="Act in this role, instead of as the administrator.")
@click.option("--session", help="Who acts in the role: the session's name, which approvals count by.  [default: local]")
@click.pass_context
def env(ctx: click.Context, environment: str, role: PersonRole | None, session: str | None) -> None:
    """Print shell exports with which any AWS tool, Terraform or cdktf acts in ENVIRONMENT on the local cloud.

    With --role, mlops-kit itself acts in that role, too, for as long as role credentials last: an hour.
    """
    if session is not None and role is None:
        raise UsageError("--session names who acts in a role, and there is none.", hint="Add --role.")
    project = Session(ctx.find_root().obj).project
    stage = project.environment(environment)
    layout = Layout(project.root)
    wanted = lifecycle.tool_environment(layout, state.require(layout), stage)
    if role is not None:
        wanted |= lifecycle.role_environment(stage, role, session or "local", wanted["AWS_ENDPOINT_URL"])
    for name, value in sorted(wanted.items()):
        click.echo(f"export {name}={shlex.quote(value)}")


@command.command()
@click.pass_context
def down(ctx: click.Context) -> None:
    """Stop the local cloud. Everything in it is gone."""
    lifecycle.down(Layout(Session(ctx.find_root().obj).project.root), tell)


@command.command()
@options.as_json
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say whether the local cloud runs, where, and what it serves. Exit code 2 if it does not run."""
    layout = Layout(Session(ctx.find_root().obj).project.root)
    running = state.require(layout)
    report = state.health(running.url) or {}
    if as_json:
        render.as_json({"url": running.url, "applied": running.applied, "log": layout.log, **report})
        return
    render.table(
        ["WHAT", "VALUE"],
        [
            ("address", running.url),
            ("process", running.pid),
            ("environments", ", ".join(running.applied) or "none applied"),
            ("containers", len(report.get("containers", []))),
            ("log", layout.log),
        ],
    )
