"""Package groups and image repositories: who reads them, and how an image gets to the next stage."""

from __future__ import annotations

import json
from itertools import pairwise

from mlops_kit.naming import MODEL_ROLES
from tests.stacks.conftest import Synthesized
from tests.stacks.stack import Stack


def test_every_model_has_a_group_and_a_repository(synthesized: Synthesized) -> None:
    for stack in synthesized.gallery.values():
        names = stack.environment.names
        for model in stack.models:
            group = stack.where(
                "aws_sagemaker_model_package_group", model_package_group_name=names.model(model.name).package_group
            )
            repository = stack.where("aws_ecr_repository", name=f"gallery/{model.name}")
            assert group["tags"] == repository["tags"] == {"Model": model.name}
        assert len(stack.all("aws_ecr_repository")) == len(stack.models)


def test_images_are_immutable_scanned_and_encrypted(stack: Stack) -> None:
    for repository in stack.all("aws_ecr_repository").values():
        assert repository["image_tag_mutability"] == "IMMUTABLE"
        assert repository["image_scanning_configuration"] == {"scan_on_push": True}
        (encryption,) = repository["encryption_configuration"]
        assert encryption["encryption_type"] == "KMS"
        assert encryption["kms_key"].startswith("${aws_kms_key.")
        assert repository["force_delete"] is not stack.environment.protect
        assert repository.get("lifecycle", {}).get("prevent_destroy", False) is stack.environment.protect


def test_old_images_go(secure: Stack) -> None:
    for lifecycle in secure.all("aws_ecr_lifecycle_policy").values():
        untagged, tagged = (rule["selection"] for rule in json.loads(lifecycle["policy"])["rules"])
        assert (untagged["tagStatus"], untagged["countNumber"], untagged["countUnit"]) == ("untagged", 14, "days")
        assert (tagged["tagPatternList"], tagged["countNumber"]) == (["*"], 100)


def test_only_the_models_own_roles_pull(secure: Stack) -> None:
    names = secure.environment.names
    policies = secure.all("aws_ecr_repository_policy").values()
    assert len(policies) == len(secure.models)
    allowed = set()
    for policy in policies:
        (statement,) = secure.parse(policy["policy"])
        assert statement["Principal"] == {"AWS": names.account_root}
        assert not any(action.startswith(("ecr:Put", "ecr:Initiate", "ecr:Delete")) for action in statement["Action"])
        allowed.add(frozenset(statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]))
    assert allowed == {
        frozenset(names.model(model.name).role_arn(kind) for kind in MODEL_ROLES) for model in secure.models
    }


def test_images_travel_one_stage_at_a_time(sandbox: Stack, secure: Stack, adopted: Stack) -> None:
    stages = (sandbox, secure, adopted)
    for here, there in pairwise(stages):
        (rule,) = here.one("aws_ecr_replication_configuration")["replication_configuration"]["rule"]
        assert rule["destination"] == [{"region": there.environment.region, "registry_id": there.environment.account}]
        assert rule["repository_filter"] == [{"filter": "gallery/", "filter_type": "PREFIX_MATCH"}]
        (statement,) = there.parse(there.one("aws_ecr_registry_policy")["policy"])
        assert statement["Principal"] == {"AWS": here.environment.names.account_root}
        assert statement["Action"] == ["ecr:ReplicateImage"], "the repositories are the stack's to make"
        assert statement["Resource"] == there.environment.names.arn("ecr", "repository/gallery/*")
    assert not sandbox.all("aws_ecr_registry_policy"), "nobody writes into the first stage"
    assert not adopted.all("aws_ecr_replication_configuration"), "the last stage sends nothing on"


def test_the_next_stage_reads_the_groups(sandbox: Stack) -> None:
    policies = sandbox.all("aws_sagemaker_model_package_group_policy").values()
    assert len(policies) == len(sandbox.models)
    for policy in policies:
        for statement in sandbox.parse(policy["resource_policy"]):
            assert statement["Condition"] == {
                "ArnEquals": {
                    "aws:PrincipalArn": [
                        f"arn:aws:iam::777777777777:role/gallery-secure-{kind}" for kind in ("promoter", "approver")
                    ]
                }
            }
            assert all(action.startswith(("sagemaker:Describe", "sagemaker:List")) for action in statement["Action"])


def test_the_last_stages_groups_are_read_by_nobody(adopted: Stack) -> None:
    assert not adopted.all("aws_sagemaker_model_package_group_policy")
