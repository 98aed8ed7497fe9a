"""Fetch what an endpoint captured: the objects of some hours, side by side, into a local directory.

SageMaker writes ``<endpoint>/<variant>/yyyy/mm/dd/hh/*.jsonl`` in UTC (developer guide, "Capture data from real-time
endpoint"), so only the prefixes of the hours that are asked for are listed, however much was captured before.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Protocol

DOWNLOADS_AT_ONCE = 16
"""Capture objects are small, so the number in flight decides; each is streamed to its file."""
_BATCH = 1024
_HOUR = timedelta(hours=1)


class CaptureStore(Protocol):
    """The part of :class:`mlops_kit.objects.Store` that is needed: list keys, download one."""

    def keys(self, prefix: str) -> Iterator[str]: ...

    def download(self, key: str, path: Path) -> object: ...


def hour_prefixes(prefix: str, since: datetime, until: datetime) -> list[str]:
    """The prefixes that can hold records of ``since <= time < until``; ``prefix`` ends in ``/``.

    One hour more than the range spans: nothing is documented about a record that arrives on the hour.
    """
    hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    found: list[str] = []
    while hour < until + _HOUR:
        found.append(f"{prefix}{hour:%Y/%m/%d/%H}/")
        hour += _HOUR
    return found


def download(store: CaptureStore, prefix: str, since: datetime, until: datetime, directory: Path) -> list[Path]:
    """Download the objects of ``since`` (inclusive) to ``until`` (exclusive); returns the files, in the keys' order.

    Files are numbered, so that no key decides where something is written. At most :data:`DOWNLOADS_AT_ONCE` transfers
    are under way, and the first one that fails ends the call. ``directory`` needs room for all of them.
    """
    files: list[Path] = []
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, thread_name_prefix="capture") as pool:
        listings = pool.map(lambda hour: list(store.keys(hour)), hour_prefixes(prefix, since, until))
        keys = (key for listing in listings for key in listing if key.endswith(".jsonl"))
        while batch := list(islice(keys, _BATCH)):
            targets = [directory / f"{len(files) + index:08d}.jsonl" for index in range(len(batch))]
            for _ in pool.map(store.download, batch, targets):
                pass
            files += targets
    return files
