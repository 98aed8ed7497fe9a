"""Transform jobs: what is sent to the model, what is written, failures, stopping."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.compute.transform import RefusedError, payloads
from tests.local_cloud.endpoints import Endpoints
from tests.local_cloud.support import DEV, REGION, Server, eventually, unique

SHOUTS = """
import os

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    text = body.decode() if isinstance(body, (bytes, bytearray)) else body
    if "refused" in text:
        raise ValueError("this record is refused")
    return text

def predict_fn(data, model):
    if data == "environment":
        names = ("SAGEMAKER_BATCH", "SAGEMAKER_BATCH_STRATEGY", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "OF_THE_JOB")
        return ",".join(os.environ[name] for name in names)
    if data == "forever":
        import time
        print("waiting", flush=True)
        time.sleep(600)
    return "<" + data.upper() + ">"

def output_fn(prediction, accept):
    return prediction, "text/csv"
"""


class Jobs:
    """Makes transform jobs of one model, which answers in upper case, in a bucket of their own."""

    def __init__(self, server: Server) -> None:
        self.server, self.endpoints = server, Endpoints(server)
        self.bucket, self.s3, self.sagemaker = self.endpoints.bucket, self.endpoints.s3, self.endpoints.sagemaker
        self.model = self.endpoints.model("", SHOUTS)

    def start(self, files: dict[str, bytes], name: str | None = None, **changes: Any) -> str:
        name = name or unique("job")
        for key, body in files.items():
            self.s3.put_object(Bucket=self.bucket, Key=f"in/{name}/{key}", Body=body)
        given = {**self.source(f"in/{name}/"), "ContentType": "text/csv", **changes.pop("TransformInput", {})}
        output = {"S3OutputPath": f"s3://{self.bucket}/out/{name}", **changes.pop("TransformOutput", {})}
        request = {
            "TransformJobName": name,
            "ModelName": self.model,
            "TransformInput": given,
            "TransformOutput": output,
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "ModelClientConfig": {"InvocationsMaxRetries": 0},
        }
        self.sagemaker.create_transform_job(**{**request, **changes})
        return name

    def source(self, key: str, kind: str = "S3Prefix") -> dict[str, Any]:
        return {"DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": f"s3://{self.bucket}/{key}"}}}

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_transform_job(TransformJobName=name))

    def ended(self, name: str) -> dict[str, Any]:
        done = ("Completed", "Failed", "Stopped")
        return eventually(lambda: job if (job := self.describe(name))["TransformJobStatus"] in done else None)

    def completed(self, name: str) -> dict[str, bytes]:
        """What the job has written, by key below its output."""
        job = self.ended(name)
        assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
        return self.written(f"out/{name}/")

    def written(self, prefix: str) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {
            entry["Key"].removeprefix(prefix): self.s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
            for entry in listed
        }


@pytest.fixture(scope="module")
def jobs(server: Server) -> Jobs:
    return Jobs(server)


def test_each_object_gets_an_answer_under_its_own_name(jobs: Jobs) -> None:
    name = jobs.start({"a.csv": b"a\nb", "deep/c.csv": b"c"})
    assert jobs.completed(name) == {"a.csv.out": b"<A\nB>", "deep/c.csv.out": b"<C>"}


@pytest.mark.parametrize(
    ("strategy", "assemble", "expected"),
    [
        ("SingleRecord", "Line", b"<A>\n<B>\n<C>\n"),
        ("SingleRecord", "None", b"<A><B><C>"),
        ("MultiRecord", "Line", b"<A\nB\nC>\n"),
    ],
)
def test_lines_are_sent_one_by_one_or_together(jobs: Jobs, strategy: str, assemble: str, expected: bytes) -> None:
    name = jobs.start(
        {"a.csv": b"a\nb\nc\n"},
        BatchStrategy=strategy,
        TransformInput={"SplitType": "Line"},
        TransformOutput={"AssembleWith": assemble, "Accept": "text/csv"},
    )
    assert jobs.completed(name) == {"a.csv.out": expected}


def test_a_manifest_names_the_objects_and_they_may_be_compressed(jobs: Jobs) -> None:
    name = unique("job")
    manifest = json.dumps([{"prefix": f"s3://{jobs.bucket}/in/{name}/"}, "b.csv.gz"]).encode()
    jobs.s3.put_object(Bucket=jobs.bucket, Key=f"{name}.manifest", Body=manifest)
    files = {"a.csv.gz": gzip.compress(b"a"), "b.csv.gz": gzip.compress(b"b")}
    jobs.start(
        files, name, TransformInput={**jobs.source(f"{name}.manifest", "ManifestFile"), "CompressionType": "Gzip"}
    )
    assert jobs.completed(name) == {"b.csv.gz.out": b"<B>"}


def test_the_container_knows_that_it_is_a_batch_and_gets_the_jobs_environment(jobs: Jobs) -> None:
    name = jobs.start(
        {"a": b"environment"},
        BatchStrategy="SingleRecord",
        MaxPayloadInMB=7,
        Environment={"OF_THE_JOB": "yes"},
    )
    assert jobs.completed(name) == {"a.out": b"true,SINGLE_RECORD,7,yes"}


def test_describe_answers_with_the_request_and_the_results(jobs: Jobs) -> None:
    settings: dict[str, Any] = {
        "MaxConcurrentTransforms": 2,
        "MaxPayloadInMB": 3,
        "BatchStrategy": "MultiRecord",
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeKmsKeyId": "key"},
        "ExperimentConfig": {"ExperimentName": "e"},
        "DataProcessing": {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"},
    }
    name = jobs.start({"a": b"a"}, Tags=[{"Key": "k", "Value": "v"}], **settings)
    job = jobs.ended(name)
    assert {key: job[key] for key in settings} == settings
    assert job["TransformJobArn"] == f"arn:aws:sagemaker:{REGION}:{DEV}:transform-job/{name}"
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert "FailureReason" not in job
    assert jobs.sagemaker.list_tags(ResourceArn=job["TransformJobArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    [listed] = jobs.sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    assert listed["TransformJobStatus"] == "Completed"


def test_captured_data_are_manifests(jobs: Jobs) -> None:
    name = unique("job")
    capture = {"DestinationS3Uri": f"s3://{jobs.bucket}/capture/{name}"}
    jobs.start({"a.csv": b"a", "deep/b.csv": b"b"}, name, DataCaptureConfig=capture)
    jobs.completed(name)
    found = jobs.written(f"capture/{name}/")
    sides = {re.fullmatch(r"(\w+)/\d{4}/\d\d/\d\d/\d\d/[0-9a-f-]{36}\.jsonl", key)[1]: key for key in found}  # type: ignore[index]
    assert json.loads(found[sides["input"]]) == [{"prefix": f"s3://{jobs.bucket}/in/{name}/"}, "a.csv", "deep/b.csv"]
    assert json.loads(found[sides["output"]]) == [
        {"prefix": f"s3://{jobs.bucket}/out/{name}/"},
        "a.csv.out",
        "deep/b.csv.out",
    ]


def test_an_object_with_a_bad_record_has_no_answer_and_the_others_have(jobs: Jobs) -> None:
    name = jobs.start(
        {"a.csv": b"a\nrefused\nc", "b.csv": b"b"},
        BatchStrategy="SingleRecord",
        TransformInput={"SplitType": "Line"},
    )
    job = jobs.ended(name)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert "this record is refused" in job["FailureReason"]
    assert f"in/{name}/a.csv" in job["FailureReason"]
    assert jobs.written(f"out/{name}/") == {"b.csv.out": b"<B>"}


def test_what_is_not_there_fails_the_job(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start({}))
    assert job["FailureReason"].startswith("ClientError: No S3 objects found under S3 URL")
    job = jobs.ended(jobs.start({"a": b"a"}, ModelName=jobs.endpoints.model("", "raise RuntimeError('no model')")))
    assert job["TransformJobStatus"] == "Failed"
    assert "did not pass the ping health check" in job["FailureReason"]
    assert "no model" in job["FailureReason"]
    job = jobs.ended(jobs.start({"a": b"a"}, TransformOutput={"S3OutputPath": "s3://nowhere-at-all/out"}))
    assert job["FailureReason"].startswith("ClientError: s3://nowhere-at-all/out/a.out: ")


def test_stopping_ends_the_container(jobs: Jobs) -> None:
    name = jobs.start({"a": b"forever"})
    logs, group = jobs.server.client("logs"), "/aws/sagemaker/TransformJobs"

    def waiting() -> bool:
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return False
        events = [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        ]
        return "waiting" in events

    assert eventually(waiting)
    jobs.sagemaker.stop_transform_job(TransformJobName=name)
    job = jobs.ended(name)
    assert job["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    eventually(lambda: not [c for c in jobs.server.health()["containers"] if c["name"].endswith(f"/{name}")])
    with pytest.raises(ClientError, match="is in status Stopped"):
        jobs.sagemaker.stop_transform_job(TransformJobName=name)


def test_what_cannot_be_run_is_refused_when_it_is_asked_for(jobs: Jobs) -> None:
    name = jobs.start({"a": b"a"})
    with pytest.raises(ClientError) as caught:
        jobs.start({"a": b"a"}, name)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    jobs.completed(name)
    capture = {"DestinationS3Uri": f"s3://{jobs.bucket}/capture", "GenerateInferenceId": True}
    refused: list[tuple[str, dict[str, Any]]] = [
        ("Could not find model", {"ModelName": "nobody"}),
        ("not by TFRecord", {"TransformInput": {"SplitType": "TFRecord"}}),
        ("JoinSource of DataProcessing", {"DataProcessing": {"JoinSource": "Input"}}),
        ("InputFilter of DataProcessing", {"DataProcessing": {"InputFilter": "$[1:]"}}),
        ("GenerateInferenceId", {"DataCaptureConfig": capture}),
        ("must be at most 100 MB", {"MaxPayloadInMB": 50, "MaxConcurrentTransforms": 3}),
        ("transformJobName", {"TransformJobName": "under_score"}),
    ]
    for message, changes in refused:
        with pytest.raises(ClientError, match=rf"\(ValidationException\).*{message}"):
            jobs.start({}, **changes)
    with pytest.raises(ClientError, match="Requested resource not found"):
        jobs.describe("nobody")


@pytest.mark.parametrize(
    ("body", "by_line", "single", "limit", "expected"),
    [
        (b"a\nb", False, False, 0, [b"a\nb"]),
        (b"a\nb\n", True, True, 0, [b"a", b"b"]),
        (b"a\nb\n\nc", True, False, 0, [b"a\nb\nc"]),
        (b"aa\nbb\ncc", True, False, 5, [b"aa\nbb", b"cc"]),
        (b"aaa\nbb\nc", True, False, 4, [b"aaa", b"bb\nc"]),
        (b"", True, False, 4, []),
    ],
)
def test_how_an_object_is_divided(body: bytes, by_line: bool, single: bool, limit: int, expected: list[bytes]) -> None:
    assert list(payloads(body, by_line, single, limit)) == expected


def test_what_cannot_be_divided_may_be_too_large() -> None:
    with pytest.raises(RefusedError, match="larger than MaxPayloadInMB"):
        list(payloads(b"aaaaa\nb", True, False, 4))
    with pytest.raises(RefusedError, match="larger than MaxPayloadInMB"):
        list(payloads(b"a\nb\nc", False, True, 4))
