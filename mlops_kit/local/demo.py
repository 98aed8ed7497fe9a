"""The whole story on the local cloud, told by the commands a reader can repeat, every claim checked.

Data is committed, a model is trained and promoted through staging to production, serves, is replaced by a second
version trained on more data, meets shifted traffic, and is rolled back. The data is real: the Wisconsin breast cancer
set that ships with scikit-learn. Each step prints its command before running it; a claim that does not hold ends it.
"""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlops_kit import aws
from mlops_kit.config import Project
from mlops_kit.errors import MlopsKitError
from mlops_kit.local import state
from mlops_kit.local.state import Layout

MODEL = "diagnosis"
DATASET = "biopsies"
FIRST_ROWS = 400
SHIFT = 1.6
ALARM_SECONDS = 60.0

Rows = list[list[float]]


class ClaimError(MlopsKitError):
    """Something the demo says is not so."""


class Demo:
    """Runs commands, shows them, and checks what they did."""

    def __init__(
        self, project: Project, port: int | None, out: Callable[[str], None], *, enforce_iam: bool = False
    ) -> None:
        self._project = project
        self._up = [*(["--port", str(port)] if port else []), *(["--enforce-iam"] if enforce_iam else [])]
        self._out = out
        self._directory = project.root / ".mlops-kit" / "demo"
        self._claims = 0

    def run(self, keep: bool) -> None:
        """Tell the story; ``keep`` leaves the local cloud running at its end.

        Raises:
            ClaimError: a command failed that should not, or something is not as the story says.
        """
        started = time.monotonic()
        self._title("An empty cloud: three environments, deployed by Terraform")
        self._command("local", "down")
        self._command("local", "up", *self._up)
        self._out("$ export MLOPS_KIT_LOCAL=1")
        os.environ["MLOPS_KIT_LOCAL"] = "1"
        try:
            self._story()
        finally:
            if not keep:
                self._command("local", "down")
        if not keep:
            self._claim(state.read(Layout(self._project.root)) is None, "the local cloud is gone")
        self._out(f"\nAll {self._claims} claims held. The whole story took {time.monotonic() - started:.0f} s.")

    def _story(self) -> None:
        header, rows, labels = _biopsies()
        sample = self._write("sample.csv", header, rows[::2], labels[::2])

        self._title("Data, committed like code")
        self._write("data/biopsies.csv", header, rows[:FIRST_ROWS], labels[:FIRST_ROWS])
        first = self._json(
            "dataset", "commit", DATASET, self._shown("data"), "-m", f"The first {FIRST_ROWS} biopsies", "--json"
        )
        again = self._json("dataset", "commit", DATASET, self._shown("data"), "-m", "Nothing new", "--json")
        self._claim(again["commit"] == first["commit"], "committing the same data again makes no new commit")

        self._title("A model, trained by a real job on exactly that commit")
        trained = self._json("train", MODEL, "--json")
        self._claim(trained["lineage"]["dataset_commit"] == first["commit"], "the version names its data commit")
        version = f"{MODEL}@{trained['version']}"
        self._command("model", "list", MODEL)
        self._command("drift", "baseline", version)

        self._title("A gate that blocks, then the promotion through staging to production")
        self._command("promote", "model", version, "--to", "staging", "--without-data", expect=3)
        self._claim(True, "a model may not enter staging before its data (exit code 3)")
        self._promote(version, "staging")
        self._promote(version, "production")

        self._title("Production predicts, and says what the trained model says")
        first_answers = self._predict("production", sample)
        self._claim(
            first_answers == self._direct(trained["lineage"]["artifact_sha256"], rows[::2]),
            f"all {len(first_answers)} predictions equal those of the trained model loaded directly, bit for bit",
        )
        normal = self._json("drift", "run", MODEL, "--in", "production", "--json")
        self._claim(
            not normal["breached"], f"traffic like the training data is no drift (PSI {normal['worst']['psi']:.3f})"
        )

        self._title("More data, a second version, the same road")
        self._write("data/biopsies.csv", header, rows, labels)
        self._json("dataset", "commit", DATASET, self._shown("data"), "-m", f"All {len(rows)} biopsies", "--json")
        self._command("dataset", "log", DATASET)
        second = self._json("train", MODEL, "--json")
        version = f"{MODEL}@{second['version']}"
        self._command("drift", "baseline", version)
        self._promote(version, "staging")
        self._promote(version, "production")
        second_answers = self._predict("production", sample)
        self._claim(
            second_answers == self._direct(second["lineage"]["artifact_sha256"], rows[::2]),
            "production now answers as version 2 does",
        )
        self._claim(second_answers != first_answers, "and version 2 answers differently from version 1")

        self._title("The world shifts, and the alarm goes off")
        shifted = self._write("shifted.csv", header, [[value * SHIFT for value in row] for row in rows], labels)
        self._predict("production", shifted)
        report = self._json("drift", "run", MODEL, "--in", "production", "--json")
        self._claim(report["breached"], f"the shifted traffic is drift (PSI {report['worst']['psi']:.2f})")
        self._wait_for_alarm("drift")
        self._command("alarms", "--in", "production")

        self._title("Rolled back in one command")
        self._command("rollback", MODEL, "--in", "production", "--yes")
        self._claim(
            self._predict("production", sample) == first_answers,
            "production answers as version 1 did, bit for bit",
        )
        self._command("history", MODEL, "--in", "production")
        self._command("status")

        self._title("Meanwhile: the alarm in production has started the training pipeline in dev")
        self._wait_for_retraining()
        versions = self._json("model", "list", MODEL, "--json")
        self._claim(
            {found["version"] for found in versions} == {trained["version"], second["version"]},
            "the same data and the same code made the same artifact, so there is no new version of it",
        )

    def _promote(self, version: str, to: str) -> None:
        self._command("promote", "dataset", DATASET, "--to", to, "--yes")
        done = self._json("promote", "model", version, "--to", to, "--yes", "--json")
        found = self._json("status", "--in", to, "--json")[0]
        self._claim(
            found["endpoint"] == "InService" and found["release"]["id"] == done["release"] and found["agrees"],
            f"the endpoint in {to} runs release {done['release']}",
        )

    def _predict(self, environment: str, data: Path) -> list[float]:
        # One request: how linear algebra rounds the last bit depends on how many rows it is given at once.
        one_request = ("--batch-size", "1000")
        answers = self._command(
            "invoke", MODEL, "--in", environment, "--data", self._shown(data), *one_request, quiet=True
        )
        return [float(line) for line in answers.split()]

    def _direct(self, sha256: str, rows: Rows) -> list[float]:
        """Predictions of the artifact as it was trained in dev, without any endpoint."""
        import joblib
        import numpy as np

        stage = self._project.first_stage
        url = state.require(Layout(self._project.root)).url
        store = aws.connect(stage, local_endpoint=url).store("artifacts")
        with tempfile.TemporaryDirectory() as directory:
            archive = Path(directory) / "model.tar.gz"
            store.download(stage.names.model(MODEL).artifact_key(sha256), archive, sha256)
            with tarfile.open(archive) as tar:
                tar.extractall(directory, filter="data")
            # The demo unpickles what it has just trained itself; the kit never unpickles a model.
            model = joblib.load(Path(directory) / "model.joblib")["model"]
        return [float(p) for p in model.predict_proba(np.array(rows))[:, 1]]

    def _wait_for_alarm(self, kind: str) -> None:
        deadline = time.monotonic() + ALARM_SECONDS
        name = f"-{MODEL}-{kind}"
        while True:
            found = self._json("alarms", "--in", "production", "--json", quiet=True)
            if any(alarm["name"].endswith(name) and alarm["state"] == "ALARM" for alarm in found):
                self._claim(True, f"the {kind} alarm went off")
                return
            self._claim(time.monotonic() < deadline, f"the {kind} alarm is given {ALARM_SECONDS:.0f} s", quiet=True)
            time.sleep(1)

    def _wait_for_retraining(self) -> None:
        stage = self._project.first_stage
        cloud = aws.connect(stage, local_endpoint=state.require(Layout(self._project.root)).url)
        name = stage.names.model(MODEL).pipeline
        deadline = time.monotonic() + ALARM_SECONDS
        while True:
            found = cloud.sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
            status = found[0]["PipelineExecutionStatus"] if found else "not started"
            if status == "Succeeded":
                self._claim(True, f"{name} ran and succeeded; nobody started it")
                return
            self._claim(status in ("not started", "Executing"), f"{name} does not fail", quiet=True)
            self._claim(time.monotonic() < deadline, f"{name} is given {ALARM_SECONDS:.0f} s", quiet=True)
            time.sleep(1)

    def _title(self, text: str) -> None:
        self._out(f"\n== {text}\n")

    def _claim(self, holds: bool, text: str, *, quiet: bool = False) -> None:
        if not holds:
            raise ClaimError(f"This does not hold: {text}.", hint="See the command's output above.")
        if not quiet:
            self._claims += 1
            self._out(f"✓ {text}")

    def _json(self, *arguments: str, quiet: bool = False) -> Any:
        return json.loads(self._command(*arguments, quiet=True, silent=quiet))

    def _command(self, *arguments: str, expect: int = 0, quiet: bool = False, silent: bool = False) -> str:
        """Show the command and run it; its narration passes through, its data is returned (and shown, unless quiet)."""
        if not silent:
            self._out(f"$ mlops-kit {shlex.join(arguments)}")
        done = subprocess.run(
            [sys.executable, "-m", "mlops_kit", *arguments],
            cwd=self._project.root,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if not quiet and done.stdout:
            self._out(done.stdout.rstrip("\n"))
        if done.returncode != expect:
            raise ClaimError(
                f"`mlops-kit {shlex.join(arguments)}` ended with exit code {done.returncode}, expected {expect}.",
                hint=f"The local cloud's log is {Layout(self._project.root).log}.",
            )
        return done.stdout

    def _shown(self, path: str | Path) -> str:
        """A path as a reader in the project's directory would type it."""
        return str((self._directory / path).relative_to(self._project.root))

    def _write(self, name: str, header: Sequence[str], rows: Rows, labels: Sequence[int]) -> Path:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*header, "malignant"])
            writer.writerows([*map(repr, row), label] for row, label in zip(rows, labels, strict=True))
        return path


def _biopsies() -> tuple[list[str], Rows, list[int]]:
    """569 biopsies with 30 measurements each; label 1 is malignant."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    header = [str(name).replace(" ", "_") for name in found.feature_names]
    return header, found.data.tolist(), [int(1 - target) for target in found.target]
