"""Network and storage settings: what is refused, with file and line, and what the shares of a network are."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlops_kit.config import load_project
from mlops_kit.config.environment import Environment, Network, Storage
from mlops_kit.errors import ConfigError

EXISTING = {"subnet_ids": ["subnet-0a1b2c3d"], "security_group_ids": ["sg-0a1b2c3d"]}
DEV = """\
name: dev
account: "111111111111"
region: us-east-1
project: acme
owner: owner@example.com
budget: {monthly_usd: 1}
"""


def problems(root: Path, lines: str, text: str = DEV) -> list[str]:
    """What is wrong with a project of one environment that has these lines at its end."""
    (root / "environments").mkdir()
    (root / "environments" / "dev.yaml").write_text(text + lines + "\n")
    with pytest.raises(ConfigError) as caught:
        load_project(root)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("network: {mode: vpn}", "network.mode"),
        ("network: {mode: vpc, cidr: 10.40.0.1/20}", "is not an IPv4 network"),
        ("network: {mode: vpc, cidr: everything}", "is not an IPv4 network"),
        ("network: {mode: vpc, cidr: 8.8.0.0/16}", "is not private address space"),
        ("network: {mode: vpc, cidr: 10.0.0.0/8}", "has a /8 mask"),
        ("network: {mode: vpc, cidr: 10.0.0.0/27}", "has a /27 mask"),
        ("network: {mode: vpc, zones: [a, a]}", "names something twice"),
        ("network: {mode: vpc, zones: [g]}", "network.zones"),
        ("network: {mode: vpc, zones: []}", "network.zones"),
        ("network: {mode: vpc, zones: [a, b, c, d, e]}", "network.zones"),
        ("network: {mode: vpc, interfaces: [sts, sts]}", "names something twice"),
        ("network: {mode: vpc, interfaces: [s3]}", "network.interfaces"),
        (
            "network: {existing: {subnet_ids: [subnet-0a1b2c3d], security_group_ids: [sg-0a1b2c3d]}}",
            "set mode to 'vpc'",
        ),
        (
            "network: {mode: vpc, existing: {subnet_ids: [sub-1], security_group_ids: [sg-0a1b2c3d]}}",
            "'sub-1' is not the id of a subnet",
        ),
        (
            "network: {mode: vpc, existing: {subnet_ids: [], security_group_ids: [sg-0a1b2c3d]}}",
            "network.existing.subnet_ids",
        ),
        (
            "network: {mode: vpc, existing: {subnet_ids: [subnet-0a1b2c3d], security_group_ids: [default]}}",
            "'default' is not the id of a security group",
        ),
        ("network: {mode: vpc, gateway: true}", "unknown key"),
        ("storage: {replicate_to: us-east-1}", "where the originals are"),
        ("storage: {replicate_to: mars}", "is not an AWS region"),
        ("storage: {replicate_to: eu-central-1, inventory: hourly}", "storage.inventory"),
        ("storage: {tiering_after_days: -1}", "storage.tiering_after_days"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(tmp_path: Path, lines: str, expected: str) -> None:
    (found,) = problems(tmp_path, lines)
    assert expected in found
    # A rule between two settings of the file stands where the file begins.
    assert found.startswith("environments/dev.yaml:1:" if "originals" in expected else "environments/dev.yaml:7:")


def test_the_name_of_a_copy_has_to_fit(tmp_path: Path) -> None:
    text = DEV.replace("project: acme", "project: a-project-with-a-name-of-32-letters")
    found = problems(tmp_path, "storage: {replicate_to: us-west-2}", text)
    assert [problem for problem in found if "artifacts bucket's replica would be named" in problem]


@pytest.mark.parametrize("zones", [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("cidr", ["10.40.0.0/16", "172.16.32.0/20", "192.168.1.0/26"])
def test_each_zone_gets_an_equal_share_that_overlaps_no_other(cidr: str, zones: tuple[Any, ...]) -> None:
    whole = IPv4Network(cidr)
    shares = [IPv4Network(share) for share in Network(mode="vpc", cidr=cidr, zones=zones).subnets]
    assert len(shares) == len(zones)
    assert len({share.prefixlen for share in shares}) == 1
    assert all(share.subnet_of(whole) for share in shares)
    assert not any(a.overlaps(b) for a in shares for b in shares if a is not b)
    assert all(share.prefixlen <= 28 for share in shares), "AWS makes no smaller subnet"


def test_a_zone_more_leaves_the_others_where_they_are() -> None:
    three, four = (Network(mode="vpc", zones=zones) for zones in (("a", "b", "c"), ("a", "b", "c", "d")))
    assert four.subnets[:3] == three.subnets, "otherwise the subnets would be replaced"


def test_containers_are_isolated_in_a_vpc_unless_told_otherwise() -> None:
    assert Network().isolated is False
    assert Network(mode="vpc").isolated is True
    assert Network(mode="vpc", isolation=False).isolated is False
    assert Network(isolation=True).isolated is True


def test_somebody_elses_network_is_taken_as_it_is() -> None:
    network = Network.model_validate({"mode": "vpc", "existing": EXISTING})
    assert network.existing is not None
    assert network.existing.subnet_ids == ("subnet-0a1b2c3d",)


def test_storage_is_tiered_in_one_region_by_default() -> None:
    assert Storage() == Storage(tiering_after_days=30, replicate_to=None, inventory=None)


def test_the_originals_region_is_no_second_region() -> None:
    base = {"name": "dev", "account": "111111111111", "project": "acme", "owner": "owner@example.com"}
    base |= {"region": "eu-west-1", "budget": {"monthly_usd": 1}}  # type: ignore[dict-item]
    with pytest.raises(ValidationError, match="where the originals are"):
        Environment.model_validate(base | {"storage": {"replicate_to": "eu-west-1"}})
    assert Environment.model_validate(base | {"storage": {"replicate_to": "eu-central-1"}}).storage.replicate_to
