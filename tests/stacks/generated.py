"""Projects that nobody would think of: hypothesis strategies for environment and model files, as plain data.

What is generated is legal, or nearly: a project that the configuration refuses (a name that became too long, a VPC for
a serverless model) is not an example of anything here, and is dropped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Data = dict[str, Any]

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,4})?", fullmatch=True)
PERCENT = st.integers(1, 100)
DAYS = st.integers(1, 400)
REGIONS = st.sampled_from(["us-east-1", "eu-central-1", "ap-southeast-2"])
SCHEDULES = st.sampled_from(["cron(0 7 ? * MON-FRI *)", "cron(15 3 1 * ? *)", "rate(6 hours)"])
INSTANCES = st.sampled_from(["ml.m5.large", "ml.c5.2xlarge", "ml.g5.xlarge", "ml.m5d.4xlarge", "ml.t2.medium"])


def some(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Data]:
    """A mapping with any of these keys: what is left out gets the default."""
    return st.fixed_dictionaries({}, optional=strategies)


ROLES = st.lists(
    st.sampled_from(["arn:aws:iam::999999999999:role/a", "arn:aws:iam::999999999998:user/b"]), unique=True, max_size=2
)

RETENTION = some(
    noncurrent_days=DAYS,
    capture_days=DAYS,
    logs_days=st.integers(1, 3650),
    ledger_lock_days=DAYS,
    ledger_lock_mode=st.sampled_from(["GOVERNANCE", "COMPLIANCE"]),
)
NETWORK = st.one_of(
    st.just({"mode": "none"}),
    st.just({"mode": "none", "isolation": True}),
    st.fixed_dictionaries(
        {"mode": st.just("vpc")},
        optional={
            "cidr": st.sampled_from(["10.0.0.0/16", "172.16.4.0/22", "192.168.7.0/26"]),
            "zones": st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=4),
            "interfaces": st.lists(st.sampled_from(["logs", "sts", "kms", "states"]), unique=True),
            "isolation": st.booleans(),
        },
    ),
    st.just(
        {
            "mode": "vpc",
            "existing": {
                "subnet_ids": ["subnet-0a1b2c3d"],
                "security_group_ids": ["sg-0a1b2c3d"],
            },
        }
    ),
)
STORAGE = some(
    tiering_after_days=st.one_of(st.none(), st.integers(0, 90)),
    replicate_to=st.sampled_from([None, "us-west-2"]),
    inventory=st.sampled_from([None, "daily", "weekly"]),
)
BUDGET = st.fixed_dictionaries(
    {"monthly_usd": st.integers(500, 10_000)},
    optional={
        "alert_at": st.lists(PERCENT, min_size=1, max_size=5),
        "anomalies": st.sampled_from([None, {"impact_usd": 10}]),
    },
)
ENVIRONMENT = st.fixed_dictionaries(
    {"region": REGIONS, "budget": BUDGET},
    optional={
        "protect": st.booleans(),
        "operators": ROLES,
        "access": some(data_scientists=ROLES, approvers=ROLES, auditors=ROLES),
        "cost_center": st.sampled_from(["4711", "research/models"]),
        "pager": st.just("pager@example.com"),
        "network": NETWORK,
        "storage": STORAGE,
        "retention": RETENTION,
        "off_hours": st.just({"stop": "cron(0 19 ? * MON-FRI *)", "start": "cron(0 7 ? * MON-FRI *)"}),
        "approvals": some(required=st.integers(0, 10), expire_hours=st.integers(1, 8760)),
        "gates": some(
            soak_hours=st.integers(0, 2160),
            source_alarms=st.booleans(),
            data_checks=st.sampled_from(["required", "if_configured", "off"]),
            image_scan=st.sampled_from([None, {}, {"max_critical": 1}]),
            budget=st.sampled_from(["block", "warn", "off"]),
        ),
        "signing": st.sampled_from([{}, {"key": "arn:aws:kms:us-east-1:999999999999:key/0a1b2c3d"}]),
    },
)

AUTOSCALING = st.tuples(st.integers(1, 3), st.integers(0, 4)).map(
    lambda bounds: {"min_instances": bounds[0], "max_instances": bounds[0] + bounds[1]}
)
ROLLOUT = some(
    strategy=st.sampled_from(["all_at_once", "canary", "linear"]),
    canary_percent=st.integers(5, 50),
    linear_percent=st.integers(10, 50),
    bake_minutes=st.integers(1, 60),
)
SERVING = st.fixed_dictionaries(
    {"kind": st.sampled_from(["realtime", "serverless", "async", "batch"])},
    optional={
        "instance_type": INSTANCES,
        "autoscaling": AUTOSCALING,
        "capture_percent": PERCENT,
        "rollout": ROLLOUT,
        "serverless": some(max_concurrency=st.integers(1, 200)),
        "asynchronous": some(scale_to_zero=st.booleans(), backlog_per_instance=st.integers(1, 50)),
        "batch": some(schedule=SCHEDULES, instance_count=st.integers(1, 5)),
    },
)
ALARMS = some(
    error_rate_percent=st.floats(0.1, 100),
    latency_p50_ms=st.integers(1, 5000),
    overhead_p99_ms=st.one_of(st.none(), st.integers(1, 5000)),
    cpu_percent=st.one_of(st.none(), PERCENT),
    disk_percent=st.one_of(st.none(), PERCENT),
    quality=st.just({"metric": "recall", "at_least": 0.5}),
)
MODEL = st.fixed_dictionaries(
    {
        "dataset": NAMES,
        "label": st.just("y"),
        "serving": SERVING,
        "training": st.fixed_dictionaries(
            {
                "source_dir": st.just("../../code"),
                "image": st.sampled_from(
                    ["registry.example.com/a/b:1", "123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b:1"]
                ),
                "instance_type": INSTANCES,
            },
            optional={"spot": st.booleans(), "instance_count": st.integers(1, 4)},
        ),
    },
    optional={"alarms": ALARMS, "monthly_usd": st.integers(1, 500)},
)

PROJECTS = st.fixed_dictionaries(
    {
        "project": NAMES,
        "stages": st.lists(st.tuples(NAMES, ENVIRONMENT), min_size=1, max_size=2, unique_by=lambda stage: stage[0]),
        "models": st.dictionaries(NAMES, MODEL, min_size=1, max_size=4),
    }
)
"""``stages`` in their order; every model is deployed in every stage."""


def write(project: Data, root: Path) -> None:
    """The project's files. JSON is YAML, so nothing has to be rendered."""
    directory = root / "environments"
    (directory / "models").mkdir(parents=True)
    (root / "code").mkdir()
    for name in ("train.py", "inference.py"):
        (root / "code" / name).touch()
    for index, (name, environment) in enumerate(project["stages"]):
        file = {
            "name": name,
            "account": str(index + 1) * 12,
            "project": project["project"],
            "owner": "owner@example.com",
            "models": sorted(project["models"]),
            **environment,
        }
        if index:
            file["promotes_from"] = project["stages"][index - 1][0]
        (directory / f"{name}.yaml").write_text(json.dumps(file))
    for name, model in project["models"].items():
        (directory / "models" / f"{name}.yaml").write_text(json.dumps({"name": name, **model}))
