"""What it takes to release: the lock, the ledger and its approvals, the rollout, the gates, and the stage before."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import LOCKS_PREFIX, EnvironmentNames
from stacks import policies
from stacks.permissions import READ_PACKAGES, create_only, invoke, sagemaker_of
from stacks.policies import Statement, allow


def encrypt_records(names: EnvironmentNames, key_arn: str) -> Statement:
    return allow("EncryptRecords", ["kms:GenerateDataKey"], key_arn, conditions=policies.through(names, "s3"))


def hold_locks(names: EnvironmentNames) -> list[Statement]:
    """Say who is releasing, as long as it lasts; a lock is taken away for good, so that no older one comes back."""
    locks = f"{names.bucket_arn('artifacts')}/{LOCKS_PREFIX}*"
    return [
        allow("HoldLocks", ["s3:PutObject"], locks),
        allow("ReleaseLocks", ["s3:DeleteObjectVersion"], locks),
    ]


def record_releases(names: EnvironmentNames) -> Statement:
    """Create only: neither an event nor a plan is ever replaced."""
    return create_only("AppendToLedger", f"{names.bucket_arn('ledger')}/*")


def leave_approvals_alone(names: EnvironmentNames) -> Statement:
    """Who promotes cannot write the approval of it."""
    return {
        "Sid": "LeaveApprovalsAlone",
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": f"{names.bucket_arn('ledger')}/{names.approvals_prefix}*",
    }


def record_approvals(names: EnvironmentNames) -> Statement:
    return create_only("AppendApprovals", f"{names.bucket_arn('ledger')}/{names.approvals_prefix}*")


def release(names: EnvironmentNames, models: Sequence[Model], key_arn: str) -> list[Statement]:
    """Make models and configs, roll endpoints and batch schedules, clean up what is no longer needed."""
    found = [
        allow(
            "MakeReleases",
            [
                "sagemaker:AddTags",
                "sagemaker:CreateEndpointConfig",
                "sagemaker:CreateModel",
                "sagemaker:DeleteEndpointConfig",
                "sagemaker:DeleteModel",
            ],
            sagemaker_of(names, "endpoint-config", "model"),
        ),
        allow("RollEndpoints", ["sagemaker:UpdateEndpoint"], sagemaker_of(names, "endpoint", "endpoint-config")),
        invoke(names),
    ]
    if models:
        found.append(
            allow(
                "PassServingRoles",
                ["iam:PassRole"],
                names.iam_arn(f"role/{names.prefix}-*-serving"),
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )
    if any(model.serving.kind == "batch" for model in models):
        found += [
            allow(
                "RollSchedules",
                ["scheduler:UpdateSchedule"],
                names.arn("scheduler", f"schedule/{names.schedule_group}/*-batch"),
            ),
            allow(  # their input is encrypted, and the Scheduler uses the key as whoever calls it
                "EncryptSchedules",
                ["kms:Decrypt", "kms:GenerateDataKey"],
                key_arn,
                conditions=policies.through(names, "scheduler"),
            ),
            allow(
                "PassScheduleRole",
                ["iam:PassRole"],
                names.role_arn("schedules"),
                conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
            ),
        ]
    return found


def signing(key_arn: str | None, signers: Sequence[Environment]) -> list[Statement]:
    """Sign with the environment's own key, and verify what earlier stages signed."""
    found = []
    if key_arn is not None:
        found.append(allow("SignVersions", ["kms:GetPublicKey", "kms:Sign", "kms:Verify"], key_arn))
    # AWS invents a key's id; the keys' own policies say which of the account's keys this reaches.
    keys = [(signer.signing and signer.signing.key) or signer.names.arn("kms", "key/*") for signer in signers]
    if keys:
        found.append(allow("VerifyVersions", ["kms:GetPublicKey", "kms:Verify"], keys))
    return found


def see_source_versions(source: EnvironmentNames) -> list[Statement]:
    """Which artifact a version of the stage before is: what an approver binds an approval to."""
    return [allow("ReadSourceVersions", READ_PACKAGES, sagemaker_of(source, "model-package", "model-package-group"))]


def observes(environment: Environment) -> bool:
    """Whether gates of the environment look at how a version did in the stage before."""
    return environment.gates.source_alarms or environment.gates.soak_hours > 0


def ask_for_gates(environment: Environment, source: Environment | None) -> list[Statement]:
    """What the environment's gates look at, besides what a promotion reads anyway."""
    names, gates = environment.names, environment.gates
    found: list[Statement] = []
    if source is not None and observes(environment):
        found.append(allow("ObserveSource", ["sts:AssumeRole"], source.names.role_arn("auditor")))
    repositories = names.arn("ecr", f"repository/{names.project}/*")
    found.append(allow("SeeImages", ["ecr:DescribeImages"], repositories))
    if gates.image_scan is not None:
        found.append(allow("SeeImageScans", ["ecr:DescribeImageScanFindings"], repositories))
    if gates.budget != "off":
        budget = f"arn:{names.partition}:budgets::{names.account}:budget/{names.budget}"
        found.append(allow("SeeBudget", ["budgets:ViewBudget"], budget))
    return found


def read_source(source: EnvironmentNames) -> list[Statement]:
    """The stage before: its data, artifacts, key and packages, and nothing more."""
    lake, artifacts = source.bucket_arn("lake"), source.bucket_arn("artifacts")
    return [
        allow("FindSourceObjects", policies.LIST_BUCKET, [lake, artifacts]),
        allow("ReadSourceObjects", policies.READ_OBJECTS, [f"{lake}/datasets/*", f"{artifacts}/models/*"]),
        *see_source_versions(source),
        allow(  # AWS invents the key's id; the key's own policy says which of the account's keys this reaches
            "DecryptSourceObjects",
            ["kms:Decrypt"],
            source.arn("kms", "key/*"),
            conditions=policies.through(source, "s3"),
        ),
    ]
