"""What is done to the records of an environment: events, plans and approvals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mlops_kit.objects import canonical_json, sha256_bytes
from tests.aws.project import MODEL
from tests.tampers.scene import BOB, Scene, approve

# ---- the ledger ----


def edited_event(number: int, **changed: Any) -> Callable[[Scene], None]:
    """An event is replaced without a trace."""

    def act(scene: Scene) -> None:
        scene.swap(
            "staging",
            "ledger",
            scene.event_key(number),
            scene.event(number).model_copy(update=changed).to_json(),
        )

    return act


def forged(scene: Scene) -> None:
    """The first event and, so that the chain holds, the second: each as another version."""
    first = scene.event(1).model_copy(update={"actor": "arn:somebody-else"})
    second = scene.event(2).model_copy(update={"previous": sha256_bytes(first.to_json())})
    scene.overwrite("staging", "ledger", scene.event_key(1), first.to_json())
    scene.overwrite("staging", "ledger", scene.event_key(2), second.to_json())


def event_gone(number: int) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("staging", "ledger").remove(scene.event_key(number))

    return act


def event_hidden(number: int) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.bucket("staging", "ledger").delete(scene.event_key(number))

    return act


def reordered(scene: Scene) -> None:
    first, second = (scene.body("staging", "ledger", scene.event_key(number)) for number in (1, 2))
    scene.swap("staging", "ledger", scene.event_key(1), second)
    scene.swap("staging", "ledger", scene.event_key(2), first)


def inserted(scene: Scene) -> None:
    event = scene.event(2).model_copy(update={"seq": 4})
    scene.world.put(scene.name("staging", "ledger"), scene.event_key(4), event.to_json())


def event_bytes(change: Callable[[bytes], bytes]) -> Callable[[Scene], None]:
    return lambda scene: scene.swap(
        "staging", "ledger", scene.event_key(2), change(scene.body("staging", "ledger", scene.event_key(2)))
    )


def event_rots(scene: Scene) -> None:
    body = scene.body("staging", "ledger", scene.event_key(2))
    scene.bucket("staging", "ledger").overwrite(scene.event_key(2), body.replace(b"succeeded", b"succeedeD"))


def other_ledger(scene: Scene) -> None:
    """An event of production's, with the right number and the right event before it."""
    edited_event(2, ledger=f"production/{MODEL}")(scene)


def plan_behind(change: Callable[[bytes], bytes] | None) -> Callable[[Scene], None]:
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


def plan_twice(scene: Scene) -> None:
    plan_behind(lambda body: body)(scene)
    (key,) = _plans(scene)
    scene.overwrite("staging", "ledger", key, b"{}")


def plan_hidden(scene: Scene) -> None:
    plan_behind(lambda body: body)(scene)
    (key,) = _plans(scene)
    scene.bucket("staging", "ledger").delete(key)


def plan_moved(scene: Scene) -> None:
    plan_behind(lambda body: body)(scene)
    (key,) = _plans(scene)
    body = scene.body("staging", "ledger", key)
    scene.bucket("staging", "ledger").remove(key)
    scene.world.put(scene.name("staging", "ledger"), key.replace(MODEL, "other"), body)


def _plans(scene: Scene) -> list[str]:
    prefix = scene.world.names("staging").plans_prefix
    return [key for key in scene.bucket("staging", "ledger").snapshot_versions() if key.startswith(prefix)]


def planned(body: bytes) -> Callable[[Scene], None]:
    """Something has the name of the plan that is about to be made."""

    def act(scene: Scene) -> None:
        dry = scene.world.cli("promote", "model", f"{MODEL}@3", "--to", "staging", "--dry-run", "--json")
        key = scene.world.names("staging").plan_key(dry.json["id"])
        scene.world.put(scene.name("staging", "ledger"), key, body)

    return act


# ---- approvals ----


def edited_approval(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Scene], None]:
    """The record is edited where it lies."""

    def act(scene: Scene) -> None:
        (key,) = scene.approvals()
        scene.swap("staging", "ledger", key, canonical_json(change(json.loads(scene.body("staging", "ledger", key)))))

    return act


def renamed_approval(**changed: Any) -> Callable[[Scene], None]:
    """The record is edited, and given the name that its new bytes should have."""

    def act(scene: Scene) -> None:
        (key,) = scene.approvals()
        body = canonical_json({**json.loads(scene.body("staging", "ledger", key)), **changed})
        scene.bucket("staging", "ledger").remove(key)
        name = f"{key.rpartition('-')[0]}-{sha256_bytes(body)[:12]}.json"
        scene.world.put(scene.name("staging", "ledger"), name, body)

    return act


def only(act: Callable[[Scene], object]) -> Callable[[Scene], None]:
    """Instead of the approval that is there."""

    def change(scene: Scene) -> None:
        for key in scene.approvals():
            scene.bucket("staging", "ledger").remove(key)
        act(scene)

    return change


def moved_approval(scene: Scene) -> None:
    """The approval of another artifact, put where those of this one lie."""
    key = approve(scene, sha256=scene.world.trained[1])
    body = scene.body("staging", "ledger", key)
    moved = key.replace(scene.world.trained[1], scene.sha256)
    scene.world.put(scene.name("staging", "ledger"), moved, body)


def approval_twice(scene: Scene) -> None:
    (key,) = scene.approvals()
    scene.overwrite("staging", "ledger", key, scene.body("staging", "ledger", key))


def approval_hidden(scene: Scene) -> None:
    """A rejection that somebody would rather not have there."""
    scene.bucket("staging", "ledger").delete(approve(scene, "reject", by=BOB.replace("bob", "carol")))
