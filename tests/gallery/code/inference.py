"""The least that is an inference script: answers every row with the size of its training data."""

import json
from pathlib import Path


def model_fn(model_dir):
    return json.loads(Path(model_dir, "model.json").read_text())["rows"]


def input_fn(body, content_type):
    text = body if isinstance(body, str) else bytes(body).decode()
    return [line for line in text.splitlines() if line]


def predict_fn(rows, model):
    return [model for _ in rows]


def output_fn(prediction, accept):
    return "\n".join(str(value) for value in prediction) + "\n", "text/csv"
