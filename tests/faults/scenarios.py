"""What people run, in worlds of a few bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError

from mlops_kit.config.dataset import Dataset
from mlops_kit.datasets import branch, copy, fetch, gc, refs, tag
from mlops_kit.datasets.checkout import checkout
from mlops_kit.datasets.commit import commit
from mlops_kit.datasets.digest_cache import DigestCache
from mlops_kit.datasets.import_prefix import PrefixSource
from mlops_kit.datasets.local_source import LocalSource
from mlops_kit.datasets.publish import announce
from mlops_kit.datasets.revert import revert
from mlops_kit.datasets.transfer import REFRESH_AFTER
from mlops_kit.datasets.verify import verify
from mlops_kit.errors import NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import sha256_bytes
from mlops_kit.quality import record
from mlops_kit.quality.results import Report, Result
from tests.commits import NOW, PETS, entries, header
from tests.faults.harness import Scenario
from tests.faults.world import SINGLE, World
from tests.lakes import write_files
from tests.s3 import Fault, LoopbackS3
from tests.stores import LAKE, OTHER_LAKE

KEYS = DatasetKeys(PETS)
Run = Callable[[World], object]
Prepare = Callable[[World, LoopbackS3], object]

FIRST = {"a.csv": b"id\n1\n", "d/b.txt": b"b", "old": b"o"}
SECOND = {"a.csv": b"id\n2\n", "d/b.txt": b"b", "new": b""}
LARGE = {"large": bytes(range(256)) * (SINGLE // 256) + b"end", "small": b"s"}
"""The first takes three parts."""
MONTH = timedelta(days=30)


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def source(world: World, name: str) -> LocalSource:
    return LocalSource(world.root / name, DigestCache(None))


def committing(name: str, minute: int = 0, **options: Any) -> Run:
    """Commit a directory of the world."""

    def run(world: World) -> object:
        return commit(world.lake, PETS, source(world, name), message="m", author="me", now=at(minute), **options)

    return run


def importing(world: World) -> object:
    raw = PrefixSource(replace(world.lake, bucket=world.staging.bucket, owner=world.staging.owner), "raw/")
    return commit(world.lake, PETS, raw, message="m", author="me", now=at(1))


def promoting(world: World) -> None:
    found = refs.resolve(world.lake, PETS, "main")
    copy.execute(copy.plan(world.lake, world.staging, PETS, found), world.lake, world.staging, "me", at(9))


def checking_out(revision: str = "main", **options: Any) -> Run:
    def run(world: World) -> object:
        found = refs.resolve(world.lake, PETS, revision)
        own = {"XDG_CACHE_HOME": str(world.root / "cache")}
        with patch.object(fetch, "SMALL", 4), patch.dict(os.environ, own):  # both ways of bringing a file
            return checkout(world.lake, PETS, found, world.root / "out", **options)

    return run


def files(name: str, content: Mapping[str, bytes]) -> Prepare:
    return lambda world, s3: write_files(world.root / name, content)


def all_of(*steps: Prepare | Run) -> Prepare:
    """One after the other."""

    def prepare(world: World, s3: LoopbackS3) -> None:
        for step in steps:
            if step.__code__.co_argcount == 1:
                step(world)  # type: ignore[call-arg]
            else:
                step(world, s3)  # type: ignore[call-arg]

    return prepare


ONE = all_of(files("first", FIRST), files("second", SECOND), committing("first"))
"""A commit, and another directory."""
TWO = all_of(ONE, committing("second", 1))
IN_PARTS = all_of(files("large", LARGE), committing("large"))


def raw(world: World, s3: LoopbackS3) -> None:
    for path, body in FIRST.items():
        s3.buckets[world.staging.bucket].put(f"raw/{path}", body)


def raw_changed(world: World, s3: LoopbackS3) -> None:
    importing(world)
    s3.buckets[world.staging.bucket].put("raw/a.csv", SECOND["a.csv"])


def raw_in_parts(world: World, s3: LoopbackS3) -> None:
    s3.buckets[world.staging.bucket].put("raw/large", LARGE["large"])
    s3.buckets[world.staging.bucket].put("raw/small", LARGE["small"])


def begun(world: World, s3: LoopbackS3) -> None:
    """A commit in parts that was refused its last part."""
    s3.faults[:] = [Fault("denied", when=lambda request: request.query.get("partNumber") == "3", times=None)]
    with suppress(ClientError):
        committing("large")(world)
    s3.faults.clear()


def other_parts(world: World, s3: LoopbackS3) -> None:
    """In the target, an upload to the key of the large file was begun, with other bytes of the same size."""
    other = world.root / "other"
    other.write_bytes(b"?" * len(LARGE["large"]))
    key = KEYS.file("large", sha256_bytes(LARGE["large"]))
    s3.faults[:] = [Fault("denied", operation="CompleteMultipartUpload", times=None)]
    with suppress(ClientError):
        world.staging.put_new_file(key, other, sha256_bytes(other.read_bytes()))
    s3.faults.clear()


def forgetting(content: Mapping[str, bytes], *paths: str, overwrite: bool = False) -> Prepare:
    """Somebody deletes files of a commit, or overwrites them."""

    def prepare(world: World, s3: LoopbackS3) -> None:
        bucket = s3.buckets[world.lake.bucket]
        for path in paths:
            key = KEYS.file(path, sha256_bytes(content[path]))
            if overwrite:
                bucket.put(key, b"?" * len(content[path]))
            else:
                bucket.delete(key)

    return prepare


def losing_records(world: World, s3: LoopbackS3) -> None:
    bucket = s3.buckets[world.lake.bucket]
    found = refs.resolve(world.lake, PETS, "main")
    bucket.delete(KEYS.manifest(found))
    bucket.put(KEYS.file_list(found), b"?")


def left_long_ago(bucket: str) -> Prepare:
    """What is in a bucket is so old that nobody may build upon it as it is: it is written again."""

    def prepare(world: World, s3: LoopbackS3) -> None:
        for key in list(s3.buckets[bucket].keys()):
            s3.buckets[bucket].version(key).modified = (NOW - REFRESH_AFTER - timedelta(hours=1)).timestamp()

    return prepare


def promoting_in_vain(world: World, s3: LoopbackS3) -> None:
    """Everything is there but the ref."""
    s3.faults[:] = [Fault("denied", when=lambda request: request.key == KEYS.ref("main") and request.method == "PUT")]
    with suppress(ClientError):
        promoting(world)
    s3.faults.clear()


def leaving_garbage(world: World, s3: LoopbackS3) -> None:
    """A commit that nothing reaches, a promotion that was given up, what an import put aside: all of it a month ago."""
    bucket = s3.buckets[world.lake.bucket]
    write_files(world.root / "third", {**SECOND, "only": b"here"})
    committing("third", 2, ref="side")(world)
    bucket.remove(KEYS.ref("side"))
    unfinished = entries({"p": b"p", "d/b.txt": b"b"})
    announce(world.lake, header(unfinished, minute=3), unfinished, NOW)
    world.lake.put_new(KEYS.file("p", sha256_bytes(b"p")), b"p")
    bucket.put(f"{KEYS.staging_prefix}{'0' * 16}/x", b"x")
    with bucket.lock:
        for key in list(bucket.keys()):
            for version in bucket.versions(key):
                version.modified -= MONTH.total_seconds()


def collecting(world: World) -> object:
    return gc.execute(gc.plan(world.lake, PETS, now=datetime.now(UTC)), world.lake)


def reverting(world: World) -> object:
    found = refs.resolve(world.lake, PETS, "tags/first")
    return revert(world.lake, PETS, "main", found, message="back", author="me", now=at(5))


def tag_first(world: World) -> object:
    return tag.create(world.lake, PETS, "first", refs.resolve(world.lake, PETS, "refs/main"), actor="me", now=NOW)


def tagging(world: World) -> object:
    return tag.create(world.lake, PETS, "v1", refs.resolve(world.lake, PETS, "main"), actor="me", now=at(5))


def branching(world: World) -> object:
    return branch.create(world.lake, PETS, "side", refs.resolve(world.lake, PETS, "main"), actor="me", now=at(5))


def deleting_branch(world: World) -> object:
    return branch.delete(world.lake, PETS, "side")


def deleting_branch_if_there(world: World) -> None:
    with suppress(NotFoundError):  # it was deleted, and the answer lost
        branch.delete(world.lake, PETS, "side")


def deleting_tag(world: World) -> object:
    return tag.delete(world.lake, PETS, "first")


def deleting_tag_if_there(world: World) -> None:
    with suppress(NotFoundError):
        tag.delete(world.lake, PETS, "first")


def repairing(world: World) -> object:
    return verify(world.lake, PETS, refs.resolve(world.lake, PETS, "main"), repair=True)


def recording(world: World) -> object:
    result = Result("rows", None, None, True, 0, 1, (), "1 row")
    found = refs.resolve(world.lake, PETS, "main")
    constraints = Dataset(description="d", owner="me@example.com")
    return record.record(world.lake, PETS, found, constraints, Report((result,), {}), actor="me", now=at(5))


TWICE = "."
"""What is written over the same bytes, which have the same ETag, may be written twice if an answer is lost."""
COMMITS = (
    Scenario("first commit", committing("first"), files("first", FIRST)),
    Scenario("second commit", committing("second", 1), ONE),
    Scenario("commit that adds", committing("second", 1, add=True), ONE),
    Scenario(
        "commit of what was left",
        committing("first"),
        all_of(files("first", FIRST), committing("first", ref=None), left_long_ago(LAKE)),
        vague=TWICE,
    ),
    Scenario("commit in parts", committing("large"), files("large", LARGE)),
    Scenario("commit in parts, begun", committing("large"), all_of(files("large", LARGE), begun)),
)
IMPORTS = (
    Scenario("import", importing, raw),
    Scenario("next import", importing, all_of(raw, raw_changed)),
    Scenario("import in parts", importing, raw_in_parts, litter=r"/commits/[0-9a-f]{64}\.files"),
)
CHECKOUTS = (
    Scenario("checkout", checking_out(), ONE, directory="out"),
    Scenario(
        "checkout into a directory", checking_out(delete=True), all_of(TWO, checking_out("main~1")), directory="out"
    ),
    Scenario("checkout with links", checking_out(link=True), ONE, directory="out"),
    Scenario("checkout in parts", checking_out(), IN_PARTS, directory="out"),
    Scenario(
        "checkout of older versions",
        checking_out(),
        all_of(ONE, forgetting(FIRST, "a.csv")),
        directory="out",
        damaged="always",
    ),
)
PROMOTIONS = (
    Scenario("first promotion", promoting, ONE),
    Scenario("next promotion", promoting, all_of(ONE, promoting, committing("second", 1))),
    Scenario(
        "promotion of what was left", promoting, all_of(ONE, promoting_in_vain, left_long_ago(OTHER_LAKE)), vague=TWICE
    ),
    Scenario("promotion in parts", promoting, IN_PARTS),
    Scenario("promotion in parts, others begun", promoting, all_of(IN_PARTS, other_parts)),
    Scenario("promotion of older versions", promoting, all_of(ONE, forgetting(FIRST, "a.csv")), damaged="always"),
)
NAMES = (
    Scenario("revert", reverting, all_of(ONE, tag_first, committing("second", 1))),
    Scenario("tag", tagging, ONE),
    Scenario("branch", branching, ONE),
    Scenario("branch deleted", deleting_branch, all_of(ONE, branching), deleting_branch_if_there, vague="/refs/"),
    Scenario("tag deleted", deleting_tag, all_of(ONE, tag_first), deleting_tag_if_there, vague="/tags/"),
    Scenario("result of a data test", recording, ONE),
)
REPAIRS = (
    Scenario("repair after deletion", repairing, all_of(ONE, forgetting(FIRST, "a.csv", "old")), damaged="before"),
    Scenario(
        "repair after overwriting", repairing, all_of(ONE, forgetting(FIRST, "a.csv", overwrite=True)), damaged="before"
    ),
    Scenario("repair in parts", repairing, all_of(IN_PARTS, forgetting(LARGE, "large")), damaged="before"),
    Scenario("repair of records", repairing, all_of(ONE, losing_records), damaged="before"),
)
COLLECTIONS = (Scenario("garbage collection", collecting, all_of(TWO, leaving_garbage)),)
ALL = (*COMMITS, *IMPORTS, *CHECKOUTS, *PROMOTIONS, *NAMES, *REPAIRS, *COLLECTIONS)
SCENARIOS = {scenario.name: scenario for scenario in ALL}
