"""The process: starting, health, what it refuses, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import mlops_kit
from tests.local_cloud.support import DEV, REGION, ROLE, Server, eventually, model_archive, new_bucket, tar_gz, unique

SLEEPER = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
SLEEPER += "print('asleep', flush=True)\ntime.sleep(600)\n"


def busy(server: Server) -> list[int]:
    """Start an endpoint and a training job that never ends; the process groups they run in."""
    bucket, name = new_bucket(server), unique()
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=model_archive("1"))
    s3.put_object(Bucket=bucket, Key="source.tar.gz", Body=tar_gz({"train.py": SLEEPER}))
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "i", "ModelDataUrl": f"s3://{bucket}/model.tar.gz"},
    )
    variant = {"VariantName": "main", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": "i", "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{bucket}/source.tar.gz",
        },
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    eventually(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")
    logs = server.client("logs")
    eventually(lambda: any("asleep" in e["message"] for e in _events(logs)))
    return [container["pid"] for container in server.health()["containers"]]


def _events(logs: Any) -> list[dict[str, Any]]:
    try:
        return list(logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs")["events"])
    except ClientError:
        return []


def processes_naming(text: str) -> list[int]:
    """Processes, zombies excepted, whose command line contains ``text``, or whose directory does."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            directory = str((entry / "cwd").readlink()) if state != "Z" else ""
        except OSError:
            continue
        if state != "Z" and (text in command or text in directory):
            found.append(int(entry.name))
    return found


def test_health_says_that_it_is_ready_and_what_runs(server: Server) -> None:
    health = server.health()
    assert health["status"] == "ok"
    assert health["version"] == mlops_kit.__version__
    assert isinstance(health["containers"], list)


def test_a_port_in_use_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    port = server.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "mlops_kit.local.server", "--port", port, "--directory", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"port {port} is in use" in done.stderr


def test_what_is_not_emulated_is_refused_at_once(server: Server) -> None:
    with pytest.raises(ClientError) as caught:
        server.client("sagemaker").list_monitoring_schedules()
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "list_monitoring_schedules" in caught.value.response["Error"]["Message"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server(tmp_path: Path, how: signal.Signals) -> None:
    server = Server.start(tmp_path)
    pids = busy(server)
    assert len(pids) == 2
    assert len(processes_naming(str(tmp_path))) >= 5, "server, two watchdogs, container, script and its child"
    server.process.send_signal(how)
    status = server.process.wait(30)
    assert status == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    eventually(lambda: not processes_naming(str(tmp_path)))
    host, port = server.url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError), socket.create_connection((host, int(port)), timeout=5):
        pass


def test_accounts_and_regions_do_not_share_anything(server: Server) -> None:
    name = unique()
    server.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    groups = server.client("sagemaker", "999999999999").list_model_package_groups(NameContains=name)
    assert groups["ModelPackageGroupSummaryList"] == []
    assert (
        DEV
        in server.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"]
    )
    assert REGION in server.client("s3").meta.region_name
