"""Serve the classifier under the contract of SageMaker's inference toolkit.

Request: ``text/csv``, one row per example, the features in the order of the training data, no header. Response:
``text/csv``, one probability of malignancy per row, with the 17 digits that make a float exact.
"""

import io
from pathlib import Path

import joblib
import numpy as np


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(body, content_type):
    if content_type != "text/csv":
        raise ValueError(f"content type {content_type!r} is not supported; send text/csv")
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)


def predict_fn(rows, loaded):
    return loaded["model"].predict_proba(rows)[:, 1]


def output_fn(probabilities, accept):
    return "\n".join(repr(float(p)) for p in probabilities) + "\n", "text/csv"
