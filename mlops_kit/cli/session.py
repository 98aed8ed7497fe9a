"""What every command that talks to a cloud needs: the project, the environments' clients, and a voice."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops_kit.errors import UsageError

if TYPE_CHECKING:
    from mlops_kit.aws import Cloud
    from mlops_kit.config import Environment, Project


def now() -> datetime:
    return datetime.now(UTC)


def tell(line: str) -> None:
    """Narration: to stderr, so that stdout stays data."""
    click.echo(line, err=True)


class Session:
    """One command's view of the world. Nothing is read or connected to before it is asked for."""

    def __init__(self, project_dir: str | None, local: bool = False) -> None:
        self._project_dir = project_dir
        self.local = local

    @cached_property
    def project(self) -> Project:
        from mlops_kit.config import find_root, load_project

        root = Path(self._project_dir) if self._project_dir else find_root(Path.cwd())
        return load_project(root.resolve())

    def environment(self, name: str | None) -> Environment:
        """The environment of this name; the first stage if none is named."""
        return self.project.first_stage if name is None else self.project.environment(name)

    def cloud(self, environment: Environment) -> Cloud:
        from mlops_kit.aws import connect

        return connect(environment, local_endpoint=self._local_endpoint)

    @cached_property
    def _local_endpoint(self) -> str | None:
        if not self.local:
            return None
        from mlops_kit.local.state import Layout, require

        return require(Layout(self.project.root)).url

    def confirm(self, target: Environment, what: str, yes: bool) -> None:
        """Ask before writing to the last stage.

        Raises:
            UsageError: nobody is there to be asked.
            click.Abort: the answer was no.
        """
        if yes or self.project.targets_of(target) or target == self.project.first_stage:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"{what} needs a confirmation.", hint="Add --yes to go ahead without being asked.")
        click.confirm(f"{what}?", abort=True, err=True)
