"""Log groups that SageMaker would otherwise make itself: unencrypted, and kept for ever."""

from __future__ import annotations

from typing import Any

from stacks.bindings import CloudwatchLogGroup, Construct

RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""What CloudWatch Logs accepts, in days
(https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html)."""


def retention(days: int) -> int:
    """The shortest retention that CloudWatch Logs offers and that keeps ``days`` days."""
    return next(offered for offered in RETENTIONS if offered >= days)


def log_group(
    scope: Construct,
    id_: str,
    *,
    name: str,
    key_arn: str,
    keep_days: int,
    protect: bool,
    tags: dict[str, str] | None = None,
) -> Any:
    return CloudwatchLogGroup(
        scope,
        id_,
        name=name,
        kms_key_id=key_arn,
        retention_in_days=retention(keep_days),
        tags=tags,
        lifecycle={"prevent_destroy": True} if protect else None,
    )
