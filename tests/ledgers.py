"""A model's ledger and artifacts on a loopback S3, and releases and events to put into it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops_kit.naming import EnvironmentNames
from mlops_kit.objects import Store
from mlops_kit.promotion.events import Event, Release, ReleaseSpec
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.place import Place
from tests.s3 import LoopbackS3
from tests.s3.model import Bucket
from tests.stores import ACCOUNT, store_of

ENVIRONMENT = EnvironmentNames("acme", "dev", ACCOUNT, "us-east-1")
NAMES = ENVIRONMENT.model("churn")
LEDGER, ARTIFACTS = ENVIRONMENT.bucket("ledger"), ENVIRONMENT.bucket("artifacts")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALICE = f"arn:aws:sts::{ACCOUNT}:assumed-role/acme-dev-promoter/alice@example.com"


@dataclass(frozen=True)
class World:
    """An S3 with the two buckets of one environment."""

    s3: LoopbackS3
    ledger: Store
    artifacts: Store

    @property
    def book(self) -> Ledger:
        return Ledger(self.ledger, NAMES)

    @property
    def records(self) -> Bucket:
        """The ledger bucket, to tamper with."""
        return self.s3.buckets[LEDGER]

    @property
    def locks(self) -> Bucket:
        return self.s3.buckets[ARTIFACTS]

    def write(self, *events: Event) -> None:
        for event in events:
            self.book.append(self.book.events(), event)


@contextmanager
def world(**options: Any) -> Iterator[World]:
    """``options`` are those of Wire."""
    with LoopbackS3({LEDGER: ACCOUNT, ARTIFACTS: ACCOUNT}) as s3:
        found = World(s3, store_of(s3, LEDGER, **options), store_of(s3, ARTIFACTS, **options))
        try:
            yield found
        finally:
            found.ledger.wire.close()
            found.artifacts.wire.close()


def release(number: int, model: str = "churn") -> Release:
    spec = ReleaseSpec(
        image="registry.example/team/image:1",
        artifact_uri=f"s3://bucket/{number}",
        environment={},
        instance_type="ml.m5.large",
        instance_count=1,
        capture_percent=100,
        encrypt_volume=True,
    )
    return Release(
        id=f"r{number}",
        config=ENVIRONMENT.model(model).release(f"{number:064x}"[::-1]),
        spec=spec,
        version=number,
        artifact_sha256=f"{number:064x}",
        dataset="d",
        dataset_commit="c" * 64,
        code_commit="",
        training_job="job",
    )


def event(number: int, action: Any = "promotion", outcome: Any = "succeeded", **fields: Any) -> Event:
    """Release ``number`` was promoted, or gone back to."""
    content = {"actor": ALICE, "release": release(number), **fields}
    return Event(seq=0, previous="", time="2026-01-01T00:00:00+00:00", action=action, outcome=outcome, **content)


def ended_process() -> Place:
    """A process of this host that is gone."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        found = Place.of(process.pid)
        process.kill()
    return found
