"""Promotions and rollbacks in a :class:`tests.aws.world.World`, without the command line and without waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_kit.promotion import plan, request, rollback, smoke
from mlops_kit.promotion.execute import Begun, Deployment, execute
from mlops_kit.promotion.ledger import Event, Ledger
from tests.aws.endpoints import Endpoint
from tests.aws.project import MODEL
from tests.aws.world import World

FILES = {"a.csv": b"left,x\n0,1\n"}
WRITES = ("Put", "Copy", "Create", "Update", "Delete", "Complete", "Upload")


@dataclass
class Releases:
    """Acts in one stage of a world; ``told`` is all that was told."""

    world: World
    stage: str = "staging"
    told: list[str] = field(default_factory=list)

    @property
    def names(self) -> Any:
        return self.world.names(self.stage)

    @property
    def endpoint(self) -> Endpoint:
        return self.world.aws.sagemaker.endpoint(self.names.environment.account, self.names.endpoint)

    @property
    def book(self) -> Ledger:
        return Ledger(self.world.cloud(self.stage).store("ledger"), self.names)

    @property
    def packages(self) -> list[dict[str, Any]]:
        return list(self.world.aws.sagemaker.packages(self.names.environment.account, self.names.package_group))

    @property
    def lock(self) -> bytes | None:
        return self.world.cloud(self.stage).store("artifacts").get(self.names.lock_key)

    def plan(self, version: int, **asked: Any) -> plan.ModelPlan:
        wanted = request.request(self.world.project, f"{MODEL}@{version}", self.stage, **asked)
        return plan.plan(wanted, self.world.project, self.world.cloud(self.stage), self.world.clock)

    def deployment(self, **options: Any) -> Deployment:
        model = self.world.project.model(MODEL, self.world.stage(self.stage))
        fields: dict[str, Any] = {
            "rollout": model.serving.rollout,
            "now": lambda: self.world.clock,
            "tell": self.told.append,
            "sleep": lambda seconds: None,
            "smoke": smoke.read(model, self.world.project.source_dir(model)),
            **options,
        }
        return Deployment(self.world.cloud(self.stage), self.names, **fields)

    def promote(self, version: int, *, asked: dict[str, Any] | None = None, **options: Any) -> Event:
        done = execute(self.plan(version, **(asked or {})), self.deployment(**options))
        assert isinstance(done, Event)
        return done

    def begin(self, version: int) -> Begun:
        done = execute(self.plan(version), self.deployment(wait=False))
        assert isinstance(done, Begun)
        return done

    def back(self, wanted: str | None = None, *, with_data: bool = False, **options: Any) -> Event:
        planned = rollback.plan(self.book, wanted, with_data=with_data)
        return rollback.execute(planned, self.deployment(**{"rollout": None, "patient": True, "smoke": None} | options))

    def alarm(self, state: str) -> str:
        name: str = self.names.rollback_alarms[0]
        self.world.aws.cloudwatch.set_alarm(self.names.environment.account, name, state)
        return name

    def writes(self) -> list[str]:
        """The operations since the world was last told to forget that change something."""
        return [call.operation for call in self.world.aws.calls if call.operation.startswith(WRITES)]


@contextmanager
def releases(directory: Path, *, looks: int = 0, data: bool = True, **settings: Any) -> Iterator[Releases]:
    """Six versions in dev; with ``data``, theirs is in staging. ``looks``: see ``tests.aws.sagemaker.SageMaker``."""
    with World(directory, **settings) as world:
        world.aws.sagemaker.looks = looks
        commit = world.commit("dev", FILES)
        for _ in range(6):
            world.train(commit)
        if data:
            done = world.cli("promote", "dataset", "customers", "--to", "staging")
            assert done.code == 0, done.err
        yield Releases(world)
