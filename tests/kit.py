"""The command line as a user has it, in this process: a project of its own, and lakes on a loopback S3."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest
import yaml

from mlops_kit.cli.run import run
from mlops_kit.config import load_project
from mlops_kit.objects import Store
from tests.cloud import Done
from tests.s3 import LoopbackS3
from tests.stores import store_of

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = {"dev": "111111111111", "staging": "222222222222", "production": "333333333333"}
BUCKETS = {
    f"acme-{env}-{account}-{kind}": account for env, account in ENVIRONMENTS.items() for kind in ("lake", "ledger")
}


_loader = cache(botocore.loaders.create_loader)


@dataclass(frozen=True)
class Kit:
    """``kit("dataset", "log", "pets")`` runs a command in ``project``; ``ok`` also says that it has to succeed."""

    s3: LoopbackS3
    project: Path
    read: Callable[[], Any]

    def __call__(self, *arguments: str | Path) -> Done:
        self.read()  # what was written before is not this command's
        code = run(["--project", str(self.project), *map(str, arguments)])
        captured = self.read()
        return Done(code, captured.out, captured.err)

    def ok(self, *arguments: str | Path) -> Done:
        done = self(*arguments)
        assert done.code == 0, f"{arguments} ended with {done.code}: {done.err}"
        return done

    def json(self, *arguments: str | Path) -> Any:
        return self.ok(*arguments, "--json").json

    def commit(self, name: str, path: str | Path, message: str = "m", *options: str | Path) -> str:
        """The id of the new commit."""
        return str(self.json("dataset", "commit", name, path, "-m", message, *options)["commit"])

    def lake(self, environment: str = "dev") -> Store:
        return store_of(self.s3, load_project(self.project).environment(environment).names.bucket("lake"))

    def constrain(self, name: str, constraints: dict[str, Any]) -> None:
        (self.project / "environments" / "datasets" / f"{name}.yaml").write_text(yaml.safe_dump(constraints))


def make_project(root: Path) -> Path:
    """The example project, without models: there is no SageMaker to ask for their versions."""
    shutil.copytree(ROOT / "environments", root / "environments")
    shutil.rmtree(root / "environments" / "models")
    for file in (root / "environments").glob("*.yaml"):
        file.write_text(file.read_text().replace("models: [diagnosis]", "models: []"))
    return root


def point_to(monkeypatch: pytest.MonkeyPatch, s3: LoopbackS3, environment: str = "dev") -> None:
    """AWS is ``s3`` from now on, to somebody of the environment's account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ENVIRONMENTS[environment])
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    # What describes the services is megabytes of JSON: each command would read it again.
    monkeypatch.setattr(botocore.loaders, "create_loader", _loader)
