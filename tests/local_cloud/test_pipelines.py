"""Pipelines: what is refused, what runs in which order, and the loop from a new data version to a trained model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.compute import pipeline_definition, pipeline_values
from mlops_kit.local.compute.pipeline_definition import DefinitionError
from mlops_kit.local.compute.pipeline_values import ResolveError, Scope
from tests.local_cloud.support import (
    DEV,
    REGION,
    ROLE,
    Server,
    eventually,
    model_archive,
    new_bucket,
    new_role,
    tar_gz,
    unique,
)

TRAIN = """
import os, pathlib, sys
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
pathlib.Path(os.environ["SM_MODEL_DIR"], "commit").write_text(arguments.get("--commit", ""))
print("loss=" + arguments.get("--loss", "0.25"))
"""
SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(600)"
FINAL = ("Succeeded", "Failed", "Stopped")
Step = dict[str, Any]


def get(reference: str) -> dict[str, str]:
    return {"Get": reference}


def join(on: str, *values: Any) -> dict[str, Any]:
    return {"Std:Join": {"On": on, "Values": list(values)}}


def definition(*steps: Step, parameters: list[dict[str, Any]] | None = None, version: str = "2020-12-01") -> str:
    return json.dumps({"Version": version, "Parameters": parameters or [], "Steps": list(steps)})


def fail(message: Any = "enough", name: str = "Stop", **more: Any) -> Step:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}, **more}


def condition(*conditions: Mapping[str, Any], yes: list[Step], no: list[Step], name: str = "Good") -> Step:
    arguments = {"Conditions": list(conditions), "IfSteps": yes, "ElseSteps": no}
    return {"Name": name, "Type": "Condition", "Arguments": arguments}


class Pipelines:
    """Makes and runs pipelines, with a bucket that holds their scripts."""

    def __init__(self, server: Server) -> None:
        self.server, self.sagemaker, self.s3 = server, server.client("sagemaker"), server.client("s3")
        self.bucket = new_bucket(server)
        for name, script in (("train", TRAIN), ("sleep", SLEEP)):
            self.s3.put_object(Bucket=self.bucket, Key=f"{name}.tar.gz", Body=tar_gz({"train.py": script}))

    def training(self, name: str = "Train", script: str = "train", **hyperparameters: Any) -> Step:
        arguments = {
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": "image:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
            },
            "HyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{self.bucket}/{script}.tar.gz",
                **hyperparameters,
            },
            "OutputDataConfig": {
                "S3OutputPath": join("/", f"s3://{self.bucket}/out", get("Execution.PipelineExecutionId"))
            },
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        return {"Name": name, "Type": "Training", "Arguments": arguments}

    def register(self, group: str) -> Step:
        container = {"Image": "image:1", "ModelDataUrl": get("Steps.Train.ModelArtifacts.S3ModelArtifacts")}
        types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
        arguments = {
            "ModelPackageGroupName": group,
            "ModelApprovalStatus": "PendingManualApproval",
            "InferenceSpecification": {"Containers": [container], **types},
            "CustomerMetadataProperties": {"execution": get("Execution.PipelineExecutionArn")},
        }
        return {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}

    def create(self, text: str, **options: Any) -> str:
        name = unique("pipeline")
        self.sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=ROLE, **options)
        return name

    def start(self, name: str, **parameters: str) -> str:
        given = [{"Name": key, "Value": value} for key, value in parameters.items()]
        started = self.sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=given)
        return str(started["PipelineExecutionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
            return found if found["PipelineExecutionStatus"] in FINAL else None

        return dict(eventually(over) or {})

    def run(self, text: str, **parameters: str) -> dict[str, Any]:
        return self.ended(self.start(self.create(text), **parameters))

    def steps(self, execution: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        answer = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution["PipelineExecutionArn"])
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}


@pytest.fixture(scope="module")
def pipelines(server: Server) -> Pipelines:
    return Pipelines(server)


@pytest.fixture
def group(server: Server) -> str:
    name = unique("group")
    server.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


def test_train_judge_and_register(server: Server, pipelines: Pipelines, group: str) -> None:
    loss = {"Get": "Steps.Train.FinalMetricDataList['loss'].Value"}
    judge = condition(
        {"Type": "LessThanOrEqualTo", "LeftValue": loss, "RightValue": get("Parameters.Limit")},
        yes=[pipelines.register(group)],
        no=[fail(join(" ", "the loss is", loss))],
    )
    train = pipelines.training(commit=get("Parameters.Commit"), loss=get("Parameters.Loss"))
    text = definition(  # the order in the definition means nothing
        judge,
        train,
        parameters=[
            {"Name": "Commit", "Type": "String"},
            {"Name": "Loss", "Type": "String", "DefaultValue": "0.25"},
            {"Name": "Limit", "Type": "Float", "DefaultValue": 0.3},
        ],
    )
    name = pipelines.create(text)
    good = pipelines.ended(pipelines.start(name, Commit="abc"))
    assert good["PipelineExecutionStatus"] == "Succeeded", good
    steps, execution = pipelines.steps(good), good["PipelineExecutionArn"].rsplit("/", 1)[1]
    assert list(steps) == ["Train", "Good", "Register"]
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert steps["Good"]["Metadata"]["Condition"]["Outcome"] == "True"
    job_arn = steps["Train"]["Metadata"]["TrainingJob"]["Arn"]
    assert re.fullmatch(
        rf"arn:aws:sagemaker:{REGION}:{DEV}:training-job/pipelines-{execution}-Train-[A-Za-z0-9]{{10}}", job_arn
    )
    job = server.client("sagemaker").describe_training_job(TrainingJobName=job_arn.rsplit("/", 1)[1])
    assert job["HyperParameters"]["commit"] == "abc"
    assert job["OutputDataConfig"]["S3OutputPath"] == f"s3://{pipelines.bucket}/out/{execution}"
    package = server.client("sagemaker").describe_model_package(
        ModelPackageName=steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    )
    container = package["InferenceSpecification"]["Containers"][0]
    assert container["ModelDataUrl"] == job["ModelArtifacts"]["S3ModelArtifacts"]
    assert package["CustomerMetadataProperties"]["execution"] == good["PipelineExecutionArn"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"

    bad = pipelines.ended(pipelines.start(name, Commit="abc", Loss="0.5"))
    assert (bad["PipelineExecutionStatus"], bad["FailureReason"]) == (
        "Failed",
        "Step failure: One or multiple steps failed.",
    )
    steps = pipelines.steps(bad)
    assert list(steps) == ["Train", "Good", "Stop"]
    assert steps["Good"]["Metadata"]["Condition"]["Outcome"] == "False"
    assert steps["Stop"]["Metadata"]["Fail"]["ErrorMessage"] == "the loss is 0.5"
    assert steps["Stop"]["FailureReason"] == "the loss is 0.5"
    packages = server.client("sagemaker").list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert len(packages) == 1
    parameters = server.client("sagemaker").list_pipeline_parameters_for_execution(
        PipelineExecutionArn=bad["PipelineExecutionArn"]
    )["PipelineParameters"]
    assert {p["Name"]: p["Value"] for p in parameters} == {"Commit": "abc", "Loss": "0.5", "Limit": "0.3"}


def test_a_job_that_fails_ends_what_depends_on_it(pipelines: Pipelines) -> None:
    broken = pipelines.training("Broken")
    broken["Arguments"]["HyperParameters"]["sagemaker_program"] = "nosuch.py"
    after = {**pipelines.training("After"), "DependsOn": ["Broken"]}
    later = {**pipelines.training("Later"), "DependsOn": ["After"]}
    other = pipelines.training("Other")
    done = pipelines.run(definition(broken, after, later, other))
    steps = pipelines.steps(done)
    assert done["PipelineExecutionStatus"] == "Failed"
    assert {name: step["StepStatus"] for name, step in steps.items()} == {"Broken": "Failed", "Other": "Succeeded"}
    assert "nosuch.py" in steps["Broken"]["FailureReason"]


def test_a_request_that_is_refused_fails_its_step(pipelines: Pipelines, group: str) -> None:
    nonsense = pipelines.training("Nonsense")
    nonsense["Arguments"]["Nonsense"] = True
    unknown = {**pipelines.register("nosuch"), "DependsOn": ["Train"]}
    steps = pipelines.steps(pipelines.run(definition(nonsense, pipelines.training(), unknown)))
    assert "Failed to invoke sagemaker:CreateTrainingJob" in steps["Nonsense"]["FailureReason"]
    assert "Nonsense" in steps["Nonsense"]["FailureReason"]
    assert "Failed to invoke sagemaker:CreateModelPackage" in steps["Register"]["FailureReason"]
    assert "nosuch does not exist" in steps["Register"]["FailureReason"]


def test_processing_a_property_file_and_a_model(server: Server, pipelines: Pipelines) -> None:
    report = "import pathlib;pathlib.Path('/opt/ml/processing/report/r.json').write_text('{\"psi\": {\"age\": 0.5}}')"
    outputs = [
        {
            "OutputName": "report",
            "S3Output": {
                "S3Uri": f"s3://{pipelines.bucket}/report",
                "LocalPath": "/opt/ml/processing/report",
                "S3UploadMode": "EndOfJob",
            },
        }
    ]
    evaluate = {
        "Name": "Evaluate",
        "Type": "Processing",
        "Arguments": {
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": "image:1", "ContainerEntrypoint": ["python3", "-c", report]},
            "ProcessingOutputConfig": {"Outputs": outputs},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
        },
        "PropertyFiles": [{"PropertyFileName": "Report", "OutputName": "report", "FilePath": "r.json"}],
    }
    psi = {"Std:JsonGet": {"PropertyFile": get("Steps.Evaluate.PropertyFiles.Report"), "Path": "psi.age"}}
    model = {
        "Name": "Model",
        "Type": "Model",
        "Arguments": {
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {
                "Image": "image:1",
                "ModelDataUrl": get("Steps.Train.ModelArtifacts.S3ModelArtifacts"),
                "Environment": {
                    "REPORT": get("Steps.Evaluate.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri")
                },
            },
        },
    }
    judge = condition({"Type": "Equals", "LeftValue": psi, "RightValue": 0.5}, yes=[model], no=[fail(psi)])
    done = pipelines.run(definition(judge, evaluate, pipelines.training()))
    steps = pipelines.steps(done)
    assert done["PipelineExecutionStatus"] == "Succeeded", {n: s.get("FailureReason") for n, s in steps.items()}
    assert "processing-job/pipelines-" in steps["Evaluate"]["Metadata"]["ProcessingJob"]["Arn"]
    name = steps["Model"]["Metadata"]["Model"]["Arn"].rsplit("/", 1)[1]
    environment = server.client("sagemaker").describe_model(ModelName=name)["PrimaryContainer"]["Environment"]
    assert environment["REPORT"] == f"s3://{pipelines.bucket}/report"


def test_a_model_predicts_a_batch(pipelines: Pipelines) -> None:
    s3, bucket = pipelines.s3, pipelines.bucket
    s3.put_object(Bucket=bucket, Key="m/model.tar.gz", Body=model_archive("0.75"))
    s3.put_object(Bucket=bucket, Key="batch/a.csv", Body=b"1,2\n")
    container = {"Image": "image:1", "ModelDataUrl": f"s3://{bucket}/m/model.tar.gz"}
    model = {
        "Name": "Model",
        "Type": "Model",
        "Arguments": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container},
    }
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/batch/"}}
    predict = {
        "Name": "Predict",
        "Type": "Transform",
        "Arguments": {
            "ModelName": get("Steps.Model.ModelName"),
            "TransformInput": {"DataSource": source, "ContentType": "text/csv"},
            "TransformOutput": {"S3OutputPath": join("/", f"s3://{bucket}/predictions", get("Parameters.Day"))},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        },
    }
    day = {"Name": "Day", "Type": "String"}
    done = pipelines.run(definition(predict, model, parameters=[day]), Day="2026-01-01")
    steps = pipelines.steps(done)
    assert done["PipelineExecutionStatus"] == "Succeeded", {n: s.get("FailureReason") for n, s in steps.items()}
    assert "transform-job/pipelines-" in steps["Predict"]["Metadata"]["TransformJob"]["Arn"]
    body = s3.get_object(Bucket=bucket, Key="predictions/2026-01-01/a.csv.out")["Body"].read()
    assert body == b"0.75"


def test_an_execution_can_be_stopped_and_a_running_pipeline_is_not_deleted(
    server: Server, pipelines: Pipelines
) -> None:
    sagemaker = server.client("sagemaker")
    after = {**fail(), "DependsOn": ["Train"]}
    name = pipelines.create(definition(pipelines.training(script="sleep"), after))
    execution = pipelines.start(name)

    def training() -> str | None:
        steps = pipelines.steps({"PipelineExecutionArn": execution})
        arn = steps.get("Train", {}).get("Metadata", {}).get("TrainingJob", {}).get("Arn")
        if not arn:
            return None
        job = sagemaker.describe_training_job(TrainingJobName=arn.rsplit("/", 1)[1])
        return str(arn) if job["SecondaryStatus"] == "Training" else None

    job = str(eventually(training)).rsplit("/", 1)[1]
    with pytest.raises(ClientError, match=r"ConflictException.*running executions"):
        sagemaker.delete_pipeline(PipelineName=name)
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=execution, ClientRequestToken="x" * 32)
    assert pipelines.ended(execution)["PipelineExecutionStatus"] == "Stopped"
    steps = pipelines.steps({"PipelineExecutionArn": execution})
    assert {step: found["StepStatus"] for step, found in steps.items()} == {"Train": "Stopped"}
    assert sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"] == "Stopped"
    sagemaker.delete_pipeline(PipelineName=name)
    with pytest.raises(ClientError, match=r"ResourceNotFound.*does not exist"):
        sagemaker.describe_pipeline(PipelineName=name)


def test_executions_are_listed_by_time(server: Server, pipelines: Pipelines) -> None:
    sagemaker, name = server.client("sagemaker"), pipelines.create(definition(fail()))
    arns = [pipelines.start(name) for _ in range(3)]
    for arn in arns:
        pipelines.ended(arn)

    def listed(**request: Any) -> list[str]:
        answer = sagemaker.list_pipeline_executions(PipelineName=name, **request)
        return [summary["PipelineExecutionArn"] for summary in answer["PipelineExecutionSummaries"]]

    times = {
        s["PipelineExecutionArn"]: s["StartTime"]
        for s in sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    }
    assert listed() == listed(SortOrder="Descending") == arns[::-1]
    assert listed(SortOrder="Ascending") == arns
    assert listed(CreatedAfter=datetime.now(UTC) - timedelta(minutes=5)) == arns[::-1]
    assert listed(CreatedAfter=datetime.now(UTC) + timedelta(minutes=5)) == []
    assert listed(CreatedBefore=times[arns[0]] - timedelta(seconds=1)) == []
    first = sagemaker.list_pipeline_executions(PipelineName=name, MaxResults=2)
    rest = sagemaker.list_pipeline_executions(PipelineName=name, NextToken=first["NextToken"])
    both = first["PipelineExecutionSummaries"] + rest["PipelineExecutionSummaries"]
    assert [summary["PipelineExecutionArn"] for summary in both] == arns[::-1]
    assert both[0]["PipelineExecutionFailureReason"] == "Step failure: One or multiple steps failed."


def test_a_repeated_start_is_one_execution(server: Server, pipelines: Pipelines) -> None:
    parameter = {"Name": "N", "Type": "Integer", "DefaultValue": 1}
    name = pipelines.create(definition(fail(), parameters=[parameter]))
    request = {"PipelineName": name, "ClientRequestToken": unique("t" * 32)}
    start = server.client("sagemaker").start_pipeline_execution
    first = start(**request)["PipelineExecutionArn"]
    assert start(**request)["PipelineExecutionArn"] == first
    with pytest.raises(ClientError, match="ConflictException"):
        start(**request, PipelineParameters=[{"Name": "N", "Value": "2"}])


@pytest.mark.parametrize(
    ("given", "words"),
    [({"Typo": "1", "N": "1"}, "Typo"), ({"N": "one"}, "Integer"), ({}, "no default"), ({"N": "3"}, "not one of")],
)
def test_parameters_that_do_not_fit_are_refused(pipelines: Pipelines, given: dict[str, str], words: str) -> None:
    parameter = {"Name": "N", "Type": "Integer", "EnumValues": [1, 2]}
    name = pipelines.create(definition(fail(), parameters=[parameter]))
    with pytest.raises(ClientError, match=rf"ValidationException.*{words}"):
        pipelines.start(name, **given)


def test_metrics_and_events_of_an_execution(server: Server, pipelines: Pipelines) -> None:
    events, sqs = server.client("events"), server.client("sqs")
    name, rule = pipelines.create(definition(fail())), unique("rule")
    url = sqs.create_queue(QueueName=rule)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    arn = f"arn:aws:sagemaker:{REGION}:{DEV}:pipeline/{name}"
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
        "detail": {"pipelineArn": [arn]},
    }
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "t", "Arn": queue_arn}])
    execution = pipelines.start(name)
    received: list[dict[str, Any]] = []

    def both() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            received.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(received) >= 2

    eventually(both)
    first, last = (event["detail"] for event in received)
    assert first["currentPipelineExecutionStatus"] == "Executing"
    assert (last["previousPipelineExecutionStatus"], last["currentPipelineExecutionStatus"]) == ("Executing", "Failed")
    assert last["pipelineExecutionArn"] == execution
    assert received[0]["resources"] == [arn, execution]

    def count(metric: str) -> float:
        now = datetime.now(UTC)
        points = server.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Sagemaker/ModelBuildingPipeline",
            MetricName=metric,
            Dimensions=[{"Name": "PipelineName", "Value": name}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    counted = {metric: count(metric) for metric in ("ExecutionStarted", "ExecutionFailed", "ExecutionSucceeded")}
    assert counted == {"ExecutionStarted": 1.0, "ExecutionFailed": 1.0, "ExecutionSucceeded": 0.0}


def test_what_is_wrong_is_refused_when_it_is_put(server: Server, pipelines: Pipelines) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*unknown type 'Magic'"):
        pipelines.create(definition({"Name": "A", "Type": "Magic"}))
    name = pipelines.create(definition(fail()), PipelineDescription="first")
    with pytest.raises(ClientError, match="ValidationException"):
        server.client("sagemaker").update_pipeline(PipelineName=name, PipelineDefinition="{}")
    with pytest.raises(ClientError, match="Could not assume role"):
        server.client("sagemaker").update_pipeline(PipelineName=name, RoleArn=f"arn:aws:iam::{DEV}:role/nosuch")
    with pytest.raises(ClientError, match="already exists"):
        server.client("sagemaker").create_pipeline(
            PipelineName=name, PipelineDefinition=definition(fail()), RoleArn=ROLE
        )
    described = server.client("sagemaker").describe_pipeline(PipelineName=name)
    assert described["PipelineDescription"] == "first"
    assert json.loads(described["PipelineDefinition"]) == json.loads(definition(fail()))
    assert not {"CreatedBy", "LastRunTime", "ParallelismConfiguration"} & described.keys()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "not valid JSON"),
        (definition(fail(), version="2019-01-01"), "Version"),
        (definition(), "no Steps"),
        (definition(fail(), fail()), "defined twice"),
        (definition(fail(name="a b")), "not a step name"),
        (definition({"Name": "A", "Type": "Lambda"}), "does not run steps of type Lambda"),
        (definition(fail(get("Parameters.Nosuch"))), "Parameters.Nosuch"),
        (definition(fail(get("Execution.Nosuch"))), "Execution.Nosuch"),
        (definition(fail(get("Steps.Nosuch.X"))), "step Nosuch"),
        (definition(fail(DependsOn=["Nosuch"])), "step Nosuch"),
        (definition(fail(name="A", DependsOn=["B"]), fail(name="B", DependsOn=["A"])), "cycle"),
        (definition(condition({"Type": "About"}, yes=[], no=[])), "unknown type 'About'"),
        (definition(condition({"Type": "Not", "Expression": {"Type": "About"}}, yes=[], no=[])), "'About'"),
        (definition(fail(), parameters=[{"Name": "P", "Type": "Date"}]), "'Date'"),
    ],
)
def test_what_is_wrong_with_a_definition(text: str, words: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(words)):
        pipeline_definition.parse(text)


SCOPE = Scope(
    parameters={"Commit": "abc", "Limit": 0.5, "On": True},
    execution={"PipelineExecutionId": "id"},
    steps={"Eval": {"Outputs": [{"OutputName": "a", "Uri": "s3://a"}, {"OutputName": "b", "Uri": "s3://b"}]}},
    property_file=lambda step, name: json.dumps({"step": step, "name": name, "list": [1, {"x": 2}]}),
)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        (get("Parameters.Limit"), 0.5),
        (get("Steps.Eval.Outputs['b'].Uri"), "s3://b"),
        (get('Steps.Eval.Outputs["a"].Uri'), "s3://a"),
        (get("Steps.Eval.Outputs[1].Uri"), "s3://b"),
        (join("/", "s3://x", get("Parameters.Commit"), get("Parameters.On"), 5), "s3://x/abc/true/5"),
        ({"Std:JsonGet": {"PropertyFile": get("Steps.Eval.PropertyFiles.R"), "Path": "list[1].x"}}, 2),
        ({"Std:JsonGet": {"PropertyFile": get("Steps.Eval.PropertyFiles.R"), "Path": "name"}}, "R"),
        ({"a": [get("Execution.PipelineExecutionId")], "b": {}}, {"a": ["id"], "b": {}}),
    ],
)
def test_values(value: Any, resolved: Any) -> None:
    assert pipeline_values.resolve(value, SCOPE) == resolved


@pytest.mark.parametrize("reference", ["Steps.Eval.Nosuch", "Steps.Eval.Outputs['c'].Uri", "Steps.Eval.Outputs[2].Uri"])
def test_values_that_are_not_there(reference: str) -> None:
    with pytest.raises(ResolveError, match="no value"):
        pipeline_values.resolve(get(reference), SCOPE)


@pytest.mark.parametrize(
    ("made", "holds"),
    [
        ({"Type": "Equals", "LeftValue": get("Parameters.Commit"), "RightValue": "abc"}, True),
        ({"Type": "GreaterThan", "LeftValue": get("Parameters.Limit"), "RightValue": 0.5}, False),
        ({"Type": "GreaterThanOrEqualTo", "LeftValue": get("Parameters.Limit"), "RightValue": 0.5}, True),
        ({"Type": "LessThan", "LeftValue": 0.4, "RightValue": get("Parameters.Limit")}, True),
        ({"Type": "LessThanOrEqualTo", "LeftValue": 0.6, "RightValue": get("Parameters.Limit")}, False),
        ({"Type": "In", "QueryValue": "abc", "Values": ["x", get("Parameters.Commit")]}, True),
        ({"Type": "Not", "Expression": {"Type": "In", "QueryValue": "y", "Values": ["x"]}}, True),
        (
            {
                "Type": "Or",
                "Conditions": [
                    {"Type": "Equals", "LeftValue": 1, "RightValue": 2},
                    {"Type": "Equals", "LeftValue": 1, "RightValue": 1},
                ],
            },
            True,
        ),
    ],
)
def test_conditions(made: dict[str, Any], holds: bool) -> None:
    assert pipeline_values.holds(made, SCOPE) is holds


def test_values_that_cannot_be_compared() -> None:
    with pytest.raises(ResolveError, match="cannot be compared"):
        pipeline_values.holds({"Type": "LessThan", "LeftValue": "a", "RightValue": 1}, SCOPE)


# --- the loop -------------------------------------------------------------------------------------------------------

COOL_DOWN_HOURS = 6
SDK = "arn:aws:states:::aws-sdk"


def retraining_machine(pipeline: str, dead_letters: str) -> dict[str, Any]:
    """What a stack deploys: a new data version starts the pipeline, unless it was started a short while ago."""
    bury = [
        {
            "ErrorEquals": ["States.ALL"],
            "Assign": {"failure": "{% $states.errorOutput %}"},
            "Next": "Keep what failed",
        }
    ]
    return {
        "QueryLanguage": "JSONata",
        "StartAt": "Recent executions",
        "States": {
            "Recent executions": {
                "Type": "Task",
                "Resource": f"{SDK}:sagemaker:listPipelineExecutions",
                "Arguments": {
                    "PipelineName": pipeline,
                    "CreatedAfter": f"{{% $fromMillis($millis() - {COOL_DOWN_HOURS} * 3600000) %}}",
                    "SortBy": "CreationTime",
                    "SortOrder": "Descending",
                    "MaxResults": 1,
                },
                "Assign": {
                    "event": "{% $states.input %}",
                    "recent": "{% $count($states.result.PipelineExecutionSummaries) %}",
                },
                "Catch": bury,
                "Next": "Cooled down?",
            },
            "Cooled down?": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $recent > 0 %}", "Output": {"started": False}, "Next": "Too soon"}],
                "Default": "Read the reference",
            },
            "Too soon": {"Type": "Succeed"},
            "Read the reference": {
                "Type": "Task",
                "Resource": f"{SDK}:s3:getObject",
                "Arguments": {
                    "Bucket": "{% $event.detail.bucket.name %}",
                    "Key": "{% $event.detail.object.key %}",
                },
                "Assign": {"ref": "{% $parse($states.result.Body) %}"},
                "Retry": [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 2, "BackoffRate": 2}],
                "Catch": bury,
                "Next": "Start the pipeline",
            },
            "Start the pipeline": {
                "Type": "Task",
                "Resource": f"{SDK}:sagemaker:startPipelineExecution",
                "Arguments": {
                    "PipelineName": pipeline,
                    "ClientRequestToken": "{% $states.context.Execution.Name %}",
                    "PipelineParameters": [{"Name": "Commit", "Value": "{% $ref.commit %}"}],
                },
                "Output": {"started": True, "arn": "{% $states.result.PipelineExecutionArn %}"},
                "Catch": bury,
                "End": True,
            },
            "Keep what failed": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Arguments": {
                    "QueueUrl": dead_letters,
                    "MessageBody": {"failure": "{% $failure %}", "input": "{% $states.context.Execution.Input %}"},
                },
                "Next": "Failed",
            },
            "Failed": {"Type": "Fail", "Error": "{% $failure.Error %}", "Cause": "{% $failure.Cause %}"},
        },
    }


def test_a_new_data_version_trains_a_model_once_in_a_while(server: Server, pipelines: Pipelines) -> None:
    s3, sfn, sqs, events = (server.client(service) for service in ("s3", "stepfunctions", "sqs", "events"))
    sagemaker = server.client("sagemaker")
    bucket, name = new_bucket(server), unique("loop")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    train = pipelines.training(commit=get("Parameters.Commit"))
    pipeline = pipelines.create(definition(train, parameters=[{"Name": "Commit", "Type": "String"}]))
    dead_letters = sqs.create_queue(QueueName=name)["QueueUrl"]
    machine = sfn.create_state_machine(
        name=name,
        roleArn=new_role(server, DEV, {"Principal": {"Service": "states.amazonaws.com"}}),
        definition=json.dumps(retraining_machine(pipeline, dead_letters)),
    )["stateMachineArn"]
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": ["datasets/x/refs/main.json"]}},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    role = new_role(server, DEV, {"Principal": {"Service": "events.amazonaws.com"}})
    events.put_targets(Rule=name, Targets=[{"Id": "machine", "Arn": machine, "RoleArn": role}])

    def outcomes(count: int) -> list[dict[str, Any]]:
        """What the first ``count`` executions of the machine answered, oldest first."""

        def all_over() -> list[Any] | None:
            found = sfn.list_executions(stateMachineArn=machine)["executions"]
            over = [e for e in found if e["status"] != "RUNNING"]
            return over if len(over) == count else None

        over = eventually(all_over) or []
        ordered = sorted(over, key=lambda execution: execution["startDate"])
        return [sfn.describe_execution(executionArn=execution["executionArn"]) for execution in ordered]

    s3.put_object(Bucket=bucket, Key="datasets/x/refs/main.json", Body=json.dumps({"commit": "c0ffee"}))
    (first,) = outcomes(1)
    assert first["status"] == "SUCCEEDED", first
    execution = pipelines.ended(json.loads(first["output"])["arn"])
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    job = pipelines.steps(execution)["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    assert sagemaker.describe_training_job(TrainingJobName=job)["HyperParameters"]["commit"] == "c0ffee"

    s3.put_object(Bucket=bucket, Key="datasets/x/refs/main.json", Body=json.dumps({"commit": "decaf"}))
    second = outcomes(2)[1]
    assert (second["status"], json.loads(second["output"])) == ("SUCCEEDED", {"started": False})
    summaries = sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]
    assert len(summaries) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=dead_letters)

    sagemaker.delete_pipeline(PipelineName=pipeline)
    s3.put_object(Bucket=bucket, Key="datasets/x/refs/main.json", Body=json.dumps({"commit": "decaf"}))
    third = outcomes(3)[2]
    assert (third["status"], third["error"]) == ("FAILED", "SageMaker.ResourceNotFoundException")
    kept = json.loads(sqs.receive_message(QueueUrl=dead_letters)["Messages"][0]["Body"])
    assert kept["failure"]["Error"] == third["error"]
    assert kept["input"]["detail"]["object"]["key"] == "datasets/x/refs/main.json"
