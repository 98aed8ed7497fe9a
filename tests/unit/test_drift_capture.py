"""Downloading captured objects: which prefixes are listed, and where files end up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mlops_kit.drift import capture
from mlops_kit.drift.capture import download, hour_prefixes
from mlops_kit.errors import NotFoundError

PREFIX = "acme-dev-diagnosis/main/"
SINCE = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


class Store:
    """Keys and bodies in memory; remembers what was listed."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.listed: list[str] = []
        self.under_way = 0
        self.most = 0
        self._lock = threading.Lock()

    def keys(self, prefix: str) -> Iterator[str]:
        self.listed.append(prefix)
        yield from sorted(key for key in self.objects if key.startswith(prefix))

    def download(self, key: str, path: Path) -> object:
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        if self.objects[key] == b"gone":
            raise NotFoundError(f"There is no object {key}.")
        path.write_bytes(self.objects[key])
        with self._lock:
            self.under_way -= 1
        return None


def test_only_the_hours_of_the_range_and_one_more() -> None:
    until = SINCE + timedelta(hours=2)
    assert hour_prefixes(PREFIX, SINCE, until) == [
        f"{PREFIX}2026/11/20/22/",
        f"{PREFIX}2026/11/20/23/",
        f"{PREFIX}2026/11/21/00/",
        f"{PREFIX}2026/11/21/01/",
    ]


def test_prefixes_are_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    since = datetime(2026, 1, 1, 0, 30, tzinfo=berlin)
    assert hour_prefixes("p/", since, since + timedelta(minutes=5))[0] == "p/2025/12/31/23/"


def test_objects_are_downloaded_in_order_under_names_of_our_own(tmp_path: Path) -> None:
    store = Store(
        {
            f"{PREFIX}2026/11/20/22/b.jsonl": b"2",
            f"{PREFIX}2026/11/20/22/../../../../etc/a.jsonl": b"1",
            f"{PREFIX}2026/11/20/23/a.jsonl": b"3",
            f"{PREFIX}2026/11/20/23/a.tmp": b"no",
            f"{PREFIX}2026/11/20/09/a.jsonl": b"before",
            f"{PREFIX}drift/2026/11/20/22/a.jsonl": b"elsewhere",
        }
    )
    files = download(store, PREFIX, SINCE, SINCE + timedelta(hours=1), tmp_path)
    assert [file.read_text() for file in files] == ["1", "2", "3"]
    assert {file.parent for file in files} == {tmp_path}


def test_nothing_was_captured(tmp_path: Path) -> None:
    assert download(Store({}), PREFIX, SINCE, SINCE + timedelta(hours=24), tmp_path) == []


def test_many_objects_with_few_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_BATCH", 10)
    store = Store({f"{PREFIX}2026/11/20/22/{i:03d}.jsonl": str(i).encode() for i in range(95)})
    files = download(store, PREFIX, SINCE, SINCE + timedelta(minutes=1), tmp_path)
    assert [int(file.read_text()) for file in files] == list(range(95))
    assert store.most <= capture.DOWNLOADS_AT_ONCE


def test_a_failing_download_ends_the_call(tmp_path: Path) -> None:
    store = Store({f"{PREFIX}2026/11/20/22/a.jsonl": b"gone"})
    with pytest.raises(NotFoundError):
        download(store, PREFIX, SINCE, SINCE + timedelta(minutes=1), tmp_path)
