"""What was tampered with is not released: found before anything is registered or deployed, each with its exit code.

Staging asks for a signature, a data test, a scan of the image and one approval; everything of version 3 is there, and
two releases are in the ledger. Each test changes one thing, as somebody who may write to the source, to the target, or
to both might (``tests.tampers``).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlops_kit.registry import APPROVED
from tests.aws.project import DATASET, MODEL
from tests.tampers import acts
from tests.tampers.scene import Scene, untouched
from tests.tampers.table import BEHIND, BYTES, EVERYTHING, LEDGER, PROMOTE, VERIFY, refusal


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with untouched(tmp_path_factory.mktemp("world")) as scene:
        yield scene


@pytest.fixture
def scene(made: Scene) -> Scene:
    made.world.aws.restore(made.saved)
    made.world.aws.calls.clear()
    return made


def test_untouched_it_passes_every_gate(scene: Scene) -> None:
    done = scene.world.cli(*PROMOTE[:-1], "--dry-run", "--json")
    assert done.code == 0, done.err
    assert {verdict["gate"] for verdict in done.json["gates"]} >= {"signature", "data checks", "approvals", "digests"}
    assert scene.world.cli(*VERIFY).code == 0


def test_a_signature_may_be_made_anew(scene: Scene) -> None:
    """With another key, say: it vouches for itself."""
    body = scene.body("dev", "artifacts", scene.key("signature"))
    acts.hidden("signature")(scene)
    assert scene.world.cli(*PROMOTE).code == BYTES
    scene.overwrite("dev", "artifacts", scene.key("signature"), body)
    assert scene.world.cli(*PROMOTE[:-1], "--dry-run").code == 0


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_was_tampered_with_is_refused_before_it_is_registered(scene: Scene, name: str) -> None:
    assert refusal(scene, name) == []


def test_there_are_enough_of_them() -> None:
    assert len(EVERYTHING) >= 50
    assert sum(code == BYTES for _, code, _ in EVERYTHING.values()) >= 50


@pytest.mark.parametrize("name", BEHIND)
def test_ledger_verify_finds_it(scene: Scene, name: str) -> None:
    tamper, code, says = BEHIND[name]
    tamper(scene)
    done = scene.world.cli(*VERIFY)
    assert done.code == code, done.out
    assert name in LEDGER or says in done.err  # of events, promotions say it in other words


@pytest.mark.parametrize("what", ["manifest", "list"])
def test_what_lies_in_the_target_before_its_header_does_is_made_anew(scene: Scene, what: str) -> None:
    """Nothing of a commit counts before its header is there; then all of it is right."""
    {"manifest": acts.target_manifest, "list": acts.target_list}[what](scene)
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
