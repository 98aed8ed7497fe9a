"""Endpoints: what they start with, how releases are rolled, and what Terraform leaves alone."""

from __future__ import annotations

import ast
import base64
import gzip
import importlib.util
import io
import json
import tarfile
from typing import Any

from mlops_kit.naming import ROLLBACK_ALARM_KINDS, VARIANT
from stacks import initial_model
from stacks.log_group import RETENTIONS, retention
from tests.stacks.conftest import Synthesized
from tests.stacks.stack import Stack


def test_rollback_alarms_exist_before_the_endpoint(stack: Stack) -> None:
    for model in stack.models:
        names = model.names(stack.environment.names)
        made_endpoint = stack.where("aws_sagemaker_endpoint", name=names.endpoint)
        rollback = made_endpoint["deployment_config"]["auto_rollback_configuration"]["alarms"]
        assert [alarm["alarm_name"] for alarm in rollback] == list(names.rollback_alarms)
        before = {address.split(".")[1] for address in made_endpoint["depends_on"]}
        made = stack.all("aws_cloudwatch_metric_alarm")
        for kind in ROLLBACK_ALARM_KINDS:
            assert {id_ for id_, alarm in made.items() if alarm["alarm_name"] == names.alarm(kind)} <= before


def test_terraform_never_takes_a_release_back(stack: Stack) -> None:
    made = stack.one("aws_sagemaker_endpoint")
    assert made["lifecycle"]["ignore_changes"] == ["endpoint_config_name", "deployment_config"]
    for kind in ("aws_sagemaker_model", "aws_sagemaker_endpoint_configuration"):
        assert stack.one(kind)["lifecycle"] == {"create_before_destroy": True, "ignore_changes": "all"}


def test_traffic_shifting(synthesized: Synthesized) -> None:
    def routing(stage: str) -> dict[str, Any]:
        policy = synthesized.aws[stage].one("aws_sagemaker_endpoint")["deployment_config"]["blue_green_update_policy"]
        assert policy["maximum_execution_timeout_in_seconds"] >= 600
        found: dict[str, Any] = policy["traffic_routing_configuration"]
        return found

    assert routing("dev") == {"type": "ALL_AT_ONCE", "wait_interval_in_seconds": 60}
    assert routing("production") == {
        "type": "CANARY",
        "wait_interval_in_seconds": 300,
        "canary_size": {"type": "CAPACITY_PERCENT", "value": 50},
    }


def test_endpoint_config(stack: Stack) -> None:
    for model in stack.models:
        names = model.names(stack.environment.names)
        made = stack.one("aws_sagemaker_endpoint_configuration")
        (variant,) = made["production_variants"]
        assert variant["variant_name"] == VARIANT
        assert variant["instance_type"] == model.serving.instance_type
        assert variant["initial_instance_count"] == model.serving.autoscaling.min_instances
        assert made["kms_key_arn"].startswith("${aws_kms_key.")
        capture = made["data_capture_config"]
        assert capture["enable_capture"] is True
        assert capture["destination_s3_uri"] == names.capture_uri
        assert capture["initial_sampling_percentage"] == model.serving.capture_percent
        assert [option["capture_mode"] for option in capture["capture_options"]] == ["Input", "Output"]
        assert capture["capture_content_type_header"] == {
            "csv_content_types": ["text/csv"],
            "json_content_types": ["application/json"],
        }
        assert capture["kms_key_id"].startswith("${aws_kms_key.")


def test_no_volume_key_for_instances_with_disks_of_their_own(lab: Stack) -> None:
    keys = {
        made["production_variants"][0]["instance_type"]: "kms_key_arn" in made
        for made in lab.all("aws_sagemaker_endpoint_configuration").values()
    }
    assert keys == {"ml.m5.large": True, "ml.g5.xlarge": False}


def test_initial_model_is_uploaded_where_the_model_looks(stack: Stack) -> None:
    (owner,) = stack.models
    names = owner.names(stack.environment.names)
    uploaded = stack.where("aws_s3_object", key=names.initial_artifact_key)
    model = stack.one("aws_sagemaker_model")
    assert base64.b64decode(uploaded["content_base64"]) == initial_model.archive()
    bucket = stack.environment.names.bucket("artifacts")
    assert uploaded["bucket"] == stack.bucket_id(bucket)
    container = model["primary_container"]
    assert container["model_data_url"] == f"s3://{bucket}/{uploaded['key']}"
    assert container["environment"] == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    assert {before.split(".")[0] for before in model["depends_on"]} == {"aws_s3_object", "aws_iam_role_policy"}


def test_initial_archive_is_an_ordinary_one() -> None:
    archive = initial_model.archive()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.mtime, member.uid, member.isfile()) == ("code/inference.py", 0, 0, True)
        content = tar.extractfile(member)
        assert content is not None
        source = content.read().decode()
    assert gzip.decompress(archive), "the checksum at its end holds"
    ast.parse(source, feature_version=(3, 8))  # the oldest Python among SageMaker's framework images


def test_initial_model_answers_anything() -> None:
    path = initial_model.__file__.replace("__init__.py", initial_model.ENTRY_POINT)
    spec = importlib.util.spec_from_file_location("initial_inference", path)
    assert spec is not None
    assert spec.loader is not None
    served = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(served)
    for body, content_type in ((b"1,2\n", "text/csv"), (b"\xff", "application/x-npy"), (b"", "")):
        model = served.model_fn("/opt/ml/model")
        answer, answer_type = served.output_fn(served.predict_fn(served.input_fn(body, content_type), model), "*/*")
        assert answer_type == "application/json"
        assert json.loads(answer)["model"] is None
        assert "No model has been released" in json.loads(answer)["message"]


def test_logs_are_kept_at_least_as_long_as_asked(lab: Stack) -> None:
    assert {group["retention_in_days"] for group in lab.all("aws_cloudwatch_log_group").values()} == {120}
    for days in (1, 2, 90, 91, 3650):
        assert retention(days) == min(offered for offered in RETENTIONS if offered >= days)


def test_log_groups_are_encrypted_and_named_as_sagemaker_names_them(stack: Stack) -> None:
    groups = {group["name"]: group for group in stack.all("aws_cloudwatch_log_group").values()}
    names = stack.environment.names
    assert {names.training_log_group, *(model.names(names).endpoint_log_group for model in stack.models)} <= set(groups)
    assert all(group["kms_key_id"].startswith("${aws_kms_key.") for group in groups.values())


def endpoint(stack: Stack, model: str) -> dict[str, Any]:
    return stack.where("aws_sagemaker_endpoint", name=stack.environment.names.model(model).endpoint)


def config(stack: Stack, model: str) -> dict[str, Any]:
    logical = endpoint(stack, model)["endpoint_config_name"].split(".")[1]
    return stack.all("aws_sagemaker_endpoint_configuration")[logical]


def sagemaker_model(stack: Stack, name: str) -> dict[str, Any]:
    logical = name.removeprefix("${").split(".")[1]
    return stack.all("aws_sagemaker_model")[logical]


def test_a_linear_rollout(sandbox: Stack) -> None:
    policy = endpoint(sandbox, "fraud")["deployment_config"]["blue_green_update_policy"]
    assert policy["traffic_routing_configuration"] == {
        "type": "LINEAR",
        "wait_interval_in_seconds": 300,
        "linear_step_size": {"type": "CAPACITY_PERCENT", "value": 25},
    }
    assert policy["maximum_execution_timeout_in_seconds"] == 3600 + 4 * 300


def test_a_serverless_endpoint_has_none_of_what_serverless_does_not_offer(sandbox: Stack) -> None:
    made = config(sandbox, "chat")
    variant = made["production_variants"][0]
    assert variant["serverless_config"] == {
        "memory_size_in_mb": 4096,
        "max_concurrency": 20,
        "provisioned_concurrency": 2,
    }
    assert not {"instance_type", "initial_instance_count"} & variant.keys()
    assert not {"data_capture_config", "kms_key_arn", "async_inference_config"} & made.keys()
    assert "deployment_config" not in endpoint(sandbox, "chat")
    assert endpoint(sandbox, "chat")["lifecycle"] == {"ignore_changes": ["endpoint_config_name"]}
    model = sagemaker_model(sandbox, variant["model_name"])
    assert not {"enable_network_isolation", "vpc_config"} & model.keys()


def test_an_asynchronous_endpoint_answers_into_the_capture_bucket(sandbox: Stack) -> None:
    made = config(sandbox, "papers")
    names = sandbox.environment.names.model("papers")
    asynchronous = made["async_inference_config"]
    assert asynchronous["client_config"] == {"max_concurrent_invocations_per_instance": 8}
    output = asynchronous["output_config"]
    assert output["s3_output_path"] == f"s3://gallery-sandbox-666666666666-capture/{names.answers_prefix[:-1]}"
    assert output["s3_failure_path"] == f"s3://gallery-sandbox-666666666666-capture/{names.failures_prefix[:-1]}"
    assert output["kms_key_id"].startswith("${aws_kms_key.")
    assert "data_capture_config" not in made
    rollback = endpoint(sandbox, "papers")["deployment_config"]["auto_rollback_configuration"]["alarms"]
    assert [alarm["alarm_name"] for alarm in rollback] == list(names.rollback_alarms)


def test_every_initial_model_outside_of_serverless_is_isolated_and_in_the_vpc_if_there_is_one(
    sandbox: Stack, secure: Stack
) -> None:
    isolated = [model.get("enable_network_isolation") for model in sandbox.all("aws_sagemaker_model").values()]
    assert sorted(map(bool, isolated)) == [False, True, True, True]
    for model in secure.all("aws_sagemaker_model").values():
        assert model["enable_network_isolation"] is True
        assert model["vpc_config"]["subnets"]
        assert model["vpc_config"]["security_group_ids"]
    assert not any("vpc_config" in model for model in sandbox.all("aws_sagemaker_model").values())


def statements(stack: Stack, model: str) -> dict[str, dict[str, Any]]:
    role = stack.where("aws_iam_role", name=stack.environment.names.model(model).role("serving"))
    (logical,) = [id_ for id_, found in stack.all("aws_iam_role").items() if found == role]
    policy = stack.where("aws_iam_role_policy", role=f"${{aws_iam_role.{logical}.id}}")
    return {statement["Sid"]: statement for statement in stack.parse(policy["policy"])}


def test_a_serving_role_reaches_what_its_kind_needs_and_no_other_models(sandbox: Stack, secure: Stack) -> None:
    bucket = "arn:aws:s3:::gallery-sandbox-666666666666"
    assert statements(sandbox, "fraud")["CaptureTraffic"]["Resource"] == f"{bucket}-capture/gallery-sandbox-fraud/*"
    papers = statements(sandbox, "papers")
    assert papers["ReadRequests"]["Resource"] == f"{bucket}-capture/async/gallery-sandbox-papers/requests/*"
    assert papers["WriteAnswers"]["Resource"] == [
        f"{bucket}-capture/async/gallery-sandbox-papers/{kind}/*" for kind in ("answers", "failures")
    ]
    churn = statements(sandbox, "churn")
    assert churn["ReadRequests"]["Resource"] == f"{bucket}-lake/raw/churn/*"
    assert churn["WriteAnswers"]["Resource"] == f"{bucket}-lake/predictions/churn/*"
    for model in ("chat", "churn"):
        assert not {"CaptureTraffic", "WatchRollbackAlarms"} & statements(sandbox, model).keys()
    for model in ("fraud", "papers"):
        assert "WatchRollbackAlarms" in statements(sandbox, model)
    assert any("ec2:CreateNetworkInterface" in found["Action"] for found in statements(secure, "churn").values())
    assert not any("ec2:" in action for found in statements(sandbox, "churn").values() for action in found["Action"])


def test_what_belongs_to_a_model_says_so(sandbox: Stack) -> None:
    for kind in (
        "aws_sagemaker_endpoint",
        "aws_sagemaker_endpoint_configuration",
        "aws_sagemaker_model",
        "aws_appautoscaling_target",
    ):
        tags = [resource["tags"]["Model"] for resource in sandbox.all(kind).values()]
        assert len(tags) == len(set(tags)) > 0
    for model in sandbox.models:
        names = model.names(sandbox.environment.names)
        assert sandbox.where("aws_iam_role", name=names.role("serving"))["tags"] == {"Model": model.name}
