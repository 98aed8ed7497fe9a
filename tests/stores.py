"""Stores on a loopback S3: without waiting between attempts, and with sizes at which small objects are big ones."""

from __future__ import annotations

import threading
from typing import Any

from botocore.credentials import Credentials

from mlops_kit.objects import Limits, Store
from mlops_kit.wire import Wire
from tests.s3 import LoopbackS3

LAKE, OTHER_LAKE = "acme-dev-lake", "acme-staging-lake"
ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222"
SINGLE = 1024 * 1024
PART = 256 * 1024
LIMITS = Limits(single=SINGLE, least_part=PART)
IMPATIENT = 0.2
"""Seconds after which a test of timeouts no longer waits; the loopback answers in a thousandth of it."""


def wire_of(s3: LoopbackS3, account: str = ACCOUNT, **options: Any) -> Wire:
    """``options`` are those of Wire."""
    defaults: dict[str, Any] = {"sleep": lambda _: None, "read_timeout": 30.0}
    return Wire(s3.url, "us-east-1", Credentials(account, "secret"), **{**defaults, **options})


def store_of(s3: LoopbackS3, bucket: str = LAKE, limits: Limits = LIMITS, **options: Any) -> Store:
    owner = s3.buckets[bucket].owner
    return Store(wire_of(s3, owner, **options), bucket, owner, limits)


def race(count: int, act: Any) -> list[Any]:
    """What ``act`` returns (or raises) in as many threads at once, called with their numbers."""
    outcomes: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try:
            outcomes[number] = act(number)
        except Exception as exc:
            outcomes[number] = exc

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
