"""Mend: UpdateRole with a maximum session duration alone, as Terraform calls it, keeps the role's description."""

from __future__ import annotations

from typing import Any

from moto.iam.models import IAMBackend

from mlops_kit.local.overlay import guard


def install() -> None:
    update = guard.original(IAMBackend, "update_role", "self", "role_name", "role_description", "max_session_duration")

    def update_role(self: Any, role_name: str, role_description: str | None, max_session_duration: Any) -> Any:
        kept = self.get_role(role_name).description
        return update(self, role_name, kept if role_description is None else role_description, max_session_duration)

    guard.replace(IAMBackend, "update_role", update_role)
