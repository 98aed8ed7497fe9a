"""A world in which version 3 passes every gate of staging: signed, tested, scanned, approved; two ran before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mlops_kit.datasets.records import Commit
from mlops_kit.naming import BucketKind, DatasetKeys
from mlops_kit.objects import sha256_bytes
from mlops_kit.promotion.approvals import decide, record
from mlops_kit.promotion.events import Event, Release, ReleaseSpec
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.quality.record import CheckRecord, constraints_sha256
from mlops_kit.signing import key_of, sign
from tests.aws.ecr import Image
from tests.aws.project import DATASET, MODEL
from tests.aws.server import Saved
from tests.aws.world import NOW, World

OWN = "222222222222.dkr.ecr.us-east-1.amazonaws.com/acme/churn"
IMAGE, OTHER_IMAGE = "sha256:" + "d" * 64, "sha256:" + "e" * 64
BOB = "arn:aws:sts::222222222222:assumed-role/acme-staging-approver/bob@example.com"


@dataclass(frozen=True)
class Scene:
    """The world before anything was done to it."""

    world: World
    commit: Commit
    saved: Saved

    @property
    def sha256(self) -> str:
        """The artifact of version 3."""
        return self.world.trained[2]

    def bucket(self, stage: str, kind: BucketKind) -> Any:
        return self.world.aws.buckets[self.name(stage, kind)]

    def name(self, stage: str, kind: BucketKind) -> str:
        return self.world.stage(stage).names.bucket(kind)

    def key(self, what: str, number: int = 3) -> str:
        """Of an object of a version."""
        names, sha256 = self.world.names("dev"), self.world.trained[number - 1]
        keys = {
            "artifact": names.artifact_key,
            "metrics": names.metrics_key,
            "statistics": names.statistics_key,
            "constraints": names.constraints_key,
            "signature": names.signature_key,
        }
        return keys[what](sha256)

    def body(self, stage: str, kind: BucketKind, key: str) -> bytes:
        with self.world.acting():
            return self.world.cloud(stage).store(kind).get(key) or b""

    def swap(self, stage: str, kind: BucketKind, key: str, body: bytes) -> None:
        """Other bytes without a trace: as somebody who may delete versions for good."""
        self.bucket(stage, kind).remove(key)
        self.world.put(self.name(stage, kind), key, body)

    def overwrite(self, stage: str, kind: BucketKind, key: str, body: bytes) -> None:
        """Another version on top: as somebody who may write."""
        self.world.put(self.name(stage, kind), key, body)

    def package(self, stage: str = "dev", number: int = 3) -> dict[str, Any]:
        names = self.world.names(stage)
        found: dict[str, Any]
        found = self.world.aws.sagemaker.of(names.environment.account).groups[names.package_group].packages[number]
        return found

    def event_key(self, number: int) -> str:
        return self.world.names("staging").ledger_key(number)

    def event(self, number: int) -> Event:
        return Event.model_validate_json(self.body("staging", "ledger", self.event_key(number)))

    def approvals(self) -> list[str]:
        prefix = self.world.names("staging").approvals_of(self.sha256)
        return [key for key in self.bucket("staging", "ledger").snapshot_versions() if key.startswith(prefix)]

    def lake(self, what: str) -> str:
        keys = DatasetKeys(DATASET)
        found = {
            "header": keys.commit(self.commit.id),
            "list": keys.file_list(self.commit.id),
            "manifest": keys.manifest(self.commit.id),
            "ref": keys.ref("main"),
            "file": keys.file("a.csv", sha256_bytes(b"1")),
        }
        return found[what]


@contextmanager
def untouched(root: Path, clock: datetime = NOW) -> Iterator[Scene]:
    """A project in the directory ``root``, in a world in which it is ``clock``."""
    (root / "environments" / "datasets").mkdir(parents=True)
    (root / "environments" / "datasets" / f"{DATASET}.yaml").write_text("description: who stayed\n")
    gates = {"data_checks": "required", "signature": "required", "image_scan": {"max_high": 5}, "budget": "block"}
    settings = {
        "dev": {"signing": {}},
        "staging": {"gates": gates, "approvals": {"required": 1}},
        "production": {"signing": {}},
    }
    with World(root, clock=clock, environments=settings, model={"serving": {"image": f"{OWN}@{IMAGE}"}}) as world:
        commit = world.commit("dev", {"a.csv": b"1", "b.csv": b"2"})
        for accuracy in (0.91, 0.93, 0.95):
            world.train(commit, accuracy=accuracy, image_digest=IMAGE)
        dev, staging = world.stage("dev"), world.stage("staging")
        for number in (1, 2):
            release_once(world, number)
        for stage in (dev, world.stage("production")):
            world.aws.kms.add_key(stage.account, stage.names.signing_key_alias)
        world.aws.ecr.add_image(staging.account, "acme/churn", Image(IMAGE, findings={"HIGH": 1}))
        world.aws.ecr.add_image(staging.account, "acme/churn", Image(OTHER_IMAGE, findings={"HIGH": 1}))
        with world.acting():
            cloud = world.cloud("dev")
            for sha256 in world.trained[1:]:
                sign(cloud.store("artifacts"), world.names("dev"), sha256, key_of(cloud, dev))
        scene = Scene(world, commit, world.aws.save())
        write_test(scene)
        approve(scene)
        yield replace(scene, saved=world.aws.save())


def release_once(world: World, number: int) -> None:
    names, sha256 = world.names("staging"), world.trained[number - 1]
    release = Release(
        id=f"r{number}",
        config=names.release(sha256),
        spec=ReleaseSpec(
            image="image",
            artifact_uri="s3://artifact",
            environment={},
            instance_type="ml.m5.large",
            instance_count=1,
            capture_percent=100,
            encrypt_volume=True,
        ),
        version=number,
        artifact_sha256=sha256,
        dataset=DATASET,
        dataset_commit="c" * 64,
        code_commit="",
        training_job="job",
    )
    with world.acting():
        book = Ledger(world.cloud("staging").store("ledger"), names)
        event = Event(
            seq=0,
            previous="",
            time=(world.clock - timedelta(hours=48)).isoformat(timespec="seconds"),
            actor="arn",
            action="promotion",
            outcome="succeeded",
            release=release,
            source=f"dev {MODEL}@{number}",
        )
        book.append(book.events(), event)


def write_test(scene: Scene, *, passed: bool = True, commit: str = "") -> str:
    constraints = scene.world.project.dataset(DATASET)
    assert constraints is not None
    digest = constraints_sha256(constraints)
    tested = CheckRecord(DATASET, commit or scene.commit.id, digest, passed, {}, (), "2026-01-01T00:00:00+00:00", "arn")
    key = DatasetKeys(DATASET).check(scene.commit.id, digest)
    scene.swap("dev", "lake", key, tested.to_json())
    return key


def approve(scene: Scene, kind: Any = "approve", *, hours: float = 0, by: str = BOB, sha256: str = "") -> str:
    world = scene.world
    names = world.names("staging")
    with world.acting():
        decision = decide(
            kind,
            names,
            version=3,
            artifact_sha256=sha256 or scene.sha256,
            by=by,
            reason="looks right",
            policy=world.stage("staging").approvals,
            now=world.clock - timedelta(hours=hours),
        )
        return record(world.cloud("staging").store("ledger"), names, decision).key
