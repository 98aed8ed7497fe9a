"""Train a classifier on tabular CSV files. Runs anywhere SageMaker's container contract holds.

Reads every ``*.csv`` of the ``train`` channel, writes ``model.joblib`` to the model directory, and prints its metrics
as ``name=value``, which is what the model file's regular expressions look for.
"""

from __future__ import annotations  # the framework image may bring an older Python

import argparse
import csv
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def read(directory: Path, label: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """All rows of all CSV files: features of shape (rows, columns), labels of shape (rows,), and the column names."""
    rows: list[list[float]] = []
    labels: list[int] = []
    features: list[str] = []
    for path in sorted(directory.rglob("*.csv")):
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            features = [name for name in reader.fieldnames or [] if name != label]
            for row in reader:
                labels.append(int(row[label]))
                rows.append([float(row[name]) for name in features])
    if not rows:
        raise SystemExit(f"no rows in the CSV files of {directory}")
    return np.array(rows), np.array(labels), features


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--label", required=True)
    parser.add_argument("--regularization", type=float, default=1.0)
    args = parser.parse_args()

    x, y, features = read(Path(os.environ["SM_CHANNEL_TRAIN"]), args.label)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=7, stratify=y)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=args.regularization, max_iter=2000))
    model.fit(x_train, y_train)

    predicted = model.predict(x_test)
    print(f"rows={len(x)} features={len(features)}")
    print(f"accuracy={accuracy_score(y_test, predicted):.4f} recall={recall_score(y_test, predicted):.4f}")
    joblib.dump({"model": model, "features": features}, Path(os.environ["SM_MODEL_DIR"]) / "model.joblib")


if __name__ == "__main__":
    main()
