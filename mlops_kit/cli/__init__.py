"""The command line. A command parses, calls one core function, and renders; see ``cli.run`` for the exit codes."""

from __future__ import annotations

import click

from mlops_kit import __version__
from mlops_kit.cli.lazy import LazyGroup

COMMANDS = {
    "env": ("mlops_kit.cli.env", "List, show, compare and check the environment files."),
    "dataset": (
        "mlops_kit.cli.dataset",
        "Version data like code: commit, compare, check out, test, repair.",
    ),
    "train": ("mlops_kit.cli.train", "Train a model on a data commit and register the version."),
    "model": ("mlops_kit.cli.model", "List the registered versions of a model."),
    "sign": ("mlops_kit.cli.sign", "Sign a model version's artifact, or check its signature."),
    "approve": ("mlops_kit.cli.approve", "Agree that a model version is released in an environment."),
    "reject": ("mlops_kit.cli.reject", "Refuse that a model version is released in an environment."),
    "promote": ("mlops_kit.cli.promote", "Move a model version or a data commit to the next environment."),
    "history": ("mlops_kit.cli.history", "Show what was released in an environment, and by whom."),
    "ledger": ("mlops_kit.cli.ledger", "Check the record of releases."),
    "lineage": ("mlops_kit.cli.lineage", "Show what a version was made of, and what was made of data."),
    "rollback": ("mlops_kit.cli.rollback", "Go back to an earlier release."),
    "unlock": ("mlops_kit.cli.unlock", "Release the lock that somebody left behind."),
    "invoke": ("mlops_kit.cli.invoke", "Send rows of a CSV file to an endpoint and print the answers."),
    "drift": ("mlops_kit.cli.drift", "Record a baseline; compare captured traffic with it."),
    "alarms": ("mlops_kit.cli.alarms", "Show an environment's alarms."),
    "status": ("mlops_kit.cli.status", "Show what runs where."),
    "local": ("mlops_kit.cli.local", "Start, stop and inspect the local cloud."),
    "demo": ("mlops_kit.cli.demo", "Tell the whole story on the local cloud, checking every step."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False),
    help="Directory that holds environments/. Default: the nearest one upwards from here.",
)
@click.option("--traceback", is_flag=True, help="Show the whole traceback when a command fails.")
@click.version_option(__version__, prog_name="mlops-kit")
@click.pass_context
def cli(ctx: click.Context, project: str | None, traceback: bool) -> None:
    """Run an MLOps platform on AWS: version data, train, promote between environments, watch, roll back.

    Exit codes: 0 done; 1 unexpected; 2 usage or configuration; 3 refused by a gate or a data test; 4 conflict; 5
    deployment failed and was rolled back; 6 wrong account, region or permission; 7 integrity failure.
    """
    ctx.obj = project


def main() -> None:
    """Entry point of the ``mlops-kit`` script."""
    import sys

    from mlops_kit.cli.run import run

    sys.exit(run(sys.argv[1:]))
