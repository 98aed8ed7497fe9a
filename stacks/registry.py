"""The model registry: a package group and an image repository a model.

The next stage's promoter reads the groups, and so do its approvers: what they approve is a version of this stage.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import ModelNames
from stacks import policies
from stacks.bindings import Construct, SagemakerModelPackageGroup, SagemakerModelPackageGroupPolicy
from stacks.image_repository import ImageReplication, ImageRepository
from stacks.policies import Statement, allow
from stacks.terraform_settings import model_tags


class ModelRegistry(Construct):
    """The package groups and image repositories of an environment."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        models: Sequence[Model],
        readers: Sequence[Environment],
        source: Environment | None,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        ImageReplication(self, "image-replication", environment=environment, readers=readers, source=source)
        for model in models:
            ImageRepository(self, f"{model.name}-images", environment=environment, model=model, key_arn=key_arn)
            names = model.names(environment.names)
            group = SagemakerModelPackageGroup(
                self,
                model.name,
                model_package_group_name=names.package_group,
                model_package_group_description=f"Versions of {model.name} in {environment.name}",
                tags=model_tags(model),
                lifecycle={"prevent_destroy": True} if environment.protect else None,
            )
            if readers:
                SagemakerModelPackageGroupPolicy(
                    self,
                    f"{model.name}-policy",
                    model_package_group_name=group.model_package_group_name,
                    resource_policy=policies.document(*(s for reader in readers for s in _read(reader, names))),
                )


def _read(reader: Environment, names: ModelNames) -> list[Statement]:
    principal, condition = policies.people_of(reader, "promoter", "approver")
    who = policies.sid(reader.name)
    return [
        allow(
            f"{who}DescribesGroup",
            # AWS's own example names the packages for ListModelPackages, its authorization reference the group.
            ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"],
            names.package_group_arn,
            principal=principal,
            conditions=condition,
        ),
        allow(
            f"{who}ReadsVersions",
            ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
            names.package_arn("*"),
            principal=principal,
            conditions=condition,
        ),
    ]
