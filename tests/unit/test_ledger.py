"""The ledger's folds, and that nobody can edit, drop or fork it unnoticed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import EnvironmentNames
from mlops_kit.promotion import ledger, rollback
from mlops_kit.promotion.ledger import Event, Ledger, Release, ReleaseSpec

NAMES = EnvironmentNames("acme", "dev", "111111111111", "us-east-1").model("churn")


@dataclass
class MemoryStore:
    """A bucket with create-only writes, and nothing else."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def put_new(self, key: str, body: bytes, content_type: str = "") -> bool:
        if key in self.objects:
            return False
        self.objects[key] = body
        return True


def release(number: int) -> Release:
    spec = ReleaseSpec(
        image="registry.example/team/image:1",
        artifact_uri=f"s3://bucket/{number}",
        environment={},
        instance_type="ml.m5.large",
        instance_count=1,
        capture_percent=100,
        encrypt_volume=True,
    )
    return Release(
        id=f"r{number}",
        config=f"config-{number}",
        spec=spec,
        version=number,
        artifact_sha256=str(number) * 64,
        dataset="d",
        dataset_commit="c" * 64,
        code_commit="",
        training_job="job",
    )


Action = Literal["promotion", "rollback"]


def event(number: int, action: Action = "promotion", outcome: Literal["succeeded", "failed"] = "succeeded") -> Event:
    return Event(
        seq=0, previous="", time="2026-01-01T00:00:00+00:00", actor="me", action=action, outcome=outcome,
        release=release(number),
    )  # fmt: skip


def book(*events: Event) -> tuple[Ledger, MemoryStore]:
    store = MemoryStore()
    opened = Ledger(store, NAMES)  # type: ignore[arg-type]
    for item in events:
        opened.append(opened.events(), item)
    return opened, store


def current(*events: Event) -> str | None:
    found = ledger.current(book(*events)[0].events())
    return found.id if found else None


def test_the_current_release_is_a_fold_over_the_events() -> None:
    assert current() is None
    assert current(event(1, outcome="failed")) is None
    assert current(event(1)) == "r1"
    assert current(event(1), event(2)) == "r2"
    assert current(event(1), event(2), event(3, outcome="failed")) == "r2"
    assert current(event(1), event(2), event(1, "rollback")) == "r1"
    assert current(event(1), event(2), event(1, "rollback"), event(3)) == "r3"


def target(*events: Event, wanted: str | None = None) -> str:
    return ledger.rollback_target(book(*events)[0].events(), wanted).id


def test_a_rollback_goes_to_the_release_before_the_current_one() -> None:
    assert target(event(1), event(2)) == "r1"
    assert target(event(1), event(2), event(3)) == "r2"
    assert target(event(1), event(2), event(3), event(2, "rollback")) == "r1", "not forward to r3 again"
    assert target(event(1), event(2), event(1, "rollback"), event(3)) == "r1", "r2 was given up"
    assert target(event(1), event(2), event(3, outcome="failed")) == "r1"
    assert target(event(1), event(2), event(3), wanted="r1") == "r1"


def test_what_cannot_be_rolled_back_to_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to roll back"):
        target()
    with pytest.raises(UsageError, match="first release"):
        target(event(1))
    with pytest.raises(NotFoundError, match="no release 'r9'"):
        target(event(1), event(2), wanted="r9")
    with pytest.raises(UsageError, match="what runs now"):
        target(event(1), event(2), wanted="r2")


def test_a_rollback_does_not_turn_an_endpoint_into_something_else() -> None:
    batch = release(1).model_copy(update={"spec": release(1).spec.model_copy(update={"kind": "batch"})})
    opened, _ = book(event(1).model_copy(update={"release": batch}), event(2), event(3))
    assert rollback.plan(opened).target.id == "r2"
    with pytest.raises(UsageError, match="r1 was served as 'batch', and r3 is served as 'realtime'"):
        rollback.plan(opened, "r1")


def test_release_ids_count_the_successes() -> None:
    opened, _ = book(event(1), event(2, outcome="failed"), event(1, "rollback"))
    assert ledger.next_id(opened.events()) == "r2"


def test_each_success_lets_go_of_at_most_one_old_config() -> None:
    def old(*events: Event) -> str | None:
        found = ledger.superseded(book(*events)[0].events(), keep=2)
        return found.id if found else None

    assert old(event(1), event(2), event(3)) is None
    assert old(event(1), event(2), event(3), event(4)) == "r1"
    assert old(event(1), event(2), event(3), event(4), event(5)) == "r2"
    assert old(event(1), event(2), event(3), event(1, "rollback"), event(4)) == "r2", "r1 ran after r2"
    assert old(event(1), event(2), event(3), event(4, outcome="failed")) is None


def test_of_two_writers_one_wins_and_the_other_is_told() -> None:
    opened, store = book(event(1))
    seen = opened.events()
    opened.append(seen, event(2))
    with pytest.raises(ConflictError, match="recorded event 2"):
        opened.append(seen, event(3))
    assert len(store.objects) == 2


def test_a_repeated_write_of_the_same_event_is_no_conflict() -> None:
    opened, store = book(event(1))
    seen = opened.events()
    assert opened.append(seen, event(2)) == opened.append(seen, event(2))
    assert len(store.objects) == 2


def test_events_from_before_a_field_existed_keep_their_digests() -> None:
    opened, store = book(event(1), event(2))
    first = store.objects["churn/00000001.json"]
    assert b'"kind"' not in first, "what a spec leaves at its default is not written"
    assert opened.events()[0].to_json() == first
    serverless = event(3)
    spec = serverless.release.spec.model_copy(update={"kind": "serverless", "instance_type": ""})
    opened.append(
        opened.events(), serverless.model_copy(update={"release": release(3).model_copy(update={"spec": spec})})
    )
    assert [e.release.spec.kind for e in opened.events()] == ["realtime", "realtime", "serverless"]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda o: o.pop("churn/00000001.json"),
        lambda o: o.pop("churn/00000002.json"),
        lambda o: o.update(
            {"churn/00000001.json": o["churn/00000001.json"].replace(b'"actor":"me"', b'"actor":"you"')}
        ),
        lambda o: o.update({"churn/00000002.json": o["churn/00000001.json"]}),
        lambda o: o.update({"churn/00000002.json": b"{}"}),
        lambda o: o.update({"churn/00000002.json": b"not json"}),
        lambda o: o.update({"churn/stray.json": b"{}"}),
    ],
    ids=["first gone", "middle gone", "edited", "swapped", "emptied", "garbage", "stray"],
)
def test_tampering_is_an_integrity_failure(tamper: Any) -> None:
    opened, store = book(event(1), event(2), event(3))
    tamper(store.objects)
    with pytest.raises(IntegrityError):
        opened.events()
