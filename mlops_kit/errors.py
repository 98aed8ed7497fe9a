"""Every error the kit raises on purpose, and the exit code each one becomes.

::

    MlopsKitError                 1  unexpected, or a job of the team's own that failed
    ├── UsageError                2  wrong arguments, or something that has to run first is not running
    │   ├── ConfigError           2  environments/*.yaml: every problem at once, each with file and line
    │   └── NotFoundError         2  an environment, model, version, data set or commit that does not exist
    ├── GateError                 3  a gate refused the promotion, or a data test the data
    ├── ConflictError             4  somebody else wrote first, or holds the lock
    ├── DeploymentError           5  the deployment failed and the endpoint was rolled back
    ├── AccessError               6  wrong account, region or permission
    ├── IntegrityError            7  bytes are not what their digest says
    ├── JobError                  1  a training job that did not complete
    └── ServiceError              1  AWS answered with an error that has no better name here

A message says what happened, why, and what to do next. ``cli.run`` is the one place that turns these into exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class MlopsKitError(Exception):
    """The root of the tree. ``hint`` says what to do next; it is printed on a line of its own."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MlopsKitError):
    """The command cannot be carried out as given."""

    exit_code = 2


class NotFoundError(UsageError):
    """Something named on the command line does not exist. Only a true "not found" answer becomes this."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration file. ``line`` counts from 1."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class ConfigError(UsageError):
    """Configuration that cannot be used; carries every :class:`Problem` that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda p: (p.file, p.line, p.message)))
        count = len(self.problems)
        super().__init__(
            "\n".join([f"{count} problem{'s' if count > 1 else ''} in the configuration:", *map(str, self.problems)]),
            hint="Correct the lines above, then run `mlops-kit env validate`.",
        )


class GateError(MlopsKitError):
    """A gate, or a data test, said no. Nothing was written."""

    exit_code = 3


class ConflictError(MlopsKitError):
    """Another writer was first."""

    exit_code = 4


class DeploymentError(MlopsKitError):
    """A deployment failed; the endpoint serves what it served before."""

    exit_code = 5


class AccessError(MlopsKitError):
    """Credentials of the wrong account or region, expired ones, or a missing permission."""

    exit_code = 6


class IntegrityError(MlopsKitError):
    """Stored bytes do not match the digest they are known by."""

    exit_code = 7


class JobError(MlopsKitError):
    """A SageMaker job ended, but not as Completed."""


class ServiceError(MlopsKitError):
    """An AWS error without a better name; carries the service's own code and message."""
