"""The whole story on the local cloud, told by the commands a reader can repeat, every claim checked.

Data is tested and committed, a model is trained, promoted to staging, stopped before production until somebody approves
it, and serves. An object of the data is deleted, and the commit repaired. The model is replaced by a second version
trained on more data, meets shifted traffic, and is rolled back. A second attempt meets a client's broken requests, and
an alarm undoes it. The data is real: the Wisconsin breast cancer set that ships with scikit-learn. Each step prints its
command before running it; a claim that does not hold ends it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3

from mlops_kit import aws
from mlops_kit.aws import Cloud
from mlops_kit.config import Project
from mlops_kit.datasets import pointers
from mlops_kit.local import state
from mlops_kit.local.demo_data import Rows, biopsies, predict_directly, write
from mlops_kit.local.narrator import Narrator
from mlops_kit.local.state import Layout
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import sha256_file

MODEL = "diagnosis"
DATASET = "biopsies"
FIRST_ROWS = 400
SHIFT = 1.6
ALARM_SECONDS = 60.0


class Demo:
    """Runs commands, shows them, and checks what they did."""

    def __init__(
        self, project: Project, port: int | None, out: Callable[[str], None], *, enforce_iam: bool = False
    ) -> None:
        self._project = project
        self._up = [*(["--port", str(port)] if port else []), *(["--enforce-iam"] if enforce_iam else [])]
        self._tell = Narrator(project.root, out)
        self._directory = project.root / ".mlops-kit" / "demo"

    def run(self, keep: bool) -> None:
        """Tell the story; ``keep`` leaves the local cloud running at its end.

        Raises:
            ClaimError: a command failed that should not, or something is not as the story says.
        """
        started = time.monotonic()
        self._tell.title("An empty cloud: three environments, deployed by Terraform")
        self._tell.command("local", "down")
        self._tell.command("local", "up", *self._up)
        self._tell.say("$ export MLOPS_KIT_LOCAL=1")
        os.environ["MLOPS_KIT_LOCAL"] = "1"
        try:
            self._story()
        finally:
            if not keep:
                self._tell.command("local", "down")
        if not keep:
            self._tell.claim(state.read(Layout(self._project.root)) is None, "the local cloud is gone")
        self._tell.say(
            f"\nAll {self._tell.claims} claims held. The whole story took {time.monotonic() - started:.0f} s."
        )

    def _story(self) -> None:
        header, rows, labels = biopsies()
        sample = self._write("sample.csv", header, rows[::2], labels[::2])

        first = self._first_data(header, rows, labels)

        self._tell.title("A model, trained by a real job on exactly that commit")
        trained = self._tell.json("train", MODEL, "--json")
        self._tell.claim(trained["lineage"]["dataset_commit"] == first, "the version names its data commit")
        version = f"{MODEL}@{trained['version']}"
        self._tell.command("model", "list", MODEL)
        self._tell.command("drift", "baseline", version)

        self._tell.title("To staging, data and all; production is another matter")
        self._promote(version, "staging")
        self._tell.claim(self._main("staging") == first, "the data commit came along, under the same id")
        self._tell.command("promote", "model", version, "--to", "production", "--yes", expect=3)
        self._tell.claim(
            self._main("production") is None, "a gate blocks: nobody approved it (exit code 3), and nothing was written"
        )
        self._approve(version, "the first release; its metrics are fine")
        self._promote(version, "production")

        self._tell.title("Production predicts, and says what the trained model says")
        first_answers = self._predict("production", sample)
        self._tell.claim(
            first_answers == self._direct(trained["lineage"]["artifact_sha256"], rows[::2]),
            f"all {len(first_answers)} predictions equal those of the trained model loaded directly, bit for bit",
        )
        normal = self._tell.json("drift", "run", MODEL, "--in", "production", "--json")
        self._tell.claim(
            not normal["breached"], f"traffic like the training data is no drift (PSI {normal['worst']['psi']:.3f})"
        )

        self._more_data(header, rows, labels)
        self._slip(first, header, rows, labels)

        self._tell.title("A second version, the same road")
        second = self._tell.json("train", MODEL, "--json")
        version = f"{MODEL}@{second['version']}"
        self._tell.command("drift", "baseline", version)
        self._promote(version, "staging")
        self._approve(version, "trained on all rows, and no worse")
        self._promote(version, "production")
        second_answers = self._predict("production", sample)
        self._tell.claim(
            second_answers == self._direct(second["lineage"]["artifact_sha256"], rows[::2]),
            "production now answers as version 2 does",
        )
        self._tell.claim(second_answers != first_answers, "and version 2 answers differently from version 1")

        self._tell.title("The world shifts, and the alarm goes off")
        shifted = self._write("shifted.csv", header, [[value * SHIFT for value in row] for row in rows], labels)
        self._predict("production", shifted)
        report = self._tell.json("drift", "run", MODEL, "--in", "production", "--json")
        self._tell.claim(report["breached"], f"the shifted traffic is drift (PSI {report['worst']['psi']:.2f})")
        self._wait_for_alarm("drift")
        self._tell.command("alarms", "--in", "production")

        self._tell.title("Rolled back in one command")
        self._tell.command("rollback", MODEL, "--in", "production", "--yes")
        self._tell.claim(
            self._predict("production", sample) == first_answers,
            "production answers as version 1 did, bit for bit",
        )

        self._undone_by_an_alarm(version, sample)
        self._tell.command("history", MODEL, "--in", "production")
        self._tell.command("ledger", "verify", "--in", "production")
        self._tell.command("status")

        self._tell.title("Meanwhile: the alarm in production has started the training pipeline in dev")
        self._wait_for_retraining()
        versions = self._tell.json("model", "list", MODEL, "--json")
        self._tell.claim(
            {found["version"] for found in versions} == {trained["version"], second["version"]},
            "the same data and the same code made the same artifact, so there is no new version of it",
        )

    def _first_data(self, header: Sequence[str], rows: Rows, labels: Sequence[int]) -> str:
        """The first commit and its tag; returns its id."""
        self._tell.title("Data, tested and committed like code")
        self._write("data/biopsies.csv", header, rows[:FIRST_ROWS], labels[:FIRST_ROWS])
        first = self._commit("data", f"The first {FIRST_ROWS} biopsies")
        self._tell.claim(
            self._commit("data", "Nothing new") == first, "committing the same data again makes no new commit"
        )
        self._tell.command("dataset", "tag", DATASET, "v1")

        nanometres = [[row[0] * 1000, *row[1:]] for row in rows[:FIRST_ROWS]]
        self._write("wrong-unit/biopsies.csv", header, nanometres, labels[:FIRST_ROWS])
        wrong = self._shown("wrong-unit")
        self._tell.command("dataset", "commit", DATASET, wrong, "-m", "Radius in nm", "--check", expect=3)
        self._tell.claim(self._main("dev") == first, "data that breaks its constraints is refused (exit code 3)")
        return first

    def _more_data(self, header: Sequence[str], rows: Rows, labels: Sequence[int]) -> None:
        self._tell.title("More data, and what is different about it")
        self._write("data/biopsies.csv", header, rows, labels)
        second = self._commit("data", f"All {len(rows)} biopsies")
        diff = self._tell.json("dataset", "diff", DATASET, "v1", "main", "--rows", "--json")
        found = diff["tables"][0]["rows"]
        self._tell.claim(
            (diff["new"], found["added"], found["removed"]) == (second, len(rows) - FIRST_ROWS, 0),
            f"since v1, {found['added']} rows were added and none was changed or removed",
        )
        self._tell.command("dataset", "log", DATASET, "--graph")

    def _slip(self, first: str, header: Sequence[str], rows: Rows, labels: Sequence[int]) -> None:
        """An object of the first commit is deleted; the commit is read all the same, and repaired."""
        self._tell.title("Somebody deletes an object of v1 in the bucket, and nothing is lost")
        committed = self._write("v1.csv", header, rows[:FIRST_ROWS], labels[:FIRST_ROWS])
        lake = self._cloud("dev").store("lake")
        key = DatasetKeys(DATASET).file("biopsies.csv", sha256_file(committed))
        self._tell.say(f"$ aws s3 rm {lake.uri(key)}")
        self._administrator().delete_object(Bucket=lake.bucket, Key=key)
        self._tell.command("dataset", "verify", f"{DATASET}@v1", expect=7)
        self._tell.claim(lake.head(key) is None, "the object is gone, and verify says so (exit code 7)")
        self._tell.command("dataset", "verify", f"{DATASET}@v1", "--repair")
        shutil.rmtree(self._directory / "checkout", ignore_errors=True)
        self._tell.command("dataset", "checkout", f"{DATASET}@v1", self._shown("checkout"))
        self._tell.claim(
            (self._directory / "checkout" / "biopsies.csv").read_bytes() == committed.read_bytes(),
            f"v1 ({first[:12]}) is again what was committed, bit for bit",
        )
        (collected,) = self._tell.json("dataset", "gc", DATASET, "--json")
        self._tell.claim(collected["objects"] == 0, "and there is no garbage to collect: both commits are in use")

    def _undone_by_an_alarm(self, version: str, sample: Path) -> None:
        """Version 2 once more. While traffic shifts to it, every request of one client is an error."""
        self._tell.title("Once more; but while the traffic shifts, a client sends rows that lack a column")
        before = self._predict("production", sample)
        broken = self._directory / "broken.csv"
        broken.write_text("".join(line.partition(",")[2] for line in sample.read_text().splitlines(keepends=True)))
        promote = ("promote", "model", version, "--to", "production", "--yes")
        self._tell.command(*promote, "--no-wait")
        self._tell.command("invoke", MODEL, "--in", "production", "--data", self._shown(broken), expect=1)
        self._tell.command(*promote, expect=5)
        self._tell.claim(True, "SageMaker went back when the alarm went off (exit code 5 names the alarm)")
        self._tell.claim(self._predict("production", sample) == before, "and version 1 never stopped serving")

    def _commit(self, directory: str, message: str) -> str:
        done = self._tell.json("dataset", "commit", DATASET, self._shown(directory), "-m", message, "--check", "--json")
        commit: str = done["commit"]
        return commit

    def _main(self, environment: str) -> str | None:
        """The commit that an environment's main points to, read without the command."""
        found = pointers.read(self._cloud(environment).store("lake"), DATASET, pointers.DEFAULT_REF)
        return None if found is None else found.commit

    def _cloud(self, environment: str) -> Cloud:
        stage = self._project.environment(environment)
        return aws.connect(stage, local_endpoint=state.require(Layout(self._project.root)).url)

    def _administrator(self) -> Any:
        """S3 as the administrator of dev's account, whom nothing in the kit holds back."""
        stage = self._project.first_stage
        return boto3.client(
            "s3",
            region_name=stage.region,
            endpoint_url=state.require(Layout(self._project.root)).url,
            aws_access_key_id=stage.account,
            aws_secret_access_key="local",  # noqa: S106 - the local cloud looks at the key id only
        )

    def _promote(self, version: str, to: str) -> None:
        done = self._tell.json("promote", "model", version, "--to", to, "--yes", "--json")
        found = self._tell.json("status", "--in", to, "--json")[0]
        self._tell.claim(
            found["endpoint"] == "InService" and found["release"]["id"] == done["release"] and found["agrees"],
            f"the endpoint in {to} runs release {done['release']}",
        )

    def _approve(self, version: str, reason: str) -> None:
        """Somebody else than who promotes: an approver of production, by name."""
        who = ("local", "env", "production", "--role", "approver", "--session", "approver@example.com")
        self._tell.in_role(who, "approve", version, "--to", "production", "--reason", reason)

    def _predict(self, environment: str, data: Path) -> list[float]:
        # One request: how linear algebra rounds the last bit depends on how many rows it is given at once.
        one_request = ("--batch-size", "1000")
        answers = self._tell.command(
            "invoke", MODEL, "--in", environment, "--data", self._shown(data), *one_request, quiet=True
        )
        return [float(line) for line in answers.split()]

    def _direct(self, sha256: str, rows: Rows) -> list[float]:
        names = self._project.first_stage.names.model(MODEL)
        return predict_directly(self._cloud("dev").store("artifacts"), names.artifact_key(sha256), sha256, rows)

    def _wait_for_alarm(self, kind: str) -> None:
        deadline = time.monotonic() + ALARM_SECONDS
        name = f"-{MODEL}-{kind}"
        while True:
            found = self._tell.json("alarms", "--in", "production", "--json", quiet=True)
            if any(alarm["name"].endswith(name) and alarm["state"] == "ALARM" for alarm in found):
                self._tell.claim(True, f"the {kind} alarm went off")
                return
            self._tell.claim(
                time.monotonic() < deadline, f"the {kind} alarm is given {ALARM_SECONDS:.0f} s", quiet=True
            )
            time.sleep(1)

    def _wait_for_retraining(self) -> None:
        stage = self._project.first_stage
        cloud = self._cloud("dev")
        name = stage.names.model(MODEL).pipeline
        deadline = time.monotonic() + ALARM_SECONDS
        while True:
            found = cloud.sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
            status = found[0]["PipelineExecutionStatus"] if found else "not started"
            if status == "Succeeded":
                self._tell.claim(True, f"{name} ran and succeeded; nobody started it")
                return
            self._tell.claim(status in ("not started", "Executing"), f"{name} does not fail", quiet=True)
            self._tell.claim(time.monotonic() < deadline, f"{name} is given {ALARM_SECONDS:.0f} s", quiet=True)
            time.sleep(1)

    def _shown(self, path: str | Path) -> str:
        """A path as a reader in the project's directory would type it."""
        return str((self._directory / path).relative_to(self._project.root))

    def _write(self, name: str, header: Sequence[str], rows: Rows, labels: Sequence[int]) -> Path:
        path = self._directory / name
        write(path, header, rows, labels)
        return path
