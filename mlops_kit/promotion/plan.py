"""Plan a promotion: read both environments, ask the gates, and say what would be done. Writes nothing.

A plan is data. Its canonical JSON says what is intended and why that is allowed, and leaves out how far an earlier run
got with it: so a promotion that is cut off and run again carries out the same plan, known by the same SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from mlops_kit import registry
from mlops_kit.aws import Cloud
from mlops_kit.config import Model, Project
from mlops_kit.datasets import copy, pointers
from mlops_kit.datasets.ancestry import walk
from mlops_kit.datasets.copy import CopyPlan
from mlops_kit.datasets.read import find_commit
from mlops_kit.datasets.records import Commit
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import ModelNames
from mlops_kit.network import read_network
from mlops_kit.objects import Store, canonical_json, sha256_bytes
from mlops_kit.promotion import gates, ledger
from mlops_kit.promotion.copies import Copy, read_copies, written_once
from mlops_kit.promotion.cost import Cost, cost
from mlops_kit.promotion.events import CountedApproval, Event, Release, ReleaseSpec, Verdict
from mlops_kit.promotion.evidence import ArtifactFound, DataFound, GatePolicy, Unread
from mlops_kit.promotion.gather import Known, attempt, gather
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.request import LATEST_APPROVED, PromotionRequest
from mlops_kit.promotion.specification import release_spec
from mlops_kit.registry import ModelVersion
from mlops_kit.release_requests import release_name

FORMAT = 1


@dataclass(frozen=True)
class ModelPlan:
    """What a promotion will do. Data to print, to compare, and to execute."""

    request: PromotionRequest
    version: ModelVersion
    """What ``request.version`` became when it was looked up, once."""
    copies: tuple[Copy, ...]
    commit: Commit | None
    """The data it was trained on, wherever that is; None if it is not in reach."""
    data: CopyPlan | None
    """How the data comes along; None if it is there, or is left where it is."""
    registered: ModelVersion | None
    """The target's own version of this artifact, if the target knows of one."""
    incumbent: Release | None
    spec: ReleaseSpec
    config: str
    cost: Cost
    verdicts: tuple[Verdict, ...]
    approvals: tuple[CountedApproval, ...]
    """The approvals that count."""
    events: tuple[Event, ...]
    """The ledger as it was read; executing appends to exactly this."""

    @property
    def released(self) -> bool:
        """The target's ledger already says that exactly this runs."""
        return self.incumbent is not None and self.incumbent.config == self.config

    @property
    def what(self) -> str:
        """What the lock says is being done. Whoever does the same may go on where somebody else was cut off."""
        return f"promote {self.version.name} from {self.request.source.name} as {self.config}"

    @property
    def allowed(self) -> bool:
        """No gate refuses, or somebody answers for those that do."""
        return all(verdict.passed or verdict.overridden for verdict in self.verdicts)

    def to_json(self) -> bytes:
        """Canonical: equal plans are equal bytes."""
        return canonical_json(self._intent())

    @cached_property
    def sha256(self) -> str:
        """What the plan is called, in the ledger and everywhere."""
        return sha256_bytes(self.to_json())

    def _intent(self) -> dict[str, Any]:
        lineage = self.version.lineage
        return {
            "format": FORMAT,
            "model": self.request.model,
            "asked": self.request.asked,
            "version": self.version.name,
            "from": self.request.source.name,
            "to": self.request.target.name,
            "artifact_sha256": lineage.artifact_sha256,
            "source_package": self.version.arn,
            "lineage": lineage.to_metadata(),
            "with_data": self.request.with_data,
            "data": {
                "commit": f"{lineage.dataset}@{lineage.dataset_commit}",
                "files": self.commit.files if self.commit else None,
                "size": self.commit.size if self.commit else None,
            },
            "copies": [{"name": c.name, "key": c.key, "sha256": c.sha256, "size": c.size} for c in self.copies],
            "incumbent": self.incumbent.model_dump(mode="json") if self.incumbent else None,
            "config": self.config,
            "spec": self.spec.model_dump(mode="json"),
            "monthly_usd": {"before": self.cost.before_usd, "after": self.cost.after_usd},
            "gates": [verdict.model_dump(mode="json") for verdict in self.verdicts],
            "overrides": [one.model_dump(mode="json") for one in self.request.overrides],
            "approvals": [one.model_dump(mode="json") for one in self.approvals],
        }


def plan(request: PromotionRequest, project: Project, cloud: Cloud, now: datetime) -> ModelPlan:
    """Plan with the eyes of the target's promoter role, ``cloud``: it may read the source and nothing else there.

    What cannot be read, other than the version itself and the target's own ledger and settings, makes a gate refuse.

    Raises:
        NotFoundError: no such version in the source, or the version in the shadow is not registered in the target.
        IntegrityError: the version does not say what it is, or the target's ledger is damaged.
        UsageError: an override names no gate.
    """
    model = project.model(request.model, request.target)
    source_names = request.source.names.model(request.model)
    names = request.target.names.model(request.model)
    version = _version(request, cloud, source_names)
    sha256 = version.lineage.artifact_sha256
    if not sha256:
        raise IntegrityError(f"{version.arn} does not say which artifact it is: its metadata has no artifact_sha256.")
    source, target = cloud.store("artifacts", request.source), cloud.store("artifacts")
    events = Ledger(cloud.store("ledger"), names).events()
    incumbent = ledger.current(events)
    spec = _spec(model, names, target, sha256, cloud)
    spent = cost(incumbent.spec if incumbent else None, spec, request.target.region)
    copies = attempt("the artifact", lambda: _artifact(request, source, target, source_names, names, sha256))
    data = attempt("the data", lambda: _data(request, version, cloud))
    policy = GatePolicy.of(request.target, model)
    known = Known(
        request,
        version,
        events,
        incumbent,
        artifact=copies if isinstance(copies, Unread) else copies.found,
        data=data if isinstance(data, Unread) else data.found,
        data_readable=data if isinstance(data, Unread) else data.found.in_target or data.found.comes,
        image=spec.image,
        change_usd=spent.change_usd,
    )
    evidence = gather(known, policy, project, cloud, now)
    approved = () if isinstance(evidence.approvals, Unread) else evidence.approvals.counted
    return ModelPlan(
        request=request,
        version=version,
        copies=() if isinstance(copies, Unread) else copies.copies,
        commit=None if isinstance(data, Unread) else data.commit,
        data=None if isinstance(data, Unread) else data.plan,
        registered=version if request.within else registry.read_pointer(cloud.sagemaker, names, target, sha256),
        incumbent=incumbent,
        spec=spec,
        config=release_name(names, spec),
        cost=spent,
        verdicts=gates.evaluate(evidence, policy, request.overrides),
        approvals=tuple(CountedApproval(key=one.key, sha256=one.sha256, by=one.decision.principal) for one in approved),
        events=events,
    )


def _version(request: PromotionRequest, cloud: Cloud, names: ModelNames) -> ModelVersion:
    if isinstance(request.version, int):
        return registry.read_version(cloud.sagemaker, names, request.version)
    # By ARN, so that the next stage's promoter can ask as well.
    answer = cloud.sagemaker.list_model_packages(
        ModelPackageGroupName=names.package_group_arn,
        ModelApprovalStatus=registry.APPROVED,
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=1,
    )
    newest = [item["ModelPackageArn"] for item in answer["ModelPackageSummaryList"]]
    if not newest:
        raise NotFoundError(
            f"No version of {request.model} was released in {request.source.name}, so {LATEST_APPROVED} is none.",
            hint=f"See `mlops-kit model list {request.model} --env {request.source.name}`, and name a version.",
        )
    return registry.read_version(cloud.sagemaker, names, int(newest[0].rsplit("/", 1)[-1]))


def _spec(model: Model, names: ModelNames, target: Store, sha256: str, cloud: Cloud) -> ReleaseSpec:
    wanted = model.serving.shadow
    return release_spec(
        model,
        names,
        target.uri(names.artifact_key(sha256)),
        network=read_network(target),
        shadow=registry.read_version(cloud.sagemaker, names, wanted.version) if wanted is not None else None,
    )


@dataclass(frozen=True, slots=True)
class _Artifact:
    copies: tuple[Copy, ...]
    found: ArtifactFound


def _artifact(
    request: PromotionRequest,
    source: Store,
    target: Store,
    source_names: ModelNames,
    names: ModelNames,
    sha256: str,
) -> _Artifact:
    """What moves, and whether the artifact is what the version says."""
    if request.within:
        written_once(source, source_names, sha256)
        head = source.head(source_names.artifact_key(sha256))
        if head is None:
            raise IntegrityError(f"{source.uri(source_names.artifact_key(sha256))} is missing.")
        return _Artifact((), ArtifactFound(head.sha256))
    copies = read_copies(source, target, source_names, names, sha256)
    return _Artifact(copies, ArtifactFound(copies[-1].stored))


@dataclass(frozen=True, slots=True)
class _Data:
    commit: Commit | None
    plan: CopyPlan | None
    found: DataFound


def _data(request: PromotionRequest, version: ModelVersion, cloud: Cloud) -> _Data:
    """Whether the target has the commit, or how it comes along. Reads its header, which proves its digest.

    It is there if its header is and the ref reaches it: a run that was cut off before it moved the ref is not over. And
    a ref that has gone on since is never moved back.
    """
    dataset, commit = version.lineage.dataset, version.lineage.dataset_commit
    lake = cloud.store("lake")
    there = find_commit(lake, dataset, commit)
    if request.within or not request.with_data:
        return _Data(there, None, DataFound(in_target=there is not None))
    if there is not None and _reaches(lake, dataset, commit):
        return _Data(there, None, DataFound(in_target=True, comes=True))
    planned = copy.plan(cloud.store("lake", request.source), lake, dataset, commit)
    return _Data(planned.commit, planned, DataFound(in_target=False, comes=True))


def _reaches(lake: Store, dataset: str, commit: str) -> bool:
    ref = pointers.read(lake, dataset, pointers.DEFAULT_REF)
    if ref is None:
        return False
    return ref.commit == commit or any(one.id == commit for one in walk(lake, dataset, ref.commit))
