"""The state machine of the retraining: has the pipeline run lately? If not, start it on what the ref points to now.

Written in JSONata, so that there is no function to run, to patch or to pay for: two calls of SageMaker and one of S3.
A request is ``{model, pipeline, dataset, ref, cooldown_hours, reason, bucket}``.

Two requests at the same moment both find that nothing ran lately. So the token of the start is made from the pipeline
and the time, rounded: SageMaker takes the second for a repetition of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops_kit.config import Model
from mlops_kit.naming import DatasetKeys, EnvironmentNames
from stacks import policies
from stacks.policies import Statement, allow
from stacks.state_machine import caught, keep_failure, may_keep_failure

TIMEOUT_SECONDS = 900
SAME_MOMENT_MS = 5 * 60 * 1000
"""Shorter than any cooldown, or a start would be taken for the one before."""
HOUR_MS = 3600 * 1000


def request(names: EnvironmentNames, model: Model, reason: str) -> dict[str, Any]:
    """What the machine is started with."""
    return {
        "model": model.name,
        "pipeline": model.names(names).pipeline,
        "dataset": model.dataset,
        "ref": model.retraining.ref,
        "cooldown_hours": model.retraining.cooldown_hours,
        "reason": reason,
        "bucket": names.bucket("lake"),
    }


def definition(names: EnvironmentNames) -> dict[str, Any]:
    """The machine in the Amazon States Language."""

    def task(action: str, **state: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": f"arn:{names.partition}:states:::{action}",
            **state,
            "Retry": [
                {
                    "ErrorEquals": ["SageMaker.ThrottlingException", "S3.SlowDownException", "States.Timeout"],
                    "IntervalSeconds": 5,
                    "MaxAttempts": 5,
                    "BackoffRate": 2,
                    "JitterStrategy": "FULL",
                },
                {
                    # SDK exceptions have no common name for throttling: whatever it was, once more does no harm.
                    "ErrorEquals": ["States.TaskFailed"],
                    "IntervalSeconds": 10,
                    "MaxAttempts": 2,
                    "BackoffRate": 2,
                },
            ],
            "Catch": [caught()],
        }

    keys = DatasetKeys("<dataset>")
    manifest = keys.manifest("<commit>")
    return {
        "Comment": "Start a model's pipeline, unless it ran a short while ago",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": TIMEOUT_SECONDS,
        "StartAt": "FindLatestRun",
        "States": {
            "FindLatestRun": task(
                "aws-sdk:sagemaker:listPipelineExecutions",
                Arguments={
                    "PipelineName": "{% $states.input.pipeline %}",
                    "CreatedAfter": (f"{{% $fromMillis($millis() - $states.input.cooldown_hours * {HOUR_MS}) %}}"),
                    "SortBy": "CreationTime",
                    "SortOrder": "Descending",
                    "MaxResults": 1,
                },
                Output=("{% $merge([$states.input, {'runs': $count($states.result.PipelineExecutionSummaries)}]) %}"),
                Next="RanLately",
            ),
            "RanLately": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.runs > 0 %}", "Next": "CoolingDown"}],
                "Default": "ReadRef",
            },
            "CoolingDown": {"Type": "Succeed", "Output": "{% $merge([$states.input, {'started': false}]) %}"},
            "ReadRef": task(
                "aws-sdk:s3:getObject",
                Arguments={
                    "Bucket": "{% $states.input.bucket %}",
                    "Key": _join(keys.ref("<ref>")),
                    "ExpectedBucketOwner": names.account,
                },
                Output="{% $merge([$states.input, {'commit': $parse($states.result.Body).commit}]) %}",
                Next="StartPipeline",
            ),
            "StartPipeline": task(
                "aws-sdk:sagemaker:startPipelineExecution",
                Arguments={
                    "PipelineName": "{% $states.input.pipeline %}",
                    "PipelineExecutionDescription": "{% $states.input.reason %}",
                    "PipelineParameters": [
                        {"Name": "DatasetCommit", "Value": "{% $states.input.commit %}"},
                        {"Name": "DatasetManifest", "Value": _join(f"s3://<bucket>/{manifest}")},
                    ],
                    "ClientRequestToken": (
                        "{% $hash($states.input.pipeline & '/' & "
                        f"$string($floor($millis() / {SAME_MOMENT_MS})), 'SHA-256') %}}"
                    ),
                },
                Output=(
                    "{% $merge([$states.input, {'started': true, 'execution': $states.result.PipelineExecutionArn}]) %}"
                ),
                End=True,
            ),
            **keep_failure(names),
        },
    }


def _join(pattern: str) -> str:
    """``datasets/<dataset>/refs/<ref>.json`` as an expression that fills the words in from the state's input."""
    parts = [part for piece in pattern.split("<") for part in piece.split(">")]
    words = [f"$states.input.{part}" if index % 2 else f"'{part}'" for index, part in enumerate(parts)]
    return f"{{% {' & '.join(word for word in words if word != repr(''))} %}}"


def statements(names: EnvironmentNames, models: Sequence[Model], key_arn: str) -> list[Statement]:
    """What the machine's tasks may do, for the models that retrain by themselves."""
    lake = names.bucket_arn("lake")
    return [
        allow(
            "StartPipelines",
            ["sagemaker:ListPipelineExecutions", "sagemaker:StartPipelineExecution"],
            [model.names(names).pipeline_arn for model in models],
        ),
        allow(
            "ReadRefs",
            ["s3:GetObject"],
            sorted({f"{lake}/{DatasetKeys(model.dataset).ref(model.retraining.ref)}" for model in models}),
        ),
        allow("DecryptRefs", ["kms:Decrypt"], key_arn, conditions=policies.through(names, "s3")),
        *may_keep_failure(names, key_arn),
    ]
