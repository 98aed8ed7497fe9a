"""Reading a commit: its records, its directories, one of its files, and a summary of all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mlops_kit.datasets import branch, tag
from mlops_kit.datasets.cat import CHUNK, cat
from mlops_kit.datasets.listing import Directory, datasets, ls
from mlops_kit.datasets.read import exists, find_commit, read_commit, read_files
from mlops_kit.datasets.records import FileEntry, FileList, compress
from mlops_kit.datasets.show import TypeTotal, show
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Limits, Store, sha256_bytes
from tests.commits import JSON, NOW, PETS, entries, header, put_file, write
from tests.s3 import Fault, LoopbackS3

KEYS = DatasetKeys(PETS)
FILES = {"readme": b"r", "cats/1.JPG": b"11", "cats/2.jpg": b"22", "cats/old/3.png": b"333", "dogs/4.jpg": b"4444"}


def file_key(path: str, body: bytes) -> str:
    return KEYS.file(path, sha256_bytes(body))


def test_what_was_written_is_read(lake: Store) -> None:
    made = write(lake, FILES)
    assert exists(lake, PETS, made.id)
    assert read_commit(lake, PETS, made.id) == find_commit(lake, PETS, made.id) == made
    assert read_files(lake, made) == entries(FILES)
    assert not exists(lake, PETS, "0" * 64)
    assert find_commit(lake, PETS, "0" * 64) is None
    with pytest.raises(NotFoundError, match="no commit 0000"):
        read_commit(lake, PETS, "0" * 64)


def test_what_was_tampered_with_is_not_read(lake: Store) -> None:
    made, other = write(lake, FILES), write(lake, {"a": b"1"})
    lake.put(KEYS.commit(made.id), made.to_json().replace(b'"me"', b'"it"'), JSON)
    with pytest.raises(IntegrityError, match="header of commit"):
        read_commit(lake, PETS, made.id)
    lake.put(KEYS.file_list(made.id), compress(entries({"a": b"1"}).dump()), JSON)
    with pytest.raises(IntegrityError, match="was changed"):
        read_files(lake, made)
    lake.delete(KEYS.file_list(other.id))
    with pytest.raises(IntegrityError, match="is missing"):
        read_files(lake, other)


def test_a_list_out_of_order_is_not_read(lake: Store) -> None:
    files = FileList(entries({"a": b"1", "b": b"2"}).lines[::-1])
    made = header(files)
    lake.put_new(KEYS.file_list(made.id), compress(files.dump()))
    with pytest.raises(IntegrityError, match="'a' after 'b'"):
        read_files(lake, made)


def test_directories_are_listed_with_their_totals(lake: Store) -> None:
    made = write(lake, FILES)
    top = ls(lake, PETS, made.id)
    assert top.directories == (Directory("cats/", 3, 7), Directory("dogs/", 1, 4))
    assert [entry.path for entry in top.files] == ["readme"]
    for path in ("cats", "cats/", "./cats"):
        cats = ls(lake, PETS, made.id, path)
        assert cats.directories == (Directory("cats/old/", 1, 3),)
        assert [entry.path for entry in cats.files] == ["cats/1.JPG", "cats/2.jpg"]
    whole = ls(lake, PETS, made.id, "cats", recursive=True)
    assert whole.directories == ()
    assert [entry.path for entry in whole.files] == ["cats/1.JPG", "cats/2.jpg", "cats/old/3.png"]
    assert [entry.path for entry in ls(lake, PETS, made.id, recursive=True).files] == sorted(FILES)


def test_a_file_or_a_pattern_is_listed(lake: Store) -> None:
    made = write(lake, FILES)
    assert list(ls(lake, PETS, made.id, "cats/2.jpg").files) == [FileEntry("cats/2.jpg", 2, sha256_bytes(b"22"))]
    assert [entry.path for entry in ls(lake, PETS, made.id, "*.jpg").files] == ["cats/2.jpg", "dogs/4.jpg"]


def test_an_unknown_path_tells_what_comes_close(lake: Store) -> None:
    made = write(lake, FILES)
    for path, close in {"cat": "cats", "cats/3.jpg": "cats/2.jpg", "readme.txt": "readme"}.items():
        with pytest.raises(NotFoundError, match=f"no '{path}' in pets@{made.id[:12]}.*mean '{close}'"):
            ls(lake, PETS, made.id, path)
    with pytest.raises(NotFoundError, match=r"no 'nowhere/x' in \S+$"):
        ls(lake, PETS, made.id, "nowhere/x")


def test_data_sets_are_listed(lake: Store) -> None:
    assert list(datasets(lake)) == []
    for name in ("a", "a-b", "a0", "b"):
        write(lake, FILES, dataset=name)
    assert sorted(datasets(lake)) == ["a", "a-b", "a0", "b"]


BIG = bytes(range(256)) * (5 * CHUNK // 512)  # two chunks and a half


@pytest.mark.parametrize("body", [b"", b"small", b"x" * CHUNK, BIG], ids=["empty", "small", "one chunk", "big"])
def test_a_file_is_streamed(lake: Store, body: bytes) -> None:
    made = write(lake, {"dir/f": body, "other": b"o"})
    assert b"".join(cat(lake, PETS, made.id, "dir/f")) == body
    assert b"".join(cat(lake, PETS, made.id, "./dir/f")) == body


def test_what_is_not_in_the_commit_is_said_before_any_byte(lake: Store) -> None:
    made = write(lake, FILES)
    with pytest.raises(NotFoundError, match="mean 'readme'"):
        cat(lake, PETS, made.id, "readm")
    with pytest.raises(NotFoundError):
        cat(lake, PETS, made.id, "cats")


@pytest.mark.parametrize("body", [b"small", BIG], ids=["small", "big"])
@pytest.mark.parametrize("harm", ["deleted", "overwritten", "same size", "deleted and overwritten"])
def test_an_older_version_is_read_if_the_object_was_harmed(lake: Store, s3: LoopbackS3, body: bytes, harm: str) -> None:
    made = write(lake, {"f": body})
    key = file_key("f", body)
    if "deleted" in harm:
        lake.delete(key)
    if "overwritten" in harm:
        lake.put(key, b"something else", "text/plain")
    if harm == "same size":
        s3.buckets[lake.bucket].put(key, body[::-1])
    assert b"".join(cat(lake, PETS, made.id, "f")) == body
    s3.buckets[lake.bucket].remove(key)
    with pytest.raises(IntegrityError, match="no older version"):
        cat(lake, PETS, made.id, "f")


def test_a_file_that_was_sent_in_other_parts_is_streamed(lake: Store, s3: LoopbackS3) -> None:
    made = write(lake, {"f": BIG})
    other = replace(lake, limits=Limits(single=lake.limits.single, least_part=2 * lake.limits.least_part))
    key = file_key("f", BIG)
    s3.buckets[lake.bucket].remove(key)
    put_file(other, key, BIG)
    assert b"".join(cat(lake, PETS, made.id, "f")) == BIG


def test_the_last_chunk_is_held_back_until_all_is_verified(lake: Store, s3: LoopbackS3) -> None:
    made = write(lake, {"f": BIG})
    s3.buckets[lake.bucket].overwrite(file_key("f", BIG), BIG[:-1] + b"?")  # rot, of which S3's checksum says nothing
    got: list[bytes] = []
    with pytest.raises(IntegrityError, match="have SHA-256"):
        got.extend(cat(lake, PETS, made.id, "f"))
    assert 0 < sum(map(len, got)) < len(BIG)


def test_a_small_file_that_rots_comes_from_an_older_version(lake: Store, s3: LoopbackS3) -> None:
    made = write(lake, {"f": b"small"})
    key = file_key("f", b"small")
    bucket = s3.buckets[lake.bucket]
    bucket.put(key, b"small")
    bucket.overwrite(key, b"smell")
    assert b"".join(cat(lake, PETS, made.id, "f")) == b"small"
    for version in bucket.versions(key):
        bucket.overwrite(key, b"smell", version.version_id)
    with pytest.raises(IntegrityError):
        list(cat(lake, PETS, made.id, "f"))


def test_bytes_that_go_wrong_on_the_way_are_read_again(lake: Store, s3: LoopbackS3) -> None:
    made = write(lake, {"f": b"small"})
    key = file_key("f", b"small")
    s3.faults.append(Fault("corrupt", operation="GetObject", when=lambda request: request.key == key))
    assert b"".join(cat(lake, PETS, made.id, "f")) == b"small"


def test_a_commit_is_shown(lake: Store) -> None:
    first = write(lake, {"readme": b"r", "gone": b"12345"}, message="first")
    made = write(lake, FILES, parent=first.id)
    branch.create(lake, PETS, "main", made.id, actor="me", now=NOW)
    branch.create(lake, PETS, "old", first.id, actor="me", now=NOW)
    tag.create(lake, PETS, "v1", made.id, actor="me", now=NOW)
    shown = show(lake, PETS, made.id)
    assert shown.commit == made
    assert [ref.full_name for ref in shown.refs] == ["refs/main", "tags/v1"]
    assert shown.types == (TypeTotal(".jpg", 3, 8), TypeTotal(".png", 1, 3), TypeTotal("", 1, 1))
    assert [(entry.path, entry.size) for entry in shown.biggest][:2] == [("dogs/4.jpg", 4), ("cats/old/3.png", 3)]
    assert shown.change is not None
    assert (shown.change.added.files, shown.change.removed.files, shown.change.unchanged) == (4, 1, 1)
    assert shown.change.growth == 11 - 5
    root = show(lake, PETS, first.id)
    assert root.change is not None
    assert (root.change.added.files, root.change.added.size) == (2, 6)


def test_a_commit_whose_parent_was_never_promoted_is_shown(lake: Store) -> None:
    made = write(lake, FILES, parent="e" * 64)
    assert show(lake, PETS, made.id).change is None


@pytest.mark.parametrize("verb", [ls, show, lambda lake, name, commit: list(cat(lake, name, commit, "readme"))])
def test_every_verb_notices_what_was_tampered_with(lake: Store, verb: Callable[[Store, str, str], object]) -> None:
    made = write(lake, FILES)
    lake.put(KEYS.file_list(made.id), b"junk", JSON)
    with pytest.raises(IntegrityError, match=made.id):
        verb(lake, PETS, made.id)
