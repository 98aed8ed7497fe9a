"""Run a command line: the one place where exceptions become messages and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from mlops_kit.cli import cli
from mlops_kit.errors import MlopsKitError, UsageError

INTERRUPTED = 130

_EXTRAS = {
    "psutil": "local",
    "moto": "local",
    "sklearn": "local",
    "joblib": "local",
    "numpy": "local",
    "sagemaker_inference": "local",
    "duckdb": "data",
    "cdktf": "stacks",
}
"""Module -> the extra that brings it: an installation without the extra is no bug."""


def run(arguments: Sequence[str]) -> int:
    """Returns the exit code; prints errors to stderr."""
    try:
        result = cli.main(list(arguments), prog_name="mlops-kit", standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. What was done so far is kept; run the command again to go on.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return 0  # the reader of our output, a pager for example, has seen enough
    except Exception as exc:
        if "--traceback" in arguments:
            raise
        return _report(exc)
    return result if isinstance(result, int) else 0


def _report(exc: Exception) -> int:
    error = _ours(exc)
    if error is None:
        click.echo(f"Unexpected error: {type(exc).__name__}: {exc}", err=True)
        click.echo("This is a bug in mlops-kit. Run again with `mlops-kit --traceback …` and report it.", err=True)
        return MlopsKitError.exit_code
    click.secho(f"Error: {error.message}", fg="red", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    return error.exit_code


def _ours(exc: Exception) -> MlopsKitError | None:
    if isinstance(exc, MlopsKitError):
        return exc
    if isinstance(exc, ModuleNotFoundError) and exc.name in _EXTRAS:
        extra = _EXTRAS[exc.name]
        return UsageError(
            f"This command needs {exc.name}, which is not installed.", hint=f"pip install 'mlops-kit[{extra}]'"
        )
    if "botocore.exceptions" not in sys.modules:  # then it cannot be an AWS error, and importing botocore is slow
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    from mlops_kit.aws import translate, translate_botocore

    if isinstance(exc, ClientError):
        return translate(exc)
    if isinstance(exc, BotoCoreError):
        return translate_botocore(exc)
    return None
