"""What a lineage says of a release, a version, its code and its image: records turned into nodes, nothing is read."""

from __future__ import annotations

from mlops_kit.lineage.graph import Node, facts
from mlops_kit.naming import ModelNames
from mlops_kit.promotion.events import Event, Release
from mlops_kit.registry import ModelVersion


def release_node(names: ModelNames, release: Release, event: Event) -> Node:
    return Node(
        f"{names.endpoint}/{release.id}",
        "release",
        f"{release.id} (version {release.version}) at {event.time} by {event.actor.rsplit('/', 1)[-1]}",
        facts(
            config=release.config,
            event=event.seq,
            time=event.time,
            by=event.actor,
            action=event.action,
            source=event.source,
            artifact_sha256=release.artifact_sha256,
            artifact=release.spec.artifact_uri,
        ),
    )


def version_node(environment: str, version: ModelVersion, note: str = "") -> Node:
    return Node(
        version.arn,
        "version",
        f"{version.name} in {environment} ({version.status})",
        facts(
            environment=environment,
            artifact=version.artifact_uri,
            artifact_sha256=version.lineage.artifact_sha256,
            metrics=version.metrics_uri,
            registered=version.created.isoformat(timespec="seconds"),
        ),
        note,
    )


def code_node(code_commit: str) -> Node:
    commit = code_commit.removesuffix("-dirty")
    note = "with changes that were not committed: the archive has them" if commit != code_commit else ""
    return Node(f"git:{code_commit}", "code", f"commit {commit[:12]}", facts(commit=commit), note)


def image_node(image: str, digest: str) -> Node:
    label = image.partition("@")[0] or "image"
    if not digest:
        return Node(f"image:{image}", "image", label, facts(image=image), "a tag: what it meant then is not on record")
    return Node(digest, "image", f"{label}@{digest[:19]}", facts(image=image, digest=digest))
