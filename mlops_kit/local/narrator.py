"""Tells a story of commands: shows each one, runs it, and checks what is claimed of it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_kit.errors import MlopsKitError
from mlops_kit.local.state import Layout


class ClaimError(MlopsKitError):
    """Something the story says is not so."""


class Narrator:
    """Runs commands in the project at ``root``. ``claims``: how many held so far."""

    def __init__(self, root: Path, out: Callable[[str], None]) -> None:
        self._root = root
        self.say = out
        self.claims = 0

    def title(self, text: str) -> None:
        self.say(f"\n== {text}\n")

    def claim(self, holds: bool, text: str, *, quiet: bool = False) -> None:
        if not holds:
            raise ClaimError(f"This does not hold: {text}.", hint="See the command's output above.")
        if not quiet:
            self.claims += 1
            self.say(f"✓ {text}")

    def json(self, *arguments: str, quiet: bool = False) -> Any:
        return json.loads(self.command(*arguments, quiet=True, silent=quiet))

    def in_role(self, exports: Sequence[str], *arguments: str) -> str:
        """A command in a subshell, with the variables that another command exports."""
        lines = self.command(*exports, quiet=True, silent=True).splitlines()
        variables = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        self.say(f'$ (eval "$(mlops-kit {shlex.join(exports)})"; mlops-kit {shlex.join(arguments)})')
        return self.command(*arguments, silent=True, variables=variables)

    def command(
        self,
        *arguments: str,
        expect: int = 0,
        quiet: bool = False,
        silent: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Show the command and run it; its narration passes through, its data is returned (and shown, unless quiet)."""
        if not silent:
            self.say(f"$ mlops-kit {shlex.join(arguments)}")
        done = subprocess.run(
            [sys.executable, "-m", "mlops_kit", *arguments],
            cwd=self._root,
            env={**os.environ, **(variables or {})},
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if not quiet and done.stdout:
            self.say(done.stdout.rstrip("\n"))
        if done.returncode != expect:
            raise ClaimError(
                f"`mlops-kit {shlex.join(arguments)}` ended with exit code {done.returncode}, expected {expect}.",
                hint=f"The local cloud's log is {Layout(self._root).log}.",
            )
        return done.stdout
