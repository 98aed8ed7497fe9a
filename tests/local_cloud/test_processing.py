"""Processing jobs: the container contract, outputs, failures, stopping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.compute import paths
from tests.local_cloud.support import DEV, REGION, ROLE, Server, eventually, new_bucket, unique

CODE = "/opt/ml/processing/input/code"
DATA = "/opt/ml/processing/input/data"
OUTPUT = "/opt/ml/processing/output/report"

REPORT = """
import json, os, sys
from pathlib import Path

data, output = Path(sys.argv[1]), Path(os.environ["REPORT"])
config = Path(os.environ["CONFIG"])
report = {
    "argv": sys.argv[1:],
    "env": dict(os.environ),
    "files": {str(p.relative_to(data)): p.read_text() for p in sorted(data.rglob("*")) if p.is_file()},
    "config": {p.name: json.loads(p.read_text()) for p in config.iterdir()},
    "executable": sys.executable,
}
(output / "deep").mkdir()
(output / "deep" / "report.json").write_text(json.dumps(report))
os.symlink("/etc/hosts", output / "link")
Path(os.environ["MESSAGE"]).write_text("27 rows were dropped")
print("done with", len(report["files"]), "files")
"""


class Jobs:
    """Makes processing jobs in a bucket of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.bucket = new_bucket(server)
        self.s3, self.sagemaker = server.client("s3"), server.client("sagemaker")
        self.s3.put_object(Bucket=self.bucket, Key="data/a.csv", Body=b"a")
        self.s3.put_object(Bucket=self.bucket, Key="data/deep/b.csv", Body=b"b")

    def start(self, script: str, name: str | None = None, **changes: Any) -> str:
        name = name or unique("job")
        self.s3.put_object(Bucket=self.bucket, Key=f"code/{name}/run.py", Body=script.encode())
        request: dict[str, Any] = {
            "ProcessingJobName": name,
            "RoleArn": ROLE,
            "AppSpecification": {
                "ImageUri": "image:1",
                "ContainerEntrypoint": ["python3", f"{CODE}/run.py"],
                "ContainerArguments": [DATA, "--limit", "3"],
            },
            "Environment": {
                "REPORT": OUTPUT,
                "CONFIG": "/opt/ml/config",
                "MESSAGE": "/opt/ml/output/message",
            },
            "ProcessingInputs": [self.input("code", CODE, f"code/{name}/run.py"), self.input("data", DATA, "data/")],
            "ProcessingOutputConfig": {"Outputs": [self.output(name)]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
            },
        }
        self.sagemaker.create_processing_job(**{**request, **changes})
        return name

    def input(self, name: str, path: str, key: str, kind: str = "S3Prefix") -> dict[str, Any]:
        source = {"S3Uri": f"s3://{self.bucket}/{key}", "LocalPath": path, "S3DataType": kind, "S3InputMode": "File"}
        return {"InputName": name, "S3Input": source}

    def output(self, name: str, mode: str = "EndOfJob") -> dict[str, Any]:
        target = {"S3Uri": f"s3://{self.bucket}/out/{name}", "LocalPath": OUTPUT, "S3UploadMode": mode}
        return {"OutputName": "report", "S3Output": target}

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_processing_job(ProcessingJobName=name))

    def ended(self, name: str) -> dict[str, Any]:
        done = ("Completed", "Failed", "Stopped")
        return eventually(lambda: job if (job := self.describe(name))["ProcessingJobStatus"] in done else None)

    def log(self, name: str) -> list[str]:
        logs, group = self.server.client("logs"), "/aws/sagemaker/ProcessingJobs"
        try:
            found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/algo-1-")["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        if not found:
            return []
        events = logs.get_log_events(logGroupName=group, logStreamName=found[0]["logStreamName"])["events"]
        return [event["message"] for event in events]

    def written(self, name: str) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"out/{name}/").get("Contents", [])
        keys = [entry["Key"] for entry in listed]
        return {
            key.removeprefix(f"out/{name}/"): self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            for key in keys
        }

    def report(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.written(name)["deep/report.json"]))


@pytest.fixture(scope="module")
def jobs(server: Server) -> Jobs:
    return Jobs(server)


def test_a_command_runs_under_the_container_contract(jobs: Jobs) -> None:
    name = jobs.start(REPORT)
    job = jobs.ended(name)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert list(jobs.written(name)) == ["deep/report.json"]
    report = jobs.report(name)
    assert report["files"] == {"a.csv": "a", "deep/b.csv": "b"}
    data, *arguments = report["argv"]
    assert arguments == ["--limit", "3"]
    assert Path(data).is_relative_to(jobs.server.directory)
    assert data.endswith("/processing/input/data")
    assert not Path(data).exists(), "the copies of the data stay behind"
    config = report["config"]["processingjobconfig.json"]
    assert config["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert config["ProcessingInputs"][1]["S3Input"]["LocalPath"] == data
    assert config["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert report["config"]["resourceconfig.json"] == {"current_host": "algo-1", "hosts": ["algo-1"]}
    assert jobs.log(name) == ["done with 2 files"]


def test_describe_answers_with_the_request_and_the_results(jobs: Jobs) -> None:
    settings: dict[str, Any] = {
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 2,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 30,
                "VolumeKmsKeyId": "key",
            }
        },
        "NetworkConfig": {
            "EnableInterContainerTrafficEncryption": True,
            "EnableNetworkIsolation": False,
            "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 300},
        "ExperimentConfig": {"ExperimentName": "e"},
    }
    name = jobs.start(REPORT, Tags=[{"Key": "k", "Value": "v"}], **settings)
    job = jobs.ended(name)
    assert {key: job[key] for key in settings} == settings
    assert job["ProcessingInputs"] == [
        jobs.input("code", CODE, f"code/{name}/run.py"),
        jobs.input("data", DATA, "data/"),
    ]
    assert job["Environment"]["REPORT"] == OUTPUT
    assert job["ProcessingJobArn"] == f"arn:aws:sagemaker:{REGION}:{DEV}:processing-job/{name}"
    assert job["ExitMessage"] == "27 rows were dropped"
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert "FailureReason" not in job
    assert "Tags" not in job
    assert jobs.sagemaker.list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    [listed] = jobs.sagemaker.list_processing_jobs(NameContains=name, StatusEquals="Completed")[
        "ProcessingJobSummaries"
    ]
    assert (listed["ProcessingJobArn"], listed["ExitMessage"]) == (job["ProcessingJobArn"], job["ExitMessage"])


def test_a_manifest_names_what_is_downloaded(jobs: Jobs) -> None:
    manifest = json.dumps([{"prefix": f"s3://{jobs.bucket}/data/"}, "deep/b.csv"]).encode()
    jobs.s3.put_object(Bucket=jobs.bucket, Key="some.manifest", Body=manifest)
    name = unique("job")
    inputs = [
        jobs.input("code", CODE, f"code/{name}/run.py"),
        jobs.input("data", DATA, "some.manifest", "ManifestFile"),
    ]
    jobs.ended(jobs.start(REPORT, name, ProcessingInputs=inputs))
    assert jobs.report(name)["files"] == {"deep/b.csv": "b"}


def test_the_job_acts_as_its_role_and_sees_nothing_of_the_user(jobs: Jobs) -> None:
    name = jobs.start(REPORT)
    jobs.ended(name)
    env = jobs.report(name)["env"]
    assert "SECRET_OF_THE_USER" not in env
    identity = jobs.server.client(
        "sts", key=env["AWS_ACCESS_KEY_ID"], secret=env["AWS_SECRET_ACCESS_KEY"], token=env["AWS_SESSION_TOKEN"]
    ).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{DEV}:assumed-role/any/SageMaker"


def test_network_isolation_takes_the_credentials_away(jobs: Jobs) -> None:
    name = jobs.start(REPORT, NetworkConfig={"EnableNetworkIsolation": True})
    jobs.ended(name)
    assert not [variable for variable in jobs.report(name)["env"] if variable.startswith("AWS_")]


def test_a_shell_script_finds_the_same_python(jobs: Jobs) -> None:
    direct = jobs.start(REPORT)
    shell = jobs.start(
        REPORT,
        AppSpecification={
            "ImageUri": "image:1",
            "ContainerEntrypoint": ["sh", "-c", f'cd "{CODE}" && exec python3 run.py "{DATA}"'],
        },
    )
    for name in (direct, shell):
        assert jobs.ended(name)["ProcessingJobStatus"] == "Completed", jobs.log(name)
    found = {Path(jobs.report(name)["executable"]).parent for name in (direct, shell)}
    assert len(found) == 1


def test_a_failing_command_fails_the_job_and_uploads_nothing(jobs: Jobs) -> None:
    script = """
import os, pathlib, sys
pathlib.Path(os.environ["REPORT"], "half.txt").write_text("half")
pathlib.Path(os.environ["MESSAGE"]).write_text("x" * 2000)
sys.exit("the label column is missing")
"""
    name = jobs.start(script)
    job = jobs.ended(name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert "exit code: 1." in job["FailureReason"]
    assert job["FailureReason"].endswith("the label column is missing")
    assert job["ExitMessage"] == "x" * 1024
    assert jobs.written(name) == {}
    continuous = unique("job")
    outputs = {"Outputs": [jobs.output(continuous, "Continuous")]}
    jobs.ended(jobs.start(script, continuous, ProcessingOutputConfig=outputs))
    assert jobs.written(continuous) == {"half.txt": b"half"}


def test_a_message_has_to_be_text(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start("import os\nopen(os.environ['MESSAGE'], 'wb').write(b'\\xff\\xfe')"))
    assert job["FailureReason"] == "ClientError: /opt/ml/output/message is not encoded in UTF-8"


def test_input_that_is_not_there_fails_the_job(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start(REPORT, ProcessingInputs=[jobs.input("data", DATA, "nothing/")]))
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: No S3 objects found under S3 URL")


def test_stopping_ends_the_command(jobs: Jobs) -> None:
    name = jobs.start("import time\nprint('started', flush=True)\ntime.sleep(600)")
    eventually(lambda: jobs.log(name) == ["started"])
    assert jobs.describe(name)["ProcessingJobStatus"] == "InProgress"
    jobs.sagemaker.stop_processing_job(ProcessingJobName=name)
    job = jobs.ended(name)
    assert job["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    with pytest.raises(ClientError, match="is in status Stopped"):
        jobs.sagemaker.stop_processing_job(ProcessingJobName=name)


def test_a_job_may_not_run_longer_than_it_said(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start("import time; time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert job["ProcessingJobStatus"] == "Stopped"


def test_names_are_used_once_and_roles_have_to_trust_sagemaker(jobs: Jobs) -> None:
    name = jobs.start(REPORT)
    with pytest.raises(ClientError) as caught:
        jobs.start(REPORT, name)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    jobs.ended(name)
    with pytest.raises(ClientError, match="Could not assume role"):
        jobs.start(REPORT, RoleArn=f"arn:aws:iam::{DEV}:role/nobody")
    for call in (jobs.sagemaker.describe_processing_job, jobs.sagemaker.stop_processing_job):
        with pytest.raises(ClientError, match="Requested resource not found"):
            call(ProcessingJobName="nobody")


def test_what_cannot_be_run_is_refused_when_it_is_asked_for(jobs: Jobs) -> None:
    with pytest.raises(ClientError, match="ContainerEntrypoint"):
        jobs.start("", AppSpecification={"ImageUri": "image:1"})
    for path in ("/opt/ml/model", "/opt/ml/processing/../../../etc", "relative"):
        with pytest.raises(ClientError, match="LocalPath must be an absolute path"):
            jobs.start("", ProcessingInputs=[jobs.input("data", path, "data/")])
    feature_group = {"OutputName": "o", "FeatureStoreOutput": {"FeatureGroupName": "f"}}
    with pytest.raises(ClientError, match="has no S3Output"):
        jobs.start("", ProcessingOutputConfig={"Outputs": [feature_group]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/opt/ml/input", "/base/input"),
        ("/opt/ml", "/base"),
        ("--data=/opt/ml/a:/opt/ml/b", "--data=/base/a:/base/b"),
        ("file:///opt/ml/x", "file:///base/x"),
        ("s3://bucket/opt/ml/x", "s3://bucket/opt/ml/x"),
        ("/srv/opt/ml/x", "/srv/opt/ml/x"),
        ("/opt/mlflow", "/opt/mlflow"),
    ],
)
def test_which_paths_are_mapped(text: str, expected: str) -> None:
    assert paths.rewrite(text, Path("/base")) == expected
