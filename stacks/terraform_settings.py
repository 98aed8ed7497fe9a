"""What every stack tells Terraform: its least version, the account it may act in, and the tags of all it makes."""

from __future__ import annotations

from typing import Any

from mlops_kit.config import Environment, Model
from stacks.bindings import AwsProvider, TerraformStack

TERRAFORM_VERSION = ">= 1.10"
"""The first with lock files in S3, which make a lock table unnecessary."""
STATE_KEY = "terraform.tfstate"
LOCAL_MAX_RETRIES = 3
"""The local cloud answers an operation it lacks with HTTP 500, which the provider would retry for minutes."""


def cost_tags(environment: Environment) -> dict[str, str]:
    """What every resource is tagged with; what belongs to a model carries ``Model`` besides.

    Activate them once for cost allocation, in the account that pays: until then, bills and budgets do not see them.
    """
    return environment.cost_tags


def model_tags(model: Model) -> dict[str, str]:
    """What a resource that belongs to one model is tagged with, besides."""
    return {"Model": model.name}


def configure(stack: TerraformStack, environment: Environment, *, local: bool) -> None:
    AwsProvider(stack, "aws", region=environment.region, **_provider(environment, local=local))
    stack.add_override("terraform.required_version", TERRAFORM_VERSION)


def second_region(stack: TerraformStack, environment: Environment, region: str, *, local: bool) -> AwsProvider:
    """The provider of what is copied to another region; the same account and the same tags."""
    return AwsProvider(stack, "replica", alias="replica", region=region, **_provider(environment, local=local))


def _provider(environment: Environment, *, local: bool) -> dict[str, Any]:
    return {
        "allowed_account_ids": [environment.account],  # credentials of another account stop before the first call
        "default_tags": [{"tags": cost_tags(environment)}],
        "max_retries": LOCAL_MAX_RETRIES if local else None,
    }
