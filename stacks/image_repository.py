"""Container images: one repository a model, and how an image travels to the next stage.

An image is pushed once, into the first stage's account, under a tag that never moves again. ECR copies it to the next
stage by itself, under the same repository name, so that production pulls from its own account and the address in a
model file differs between stages in the account only. The target's stack makes the repositories, which gives the copies
its key and its rules; its registry policy lets the source account write into these and create no others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlops_kit.config import Environment, Model
from mlops_kit.naming import MODEL_ROLES
from stacks import policies
from stacks.bindings import (
    Construct,
    EcrLifecyclePolicy,
    EcrRegistryPolicy,
    EcrReplicationConfiguration,
    EcrRepository,
    EcrRepositoryPolicy,
)
from stacks.policies import allow
from stacks.terraform_settings import model_tags

KEEP_UNTAGGED_DAYS = 14
KEEP_TAGGED = 100
"""Newer images than this many keep an image alive; a release whose image is gone cannot start another instance."""


class ImageRepository(Construct):
    """One model's images: scanned, encrypted, immutable, and pulled by the model's own jobs and endpoints."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, model: Model, key_arn: str) -> None:
        super().__init__(scope, id_)
        names = model.names(environment.names)
        repository = EcrRepository(
            self,
            "repository",
            name=names.repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configuration=[{"encryption_type": "KMS", "kms_key": key_arn}],
            force_delete=not environment.protect,
            tags=model_tags(model),
            lifecycle={"prevent_destroy": True} if environment.protect else None,
        )
        EcrLifecyclePolicy(self, "lifecycle", repository=repository.name, policy=_lifecycle())
        # The roles are made later, and ECR refuses a policy that names a role it cannot find: so the account, and a
        # condition that says which of its roles. Their own policies say so too.
        EcrRepositoryPolicy(
            self,
            "policy",
            repository=repository.name,
            policy=policies.document(
                allow(
                    "JobsAndEndpointsPull",
                    policies.ECR_PULL,
                    principal={"AWS": environment.names.account_root},
                    conditions={"ArnEquals": {"aws:PrincipalArn": [names.role_arn(kind) for kind in MODEL_ROLES]}},
                )
            ),
        )


class ImageReplication(Construct):
    """To the stages that promote from here, and from the stage before."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        readers: Sequence[Environment],
        source: Environment | None,
    ) -> None:
        super().__init__(scope, id_)
        repositories = f"{environment.project}/"
        if readers:
            EcrReplicationConfiguration(
                self,
                "to-next-stage",
                replication_configuration={
                    "rule": [
                        {
                            "destination": [
                                {"region": reader.region, "registry_id": reader.account} for reader in readers
                            ],
                            "repository_filter": [{"filter": repositories, "filter_type": "PREFIX_MATCH"}],
                        }
                    ]
                },
            )
        if source is not None:
            EcrRegistryPolicy(
                self,
                "from-stage-before",
                policy=policies.document(
                    allow(
                        f"{policies.sid(source.name)}Replicates",
                        ["ecr:ReplicateImage"],
                        environment.names.arn("ecr", f"repository/{repositories}*"),
                        principal={"AWS": source.names.account_root},
                    )
                ),
            )


def _lifecycle() -> str:
    untagged = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": KEEP_UNTAGGED_DAYS,
    }
    tagged = {
        "tagStatus": "tagged",
        "tagPatternList": ["*"],
        "countType": "imageCountMoreThan",
        "countNumber": KEEP_TAGGED,
    }
    chosen = (("Untagged images, after a while", untagged), ("The oldest, when there are many", tagged))
    rules = [
        {"rulePriority": priority, "description": description, "selection": selection, "action": {"type": "expire"}}
        for priority, (description, selection) in enumerate(chosen, start=1)
    ]
    return json.dumps({"rules": rules})
