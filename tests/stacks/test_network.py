"""Three kinds of network: none, one of the environment's own that nothing leaves, and somebody else's."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network
from typing import Any

import pytest

from mlops_kit.config.environment import DEFAULT_INTERFACES
from mlops_kit.naming import BUCKET_KINDS
from mlops_kit.network import JobNetwork, read_network
from tests.stacks.stack import Stack

MADE = (
    "aws_default_security_group",
    "aws_flow_log",
    "aws_route_table",
    "aws_route_table_association",
    "aws_security_group",
    "aws_subnet",
    "aws_vpc",
    "aws_vpc_endpoint",
    "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
)


def told(stack: Stack) -> dict[str, Any]:
    names = stack.environment.names
    written = stack.where("aws_s3_object", key=names.network_key)
    assert written["bucket"] == stack.bucket_id(names.bucket("artifacts"))
    before = {name.split(".")[0] for name in written["depends_on"]}
    assert "aws_s3_bucket_server_side_encryption_configuration" in before, "or it would be stored unencrypted"
    found: dict[str, Any] = json.loads(written["content"])
    assert json.dumps(found, sort_keys=True, separators=(",", ":")) == written["content"]
    return found


class Written:
    """The artifacts bucket with what the stack writes, its references put as Terraform would."""

    def __init__(self, stack: Stack) -> None:
        self.body = re.sub(r"\$\{aws_(\w+)\.[^}]+\}", r"\1-0a1b2c3d", json.dumps(told(stack))).encode()

    def get(self, key: str) -> bytes:
        return self.body

    def uri(self, key: str) -> str:
        return key


def read(stack: Stack) -> JobNetwork:
    store: Any = Written(stack)
    return read_network(store)


@pytest.mark.parametrize("name", ["sandbox", "adopted"])
def test_nothing_is_made_without_a_vpc_of_our_own(name: str, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(name)
    for kind in MADE:
        assert not stack.all(kind), kind
    assert not [r for r in stack.all("aws_iam_role").values() if r["name"].endswith("flow-logs")]


def test_the_commands_read_what_the_stack_writes(sandbox: Stack, secure: Stack, adopted: Stack) -> None:
    assert read(sandbox) == JobNetwork()
    assert read(secure) == JobNetwork(("subnet-0a1b2c3d",) * 3, ("security_group-0a1b2c3d",), isolated=True)
    assert read(adopted) == JobNetwork(("subnet-0a1b2c3d", "subnet-4e5f6a7b"), ("sg-0a1b2c3d",), isolated=False)


def test_one_private_subnet_a_zone(secure: Stack) -> None:
    vpc = secure.one("aws_vpc")
    assert vpc["enable_dns_support"] is vpc["enable_dns_hostnames"] is True
    subnets = secure.all("aws_subnet")
    assert {s["availability_zone"] for s in subnets.values()} == {"us-east-1a", "us-east-1b", "us-east-1c"}
    ranges = [IPv4Network(s["cidr_block"]) for s in subnets.values()]
    assert all(r.subnet_of(IPv4Network(vpc["cidr_block"])) for r in ranges)
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
    assert all(s["map_public_ip_on_launch"] is False for s in subnets.values())
    associated = {a["subnet_id"] for a in secure.all("aws_route_table_association").values()}
    assert associated == {f"${{aws_subnet.{logical}.id}}" for logical in subnets}
    assert "route" not in secure.one("aws_route_table"), "no way out but the endpoints"


def test_the_default_group_is_closed(secure: Stack) -> None:
    closed = secure.one("aws_default_security_group")
    assert not {"ingress", "egress"} & closed.keys()


def test_every_service_is_reached_from_inside(secure: Stack) -> None:
    endpoints = secure.all("aws_vpc_endpoint").values()
    interfaces = [e for e in endpoints if e["vpc_endpoint_type"] == "Interface"]
    assert {e["service_name"] for e in interfaces} == {f"com.amazonaws.us-east-1.{s}" for s in DEFAULT_INTERFACES}
    for endpoint in interfaces:
        assert endpoint["private_dns_enabled"] is True
        assert len(endpoint["subnet_ids"]) == 3
        for statement in secure.parse(endpoint["policy"]):
            assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": secure.environment.account}}
            assert not [action for action in statement["Action"] if action.endswith(":*") or action == "*"]


def test_s3_is_the_environments_buckets_and_image_layers(secure: Stack) -> None:
    (gateway,) = [e for e in secure.all("aws_vpc_endpoint").values() if e["vpc_endpoint_type"] == "Gateway"]
    assert gateway["service_name"] == "com.amazonaws.us-east-1.s3"
    assert len(gateway["route_table_ids"]) == 1
    names = secure.environment.names
    buckets = {names.bucket_arn(kind) for kind in BUCKET_KINDS}
    find, objects, layers = secure.parse(gateway["policy"])
    assert set(find["Resource"]) == buckets
    assert set(objects["Resource"]) == {f"{arn}/*" for arn in buckets}
    own = {"StringEquals": {"aws:PrincipalAccount": names.account}}
    assert find["Condition"] == objects["Condition"] == own
    assert layers["Action"] == ["s3:GetObject"]
    assert layers["Resource"] == "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*"


def test_groups_let_jobs_reach_services_s3_and_each_other(secure: Stack) -> None:
    groups = {f"${{aws_security_group.{key}.id}}": g["name"] for key, g in secure.all("aws_security_group").items()}

    def rule(found: dict[str, Any]) -> tuple[str, str, str, int | None]:
        other = groups.get(found.get("referenced_security_group_id", ""), "s3")
        group = groups[found["security_group_id"]].rsplit("-", 1)[1]
        return group, other.rsplit("-", 1)[-1], found["ip_protocol"], found.get("to_port")

    egress = secure.all("aws_vpc_security_group_egress_rule").values()
    ingress = secure.all("aws_vpc_security_group_ingress_rule").values()
    assert {rule(r) for r in egress} == {
        ("jobs", "endpoints", "tcp", 443),
        ("jobs", "s3", "tcp", 443),
        ("jobs", "jobs", "-1", None),
    }
    assert {rule(r) for r in ingress} == {("endpoints", "jobs", "tcp", 443), ("jobs", "jobs", "-1", None)}
    assert all(r["description"] for r in [*egress, *ingress])
    assert not [r for r in [*egress, *ingress] if "cidr_ipv4" in r or "cidr_ipv6" in r], "no address, only groups"
    assert all(not name.startswith("sg-") for name in groups.values())


def test_flow_logs_are_encrypted_and_end(secure: Stack) -> None:
    names = secure.environment.names
    flow = secure.one("aws_flow_log")
    assert (flow["traffic_type"], flow["log_destination_type"]) == ("ALL", "cloud-watch-logs")
    group = secure.where("aws_cloudwatch_log_group", name=names.flow_log_group)
    assert group["kms_key_id"].startswith("${aws_kms_key.")
    assert group["retention_in_days"] >= secure.environment.retention.logs_days
    role = secure.where("aws_iam_role", name=names.role("flow-logs"))
    assert role["permissions_boundary"] == names.boundary_arn
    (trust,) = secure.parse(role["assume_role_policy"])
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": secure.environment.account}
    assert trust["Condition"]["ArnLike"] == {"aws:SourceArn": names.arn("ec2", "vpc-flow-log/*")}
