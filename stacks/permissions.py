"""What people's roles are put together from: one function a thing that somebody does."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import (
    DRIFT_NAMESPACE,
    LOCKS_PREFIX,
    QUALITY_NAMESPACE,
    RELEASES_NAMESPACE,
    STAGING_PREFIX,
    EnvironmentNames,
)
from stacks import policies
from stacks.network import Network
from stacks.policies import Statement, allow
from stacks.training import both, inside, training_limits

READ_PACKAGES = (
    "sagemaker:DescribeModelPackage",
    "sagemaker:DescribeModelPackageGroup",
    "sagemaker:ListModelPackages",
)


def _sagemaker(names: EnvironmentNames, *kinds: str) -> list[str]:
    return [names.arn("sagemaker", f"{kind}/{names.prefix}-*") for kind in kinds]


def read_data(names: EnvironmentNames) -> list[Statement]:
    """Data, models and captured traffic."""
    buckets = [names.bucket_arn(kind) for kind in ("lake", "artifacts", "capture", "ledger")]
    return [
        allow("FindObjects", policies.LIST_BUCKET, buckets),
        allow("ReadObjects", policies.READ_OBJECTS, [f"{bucket}/*" for bucket in buckets]),
    ]


def read_models(names: EnvironmentNames) -> list[Statement]:
    artifacts = names.bucket_arn("artifacts")
    return [
        allow("FindModels", policies.LIST_BUCKET, artifacts),
        allow("ReadModels", policies.READ_OBJECTS, f"{artifacts}/models/*"),
    ]


def read_ledger(names: EnvironmentNames) -> list[Statement]:
    ledger = names.bucket_arn("ledger")
    return [
        allow("FindEvents", policies.LIST_BUCKET, ledger),
        allow("ReadEvents", [*policies.READ_OBJECTS, "s3:GetObjectRetention"], f"{ledger}/*"),
    ]


def write_data(names: EnvironmentNames, *, promotes: bool = False) -> list[Statement]:
    """Data commits, raw data, requests to asynchronous endpoints, and the code that a training job gets.

    An import copies to the lake's staging area first, takes from there, and empties it again. Branches and tags are
    deleted by a marker, and what they were is kept. Whoever ``promotes`` also writes models, takes back a copy whose
    digest turns out wrong, and collects garbage: first the header of a commit is hidden, so that it can be put back,
    then versions are deleted for good.

    The code is lineage: it is stored under its digest and never replaced.
    """
    lake, artifacts, capture = names.bucket_arn("lake"), names.bucket_arn("artifacts"), names.bucket_arn("capture")
    data, staging, models = f"{lake}/datasets/*", f"{lake}/{STAGING_PREFIX}*", f"{artifacts}/models/*"
    written = [data, f"{lake}/raw/*", staging, f"{capture}/async/*/requests/*"]
    hidden = [f"{data}/refs/*", f"{data}/tags/*"]
    removed, uploads = [staging], [lake]
    if promotes:  # in the same statements: IAM counts the characters of a role's policies, and these are the longest
        written.append(models)
        hidden.append(f"{data}/commits/*")
        removed += [data, models]
        uploads.append(artifacts)
    return [
        allow("WriteData", policies.WRITE_OBJECTS, written),
        allow("HideRecords", ["s3:DeleteObject"], hidden),
        allow("RemoveVersions", ["s3:DeleteObjectVersion"], removed),
        allow("ResumeUploads", ["s3:ListBucketMultipartUploads"], uploads),
        _create_only("StoreSource", f"{artifacts}/training/*/source/*"),
        *([_named_once(artifacts)] if promotes else []),
    ]


def _named_once(artifacts: str) -> Statement:
    """Which version an artifact is, and who signed it, is said once; both are too small to come in parts."""
    return {
        "Sid": "NameVersionsOnce",
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": [f"{artifacts}/models/*/package.json", f"{artifacts}/models/*/model.sig"],
        "Condition": {"Null": {"s3:if-none-match": "true"}},
    }


def decrypt(names: EnvironmentNames, key_arn: str) -> Statement:
    """Read what may be read, and encrypt nothing: objects, and the input of schedules."""
    return allow("Decrypt", ["kms:Decrypt"], key_arn, conditions=policies.through(names, "s3", "scheduler"))


def encrypt_records(names: EnvironmentNames, key_arn: str) -> Statement:
    return allow("EncryptRecords", ["kms:GenerateDataKey"], key_arn, conditions=policies.through(names, "s3"))


def store_trained(names: EnvironmentNames) -> Statement:
    """Keep what a training job made under its digest. Create-only: no model that is there can become another one."""
    return _create_only("StoreTrained", f"{names.bucket_arn('artifacts')}/models/*")


def hold_locks(names: EnvironmentNames) -> list[Statement]:
    """Say who is releasing, as long as it lasts; a lock is taken away for good, so that no older one comes back."""
    locks = f"{names.bucket_arn('artifacts')}/{LOCKS_PREFIX}*"
    return [
        allow("HoldLocks", ["s3:PutObject"], locks),
        allow("ReleaseLocks", ["s3:DeleteObjectVersion"], locks),
    ]


def _create_only(sid: str, resource: str) -> Statement:
    return allow(sid, ["s3:PutObject"], resource, conditions={"Null": {"s3:if-none-match": "false"}})


def record_releases(names: EnvironmentNames) -> Statement:
    """Create only: neither an event nor a plan is ever replaced."""
    return _create_only("AppendToLedger", f"{names.bucket_arn('ledger')}/*")


def leave_approvals_alone(names: EnvironmentNames) -> Statement:
    """Who promotes cannot write the approval of it."""
    return {
        "Sid": "LeaveApprovalsAlone",
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "Resource": f"{names.bucket_arn('ledger')}/{names.approvals_prefix}*",
    }


def record_approvals(names: EnvironmentNames) -> Statement:
    return _create_only("AppendApprovals", f"{names.bucket_arn('ledger')}/{names.approvals_prefix}*")


def see_models(names: EnvironmentNames) -> list[Statement]:
    """Versions, what serves them, and the jobs that made them."""
    return [
        allow("SeeVersions", READ_PACKAGES, _sagemaker(names, "model-package", "model-package-group")),
        allow(
            "SeeServing",
            ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"],
            _sagemaker(names, "endpoint", "endpoint-config", "model"),
        ),
        allow(
            "SeeJobs",
            [
                "sagemaker:DescribePipeline",
                "sagemaker:DescribePipelineExecution",
                "sagemaker:DescribeProcessingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:DescribeTransformJob",
                "sagemaker:ListPipelineExecutionSteps",
                "sagemaker:ListPipelineExecutions",
            ],
            [
                *_sagemaker(names, "pipeline", "processing-job", "training-job", "transform-job"),
                # Jobs of pipelines carry a name of SageMaker's choice.
                names.arn("sagemaker", "processing-job/pipelines-*"),
                names.arn("sagemaker", "training-job/pipelines-*"),
            ],
        ),
        allow("SeeSchedules", ["scheduler:GetSchedule"], names.arn("scheduler", f"schedule/{names.schedule_group}/*")),
    ]


def watch(names: EnvironmentNames) -> list[Statement]:
    groups = (
        names.training_log_group,
        names.processing_log_group,
        names.transform_log_group,
        names.endpoint_log_groups,
    )
    return [
        allow(
            "ReadAlarms",
            ["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"],
            names.arn("cloudwatch", "alarm:*"),  # finding alarms by their prefix counts as asking for all of them
        ),
        allow(  # metrics have no resource
            "ReadMetrics", ["cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics"], "*"
        ),
        allow(
            "ReadLogs",
            ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"],
            [names.arn("logs", f"log-group:{group}:*") for group in groups],
        ),
    ]


def train(names: EnvironmentNames, models: Sequence[Model], network: Network) -> list[Statement]:
    """Start jobs within the models' limits and in the environment's network, by hand or through their pipelines."""
    if not models:
        return []
    jobs = _sagemaker(names, "training-job")
    return [
        allow(
            "Train",
            ["sagemaker:CreateTrainingJob"],
            jobs,
            conditions=both(training_limits(models), inside(network, isolated=True)),
        ),
        allow("TagAndStopJobs", ["sagemaker:AddTags", "sagemaker:StopTrainingJob"], jobs),
        allow(
            "RunPipelines",
            ["sagemaker:StartPipelineExecution", "sagemaker:StopPipelineExecution"],
            _sagemaker(names, "pipeline"),
        ),
        allow(
            "PassTrainingRoles",
            ["iam:PassRole"],
            names.iam_arn(f"role/{names.prefix}-*-training"),
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
    ]


def register(names: EnvironmentNames, *, approves: bool = False) -> list[Statement]:
    """Make versions. With ``approves``, a version that was released and verified also becomes an approved one."""
    actions = ["sagemaker:CreateModelPackage", *(["sagemaker:UpdateModelPackage"] if approves else [])]
    return [allow("RegisterVersions", actions, _sagemaker(names, "model-package", "model-package-group"))]


def invoke(names: EnvironmentNames) -> Statement:
    return allow("Invoke", ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"], _sagemaker(names, "endpoint"))


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
            _sagemaker(names, "endpoint-config", "model"),
        ),
        allow("RollEndpoints", ["sagemaker:UpdateEndpoint"], _sagemaker(names, "endpoint", "endpoint-config")),
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


def publish(*, releases: bool = False) -> Statement:
    """The kit's own metrics: drift and quality, and with ``releases`` how releases went."""
    return policies.put_metrics(DRIFT_NAMESPACE, QUALITY_NAMESPACE, *([RELEASES_NAMESPACE] if releases else []))


def see_source_versions(source: EnvironmentNames) -> list[Statement]:
    """Which artifact a version of the stage before is: what an approver binds an approval to."""
    return [allow("ReadSourceVersions", READ_PACKAGES, _sagemaker(source, "model-package", "model-package-group"))]


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
