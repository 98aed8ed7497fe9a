"""Mends: what networks are made of.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
a security group rule that names a group    has it
or a prefix list has no description
a rule for all protocols cannot be changed  can: it has no ports
rules that change at the same time can      are not
be lost
revoking a rule that is gone already is     InvalidSecurityGroupRuleId.NotFound, which a client that tries again
InvalidPermission.NotFound                  expects
a deleted endpoint is listed for ever       is gone
flow logs have no DestinationOptions; a     kept; the folder is part of the destination
folder in the bucket is taken for its name
flow logs to a log group named by its ARN   delivered, if the group exists (nothing is written)
are "FAILED"
==========================================  ===========================================================================
"""

from __future__ import annotations

import threading
from typing import Any

from moto.ec2.exceptions import InvalidPermissionNotFoundError, InvalidSecurityGroupRuleIdNotFoundError
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses.flow_logs import FlowLogs
from moto.logs.models import logs_backends

from mlops_kit.local.overlay import guard

_rules = threading.RLock()
OPTIONS_BY_DEFAULT = {"FileFormat": "plain-text", "HiveCompatiblePartitions": False, "PerHourPartition": False}


def install() -> None:
    make_rule = guard.original_taking(SecurityGroupRule, "__init__", "ip_range", "source_group", "prefix_list_id")
    modify = guard.original(EC2Backend, "modify_security_group_rules", "self", "group_id", "rules")
    delete_endpoints = guard.original(EC2Backend, "delete_vpc_endpoints", "self", "vpce_ids")
    create = guard.original_taking(EC2Backend, "create_flow_logs", "log_destination", "log_destination_type")
    respond = guard.original(FlowLogs, "create_flow_logs", "self")

    def make_described_rule(self: Any, *args: Any, **kwargs: Any) -> None:
        make_rule(self, *args, **kwargs)
        names = ("ec2_backend", "ip_protocol", "group_id", "from_port", "to_port", "ip_range", "source_group")
        given = dict(zip((*names, "prefix_list_id"), args, strict=False)) | kwargs
        source = given.get("source_group") or given.get("prefix_list_id") or {}
        if "Description" in source:  # moto reads every rule's description from here
            self.ip_range = {**self.ip_range, "Description": source["Description"]}

    def modify_security_group_rules(self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        for rule in rules.values():
            if str(rule.get("IpProtocol")) == "-1":
                rule.setdefault("FromPort", -1)
                rule.setdefault("ToPort", -1)
        modify(self, group_id, rules)

    def delete_vpc_endpoints(self: Any, vpce_ids: list[str] | None = None) -> None:
        delete_endpoints(self, vpce_ids)
        for vpce_id in vpce_ids or []:
            self.vpc_end_points.pop(vpce_id, None)

    def create_flow_logs(self: Any, *args: Any, **kwargs: Any) -> Any:
        destination = kwargs.get("log_destination") or ""
        if kwargs.get("log_destination_type") == "s3":
            kwargs["log_destination"] = destination.partition("/")[0]
        made, failed = create(self, *args, **kwargs)
        for flow_log in made:
            guard.require_attributes(flow_log, "log_destination", "deliver_logs_status", "deliver_logs_error_message")
            flow_log.log_destination = destination or None
            if ":log-group:" in destination and _group_exists(destination):
                flow_log.deliver_logs_status, flow_log.deliver_logs_error_message = "SUCCESS", None
        return made, failed

    def create_flow_logs_response(self: Any) -> Any:
        answer = respond(self)
        options = self._get_param("DestinationOptions")
        for flow_log in self.ec2_backend.describe_flow_logs(answer.result["FlowLogIds"] or ["none"]):
            if flow_log.log_destination_type == "s3":
                flow_log.destination_options = OPTIONS_BY_DEFAULT | (options or {})
        return answer

    for direction in ("ingress", "egress"):
        for verb in ("authorize", "revoke"):
            _one_at_a_time(f"{verb}_security_group_{direction}")
    guard.replace(SecurityGroupRule, "__init__", make_described_rule)
    guard.replace(EC2Backend, "modify_security_group_rules", modify_security_group_rules)
    guard.replace(EC2Backend, "delete_vpc_endpoints", delete_vpc_endpoints)
    guard.replace(EC2Backend, "create_flow_logs", create_flow_logs)
    guard.replace(FlowLogs, "create_flow_logs", create_flow_logs_response)


def _one_at_a_time(name: str) -> None:
    """moto reads a group's rules, and writes them back: two that do so at once lose what the other did."""
    change = guard.original_taking(EC2Backend, name, "group_name_or_id", "security_rule_ids")

    def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _rules:
            try:
                return change(self, *args, **kwargs)
            except InvalidPermissionNotFoundError as exc:
                if ids := kwargs.get("security_rule_ids"):
                    raise InvalidSecurityGroupRuleIdNotFoundError(ids[0]) from exc
                raise

    guard.replace(EC2Backend, name, changed)


def _group_exists(arn: str) -> bool:
    parts = arn.split(":")
    return parts[6] in logs_backends[parts[4]][parts[3]].groups
