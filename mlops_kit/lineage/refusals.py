"""What a role may not see is part of the answer; every other failure ends it."""

from __future__ import annotations

from botocore.exceptions import ClientError

from mlops_kit.objects import codes

_CODES = codes.REFUSED | {"AccessDeniedException", "Forbidden"}


def refusal(exc: ClientError) -> str:
    """The code of a refusal for want of permission.

    Raises:
        ClientError: it is something else: expired credentials and throttling say nothing about permissions.
    """
    code = codes.of(exc)
    if code not in _CODES:
        raise exc
    return code
