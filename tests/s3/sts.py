"""As much of STS as a session needs: who the caller is, and credentials of a role.

The credentials of a role have the role's account as their access key id, so that whoever uses them is of that account.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

from tests.s3.errors import S3Error
from tests.s3.messages import Answer, Request, group, iso_date, tag, xml
from tests.s3.model import Storage, new_id

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
HOUR = 3600


def form(request: Request) -> dict[str, str]:
    """The parameters of a request of the query protocol."""
    return dict(parse_qsl(bytes(request.body).decode(), keep_blank_values=True))


def get_caller_identity(storage: Storage, request: Request) -> Answer:
    account = request.account or storage.account
    arn = storage.sessions.get(request.headers.get("x-amz-security-token", ""), f"arn:aws:iam::{account}:root")
    found = [tag("Arn", arn), tag("UserId", account), tag("Account", account)]
    return _result("GetCallerIdentity", *found)


def assume_role(storage: Storage, request: Request) -> Answer:
    asked: Mapping[str, str] = form(request)
    arn, session = asked.get("RoleArn", ""), asked.get("RoleSessionName", "")
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("role/"):
        raise S3Error("InvalidArgument", f"{arn} is not the ARN of a role")
    account, role = parts[4], parts[5].rpartition("/")[2]
    assumed = f"arn:aws:sts::{account}:assumed-role/{role}/{session}"
    token = new_id()
    storage.sessions[token] = assumed
    credentials = [
        tag("AccessKeyId", account),
        tag("SecretAccessKey", "loopback"),
        tag("SessionToken", token),
        tag("Expiration", iso_date(time.time() + HOUR)),
    ]
    user = [tag("AssumedRoleId", f"AROALOOPBACK:{session}"), tag("Arn", assumed)]
    return _result("AssumeRole", group("Credentials", *credentials), group("AssumedRoleUser", *user))


def _result(action: str, *children: str) -> Answer:
    metadata = group("ResponseMetadata", tag("RequestId", new_id()))
    return xml(f"{action}Response", group(f"{action}Result", *children), metadata, namespace=NAMESPACE)
