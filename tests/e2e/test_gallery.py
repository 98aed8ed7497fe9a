"""Everything that the stacks can make, on real Terraform, with IAM enforced: every serving kind, every network mode,
everything that starts by itself. The tests tell one story and run in the order of the file; the last one destroys it.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlops_kit.config import Environment, Project, load_project
from mlops_kit.local import lifecycle, state
from mlops_kit.local.lifecycle import RECORD_VARIABLE
from mlops_kit.local.state import Layout
from mlops_kit.local.terraform import Terraform
from mlops_kit.naming import DatasetKeys
from tests.cloud import ROOT, Cli, copy_project, free_port, processes_in
from tests.e2e import calls
from tests.e2e.reasons import LARGE_OBJECTS, METRICS, NETWORK_INTERFACES, TAGS, VERSIONS, VOLUMES

ENVIRONMENTS = ("sandbox", "secure", "adopted")
PATIENCE = 120.0
"""Seconds until something that starts by itself has ended; it takes a few."""
DATA = {
    "payments": "amount,hour,fraudulent\n1,2,0\n3,4,1\n",
    "talks": "words,y\n1,0\n2,1\n",
    "papers": "pages,y\n1,0\n2,1\n",
    "customers": "age,churned\n1,0\n2,1\n",
}


class Gallery:
    """The project, its command line, and clients that act as an account's administrator."""

    def __init__(self, directory: Path) -> None:
        self.cli = Cli(copy_project(directory, ROOT / "tests" / "gallery", ("environments", "code")))
        self.layout = Layout(self.cli.project)
        self.record = self.cli.project / "calls.jsonl"

    @property
    def project(self) -> Project:
        return load_project(self.cli.project)

    @property
    def url(self) -> str:
        return state.require(self.layout).url

    def client(self, environment: str, service: str) -> Any:
        stage = self.project.environment(environment)
        return boto3.client(
            service,
            region_name=stage.region,
            endpoint_url=self.url,
            aws_access_key_id=stage.account,
            aws_secret_access_key="local",
        )

    def fire(self, environment: str, schedule: str) -> None:
        """What the schedule would do at its time, now."""
        stage = self.project.environment(environment)
        where = f"{self.url}/_mlops-kit/schedules/{stage.names.schedule_group}/{schedule}/fire"
        request = urllib.request.Request(  # noqa: S310 - the local cloud's own address
            f"{where}?account={stage.account}&region={stage.region}", method="POST"
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            assert json.load(answer)["Status"] == "SUCCEEDED"

    def dead_letters(self, environment: str) -> list[str]:
        queue = self.client(environment, "sqs")
        name = self.project.environment(environment).names.dead_letter_queue
        found = queue.receive_message(QueueUrl=queue.get_queue_url(QueueName=name)["QueueUrl"], VisibilityTimeout=0)
        return [message["Body"] for message in found.get("Messages", [])]

    def terraform(self, stage: Environment) -> tuple[Terraform, Path]:
        found = lifecycle.terraform_for(self.layout, state.require(self.layout), stage)
        return found, self.layout.stack(stage.name)


def until(what: str, look: Callable[[], Any]) -> Any:
    """Look again and again until it is true."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    made = Gallery(tmp_path_factory.mktemp("gallery"))
    up = ("local", "up", "--enforce-iam", "--port", str(free_port()))
    done = made.cli(*up, env={RECORD_VARIABLE: str(made.record)})
    try:
        assert done.code == 0, f"local up ended with {done.code}:\n{done.out[-3000:]}\n{done.err[-6000:]}"
        for name, text in DATA.items():
            (made.cli.project / "data" / name).mkdir(parents=True)
            (made.cli.project / "data" / name / "rows.csv").write_text(text)
        (made.cli.project / "sample.csv").write_text(DATA["payments"])
        yield made
    finally:
        made.cli("local", "down")
    assert not processes_in(made.layout.root), "the local cloud left processes behind"


def commit(gallery: Gallery, dataset: str, message: str) -> str:
    found: str = gallery.cli.json("dataset", "commit", dataset, f"data/{dataset}", "-m", message)["commit"]
    return found


def executions(gallery: Gallery) -> list[dict[str, Any]]:
    sagemaker = gallery.client("sandbox", "sagemaker")
    name = gallery.project.environment("sandbox").names.model("fraud").pipeline
    found: list[dict[str, Any]] = sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    return found


def test_data_that_moves_starts_the_pipeline(gallery: Gallery) -> None:
    """Ref, event, rule, state machine, pipeline, training, registration: nobody starts anything by hand."""
    pushed = commit(gallery, "payments", "first")
    (execution,) = until("the pipeline", lambda: [e for e in executions(gallery) if _ended(e)])
    assert execution["PipelineExecutionStatus"] == "Succeeded", _steps(gallery, execution)
    (version,) = gallery.cli.json("model", "list", "fraud", "--env", "sandbox")
    assert version["lineage"]["dataset_commit"] == pushed
    assert version["lineage"]["training_job"].startswith("pipelines-")
    assert gallery.dead_letters("sandbox") == []


def _ended(execution: Mapping[str, Any]) -> bool:
    return execution["PipelineExecutionStatus"] not in ("Executing", "Stopping")


def _steps(gallery: Gallery, execution: Mapping[str, Any]) -> Any:
    sagemaker = gallery.client("sandbox", "sagemaker")
    return sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution["PipelineExecutionArn"])


def machine_runs(gallery: Gallery, name: str) -> list[dict[str, Any]]:
    states = gallery.client("sandbox", "stepfunctions")
    arn = gallery.project.environment("sandbox").names.arn("states", f"stateMachine:{name}")
    return [
        states.describe_execution(executionArn=run["executionArn"])
        for run in states.list_executions(stateMachineArn=arn)["executions"]
    ]


def test_the_cool_down_starts_nothing(gallery: Gallery) -> None:
    names = gallery.project.environment("sandbox").names
    gallery.fire("sandbox", names.model("fraud").schedule("retraining"))
    runs = until(
        "the second run",
        lambda: (
            [r for r in machine_runs(gallery, names.retrain_machine) if r["status"] != "RUNNING"][1:]
            and machine_runs(gallery, names.retrain_machine)
        ),
    )
    assert {run["status"] for run in runs} == {"SUCCEEDED"}
    assert len(executions(gallery)) == 1, "the pipeline rests for 12 hours"


def test_an_execution_started_by_hand_looks_at_the_versions_there_are(gallery: Gallery) -> None:
    names = gallery.project.environment("sandbox").names
    (version,) = gallery.cli.json("model", "list", "fraud", "--env", "sandbox")
    commit = version["lineage"]["dataset_commit"]
    manifest = f"s3://{names.bucket('lake')}/{DatasetKeys('payments').manifest(commit)}"
    gallery.client("sandbox", "sagemaker").start_pipeline_execution(
        PipelineName=names.model("fraud").pipeline,
        PipelineParameters=[
            {"Name": "DatasetCommit", "Value": commit},
            {"Name": "DatasetManifest", "Value": manifest},
        ],
    )
    until("the second execution", lambda: len(executions(gallery)) == 2 and all(map(_ended, executions(gallery))))
    assert {e["PipelineExecutionStatus"] for e in executions(gallery)} == {"Succeeded"}
    versions = [version["version"] for version in gallery.cli.json("model", "list", "fraud", "--env", "sandbox")]
    assert versions == [1], "the same data and code make the same artifact, which is registered"


def test_real_time(gallery: Gallery) -> None:
    gallery.cli.ok("promote", "model", "fraud@1", "--to", "sandbox")
    assert answers(gallery, "fraud", "sandbox") == ["3", "3"], "three lines of training data, one answer a row"


def answers(gallery: Gallery, model: str, environment: str) -> list[str]:
    return gallery.cli.ok("invoke", model, "--in", environment, "--data", "sample.csv").out.split()


@pytest.mark.parametrize(("model", "dataset"), [("chat", "talks"), ("papers", "papers"), ("churn", "customers")])
def test_train_and_release_by_hand(gallery: Gallery, model: str, dataset: str) -> None:
    commit(gallery, dataset, "first")
    assert gallery.cli.json("train", model)["version"] == 1
    gallery.cli.ok("promote", "model", f"{model}@1", "--to", "sandbox")
    history = gallery.cli.json("history", model, "--in", "sandbox")
    assert [(event["action"], event["outcome"]) for event in history] == [("promotion", "succeeded")]


def test_serverless_and_asynchronous_endpoints_answer(gallery: Gallery) -> None:
    assert answers(gallery, "chat", "sandbox") == ["3", "3"]
    assert answers(gallery, "papers", "sandbox") == ["3", "3"]


def test_a_batch_runs_on_its_schedule(gallery: Gallery) -> None:
    refused = gallery.cli("invoke", "churn", "--in", "sandbox", "--data", "sample.csv")
    assert refused.code == 2
    assert "raw/churn/" in refused.err
    names = gallery.project.environment("sandbox").names
    s3, lake = gallery.client("sandbox", "s3"), names.bucket("lake")
    s3.put_object(Bucket=lake, Key="raw/churn/monday.csv", Body=b"1\n2\n3\n")
    gallery.fire("sandbox", names.model("churn").schedule("batch"))
    prefix = names.model("churn").predictions_prefix
    (answer,) = until("predictions", lambda: s3.list_objects_v2(Bucket=lake, Prefix=prefix).get("Contents"))
    assert answer["Key"].endswith("/monday.csv.out")
    assert s3.get_object(Bucket=lake, Key=answer["Key"])["Body"].read() == b"3\n3\n3\n"


def test_the_drift_job_runs_on_its_schedule(gallery: Gallery) -> None:
    gallery.cli.ok("drift", "baseline", "fraud@1")
    names = gallery.project.environment("sandbox").names
    sagemaker = gallery.client("sandbox", "sagemaker")
    start = names.model("fraud").drift_job("")

    def finished() -> dict[str, Any]:
        jobs = sagemaker.list_processing_jobs(NameContains=start)["ProcessingJobSummaries"]
        resting = (job for job in jobs if job["ProcessingJobStatus"] not in ("InProgress", "Stopping"))
        return {job["ProcessingJobName"]: job for job in resting}

    before = finished()  # a schedule by rate ran once when it was made: nothing was released yet, so that one failed
    gallery.fire("sandbox", names.model("fraud").schedule("drift"))
    (job,) = until("the drift job", lambda: [job for name, job in finished().items() if name not in before])
    assert job["ProcessingJobStatus"] == "Completed", job
    cloudwatch = gallery.client("sandbox", "cloudwatch")
    metrics = cloudwatch.list_metrics(Namespace="MlopsKit/Drift")["Metrics"]
    assert {"Heartbeat", "Rows"} <= {metric["MetricName"] for metric in metrics}


def test_off_hours_stop_the_endpoint_and_bring_it_back(gallery: Gallery) -> None:
    names = gallery.project.environment("sandbox").names
    own, sagemaker = names.model("fraud"), gallery.client("sandbox", "sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=own.endpoint)["EndpointConfigName"]

    def endpoints() -> dict[str, str]:
        return {e["EndpointName"]: e["EndpointStatus"] for e in sagemaker.list_endpoints()["Endpoints"]}

    gallery.fire("sandbox", own.schedule("stop"))
    until("the endpoint to go", lambda: own.endpoint not in endpoints())
    gallery.fire("sandbox", own.schedule("start"))
    until("the endpoint to come back", lambda: endpoints().get(own.endpoint) == "InService")
    assert sagemaker.describe_endpoint(EndpointName=own.endpoint)["EndpointConfigName"] == before
    assert answers(gallery, "fraud", "sandbox") == ["3", "3"]
    until(
        "the workflow", lambda: all(r["status"] == "SUCCEEDED" for r in machine_runs(gallery, names.off_hours_machine))
    )
    assert gallery.dead_letters("sandbox") == []


def test_a_release_inside_a_vpc(gallery: Gallery) -> None:
    """Isolated, in private subnets, by a canary; the version was made in another account."""
    gallery.cli.ok("promote", "dataset", "payments@main", "--to", "secure", "--yes")
    gallery.cli.ok("promote", "model", "fraud@1", "--to", "secure", "--yes")
    assert answers(gallery, "fraud", "secure") == ["3", "3"]
    sagemaker, ec2 = gallery.client("secure", "sagemaker"), gallery.client("secure", "ec2")
    names = gallery.project.environment("secure").names
    endpoint = sagemaker.describe_endpoint(EndpointName=names.model("fraud").endpoint)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    assert model["EnableNetworkIsolation"] is True
    subnets = ec2.describe_subnets(Filters=[{"Name": "tag:Project", "Values": ["gallery"]}])["Subnets"]
    assert sorted(model["VpcConfig"]["Subnets"]) == sorted(subnet["SubnetId"] for subnet in subnets)
    assert len(subnets) == 3


def test_every_role_stayed_within_its_policies(gallery: Gallery) -> None:
    stages = gallery.project.stages
    roles = {arn: role for stage in stages for arn, role in calls.applied_roles(gallery.layout, stage).items()}
    called = calls.recorded(gallery.record)
    assert calls.refused(called) == []
    assert calls.not_granted(called, roles) == []
    granted, used = calls.by_kind(called, roles, stages)
    wrong = {}
    for kind, reasons in UNUSED.items():
        unused = granted[kind] - used[kind] - NETWORK_INTERFACES
        if unused != set(reasons):
            wrong[kind] = {"no reason": sorted(unused - set(reasons)), "stale reason": sorted(set(reasons) - unused)}
    assert wrong == {}


RESTART = "SageMaker looks for the stream of a job that it restarts"
WHERE = "SageMaker checks where a job's buckets are"
DELIVERY = "Step Functions sets up the delivery of its logs; the local cloud writes none"
TRACES = "state machines are traced by X-Ray; the local cloud is not"
DEAD_LETTER = "for what could not be started; nothing of the kind happens in the story"
ENCRYPTED_QUEUE = "the dead-letter queue is encrypted, and so are the schedules' inputs; nothing is sent to the first"
MACHINE = {
    **dict.fromkeys(
        (
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ),
        DELIVERY,
    ),
    **dict.fromkeys(
        (
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        ),
        TRACES,
    ),
    "sqs:SendMessage": DEAD_LETTER,
}
OWN_ALARMS = (
    "Application Auto Scaling makes the alarms of a policy with its caller's permission; the local cloud makes none"
)

UNUSED: Mapping[str, Mapping[str, str]] = {
    "drift": {
        "kms:CreateGrant": VOLUMES,
        "kms:DescribeKey": VOLUMES,
        "kms:GenerateDataKey": VOLUMES,
        "logs:DescribeLogStreams": RESTART,
        "s3:GetBucketLocation": WHERE,
        "s3:GetObjectVersion": VERSIONS,
    },
    "events": {"events:PutEvents": "forwards drift to the first stage; nothing of the gallery drifts in a later one"},
    "off-hours": {
        **MACHINE,
        "application-autoscaling:TagResource": "the scalable target has tags, which come with its registration",
        "cloudwatch:DeleteAlarms": OWN_ALARMS,
        "cloudwatch:DescribeAlarms": OWN_ALARMS,
        "cloudwatch:PutMetricAlarm": OWN_ALARMS,
        "s3:ListBucket": "without it, an object that is not there would look like one that may not be read",
        "sagemaker:DescribeEndpointConfig": "looked at when an endpoint was made again by somebody else",
        "sagemaker:UpdateEndpoint": "for an endpoint that somebody else made again with the first model",
        "sagemaker:UpdateEndpointWeightsAndCapacities": OWN_ALARMS.replace("makes the alarms of", "scales within"),
    },
    "pipeline": {
        "cloudwatch:PutMetricData": METRICS,
        "kms:DescribeKey": VOLUMES,
        "logs:DescribeLogStreams": RESTART,
        "s3:AbortMultipartUpload": LARGE_OBJECTS,
        "s3:ListMultipartUploadParts": LARGE_OBJECTS,
        "s3:GetBucketLocation": WHERE,
        "s3:GetObjectVersion": VERSIONS,
        "s3:PutObjectTagging": TAGS,
        "sagemaker:StopProcessingJob": "for an execution that is stopped",
        "sagemaker:StopTrainingJob": "for an execution that is stopped",
    },
    "retrain": {**MACHINE, "kms:GenerateDataKey": ENCRYPTED_QUEUE},
    "schedules": {
        "kms:Decrypt": ENCRYPTED_QUEUE,
        "kms:GenerateDataKey": ENCRYPTED_QUEUE,
        "sqs:SendMessage": DEAD_LETTER,
    },
}
"""Role kind -> action that is granted and that the gallery does not use -> why it is granted. Service roles only: those
that act in the other story are judged there. Replication and flow logs never act on the local cloud."""


def test_a_second_plan_is_empty(gallery: Gallery) -> None:
    """After the whole story: what the commands changed is what Terraform leaves to them."""

    def changes(name: str) -> str | None:
        terraform, stack = gallery.terraform(gallery.project.environment(name))
        return terraform.has_changes(stack)

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(changes, ENVIRONMENTS)) == [None] * len(ENVIRONMENTS)


def test_destroy_leaves_nothing(gallery: Gallery) -> None:
    def destroy(name: str) -> None:
        _forget_what_the_commands_made(gallery, name)
        terraform, stack = gallery.terraform(gallery.project.environment(name))
        terraform.destroy(stack)

    with ThreadPoolExecutor() as pool:
        list(pool.map(destroy, ENVIRONMENTS))
    ours = [{"Name": "tag:Project", "Values": ["gallery"]}]
    for name in ENVIRONMENTS:
        assert json.loads((gallery.layout.terraform_state / f"{name}.tfstate").read_text())["resources"] == []
        assert gallery.client(name, "s3").list_buckets()["Buckets"] == []
        assert gallery.client(name, "sagemaker").list_endpoints()["Endpoints"] == []
        assert gallery.client(name, "iam").list_roles()["Roles"] == []
        assert gallery.client(name, "ec2").describe_vpcs(Filters=ours)["Vpcs"] == []


def _forget_what_the_commands_made(gallery: Gallery, environment: str) -> None:
    """Registered versions, which Terraform does not know and without which a group cannot go: a person's decision."""
    sagemaker = gallery.client(environment, "sagemaker")
    for group in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        found = sagemaker.list_model_packages(ModelPackageGroupName=group["ModelPackageGroupName"])
        for package in found["ModelPackageSummaryList"]:
            sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
