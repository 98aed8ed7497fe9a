"""Keep credentials out of the logs of the libraries below: boto3's, at the level DEBUG, have all of them.

botocore writes down every request with its session token, and every answer of STS with the secret key that is in it.
Whoever turns that on to find a fault pastes it into a ticket afterwards. So the values are taken out where the record
is made, whichever handler gets it.
"""

from __future__ import annotations

import logging
import re

NAMES = (
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-credential",
    "proxy-authorization",
    "x-amz-sso_bearer_token",
    "secretaccesskey",
    "sessiontoken",
    "aws_secret_access_key",
    "aws_session_token",
    "webidentitytoken",
    "samlassertion",
    "accesstoken",
    "refreshtoken",
    "clientsecret",
    "password",
)
"""Headers, parameters and fields whose values are nobody's business."""
HIDDEN = "***"

_VALUES = re.compile(
    rf"((?:{'|'.join(map(re.escape, NAMES))})['\"]?(?:\s*[:=]\s*|>|%3D)(?:b?['\"])?(?:(?:Basic|Bearer) )?)"
    r"[^\s'\"&<>,;]+",
    re.IGNORECASE,
)
_SIGNATURES = re.compile(r"(Signature(?:=|:\s+))[0-9a-f]{64}")
_USERS = re.compile(r"(://[^/\s:@'\"]*:)[^/\s@'\"]+(?=@)")
_LIBRARIES = ("boto3", "botocore", "urllib3", "s3transfer", "mlops_kit")


def redact(text: str) -> str:
    """``text`` without the values of :data:`NAMES`, signatures of requests, and passwords in addresses."""
    text = _VALUES.sub(rf"\1{HIDDEN}", text)
    text = _SIGNATURES.sub(rf"\1{HIDDEN}", text)
    return _USERS.sub(rf"\1{HIDDEN}", text)


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            return True  # whoever wrote it made a mistake, which logging reports
        if (clean := redact(said)) != said:
            record.msg, record.args = clean, ()
        return True


_FILTER = _Redacting()


def redact_logs() -> None:
    """From now on, for every logger of the libraries that there is. Costs nothing while nobody listens."""
    for name in [*_LIBRARIES, *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_FILTER)  # once: a filter that is there is not added again
