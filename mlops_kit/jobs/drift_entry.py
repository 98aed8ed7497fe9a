"""The scheduled drift job: what ``mlops-kit drift run`` does, in a container and without a checkout.

The stack writes what the job has to know, the resolved environment and model, into one object, which SageMaker puts
down at ``$MLOPS_KIT_DRIFT_JOB``. The job acts as its own role, which may do just this, and not as the promoter. Its
exit codes are those of the command line (:mod:`mlops_kit.errors`); the reason of a failure is the job's exit message.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mlops_kit.aws import Cloud
from mlops_kit.config import Drift, Environment, Model
from mlops_kit.errors import IntegrityError, MlopsKitError, UsageError

FILE = "MLOPS_KIT_DRIFT_JOB"
MESSAGE = Path("/opt/ml/output/message")


class DriftTask(BaseModel):
    """What the stack tells the job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Environment
    model: Model


def main(environ: Mapping[str, str] = os.environ, message: Path = MESSAGE) -> int:
    """The exit code."""
    try:
        sys.stdout.write(run(read_task(environ), connect, datetime.now(UTC)) + "\n")
    except Exception as exc:
        error = _ours(exc)
        if error is None:
            raise
        text = f"{error.message} {error.hint or ''}".strip()
        sys.stderr.write(f"mlops-kit: {text}\n")
        if message.parent.is_dir():
            message.write_text(text)
        return error.exit_code
    return 0


def read_task(environ: Mapping[str, str]) -> DriftTask:
    """What ``$MLOPS_KIT_DRIFT_JOB`` says.

    Raises:
        UsageError: the variable names no file.
        IntegrityError: the file is not one that the stack of this version writes.
    """
    path = Path(environ.get(FILE, ""))
    if not environ.get(FILE) or not path.is_file():
        raise UsageError(f"{FILE} is {environ.get(FILE, '')!r}, which is no file.")
    try:
        return DriftTask.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise IntegrityError(
            f"{path.name} does not describe a drift job of this version of mlops-kit: {exc}",
            hint="Deploy the environment with the version that is in the drift image, or renew the image.",
        ) from exc


def connect(environment: Environment) -> Cloud:
    """Clients that act as the job's own role."""
    import boto3

    return Cloud(environment, boto3.Session(region_name=environment.region), None, "drift job")


def hours(drift: Drift) -> int:
    """How far to look back: every window that the alarm looks at, and the one that is still open."""
    return math.ceil((drift.windows + 1) * drift.window_minutes / 60)


def run(task: DriftTask, connect: Callable[[Environment], Cloud], now: datetime) -> str:
    """Measure, publish, and say in a line what was found.

    Raises:
        UsageError: nothing was released yet.
        NotFoundError: what runs has no baseline.
    """
    from mlops_kit.drift import stored
    from mlops_kit.drift.run import DriftRequest, run_drift
    from mlops_kit.promotion import ledger

    environment, model = task.environment, task.model
    cloud, names = connect(environment), model.names(environment.names)
    running = ledger.current(ledger.Ledger(cloud.store("ledger"), names).events())
    if running is None:
        raise UsageError(f"No version of {model.name} was released in {environment.name} yet.")
    statistics = stored.read(cloud.store("artifacts"), names, running.artifact_sha256)
    request = DriftRequest.latest(environment, model, hours=hours(model.drift), now=now)
    report = run_drift(request, statistics, cloud.store("capture"), names.capture_prefix, cloud.cloudwatch, now=now)
    breached = sum(window.breached for window in report.windows)
    return f"{report.rows} rows in {len(report.windows)} windows; {breached} drifted, {report.malformed} rows malformed"


def _ours(exc: Exception) -> MlopsKitError | None:
    if isinstance(exc, MlopsKitError):
        return exc
    from botocore.exceptions import BotoCoreError, ClientError

    from mlops_kit.aws import translate, translate_botocore

    if isinstance(exc, ClientError):
        return translate(exc)
    return translate_botocore(exc) if isinstance(exc, BotoCoreError) else None


if __name__ == "__main__":
    sys.exit(main())
