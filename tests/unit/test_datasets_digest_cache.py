"""Digests are remembered for as long as a file is certain to be what it was; and the memory is never needed."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mlops_kit.datasets import digest_cache
from mlops_kit.datasets.digest_cache import RACY, DigestCache, default_path
from mlops_kit.datasets.local_files import find
from mlops_kit.datasets.records import FileEntry
from mlops_kit.errors import UsageError
from mlops_kit.objects import Limits, composite_sha256, sha256_bytes
from mlops_kit.objects.digests import hash_in_parts
from tests.lakes import write_files

LIMITS = Limits(single=1000, least_part=300)


class Hashed:
    """Which files were read, because they were not known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        real = digest_cache._hash

        def hash_(location: str, *rest: object) -> object:
            self.names.append(Path(location).name)
            return real(location, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(digest_cache, "_hash", hash_)

    def take(self) -> list[str]:
        names, self.names = sorted(self.names), []
        return names


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Hashed:
    return Hashed(monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_files(tmp_path / "data", {"a": "1", "sub/b": "22", "sub/c": "333"})


def settled() -> int:
    """A clock at which files that were just written are old."""
    return 4 * 10**18


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, told: list[str]) -> DigestCache:
    return DigestCache(tmp_path / "cache" / "digests.sqlite", tell=told.append, now=settled)


def digests(cache: DigestCache, source: Path) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in cache.entries(find(source, "pets"), LIMITS)}


def test_files_are_hashed_once(cache: DigestCache, data: Path, hashed: Hashed) -> None:
    expected = {"a": sha256_bytes(b"1"), "sub/b": sha256_bytes(b"22"), "sub/c": sha256_bytes(b"333")}
    assert digests(cache, data) == expected
    assert hashed.take() == ["a", "b", "c"]
    assert digests(cache, data) == expected
    assert digests(cache, data / "sub") == {"b": expected["sub/b"], "c": expected["sub/c"]}
    assert digests(cache, data / "a") == {"a": expected["a"]}
    assert hashed.take() == []


def test_entries_are_whole_and_in_order_whether_they_are_known_or_not(cache: DigestCache, data: Path) -> None:
    write_files(data, {"sub/0": "0", "large": b"x" * 1001})
    found = find(data, "pets", "into/")
    parts = [sha256_bytes(b"x" * size) for size in (300, 300, 300, 101)]
    large = FileEntry("into/large", 1001, sha256_bytes(b"x" * 1001), composite_sha256(parts))
    for _ in range(2):
        entries = cache.entries(found, LIMITS)
        assert [entry.path for entry in entries] == list(found.files)
        assert large in entries
        assert FileEntry("into/a", 1, sha256_bytes(b"1")) in entries


def test_parts_of_another_size_are_hashed_again(cache: DigestCache, data: Path, hashed: Hashed) -> None:
    write_files(data, {"large": b"x" * 1001})
    cache.entries(find(data, "pets"), LIMITS)
    hashed.take()
    entries = cache.entries(find(data, "pets"), Limits(single=1000, least_part=600))
    assert hashed.take() == ["large"]
    assert [entry.composite and entry.composite[-2:] for entry in entries] == [None, "-2", None, None]


@pytest.mark.parametrize("change", ["content", "time", "another file", "size"])
def test_a_changed_file_is_hashed_again(cache: DigestCache, data: Path, hashed: Hashed, change: str) -> None:
    digests(cache, data)
    hashed.take()
    file, before = data / "a", (data / "a").stat()
    if change == "content":
        file.write_text("2")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as some tools do: only ctime tells
    elif change == "time":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    elif change == "another file":
        write_files(data.parent, {"new": "2"})
        (data.parent / "new").replace(file)
    else:
        file.write_text("longer")
    assert digests(cache, data)["a"] == sha256_bytes(file.read_bytes())
    assert hashed.take() == ["a"]


def test_a_file_that_was_too_young_to_be_sure_is_hashed_again(tmp_path: Path, data: Path, hashed: Hashed) -> None:
    newest = max(path.stat().st_ctime_ns for path in data.rglob("*") if path.is_file())
    for clock, again in ((newest + RACY - 1, True), (newest - 10**12, True), (newest + RACY, False)):
        cache = DigestCache(tmp_path / f"{clock}.sqlite", now=lambda clock=clock: clock)  # type: ignore[misc]
        digests(cache, data)
        hashed.take()
        digests(cache, data)
        assert ("c" in hashed.take()) == again


def test_what_is_forgotten_is_hashed_again(cache: DigestCache, data: Path, hashed: Hashed) -> None:
    digests(cache, data)
    hashed.take()
    cache.forget([str(data / "a")])
    digests(cache, data)
    assert hashed.take() == ["a"]


def test_files_that_are_gone_do_not_stay_in_the_memory(cache: DigestCache, data: Path, tmp_path: Path) -> None:
    digests(cache, data)
    write_files(tmp_path / "data2", {"a": "1"})
    digests(cache, tmp_path / "data2")
    (data / "sub" / "b").unlink()
    digests(cache, data)
    with closing(sqlite3.connect(tmp_path / "cache" / "digests.sqlite")) as database:
        rows = {os.fsdecode(row[0]) for row in database.execute("SELECT location FROM digests")}
    assert rows == {str(data / "a"), str(data / "sub" / "c"), str(tmp_path / "data2" / "a")}


def break_file(path: Path) -> None:
    path.write_bytes(b"this is no database, and long enough to be one" * 100)


def break_schema(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE digests (something TEXT)")


def break_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("ruin", [break_file, break_schema, break_directory])
def test_a_broken_memory_is_told_once_and_ignored(
    cache: DigestCache, data: Path, tmp_path: Path, told: list[str], ruin: object
) -> None:
    expected = digests(cache, data)
    ruin(tmp_path / "cache" / "digests.sqlite")  # type: ignore[operator]
    assert digests(cache, data) == expected
    assert digests(cache, data) == expected
    cache.forget([str(data / "a")])
    assert len(told) == 1
    assert "cannot be used" in told[0]


def test_a_damaged_memory_is_begun_anew_by_the_next_run(
    cache: DigestCache, data: Path, tmp_path: Path, hashed: Hashed
) -> None:
    path = tmp_path / "cache" / "digests.sqlite"
    path.parent.mkdir()
    break_file(path)
    digests(cache, data)
    for _ in range(2):
        hashed.take()
        digests(DigestCache(path, now=settled), data)
    assert hashed.take() == []


def test_a_memory_that_cannot_be_written_is_no_error(
    data: Path, tmp_path: Path, told: list[str], hashed: Hashed
) -> None:
    (tmp_path / "file").write_text("")
    cache = DigestCache(tmp_path / "file" / "digests.sqlite", tell=told.append)
    assert len(digests(cache, data)) == 3
    assert len(told) == 1
    assert len(digests(DigestCache(None), data)) == 3


def _remember(arguments: tuple[Path, Path, list[str]]) -> int:
    path, root, told = arguments
    cache = DigestCache(path, tell=told.append, now=settled)
    for _ in range(5):
        digests(cache, root)
    return len(told)


def test_several_processes_share_the_memory(tmp_path: Path, hashed: Hashed) -> None:
    path = tmp_path / "digests.sqlite"
    roots = [write_files(tmp_path / str(n), {f"f{i}": f"{n}{i}" for i in range(50)}) for n in range(4)]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(_remember, [(path, root, []) for root in roots]) == [0] * 4
    for root in roots:
        digests(DigestCache(path, now=settled), root)
    assert hashed.take() == []


@pytest.mark.parametrize("what", ["grows", "is touched"])
def test_a_file_that_changes_while_it_is_hashed_is_told_and_not_remembered(
    cache: DigestCache, data: Path, monkeypatch: pytest.MonkeyPatch, hashed: Hashed, what: str
) -> None:
    real = digest_cache.hash_in_parts

    def meanwhile(*arguments: object) -> object:
        result = real(*arguments)  # type: ignore[arg-type]
        if result[2] == 2:
            with (data / "sub" / "b").open("a") as file:
                file.write("x" if what == "grows" else "")
            os.utime(data / "sub" / "b")
        return result

    monkeypatch.setattr(digest_cache, "hash_in_parts", meanwhile)
    with pytest.raises(UsageError, match="'sub/b' changed while it was being read"):
        digests(cache, data)
    monkeypatch.setattr(digest_cache, "hash_in_parts", real)
    hashed.take()
    digests(cache, data)
    assert hashed.take() == ["b"], "what could be hashed is remembered"


def test_files_that_cannot_be_read_are_told_all_at_once(cache: DigestCache, data: Path) -> None:
    found = find(data, "pets")
    (data / "a").unlink()
    (data / "sub" / "b").unlink()
    (data / "sub" / "b").symlink_to("c")
    with pytest.raises(UsageError) as refused:
        cache.entries(found, LIMITS)
    assert "'a' cannot be read: No such file" in refused.value.message
    assert "'sub/b' cannot be read: Too many levels of symbolic links" in refused.value.message


def test_the_memory_lies_in_the_user_s_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_path() == Path.home() / ".cache" / "mlops-kit" / "digests.sqlite"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "mlops-kit" / "digests.sqlite"


@pytest.mark.parametrize("size", [0, 1, 299, 300, 301, 900])
def test_digests_of_parts_are_those_of_the_bytes(size: int) -> None:
    body = os.urandom(size)

    rest = bytearray(body)

    def read(count: int) -> bytes:
        taken = bytes(rest[:count])
        del rest[:count]
        return taken

    told: list[int] = []
    expected = [hashlib.sha256(body[start : start + 300]).hexdigest() for start in range(0, size, 300)]
    assert hash_in_parts(read, 300, told.append) == (hashlib.sha256(body).hexdigest(), expected, size)
    assert sum(told) == size
