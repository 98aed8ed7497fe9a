"""Plan a promotion: read both environments, evaluate the gates, and say what would be done. Writes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mlops_kit import registry
from mlops_kit.aws import Cloud
from mlops_kit.config import Model
from mlops_kit.datasets.read import exists
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import ModelNames
from mlops_kit.network import JobNetwork, read_network
from mlops_kit.objects import Store
from mlops_kit.promotion import gates, ledger
from mlops_kit.promotion.ledger import (
    AsynchronousSpec,
    BatchSpec,
    Event,
    Ledger,
    Release,
    ReleaseSpec,
    ServerlessSpec,
    ShadowSpec,
    Verdict,
)
from mlops_kit.promotion.request import PromotionRequest
from mlops_kit.registry import ModelVersion
from mlops_kit.release_requests import release_name


@dataclass(frozen=True, slots=True)
class Copy:
    """One object of the version. ``sha256`` is the digest the copy must have; ``present``: the target has the key.

    ``name`` is the key below the version's own prefix, like ``baseline/statistics.json``.
    """

    name: str
    source_key: str
    key: str
    sha256: str
    size: int
    present: bool


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What a promotion will do. Data to print, to compare, and to execute."""

    request: PromotionRequest
    version: ModelVersion
    copies: tuple[Copy, ...]
    registered: ModelVersion | None
    """The target's own version of this artifact, if it has one already."""
    incumbent: Release | None
    spec: ReleaseSpec
    config: str
    verdicts: tuple[Verdict, ...]
    events: tuple[Event, ...]
    """The ledger as it was read; executing appends to exactly this."""

    @property
    def released(self) -> bool:
        """The target's ledger already says that exactly this runs."""
        return self.incumbent is not None and self.incumbent.config == self.config


def plan(request: PromotionRequest, model: Model, cloud: Cloud) -> ModelPlan:
    """Plan with the eyes of the target's promoter role, ``cloud``: it may read the source and nothing else there.

    Raises:
        NotFoundError: no such version in the source, or the version in the shadow is not registered in the target.
        IntegrityError: an object of the version is missing.
    """
    source_names = request.source.names.model(request.model)
    names = request.target.names.model(request.model)
    version = registry.read_version(cloud.sagemaker, source_names, request.version)
    source = cloud.store("artifacts", request.source)
    target = cloud.store("artifacts")
    sha256 = version.lineage.artifact_sha256
    if not sha256:
        raise IntegrityError(f"{version.arn} does not say which artifact it is: its metadata has no artifact_sha256.")
    wanted = model.serving.shadow
    spec = release_spec(
        model,
        names,
        target.uri(names.artifact_key(sha256)),
        network=read_network(target),
        shadow=registry.read_version(cloud.sagemaker, names, wanted.version) if wanted is not None else None,
    )
    events = Ledger(cloud.store("ledger"), names).events()
    metrics = _metrics(source, source_names.metrics_key(sha256))
    evidence = gates.Evidence(
        version=version,
        metrics=metrics,
        source_is_first=request.source.promotes_from is None,
        data_in_target=exists(cloud.store("lake"), version.lineage.dataset, version.lineage.dataset_commit),
        target=request.target.name,
    )
    within = request.source == request.target  # the first stage releases its own versions: nothing moves
    return ModelPlan(
        request=request,
        version=version,
        copies=() if within else _copies(source, target, source_names, names, sha256),
        registered=version if within else registry.find_artifact(cloud.sagemaker, names, sha256),
        incumbent=ledger.current(events),
        spec=spec,
        config=release_name(names, spec),
        verdicts=gates.evaluate(model.gates, evidence),
        events=events,
    )


def release_spec(
    model: Model, names: ModelNames, artifact_uri: str, *, network: JobNetwork, shadow: ModelVersion | None
) -> ReleaseSpec:
    """How this environment serves an artifact. ``shadow``: the version that ``serving.shadow`` names."""
    serving, kind = model.serving, model.serving.kind
    serverless = kind == "serverless"  # SageMaker offers neither VPC nor isolation, and there are no instances
    counts = serving.batch.instance_count if kind == "batch" else serving.autoscaling.min_instances
    return ReleaseSpec(
        kind=kind,
        image=model.serving_image,
        artifact_uri=artifact_uri,
        environment=serving_environment(model, names.environment.region),
        instance_type="" if serverless else serving.instance_type,
        instance_count=0 if serverless else counts,
        capture_percent=serving.capture_percent if serving.is_captured else 0,
        encrypt_volume=not serverless and not serving.has_local_storage,
        subnets=() if serverless else network.subnets,
        security_groups=() if serverless else network.security_groups,
        isolated=network.isolated and not serverless,
        serverless=ServerlessSpec(**serving.serverless.model_dump()) if serverless else None,
        asynchronous=(
            AsynchronousSpec(concurrent_per_instance=serving.asynchronous.concurrent_per_instance)
            if kind == "async"
            else None
        ),
        batch=(
            BatchSpec(
                input_prefix=serving.batch.input_prefix or names.raw_prefix,
                content_type=serving.batch.content_type,
                max_payload_mb=serving.batch.max_payload_mb,
            )
            if kind == "batch"
            else None
        ),
        shadow=_shadow(model, shadow) if shadow is not None else None,
    )


def _shadow(model: Model, version: ModelVersion) -> ShadowSpec | None:
    wanted = model.serving.shadow
    if wanted is None:
        return None
    return ShadowSpec(
        version=version.version,
        image=version.image,
        artifact_uri=version.artifact_uri,
        percent=wanted.percent,
        instance_type=wanted.instance_type or model.serving.instance_type,
        instance_count=wanted.instance_count,
    )


def serving_environment(model: Model, region: str) -> dict[str, str]:
    """The variables by which SageMaker's framework images find the inference code inside ``model.tar.gz``."""
    return {
        "SAGEMAKER_PROGRAM": model.serving.entry_point,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }


def _metrics(source: Store, key: str) -> dict[str, float]:
    body = source.get(key)
    if body is None:
        raise IntegrityError(f"{source.uri(key)} is missing: the version has no recorded metrics.")
    return {name: float(value) for name, value in json.loads(body).items()}


def _copies(source: Store, target: Store, source_names: ModelNames, names: ModelNames, sha256: str) -> tuple[Copy, ...]:
    found: list[Copy] = []
    root = source_names.artifact_prefix(sha256)
    keys = sorted(source.keys(root), key=lambda key: key == source_names.artifact_key(sha256))  # the artifact last
    if source_names.artifact_key(sha256) not in keys:
        raise IntegrityError(f"{source.uri(source_names.artifact_key(sha256))} is missing.")
    for source_key in keys:
        name = source_key.removeprefix(root)
        key = names.artifact_prefix(sha256) + name
        head = source.head(source_key)
        if head is None:
            raise IntegrityError(f"{source.uri(source_key)} disappeared while it was being looked at.")
        digest = sha256 if key == names.artifact_key(sha256) else head.sha256
        if digest is None:
            raise IntegrityError(f"{source.uri(source_key)} was stored without a SHA-256; it cannot be verified.")
        found.append(Copy(name, source_key, key, digest, head.size, target.head(key) is not None))
    return tuple(found)
