"""``approve``, ``reject``, ``unlock``, ``ledger verify`` and ``history``, on a loopback S3 instead of a cloud."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from mlops_kit import registry
from mlops_kit.cli.run import run
from mlops_kit.cli.session import Session
from mlops_kit.config import Environment
from mlops_kit.errors import NotFoundError
from mlops_kit.naming import EnvironmentNames, ModelNames
from mlops_kit.objects import Store
from mlops_kit.promotion import lock
from mlops_kit.promotion.events import CountedApproval, Override
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.registry import Lineage
from tests.ledgers import event, release
from tests.s3 import Fault, LoopbackS3
from tests.stores import store_of

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "222222222222"
ENVIRONMENT = EnvironmentNames("acme", "staging", ACCOUNT, "us-east-1")
NAMES = ENVIRONMENT.model("diagnosis")
SHA = "a" * 64
BOB = f"arn:aws:sts::{ACCOUNT}:assumed-role/acme-staging-approver/bob@example.com"


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cloud:
    """What the commands see of the environment."""

    s3: LoopbackS3
    actor: str = BOB
    sagemaker: object = None

    def store(self, kind: Any, of: object = None) -> Store:
        return store_of(self.s3, ENVIRONMENT.bucket(kind))


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    with LoopbackS3({ENVIRONMENT.bucket("ledger"): ACCOUNT, ENVIRONMENT.bucket("artifacts"): ACCOUNT}) as s3:
        made = Cloud(s3)

        def connected(session: Session, environment: Environment) -> Cloud:
            assert environment.name == "staging"
            return made

        def read(sagemaker: object, names: ModelNames, version: int) -> Any:
            if version > 3:
                raise NotFoundError(f"There is no {names.model}@{version} in {names.environment.environment}.")
            lineage = Lineage("biopsies", "c" * 64, "", "", "job", SHA if version < 3 else "")
            return SimpleNamespace(name=f"diagnosis@{version}", arn="arn:of:it", lineage=lineage)

        monkeypatch.setattr(Session, "cloud", connected)
        monkeypatch.setattr(registry, "read_version", read)
        yield made


Cli = Callable[..., Result]


@pytest.fixture
def cli(cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*arguments: str) -> Result:
        code = run(["--project", str(tmp_path), *arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def demand(tmp_path: Path, required: int) -> None:
    path = tmp_path / "environments" / "staging.yaml"
    path.write_text(f"{path.read_text()}\napprovals: {{required: {required}, expire_hours: 5}}\n")


# --- approve, reject


def test_an_approval_is_bound_to_the_artifact_and_to_who_gives_it(cli: Cli, cloud: Cloud, tmp_path: Path) -> None:
    demand(tmp_path, 2)
    done = cli("approve", "diagnosis@2", "--to", "staging", "--reason", "reviewed with the team")
    assert done.code == 0, done.err
    principal = f"{ACCOUNT}/assumed-role/acme-staging-approver/bob@example.com"
    assert done.out.startswith(f"approved diagnosis@2 ({SHA[:12]}) for staging as {principal} until ")
    assert f"diagnosis@2 of dev is artifact {SHA}" in done.err
    assert "1 of 2 approvals: pending" in done.err
    cloud.actor = BOB.replace("bob", "carol")
    second = cli("approve", "diagnosis@2", "--to", "staging", "--reason", "me too", "--json")
    assert (second.json["state"], second.json["counted"], second.json["needed"]) == ("approved", 2, 2)
    said = second.json["decision"]
    assert (said["kind"], said["artifact_sha256"], said["by"], said["target"]) == (
        "approve",
        SHA,
        cloud.actor,
        "staging",
    )
    given = datetime.fromisoformat(said["expires"]) - datetime.fromisoformat(said["time"])
    assert given.total_seconds() == 5 * 3600
    assert cloud.store("ledger").get(second.json["key"])


def test_a_rejection_is_recorded_too(cli: Cli) -> None:
    done = cli("reject", "diagnosis@2", "--to", "staging", "--reason", "the data is biased", "--json")
    assert (done.code, done.json["state"], done.json["decision"]["expires"]) == (0, "rejected", None)
    again = cli("reject", "diagnosis@2", "--to", "staging", "--reason", "still")
    assert again.out.startswith(f"rejected diagnosis@2 ({SHA[:12]}) for staging as ")
    assert "until" not in again.out


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["approve", "diagnosis@2", "--to", "staging"], 2, "Missing option '--reason'"),
        (["approve", "diagnosis@2", "--to", "staging", "--reason", " "], 2, "a line of text"),
        (["approve", "diagnosis@latest-approved", "--to", "staging", "--reason", "x"], 2, "is not one version"),
        (["approve", "diagnosis", "--to", "staging", "--reason", "x"], 2, "does not name a model version"),
        (["approve", "diagnosis@9", "--to", "staging", "--reason", "x"], 2, "There is no diagnosis@9 in dev"),
        (["approve", "diagnosis@3", "--to", "staging", "--reason", "x"], 7, "does not say which artifact it is"),
        (["approve", "churn@1", "--to", "staging", "--reason", "x"], 2, "There is no model 'churn'"),
        (["unlock", "diagnosis", "--in", "staging", "--id", "1"], 2, "Nobody holds the lock"),
        (["unlock", "diagnosis", "--in", "staging"], 2, "Missing option '--id'"),
        (["ledger", "verify", "churn", "--in", "staging"], 2, "There is no model 'churn'"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments: list[str], code: int, expected: str, cli: Cli, cloud: Cloud) -> None:
    done = cli(*arguments)
    assert (done.code, expected in done.err, done.out) == (code, True, ""), done.err
    assert not any(call.operation == "PutObject" for call in cloud.s3.calls)


def test_who_is_no_approver_is_told_who_is(cli: Cli, cloud: Cloud) -> None:
    cloud.s3.faults.append(Fault("denied", operation="PutObject"))
    done = cli("approve", "diagnosis@2", "--to", "staging", "--reason", "x")
    assert done.code == 6
    assert "role/acme-staging-approver" in done.err


# --- unlock


def test_unlock_releases_the_lock_of_this_id_only(cli: Cli, cloud: Cloud) -> None:
    held = lock.acquire(cloud.store("artifacts"), NAMES, what="promote diagnosis@2", holder=BOB, now=datetime.now(UTC))
    refused = cli("unlock", "diagnosis", "--in", "staging", "--id", "wrong")
    assert refused.code == 4
    assert BOB in refused.err
    held.check()
    done = cli("unlock", "diagnosis", "--in", "staging", "--id", held.holder.id, "--json")
    assert done.json["released"]["what"] == "promote diagnosis@2"
    assert lock.show(cloud.store("artifacts"), NAMES) is None
    held = lock.acquire(cloud.store("artifacts"), NAMES, what="again", holder=BOB, now=datetime.now(UTC))
    assert (
        cli("unlock", "diagnosis", "--in", "staging", "--id", held.holder.id).out == "unlocked diagnosis in staging\n"
    )


# --- ledger verify, history


def story(cloud: Cloud) -> None:
    book = Ledger(cloud.store("ledger"), NAMES)

    def say(number: int, action: Any = "promotion", **fields: Any) -> None:
        made = release(number, "x").model_copy(update={"config": NAMES.release(f"{number:064x}"[::-1])})
        book.append(book.events(), event(number, action, release=made, **fields))

    say(1, source="dev diagnosis@1", duration_seconds=61)
    say(
        2,
        source="dev diagnosis@2",
        overrides=(Override(gate="soak", reason="urgent"),),
        approvals=(CountedApproval(key=NAMES.approval_key(SHA, datetime.now(UTC), SHA), sha256=SHA, by=BOB),),
    )
    say(1, "rollback", source="release r2", took_over="somebody")


def test_verify_names_what_is_wrong_and_what_to_do(cli: Cli, cloud: Cloud) -> None:
    book = Ledger(cloud.store("ledger"), NAMES)
    made = release(1, "x").model_copy(update={"config": NAMES.release("0" * 64)})
    book.append((), event(1, release=made))
    done = cli("ledger", "verify", "diagnosis", "--in", "staging")
    assert (done.code, done.out, done.err) == (0, "diagnosis: 1 events, 0 plans, 0 approvals: intact\n", "")
    assert cli("ledger", "verify", "--in", "staging").out == done.out
    cloud.s3.buckets[ENVIRONMENT.bucket("ledger")].delete(NAMES.ledger_key(1))
    uri = f"s3://{ENVIRONMENT.bucket('ledger')}/diagnosis/00000001.json"
    for arguments in (["diagnosis"], []):
        done = cli("ledger", "verify", *arguments, "--in", "staging")
        assert done.code == 7
        assert f"{uri} was deleted: a delete marker hides it" in done.out
        assert uri in done.err
        assert "aws s3api delete-object" in done.err
    found = cli("ledger", "verify", "--in", "staging", "--json")
    (model,) = found.json["models"]
    assert (found.code, model["intact"], model["findings"][0]["uri"], found.json["strays"]) == (7, False, uri, [])


def test_history_shows_who_did_what_and_on_whose_word(cli: Cli, cloud: Cloud) -> None:
    story(cloud)
    lines = cli("history", "diagnosis", "--in", "staging").out.splitlines()
    assert lines[0].split()[:2] == ["#", "TIME"]
    rollback, second, first = lines[1:]
    assert "r1 after r2 (runs)" in rollback
    assert "took the lock over from somebody" in rollback
    assert "bob@example.com" in second
    assert "overrode soak; rolled back by #3" in second
    assert "61 s" in first


def test_history_as_json_is_newest_first_and_complete(cli: Cli, cloud: Cloud) -> None:
    story(cloud)
    found = cli("history", "diagnosis", "--in", "staging", "--json").json
    assert [(e["seq"], e["runs"], e["replaced"], e["rolled_back_by"]) for e in found] == [
        (3, True, "r2", None),
        (2, False, "r1", 3),
        (1, False, "", None),
    ]
    assert found[1]["approvals"][0]["by"] == BOB
    assert found[1]["overrides"] == [{"gate": "soak", "reason": "urgent"}]
