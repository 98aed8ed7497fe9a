"""Roles, within the permission boundary."""

from __future__ import annotations

from mlops_kit.naming import EnvironmentNames
from stacks.deploy_permissions.scope import of
from stacks.policies import Conditions, Statement, allow

AUTOSCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
AUTOSCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
REPLICATION_SERVICE = "replication.ecr.amazonaws.com"
REPLICATION_ROLE = "AWSServiceRoleForECRReplication"
PASSED_TO = ("events", "s3", "sagemaker", "scheduler", "states", "vpc-flow-logs")


def roles(names: EnvironmentNames) -> list[Statement]:
    roles = names.iam_arn(f"role/{names.prefix}-*")
    bounded: Conditions = {"StringEquals": {"iam:PermissionsBoundary": names.boundary_arn}}
    return [
        allow(
            "ChangeBoundedRoles",
            of("iam", "CreateRole", "DeleteRolePolicy", "PutRolePermissionsBoundary", "PutRolePolicy"),
            roles,
            conditions=bounded,
        ),
        allow(
            "ManageRoles",
            of(
                "iam",
                "DeleteRole",
                "GetRole",
                "GetRolePolicy",
                "ListAttachedRolePolicies",
                "ListInstanceProfilesForRole",
                "ListRolePolicies",
                "ListRoleTags",
                "TagRole",
                "UntagRole",
                "UpdateAssumeRolePolicy",
                "UpdateRole",
                "UpdateRoleDescription",
            ),
            roles,
        ),
        allow(
            "PassRoles",
            ["iam:PassRole"],
            roles,
            conditions={"StringEquals": {"iam:PassedToService": [f"{service}.amazonaws.com" for service in PASSED_TO]}},
        ),
        *(
            allow(
                sid,
                ["iam:CreateServiceLinkedRole"],
                names.iam_arn(f"role/aws-service-role/{service}/{role}"),
                conditions={"StringEquals": {"iam:AWSServiceName": service}},
            )
            for sid, service, role in (
                ("MakeAutoscalingRole", AUTOSCALING_SERVICE, AUTOSCALING_ROLE),
                ("MakeReplicationRole", REPLICATION_SERVICE, REPLICATION_ROLE),
            )
        ),
        {  # its own name has the prefix too
            "Sid": "NeverItself",
            "Effect": "Deny",
            "Action": "iam:*",
            "Resource": [names.deploy_role_arn, names.boundary_arn],
        },
    ]
