"""Data sets on a server that enforces IAM, as the roles that the stacks make: what each verb needs is granted, and what
was broken in the bucket is mended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_kit.config import Environment, load_project
from mlops_kit.datasets import branch, checkout, commit, copy, gc, pointers, read, tag, verify
from mlops_kit.datasets.import_prefix import PrefixSource
from mlops_kit.datasets.local_source import LocalSource
from mlops_kit.datasets.source import Source
from mlops_kit.naming import DatasetKeys, PersonRole
from mlops_kit.objects import Limits, Store
from mlops_kit.wire import Wire
from stacks import data_lake, permissions, release_permissions
from stacks.policies import Statement
from tests.cloud import ROOT
from tests.local_cloud.support import Server

NAME = "pets"
KEYS = DatasetKeys(NAME)
NOW = datetime.now(UTC)
PARTS = Limits(single=5 * 1024**2, least_part=5 * 1024**2)


@dataclass(frozen=True)
class Cloud:
    """Two stages with their lakes, and the roles that act in them."""

    server: Server
    record: Path
    stages: tuple[Environment, Environment]
    arns: dict[tuple[str, PersonRole], str]

    def lake(self, role: PersonRole, *, stage: int = 0, of: int | None = None) -> Store:
        """The lake of a stage (``of``: of another one), as a role of the stage sees it."""
        acting, owner = self.stages[stage], self.stages[stage if of is None else of]
        arn = self.arns[acting.name, role]
        s3 = self.server.client("s3", **self.server.assume(arn, caller=acting.account))
        return Store(Wire.of(s3, attempts=1), owner.names.bucket("lake"), owner.account, PARTS)

    def administrator(self, stage: int = 0) -> Store:
        chosen = self.stages[stage]
        s3 = self.server.client("s3", chosen.account)
        return Store(Wire.of(s3), chosen.names.bucket("lake"), chosen.account, PARTS)

    def asked(self, role: PersonRole, *, stage: int = 0, allowed: bool = True) -> set[str]:
        """Actions that a role asked for so far, and was allowed or refused."""
        arn = self.arns[self.stages[stage].name, role]
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        actions = [action for line in lines if line["principal"] == arn for action in line["actions"]]
        return {action["action"] for action in actions if action["allowed"] == allowed}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    record = tmp_path / "calls.jsonl"
    server = Server.start(tmp_path, "--enforce-iam", "--record", str(record))
    project = load_project(ROOT)
    first, second = project.environment("dev"), project.environment("staging")
    arns = {}
    for stage in (first, second):
        names = stage.names
        bucket = names.bucket("lake")
        s3 = server.client("s3", stage.account)
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        experiments = permissions.write_data(names) if stage is first else []
        promotion = [*permissions.write_data(names, promotes=True)]
        promotion += release_permissions.read_source(first.names) if stage is second else []
        people: list[tuple[PersonRole, list[Statement]]] = [("data-scientist", experiments), ("promoter", promotion)]
        for role, statements in people:
            granted = [*permissions.read_data(names), *statements]
            arns[stage.name, role] = make_role(server, stage, names.role(role), granted)
    readers = data_lake._read_by_promoters([second], first, "lake", "datasets/")
    policy = json.dumps({"Version": "2012-10-17", "Statement": readers})
    server.client("s3", first.account).put_bucket_policy(Bucket=first.names.bucket("lake"), Policy=policy)
    yield Cloud(server, record, (first, second), arns)
    assert server.stop() == 0


def make_role(server: Server, stage: Environment, name: str, statements: Sequence[Statement]) -> str:
    iam = server.client("iam", stage.account)
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": stage.account}}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName=name, PolicyName="granted", PolicyDocument=json.dumps(policy))
    return str(arn)


def make(lake: Store, source: Source, message: str, **options: Any) -> str:
    request = commit.CommitRequest(NAME, source, message, "me", **options)
    return commit.execute(lake, commit.plan(lake, request, NOW)).commit.id


def directory(at: Path, **files: bytes) -> LocalSource:
    for name, body in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(body)
    return LocalSource.of(at)


def content(lake: Store, revision: str, to: Path) -> dict[str, bytes]:
    done = checkout.checkout(lake, NAME, revision, to)
    return {entry.path: (to / entry.path).read_bytes() for entry in done.entries}


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_a_data_scientist_imports_commits_names_and_collects_nothing(cloud: Cloud, tmp_path: Path) -> None:
    lake = cloud.lake("data-scientist")
    for key in ("raw/delivery/cats/1", "raw/delivery/dogs é+"):
        assert cloud.administrator().put_new(key, key.encode())
    imported = make(lake, PrefixSource(lake, "raw/delivery/"), "imported")
    assert content(lake, imported, tmp_path / "imported") == {
        "cats/1": b"raw/delivery/cats/1",
        "dogs é+": "raw/delivery/dogs é+".encode(),
    }
    assert list(lake.versions(KEYS.staging_prefix)) == [], "really deleted: not even an older version is left"

    branch.create(lake, NAME, "try", imported, actor="me", now=NOW)
    tag.create(lake, NAME, "v1", imported, actor="me", now=NOW)
    branch.delete(lake, NAME, "try")
    tag.delete(lake, NAME, "v1")
    assert [ref.name for ref in pointers.all_refs(lake, NAME)] == ["main"]
    make(lake, directory(tmp_path / "in", a=b"1"), "lost", move_ref=False)
    assert cloud.asked("data-scientist", allowed=False) == set()

    planned = gc.plan(lake, NAME, now=NOW + timedelta(days=30))
    assert planned.objects
    assert refused(lambda: gc.execute(planned, lake)) == "AccessDenied"
    assert cloud.asked("data-scientist", allowed=False) == {"s3:DeleteObject"}, "the header was not even hidden"


def test_an_upload_in_parts_that_was_cut_off_is_gone_on_with(cloud: Cloud, tmp_path: Path) -> None:
    lake, admin = cloud.lake("data-scientist"), cloud.server.client("s3")
    body = bytes(range(256)) * (6 * 1024**2 // 256)
    source = directory(tmp_path / "in", big=body)
    key = KEYS.file("big", source.survey(lake, NAME, "").entries[0].sha256)
    begun = admin.create_multipart_upload(
        Bucket=lake.bucket, Key=key, ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE"
    )["UploadId"]
    part = {"Bucket": lake.bucket, "Key": key, "UploadId": begun, "PartNumber": 1}
    admin.upload_part(**part, Body=body[: 5 * 1024**2], ChecksumAlgorithm="SHA256")
    made = make(lake, source, "big")
    assert content(lake, made, tmp_path / "out") == {"big": body}
    assert "Uploads" not in admin.list_multipart_uploads(Bucket=lake.bucket)
    sent = [json.loads(line) for line in cloud.record.read_text().splitlines()]
    parts = [line for line in sent if line["operation"] == "UploadPart" and "role" in line["principal"]]
    assert len(parts) == 1, "the part that was there did not travel again"
    assert {"s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"} <= cloud.asked("data-scientist")
    assert cloud.asked("data-scientist", allowed=False) == set()


def test_the_promoter_repairs_what_was_broken_in_the_bucket(cloud: Cloud, tmp_path: Path) -> None:
    lake, outside = cloud.lake("promoter"), cloud.administrator()
    files = {"gone": b"1", "other": b"2", "longer": b"3", "kept": b"4"}
    made = make(lake, directory(tmp_path / "in", **files), "first")
    keys = {
        entry.path: KEYS.file(entry.path, entry.sha256)
        for entry in read.read_files(lake, read.read_commit(lake, NAME, made))
    }
    outside.delete(keys["gone"])
    outside.put(keys["other"], b"x")
    outside.put(keys["longer"], b"longer")
    outside.put(KEYS.manifest(made), b"[]")
    outside.delete(KEYS.commit(made))
    outside.put(KEYS.file_list(made), b"not a list")

    found = verify.verify(lake, NAME, made)
    assert (found.missing, found.wrong_digest, found.wrong_size) == (("gone",), ("other",), ("longer",))
    assert found.records == (verify.HEADER, verify.FILE_LIST, verify.MANIFEST)
    assert verify.verify(lake, NAME, made, repair=True).intact
    assert verify.verify(lake, NAME, made, deep=True).damaged == ()
    assert content(lake, made, tmp_path / "out") == files
    assert cloud.asked("promoter", allowed=False) == set()


def test_the_promoter_collects_garbage_and_nothing_else(cloud: Cloud, tmp_path: Path) -> None:
    lake = cloud.lake("promoter")
    kept = make(lake, directory(tmp_path / "one", a=b"1"), "kept")
    lost = make(lake, directory(tmp_path / "two", a=b"1", b=b"2"), "lost", move_ref=False)
    assert lake.put_new(f"{KEYS.staging_prefix}left/1", b"left by an import")
    at = {"now": NOW + timedelta(days=30)}
    planned = gc.plan(lake, NAME, **at)
    assert planned.commits == (lost,)
    done = gc.execute(planned, lake)
    assert (done.commits, done.kept_back) == (1, ())
    left = {version.key for version in lake.versions(KEYS.root)}
    assert left == {
        KEYS.ref("main"),
        KEYS.commit(kept),
        KEYS.file_list(kept),
        KEYS.manifest(kept),
        *(KEYS.file(entry.path, entry.sha256) for entry in read.read_files(lake, read.read_commit(lake, NAME, kept))),
    }, "for good: no version and no marker of it is left"
    assert list(lake.versions("staging/")) == []
    assert gc.plan(lake, NAME, **at).objects == 0
    assert content(lake, kept, tmp_path / "out") == {"a": b"1"}
    assert cloud.asked("promoter", allowed=False) == set()


def test_what_the_source_lost_is_promoted_from_older_versions(cloud: Cloud, tmp_path: Path) -> None:
    body = bytes(range(256)) * (6 * 1024**2 // 256)
    files = {"gone": b"1", "other": b"2", "big": body}
    dev = cloud.lake("promoter")
    made = make(dev, directory(tmp_path / "in", **files), "first")
    for entry in read.read_files(dev, read.read_commit(dev, NAME, made)):
        key = KEYS.file(entry.path, entry.sha256)
        if entry.path == "gone":
            cloud.administrator().delete(key)
        else:
            cloud.administrator().put(key, b"x" * entry.size)

    source, target = cloud.lake("promoter", stage=1, of=0), cloud.lake("promoter", stage=1)
    copy.execute(copy.plan(source, target, NAME, made), source, target, "me", NOW)
    assert content(target, made, tmp_path / "out") == files
    assert verify.verify(target, NAME, made, deep=True).damaged == ()
    assert {"s3:GetObjectVersion", "s3:ListBucketVersions"} <= cloud.asked("promoter", stage=1)
    assert cloud.asked("promoter", stage=1, allowed=False) == set()
