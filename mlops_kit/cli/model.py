"""``mlops-kit model``: the registered versions."""

from __future__ import annotations

import click

from mlops_kit import registry
from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session
from mlops_kit.promotion.gather import parse_metrics
from mlops_kit.registry import APPROVED


@click.group()
def command() -> None:
    """List the registered versions of a model."""


@command.command("list")
@click.argument("model")
@options.first_stage
@options.as_json
@options.cloud
def list_(session: Session, model: str, environment: str | None, as_json: bool) -> None:
    """List MODEL's versions, newest first, with what each was made from."""
    stage = session.environment(environment)
    session.project.model(model, stage)
    cloud = session.cloud(stage)
    names = stage.names.model(model)
    artifacts = cloud.store("artifacts")
    rows = []
    for version in registry.list_versions(cloud.sagemaker, names):
        key = names.metrics_key(version.lineage.artifact_sha256)
        body = artifacts.get(key)
        rows.append((version, parse_metrics(body, artifacts.uri(key)) if body else {}))
    if as_json:
        render.as_json(
            [{"version": v.version, "status": v.status, "metrics": m, "lineage": v.lineage} for v, m in rows]
        )
        return
    render.table(
        ["VERSION", "RELEASED HERE", "METRICS", "DATA", "CODE", "ARTIFACT", "CREATED"],
        [
            (
                v.name,
                "yes" if v.status == APPROVED else "no",
                " ".join(f"{name}={value:.4g}" for name, value in sorted(m.items())),
                f"{v.lineage.dataset}@{v.lineage.dataset_commit[:12]}",
                v.lineage.code_commit[:12] or "-",
                v.lineage.artifact_sha256[:12],
                v.created.isoformat(timespec="seconds"),
            )
            for v, m in rows
        ],
    )
