"""What the demo is about: real measurements of biopsies, and what a model says of them without any endpoint."""

from __future__ import annotations

import csv
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlops_kit.objects import Store

LABEL = "malignant"

Rows = list[list[float]]


def biopsies() -> tuple[list[str], Rows, list[int]]:
    """The names of 30 measurements, 569 biopsies with that many each, and their labels; 1 is malignant."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    header = [str(name).replace(" ", "_") for name in found.feature_names]
    return header, found.data.tolist(), [int(1 - target) for target in found.target]


def write(path: Path, header: Sequence[str], rows: Rows, labels: Sequence[int]) -> None:
    """A CSV file whose last column is the label; floats are written so that reading them gives the same ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, LABEL])
        writer.writerows([*map(repr, row), label] for row, label in zip(rows, labels, strict=True))


def predict_directly(artifacts: Store, key: str, sha256: str, rows: Rows) -> list[float]:
    """Predictions of the artifact as it was trained, one probability a row."""
    import joblib
    import numpy as np

    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory) / "model.tar.gz"
        artifacts.download(key, archive, sha256)
        with tarfile.open(archive) as tar:
            tar.extractall(directory, filter="data")
        # The demo unpickles what it has just trained itself; the kit never unpickles a model.
        model = joblib.load(Path(directory) / "model.joblib")["model"]
    return [float(p) for p in model.predict_proba(np.array(rows))[:, 1]]
