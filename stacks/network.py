"""Where training jobs and endpoints run: nowhere in particular, in a VPC of the environment's own, or in a given one.

The VPC has no way to the internet and none from it: no internet gateway, no NAT, no public address. What jobs read and
write goes through a gateway endpoint to S3, which lets through the environment's buckets, and through interface
endpoints to the other services, which let through the account's own principals. Two security groups say who talks to
whom: jobs to the endpoints, to S3, and to each other.

Every mode leaves a small object in the artifacts bucket that says which subnets and groups jobs and endpoints get:
``mlops_kit.network`` reads it, because the commands do not read Terraform's state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlops_kit.config import Environment
from stacks import policies
from stacks.bindings import (
    Construct,
    DefaultSecurityGroup,
    FlowLog,
    IamRole,
    IamRolePolicy,
    RouteTable,
    RouteTableAssociation,
    S3Object,
    SecurityGroup,
    Subnet,
    Vpc,
    VpcEndpoint,
)
from stacks.data_lake import DataLake
from stacks.endpoint_policies import interface_policy, s3_policy
from stacks.log_group import log_group
from stacks.policies import allow
from stacks.security_rules import Traffic, egress, ingress

HTTPS = Traffic("tcp", (443, 443))
EVERYTHING = Traffic("-1")
GIVEN_TO_JOBS = {"CKV2_AWS_5": "Models and jobs get it when they are made, and not in this stack alone"}
FLOW_LOG_SECONDS = 600
"""The longer of the two aggregation intervals: a tenth of the records, and of their price."""


class Network(Construct):
    """``vpc_config``: what jobs and models are given, in Terraform's words; None outside of a VPC.

    ``isolated``: whether their containers have no network at all.
    """

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, key_arn: str, lake: DataLake) -> None:
        super().__init__(scope, id_)
        network = environment.network
        self.subnet_ids: list[str] = []
        self.security_group_ids: list[str] = []
        self.isolated: bool = network.isolated
        if network.existing is not None:
            self.subnet_ids = list(network.existing.subnet_ids)
            self.security_group_ids = list(network.existing.security_group_ids)
        elif network.mode == "vpc":
            made = PrivateNetwork(self, "vpc", environment=environment, key_arn=key_arn)
            self.subnet_ids, self.security_group_ids = made.subnet_ids, [made.jobs_group_id]
        self._tell(environment, lake)

    @property
    def vpc_config(self) -> dict[str, Any] | None:
        if not self.subnet_ids:
            return None
        return {"subnets": self.subnet_ids, "security_group_ids": self.security_group_ids}

    def _tell(self, environment: Environment, lake: DataLake) -> None:
        artifacts = lake.buckets["artifacts"]
        told = {"isolated": self.isolated, "security_groups": self.security_group_ids, "subnets": self.subnet_ids}
        S3Object(
            self,
            "told",
            bucket=artifacts.id,
            key=environment.names.network_key,
            content=json.dumps(told, sort_keys=True, separators=(",", ":")),
            content_type="application/json",
            depends_on=[artifacts.versioning, artifacts.encryption, artifacts.policy],  # stored as all else there is
        )


class PrivateNetwork(Construct):
    """The VPC, one private subnet a zone, the endpoints, the two security groups and the flow log."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, key_arn: str) -> None:
        super().__init__(scope, id_)
        names, network = environment.names, environment.network
        vpc = Vpc(
            self,
            "vpc",
            cidr_block=network.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # without it the endpoints' private names mean nothing
            tags={"Name": names.network},
        )
        # Whoever forgets to name a group gets the default one: it lets nothing in or out.
        DefaultSecurityGroup(self, "default-group", vpc_id=vpc.id, tags={"Name": f"{names.network}-closed"})
        self._vpc_id: str = vpc.id
        self._routes = RouteTable(self, "routes", vpc_id=vpc.id, tags={"Name": f"{names.network}-private"})
        self.subnet_ids: list[str] = [
            self._subnet(environment, zone, cidr) for zone, cidr in zip(network.zones, network.subnets, strict=True)
        ]
        jobs = self._group("jobs", f"{names.network}-jobs", "Training jobs and endpoints", GIVEN_TO_JOBS)
        endpoints = self._group("endpoints", f"{names.network}-endpoints", "Interface endpoints of AWS services")
        self.jobs_group_id: str = jobs
        s3 = VpcEndpoint(
            self,
            "s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{environment.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[self._routes.id],
            policy=s3_policy(names),
            tags={"Name": f"{names.network}-s3"},
        )
        for service in network.interfaces:
            VpcEndpoint(
                self,
                service.replace(".", "-"),
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{environment.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.subnet_ids,
                security_group_ids=[endpoints],
                policy=interface_policy(names, service),
                tags={"Name": f"{names.network}-{service}"},
            )
        self._rules(jobs, endpoints, s3.prefix_list_id)
        self._flow_log(environment, key_arn)

    def _subnet(self, environment: Environment, zone: str, cidr: str) -> str:
        subnet = Subnet(
            self,
            f"subnet-{zone}",
            vpc_id=self._vpc_id,
            availability_zone=f"{environment.region}{zone}",
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags={"Name": f"{environment.names.network}-{zone}"},
        )
        RouteTableAssociation(self, f"route-{zone}", subnet_id=subnet.id, route_table_id=self._routes.id)
        return subnet.id

    def _group(self, id_: str, name: str, description: str, skip: Mapping[str, str] | None = None) -> str:
        group = SecurityGroup(
            self,
            f"{id_}-group",
            name=name,
            description=description,
            vpc_id=self._vpc_id,
            tags={"Name": name},
            skip=skip,
        )
        return group.id

    def _rules(self, jobs: str, endpoints: str, s3_prefixes: str) -> None:
        egress(self, "jobs-to-endpoints", jobs, "AWS services", HTTPS, to=endpoints)
        egress(self, "jobs-to-s3", jobs, "S3, through its gateway", HTTPS, prefix_list=s3_prefixes)
        ingress(self, "endpoints-from-jobs", endpoints, "Jobs and model servers", HTTPS, source=jobs)
        # Instances of one job talk to each other on any port, and encrypted by IPsec, which is ESP and UDP 500
        # (https://docs.aws.amazon.com/sagemaker/latest/dg/train-encrypt.html): everything, but only among themselves.
        egress(self, "jobs-to-jobs", jobs, "Instances of one job", EVERYTHING, to=jobs)
        ingress(self, "jobs-from-jobs", jobs, "Instances of one job", EVERYTHING, source=jobs)

    def _flow_log(self, environment: Environment, key_arn: str) -> None:
        names = environment.names
        logs = log_group(
            self,
            "flow-logs",
            name=names.flow_log_group,
            key_arn=key_arn,
            keep_days=environment.retention.logs_days,
            protect=environment.protect,
        )
        role = IamRole(
            self,
            "flow-logs-role",
            name=names.role("flow-logs"),
            description=f"Flow logs of {names.network}",
            permissions_boundary=names.boundary_arn,
            assume_role_policy=policies.document(
                allow(
                    "FlowLogs",
                    ["sts:AssumeRole"],
                    principal={"Service": "vpc-flow-logs.amazonaws.com"},
                    conditions={
                        "StringEquals": {"aws:SourceAccount": names.account},
                        "ArnLike": {"aws:SourceArn": names.arn("ec2", "vpc-flow-log/*")},
                    },
                )
            ),
        )
        allowed = IamRolePolicy(
            self,
            "flow-logs-policy",
            name="flow-logs",
            role=role.id,
            policy=policies.document(
                policies.write_logs([names.flow_log_group], names),
                allow("FindLogGroup", ["logs:DescribeLogGroups"], names.arn("logs", "log-group:*")),
            ),
        )
        FlowLog(
            self,
            "flow-log",
            vpc_id=self._vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=FLOW_LOG_SECONDS,
            tags={"Name": names.network},
            depends_on=[allowed],
        )
