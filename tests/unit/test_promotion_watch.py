"""Watching a deployment: what is told, how often, and how following one ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.errors import DeploymentError
from mlops_kit.naming import EnvironmentNames
from mlops_kit.promotion import watch
from mlops_kit.promotion.watch import Watch, describe
from mlops_kit.serving import EndpointState
from tests.aws import Fault
from tests.releases import Releases, releases

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class Alarms:
    def __init__(self) -> None:
        self.states = dict.fromkeys(NAMES.rollback_alarms, "OK")

    def describe_alarms(self, **_: Any) -> dict[str, Any]:
        first, second = ({"AlarmName": name, "StateValue": state} for name, state in sorted(self.states.items()))
        return {"MetricAlarms": [first], "CompositeAlarms": [second]}


def state(status: str = "Updating", **fields: Any) -> EndpointState:
    return EndpointState(status, "old", "new", fields.pop("failure", ""), BEGUN, begun=BEGUN, **fields)


def test_what_changes_is_told_and_what_stays_is_repeated_now_and_then() -> None:
    alarms: Any = Alarms()
    told: list[str] = []
    clock = [BEGUN]
    watching = Watch(alarms, NAMES, lambda: clock[0], told.append)
    for seconds, seen in (
        (10, state(phase="Creating")),
        (20, state(phase="Creating")),
        (30, state(phase="Baking", share=0.1)),
        (89, state(phase="Baking", share=0.1)),
        (90, state(phase="Baking", share=0.1)),
    ):
        clock[0] = BEGUN + timedelta(seconds=seconds)
        watching(seen)
    alarms.states[NAMES.rollback_alarms[0]] = "ALARM"
    watching(state("RollingBack"))
    watching(state("InService"))
    assert told == [
        "  endpoint is Updating, Creating; alarms: errors OK, latency OK; 10 s",
        "  endpoint is Updating, Baking, 10 % of the traffic; alarms: errors OK, latency OK; 30 s",
        "  endpoint is Updating, Baking, 10 % of the traffic; alarms: errors OK, latency OK; 90 s",
        "  endpoint is RollingBack; alarms: errors ALARM, latency OK; 90 s",
        "  endpoint is InService; 90 s",
    ]
    alarms.states[NAMES.rollback_alarms[0]] = "OK"
    assert watching.verdict(state("InService")) == (NAMES.rollback_alarms[0],), "it was in ALARM meanwhile"


def test_the_alarms_that_sagemaker_names_are_to_blame_even_if_nobody_saw_them() -> None:
    alarms: Any = Alarms()
    watching = Watch(alarms, NAMES, lambda: BEGUN, lambda line: None)
    assert watching.verdict(state("InService", failure=f"alarm {NAMES.rollback_alarms[1]}")) == (
        NAMES.rollback_alarms[1],
    )
    assert watching.verdict(state("InService", failure="no capacity")) == ()


def test_what_nobody_knows_is_not_told() -> None:
    assert describe(state()) == "Updating"
    assert describe(state(share=0.0)) == "Updating, 0 % of the traffic"


# --- Following.


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Releases]:
    with releases(tmp_path) as made:
        yield made


def follow(here: Releases) -> tuple[str, Any]:
    cloud = here.world.cloud("staging")
    return watch.follow(
        cloud, here.names, now=lambda: here.world.clock, sleep=lambda seconds: None, tell=here.told.append
    )


def test_following_ends_with_what_runs_and_changes_nothing(here: Releases) -> None:
    here.world.aws.sagemaker.looks = 4
    begun = here.begin(1)
    here.world.aws.forget()
    config, parked = follow(here)
    assert (config, parked.parked) == (begun.release.config, begun.release.config)
    assert here.writes() == []
    assert here.promote(1).release == begun.release


def test_following_a_deployment_that_is_rolled_back_is_exit_code_5(here: Releases) -> None:
    here.promote(1)
    here.world.aws.sagemaker.looks = 4
    here.begin(2)
    name = here.alarm("ALARM")
    with pytest.raises(DeploymentError, match=f"{name} went off"):
        follow(here)
    # And if it was over before anybody looked:
    here.alarm("OK")
    done = here.world.cli("status", "churn", "--in", "staging", "--follow")
    assert (done.code, name in done.err) == (5, True)


def test_whoever_may_not_see_locks_follows_what_the_endpoint_says(here: Releases) -> None:
    here.world.aws.sagemaker.looks = 4
    begun = here.begin(1)
    key = here.names.lock_key
    here.world.aws.faults.append(Fault("denied", times=None, when=lambda request: request.key == key))
    assert follow(here) == (begun.release.config, None)


def test_with_nothing_under_way_the_ledger_says_what_has_to_run(here: Releases) -> None:
    assert follow(here)[0] == here.endpoint.config, "the initial model"
    event = here.promote(1)
    done = here.world.cli("status", "churn", "--in", "staging", "--follow")
    assert (done.code, event.release.config in done.err) == (0, True)
    assert done.out.count("churn") >= 1
    here.endpoint.config = "something-else"
    assert here.world.cli("status", "churn", "--in", "staging", "--follow").code == 5


@pytest.mark.parametrize("arguments", [("--follow",), ("churn", "--follow"), ("--in", "staging", "--follow")])
def test_one_deployment_is_followed(here: Releases, arguments: tuple[str, ...]) -> None:
    done = here.world.cli("status", *arguments)
    assert (done.code, "--follow needs a MODEL and --in ENV" in done.err) == (2, True)


def test_status_of_one_model(here: Releases) -> None:
    found = here.world.cli("status", "churn", "--json").json
    assert {one["model"] for one in found} == {"churn"}
    assert here.world.cli("status", "other").code == 2
    assert here.world.cli("status", "other", "--in", "staging").code == 2
