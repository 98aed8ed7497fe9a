"""What was tampered with is not released: found before anything is registered or deployed, each with its exit code.

Staging asks for a signature, a data test, a scan of the image and one approval; everything of version 3 is there, and
two releases are in the ledger. Each test changes one thing, as somebody who may write to the source, to the target, or
to both might.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from mlops_kit.datasets.manifest import sagemaker_manifest
from mlops_kit.datasets.records import Commit, compress
from mlops_kit.naming import NETWORK_KEY, BucketKind, DatasetKeys
from mlops_kit.objects import canonical_json, sha256_bytes
from mlops_kit.promotion.approvals import decide, record
from mlops_kit.promotion.events import Event, Release, ReleaseSpec
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.quality.record import CheckRecord, constraints_sha256
from mlops_kit.registry import APPROVED
from mlops_kit.signing import bundle, key_of, sign
from mlops_kit.signing.keys import SigningKey
from tests import commits
from tests.aws.ecr import Image
from tests.aws.project import DATASET, MODEL
from tests.aws.server import Saved
from tests.aws.world import World

OWN = "222222222222.dkr.ecr.us-east-1.amazonaws.com/acme/churn"
IMAGE, OTHER_IMAGE = "sha256:" + "d" * 64, "sha256:" + "e" * 64
BOB = "arn:aws:sts::222222222222:assumed-role/acme-staging-approver/bob@example.com"
CHANGES_WHAT_RUNS = {
    "CreateModelPackage",
    "UpdateModelPackage",
    "CreateModel",
    "CreateEndpointConfig",
    "UpdateEndpoint",
    "DeleteModel",
    "DeleteEndpointConfig",
    "UpdateSchedule",
}
PROMOTE = ("promote", "model", f"{MODEL}@3", "--to", "staging", "--yes")
VERIFY = ("ledger", "verify", MODEL, "--in", "staging")
BYTES, GATE = 7, 3


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

    def lake(self, what: str, path: str = "a.csv", body: bytes = b"1") -> str:
        keys = DatasetKeys(DATASET)
        found = {
            "header": keys.commit(self.commit.id),
            "list": keys.file_list(self.commit.id),
            "manifest": keys.manifest(self.commit.id),
            "ref": keys.ref("main"),
            "file": keys.file(path, sha256_bytes(body)),
        }
        return found[what]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("world")
    (root / "environments" / "datasets").mkdir(parents=True)
    (root / "environments" / "datasets" / f"{DATASET}.yaml").write_text("description: who stayed\n")
    gates = {"data_checks": "required", "signature": "required", "image_scan": {"max_high": 5}, "budget": "block"}
    settings = {
        "dev": {"signing": {}},
        "staging": {"gates": gates, "approvals": {"required": 1}},
        "production": {"signing": {}},
    }
    with World(root, environments=settings, model={"serving": {"image": f"{OWN}@{IMAGE}"}}) as world:
        commit = world.commit("dev", {"a.csv": b"1", "b.csv": b"2"})
        for accuracy in (0.91, 0.93, 0.95):
            world.train(commit, accuracy=accuracy, image_digest=IMAGE)
        dev, staging = world.stage("dev"), world.stage("staging")
        for number in (1, 2):
            _release(world, number)
        for stage in (dev, world.stage("production")):
            world.aws.kms.add_key(stage.account, stage.names.signing_key_alias)
        world.aws.ecr.add_image(staging.account, "acme/churn", Image(IMAGE, findings={"HIGH": 1}))
        world.aws.ecr.add_image(staging.account, "acme/churn", Image(OTHER_IMAGE, findings={"HIGH": 1}))
        with world.acting():
            cloud = world.cloud("dev")
            for sha256 in world.trained[1:]:
                sign(cloud.store("artifacts"), world.names("dev"), sha256, key_of(cloud, dev))
        scene = Scene(world, commit, world.aws.save())
        _test_data(scene)
        _approve(scene)
        yield replace(scene, saved=world.aws.save())


@pytest.fixture
def scene(untouched: Scene) -> Scene:
    untouched.world.aws.restore(untouched.saved)
    untouched.world.aws.calls.clear()
    return untouched


def _release(world: World, number: int) -> None:
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


def _test_data(scene: Scene, *, passed: bool = True, commit: str = "") -> str:
    constraints = scene.world.project.dataset(DATASET)
    assert constraints is not None
    digest = constraints_sha256(constraints)
    tested = CheckRecord(DATASET, commit or scene.commit.id, digest, passed, {}, (), "2026-01-01T00:00:00+00:00", "arn")
    key = DatasetKeys(DATASET).check(scene.commit.id, digest)
    scene.swap("dev", "lake", key, tested.to_json())
    return key


def _approve(scene: Scene, kind: Any = "approve", *, hours: float = 0, by: str = BOB, sha256: str = "") -> str:
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


def test_untouched_it_passes_every_gate(scene: Scene) -> None:
    done = scene.world.cli(*PROMOTE[:-1], "--dry-run", "--json")
    assert done.code == 0, done.err
    assert {verdict["gate"] for verdict in done.json["gates"]} >= {"signature", "data checks", "approvals", "digests"}
    assert scene.world.cli(*VERIFY).code == 0


def test_a_signature_may_be_made_anew(scene: Scene) -> None:
    """With another key, say: it vouches for itself."""
    body = scene.body("dev", "artifacts", scene.key("signature"))
    _hidden("signature")(scene)
    assert scene.world.cli(*PROMOTE).code == BYTES
    scene.overwrite("dev", "artifacts", scene.key("signature"), body)
    assert scene.world.cli(*PROMOTE[:-1], "--dry-run").code == 0


# ---- the artifact and what belongs to it ----


def _artifact(body: bytes) -> Callable[[Scene], None]:
    return lambda scene: scene.swap("dev", "artifacts", scene.key("artifact"), body)


def _rot(what: str, body: bytes) -> Callable[[Scene], None]:
    """Bytes change below S3, and the checksum that S3 has stays what it was."""
    return lambda scene: scene.bucket("dev", "artifacts").overwrite(scene.key(what), body)


def _over(what: str, body: bytes) -> Callable[[Scene], None]:
    return lambda scene: scene.overwrite("dev", "artifacts", scene.key(what), body)


def _gone(what: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("dev", "artifacts").remove(scene.key(what))

    return act


def _hidden(what: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("dev", "artifacts").delete(scene.key(what))

    return act


def _there_already(what: str, body: bytes) -> Callable[[Scene], None]:
    """The target has something else where the copy belongs."""
    return lambda scene: scene.world.put(scene.name("staging", "artifacts"), scene.key(what), body)


def _metadata(**changed: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.package()["CustomerMetadataProperties"].update(changed)

    return act


def _without(name: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        del scene.package()["CustomerMetadataProperties"][name]

    return act


def _swapped(scene: Scene) -> None:
    """Version 3 says that it is the artifact of version 2, which is signed as well, and not approved."""
    _metadata(artifact_sha256=scene.world.trained[1])(scene)


def _points_to(number: int | None, artifact: int = 2) -> Callable[[Scene], None]:
    """Staging says that it has registered this artifact already, as ``number``, and that is another one."""

    def act(scene: Scene) -> None:
        scene.world.train(scene.commit, stage="staging", artifact_sha256=scene.world.trained[artifact - 1])
        key = scene.world.names("staging").package_key(scene.sha256)
        body = b"[" * 5000 if number is None else canonical_json({"version": number, "arn": "arn"})
        scene.world.put(scene.name("staging", "artifacts"), key, body)

    return act


def _signed(act: Callable[[Scene, bundle.Bundle], bytes]) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        key = scene.key("signature")
        found = bundle.parse(scene.body("dev", "artifacts", key))
        scene.swap("dev", "artifacts", key, act(scene, found))

    return change


def _key(scene: Scene, stage: str) -> SigningKey:
    with scene.world.acting():
        return key_of(scene.world.cloud(stage), scene.world.stage(stage))


def _made_by(scene: Scene, stage: str, model: str, sha256: str, hint: str = "") -> bytes:
    key, payload = _key(scene, stage), bundle.statement(model, sha256)
    with scene.world.acting():
        return bundle.dump(bundle.Bundle(hint or key.public.hint, payload, key.sign(bundle.pae(payload))))


def _flip(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def _no_pin(scene: Scene) -> None:
    scene.package()["CustomerMetadataProperties"]["image_digest"] = OTHER_IMAGE


def _no_image(scene: Scene) -> None:
    del scene.world.aws.ecr.of("222222222222").repositories["acme/churn"][IMAGE]


def _findings(scene: Scene) -> None:
    scene.world.aws.ecr.add_image("222222222222", "acme/churn", Image(IMAGE, findings={"CRITICAL": 1}))


# ---- the data ----


def _lake(what: str, body: Callable[[Scene], bytes]) -> Callable[[Scene], None]:
    return lambda scene: scene.swap("dev", "lake", scene.lake(what), body(scene))


def _lake_gone(what: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("dev", "lake").remove(scene.lake(what))

    return act


def _files(files: dict[str, bytes]) -> Callable[[Scene], bytes]:
    return lambda scene: compress(commits.entries(files).dump())


def _target_file(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("file"), b"9")


def _target_header(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("header"), replace(scene.commit, author="evil").to_json())


def _target_list(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("list"), _files({"a.csv": b"9"})(scene))


def _target_manifest(scene: Scene) -> None:
    lake: Any = _Named("elsewhere")
    body = sagemaker_manifest(lake, DATASET, commits.entries({"a.csv": b"9"}))
    scene.world.put(scene.name("staging", "lake"), scene.lake("manifest"), body)


class _Named:
    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def _target_ref(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("ref"), b'{"commit":"../../x"}')


def _tested(body: Callable[[bytes], bytes]) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        key = _test_data(scene)
        scene.swap("dev", "lake", key, body(scene.body("dev", "lake", key)))

    return act


# ---- the ledger ----


def _event(number: int, **changed: Any) -> Callable[[Scene], None]:
    """An event is replaced without a trace."""

    def act(scene: Scene) -> None:
        scene.swap(
            "staging",
            "ledger",
            scene.event_key(number),
            scene.event(number).model_copy(update=changed).to_json(),
        )

    return act


def _forged(scene: Scene) -> None:
    """The first event and, so that the chain holds, the second: each as another version."""
    first = scene.event(1).model_copy(update={"actor": "arn:somebody-else"})
    second = scene.event(2).model_copy(update={"previous": sha256_bytes(first.to_json())})
    scene.overwrite("staging", "ledger", scene.event_key(1), first.to_json())
    scene.overwrite("staging", "ledger", scene.event_key(2), second.to_json())


def _event_gone(number: int) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("staging", "ledger").remove(scene.event_key(number))

    return act


def _event_hidden(number: int) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("staging", "ledger").delete(scene.event_key(number))

    return act


def _reordered(scene: Scene) -> None:
    first, second = (scene.body("staging", "ledger", scene.event_key(number)) for number in (1, 2))
    scene.swap("staging", "ledger", scene.event_key(1), second)
    scene.swap("staging", "ledger", scene.event_key(2), first)


def _inserted(scene: Scene) -> None:
    event = scene.event(2).model_copy(update={"seq": 4})
    scene.world.put(scene.name("staging", "ledger"), scene.event_key(4), event.to_json())


def _event_bytes(change: Callable[[bytes], bytes]) -> Callable[[Scene], None]:
    return lambda scene: scene.swap(
        "staging", "ledger", scene.event_key(2), change(scene.body("staging", "ledger", scene.event_key(2)))
    )


def _event_rots(scene: Scene) -> None:
    body = scene.body("staging", "ledger", scene.event_key(2))
    scene.bucket("staging", "ledger").overwrite(scene.event_key(2), body.replace(b"succeeded", b"succeedeD"))


def _other_ledger(scene: Scene) -> None:
    """An event of production's, with the right number and the right event before it."""
    _event(2, ledger=f"production/{MODEL}")(scene)


def _plan(change: Callable[[bytes], bytes] | None) -> Callable[[Scene], None]:
    """A third event, with a plan; then the plan is changed, or taken away."""

    def act(scene: Scene) -> None:
        names, body = scene.world.names("staging"), canonical_json({"format": 1})
        last = scene.event(2)
        event = last.model_copy(
            update={"seq": 3, "previous": sha256_bytes(last.to_json()), "plan": sha256_bytes(body), "ledger": ""}
        )
        scene.world.put(scene.name("staging", "ledger"), scene.event_key(3), event.to_json())
        if change is not None:
            scene.world.put(scene.name("staging", "ledger"), names.plan_key(sha256_bytes(body)), change(body))

    return act


# ---- approvals ----


def _approval(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Scene], None]:
    """The record is edited where it lies."""

    def act(scene: Scene) -> None:
        (key,) = scene.approvals()
        scene.swap("staging", "ledger", key, canonical_json(change(json.loads(scene.body("staging", "ledger", key)))))

    return act


def _renamed_approval(**changed: Any) -> Callable[[Scene], None]:
    """The record is edited, and given the name that its new bytes should have."""

    def act(scene: Scene) -> None:
        (key,) = scene.approvals()
        body = canonical_json({**json.loads(scene.body("staging", "ledger", key)), **changed})
        scene.bucket("staging", "ledger").remove(key)
        name = f"{key.rpartition('-')[0]}-{sha256_bytes(body)[:12]}.json"
        scene.world.put(scene.name("staging", "ledger"), name, body)

    return act


def _only(act: Callable[[Scene], object]) -> Callable[[Scene], None]:
    """Instead of the approval that is there."""

    def change(scene: Scene) -> None:
        for key in scene.approvals():
            scene.bucket("staging", "ledger").remove(key)
        act(scene)

    return change


def _moved_approval(scene: Scene) -> None:
    """The approval of another artifact, put where those of this one lie."""
    key = _approve(scene, sha256=scene.world.trained[1])
    body = scene.body("staging", "ledger", key)
    moved = key.replace(scene.world.trained[1], scene.sha256)
    scene.world.put(scene.name("staging", "ledger"), moved, body)


def _approval_twice(scene: Scene) -> None:
    (key,) = scene.approvals()
    scene.overwrite("staging", "ledger", key, scene.body("staging", "ledger", key))


def _approval_hidden(scene: Scene) -> None:
    """A rejection that somebody would rather not have there."""
    scene.bucket("staging", "ledger").delete(_approve(scene, "reject", by=BOB.replace("bob", "carol")))


Tampers = dict[str, tuple[Callable[[Scene], object], int, str]]

ARTIFACT: Tampers = {
    "a byte of the artifact": (_artifact(b"artifact 4"), BYTES, "digests"),
    "the artifact is longer": (_artifact(b"artifact 3 and more"), BYTES, "digests"),
    "the artifact is empty": (_artifact(b""), BYTES, "digests"),
    "another version's artifact": (_artifact(b"artifact 2"), BYTES, "digests"),
    "the artifact is overwritten": (_over("artifact", b"artifact 4"), BYTES, "overwritten"),
    "the artifact is overwritten with itself": (_over("artifact", b"artifact 3"), BYTES, "overwritten"),
    "the artifact is missing": (_gone("artifact"), BYTES, "missing"),
    "the artifact is hidden": (_hidden("artifact"), BYTES, "deleted"),
    "the metrics are missing": (_gone("metrics"), BYTES, "missing"),
    "the metrics are hidden": (_hidden("metrics"), BYTES, "deleted"),
    "better metrics": (_over("metrics", b'{"accuracy":0.999}'), BYTES, "overwritten"),
    "the metrics rot": (_rot("metrics", b'{"accuracy":0.99}'), GATE, "the metrics could not be read"),
    "another baseline": (_over("statistics", b'{"version":4}'), BYTES, "overwritten"),
    "other constraints": (_over("constraints", b'{"of":4}'), BYTES, "overwritten"),
    "the constraints are hidden": (_hidden("constraints"), BYTES, "deleted"),
    "another artifact lies in the target": (_there_already("artifact", b"artifact 4"), BYTES, ""),
    "other metrics lie in the target": (_there_already("metrics", b'{"accuracy":0.999}'), BYTES, ""),
    "another signature lies in the target": (_there_already("signature", b"{}"), BYTES, ""),
}
PACKAGE: Tampers = {
    "the package names another version's artifact": (_swapped, GATE, "approvals"),
    "the package names an artifact that nobody has": (_metadata(artifact_sha256="f" * 64), BYTES, "missing"),
    "the package names no artifact": (_without("artifact_sha256"), BYTES, "does not say which artifact"),
    "the package names other data": (_metadata(dataset_commit="f" * 64), BYTES, "data"),
    "the package names another data set": (_metadata(dataset="other"), BYTES, "data"),
    "the package names no training job": (_without("training_job"), GATE, "the training job"),
    "the package names no code": (_without("source_sha256"), GATE, "the code"),
    "the package names another image": (_no_pin, GATE, "was registered with"),
    "the package has no model": (lambda scene: scene.package().pop("InferenceSpecification"), BYTES, "not registered"),
    "the image is gone": (_no_image, GATE, "is not in the registry"),
    "the image has new findings": (_findings, GATE, "image scan"),
    "the target's pointer names another artifact": (_points_to(1), BYTES, "another artifact"),
    "the target's pointer is no pointer": (_points_to(None), BYTES, "names no version"),
}
SIGNATURE: Tampers = {
    "no signature": (_gone("signature"), BYTES, "is not signed"),
    "a byte of the signature": (
        _signed(lambda _, found: bundle.dump(replace(found, signature=_flip(found.signature)))),
        BYTES,
        "did not sign this",
    ),
    "a byte of what was signed": (
        _signed(lambda _, found: bundle.dump(replace(found, payload=_flip(found.payload)))),
        BYTES,
        "did not sign this",
    ),
    "another artifact's signature": (
        _signed(lambda scene, _: scene.body("dev", "artifacts", scene.key("signature", 2))),
        BYTES,
        "another artifact",
    ),
    "another model's signature": (
        _signed(lambda scene, _: _made_by(scene, "dev", "other", scene.sha256)),
        BYTES,
        "signed as model",
    ),
    "a later stage's key": (
        _signed(lambda scene, _: _made_by(scene, "production", MODEL, scene.sha256)),
        BYTES,
        "not trusted here",
    ),
    "another key under the right name": (
        _signed(lambda scene, found: _made_by(scene, "production", MODEL, scene.sha256, hint=found.hint)),
        BYTES,
        "did not sign this",
    ),
    "a signature of another kind": (_signed(lambda *_: b'{"mediaType":"x"}'), BYTES, "media type"),
    "a signature that is no JSON": (_signed(lambda *_: b"[" * 5000), BYTES, "signature"),
    "a signature of a megabyte": (_signed(lambda *_: b" " * 1024 * 1024), BYTES, "no signature is longer"),
    "the signature is overwritten": (_over("signature", b"{}"), BYTES, "media type"),
}
DATA: Tampers = {
    "a data file is another": (_lake("file", lambda _: b"9"), BYTES, ""),
    "a data file is missing": (_lake_gone("file"), BYTES, ""),
    "the file list is another": (_lake("list", _files({"a.csv": b"9", "b.csv": b"2"})), BYTES, "file list"),
    "the file list has less": (_lake("list", _files({"a.csv": b"1"})), BYTES, "file list"),
    "the file list has more": (_lake("list", _files({"a.csv": b"1", "b.csv": b"2", "c": b""})), BYTES, "file list"),
    "the file list is no gzip": (_lake("list", lambda _: b"x"), BYTES, "cannot be unpacked"),
    "the file list is missing": (_lake_gone("list"), BYTES, "is missing"),
    "the header is another": (_lake("header", lambda s: replace(s.commit, author="evil").to_json()), BYTES, "header"),
    "the header is another commit's": (_lake("header", lambda _: b"{}"), BYTES, "header"),
    "the header is missing": (_lake_gone("header"), BYTES, "data"),
    "another file lies in the target": (_target_file, BYTES, ""),
    "another header lies in the target": (_target_header, BYTES, "header"),
    "the target's ref is no ref": (_target_ref, BYTES, "does not say where it points"),
    "the data test of another commit": (lambda scene: _test_data(scene, commit="f" * 64), GATE, "is about"),
    "the data test that failed was edited": (
        _tested(lambda body: body.replace(b'"passed":true', b'"passed":false')),
        GATE,
        "contradicts itself",
    ),
    "the data test is no JSON": (_tested(lambda _: b"[" * 5000), GATE, "cannot be read"),
}
LEDGER: Tampers = {
    "an event was edited": (_event(1, actor="arn:somebody-else"), BYTES, "chain breaks"),
    "the last event was edited": (_event(2, previous="f" * 64), BYTES, "chain breaks"),
    "an event was edited and the chain made anew": (_forged, BYTES, "several versions"),
    "an event is missing": (_event_gone(1), BYTES, "where event 1 should be"),
    "an event is hidden": (_event_hidden(1), BYTES, "event"),
    "the last event is hidden": (_event_hidden(2), BYTES, "event"),
    "events were put in another order": (_reordered, BYTES, "holds another event"),
    "an event was added out of order": (_inserted, BYTES, "where event 3 should be"),
    "an event of another ledger": (_other_ledger, BYTES, "holds another event"),
    "an event with another field": (_event_bytes(lambda body: b'{"x":1,' + body[1:]), BYTES, "not a ledger event"),
    "an event with a key twice": (_event_bytes(lambda body: b'{"actor":"x",' + body[1:]), BYTES, "not a ledger event"),
    "an event with spaces": (_event_bytes(lambda body: body + b" "), BYTES, "not a ledger event"),
    "an event that is cut off": (_event_bytes(lambda body: body[:-9]), BYTES, "not a ledger event"),
    "an event rots": (_event_rots, BYTES, ""),
    "the network's settings were edited": (
        lambda scene: scene.swap("staging", "artifacts", NETWORK_KEY, b'{"subnets":["subnet-evil"]}'),
        BYTES,
        "does not say where jobs run",
    ),
}
APPROVALS: Tampers = {
    "no approval": (_only(lambda _: None), GATE, "0 of 1"),
    "an approval that was edited": (_approval(lambda said: {**said, "by": "arn:x"}), GATE, "not the decision"),
    "an approval for another target": (
        _renamed_approval(target="production"),
        GATE,
        "0 of 1",
    ),
    "an approval of another artifact": (_only(lambda s: _approve(s, sha256=s.world.trained[1])), GATE, "0 of 1"),
    "an approval that was moved to another artifact": (_only(_moved_approval), GATE, "not the decision"),
    "an approval of another model": (_renamed_approval(model="other"), GATE, "not the decision"),
    "an approval that expired": (_only(lambda scene: _approve(scene, hours=73)), GATE, "expired"),
    "an approval whose end was put off": (
        _only(lambda s: (_approve(s, hours=73), _renamed_approval(expires="2027-01-01T00:00:00Z")(s))),
        GATE,
        "expired",
    ),
    "an approval of tomorrow": (_only(lambda scene: _approve(scene, hours=-24)), GATE, "yet to come"),
    "an approval by who promotes": (_only(lambda s: _approve(s, by=BOB.replace("bob", "alice"))), GATE, "who asks"),
    "an approval that was overwritten": (_approval_twice, GATE, "overwritten or deleted"),
    "a rejection that was deleted": (_approval_hidden, GATE, "overwritten or deleted"),
    "a rejection": (lambda s: _approve(s, "reject", by=BOB.replace("bob", "carol")), GATE, "rejected by"),
    "an approval that is no JSON": (_approval(lambda _: {"a": 1}), GATE, "not the decision"),
}
EVERYTHING = {**ARTIFACT, **PACKAGE, **SIGNATURE, **DATA, **LEDGER, **APPROVALS}
"""What is done, how the promotion ends (7: bytes are not what they should be, 3: a gate refuses), and what it says."""


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_was_tampered_with_is_refused_before_it_is_registered(scene: Scene, name: str) -> None:
    tamper, code, says = EVERYTHING[name]
    tamper(scene)
    state = {one: scene.world.aws.sagemaker.state[one] for one in ("222222222222",)}
    before = _of_sagemaker(state)
    scene.world.aws.calls.clear()
    done = scene.world.cli(*PROMOTE)
    assert done.code == code, done.err
    assert says in done.err
    assert done.out == "", "nothing that a script would take for a release"
    assert not CHANGES_WHAT_RUNS & {call.operation for call in scene.world.aws.calls}
    assert _of_sagemaker(state) == before
    assert scene.bucket("staging", "ledger").newest(scene.event_key(3)) is None


def _of_sagemaker(state: Any) -> list[Any]:
    return [
        (sorted(one.models), sorted(one.configs), {n: g.last for n, g in one.groups.items()}, one.endpoints)
        for one in state.values()
    ]


def test_there_are_enough_of_them() -> None:
    assert len(EVERYTHING) >= 50
    assert sum(code == BYTES for _, code, _ in EVERYTHING.values()) >= 50


BEHIND: Tampers = {
    **{name: tamper for name, tamper in LEDGER.items() if "network" not in name},
    "a plan was edited": (_plan(lambda body: body + b" "), BYTES, "was edited"),
    "a plan is missing": (_plan(None), BYTES, "is missing"),
    "an approval was edited": (_approval(lambda said: {**said, "by": "arn:x"}), BYTES, "was edited"),
    "an approval was overwritten": (_approval_twice, BYTES, "overwritten"),
    "a rejection was deleted": (_approval_hidden, BYTES, "deleted"),
    "something that does not belong there": (
        lambda s: s.world.put(s.name("staging", "ledger"), f"{MODEL}/notes.txt", b"x"),
        BYTES,
        "is no event",
    ),
}


@pytest.mark.parametrize("name", BEHIND)
def test_ledger_verify_finds_it(scene: Scene, name: str) -> None:
    BEHIND[name][0](scene)
    done = scene.world.cli(*VERIFY)
    assert done.code == BYTES, done.out


@pytest.mark.parametrize("what", ["manifest", "list"])
def test_what_lies_in_the_target_before_its_header_does_is_made_anew(scene: Scene, what: str) -> None:
    """Nothing of a commit counts before its header is there; then all of it is right."""
    {"manifest": _target_manifest, "list": _target_list}[what](scene)
    done = scene.world.cli("promote", "dataset", DATASET, "--to", "staging", "--yes")
    assert done.code == 0, done.err
    left, right = (scene.body(stage, "lake", scene.lake(what)) for stage in ("staging", "dev"))
    assert b"elsewhere" not in left
    assert what == "manifest" or left == right


def test_approved_is_what_was_released_before(scene: Scene) -> None:
    """What the next stage asks for cannot be had by editing the package of this one alone: its ledger knows nothing."""
    scene.world.train(scene.commit, stage="staging")
    scene.package("staging", 1)["ModelApprovalStatus"] = APPROVED
    done = scene.world.cli("promote", "model", f"{MODEL}@1", "--to", "production", "--yes")
    assert done.code != 0
