"""Objects and data sets on real S3 semantics: versions, create-only writes, checksums, copies across accounts."""

from __future__ import annotations

import dataclasses
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
from botocore.exceptions import ClientError

from mlops_kit.datasets import ancestry, checkout, commit, copy, local_paths, read, refs
from mlops_kit.datasets.local_source import LocalSource
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Limits, Store, sha256_bytes
from mlops_kit.wire import Wire
from tests.local_cloud.support import Server

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
        return Store(Wire.of(s3), bucket, account)

    return make


@pytest.fixture
def lake(make_store: MakeStore) -> Store:
    return make_store()


def versions(store: Store) -> int:
    return len(list(store.versions("")))


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
    history = list(ancestry.walk(lake, "pets", refs.resolve(lake, "pets", "main")))
    assert [c.message for c in history] == ["second", "first"]

    checkout.checkout(lake, "pets", first.commit.id, tmp_path / "out")
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    found.pop(local_paths.STATE_NAME)  # a checkout's notes to itself
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
    lake.put(keys.file_list(made.id), gzip.compress(b"{}\n"))
    with pytest.raises(IntegrityError, match="file list"):
        read.read_files(lake, made)
    lake.put(keys.commit(made.id), made.to_json().replace(b'"me"', b'"you"'))
    with pytest.raises(IntegrityError, match="was changed"):
        read.read_commit(lake, "pets", made.id)


def test_a_commit_that_would_leave_the_directory_is_refused(lake: Store, tmp_path: Path) -> None:
    for path in ("../../etc/passwd", "/etc/passwd"):
        with pytest.raises(IntegrityError, match="leave the directory"):
            local_paths.check([path], tmp_path)


def test_links_and_nothing_at_all_are_refused(lake: Store, tmp_path: Path) -> None:
    data(tmp_path / "in", a="1")
    (tmp_path / "in" / "link").symlink_to("a")
    (tmp_path / "empty").mkdir()
    for path, expected in (
        (tmp_path / "in", "is a link"),
        (tmp_path / "empty", "no files"),
        (tmp_path / "x", "No such file"),
    ):
        with pytest.raises(UsageError, match=expected):
            make(lake, path)
    assert list(lake.keys("")) == []


def test_of_two_commits_on_one_parent_one_is_told(lake: Store, tmp_path: Path) -> None:
    make(lake, data(tmp_path / "one", a="1"))
    source = LocalSource.of(data(tmp_path / "three", a="3"))
    planned = commit.plan(lake, commit.CommitRequest("pets", source, "m", "me"), NOW)
    make(lake, data(tmp_path / "two", a="2"))
    with pytest.raises(ConflictError, match="was moved"):
        commit.execute(lake, planned)
    assert read.exists(lake, "pets", planned.commit.id)


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
    assert [c.id for c in ancestry.walk(target, "pets", refs.resolve(target, "pets", "main"))] == [second.id, first.id]
    checkout.checkout(target, "pets", second.id, tmp_path / "out")
    assert (tmp_path / "out" / "b").read_text() == "3"


def test_a_promotion_cut_off_is_invisible_and_a_second_run_finishes_it(make_store: MakeStore, tmp_path: Path) -> None:
    source, target = make_store("111111111111"), make_store("222222222222")
    made = make(source, data(tmp_path, **{f"f{i}": str(i) for i in range(5)})).commit
    plan = copy.plan(source, target, "pets", made.id)

    class CutOffError(Exception):
        pass

    class Cut:
        def start(self, what: str, objects: int | None = None, bytes_: int | None = None) -> None:
            pass

        def add(self, objects: int = 0, bytes_: int = 0) -> None:
            raise CutOffError

        def done(self) -> None:
            pass

    with pytest.raises(CutOffError):
        copy.execute(plan, source, target, "me", NOW, progress=Cut())
    with pytest.raises(NotFoundError):
        refs.resolve(target, "pets", "main")
    assert not read.exists(target, "pets", made.id)
    copy.execute(copy.plan(source, target, "pets", made.id), source, target, "me", NOW)
    assert copy.plan(source, target, "pets", made.id).done


def test_a_big_object_goes_in_parts_and_is_copied_in_parts(make_store: MakeStore, tmp_path: Path) -> None:
    limits = Limits(single=5 * 1024**2, least_part=5 * 1024**2)
    source = dataclasses.replace(make_store("111111111111"), limits=limits)
    target = dataclasses.replace(make_store("222222222222"), limits=limits)
    body = bytes(range(256)) * (6 * 1024**2 // 256)
    (tmp_path / "f").write_bytes(body)
    digest = sha256_bytes(body)
    assert source.put_new_file("k", tmp_path / "f", digest)
    assert not source.put_new_file("k", tmp_path / "f", digest)
    head = source.head("k")
    assert head is not None
    assert (head.size, head.sha256, head.composite and head.composite[-2:]) == (len(body), None, "-2")
    assert target.copy_known("c", source, "k", sha256=digest, size=len(body), composite=head.composite)
    copied = target.head("c")
    assert copied is not None
    assert copied.composite == head.composite
    assert source.download("k", tmp_path / "g", digest, size=len(body)) == digest


def test_a_copy_of_what_is_on_record_is_one_request_and_can_be_made_young_again(make_store: MakeStore) -> None:
    source, target = make_store("111111111111"), make_store("222222222222")
    key = "odd é+ &/~x%41"
    source.put_new(key, b"body")
    digest = sha256_bytes(b"body")
    assert target.copy_known(key, source, key, sha256=digest, size=4)
    assert not target.copy_known(key, source, key, sha256=digest, size=4)
    head = target.head(key)
    assert head is not None
    assert target.copy_known(key, source, key, sha256=digest, size=4, replaces=head.etag)
    assert versions(target) == 2
    hashed, info = target.copy_hash("staging/1", source, key, etag=head.etag, size=4)
    assert (hashed, info.size) == (digest, 4)
    with pytest.raises(IntegrityError):
        target.copy_known("bad", source, key, sha256=sha256_bytes(b"else"), size=4)
    assert target.head("bad") is None


def test_versions_restore_and_delete(lake: Store) -> None:
    lake.put_new("k", b"first")
    first = lake.head("k")
    assert first is not None
    lake.put("k", b"second")
    second = lake.head("k")
    assert first.version is not None
    assert second is not None
    assert lake.get("k", first.version) == b"first"
    with pytest.raises(ConflictError):
        lake.restore("k", first.version, first.etag)
    lake.restore("k", first.version, second.etag)
    assert lake.get("k") == b"first"
    lake.delete("k")
    assert [(v.deleted, v.latest) for v in lake.versions("k") if v.latest] == [(True, True)]
    lake.restore("k", first.version, None)
    assert lake.get("k") == b"first"
    lake.delete_many([(v.key, v.version) for v in lake.versions("")])
    assert list(lake.versions("")) == []


def test_listings_give_odd_keys_back_and_tell_what_is_there(lake: Store) -> None:
    keys = sorted(["a b", "a+b", "a%20b", "é/ü", "x&<y>", "z\t1", *(f"n/{i:03d}" for i in range(20))])
    for key in keys:
        assert lake.put_new(key, key.encode())
    assert list(lake.keys("")) == keys
    assert [item.key for item in lake.listing("n/", after="n/004", until="n/007")] == ["n/005", "n/006", "n/007"]
    assert sorted(lake.present(["a b", "a0", "n/019", "n/020", "é/ü"])) == ["a b", "n/019", "é/ü"]
    with lake.open("n/001") as file:
        file.seek(2)
        assert file.read() == b"001"


def test_what_a_store_asks_for_is_known_to_iam_and_recorded(tmp_path: Path) -> None:
    record = tmp_path / "calls.jsonl"
    server = Server.start(tmp_path, "--enforce-iam", "--record", str(record))
    try:
        owner: Any = server.client("s3")
        owner.create_bucket(Bucket="lake")
        owner.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
        statement = {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": "arn:aws:s3:::lake/datasets/*",
        }
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"}}
        iam: Any = server.client("iam")
        arn = iam.create_role(
            RoleName="writer", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )["Role"]["Arn"]
        iam.put_role_policy(
            RoleName="writer",
            PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        wire = Wire.of(server.client("s3", **server.assume(arn, caller="111111111111")), attempts=1)
        lake = Store(wire, "lake", "111111111111", Limits(single=5 * 1024**2, least_part=5 * 1024**2))
        body = bytes(6 * 1024**2)
        (tmp_path / "f").write_bytes(body)
        assert lake.put_new("datasets/k", b"body")
        assert lake.get("datasets/k") == b"body"
        assert lake.copy_known("datasets/c", lake, "datasets/k", sha256=sha256_bytes(b"body"), size=4)
        # It may not look for what it left unfinished, nor know what is absent, and can do without.
        assert lake.put_new_file("datasets/big", tmp_path / "f", sha256_bytes(body))
        with pytest.raises(ClientError, match="403"):
            lake.head("datasets/absent")
        for act in (lambda: lake.get("raw/x"), lambda: list(lake.keys("")), lambda: lake.delete("datasets/k")):
            with pytest.raises(ClientError, match="AccessDenied"):
                act()
        calls = [json.loads(line) for line in record.read_text().splitlines()]
        assert {"PutObject", "GetObject", "CopyObject", "HeadObject", "DeleteObject"} <= {
            call["operation"] for call in calls if call["principal"] == arn
        }
        wire.close()
    finally:
        server.stop()
