"""A small project of three environments and one model, written as files: what a promotion reads its settings from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

MODEL, DATASET = "churn", "customers"
ACCOUNTS = {"dev": "111111111111", "staging": "222222222222", "production": "333333333333"}
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BEFORE = {"staging": "dev", "production": "staging"}


def write(
    root: Path, *, model: Mapping[str, Any] | None = None, environments: Mapping[str, Mapping[str, Any]] | None = None
) -> Path:
    """Write the project's files below ``root``.

    ``model`` is laid over the model file's first level, ``environments`` over that of each environment file, by name.
    """
    for name, account in ACCOUNTS.items():
        content: dict[str, Any] = {
            "name": name,
            "account": account,
            "region": "us-east-1",
            "project": "acme",
            "owner": "ml@example.com",
            "protect": name != "dev",
            "budget": {"monthly_usd": 500},
            "models": [MODEL],
        }
        if name in BEFORE:
            content["promotes_from"] = BEFORE[name]
        if name == "production":
            content["network"] = {"mode": "vpc", "cidr": "10.43.0.0/20", "zones": ["a", "b"]}
        _dump(root / "environments" / f"{name}.yaml", {**content, **(environments or {}).get(name, {})})
    settings = {
        "name": MODEL,
        "dataset": DATASET,
        "label": "left",
        "training": {"source_dir": "../../code", "image": IMAGE, "metrics": {"accuracy": "accuracy=([0-9.]+)"}},
        "serving": {"entry_point": "inference.py", "rollout": {"strategy": "all_at_once", "bake_minutes": 1}},
        "gates": [{"metric": "accuracy", "at_least": 0.9}],
    }
    _dump(root / "environments" / "models" / f"{MODEL}.yaml", {**settings, **(model or {})})
    code = root / "code"
    code.mkdir(exist_ok=True)
    for name in ("train.py", "inference.py"):
        (code / name).write_text("")
    return root


def _dump(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False))
