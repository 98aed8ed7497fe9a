"""Options used by more than one command, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mlops_kit.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def cloud(function: F) -> F:
    """``--local``; the command receives a :class:`Session` as its first argument."""

    @click.option(
        "--local", is_flag=True, envvar="MLOPS_KIT_LOCAL", help="Talk to the local cloud. [env: MLOPS_KIT_LOCAL]"
    )
    @click.pass_context
    def wrapped(ctx: click.Context, /, *args: Any, local: bool, **kwargs: Any) -> Any:
        return ctx.invoke(function, Session(ctx.find_root().obj, local), *args, **kwargs)

    wrapped.__name__ = function.__name__
    wrapped.__doc__ = function.__doc__
    # Options that decorators below this one have already added to the function belong to the command.
    wrapped.__click_params__ = [  # type: ignore[attr-defined]
        *getattr(function, "__click_params__", []),
        *getattr(wrapped, "__click_params__", []),
    ]
    return wrapped  # type: ignore[return-value]


def at_once(default: int) -> Callable[[F], F]:
    """``--at-once``: how many requests are in flight."""
    return click.option(
        "--at-once",
        type=click.IntRange(1, 256),
        default=default,
        show_default=True,
        help="Requests in flight. More of them help where the network is slow to answer.",
    )


def utf8(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A callback: what is stored as text has to be text. Other bytes come through the command line as surrogates."""
    try:
        (value or "").encode()
    except UnicodeEncodeError as exc:
        raise click.BadParameter("it is not UTF-8.") from exc
    return value


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask before writing to the last stage.")
enforce_iam = click.option(
    "--enforce-iam", is_flag=True, help="Let roles do only what their policies allow, as on AWS."
)
first_stage = click.option("--env", "environment", help="The environment. Default: the first stage.")
in_environment = click.option("--in", "environment", required=True, help="The environment.")
to_environment = click.option("--to", "to", required=True, help="The environment to promote to.")
from_environment = click.option(
    "--from", "from_", help="The environment to promote from; may only confirm the stage order."
)
