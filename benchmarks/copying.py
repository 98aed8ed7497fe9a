"""Promote a data commit and say how many objects a second were copied, from the first request to the last answer: with
the listing of what is there and the commit's records, without the start of Python.

python -m benchmarks.copying DATASET IN-FLIGHT
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

import boto3

from mlops_kit.datasets import copy, refs
from mlops_kit.objects import Store
from mlops_kit.wire import Wire


def main(dataset: str, in_flight: int) -> None:
    wire = Wire.of(boto3.client("s3"))
    source = Store(wire, "acme-dev-111111111111-lake", "111111111111")
    target = Store(wire, "acme-staging-222222222222-lake", "222222222222")
    began = time.monotonic()
    planned = copy.plan(source, target, dataset, refs.resolve(source, dataset, "main"))
    copy.execute(planned, source, target, "bench", datetime.now(UTC), at_once=in_flight)
    taken = time.monotonic() - began
    sys.stdout.write(json.dumps({"objects_per_second": len(planned.missing) / taken}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
