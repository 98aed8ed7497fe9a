"""What belongs to the stack as a whole: provider, state, names, protection, outputs."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from mlops_kit.local import terraform
from mlops_kit.naming import BUCKET_KINDS, ROLE_KINDS
from tests.stacks.conftest import Synthesized
from tests.stacks.stack import Stack

NAME_ATTRIBUTES = {
    "aws_appautoscaling_policy": "name",
    "aws_budgets_budget": "name",
    "aws_cloudwatch_dashboard": "dashboard_name",
    "aws_cloudwatch_log_group": "name",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    "aws_iam_role": "name",
    "aws_kms_alias": "name",
    "aws_s3_bucket": "bucket",
    "aws_sagemaker_endpoint": "name",
    "aws_sagemaker_endpoint_configuration": "name",
    "aws_sagemaker_model": "name",
    "aws_sagemaker_model_package_group": "model_package_group_name",
    "aws_sns_topic": "name",
}
HOLDS_DATA = ("aws_cloudwatch_log_group", "aws_kms_key", "aws_s3_bucket", "aws_sagemaker_model_package_group")


def test_provider_is_pinned_to_what_the_bindings_were_made_from(stack: Stack) -> None:
    assert stack.content["terraform"]["required_providers"] == {
        "aws": {"source": "aws", "version": terraform.PROVIDER_VERSION}
    }
    assert stack.content["terraform"]["required_version"] == ">= 1.10"


def test_provider_acts_in_one_account_and_tags_everything(stack: Stack) -> None:
    environment = stack.environment
    assert stack.content["provider"]["aws"] == [
        {
            "region": environment.region,
            "allowed_account_ids": [environment.account],
            "default_tags": [
                {
                    "tags": {
                        "Project": environment.project,
                        "Environment": environment.name,
                        "Owner": environment.owner,
                        "ManagedBy": "mlops-kit",
                    }
                }
            ],
        }
    ]


def test_state_is_locked_encrypted_and_apart(synthesized: Synthesized) -> None:
    buckets = set()
    for stack in synthesized.aws.values():
        (kind,) = stack.content["terraform"]["backend"]
        assert kind == "s3"
        backend = stack.content["terraform"]["backend"]["s3"]
        assert backend["use_lockfile"] is True
        assert backend["encrypt"] is True
        assert backend["bucket"] == stack.environment.names.state_bucket
        buckets.add(backend["bucket"])
    assert len(buckets) == len(synthesized.aws)


def test_the_local_cloud_gets_the_same_stack(synthesized: Synthesized) -> None:
    for name, stack in synthesized.aws.items():
        local: dict[str, Any] = copy.deepcopy(synthesized.local[name].content)
        assert local["terraform"].pop("backend") == {"local": {"path": "terraform.tfstate"}}
        assert local["provider"]["aws"][0].pop("max_retries") == 3
        aws: dict[str, Any] = copy.deepcopy(stack.content)
        del aws["terraform"]["backend"]
        for content in (aws, local):
            del content["//"]["metadata"]["backend"]
            del content["//"]["metadata"]["overrides"]
        assert local == aws


def test_names_are_unique_and_carry_the_environment(stack: Stack) -> None:
    for kind, attribute in NAME_ATTRIBUTES.items():
        names = [resource[attribute] for resource in stack.all(kind).values()]
        assert names
        assert max(Counter(names).values()) == 1, kind
        for name in names:
            # SageMaker chooses the name of the one log group that all training jobs share.
            assert stack.environment.names.prefix in name or name == stack.environment.names.training_log_group


def test_protection(stack: Stack) -> None:
    protect = stack.environment.protect
    for kind in HOLDS_DATA:
        for resource in stack.all(kind).values():
            assert resource.get("lifecycle", {}).get("prevent_destroy", False) is protect, kind
    for bucket in stack.all("aws_s3_bucket").values():
        assert bucket["force_destroy"] is not protect


def test_outputs(stack: Stack) -> None:
    output = {name: entry["value"] for name, entry in stack.content["output"].items()}
    assert set(output) == {"buckets", "endpoints", "roles"}
    assert set(output["buckets"]) == set(BUCKET_KINDS)
    assert set(output["roles"]) == set(ROLE_KINDS)
    assert set(output["endpoints"]) == {model.name for model in stack.models}


def test_an_environment_without_models_is_whole(empty: Stack) -> None:
    assert not empty.all("aws_sagemaker_endpoint")
    assert len(empty.all("aws_s3_bucket")) == len(BUCKET_KINDS)
    assert empty.content["output"]["endpoints"]["value"] == {}


def test_two_models_share_what_is_the_environments(lab: Stack) -> None:
    assert len(lab.all("aws_sagemaker_endpoint")) == 2
    assert len(lab.all("aws_iam_role")) == len(ROLE_KINDS)
    assert len(lab.all("aws_kms_key")) == 1


def test_lean_import(synthesized: Synthesized) -> None:
    assert synthesized.provider_modules < 100, "the stock import loads more than two thousand"
