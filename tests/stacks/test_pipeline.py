"""Pipelines: the team's definition, filled in and put where the environment says."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.config import load_project, pipeline
from mlops_kit.config.source_archive import REGISTER_ENTRY, job_script, pack
from mlops_kit.errors import UsageError
from stacks import pipeline as construct
from stacks.bindings import App
from stacks.environment_stack import EnvironmentStack
from tests.stacks.identity import CREATE, REPLACE, identity
from tests.stacks.stack import Stack
from tests.stacks.test_training import statements


def definition(stack: Stack, model: str) -> dict[str, Any]:
    name = stack.environment.names.model(model).pipeline
    found: dict[str, Any] = json.loads(stack.where("aws_sagemaker_pipeline", pipeline_name=name)["pipeline_definition"])
    return found


def steps(stack: Stack, model: str) -> dict[str, dict[str, Any]]:
    return {step["Name"]: step["Arguments"] for step in pipeline.all_steps(definition(stack, model))}


def test_every_parameter_but_the_data_has_a_value(stack: Stack) -> None:
    found = {parameter["Name"]: parameter for parameter in definition(stack, "diagnosis")["Parameters"]}
    without = {name for name, parameter in found.items() if "DefaultValue" not in parameter}
    assert without == {"DatasetCommit", "DatasetManifest"}
    names = stack.environment.names
    model = names.model("diagnosis")
    for name, value in {
        "Role": model.role_arn("training"),
        "PipelineRole": model.role_arn("pipeline"),
        "PackageGroup": model.package_group,
        "ArtifactsBucket": names.bucket("artifacts"),
        "KmsKey": names.key_alias,
        "InstanceType": "ml.m5.large",
        "MaxRuntimeInSeconds": 1800,
        "Label": "malignant",
        "Hyperparameter_regularization": "1.0",
        "Metric_accuracy": "accuracy=([0-9.]+)",
    }.items():
        assert found[name]["DefaultValue"] == value


def test_a_default_of_the_file_counts(sandbox: Stack) -> None:
    found = {
        parameter["Name"]: parameter.get("DefaultValue") for parameter in definition(sandbox, "fraud")["Parameters"]
    }
    assert found["MinimumAccuracy"] == 0.8


def test_code_and_register_step_are_uploaded_under_their_digests(stack: Stack) -> None:
    names, project = stack.environment.names, stack.project
    model = project.model("diagnosis", stack.environment)
    own = model.names(names)
    values = {p["Name"]: p.get("DefaultValue") for p in definition(stack, "diagnosis")["Parameters"]}
    source, entry = pack(project.source_dir(model)), job_script(REGISTER_ENTRY)
    digest = hashlib.sha256(source).hexdigest()
    for key, body, parameter in (
        (own.pipeline_source_key(digest), source, "SourceUri"),
        (own.pipeline_entry_key(hashlib.sha256(entry).hexdigest()), entry, "RegisterEntryUri"),
    ):
        uploaded = stack.where("aws_s3_object", key=key)
        assert base64.b64decode(uploaded["content_base64"]) == body
        assert uploaded["bucket"] == stack.bucket_id(names.bucket("artifacts"))
        assert values[parameter] == f"s3://{names.bucket('artifacts')}/{key}"
        assert key.startswith(f"training/diagnosis/pipeline/{hashlib.sha256(body).hexdigest()}/")
    assert values["SourceSha256"] == digest


def test_new_code_is_there_before_the_pipeline_names_it_and_old_code_goes_after(stack: Stack) -> None:
    """Terraform deletes what was replaced when everything that depends on it was changed."""
    own = stack.environment.names.model("diagnosis")
    uploads = {
        f"aws_s3_object.{logical}": uploaded
        for logical, uploaded in stack.all("aws_s3_object").items()
        if uploaded["key"].startswith(own.pipeline_prefix)
    }
    assert len(uploads) == 2
    assert all(uploaded["lifecycle"] == {"create_before_destroy": True} for uploaded in uploads.values())
    made = stack.where("aws_sagemaker_pipeline", pipeline_name=own.pipeline)
    assert set(uploads) < set(made["depends_on"])


def test_what_terraform_may_delete_is_no_lineage(stack: Stack) -> None:
    own = stack.environment.names.model("diagnosis")
    kept = (own.training_source_prefix, f"{own.training_output_prefix}/", own.artifact_prefix("0" * 64))
    keys = [uploaded["key"] for uploaded in stack.all("aws_s3_object").values()]
    assert [key for key in keys if key.startswith(kept)] == []


def test_the_register_step_keeps_the_source_where_lineage_looks_for_it(sandbox: Stack) -> None:
    names = sandbox.environment.names
    own, digest = names.model("fraud"), "5" * 64
    role, artifacts = identity(sandbox, own.role("pipeline")), names.bucket_arn("artifacts")
    kept = f"{artifacts}/{own.training_source_key(digest)}"
    assert role.may("s3:GetObject", f"{artifacts}/{own.pipeline_source_key(digest)}")
    for key in (own.training_source_key(digest), own.pipeline_source_key(digest)):
        assert role.may("s3:ListBucket", artifacts, {"s3:prefix": key})
    assert role.may("s3:PutObject", kept, CREATE)
    assert not role.may("s3:PutObject", kept, REPLACE)
    for key in (own.pipeline_source_key(digest), names.model("churn").training_source_key(digest)):
        assert not role.may("s3:PutObject", f"{artifacts}/{key}", CREATE)
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
        assert not role.may(action, kept)
    environment = steps(sandbox, "fraud")["Register"]["Environment"]
    assert environment["MLOPS_KIT_SOURCE_URI"] == {"Get": "Parameters.SourceUri"}


def test_outside_of_a_vpc(sandbox: Stack) -> None:
    train = steps(sandbox, "fraud")["Train"]
    assert "VpcConfig" not in train
    assert train["EnableNetworkIsolation"] is False
    assert steps(sandbox, "fraud")["Register"]["NetworkConfig"] == {"EnableNetworkIsolation": False}


def test_in_a_vpc_training_is_isolated_and_registering_is_not(secure: Stack) -> None:
    found = steps(secure, "fraud")
    assert found["Train"]["EnableNetworkIsolation"] is True
    assert len(found["Train"]["VpcConfig"]["Subnets"]) == 3
    assert all(subnet.startswith("${aws_subnet.") for subnet in found["Train"]["VpcConfig"]["Subnets"])
    for step in ("Evaluate", "Register"):
        assert found[step]["NetworkConfig"] == {
            "EnableNetworkIsolation": False,
            "VpcConfig": found["Train"]["VpcConfig"],
        }


def test_in_somebody_else_s_network(adopted: Stack) -> None:
    train = steps(adopted, "fraud")["Train"]
    existing = adopted.environment.network.existing
    assert existing is not None
    assert train["VpcConfig"] == {
        "Subnets": list(existing.subnet_ids),
        "SecurityGroupIds": list(existing.security_group_ids),
    }
    assert train["EnableNetworkIsolation"] is False


def test_spot_encrypted_volumes_and_tags(sandbox: Stack) -> None:
    found = steps(sandbox, "fraud")
    model = sandbox.project.model("fraud", sandbox.environment)
    assert found["Train"]["EnableManagedSpotTraining"] is True
    assert found["Train"]["StoppingCondition"]["MaxWaitTimeInSeconds"] == (model.training.wait_minutes or 0) * 60
    assert found["Train"]["ResourceConfig"]["VolumeKmsKeyId"].startswith("${aws_kms_key.")
    for name in ("Train", "Evaluate", "Register"):
        tags = {tag["Key"]: tag["Value"] for tag in found[name]["Tags"]}
        assert (tags["Model"], tags["Environment"], tags["CostCenter"]) == ("fraud", "sandbox", "research 42")
    assert "Tags" not in found["Refuse"]


def test_code_comes_by_a_channel_so_that_isolated_jobs_have_it(stack: Stack) -> None:
    train = steps(stack, "diagnosis")["Train"]
    channels = {channel["ChannelName"]: channel["DataSource"]["S3DataSource"] for channel in train["InputDataConfig"]}
    assert channels["code"]["S3Uri"] == {"Get": "Parameters.SourceUri"}
    assert channels["train"]["S3DataType"] == "ManifestFile"
    values = {p["Name"]: p.get("DefaultValue") for p in definition(stack, "diagnosis")["Parameters"]}
    assert values["SubmitDirectory"] == "/opt/ml/input/data/code/sourcedir.tar.gz"


def test_what_jobs_may_ask_for(sandbox: Stack, secure: Stack) -> None:
    open_, closed = (
        statements(stack, stack.environment.names.model("fraud").role("pipeline")) for stack in (sandbox, secure)
    )
    condition = open_["StartTrainingJobs"]["Condition"]
    assert condition["ForAllValues:StringEquals"] == {"sagemaker:InstanceTypes": ["ml.m5.2xlarge", "ml.m5.xlarge"]}
    assert condition["NumericLessThanEquals"] == {"sagemaker:MaxRuntimeInSeconds": "7200"}
    assert condition["Null"] == {"sagemaker:InstanceTypes": "false"}
    processing = open_["StartProcessingJobs"]["Condition"]["ForAllValues:StringEquals"]["sagemaker:InstanceTypes"]
    assert processing == ["ml.m5.2xlarge", "ml.m5.xlarge", "ml.t3.medium"]

    condition = closed["StartTrainingJobs"]["Condition"]
    assert condition["Bool"] == {"sagemaker:NetworkIsolation": "true"}
    assert len(condition["ForAllValues:StringEquals"]["sagemaker:VpcSubnets"]) == 3
    assert condition["Null"] == dict.fromkeys(condition["ForAllValues:StringEquals"], "false")
    assert "Bool" not in closed["StartProcessingJobs"]["Condition"], "registering asks AWS"


def test_the_role_does_what_the_steps_need_and_no_more(sandbox: Stack) -> None:
    own = sandbox.environment.names.model("fraud")
    found = statements(sandbox, own.role("pipeline"))
    assert not {"StartTransformJobs", "MakeModels"} & set(found), "there is no such step"
    assert found["PassRoles"]["Resource"] == [own.role_arn("training"), own.role_arn("pipeline")]
    assert found["PassRoles"]["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert found["RegisterVersions"]["Resource"] == [own.package_group_arn, own.package_arn("*")]
    assert found["StoreArtifact"]["Condition"] == {"Null": {"s3:if-none-match": "false"}}
    starts = {
        name for name, statement in found.items() for action in statement["Action"] if "sagemaker:Create" in action
    }
    assert starts == {"StartTrainingJobs", "StartProcessingJobs", "RegisterVersions"}


def test_no_pipeline_no_role(sandbox: Stack) -> None:
    names = sandbox.environment.names
    roles = {role["name"] for role in sandbox.all("aws_iam_role").values()}
    assert names.model("fraud").role("pipeline") in roles
    assert not {names.model(model).role("pipeline") for model in ("chat", "papers", "churn")} & roles
    assert len(sandbox.all("aws_sagemaker_pipeline")) == 1


def test_terraform_reads_no_template_into_a_definition() -> None:
    assert construct._literal({"a": ["${x}", "%{y}", 1, "plain"]}) == {"a": ["$${x}", "%%{y}", 1, "plain"]}


def test_code_that_does_not_fit_into_a_plan_is_refused(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(construct, "MAX_SOURCE_BYTES", 100)
    project = load_project(Path(__file__).resolve().parents[2])
    with pytest.raises(UsageError, match=r"The code of diagnosis, .*, is \d+ bytes as an archive"):
        EnvironmentStack(App(), "large", project=project, environment=stack.environment, local=True)
