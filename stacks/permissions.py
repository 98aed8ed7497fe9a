"""What people's roles are put together from: one function a thing that somebody does with data and models.

What releasing takes is in :mod:`stacks.release_permissions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Model
from mlops_kit.naming import (
    DRIFT_NAMESPACE,
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


def sagemaker_of(names: EnvironmentNames, *kinds: str) -> list[str]:
    """SageMaker's resources of these kinds that carry the environment's names."""
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
        create_only("StoreSource", f"{artifacts}/training/*/source/*"),
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


def store_trained(names: EnvironmentNames) -> Statement:
    """Keep what a training job made under its digest. Create-only: no model that is there can become another one."""
    return create_only("StoreTrained", f"{names.bucket_arn('artifacts')}/models/*")


def create_only(sid: str, resource: str) -> Statement:
    return allow(sid, ["s3:PutObject"], resource, conditions={"Null": {"s3:if-none-match": "false"}})


def see_models(names: EnvironmentNames) -> list[Statement]:
    """Versions, what serves them, and the jobs that made them."""
    return [
        allow("SeeVersions", READ_PACKAGES, sagemaker_of(names, "model-package", "model-package-group")),
        allow(
            "SeeServing",
            ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"],
            sagemaker_of(names, "endpoint", "endpoint-config", "model"),
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
                *sagemaker_of(names, "pipeline", "processing-job", "training-job", "transform-job"),
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
    jobs = sagemaker_of(names, "training-job")
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
            sagemaker_of(names, "pipeline"),
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
    return [allow("RegisterVersions", actions, sagemaker_of(names, "model-package", "model-package-group"))]


def invoke(names: EnvironmentNames) -> Statement:
    return allow(
        "Invoke", ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"], sagemaker_of(names, "endpoint")
    )


def publish(*, releases: bool = False) -> Statement:
    """The kit's own metrics: drift and quality, and with ``releases`` how releases went."""
    return policies.put_metrics(DRIFT_NAMESPACE, QUALITY_NAMESPACE, *([RELEASES_NAMESPACE] if releases else []))
