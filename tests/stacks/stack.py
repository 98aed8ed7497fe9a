"""One synthesized stack, and how the tests look into it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_kit.config import Environment, Model, Project

Resource = dict[str, Any]

POLICIES = {
    "aws_cloudwatch_event_bus_policy": "policy",
    "aws_cloudwatch_log_resource_policy": "policy_document",
    "aws_ecr_registry_policy": "policy",
    "aws_ecr_repository_policy": "policy",
    "aws_iam_policy": "policy",
    "aws_iam_role": "assume_role_policy",
    "aws_iam_role_policy": "policy",
    "aws_kms_key": "policy",
    "aws_s3_bucket_policy": "policy",
    "aws_sagemaker_model_package_group_policy": "resource_policy",
    "aws_sns_topic_policy": "policy",
    "aws_sqs_queue_policy": "policy",
    "aws_vpc_endpoint": "policy",
}
"""Resource type -> the attribute that holds a policy document."""


def listed(value: Any) -> list[Any]:
    """A policy has one or many, and writes one without brackets."""
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Stack:
    project: Project
    environment: Environment
    directory: Path
    content: dict[str, Any]

    @classmethod
    def read(cls, project: Project, environment: Environment, out: Path, suffix: str = "") -> Stack:
        directory = out / "stacks" / f"{environment.name}{suffix}"
        return cls(project, environment, directory, json.loads((directory / "cdk.tf.json").read_text()))

    @property
    def models(self) -> tuple[Model, ...]:
        return self.project.models_in(self.environment)

    def all(self, kind: str) -> dict[str, Resource]:
        """Logical id -> resource."""
        found: dict[str, Resource] = self.content["resource"].get(kind, {})
        return found

    def one(self, kind: str) -> Resource:
        (found,) = self.all(kind).values()
        return found

    def where(self, kind: str, **attributes: Any) -> Resource:
        """The one resource of a kind that has these attributes."""
        (found,) = [r for r in self.all(kind).values() if attributes.items() <= r.items()]
        return found

    def boundary(self) -> list[dict[str, Any]]:
        """What the permission boundary has; in stacks for the local cloud, which make it themselves."""
        return self.parse(self.where("aws_iam_policy", name=self.environment.names.boundary)["policy"])

    def bucket_id(self, name: str) -> str:
        (logical,) = [logical for logical, bucket in self.all("aws_s3_bucket").items() if bucket["bucket"] == name]
        return f"${{aws_s3_bucket.{logical}.id}}"

    def of_bucket(self, kind: str, name: str) -> Resource:
        """The resource of a kind that configures the bucket ``name``."""
        return self.where(kind, bucket=self.bucket_id(name))

    def statements(self, kind: str, logical: str) -> list[dict[str, Any]]:
        return self.parse(self.all(kind)[logical][POLICIES[kind]])

    @staticmethod
    def parse(policy: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(policy)["Statement"]
        return found

    def every_statement(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(resource type, statement) of every policy in the stack."""
        for kind in POLICIES:
            for logical in self.all(kind):
                for statement in self.statements(kind, logical):
                    yield kind, statement
