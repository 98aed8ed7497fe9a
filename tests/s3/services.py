"""What stands beside S3 at the same port: its requests are recorded and struck by faults just as those of S3 are."""

from __future__ import annotations

from typing import Protocol

from tests.s3.messages import Answer, Request


class OtherService(Protocol):
    """A service of AWS that is not S3."""

    name: str

    def claims(self, request: Request) -> bool:
        """Whether this request is for this service."""

    def operation(self, request: Request) -> str:
        """The name of the operation, or ``Unknown``."""

    def about(self, request: Request) -> str:
        """The name or ARN that tells this call from others of its operation; empty if there is none."""

    def execute(self, request: Request) -> Answer:
        """Do it, or answer with a refusal."""

    def failure(self, kind: str, request: Request) -> Answer:
        """The answer by which this service fails, for a kind of fault that has one."""
