"""Put two commits of a million files each into the lake, without the files: what is measured is the records.

python -m benchmarks.million_entries DATASET

Prints the ids as JSON: ``new`` is where the branch ``main`` points, its parent ``old`` differs in 300 files.
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime

import boto3

from mlops_kit.datasets import refs
from mlops_kit.datasets.publish import store
from mlops_kit.datasets.records import Commit, FileEntry, FileList
from mlops_kit.objects import Store
from mlops_kit.wire import Wire

ENTRIES = 1_000_000
CHANGED = 100


def entry(number: int, content: str = "") -> FileEntry:
    path = f"images/{number // 1000:04d}/{number:07d}.jpg"
    return FileEntry(path, 10_000 + number % 977, hashlib.sha256(f"{path}{content}".encode()).hexdigest())


def files(first: int, changed: int) -> FileList:
    """Entries from ``first`` on; of the ones after that the first ``changed`` have other contents."""
    return FileList.of(
        entry(number, "changed" if first <= number - CHANGED < first + changed else "")
        for number in range(first, first + ENTRIES)
    )


def main(dataset: str) -> None:
    lake = Store(Wire.of(boto3.client("s3")), "acme-dev-111111111111-lake", "111111111111")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made: list[str] = []
    for listing in (files(0, 0), files(CHANGED, CHANGED)):
        header = Commit(
            dataset=dataset,
            parent=made[-1] if made else None,
            author="bench",
            message=f"{ENTRIES} files",
            time=now.isoformat(),
            files=len(listing),
            size=sum(entry.size for entry in listing),
            file_list=listing.digest,
        )
        store(lake, header, listing)
        made.append(header.id)
    refs.move(lake, dataset, "main", made[-1], None, "bench", now)
    sys.stdout.write(json.dumps({"old": made[0], "new": made[1]}))


if __name__ == "__main__":
    main(sys.argv[1])
