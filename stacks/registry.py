"""The model registry: one package group a model, readable by the promoter of the next stage."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import ModelNames
from stacks import policies
from stacks.bindings import Construct, SagemakerModelPackageGroup, SagemakerModelPackageGroupPolicy
from stacks.policies import Statement, allow


class ModelRegistry(Construct):
    """The package groups of an environment."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        models: Sequence[Model],
        readers: Sequence[Environment],
    ) -> None:
        super().__init__(scope, id_)
        for model in models:
            names = model.names(environment.names)
            group = SagemakerModelPackageGroup(
                self,
                model.name,
                model_package_group_name=names.package_group,
                model_package_group_description=f"Versions of {model.name} in {environment.name}",
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
    principal, condition = policies.promoter_of(reader)
    who = f"PromoterOf{policies.sid(reader.name)}"
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
