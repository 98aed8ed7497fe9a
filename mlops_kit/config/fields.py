"""Types shared by the configuration models: the words the YAML files are written in."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mlops_kit.config.schedule import check_schedule
from mlops_kit.naming import NAME_PATTERN


class Frozen(BaseModel):
    """Base of every configuration model: immutable, strict about types, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=False)


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(check)


def _quoted(value: Any) -> Any:
    # YAML reads an unquoted account id as a number and drops leading zeros; say so instead of "not a string".
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError('must be in quotes, like "111111111111": YAML reads it as a number and drops leading zeros')
    return value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[
    str,
    Field(min_length=1, max_length=40),
    _matching(NAME_PATTERN, "a name: lower-case letters, digits and hyphens, as in 'churn-eu'"),
]
Account = Annotated[
    str, BeforeValidator(_quoted), _matching(re.compile(r"\d{12}"), "an AWS account id: it has 12 digits")
]
Region = Annotated[str, _matching(re.compile(r"[a-z]{2}(-[a-z]+)+-\d"), "an AWS region like 'us-east-1'")]
Email = Annotated[str, _matching(re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"), "an e-mail address")]
InstanceType = Annotated[
    str, _matching(re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+"), "a SageMaker instance type like 'ml.m5.large'")
]
ImageUri = Annotated[
    str,
    _matching(
        re.compile(r"[a-z0-9.-]+(:\d+)?/[a-z0-9._/-]+(:[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})"),
        "an image address with a tag or a digest, like '123456789012.dkr.ecr.us-east-1.amazonaws.com/team/train:1.4'",
    ),
]


def _one_principal(value: str) -> str:
    if set("*?") & set(value):
        raise ValueError(f"{value!r} has a wildcard: name each IAM user or role in full, without * and ?")
    return value


PrincipalArn = Annotated[
    str,
    AfterValidator(_one_principal),
    _matching(re.compile(r"arn:[a-z-]+:iam::\d{12}:(root|user/.+|role/.+)"), "the ARN of an IAM user, role or root"),
]
Repository = Annotated[
    str,
    # No character that a policy or GitHub's subject claim gives a meaning to: no wildcard, no colon, no second slash.
    _matching(
        re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}"),
        "one GitHub repository, as in 'acme/ml-platform'",
    ),
]
FileName = Annotated[
    str, _matching(re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.py"), "the name of a Python file like 'train.py'")
]
Percent = Annotated[int, Field(ge=1, le=100)]
Text = Annotated[str, Field(min_length=1, max_length=256), _matching(re.compile(r"[\w .:/=+@-]+"), "a tag's value")]
DefinitionFile = Annotated[
    str,
    _matching(re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.json"), "the name of a JSON file beside the model file"),
]
SmokeFile = Annotated[
    str,
    _matching(
        re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.(csv|json|jsonl|txt)"), "the name of a data file like 'smoke.csv'"
    ),
]
SubnetId = Annotated[str, _matching(re.compile(r"subnet-[0-9a-f]{8,17}"), "the id of a subnet like 'subnet-0a1b2c3d'")]
SecurityGroupId = Annotated[
    str, _matching(re.compile(r"sg-[0-9a-f]{8,17}"), "the id of a security group like 'sg-0a1b2c3d'")
]
AnomalyMonitorArn = Annotated[
    str,
    _matching(re.compile(r"arn:[a-z-]+:ce::\d{12}:anomalymonitor/[\w-]+"), "the ARN of a cost anomaly monitor"),
]
Prefix = Annotated[
    str,
    _matching(
        re.compile(r"(?!/)[\w.=/-]{1,512}/"), "a prefix in the lake bucket: no slash at its start, one at its end"
    ),
]


def _regex(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as exc:
        raise ValueError(f"{value!r} is not a regular expression: {exc}") from exc
    if groups != 1:
        raise ValueError(f"{value!r} needs exactly one (group), around the number")
    return value


MetricRegex = Annotated[str, AfterValidator(_regex)]


def _cidr(value: str) -> str:
    try:
        network = IPv4Network(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} is not an IPv4 network like '10.40.0.0/16': {exc}") from exc
    if not network.is_private:
        raise ValueError(f"{value!r} is not private address space (RFC 1918)")
    if not 16 <= network.prefixlen <= 26:
        raise ValueError(f"{value!r} has a /{network.prefixlen} mask; a network here has /16 to /26")
    return value


Cidr = Annotated[str, AfterValidator(_cidr)]


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is not a time zone like 'Europe/Berlin' or 'UTC'")
    return value


Timezone = Annotated[str, AfterValidator(_timezone)]
Schedule = Annotated[str, AfterValidator(check_schedule)]
"""A cron or rate expression of EventBridge Scheduler."""

KmsKeyArn = Annotated[
    str,
    _matching(
        re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+"),
        "the ARN of a KMS key like 'arn:aws:kms:us-east-1:111111111111:key/0a1b2c3d' (no alias: it could be moved)",
    ),
]

LIST = BeforeValidator(_tuple)
"""Turns YAML lists into tuples, so that frozen models are frozen all the way down."""
