"""What belongs to the stack as a whole: provider, state, names, protection, outputs."""

from __future__ import annotations

import copy
from typing import Any

from mlops_kit.local import terraform
from mlops_kit.naming import BUCKET_KINDS, PERSON_ROLES
from tests.stacks.conftest import Synthesized
from tests.stacks.rules import NAME_LIMITS, every_resource
from tests.stacks.stack import Stack

NAMED_BY_AWS = {
    "/aws/sagemaker/ProcessingJobs",
    "/aws/sagemaker/TrainingJobs",
    "/aws/sagemaker/TransformJobs",
}
"""The log groups that all jobs of an account share."""


def test_provider_is_pinned_to_what_the_schema_was_made_from(stack: Stack) -> None:
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
                        "CostCenter": environment.cost_center or environment.project,
                        "ManagedBy": "mlops-kit",
                    }
                }
            ],
        }
    ]


def test_a_second_region_has_a_provider_for_the_same_account(secure: Stack) -> None:
    first, second = secure.content["provider"]["aws"]
    assert {**first, "region": "us-west-2", "alias": "replica"} == second
    elsewhere = {kind for kind, _, resource in every_resource(secure) if resource.get("provider") == "aws.replica"}
    assert {"aws_kms_key", "aws_s3_bucket"} <= elsewhere


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
        (boundary,) = local["resource"].pop("aws_iam_policy").values()
        assert boundary["name"] == stack.environment.names.boundary, "on AWS the bootstrap stack makes it"
        aws: dict[str, Any] = copy.deepcopy(stack.content)
        del aws["terraform"]["backend"]
        for content in (aws, local):
            del content["//"]["metadata"]["backend"]
            del content["//"]["metadata"]["overrides"]
        assert local == aws


def test_names_carry_the_environment(synthesized: Synthesized) -> None:
    """Or, where the name is a model's in something of the environment's own, the project."""
    for stack in (*synthesized.aws.values(), *synthesized.gallery.values()):
        names = stack.environment.names
        models = {model.name for model in stack.models}
        for kind, (attribute, _) in NAME_LIMITS.items():
            for resource in stack.all(kind).values():
                name = resource[attribute]
                if kind == "aws_ecr_repository":
                    assert name in {f"{names.project}/{model}" for model in models}
                elif kind == "aws_scheduler_schedule":
                    assert name.rpartition("-")[0] in models
                    assert resource["group_name"].startswith("${aws_scheduler_schedule_group.")
                elif not name.startswith("${") and name not in NAMED_BY_AWS:
                    assert names.prefix in name, (kind, name)


def test_what_is_not_protected_can_be_destroyed_with_what_is_in_it(stack: Stack) -> None:
    for bucket in stack.all("aws_s3_bucket").values():
        assert bucket["force_destroy"] is not stack.environment.protect


def test_outputs(stack: Stack, sandbox: Stack) -> None:
    for one in (stack, sandbox):
        output = {name: entry["value"] for name, entry in one.content["output"].items()}
        assert set(output) == {"buckets", "endpoints", "roles"}
        assert set(output["buckets"]) == set(BUCKET_KINDS)
        assert set(output["roles"]) == set(PERSON_ROLES)
        assert set(output["endpoints"]) == {model.name for model in one.models if model.serving.has_endpoint}


def test_each_role_in_the_outputs_is_the_one_of_that_name(stack: Stack) -> None:
    for kind, reference in stack.content["output"]["roles"]["value"].items():
        _, logical, attribute = reference.strip("${}").split(".")
        assert attribute == "arn"
        assert stack.all("aws_iam_role")[logical]["name"] == stack.environment.names.role(kind)


def test_an_environment_without_models_is_whole(empty: Stack) -> None:
    assert not empty.all("aws_sagemaker_endpoint")
    assert len(empty.all("aws_s3_bucket")) == len(BUCKET_KINDS)
    assert empty.content["output"]["endpoints"]["value"] == {}
    roles = {role["name"] for role in empty.all("aws_iam_role").values()}
    assert {empty.environment.names.role(kind) for kind in PERSON_ROLES} <= roles


def test_two_models_share_what_is_the_environments_and_no_role(lab: Stack) -> None:
    names = lab.environment.names
    assert len(lab.all("aws_sagemaker_endpoint")) == 2
    assert len(lab.all("aws_kms_key")) == 2, "one that encrypts, and one that signs"
    roles = {role["name"] for role in lab.all("aws_iam_role").values()}
    for model in ("plain", "vision"):
        assert {names.model(model).role("training"), names.model(model).role("serving")} <= roles
