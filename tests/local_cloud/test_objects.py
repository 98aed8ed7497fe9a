"""Objects and data sets on real S3 semantics: versions, create-only writes, checksums, copies across accounts."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlops_kit.datasets import checkout, commit, copy, read, refs
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MakeStore = Callable[..., Store]


@pytest.fixture
def make_store(bare_cloud: str) -> MakeStore:
    """Makes versioned buckets of their own, in any account."""

    def make(account: str = "111111111111") -> Store:
        s3: Any = boto3.client(
            "s3",
            endpoint_url=bare_cloud,
            aws_access_key_id=account,
            aws_secret_access_key="x",
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=40),
        )
        bucket = f"b-{uuid.uuid4().hex[:20]}"
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        reader = {"AWS": "arn:aws:iam::222222222222:root"}
        what = {"Effect": "Allow", "Principal": reader, "Action": ["s3:GetObject*", "s3:ListBucket"]}
        arns = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        policy = {"Version": "2012-10-17", "Statement": [what | {"Resource": arns}]}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        return Store(s3, bucket, account)

    return make


@pytest.fixture
def lake(make_store: MakeStore) -> Store:
    return make_store()


def versions(store: Store) -> int:
    return len(store.s3.list_object_versions(Bucket=store.bucket).get("Versions", []))


def test_a_key_is_written_once(lake: Store) -> None:
    assert lake.put_new("k", b"first")
    assert not lake.put_new("k", b"second")
    assert lake.get("k") == b"first"
    assert versions(lake) == 1
    head = lake.head("k")
    assert head is not None
    assert (head.size, head.sha256) == (5, sha256_bytes(b"first"))
    assert lake.get("absent") is None
    assert lake.head("absent") is None


def test_a_file_that_changed_after_it_was_hashed_is_not_stored(lake: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"now")
    with pytest.raises(IntegrityError, match="changed while it was being read"):
        lake.put_new_file("k", tmp_path / "f", sha256_bytes(b"before"))
    assert lake.head("k") is None


def test_compare_and_set_has_one_winner_of_sixteen(lake: Store) -> None:
    lake.replace("ref", b"0", None)
    found = lake.get_with_etag("ref")
    assert found is not None
    outcomes: list[str] = []
    barrier = threading.Barrier(16)

    def write(number: int) -> None:
        barrier.wait()
        try:
            lake.replace("ref", f"by {number}".encode(), found[1])
            outcomes.append("won")
        except ConflictError:
            outcomes.append("lost")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 15 + ["won"]
    assert versions(lake) == 2


def test_a_copy_is_verified_create_only_and_crosses_accounts(make_store: MakeStore) -> None:
    source, target = make_store("111111111111"), make_store("222222222222")
    source.put_new("k", b"body")
    digest = sha256_bytes(b"body")
    assert target.copy_new("copied", source, "k", digest)
    assert not target.copy_new("copied", source, "k", digest), "already there, and verified"
    head = target.head("copied")
    assert head is not None
    assert head.sha256 == digest
    assert versions(target) == 1

    with pytest.raises(IntegrityError):
        target.copy_new("other", source, "k", sha256_bytes(b"else"))
    assert target.head("other") is None
    target.put_new("taken", b"something else")
    with pytest.raises(IntegrityError):
        target.copy_new("taken", source, "k", digest)
    with pytest.raises(NotFoundError):
        target.copy_new("x", source, "absent", digest)


def test_a_download_is_whole_or_not_there(lake: Store, tmp_path: Path) -> None:
    lake.put_new("k", b"body")
    assert lake.download("k", tmp_path / "a" / "b", sha256_bytes(b"body")) == sha256_bytes(b"body")
    with pytest.raises(IntegrityError):
        lake.download("k", tmp_path / "c", sha256_bytes(b"other"))
    with pytest.raises(NotFoundError):
        lake.download("absent", tmp_path / "d")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["b"]


def data(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def make(lake: Store, path: Path, message: str = "m") -> commit.Committed:
    return commit.commit(lake, "pets", path, message=message, author="me", now=NOW)


def test_commit_log_and_checkout_give_the_data_back(lake: Store, tmp_path: Path) -> None:
    source = data(tmp_path / "in", cats__one="1", cats__two="2", dogs="3", leer="")
    first = make(lake, source, "first")
    assert (first.uploaded, first.commit.files, first.commit.parent) == (4, 4, None)
    again = make(lake, source)
    assert (again.changed, again.commit.id) == (False, first.commit.id)

    data(source, cats__one="1 changed")
    (source / "dogs").unlink()
    second = make(lake, source, "second")
    assert (second.uploaded, second.commit.parent) == (1, first.commit.id)
    history = list(read.log(lake, "pets", refs.resolve(lake, "pets", "main")))
    assert [c.message for c in history] == ["second", "first"]

    checkout.checkout(lake, "pets", first.commit.id, tmp_path / "out")
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert found == {"cats/one": "1", "cats/two": "2", "dogs": "3", "leer": ""}


def test_refs_and_short_ids_resolve_as_in_git(lake: Store, tmp_path: Path) -> None:
    made = make(lake, data(tmp_path, a="1")).commit.id
    assert refs.resolve(lake, "pets", "main") == made
    assert refs.resolve(lake, "pets", made[:8]) == made
    for absent in ("0000", "nope", made + "0", "../x"):
        with pytest.raises(NotFoundError):
            refs.resolve(lake, "pets", absent)
    twin = made[:6] + "0" * 58
    lake.put_new(DatasetKeys("pets").commit(twin), b"{}")
    with pytest.raises(UsageError, match="start of 2 commits"):
        refs.resolve(lake, "pets", made[:6])


def test_the_manifest_names_exactly_the_commit_s_objects(lake: Store, tmp_path: Path) -> None:
    made = make(lake, data(tmp_path, a__b="1", c="2")).commit
    body = lake.get(DatasetKeys("pets").manifest(made.id))
    assert body is not None
    prefix, *keys = json.loads(body)
    bucket_prefix = f"s3://{lake.bucket}/"
    assert all(lake.head(prefix["prefix"].removeprefix(bucket_prefix) + key) is not None for key in keys)
    assert len(keys) == 2


def test_a_changed_header_or_file_list_is_noticed(lake: Store, tmp_path: Path) -> None:
    made = make(lake, data(tmp_path, a="1")).commit
    keys = DatasetKeys("pets")
    lake.s3.put_object(Bucket=lake.bucket, Key=keys.file_list(made.id), Body=gzip.compress(b"{}\n"))
    with pytest.raises(IntegrityError, match="file list"):
        read.read_files(lake, made)
    lake.s3.put_object(Bucket=lake.bucket, Key=keys.commit(made.id), Body=made.to_json().replace(b'"me"', b'"you"'))
    with pytest.raises(IntegrityError, match="was changed"):
        read.read_commit(lake, "pets", made.id)


def test_a_commit_that_would_leave_the_directory_is_refused(lake: Store, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="leaves the directory"):
        checkout._inside(tmp_path, "../../etc/passwd")
    with pytest.raises(IntegrityError, match="leaves the directory"):
        checkout._inside(tmp_path, "/etc/passwd")


def test_links_and_nothing_at_all_are_refused(lake: Store, tmp_path: Path) -> None:
    data(tmp_path / "in", a="1")
    (tmp_path / "in" / "link").symlink_to("a")
    (tmp_path / "empty").mkdir()
    for path, expected in ((tmp_path / "in", "is a link"), (tmp_path / "empty", "no files"), (tmp_path / "x", "not a")):
        with pytest.raises(UsageError, match=expected):
            make(lake, path)
    assert list(lake.keys("")) == []


def test_of_two_commits_on_one_parent_one_is_told(lake: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(lake, data(tmp_path / "one", a="1"))
    seen = refs.read(lake, "pets", "main")
    make(lake, data(tmp_path / "two", a="2"))
    monkeypatch.setattr(refs, "read", lambda *_: seen)  # the other writer has looked before the second commit
    with pytest.raises(ConflictError, match="moved by somebody else"):
        make(lake, data(tmp_path / "three", a="3"))


def test_promotion_copies_what_is_missing_and_keeps_the_id(make_store: MakeStore, tmp_path: Path) -> None:
    source, target = make_store("111111111111"), make_store("222222222222")
    first = make(source, data(tmp_path, a="1", b="2")).commit
    plan = copy.plan(source, target, "pets", first.id)
    assert (len(plan.missing), plan.present, plan.done) == (2, False, False)
    copy.execute(plan, source, target, "me", NOW)
    second = make(source, data(tmp_path, b="3")).commit
    plan = copy.plan(source, target, "pets", second.id)
    assert [entry.path for entry in plan.missing] == ["b"]
    copy.execute(plan, source, target, "me", NOW)
    assert copy.plan(source, target, "pets", second.id).done
    assert [c.id for c in read.log(target, "pets", refs.resolve(target, "pets", "main"))] == [second.id, first.id]
    checkout.checkout(target, "pets", second.id, tmp_path / "out")
    assert (tmp_path / "out" / "b").read_text() == "3"


def test_a_promotion_cut_off_is_invisible_and_a_second_run_finishes_it(make_store: MakeStore, tmp_path: Path) -> None:
    source, target = make_store("111111111111"), make_store("222222222222")
    made = make(source, data(tmp_path, **{f"f{i}": str(i) for i in range(5)})).commit
    plan = copy.plan(source, target, "pets", made.id)

    class CutOffError(Exception):
        pass

    def cut() -> None:
        raise CutOffError

    with pytest.raises(CutOffError):
        copy.execute(plan, source, target, "me", NOW, on_file=cut)
    with pytest.raises(NotFoundError):
        refs.resolve(target, "pets", "main")
    assert not read.exists(target, "pets", made.id)
    copy.execute(copy.plan(source, target, "pets", made.id), source, target, "me", NOW)
    assert copy.plan(source, target, "pets", made.id).done
