"""Mends: events that a rule passes on to an event bus, of this account or another, and the policies of buses.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
sends another event: new id, the receiver   the same event; id, time, account, region and resources stay those of its
as its account, without resources           origin, so that rules of the receiver can match them
a bus takes events from everybody           its policy has to allow another account; the target's role has to exist, to
                                            trust EventBridge, and under ``--enforce-iam`` to have events:PutEvents
a policy that is put is added to the one    replaces it
before
permission for an organization names        names everybody, under the condition that was given
accounts called ``*``
==========================================  ===========================================================================

Condition keys of a bus policy: ``events:source``, ``events:detail-type``, ``events:eventBusInvocation``,
``aws:SourceArn`` (the rule), ``aws:SourceAccount``, ``aws:PrincipalOrgID``, and those that the role brings. AWS asks
the policy once more when the target is made; here only an event is ever refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.events.models import EventBus, events_backends
from moto.organizations.models import organizations_backends

from mlops_kit.local.compute import storage
from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import guard, policy, principals, sts
from mlops_kit.local.overlay.principals import Caller
from mlops_kit.local.overlay.sdk_calls import CallFailedError

SERVICE = "events.amazonaws.com"
SESSION = "EventBridge"


def install() -> None:
    add_policy = guard.original(EventBus, "add_policy", "self", "policy")
    add_permission = guard.original(
        EventBus, "add_permission", *("self", "statement_id", "action", "principal", "condition")
    )

    def put_policy(self: Any, policy: dict[str, Any]) -> None:
        self.remove_statements()
        add_policy(self, policy)

    def put_permission(self: Any, statement_id: str, action: str, principal: Any, condition: Any) -> None:
        everybody = str(principal.get("AWS", "")).endswith(":iam::*:root")
        add_permission(self, statement_id, action, "*" if everybody else principal, condition)

    guard.replace(EventBus, "add_policy", put_policy)
    guard.replace(EventBus, "add_permission", put_permission)


def is_bus(arn: str) -> bool:
    return arn.split(":")[2] == "events" and arn.split(":", 5)[5].startswith("event-bus/")


def receivers(rule: Any, target: Mapping[str, Any], event: Mapping[str, Any]) -> list[Any]:
    """The rules of the bus that ``target`` is, if ``rule`` may put ``event`` there.

    Raises:
        CallFailedError: there is no such bus, or it may not.
    """
    arn, sender = str(target["Arn"]), Place(rule.account_id, rule.region_name)
    _, _, _, region, account, resource = arn.split(":", 5)
    bus = events_backends[account][region].event_buses.get(resource.removeprefix("event-bus/"))
    if bus is None:
        raise CallFailedError("ResourceNotFoundException", f"Event bus {arn} does not exist.")
    role = target.get("RoleArn") or rule.role_arn
    if role:
        caller = _as_role(str(role), sender, rule.arn, arn, event)
    elif account != sender.account and region == sender.region:
        caller = principals.root(sender.account, sender.partition)  # the one case in which AWS does without a role
    else:
        raise _denied(f"the target {arn} has no role")
    guard.require_attributes(bus, "policy", "rules")
    if not _admits(bus, caller, account, rule.arn, event):
        raise _denied(f"the policy of {arn} does not allow {caller.principal_arn} events:PutEvents of this event")
    return list(bus.rules.values())


def _as_role(role: str, place: Place, rule_arn: str, bus_arn: str, event: Mapping[str, Any]) -> Caller:
    """The target's role in the hands of EventBridge, after asking whether it may do this."""
    if not sts.service_may_assume(SERVICE, role, place.account, rule_arn):
        raise _denied(f"{SERVICE} is not authorized to assume the role {role}")
    entry = {"EventBusName": bus_arn, "Source": event["source"], "DetailType": event["detail-type"]}
    try:
        storage.require(place.acting_as(role), "events", "PutEvents", Entries=[entry])
    except storage.DeniedError as exc:
        raise _denied(str(exc)) from exc
    name = role.rsplit("/", 1)[-1]
    session = f"arn:{place.partition}:sts::{place.account}:assumed-role/{name}/{SESSION}"
    return Caller(place.account, session, role, f"AROALOCAL:{SESSION}")


def _admits(bus: Any, caller: Caller, account: str, rule_arn: str, event: Mapping[str, Any]) -> bool:
    """Whether the bus's policy lets ``caller`` in. Its own account needs no permission, but can be denied."""
    own = caller.account == account
    if bus.policy is None:
        return own
    context: dict[str, str | list[str]] = {
        "events:source": [str(event["source"])],
        "events:detail-type": str(event["detail-type"]),
        "events:eventBusInvocation": "true",
        "aws:SourceArn": rule_arn,
        "aws:SourceAccount": caller.account,
    }
    # Permission for an organization is for its roles: without one, EventBridge does not look which it is.
    if not caller.is_root and (organization := _organization(caller)):
        context["aws:PrincipalOrgID"] = organization
    verdict = policy.evaluate(
        policy.parse(bus.policy), policy.Request(caller, "events:PutEvents", str(bus.arn), context)
    )
    return verdict == "allow" or (own and verdict == "neutral")


def _organization(caller: Caller) -> str | None:
    partition = caller.arn.split(":")[1]
    master, _ = organizations_backends.master_accounts.get(caller.account, (caller.account, partition))
    organization = organizations_backends[master][partition].org
    return None if organization is None else str(organization.id)


def _denied(message: str) -> CallFailedError:
    return CallFailedError("AccessDeniedException", message, status=403)
