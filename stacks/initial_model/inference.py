"""What an endpoint serves until the first model is released to it.

Terraform makes an endpoint before anybody has trained a model, and SageMaker makes no endpoint without one. This one
answers every request with HTTP 200 and JSON that says so. It needs nothing but the standard library, and runs on
Python 3.8, so that every framework image can serve it.
"""

from __future__ import annotations

import json

ANSWER = {
    "model": None,
    "message": "No model has been released to this endpoint yet. Release one with `mlops-kit promote model`.",
}


def model_fn(model_dir: str) -> dict[str, str | None]:
    return ANSWER


def input_fn(body: object, content_type: str) -> None:
    return None


def predict_fn(data: object, model: dict[str, str | None]) -> dict[str, str | None]:
    return model


def output_fn(prediction: dict[str, str | None], accept: str) -> tuple[str, str]:
    return json.dumps(prediction), "application/json"
