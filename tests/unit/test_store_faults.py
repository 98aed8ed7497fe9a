"""Whatever goes wrong with any request of a store: the result is right, or an error says what happened; never half.

Every fault of the loopback meets every method at every request that it makes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.errors import ConflictError, IntegrityError, MlopsKitError
from mlops_kit.objects import Store, sha256_bytes
from tests.s3 import Fault, LoopbackS3
from tests.stores import ACCOUNT, LAKE, OTHER_ACCOUNT, OTHER_LAKE, PART, SINGLE, race, store_of

PASSING = ["503", "500", "timeout", "timeout-after", "reset", "lost", "409", "200-error", "truncated"]
FINAL = ["expired", "denied"]
IMPATIENT = 0.1
"""Seconds; the loopback answers in a hundredth of it, and a request that was given up too early is repeated."""
SMALL = b"some bytes"
LARGE = os.urandom(SINGLE + 2 * PART + 1)
OLD = b"what was there before"


class Act(NamedTuple):
    """Something that a store does about the key ``k``: with what to begin, and what is there in the end."""

    do: Callable[[Store, Store, Path], object]
    begin: Callable[[LoopbackS3], object] = lambda s3: None
    after: bytes | None = SMALL
    """What is at ``k`` when it is done."""
    before: bytes | None = None
    result: object = None
    """What it returns, unless that depends on whether an answer was lost: then None."""


def with_source(body: bytes) -> Callable[[LoopbackS3], object]:
    """The other lake has it, as a client with checksums would have written it."""

    def begin(s3: LoopbackS3) -> None:
        store = store_of(s3, OTHER_LAKE)
        if len(body) <= SINGLE:
            store.put_new("source", body)
        else:
            path = Path(os.environ["HOME"]) / "source"
            path.write_bytes(body)
            store.put_new_file("source", path, sha256_bytes(body))
        store.wire.close()

    return begin


def with_old(s3: LoopbackS3) -> None:
    s3.buckets[LAKE].put("k", OLD)


def with_deleted(s3: LoopbackS3) -> None:
    store = store_of(s3)
    store.put_new("k", SMALL)
    store.delete("k")
    store.wire.close()


def with_new(s3: LoopbackS3) -> None:
    store = store_of(s3)
    store.put_new("k", SMALL)
    store.wire.close()


def with_large(s3: LoopbackS3) -> None:
    path = Path(os.environ["HOME"]) / "large"
    path.write_bytes(LARGE)
    store = store_of(s3)
    store.put_new_file("k", path, sha256_bytes(LARGE))
    store.wire.close()


def file(directory: Path, body: bytes) -> tuple[Path, str]:
    path = directory / "file"
    path.write_bytes(body)
    return path, sha256_bytes(body)


def etag_of_old() -> str:
    return f'"{hashlib.md5(OLD, usedforsecurity=False).hexdigest()}"'


def read_back(directory: Path) -> bytes:
    (path,) = directory.iterdir()
    return path.read_bytes()


def download(lake: Store, directory: Path, body: bytes) -> bytes:
    lake.download("k", directory / "out" / "file", sha256_bytes(body), size=len(body))
    return read_back(directory / "out")


def read_all(lake: Store) -> bytes:
    with lake.open("k") as reader:
        return reader.read()


ACTS = {
    "put_new": Act(lambda lake, other, tmp: lake.put_new("k", SMALL)),
    "put": Act(lambda lake, other, tmp: lake.put("k", SMALL), with_old, before=OLD),
    "replace nothing": Act(lambda lake, other, tmp: lake.replace("k", SMALL, None)),
    "replace": Act(lambda lake, other, tmp: lake.replace("k", SMALL, etag_of_old()), with_old, before=OLD),
    "put_new_file": Act(lambda lake, other, tmp: lake.put_new_file("k", *file(tmp, SMALL))),
    "put_new_file large": Act(lambda lake, other, tmp: lake.put_new_file("k", *file(tmp, LARGE)), after=LARGE),
    "copy_new": Act(
        lambda lake, other, tmp: lake.copy_new("k", other, "source", sha256_bytes(SMALL)), with_source(SMALL)
    ),
    "copy_known": Act(
        lambda lake, other, tmp: lake.copy_known("k", other, "source", sha256=sha256_bytes(SMALL), size=len(SMALL)),
        with_source(SMALL),
    ),
    "copy_known large": Act(
        lambda lake, other, tmp: lake.copy_known("k", other, "source", sha256=sha256_bytes(LARGE), size=len(LARGE)),
        with_source(LARGE),
        after=LARGE,
    ),
    "copy_hash": Act(
        lambda lake, other, tmp: lake.copy_hash("k", other, "source", size=len(SMALL))[0],
        with_source(SMALL),
        result=sha256_bytes(SMALL),
    ),
    "copy_hash large": Act(
        lambda lake, other, tmp: lake.copy_hash("k", other, "source", size=len(LARGE))[0],
        with_source(LARGE),
        after=LARGE,
        result=sha256_bytes(LARGE),
    ),
    "restore": Act(
        lambda lake, other, tmp: lake.restore("k", next(v.version for v in lake.versions("k") if not v.deleted), None),
        with_deleted,
    ),
    "delete": Act(lambda lake, other, tmp: lake.delete("k"), with_old, before=OLD, after=None),
    "delete_many": Act(lambda lake, other, tmp: lake.delete_many([("k", None)]), with_old, before=OLD, after=None),
    "get": Act(lambda lake, other, tmp: lake.get("k"), with_new, before=SMALL, result=SMALL),
    "head": Act(
        lambda lake, other, tmp: (found := lake.head("k")) and found.sha256,
        with_new,
        before=SMALL,
        result=sha256_bytes(SMALL),
    ),
    "absent": Act(lambda lake, other, tmp: [lake.get("k"), lake.head("k")], after=None, result=[None, None]),
    "keys": Act(lambda lake, other, tmp: list(lake.keys("")), with_new, before=SMALL, result=["k"]),
    "present": Act(lambda lake, other, tmp: sorted(lake.present(["a", "k"])), with_new, before=SMALL, result=["k"]),
    "versions": Act(
        lambda lake, other, tmp: [v.deleted for v in lake.versions("k")],
        with_deleted,
        after=None,
        result=[True, False],
    ),
    "verify": Act(lambda lake, other, tmp: lake.verify("k", sha256_bytes(SMALL)), with_new, before=SMALL),
    "verify large": Act(
        lambda lake, other, tmp: lake.verify("k", sha256_bytes(LARGE)), with_large, before=LARGE, after=LARGE
    ),
    "download": Act(lambda lake, other, tmp: download(lake, tmp, SMALL), with_new, before=SMALL, result=SMALL),
    "download large": Act(
        lambda lake, other, tmp: download(lake, tmp, LARGE), with_large, before=LARGE, after=LARGE, result=LARGE
    ),
    "open": Act(lambda lake, other, tmp: read_all(lake), with_large, before=LARGE, after=LARGE, result=LARGE),
}


CASES = [
    pytest.param(name, kind, id=f"{name}-{kind}")
    for name in ACTS
    for kind in [*PASSING, *FINAL]
    if kind != "truncated" or name in ("get", "verify large", "download", "download large", "open", "copy_hash large")
    if kind != "409" or name not in ("head", "verify")
    if kind != "200-error" or "copy" in name or name in ("restore", "put_new_file large")
]


class World(NamedTuple):
    """A new S3, as the act wants to find it, and impatient stores on it."""

    s3: LoopbackS3
    lake: Store
    other: Store

    @property
    def stored(self) -> bytes | None:
        """What is at the key that acts are about."""
        version = self.s3.buckets[LAKE].current("k")
        return None if version is None else version.data


@contextmanager
def world(act: Act) -> Iterator[World]:
    buckets = {LAKE: ACCOUNT, OTHER_LAKE: OTHER_ACCOUNT}
    with LoopbackS3(buckets, max_single=SINGLE, min_part=PART) as s3:
        act.begin(s3)
        s3.forget()
        lake = store_of(s3, LAKE, read_timeout=IMPATIENT)
        other = store_of(s3, OTHER_LAKE, read_timeout=IMPATIENT)
        try:
            yield World(s3, lake, other)
        finally:
            lake.wire.close()
            other.wire.close()


def check(act: Act, found: World, result: object) -> None:
    """It is done, all of it, and nothing is left over."""
    assert found.stored == act.after
    assert act.result is None or result == act.result
    # An upload whose id was lost with the answer stays, without parts, until the bucket's rule removes it.
    assert not [upload for upload in found.s3.buckets[LAKE].uploads.values() if upload.parts]


def operations_of(act: Act, tmp: Path) -> list[str]:
    """What an act asks for when all goes well, each operation once."""
    with world(act) as found:
        check(act, found, act.do(found.lake, found.other, tmp))
        return sorted({call.operation for call in found.s3.calls})


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_fault_is_survived_or_told_of(name: str, kind: Any, tmp_path: Path) -> None:
    act = ACTS[name]
    (tmp_path / "well").mkdir()
    struck = 0
    for operation in operations_of(act, tmp_path / "well"):
        if (kind, operation) == ("409", "HeadObject"):
            continue  # only writes conflict, and the answer to HEAD could not say so
        directory = tmp_path / operation
        directory.mkdir()
        with world(act) as found:
            fault = Fault(kind, operation=operation, times=None if kind in FINAL else 1)
            found.s3.faults.append(fault)
            try:
                result = act.do(found.lake, found.other, directory)
            except (ClientError, BotoCoreError, MlopsKitError):
                assert kind in FINAL, "what passes is survived"
                assert found.stored in (act.before, act.after), "all of it, or nothing"
                assert not list(directory.glob("out/*"))
                found.s3.faults.clear()
                if found.stored != act.after or act.result is not None:
                    result = act.do(found.lake, found.other, directory)
                    check(act, found, result)
            else:
                check(act, found, result)
            struck += fault.struck
    assert struck, "the fault met nothing"


@pytest.mark.parametrize("name", ACTS)
def test_a_fault_that_does_not_pass_ends_after_five_attempts(name: str, tmp_path: Path) -> None:
    act = ACTS[name]
    with world(act) as found:
        found.s3.faults.append(Fault("503", times=None))
        with pytest.raises(ClientError, match=r"SlowDown|503"):
            act.do(found.lake, found.other, tmp_path)
        assert found.stored == (act.before if name != "absent" else None)


@pytest.mark.parametrize("name", ["get", "download", "download large", "verify large"])
def test_bytes_that_were_changed_on_the_way_are_refused(name: str, tmp_path: Path) -> None:
    act = ACTS[name]
    with world(act) as found:
        found.s3.faults.append(Fault("corrupt", operation="GetObject", times=None))
        with pytest.raises(IntegrityError, match="SHA-256"):
            act.do(found.lake, found.other, tmp_path)
        assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("kind", ["lost", "timeout-after", "503", "409"])
def test_our_own_compare_and_set_is_known_again_and_somebody_else_s_is_not(
    s3: LoopbackS3, lake: Store, kind: Any
) -> None:
    impatient = store_of(s3, read_timeout=IMPATIENT)
    impatient.replace("ref", b"one", None)
    s3.faults.append(Fault(kind, operation="PutObject"))
    found = lake.get_with_etag("ref")
    assert found is not None
    impatient.replace("ref", b"two", found[1])
    assert lake.get("ref") == b"two"

    s3.faults.append(Fault(kind, operation="PutObject"))
    found = lake.get_with_etag("ref")
    assert found is not None
    s3.buckets[LAKE].put("ref", b"somebody else's")
    with pytest.raises(ConflictError, match="somebody else"):
        impatient.replace("ref", b"three", found[1])
    assert lake.get("ref") == b"somebody else's"
    impatient.wire.close()


def test_of_thirty_two_writers_one_creates_and_one_moves(s3: LoopbackS3) -> None:
    stores = [store_of(s3) for _ in range(32)]
    outcomes = race(32, lambda number: stores[number].put_new("k", f"by {number}".encode()))
    assert sorted(outcomes) == [False] * 31 + [True]
    assert stores[0].get("k") == f"by {outcomes.index(True)}".encode()

    found = stores[0].get_with_etag("k")
    assert found is not None
    outcomes = race(32, lambda number: stores[number].replace("k", f"then {number}".encode(), found[1]))
    assert [outcome for outcome in outcomes if outcome is None] == [None]
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 31
    assert stores[0].get("k") == f"then {outcomes.index(None)}".encode()
    assert len(s3.buckets[LAKE].versions("k")) == 2
    for store in stores:
        store.wire.close()
