"""What is done to a version: objects, package, signature, data. Functions of a scene, or what makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlops_kit.datasets.manifest import sagemaker_manifest
from mlops_kit.datasets.records import compress
from mlops_kit.objects import canonical_json
from mlops_kit.signing import bundle, key_of
from mlops_kit.signing.keys import SigningKey
from tests import commits
from tests.aws.ecr import Image
from tests.aws.project import DATASET
from tests.aws.world import Named
from tests.tampers.scene import IMAGE, Scene, write_test

# ---- the artifact and what belongs to it ----


def artifact(body: bytes) -> Callable[[Scene], None]:
    return lambda scene: scene.swap("dev", "artifacts", scene.key("artifact"), body)


def rot(what: str, body: bytes) -> Callable[[Scene], None]:
    """Bytes change below S3, and the checksum that S3 has stays what it was."""
    return lambda scene: scene.bucket("dev", "artifacts").overwrite(scene.key(what), body)


def overwritten(what: str, body: bytes) -> Callable[[Scene], None]:
    return lambda scene: scene.overwrite("dev", "artifacts", scene.key(what), body)


def gone(what: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("dev", "artifacts").remove(scene.key(what))

    return act


def hidden(what: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("dev", "artifacts").delete(scene.key(what))

    return act


def there_already(what: str, body: bytes) -> Callable[[Scene], None]:
    """The target has something else where the copy belongs."""
    return lambda scene: scene.world.put(scene.name("staging", "artifacts"), scene.key(what), body)


def metadata(**changed: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.package()["CustomerMetadataProperties"].update(changed)

    return act


def without(name: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        del scene.package()["CustomerMetadataProperties"][name]

    return act


def swapped(scene: Scene) -> None:
    """Version 3 says that it is the artifact of version 2, which is signed as well, and not approved."""
    metadata(artifact_sha256=scene.world.trained[1])(scene)


def points_to(number: int | None) -> Callable[[Scene], None]:
    """Staging says that it has registered this artifact already, as ``number``, and that is another one."""

    def act(scene: Scene) -> None:
        scene.world.train(scene.commit, stage="staging", artifact_sha256=scene.world.trained[1])
        key = scene.world.names("staging").package_key(scene.sha256)
        body = b"[" * 5000 if number is None else canonical_json({"version": number, "arn": "arn"})
        scene.world.put(scene.name("staging", "artifacts"), key, body)

    return act


def signed(act: Callable[[Scene, bundle.Bundle], bytes]) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        key = scene.key("signature")
        found = bundle.parse(scene.body("dev", "artifacts", key))
        scene.swap("dev", "artifacts", key, act(scene, found))

    return change


def signing_key(scene: Scene, stage: str) -> SigningKey:
    with scene.world.acting():
        return key_of(scene.world.cloud(stage), scene.world.stage(stage))


def made_by(scene: Scene, stage: str, model: str, sha256: str, hint: str = "") -> bytes:
    key, payload = signing_key(scene, stage), bundle.statement(model, sha256)
    with scene.world.acting():
        return bundle.dump(bundle.Bundle(hint or key.public.hint, payload, key.sign(bundle.pae(payload))))


def flip(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def no_image(scene: Scene) -> None:
    del scene.world.aws.ecr.of("222222222222").repositories["acme/churn"][IMAGE]


def findings(scene: Scene) -> None:
    scene.world.aws.ecr.add_image("222222222222", "acme/churn", Image(IMAGE, findings={"CRITICAL": 1}))


# ---- the data ----


def lake_object(what: str, body: Callable[[Scene], bytes]) -> Callable[[Scene], None]:
    return lambda scene: scene.swap("dev", "lake", scene.lake(what), body(scene))


def lake_gone(what: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("dev", "lake").remove(scene.lake(what))

    return act


def listing(files: dict[str, bytes]) -> Callable[[Scene], bytes]:
    return lambda scene: compress(commits.entries(files).dump())


def target_file(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("file"), b"9")


def target_header(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("header"), replace(scene.commit, author="evil").to_json())


def target_list(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("list"), listing({"a.csv": b"9"})(scene))


def target_manifest(scene: Scene) -> None:
    lake: Any = Named("elsewhere")
    body = sagemaker_manifest(lake, DATASET, commits.entries({"a.csv": b"9"}))
    scene.world.put(scene.name("staging", "lake"), scene.lake("manifest"), body)


def target_ref(scene: Scene) -> None:
    scene.world.put(scene.name("staging", "lake"), scene.lake("ref"), b'{"commit":"../../x"}')


def tested(body: Callable[[bytes], bytes]) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        key = write_test(scene)
        scene.swap("dev", "lake", key, body(scene.body("dev", "lake", key)))

    return act
