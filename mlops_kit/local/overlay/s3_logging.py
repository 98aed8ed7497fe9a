"""Mends: S3 server access logging, which is only accepted.

==========================================  ===========================================================================
moto                                        here
==========================================  ===========================================================================
fails on a target policy with a principal   evaluates the policy for logging.s3.amazonaws.com, with source account
``*``; compares other statements as text    and bucket as condition keys
writes an invented log object at every      delivers nothing
request
==========================================  ===========================================================================
"""

from __future__ import annotations

from typing import Any

from moto.s3.models import FakeBucket, S3Backend
from moto.s3.utils import LOGGING_SERVICE_PRINCIPAL

from mlops_kit.local.overlay import guard, policy, principals


def install() -> None:
    guard.original(FakeBucket, "_log_permissions_enabled_policy", "target_bucket", "target_prefix")
    guard.original(S3Backend, "log_incoming_request", "self", "request", "bucket_name")

    def _log_permissions_enabled_policy(self: Any, target_bucket: Any, target_prefix: str | None) -> bool:
        if not target_bucket.policy:
            return False
        request = policy.Request(
            principals.aws_service(LOGGING_SERVICE_PRINCIPAL),
            "s3:PutObject",
            f"{target_bucket.arn}/{target_prefix or ''}log",
            {"aws:SourceAccount": self.account_id, "aws:SourceArn": self.arn, "aws:SecureTransport": "true"},
        )
        return policy.evaluate(policy.parse(target_bucket.policy), request) == "allow"

    def log_incoming_request(self: Any, request: Any, bucket_name: str) -> None:
        """Nothing is delivered."""

    guard.replace(FakeBucket, "_log_permissions_enabled_policy", _log_permissions_enabled_policy)
    guard.replace(S3Backend, "log_incoming_request", log_incoming_request)
