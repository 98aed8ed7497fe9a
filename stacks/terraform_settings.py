"""What every stack tells Terraform: its least version, the account it may act in, and the tags of all it makes."""

from __future__ import annotations

from mlops_kit.config import Environment
from stacks.bindings import AwsProvider, AwsProviderDefaultTags, TerraformStack

TERRAFORM_VERSION = ">= 1.10"
"""The first with lock files in S3, which make a lock table unnecessary."""
STATE_KEY = "terraform.tfstate"
LOCAL_MAX_RETRIES = 3
"""The local cloud answers an operation it lacks with HTTP 500, which the provider would retry for minutes."""


def configure(stack: TerraformStack, environment: Environment, *, local: bool) -> None:
    AwsProvider(
        stack,
        "aws",
        region=environment.region,
        allowed_account_ids=[environment.account],  # credentials of another account stop before the first call
        default_tags=[
            AwsProviderDefaultTags(
                tags={
                    "Project": environment.project,
                    "Environment": environment.name,
                    "Owner": environment.owner,
                    "ManagedBy": "mlops-kit",
                }
            )
        ],
        max_retries=LOCAL_MAX_RETRIES if local else None,
    )
    stack.add_override("terraform.required_version", TERRAFORM_VERSION)
