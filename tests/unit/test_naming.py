"""Names are pure functions, differ where they must, and fit into AWS's limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mlops_kit.naming import BUCKET_KINDS, DatasetKeys, EnvironmentNames, check_lengths

NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1")


def test_no_two_buckets_share_a_name() -> None:
    assert len({NAMES.bucket(kind) for kind in BUCKET_KINDS} | {NAMES.state_bucket}) == len(BUCKET_KINDS) + 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("cats/001.jpg", "datasets/pets/files/cats/001~1f3a9c02b7de.jpg"),
        ("readme", "datasets/pets/files/readme~1f3a9c02b7de"),
        ("a.tar.gz", "datasets/pets/files/a.tar~1f3a9c02b7de.gz"),
        (".hidden", "datasets/pets/files/.hidden~1f3a9c02b7de"),
        ("ünï/cödé x.csv", "datasets/pets/files/ünï/cödé x~1f3a9c02b7de.csv"),
    ],
)
def test_a_file_keeps_its_path_and_type(path: str, expected: str) -> None:
    assert DatasetKeys("pets").file(path, "1f3a9c02b7de" + "0" * 52) == expected


def test_a_release_is_named_by_its_content() -> None:
    model = NAMES.model("churn")
    assert model.release("a" * 64) == model.release("a" * 12 + "b" * 52)
    assert model.release("a" * 64) != model.release("b" * 64)
    assert model.release("a" * 64) != model.initial("a" * 64)


def test_what_is_recorded_of_a_release_has_one_place() -> None:
    model = NAMES.model("churn")
    assert model.ledger_key(7) == "churn/00000007.json"
    assert model.plan_key("a" * 64) == f"churn/plans/{'a' * 64}.json"
    assert model.lock_key == "environment/locks/churn.json"
    assert model.package_key("a" * 64) == f"models/churn/{'a' * 64}/package.json"
    when = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    key = model.approval_key("a" * 64, when, "b" * 64)
    assert key == f"_approvals/churn/{'a' * 64}/20260102T030405Z-{'b' * 12}.json"
    assert key.startswith(model.approvals_of("a" * 64))


def test_two_jobs_of_one_second_have_two_names() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    model = NAMES.model("churn")
    assert model.training_job(when, "a" * 64) == "acme-staging-churn-20260102030405-aaaaaa"
    assert model.training_job(when, "a" * 64) != model.training_job(when, "b" * 64)


def test_names_over_a_limit_are_found() -> None:
    assert check_lengths(NAMES, ("churn",)) == []
    long = EnvironmentNames("p" * 30, "e" * 20, "222222222222", "us-east-1")
    found = check_lengths(long, ("m" * 30,))
    assert any("lake bucket" in text for text in found)
    assert any("endpoint config" in text for text in found)
