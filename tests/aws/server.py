"""The services together at one port, whose state can be saved and brought back: every injection begins in the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.aws.budgets import Budgets
from tests.aws.cloudwatch import CloudWatch
from tests.aws.ecr import Ecr
from tests.aws.kms import Kms
from tests.aws.runtime import Runtime
from tests.aws.sagemaker import SageMaker
from tests.aws.scheduler import Scheduler
from tests.s3 import Call, Fault, LoopbackS3
from tests.s3.messages import Answer, Request
from tests.s3.model import Version, new_id


@dataclass(frozen=True)
class Saved:
    """All there was, at one moment."""

    buckets: Mapping[str, Mapping[str, tuple[Version, ...]]]
    services: Mapping[str, Any]


class LoopbackAws(LoopbackS3):
    """An AWS with these buckets (name to owner). ``clock`` gives its times, in seconds since the epoch.

    ``observers`` are called after each call that was carried out, in the server's thread: they may look at everything,
    but not ask the server. What they raise, leaving the server raises.
    """

    def __init__(self, buckets: Mapping[str, str], *, clock: Callable[[], float] = time.time, **options: Any) -> None:
        region = options.get("region", "us-east-1")
        self.cloudwatch = CloudWatch(region, clock)
        self.sagemaker = SageMaker(region, self.cloudwatch.firing, clock)
        self.runtime = Runtime(self.sagemaker)
        self.ecr, self.budgets, self.kms = Ecr(), Budgets(), Kms(region)
        self.scheduler = Scheduler(region, clock)
        self.observers: list[Callable[[Call, Request], None]] = []
        mine = (self.sagemaker, self.runtime, self.cloudwatch, self.ecr, self.budgets, self.scheduler, self.kms)
        super().__init__(buckets, services=mine, **options)

    def serve(self, call: Call, request: Request, fault: Fault | None) -> Answer:
        answer = super().serve(call, request, fault)
        if self.observers:
            with self.lock:
                for observer in self.observers:
                    observer(call, request)
        return answer

    def save(self) -> Saved:
        with self.lock:
            buckets = {name: bucket.save() for name, bucket in self.buckets.items()}
            return Saved(buckets, {one.name: deepcopy(one.state) for one in self._stateful()})

    def restore(self, saved: Saved) -> None:
        """Be as it was then; faults, calls and observers stay."""
        with self.lock:
            for name, bucket in self.buckets.items():
                bucket.restore(saved.buckets[name])
            for one in self._stateful():
                one.state = deepcopy(saved.services[one.name])

    def token(self, arn: str) -> str:
        """A session token by which STS takes the caller for ``arn``; the access key id still says the account."""
        made = new_id()
        self.storage.sessions[made] = arn
        return made

    def _stateful(self) -> tuple[Any, ...]:
        return self.services
