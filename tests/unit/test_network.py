"""What the stack wrote about the network, and what a training job is given of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_kit import training
from mlops_kit.config import Environment, Model
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import NETWORK_KEY
from mlops_kit.network import JobNetwork, read_network
from mlops_kit.training import TrainingRequest

IN_VPC = JobNetwork(("subnet-1", "subnet-2"), ("sg-1",), isolated=True)


class Artifacts:
    """A store with at most one object."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body

    def get(self, key: str) -> bytes | None:
        assert key == NETWORK_KEY
        return self.body

    def uri(self, key: str) -> str:
        return f"s3://artifacts/{key}"


def read(written: Any) -> JobNetwork:
    store: Any = Artifacts(written if written is None or isinstance(written, bytes) else json.dumps(written).encode())
    return read_network(store)


def test_an_environment_that_wrote_nothing_has_no_network() -> None:
    assert read(None) == JobNetwork((), (), isolated=False)
    assert JobNetwork().vpc_config is None


def test_what_was_written_is_what_jobs_get() -> None:
    network = read({"subnets": ["subnet-1", "subnet-2"], "security_groups": ["sg-1"], "isolated": True})
    assert network == IN_VPC
    assert network.vpc_config == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}


def test_isolation_needs_no_vpc() -> None:
    network = read({"subnets": [], "security_groups": [], "isolated": True})
    assert (network.isolated, network.in_vpc) == (True, False)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"[]",
        b'"subnets"',
        {"subnets": [], "security_groups": []},
        {"subnets": ["subnet-1"], "security_groups": [], "isolated": True},
        {"subnets": "subnet-1", "security_groups": ["sg-1"], "isolated": True},
        {"subnets": [1], "security_groups": ["sg-1"], "isolated": True},
        {"subnets": [], "security_groups": [], "isolated": "no"},
    ],
)
def test_anything_else_is_refused_rather_than_run_outside_of_the_vpc(written: Any) -> None:
    with pytest.raises(IntegrityError, match=r"environment/network\.json") as caught:
        read(written)
    assert "Deploy" in str(caught.value.hint)


def arguments(network: JobNetwork, **changes: Any) -> dict[str, Any]:
    environment = Environment.model_validate(
        {
            "name": "dev",
            "account": "111111111111",
            "region": "us-east-1",
            "project": "acme",
            "owner": "owner@example.com",
            "budget": {"monthly_usd": 1},
        }
    )
    settings = {"source_dir": ".", "image": "registry.example.com/team/train:1"} | changes
    model = Model.model_validate({"name": "churn", "dataset": "customers", "label": "y", "training": settings})
    store = SimpleNamespace(uri=lambda key: f"s3://bucket/{key}")
    cloud: Any = SimpleNamespace(environment=environment, names=environment.names, store=lambda kind: store)
    request = TrainingRequest(model, "c" * 64, Path())
    names = environment.names.model("churn")
    return training.job_arguments(request, cloud, names, "job", "s3://bucket/source.tar.gz", network)


def channels(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {channel["ChannelName"]: channel["DataSource"]["S3DataSource"] for channel in given["InputDataConfig"]}


def test_a_job_outside_of_a_vpc_downloads_its_source() -> None:
    given = arguments(JobNetwork())
    assert json.loads(given["HyperParameters"]["sagemaker_submit_directory"]) == "s3://bucket/source.tar.gz"
    assert set(channels(given)) == {"train"}
    assert given["EnableNetworkIsolation"] is False
    assert not {"VpcConfig", "EnableInterContainerTrafficEncryption"} & given.keys()


def test_an_isolated_job_is_brought_its_source() -> None:
    given = arguments(IN_VPC)
    assert given["EnableNetworkIsolation"] is True
    assert given["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
    assert given["EnableInterContainerTrafficEncryption"] is True
    code = channels(given)["code"]
    assert code == {
        "S3DataType": "S3Prefix",
        "S3Uri": "s3://bucket/source.tar.gz",
        "S3DataDistributionType": "FullyReplicated",
    }
    inside = json.loads(given["HyperParameters"]["sagemaker_submit_directory"])
    assert inside == "/opt/ml/input/data/code/sourcedir.tar.gz"


def test_a_job_in_a_vpc_that_is_not_isolated_downloads_through_it() -> None:
    given = arguments(JobNetwork(("subnet-1",), ("sg-1",), isolated=False))
    assert set(channels(given)) == {"train"}
    assert given["VpcConfig"]["Subnets"] == ["subnet-1"]


def test_spot_training_waits_as_long_as_the_model_file_says() -> None:
    plain = arguments(JobNetwork())
    assert "EnableManagedSpotTraining" not in plain
    assert plain["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    spot = arguments(JobNetwork(), spot=True, max_wait_minutes=90)
    assert spot["EnableManagedSpotTraining"] is True
    assert spot["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 5400}


def test_a_job_is_tagged_for_the_bill() -> None:
    tags = {tag["Key"]: tag["Value"] for tag in arguments(JobNetwork())["Tags"]}
    assert tags == {
        "Project": "acme",
        "Environment": "dev",
        "Owner": "owner@example.com",
        "CostCenter": "acme",
        "ManagedBy": "mlops-kit",
        "Model": "churn",
    }


@pytest.mark.parametrize("network", [JobNetwork(), IN_VPC])
def test_the_arguments_are_what_sagemaker_takes(network: JobNetwork) -> None:
    import botocore.session
    from botocore.validate import ParamValidator

    operation = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob")
    report = ParamValidator().validate(arguments(network, spot=True), operation.input_shape)
    assert not report.has_errors(), report.generate_report()
