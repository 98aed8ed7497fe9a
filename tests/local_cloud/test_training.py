"""Training jobs: the container contract, results, failures, stopping."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.local.compute import archives, sources
from mlops_kit.local.compute.training import failure_reason, final_metrics
from tests.local_cloud.support import DEV, REGION, ROLE, Server, eventually, new_bucket, tar_gz, unique

REPORT = """
import json, os, sys
from pathlib import Path

data = Path(os.environ["SM_CHANNEL_TRAIN"])
report = {
    "argv": sys.argv[1:],
    "env": dict(os.environ),
    "files": {str(p.relative_to(data)): p.read_text() for p in sorted(data.rglob("*")) if p.is_file()},
    "config": {p.name: json.loads(p.read_text()) for p in Path(os.environ["SM_INPUT_CONFIG_DIR"]).iterdir()},
    "cwd": sorted(os.listdir(".")),
}
Path(os.environ["SM_MODEL_DIR"], "report.json").write_text(json.dumps(report))
Path(os.environ["SM_OUTPUT_DATA_DIR"], "plot.txt").write_text("plot")
print("loss=3.5")
print("loss=0.25 accuracy=n/a")
"""


class Jobs:
    """Makes training jobs in a bucket of their own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.bucket = new_bucket(server)
        self.s3, self.sagemaker = server.client("s3"), server.client("sagemaker")
        self.s3.put_object(Bucket=self.bucket, Key="data/a.csv", Body=b"a")
        self.s3.put_object(Bucket=self.bucket, Key="data/deep/b.csv", Body=b"b")

    def start(self, script: str, name: str | None = None, **changes: Any) -> str:
        name = name or unique("job")
        self.s3.put_object(Bucket=self.bucket, Key=f"{name}.tar.gz", Body=tar_gz({"train.py": script}))
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": "image:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": "loss", "Regex": "loss=([0-9.]+)"},
                    {"Name": "accuracy", "Regex": "accuracy=(\\S+)"},
                ],
            },
            "HyperParameters": {
                "sagemaker_program": json.dumps("train.py"),
                "sagemaker_submit_directory": json.dumps(f"s3://{self.bucket}/{name}.tar.gz"),
            },
            "InputDataConfig": [self.channel("S3Prefix", "data/")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 300},
        }
        hyperparameters = {**request["HyperParameters"], **changes.pop("HyperParameters", {})}
        self.sagemaker.create_training_job(**{**request, "HyperParameters": hyperparameters, **changes})
        return name

    def channel(self, kind: str, key: str) -> dict[str, Any]:
        return {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": f"s3://{self.bucket}/{key}"}},
        }

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_training_job(TrainingJobName=name))

    def ended(self, name: str) -> dict[str, Any]:
        done = ("Completed", "Failed", "Stopped")
        return eventually(lambda: job if (job := self.describe(name))["TrainingJobStatus"] in done else None)

    def log(self, name: str) -> list[str]:
        logs, group = self.server.client("logs"), "/aws/sagemaker/TrainingJobs"
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/algo-1-")["logStreams"]
        if not streams:
            return []
        events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"])["events"]
        return [event["message"] for event in events]

    def artifact(self, job: dict[str, Any], name: str = "model.tar.gz") -> dict[str, bytes]:
        uri = job["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", name)
        body = self.s3.get_object(Bucket=self.bucket, Key=uri.split("/", 3)[3])["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


@pytest.fixture
def jobs(server: Server) -> Jobs:
    return Jobs(server)


def test_a_script_runs_under_the_container_contract(jobs: Jobs) -> None:
    jobs.s3.put_object(
        Bucket=jobs.bucket,
        Key="some.manifest",
        Body=json.dumps([{"prefix": f"s3://{jobs.bucket}/data/"}, "deep/b.csv"]).encode(),
    )
    name = jobs.start(
        REPORT,
        InputDataConfig=[jobs.channel("ManifestFile", "some.manifest")],
        HyperParameters={"label": '"malignant"', "depth": "3", "flag": "true", "plain": "text"},
        Environment={"OF_THE_JOB": "yes"},
        Tags=[{"Key": "k", "Value": "v"}],
    )
    job = jobs.ended(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job.get("FailureReason")
    report = json.loads(jobs.artifact(job)["report.json"])
    assert report["files"] == {"deep/b.csv": "b"}
    assert report["argv"] == ["--depth", "3", "--flag", "True", "--label", "malignant", "--plain", "text"]
    env = report["env"]
    assert env["OF_THE_JOB"] == "yes"
    assert env["TRAINING_JOB_NAME"] == name
    assert json.loads(env["SM_CHANNELS"]) == ["train"]
    assert json.loads(env["SM_HPS"]) == {"label": "malignant", "depth": 3, "flag": True, "plain": "text"}
    assert (env["SM_HP_LABEL"], env["SM_HP_DEPTH"], env["SM_HP_FLAG"]) == ("malignant", "3", "true")
    assert json.loads(env["SM_HOSTS"]) == ["algo-1"] == [env["SM_CURRENT_HOST"]]
    assert env["SM_NUM_GPUS"] == "0"
    assert env["SM_MODULE_DIR"] == f"s3://{jobs.bucket}/{name}.tar.gz"
    assert json.loads(env["SM_USER_ARGS"]) == report["argv"]
    assert report["config"]["hyperparameters.json"]["label"] == '"malignant"'
    assert report["config"]["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert report["config"]["inputdataconfig.json"]["train"]["TrainingInputMode"] == "File"
    assert report["cwd"] == ["train.py"]
    assert jobs.artifact(job, "output.tar.gz") == {"plot.txt": b"plot"}


def test_nothing_of_the_user_reaches_the_script_and_boto3_there_is_local(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start(REPORT))
    env = json.loads(jobs.artifact(job)["report.json"])["env"]
    assert "SECRET_OF_THE_USER" not in env
    assert "AWS_PROFILE" not in env
    assert env["AWS_ENDPOINT_URL"] == jobs.server.url
    assert Path(env["HOME"]).is_relative_to(jobs.server.directory)
    identity = jobs.server.client(
        "sts", key=env["AWS_ACCESS_KEY_ID"], secret=env["AWS_SECRET_ACCESS_KEY"], token=env["AWS_SESSION_TOKEN"]
    ).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{DEV}:assumed-role/any/SageMaker"


def test_network_isolation_takes_the_credentials_away(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start(REPORT, EnableNetworkIsolation=True))
    assert job["EnableNetworkIsolation"] is True
    env = json.loads(jobs.artifact(job)["report.json"])["env"]
    assert not [name for name in env if name.startswith("AWS_")]


@pytest.mark.parametrize("submitted", ["/opt/ml/input/data/code/sourcedir.tar.gz", "/opt/ml/input/data/code"])
def test_the_code_may_come_through_a_channel(jobs: Jobs, submitted: str) -> None:
    key = "sources/sourcedir.tar.gz" if submitted.endswith(".tar.gz") else "sources/train.py"
    body = tar_gz({"train.py": REPORT}) if submitted.endswith(".tar.gz") else REPORT.encode()
    jobs.s3.put_object(Bucket=jobs.bucket, Key=key, Body=body)
    job = jobs.ended(
        jobs.start(
            "raise SystemExit('the code of the S3 location ran')",
            EnableNetworkIsolation=True,
            HyperParameters={"sagemaker_submit_directory": submitted},
            InputDataConfig=[
                jobs.channel("S3Prefix", "data/"),
                {**jobs.channel("S3Prefix", "sources/"), "ChannelName": "code"},
            ],
        )
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    report = json.loads(jobs.artifact(job)["report.json"])
    assert "train.py" in report["cwd"]
    assert report["files"] == {"a.csv": "a", "deep/b.csv": "b"}
    assert not [name for name in report["env"] if name.startswith("AWS_")]
    module_dir = Path(report["env"]["SM_MODULE_DIR"])
    assert module_dir.is_relative_to(Path(report["env"]["SM_CHANNEL_CODE"]))


@pytest.mark.parametrize("submitted", ["/opt/ml/input/data/code/none.tar.gz", "/opt/ml/../../etc", "/etc"])
def test_a_submitted_directory_that_is_not_in_the_container(jobs: Jobs, submitted: str) -> None:
    job = jobs.ended(jobs.start("print(1)", HyperParameters={"sagemaker_submit_directory": submitted}))
    assert "is not in the container" in job["FailureReason"]


def test_settings_without_effect_here_are_described_as_they_were_given(jobs: Jobs) -> None:
    settings: dict[str, Any] = {
        "EnableInterContainerTrafficEncryption": True,
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    }
    name = jobs.start("print(1)", **settings)
    job = jobs.ended(name)
    assert {key: job[key] for key in settings} == settings
    with pytest.raises(ClientError, match="Invalid MaxWaitTimeInSeconds"):
        jobs.start("print(1)", **{**settings, "StoppingCondition": {"MaxRuntimeInSeconds": 300}})


def test_lists_are_sorted_filtered_and_cut(jobs: Jobs) -> None:
    prefix = unique("list")
    for suffix in ("b", "a", "c"):
        jobs.ended(jobs.start("print(1)", f"{prefix}-{suffix}"))

    def names(**arguments: Any) -> list[str]:
        pages = jobs.sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains=prefix, PaginationConfig={"PageSize": 2}, **arguments
        )
        return [s["TrainingJobName"].removeprefix(f"{prefix}-") for p in pages for s in p["TrainingJobSummaries"]]

    assert names() == ["b", "a", "c"]
    assert names(SortBy="Name") == ["a", "b", "c"]
    assert names(SortBy="Name", SortOrder="Descending") == ["c", "b", "a"]
    assert names(StatusEquals="Failed") == []
    hour = timedelta(hours=1)
    assert names(CreationTimeAfter=datetime.now(UTC) - hour, LastModifiedTimeBefore=datetime.now(UTC) + hour) == names()
    assert names(CreationTimeBefore=datetime.now(UTC) - hour) == []
    assert names(LastModifiedTimeAfter=datetime.now(UTC) + hour) == []


def test_describe_answers_with_the_request_and_the_results(jobs: Jobs) -> None:
    name = jobs.start(REPORT)
    job = jobs.ended(name)
    assert job["TrainingJobArn"] == f"arn:aws:sagemaker:{REGION}:{DEV}:training-job/{name}"
    assert job["AlgorithmSpecification"]["MetricDefinitions"][0] == {"Name": "loss", "Regex": "loss=([0-9.]+)"}
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{jobs.bucket}/out/{name}/output/model.tar.gz"
    assert "VpcConfig" not in job
    [metric] = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("loss", 0.25)
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= datetime.now(UTC)
    assert job["BillableTimeInSeconds"] >= 1
    stages = [t["Status"] for t in job["SecondaryStatusTransitions"]]
    assert stages == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert jobs.log(name)[-2:] == ["loss=3.5", "loss=0.25 accuracy=n/a"]
    listed = jobs.sagemaker.list_training_jobs(NameContains=name, StatusEquals="Completed")["TrainingJobSummaries"]
    assert [summary["TrainingJobName"] for summary in listed] == [name]


def test_training_twice_gives_the_same_bytes(jobs: Jobs) -> None:
    script = "import os, pathlib; pathlib.Path(os.environ['SM_MODEL_DIR'], 'm').write_text('1')"
    keys = [f"out/{jobs.ended(jobs.start(script))['TrainingJobName']}/output/model.tar.gz" for _ in range(2)]
    first, second = (jobs.s3.get_object(Bucket=jobs.bucket, Key=key)["Body"].read() for key in keys)
    assert first == second


def test_a_failing_script_ends_with_its_own_last_words(jobs: Jobs) -> None:
    name = jobs.start("import sys\nprint('loading')\nsys.exit('no rows in the CSV files')")
    job = jobs.ended(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"] == (
        'AlgorithmError: ExecuteUserScriptError: ExitCode 1, ErrorMessage "loading\nno rows in the CSV files"'
    )
    assert "ModelArtifacts" not in job
    assert "no rows in the CSV files" in jobs.log(name)


def test_an_exception_is_in_the_reason_however_long_the_output(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start("print('x' * 5000)\nraise ValueError('the label column is missing')"))
    assert len(job["FailureReason"]) == 1024
    assert job["FailureReason"].endswith('ValueError: the label column is missing"')


def test_a_failure_file_is_preferred() -> None:
    assert failure_reason(1, ["last line"], Path("/nonexistent")).endswith('ErrorMessage "last line"')


def test_the_failure_file_of_a_script_is_the_reason(jobs: Jobs) -> None:
    script = "import os, pathlib, sys\npathlib.Path(os.environ['SM_OUTPUT_DIR'], 'failure').write_text('too few rows')"
    job = jobs.ended(jobs.start(script + "\nsys.exit(3)"))
    assert job["FailureReason"] == "AlgorithmError: too few rows"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"InputDataConfig": "nothing/"}, "No S3 objects found under S3 URL"),
        ({"HyperParameters": {"sagemaker_program": "other.py"}}, "there is no 'other.py'"),
        ({"HyperParameters": {"sagemaker_submit_directory": "s3://nowhere-at-all/x.tar.gz"}}, "does not exist"),
    ],
)
def test_what_cannot_be_downloaded_fails_the_job(jobs: Jobs, changes: dict[str, Any], reason: str) -> None:
    if "InputDataConfig" in changes:
        changes = {"InputDataConfig": [jobs.channel("S3Prefix", changes["InputDataConfig"])]}
    job = jobs.ended(jobs.start("print(1)", **changes))
    assert job["FailureReason"].startswith("ClientError: Data download failed:")
    assert reason in job["FailureReason"]


def test_a_hostile_archive_writes_nothing_outside(jobs: Jobs) -> None:
    name = unique("job")
    jobs.s3.put_object(Bucket=jobs.bucket, Key="evil.tar.gz", Body=tar_gz({"../../escaped.py": "print(1)"}))
    uri = f"s3://{jobs.bucket}/evil.tar.gz"
    job = jobs.ended(jobs.start("", name, HyperParameters={"sagemaker_submit_directory": uri}))
    assert "OutsideDestinationError" in job["FailureReason"]
    assert not list(jobs.server.directory.rglob("escaped.py"))


STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.mark.parametrize("preparation", ["", STUBBORN])
def test_stopping_ends_the_script(jobs: Jobs, preparation: str) -> None:
    name = jobs.start(preparation + "import time\nprint('started', flush=True)\ntime.sleep(600)")
    eventually(lambda: jobs.describe(name)["SecondaryStatus"] == "Training" and "started" in jobs.log(name))
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.ended(name)
    assert job["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        jobs.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_may_not_run_longer_than_it_said(jobs: Jobs) -> None:
    job = jobs.ended(jobs.start("import time; time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_names_are_used_once(jobs: Jobs) -> None:
    name = jobs.start("print(1)")
    with pytest.raises(ClientError) as caught:
        jobs.start("print(1)", name)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    jobs.ended(name)


@pytest.mark.parametrize("call", ["describe_training_job", "stop_training_job"])
def test_a_job_that_does_not_exist(jobs: Jobs, call: str) -> None:
    with pytest.raises(ClientError, match=r"\(ValidationException\).*Requested resource not found"):
        getattr(jobs.sagemaker, call)(TrainingJobName="nobody")


def test_what_cannot_be_run_is_refused_when_it_is_asked_for(jobs: Jobs) -> None:
    with pytest.raises(ClientError, match="not Pipe"):
        jobs.start("", AlgorithmSpecification={"TrainingImage": "i", "TrainingInputMode": "Pipe"})
    with pytest.raises(ClientError, match="S3Prefix or a ManifestFile"):
        jobs.start("", InputDataConfig=[jobs.channel("AugmentedManifestFile", "x")])
    with pytest.raises(ClientError, match="trainingJobName"):
        jobs.start("", name="../escape")


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("data/a.csv", "data/", "a.csv"),
        ("data/a.csv", "data", "a.csv"),
        ("data/deep/a.csv", "data/", "deep/a.csv"),
        ("data/train-1.csv", "data/train", "train-1.csv"),
        ("data/a.csv", "data/a.csv", "a.csv"),
        ("a.csv", "", "a.csv"),
    ],
)
def test_where_an_object_is_put(key: str, prefix: str, expected: str) -> None:
    assert sources.relative(key, prefix) == expected


def test_metrics_take_the_last_number() -> None:
    request = {"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "m", "Regex": "m=([0-9.]+)"}]}}
    [metric] = final_metrics(request, ["m=1 m=2", "other", "m=3 then m=4", "end"])
    assert metric["Value"] == 4.0
    assert final_metrics(request, ["nothing"]) == []


def test_archives_hold_content_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/file").write_text("x")
    packed = archives.pack(tmp_path / "in")
    (tmp_path / "in/deep/file").touch()
    assert archives.pack(tmp_path / "in") == packed
    archives.unpack(packed, tmp_path / "out")
    assert (tmp_path / "out/deep/file").read_text() == "x"
    with pytest.raises(archives.BadArchiveError):
        archives.unpack(b"not an archive", tmp_path / "bad")
