"""A process that holds the lock of a model, to be killed: ``python -m tests.holding URL HOLDER WHAT``.

Prints ``held``, renews once, and then holds until its stdin is closed.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from botocore.credentials import Credentials

from mlops_kit.objects import Store
from mlops_kit.promotion import lock
from mlops_kit.wire import Wire
from tests.ledgers import ARTIFACTS, NAMES
from tests.stores import ACCOUNT


def main(url: str, holder: str, what: str) -> None:
    wire = Wire(url, "us-east-1", Credentials(ACCOUNT, "secret"), sleep=lambda _: None)
    store = Store(wire, ARTIFACTS, ACCOUNT)

    def now() -> datetime:
        return datetime.now(UTC)

    with lock.hold(store, NAMES, what=what, holder=holder, now=now, tell=print) as held:
        held.renew(now())
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
