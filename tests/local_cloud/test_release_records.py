"""Locks, approvals and ledgers on the local cloud's S3: its versions, delete markers, object lock and clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlops_kit.config import Approvals
from mlops_kit.errors import ConflictError, IntegrityError
from mlops_kit.objects import Store
from mlops_kit.promotion import approvals, ledger_verify, lock
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.promotion.lock import Held
from mlops_kit.promotion.place import Place
from mlops_kit.wire import Wire
from tests.ledgers import ALICE, NAMES, NOW, ended_process, event
from tests.stores import race

ARTIFACT = "a" * 64


@pytest.fixture
def make_store(bare_cloud: str) -> Callable[[bool], Store]:
    """Makes a versioned bucket, as a ledger's is with object lock or without."""

    def make(locked: bool) -> Store:
        s3: Any = boto3.client(
            "s3",
            endpoint_url=bare_cloud,
            aws_access_key_id="111111111111",
            aws_secret_access_key="x",
            region_name="us-east-1",
        )
        bucket = f"b-{uuid.uuid4().hex[:20]}"
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locked)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        if locked:
            retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
            rule = {"ObjectLockEnabled": "Enabled", "Rule": retention}
            s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)
        return Store(Wire.of(s3), bucket, "111111111111")

    return make


def now() -> datetime:
    return datetime.now(UTC)


def test_a_lock_has_one_holder_and_leaves_nothing_behind(make_store: Callable[[bool], Store]) -> None:
    store = make_store(False)

    def acquire(place: Place | None = None) -> Held:
        return lock.acquire(store, NAMES, what="promote", holder=ALICE, now=now(), place=place)

    outcomes = race(8, lambda _: acquire())
    (held,) = [outcome for outcome in outcomes if isinstance(outcome, Held)]
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 7
    held.renew(now())
    held.renew(now())
    held.check()
    lock.release(store, NAMES, held.holder.id)
    assert list(store.versions("")) == []
    dead = acquire(ended_process())
    assert acquire().took_over == dead.holder


def test_after_a_reboot_a_young_lock_is_respected(make_store: Callable[[bool], Store]) -> None:
    store, gone = make_store(False), replace(ended_process(), boot="another run of the kernel")
    lock.acquire(store, NAMES, what="promote", holder=ALICE, now=NOW, place=gone)
    with pytest.raises(ConflictError):
        lock.acquire(store, NAMES, what="promote", holder=ALICE, now=now())


def test_a_ledger_and_its_approvals_are_read_back_and_a_deletion_is_found(make_store: Callable[[bool], Store]) -> None:
    store = make_store(True)
    book = Ledger(store, NAMES)
    said = approvals.decide(
        "approve", NAMES, version=1, artifact_sha256=ARTIFACT, by=ALICE, reason="ok", policy=Approvals(), now=now()
    )
    made = approvals.record(store, NAMES, said)
    assert approvals.read(store, NAMES, ARTIFACT) == (made,)
    first = book.append((), event(1, plan=book.keep_plan(b"{}")))
    second = book.append((first,), event(2))
    assert book.events() == (first, second)
    found = ledger_verify.verify(store, NAMES)
    assert (found.events, found.plans, found.approvals, found.intact) == (2, 1, 1, True)
    with pytest.raises(ClientError, match="AccessDenied"):
        store.delete(NAMES.ledger_key(2), next(store.versions(NAMES.ledger_key(2))).version)
    store.delete(NAMES.ledger_key(2))
    with pytest.raises(IntegrityError, match="The ledger has a deleted"):
        book.events()
    (finding,) = ledger_verify.verify(store, NAMES).findings
    assert finding.problem == "was deleted: a delete marker hides it"
    marker = next(version for version in store.versions(NAMES.ledger_key(2)) if version.deleted)
    assert marker.version in finding.remedy
    store.delete(NAMES.ledger_key(2), marker.version)
    assert ledger_verify.verify(store, NAMES).intact
