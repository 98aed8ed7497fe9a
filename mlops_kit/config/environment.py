"""``environments/<name>.yaml``: one environment, its account, its limits, and which models run in it."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlops_kit.config.fields import (
    LIST,
    Account,
    AnomalyMonitorArn,
    Cidr,
    Email,
    Frozen,
    KmsKeyArn,
    Name,
    Percent,
    PrincipalArn,
    Region,
    Repository,
    Schedule,
    SecurityGroupId,
    SubnetId,
    Text,
    Timezone,
)
from mlops_kit.config.release_gates import Approvals, Gates
from mlops_kit.naming import EnvironmentNames


class Anomalies(Frozen):
    """When unusual spending is reported: from this impact on, in US dollars.

    An account may have one monitor over all services, and new accounts often come with one: then name it here.
    """

    impact_usd: Annotated[int, Field(ge=1)] = 50
    monitor: AnomalyMonitorArn | None = None
    """Absent: the stack makes the monitor."""


class Budget(Frozen):
    """A monthly cost budget in US dollars, and at which percentages of it the owner is written to."""

    monthly_usd: Annotated[int, Field(ge=1)]
    alert_at: Annotated[tuple[Percent, ...], LIST, Field(min_length=1, max_length=5)] = (50, 80, 100)
    anomalies: Anomalies | None = Anomalies()


class Retention(Frozen):
    """How long what is not pinned is kept, in days. Data commits and released artifacts are pinned: never expired."""

    noncurrent_days: Annotated[int, Field(ge=1, le=3650)] = 30
    capture_days: Annotated[int, Field(ge=1, le=3650)] = 90
    logs_days: Annotated[int, Field(ge=1, le=3650)] = 365
    ledger_lock_days: Annotated[int, Field(ge=1, le=36500)] = 365
    ledger_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"


class Storage(Frozen):
    """What becomes of objects in the lake and the artifacts bucket as they grow older, and where they are copied to."""

    tiering_after_days: Annotated[int, Field(ge=0, le=3650)] | None = 30
    """Days until an object moves to S3 Intelligent-Tiering, which costs less while nobody reads it. Null: never."""
    replicate_to: Region | None = None
    """A second region that gets a copy of lake, artifacts and ledger, against the loss of the first. It costs the
    storage twice, and the transfer."""
    inventory: Literal["daily", "weekly"] | None = None
    """How often S3 lists every object of the lake and the artifacts bucket into the logs bucket."""


class ExistingNetwork(Frozen):
    """A network that somebody else runs: nothing is made in it but the network interfaces of jobs and endpoints."""

    subnet_ids: Annotated[tuple[SubnetId, ...], LIST, Field(min_length=1, max_length=16)]
    security_group_ids: Annotated[tuple[SecurityGroupId, ...], LIST, Field(min_length=1, max_length=5)]


InterfaceService = Literal[
    "ecr.api", "ecr.dkr", "events", "kms", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "states", "sts"
]
DEFAULT_INTERFACES: tuple[InterfaceService, ...] = (
    "ecr.api",
    "ecr.dkr",
    "kms",
    "logs",
    "monitoring",
    "sagemaker.api",
    "sagemaker.runtime",
    "sts",
)


class Network(Frozen):
    """Where training jobs and endpoints run. ``none``: in SageMaker's own network. ``vpc``: in private subnets.

    ``cidr`` and ``zones`` describe the VPC that the stack makes; ``existing`` names one instead.
    """

    mode: Literal["none", "vpc"] = "none"
    cidr: Cidr = "10.40.0.0/20"
    zones: Annotated[tuple[Literal["a", "b", "c", "d", "e", "f"], ...], LIST, Field(min_length=1, max_length=4)] = (
        "a",
        "b",
    )
    """Availability zones, by their letter. Each costs one interface per service in ``interfaces``."""
    interfaces: Annotated[tuple[InterfaceService, ...], LIST] = DEFAULT_INTERFACES
    """AWS services that are reached from inside through an interface endpoint; S3 has a gateway, which is free."""
    existing: ExistingNetwork | None = None
    isolation: bool | None = None
    """Whether containers of training and serving have no network at all. Absent: yes with ``vpc``, no with ``none``."""

    @property
    def isolated(self) -> bool:
        return self.mode == "vpc" if self.isolation is None else self.isolation

    @property
    def subnets(self) -> tuple[str, ...]:
        """The CIDR of each zone's subnet: equal shares of ``cidr``."""
        bits = (len(self.zones) - 1).bit_length()
        shares = IPv4Network(self.cidr).subnets(prefixlen_diff=bits)
        return tuple(str(share) for share, _ in zip(shares, self.zones, strict=False))

    @field_validator("zones", "interfaces")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names something twice")
        return value

    @model_validator(mode="after")
    def _existing_is_used(self) -> Self:
        if self.existing is not None and self.mode == "none":
            raise ValueError("existing names a network, but mode is 'none': set mode to 'vpc'")
        return self


class Access(Frozen):
    """Who may act in which role, besides the account's own principals that IAM allows to."""

    data_scientists: Annotated[tuple[PrincipalArn, ...], LIST] = ()
    approvers: Annotated[tuple[PrincipalArn, ...], LIST] = ()
    auditors: Annotated[tuple[PrincipalArn, ...], LIST] = ()


class OffHours(Frozen):
    """When real-time endpoints are deleted, and made again with what they ran: only that stops what they cost."""

    stop: Schedule
    start: Schedule
    timezone: Timezone = "UTC"


class Ci(Frozen):
    """Who deploys besides people: the one GitHub repository whose jobs may assume the account's deploy role.

    The job has to run in the GitHub environment that is named like this environment.
    """

    repository: Repository


class Signing(Frozen):
    """Versions can be signed here, and later stages trust what was. An empty mapping is enough."""

    key: KmsKeyArn | None = None
    """An asymmetric KMS key that exists: ECC_NIST_P256, to sign and verify. Absent: the stack makes one."""


class Environment(Frozen):
    """One environment. ``promotes_from`` gives the stage order; it is absent on the first stage."""

    name: Name
    account: Account
    region: Region
    project: Name
    owner: Email
    promotes_from: Name | None = None
    protect: bool = False
    cost_center: Text | None = None
    """The value of the CostCenter tag. Absent: the project."""
    pager: Email | None = None
    """Who is paged when a model is unhealthy. Absent: the owner, who gets every single alarm as well."""
    runbooks: Annotated[str, Field(min_length=1, max_length=200)] = "docs/runbooks"
    """Directory or address of the pages that alarms refer to."""
    operators: Annotated[tuple[PrincipalArn, ...], LIST] = ()
    """Who may assume the promoter role from outside; the account's own principals always may."""
    ci: Ci | None = None
    """Absent: the bootstrap stack makes neither the OIDC provider nor the deploy role."""
    access: Access = Access()
    network: Network = Network()
    storage: Storage = Storage()
    retention: Retention = Retention()
    off_hours: OffHours | None = None
    signing: Signing | None = None
    """Absent: nothing is signed here."""
    budget: Budget
    approvals: Approvals = Approvals()
    gates: Gates = Gates()
    models: Annotated[tuple[Name, ...], LIST] = ()

    @model_validator(mode="after")
    def _protected_endpoints_stay(self) -> Self:
        if self.protect and self.off_hours is not None:
            raise ValueError("off_hours deletes endpoints, and protect is true: an environment has one or the other")
        return self

    @model_validator(mode="after")
    def _replica_is_elsewhere(self) -> Self:
        if self.storage.replicate_to == self.region:
            raise ValueError(f"storage.replicate_to is {self.region!r}, where the originals are")
        return self

    @property
    def cost_tags(self) -> dict[str, str]:
        """What everything in the environment is tagged with; what belongs to a model carries ``Model`` besides."""
        return {
            "Project": self.project,
            "Environment": self.name,
            "Owner": self.owner,
            "CostCenter": self.cost_center or self.project,
            "ManagedBy": "mlops-kit",
        }

    @property
    def names(self) -> EnvironmentNames:
        if self.region.startswith("cn-"):
            partition = "aws-cn"
        elif self.region.startswith("us-gov-"):
            partition = "aws-us-gov"
        else:
            partition = "aws"
        return EnvironmentNames(self.project, self.name, self.account, self.region, partition)
