"""The records of a commit: one serialized form, read back only if nothing was changed, lean at a million files."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_kit.datasets.records import (
    Commit,
    FileEntry,
    FileList,
    compress,
    entry_of,
    parse_commit,
    path_of,
    sha256_of,
    size_of,
)
from mlops_kit.errors import IntegrityError
from mlops_kit.objects import canonical_json, sha256_bytes
from tests.commits import entries, header

DIGEST = "0123456789abcdef" * 4
ODD = [
    'say "hi".txt',
    "back\\slash\\",
    "tab\there\nand a line feed\x00\x1f\x7f",
    "\u2028 and \u0085 end lines for some",
    "café/cafe\u0301/\U0001f600.jpg",
    'a","sha256":"b","path":"c',
    '{"composite":"',
    'ends with a backslash and a quote\\"',
    "\\u0041",
    " ",
    "a" * 1000,
    "ü" * 500,
]


def line_of(entry: FileEntry) -> bytes:
    return entry.to_line().removesuffix(b"\n")


def commit_of(files: FileList) -> Commit:
    return header(files)


@pytest.mark.parametrize("path", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("composite", [None, f"{DIGEST}-3"], ids=["whole", "in parts"])
def test_a_line_is_the_canonical_form_and_comes_back(path: str, composite: str | None) -> None:
    entry = FileEntry(path, 12345, DIGEST, composite)
    line = line_of(entry)
    assert line == canonical_json({k: v for k, v in asdict(entry).items() if v is not None})
    assert b"\n" not in line
    assert entry_of(line) == entry
    assert path_of(line) == path
    assert sha256_of(line) == DIGEST.encode()
    assert size_of(line) == 12345


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(0, 2**50), st.booleans())
def test_any_path_comes_back(path: str, size: int, in_parts: bool) -> None:
    entry = FileEntry(path, size, DIGEST, f"{DIGEST}-10000" if in_parts else None)
    line = line_of(entry)
    assert json.loads(line)["path"] == path_of(line) == path
    assert (size_of(line), sha256_of(line), entry_of(line)) == (size, DIGEST.encode(), entry)


def test_files_are_in_the_order_of_their_paths_not_of_their_lines() -> None:
    # As lines, a quote comes as \" after letters, and a composite before any path.
    paths = ["a!b", 'a"', "a#", "a/b", "a0", "aé", "a\U0001f600", "b"]
    files = FileList.of(
        FileEntry(path, 1, DIGEST, f"{DIGEST}-2" if path == "b" else None) for path in [*paths[::2], *paths[::-2]]
    )
    assert [entry.path for entry in files] == sorted(paths) == sorted(paths, key=str.encode)
    assert files.lines != sorted(files.lines)
    files.check_order()
    assert [files.find(path) for path in paths] == [entry for path in paths for entry in files if entry.path == path]
    assert files.find("a") is files.find("c") is files.find("") is None


def test_what_is_below_a_directory_is_found_without_its_neighbours() -> None:
    files = entries(dict.fromkeys(["a", "a-b/x", "a/x", "a/y/z", "a0/x", "b"], b""))
    assert [entry.path for entry in files.below("a/")] == ["a/x", "a/y/z"]
    assert [entry.path for entry in files.below("")] == [entry.path for entry in files]
    assert list(files.below("c/")) == []


def test_a_list_comes_back_and_is_the_same_bytes_every_time() -> None:
    files = FileList.of(FileEntry(path, 1, DIGEST) for path in ODD)
    again = FileList.of(reversed(list(files)))
    assert compress(again.dump()) == compress(files.dump())
    read = FileList.parse(compress(files.dump()), commit_of(files))
    assert read == files
    assert read.digest == files.digest == sha256_bytes(files.dump())
    assert list(read[1:3]) == [files[1], files[2]]
    assert read != list(files)
    empty = FileList([])
    assert FileList.parse(compress(empty.dump()), commit_of(empty)) == empty


def test_a_list_that_was_changed_is_not_read() -> None:
    files = entries({"a": b"1", "b": b"2"})
    made, stored = commit_of(files), compress(files.dump())
    broken = bytearray(stored)
    broken[len(broken) // 2] ^= 0xFF
    for body in (
        compress(files.dump().replace(b'"a"', b'"c"')),
        compress(files.dump()[:-1]),
        stored[:-9],
        bytes(broken),
        b"",
        b"not gzip",
    ):
        with pytest.raises(IntegrityError, match=made.id):
            FileList.parse(body, made)


def test_a_list_that_no_writer_made_is_not_read() -> None:
    whole = entries({"a": b"1", "b": b"2"})

    def read(text: bytes) -> FileList:
        made = replace(commit_of(whole), file_list=sha256_bytes(text), files=text.count(b"\n"))
        return FileList.parse(gzip.compress(text), made)

    with pytest.raises(IntegrityError, match="middle of a line"):
        read(whole.dump()[:-1])
    for lines in ([*whole.lines, whole.lines[0]], [whole.lines[0]] * 2, [b"{}"] * 2, [b'{"path":"a"}'] * 2):
        files = read(b"\n".join([*lines, b""]))
        with pytest.raises(IntegrityError):
            files.check_order()
    for line in (b"{}", b"[1]", b"nonsense", b'{"path":"a","size":1}', b'{"path":"a","sha256":"b","size":1,"x":1}'):
        with pytest.raises(IntegrityError, match="not an entry"):
            entry_of(line)


def test_a_header_comes_back_only_as_it_was_written() -> None:
    made = replace(commit_of(entries({"a": b"1"})), message='two\nlines "ü"')
    body = made.to_json()
    assert made.id == sha256_bytes(body)
    assert parse_commit(body, made.id) == made
    with pytest.raises(IntegrityError, match="was changed"):
        parse_commit(body.replace(b"two", b"2  "), made.id)

    def read(body: bytes) -> Commit:
        return parse_commit(body, sha256_bytes(body))

    data = json.loads(body)
    with pytest.raises(IntegrityError, match="canonical"):
        read(json.dumps(data, indent=1).encode())
    with pytest.raises(IntegrityError, match="format 2"):
        read(canonical_json(data | {"format": 2}))
    with pytest.raises(IntegrityError, match="fields"):
        read(canonical_json(data | {"extra": 1}))
    with pytest.raises(IntegrityError, match="fields"):
        read(canonical_json({key: data[key] for key in data if key != "author"}))
    with pytest.raises(IntegrityError, match="not valid JSON"):
        read(b"{")
    with pytest.raises(IntegrityError, match="not a JSON object"):
        read(b"[]")


def test_a_file_costs_little_more_memory_than_its_line() -> None:
    count = 20_000
    tracemalloc.start()
    try:
        files = FileList.of(FileEntry(f"train/{number:08d}.jpg", number, DIGEST) for number in range(count))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / count < len(files.lines[0]) + 64
