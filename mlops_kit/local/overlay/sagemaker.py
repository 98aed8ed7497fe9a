"""What the SageMaker mends share: names, ARNs, errors in AWS's words, and the request as it was given."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Mapping
from typing import Any

from moto.sagemaker.exceptions import AWSValidationException, ResourceInUseException, SagemakerClientError
from moto.sagemaker.utils import arn_formatter

from mlops_kit.local.compute.storage import Place
from mlops_kit.local.overlay import sts

lock = threading.RLock()
"""Held from the check that a name is free to the creation under it, so that of two requests one is refused."""

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
GIVEN = "mlops_kit_given"
"""Attribute of moto's objects that holds the request they were made by."""


def place_of(response: Any) -> Place:
    """Account and region of a request, or of a backend."""
    return Place(str(getattr(response, "current_account", "") or response.account_id), _region(response))


def _region(value: Any) -> str:
    return str(getattr(value, "region", None) or value.region_name)


def arn(kind: str, name: str, place: Place) -> str:
    return str(arn_formatter(kind, name, place.account, place.region))


def invalid(message: str) -> Exception:
    """ValidationException, SageMaker's answer to nearly everything."""
    error: Exception = AWSValidationException(message)
    return error


def could_not_find(what: str, kind: str, name: str, place: Place) -> Exception:
    return invalid(f'Could not find {what} "{arn(kind, name, place)}".')


def already_exists(what: str, kind: str, name: str, place: Place) -> Exception:
    return invalid(f'Cannot create already existing {what} "{arn(kind, name, place)}".')


def in_use(message: str) -> Exception:
    error: Exception = ResourceInUseException(message)
    return error


def access_denied(message: str) -> Exception:
    error: Exception = SagemakerClientError("AccessDeniedException", message)
    return error


def check_role(role_arn: str, place: Place, source_arn: str) -> None:
    """As AWS does when a role is passed to it: the role exists and trusts SageMaker."""
    if not sts.service_may_assume("sagemaker.amazonaws.com", role_arn, place.account, source_arn):
        raise invalid(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def check_name(name: Any, member: str) -> str:
    """Names become directories here, so what AWS requires of them is checked, which moto does not."""
    text = str(name or "")
    if not _NAME.fullmatch(text):
        raise invalid(
            f"1 validation error detected: Value '{text}' at '{member}' failed to satisfy constraint: Member must "
            f"satisfy regular expression pattern: {_NAME.pattern}"
        )
    return text


def remember(resource: Any, response: Any) -> dict[str, Any]:
    """Keep the request on the resource it made, so that Describe can answer with exactly what was given."""
    given: dict[str, Any] = copy.deepcopy(dict(response._get_params()))
    setattr(resource, GIVEN, given)
    return given


def given(resource: Any) -> dict[str, Any]:
    """The request that made ``resource``; empty for one that CloudFormation made."""
    found: dict[str, Any] = getattr(resource, GIVEN, {})
    return found


def echo(request: Mapping[str, Any], *drop: str) -> dict[str, Any]:
    """``request`` as a Describe answer: without what no Describe returns, and without empty members."""
    hidden = {"Tags", "ClientToken", *drop}
    return {name: value for name, value in request.items() if name not in hidden and value not in (None, {}, [])}
