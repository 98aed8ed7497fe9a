"""Where jobs and endpoints run: what the environment's stack wrote down about its network.

The stack knows the subnets and security groups only once they exist, and the commands never read Terraform's state. So
the stack writes one small object, ``NETWORK_KEY`` in the artifacts bucket, and whoever starts a job or makes a release
reads it here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_kit.errors import IntegrityError
from mlops_kit.naming import NETWORK_KEY
from mlops_kit.objects import Store
from mlops_kit.objects.strict_json import read_json


@dataclass(frozen=True, slots=True)
class JobNetwork:
    """Subnets and security groups of jobs and endpoints: both empty in SageMaker's own network.

    ``isolated``: their containers have no network at all, so SageMaker has to bring in whatever they read.
    """

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    isolated: bool = False

    @property
    def in_vpc(self) -> bool:
        return bool(self.subnets)

    @property
    def vpc_config(self) -> dict[str, Any] | None:
        """``VpcConfig`` of SageMaker's API; None outside of a VPC."""
        if not self.in_vpc:
            return None
        return {"SecurityGroupIds": list(self.security_groups), "Subnets": list(self.subnets)}


def read_network(artifacts: Store) -> JobNetwork:
    """What the stack wrote. No object: an environment older than the network settings, so no VPC and not isolated.

    Raises:
        IntegrityError: there is an object, but not one that the stack writes.
    """
    found = artifacts.get(NETWORK_KEY)
    if found is None:
        return JobNetwork()
    try:
        written = read_json(found)
        subnets, groups = _texts(written["subnets"]), _texts(written["security_groups"])
        isolated = written["isolated"]
        if not isinstance(isolated, bool) or bool(subnets) != bool(groups):
            raise ValueError(f"isolated is {isolated!r}, subnets {subnets}, security_groups {groups}")
    except (ValueError, KeyError, TypeError) as exc:
        raise IntegrityError(
            f"{artifacts.uri(NETWORK_KEY)} does not say where jobs run: {exc!r}.",
            hint="The environment's stack writes this object. Deploy the environment again.",
        ) from exc
    return JobNetwork(subnets, groups, isolated)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{value!r} is not a list of ids")
    return tuple(value)
