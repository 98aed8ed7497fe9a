"""Rules of security groups, one resource each: Terraform's inline rules remove what it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stacks.bindings import Construct, VpcSecurityGroupEgressRule, VpcSecurityGroupIngressRule


@dataclass(frozen=True, slots=True)
class Traffic:
    """A protocol by name, and its first and last port; ``-1`` is every protocol, and has none."""

    protocol: str
    ports: tuple[int, int] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        if self.ports is None:
            return {"ip_protocol": self.protocol}
        return {"ip_protocol": self.protocol, "from_port": self.ports[0], "to_port": self.ports[1]}


def egress(
    scope: Construct,
    id_: str,
    group: str,
    description: str,
    traffic: Traffic,
    *,
    to: str | None = None,
    prefix_list: str | None = None,
) -> None:
    """Let ``group`` reach the group ``to``, or the addresses of a prefix list."""
    VpcSecurityGroupEgressRule(
        scope,
        id_,
        security_group_id=group,
        description=description,
        referenced_security_group_id=to,
        prefix_list_id=prefix_list,
        **traffic.arguments,
    )


def ingress(scope: Construct, id_: str, group: str, description: str, traffic: Traffic, *, source: str) -> None:
    """Let the group ``source`` reach ``group``."""
    VpcSecurityGroupIngressRule(
        scope,
        id_,
        security_group_id=group,
        description=description,
        referenced_security_group_id=source,
        **traffic.arguments,
    )
