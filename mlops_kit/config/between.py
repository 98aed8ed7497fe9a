"""What only shows between files: each of them is right on its own."""

from __future__ import annotations

from mlops_kit.config.environment import Environment
from mlops_kit.config.model import Model
from mlops_kit.config.source import Source
from mlops_kit.errors import Problem
from mlops_kit.naming import check_lengths


def misplaced(
    environments: dict[str, Environment],
    models: dict[tuple[str, str], Model],
    sources: dict[str, Source],
    model_sources: dict[str, Source],
) -> list[Problem]:
    """What a model wants and its environment rules out; both files are right on their own."""
    found = []
    for environment in environments.values():
        for index, name in enumerate(environment.models):
            model = models.get((environment.name, name))
            if model is None:
                continue
            where = sources[environment.name]
            if model.serving.kind == "serverless" and environment.network.mode == "vpc":
                text = (
                    f"models: {name!r} is served serverless, which SageMaker does not offer inside a VPC; "
                    f"network.mode is 'vpc'"
                )
                found.append(where.problem(("models", index), text))
            if model.alarms.quiet_minutes is not None and environment.off_hours is not None:
                text = f"off_hours: {name!r} has alarms.quiet_minutes, which would go off whenever its endpoint is gone"
                found.append(where.problem(("off_hours",), text))
            if model.monthly_usd is not None and model.monthly_usd > environment.budget.monthly_usd:
                text = (
                    f"monthly_usd ({model.monthly_usd}) is over budget.monthly_usd of {environment.name} "
                    f"({environment.budget.monthly_usd})"
                )
                found.append(model_sources[name].problem(("monthly_usd",), text))
    return found


def shared_accounts(environments: dict[str, Environment], sources: dict[str, Source]) -> list[Problem]:
    """Two environments in one account would share what SageMaker names by itself."""
    first: dict[str, str] = {}
    found = []
    for environment in environments.values():
        owner = first.setdefault(environment.account, environment.name)
        if owner != environment.name:
            text = f"account: {environment.account} is the account of {owner!r} already; each environment has its own"
            found.append(sources[environment.name].problem(("account",), text))
    return found


def long_names(environments: dict[str, Environment], sources: dict[str, Source]) -> list[Problem]:
    """Names that AWS would refuse, made of what stands in different files."""
    return [
        sources[environment.name].problem(("project",), text)
        for environment in environments.values()
        for text in check_lengths(
            environment.names, environment.models, replicated=environment.storage.replicate_to is not None
        )
    ]


def stages(
    environments: dict[str, Environment], sources: dict[str, Source], problems: list[Problem]
) -> tuple[Environment, ...]:
    """The environments in stage order; empty, with the reason in ``problems``, where there is no order."""
    broken = False
    for environment in environments.values():
        before = environment.promotes_from
        if before is not None and before not in environments:
            known = ", ".join(environments)
            text = f"promotes_from: there is no environment {before!r}; known: {known}"
            problems.append(sources[environment.name].problem(("promotes_from",), text))
            broken = True
    firsts = [environment for environment in environments.values() if environment.promotes_from is None]
    if broken or not environments:
        return ()
    if not firsts:
        for environment in environments.values():
            text = "promotes_from: the stage order is a circle; one environment must be first and have no promotes_from"
            problems.append(sources[environment.name].problem(("promotes_from",), text))
        return ()
    for extra in firsts[1:]:
        text = f"promotes_from is missing: {firsts[0].name!r} is already the first stage"
        problems.append(sources[extra.name].problem(("name",), text))
    order: list[Environment] = []
    waiting = [firsts[0]]
    while waiting:
        stage = waiting.pop(0)
        order.append(stage)
        waiting.extend(e for e in environments.values() if e.promotes_from == stage.name)
    for environment in environments.values():
        if environment not in order and environment not in firsts:
            text = "promotes_from: the stage order is a circle that does not start at the first stage"
            problems.append(sources[environment.name].problem(("promotes_from",), text))
    return tuple(order)
