"""The environment's own network."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_kit.config import Environment
from stacks.deploy_permissions.scope import of, requested, tagged
from stacks.policies import Statement, allow


def network(environment: Environment) -> list[Statement]:
    names = environment.names

    def each(*kinds: str) -> Sequence[str]:
        return [names.arn("ec2", f"{kind}/*") for kind in kinds]

    made = each("route-table", "security-group", "subnet", "vpc", "vpc-endpoint", "vpc-flow-log")
    rules = each("security-group-rule")
    within = of(
        "ec2",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateFlowLogs",
        "CreateRouteTable",
        "CreateSecurityGroup",
        "CreateSubnet",
        "CreateVpcEndpoint",
    )
    return [
        # EC2 asks once for each resource: for the new one, which brings its tags, and for those it is made in.
        allow(
            "MakeNetwork",
            [*within, *of("ec2", "CreateTags", "CreateVpc")],
            [*made, *rules],
            conditions=requested(environment),
        ),
        allow("MakeInNetwork", within, made, conditions=tagged(environment)),
        allow(  # the endpoints' private names lie in zones of AWS
            "NameEndpoints",
            ["route53:AssociateVPCWithHostedZone"],
            f"arn:{names.partition}:route53:::hostedzone/*",
        ),
        allow(
            "ChangeNetwork",
            of(
                "ec2",
                "AssociateRouteTable",
                "CreateTags",
                "DeleteFlowLogs",
                "DeleteRouteTable",
                "DeleteSecurityGroup",
                "DeleteSubnet",
                "DeleteTags",
                "DeleteVpc",
                "DeleteVpcEndpoints",
                "DescribeVpcAttribute",
                "DisassociateRouteTable",
                "ModifySecurityGroupRules",
                "ModifySubnetAttribute",
                "ModifyVpcAttribute",
                "ModifyVpcEndpoint",
                "RevokeSecurityGroupEgress",
                "RevokeSecurityGroupIngress",
            ),
            [*made, *rules],
            conditions=tagged(environment),
        ),
        allow(  # none of these can be held to a resource
            "ReadNetwork",
            of(
                "ec2",
                "DescribeFlowLogs",
                "DescribeNetworkAcls",
                "DescribeNetworkInterfaces",
                "DescribePrefixLists",
                "DescribeRouteTables",
                "DescribeSecurityGroupRules",
                "DescribeSecurityGroups",
                "DescribeSubnets",
                "DescribeVpcEndpoints",
                "DescribeVpcs",
            ),
            "*",
        ),
    ]
