"""What Terraform calls to make, read, change and remove what ``environment_stack.py`` is made of, service by service.

Names carry the environment's prefix. Where AWS invents the id (keys, networks), the environment's tags stand for it:
asked for when something is made, and found on it later. What holds data is not deleted: see :mod:`stacks.deploy_role`.

Source of the actions: the provider's own calls, and the Service Authorization Reference for what each can be held to.
"""

from __future__ import annotations

from mlops_kit.config import Environment
from stacks.deploy_permissions import automation, network, roles, serving, storage, watching
from stacks.policies import Statement


def documents(environment: Environment) -> dict[str, list[Statement]]:
    """Part -> its statements; each part is one managed policy, because each may have 6,144 characters."""
    names = environment.names
    found = {
        "state": storage.state(names),
        "storage": storage.buckets(environment),
        "keys": storage.keys(environment),
        "roles": roles.roles(names),
        "sagemaker": [*serving.sagemaker(names), *serving.scaling(names), *serving.images(names)],
        "watching": [*watching.alarms(names), *watching.logs(names)],
        "automation": [*automation.automation(names), *automation.spending(names)],
    }
    if environment.network.mode == "vpc" and environment.network.existing is None:
        found["network"] = network.network(environment)
    return found
