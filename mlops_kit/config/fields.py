"""Types shared by the configuration models: the words the YAML files are written in."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

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
PrincipalArn = Annotated[
    str,
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


def _regex(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as exc:
        raise ValueError(f"{value!r} is not a regular expression: {exc}") from exc
    if groups != 1:
        raise ValueError(f"{value!r} needs exactly one (group), around the number")
    return value


MetricRegex = Annotated[str, AfterValidator(_regex)]

LIST = BeforeValidator(_tuple)
"""Turns YAML lists into tuples, so that frozen models are frozen all the way down."""
