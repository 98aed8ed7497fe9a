"""What a role may not see is part of the answer; every other failure ends it."""

from __future__ import annotations

from botocore.exceptions import ClientError

_CODES = frozenset({"AccessDenied", "AccessDeniedException", "403", "Forbidden"})


def refusal(exc: ClientError) -> str:
    """The code of a refusal for want of permission.

    Raises:
        ClientError: it is something else: expired credentials and throttling say nothing about permissions.
    """
    code = str(exc.response.get("Error", {}).get("Code", ""))
    if code not in _CODES:
        raise exc
    return code
