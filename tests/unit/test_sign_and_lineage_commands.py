"""``mlops-kit sign`` and ``mlops-kit lineage``, as they are called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_kit import signing
from mlops_kit.datasets.records import Commit
from tests.aws.world import World

EARLIER, SIGNED = b"id\n1\n", b"id\n1\n2\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "project", environments={"dev": {"signing": {}}}) as found:
        found.aws.kms.add_key("111111111111", "alias/acme-dev-signing")
        found.aws.sagemaker.operations["DescribeTrainingJob"] = lambda *_: {"TrainingJobStatus": "Completed"}
        yield found


@pytest.fixture
def commit(world: World) -> Commit:
    """Of one file; version 1 was trained on it."""
    made = world.commit("dev", {"a.csv": EARLIER})
    assert world.train(made) == 1
    return made


def test_sign_once_and_check(world: World, commit: Commit) -> None:
    assert world.cli("sign", "churn@1", "--env", "dev", "--check").code == 7
    first = world.cli("sign", "churn@1", "--env", "dev")
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("churn@1 signed by arn:aws:kms:us-east-1:111111111111:key/")
    assert "was signed already" in world.cli("sign", "churn@1").out, "the first stage, where none is named"
    checked = world.cli("sign", "churn@1", "--check")
    assert (checked.code, "is signed by arn:aws:kms" in checked.out) == (0, True)
    assert world.cli("sign", "churn@1", "--json").json["new"] is False


def test_a_changed_signature_ends_with_7(world: World, commit: Commit) -> None:
    world.cli("sign", "churn@1")
    names = world.names("dev")
    key = names.signature_key(world.trained[0])
    bucket = world.aws.buckets[names.environment.bucket("artifacts")]
    bucket.remove(key)
    world.put(names.environment.bucket("artifacts"), key, b"{}")
    for arguments in (["--check"], []):
        done = world.cli("sign", "churn@1", *arguments)
        assert done.code == 7
        assert "media type" in done.err
    found = world.cli("sign", "churn@1", "--check", "--json")
    assert (found.code, found.json["valid"]) == (7, False)


def test_a_later_stage_trusts_the_key_of_the_first(world: World, commit: Commit) -> None:
    world.cli("sign", "churn@1")
    production, names = world.stage("production"), world.names("dev")
    store = world.cloud("production").store("artifacts", world.stage("dev"))
    keys = signing.trusted(world.cloud("production"), world.project, production)
    assert signing.verify_signature(store, names, world.trained[0], keys).valid


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sign", "churn@1", "--env", "staging"], "There is no churn@1 in staging"),
        (["sign", "churn@latest-approved"], "does not name one version"),
        (["sign", "churn@7"], "There is no churn@7"),
        (["lineage", "--in", "dev"], "one of the two"),
        (["lineage", "churn@1", "--data", "customers", "--in", "dev"], "one of the two"),
        (["lineage", "churn@1", "--in", "dev", "--json", "--mermaid"], "choose one"),
        (["lineage", "--data", "customers", "--in", "dev", "--openlineage"], "name a model"),
        (["lineage", "churn", "--in", "dev"], "Nothing was released"),
        (["lineage", "churn@latest-approved", "--in", "dev"], "does not name one version"),
        (["lineage", "nothing@1", "--in", "dev"], "There is no model 'nothing'"),
        (["lineage", "--data", "customers@feature", "--in", "dev"], "feature"),
    ],
)
def test_usage(world: World, commit: Commit, arguments: list[str], expected: str) -> None:
    done = world.cli(*arguments)
    assert done.code == 2
    assert expected in done.err
    assert done.out == ""


def test_an_environment_without_a_key(tmp_path: Path) -> None:
    with World(tmp_path / "project") as world:
        world.train(world.commit("dev", {"a.csv": EARLIER}))
        done = world.cli("sign", "churn@1")
    assert done.code == 2
    assert "signing: {}" in done.err


def test_the_tree_is_plain_text_where_nobody_looks(world: World, commit: Commit) -> None:
    done = world.cli("lineage", "churn@1", "--in", "dev")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "version churn@1 in dev (PendingManualApproval)"
    assert "\x1b" not in done.out
    assert f"trained on data customers@{commit.id[:12]}" in done.out
    assert "holds file a.csv (5 bytes)" in done.out
    assert "a.csv" not in world.cli("lineage", "churn@1", "--in", "dev", "--files", "0").out


def test_the_other_ways_to_print(world: World, commit: Commit) -> None:
    ask = ("lineage", "churn@1", "--in", "dev")
    assert world.cli(*ask, "--mermaid").out.startswith('flowchart LR\n    n0["version churn@1 in dev')
    events: Any = world.cli(*ask, "--openlineage").json
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"]
    whole: Any = world.cli(*ask, "--json", "--files", "0").json
    assert "file" in {node["kind"] for node in whole["nodes"]}, "all of them"
    assert whole["root"] == world.names("dev").package_arn(1)


def test_forward_from_a_branch(world: World, commit: Commit) -> None:
    later = world.commit("dev", {"a.csv": SIGNED}, commit.id, 1)
    world.train(later)
    done = world.cli("lineage", "--data", "customers", "--in", "dev", "--json")
    labels = [node["label"].split(" ")[0] for node in json.loads(done.out)["nodes"]]
    assert labels == [f"customers@{later.id[:12]}", "churn@2"]
    done = world.cli("lineage", "--data", f"customers@{commit.id[:12]}", "--in", "dev")
    assert "trained version churn@1" in done.out
    assert "churn@2" not in done.out
