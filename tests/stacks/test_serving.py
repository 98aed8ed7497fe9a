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
        endpoint = stack.where("aws_sagemaker_endpoint", name=names.endpoint)
        rollback = endpoint["deployment_config"]["auto_rollback_configuration"]["alarms"]
        assert [alarm["alarm_name"] for alarm in rollback] == list(names.rollback_alarms)
        before = {address.split(".")[1] for address in endpoint["depends_on"]}
        made = stack.all("aws_cloudwatch_metric_alarm")
        for kind in ROLLBACK_ALARM_KINDS:
            assert {id_ for id_, alarm in made.items() if alarm["alarm_name"] == names.alarm(kind)} <= before


def test_terraform_never_takes_a_release_back(stack: Stack) -> None:
    endpoint = stack.one("aws_sagemaker_endpoint")
    assert endpoint["lifecycle"]["ignore_changes"] == ["endpoint_config_name", "deployment_config"]
    for kind in ("aws_sagemaker_model", "aws_sagemaker_endpoint_configuration"):
        assert stack.one(kind)["lifecycle"] == {"create_before_destroy": True, "ignore_changes": "all"}


def test_traffic_shifting(synthesized: Synthesized) -> None:
    def routing(stage: str) -> dict[str, Any]:
        endpoint = synthesized.aws[stage].one("aws_sagemaker_endpoint")
        policy = endpoint["deployment_config"]["blue_green_update_policy"]
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
        config = stack.one("aws_sagemaker_endpoint_configuration")
        (variant,) = config["production_variants"]
        assert variant["variant_name"] == VARIANT
        assert variant["instance_type"] == model.serving.instance_type
        assert variant["initial_instance_count"] == model.serving.autoscaling.min_instances
        assert config["kms_key_arn"].startswith("${aws_kms_key.")
        capture = config["data_capture_config"]
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
        config["production_variants"][0]["instance_type"]: "kms_key_arn" in config
        for config in lab.all("aws_sagemaker_endpoint_configuration").values()
    }
    assert keys == {"ml.m5.large": True, "ml.g5.xlarge": False}


def test_autoscaling(stack: Stack) -> None:
    for model in stack.models:
        names, bounds = model.names(stack.environment.names), model.serving.autoscaling
        target = stack.where("aws_appautoscaling_target", resource_id=names.autoscaling_resource)
        assert (target["min_capacity"], target["max_capacity"]) == (bounds.min_instances, bounds.max_instances)
        policy = stack.where("aws_appautoscaling_policy", resource_id=names.autoscaling_resource)
        tracking = policy["target_tracking_scaling_policy_configuration"]
        assert tracking["target_value"] == bounds.requests_per_instance_per_minute
        assert tracking["predefined_metric_specification"] == {
            "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
        }


def test_initial_model_is_uploaded_where_the_model_looks(stack: Stack) -> None:
    uploaded, model = stack.one("aws_s3_object"), stack.one("aws_sagemaker_model")
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
    groups = stack.all("aws_cloudwatch_log_group").values()
    names = stack.environment.names
    assert {group["name"] for group in groups} == {
        names.training_log_group,
        *(model.names(names).endpoint_log_group for model in stack.models),
    }
    assert all(group["kms_key_id"].startswith("${aws_kms_key.") for group in groups)
