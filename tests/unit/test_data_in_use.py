"""What releases and registered versions were made from: gc must not touch it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlops_kit import registry
from mlops_kit.config import load_project
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store
from mlops_kit.promotion.data_in_use import data_in_use
from mlops_kit.promotion.ledger import Event, Ledger, Release, ReleaseSpec
from tests.kit import Kit
from tests.stores import store_of

LEDGER = "acme-dev-111111111111-ledger"
SPEC = ReleaseSpec(
    image="i",
    artifact_uri="s3://a",
    environment={},
    instance_type="ml.m5.large",
    instance_count=1,
    capture_percent=0,
    encrypt_volume=False,
)


class Registry:
    """Versions by model: data set and commit of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **versions: list[tuple[str, str]]) -> None:
        self.asked: list[str] = []

        def list_versions(sagemaker: Any, names: ModelNames) -> Any:
            self.asked.append(names.model)
            for dataset, commit in versions.get(names.model, []):
                yield SimpleNamespace(lineage=SimpleNamespace(dataset=dataset, dataset_commit=commit))

        monkeypatch.setattr(registry, "list_versions", list_versions)


def release(ledger: Store, names: ModelNames, dataset: str, commit: str) -> None:
    book = Ledger(ledger, names)
    events = book.events()
    made = Release(
        id=f"r{len(events) + 1}",
        config="c",
        spec=SPEC,
        version=1,
        artifact_sha256="a",
        dataset=dataset,
        dataset_commit=commit,
        code_commit="",
        training_job="",
    )
    book.append(
        events,
        Event(seq=0, previous="", time="t", actor="me", action="promotion", outcome="succeeded", release=made),
    )


@pytest.fixture
def cloud(kit: Kit) -> Any:
    names = load_project(kit.project).environment("dev").names
    ledger = store_of(kit.s3, LEDGER)
    return SimpleNamespace(names=names, sagemaker=None, store={"ledger": ledger}.__getitem__)


def test_releases_of_any_time_and_versions_of_the_models_count(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Registry(monkeypatch, churn=[("pets", "v" * 64), ("dogs", "d" * 64), ("pets", "")])
    ledger = cloud.store("ledger")
    release(ledger, cloud.names.model("churn"), "pets", "1" * 64)
    release(ledger, cloud.names.model("churn"), "pets", "2" * 64)
    release(ledger, cloud.names.model("churn"), "dogs", "3" * 64)
    release(ledger, cloud.names.model("retired"), "pets", "4" * 64)
    ledger.put_new(f"{cloud.names.approvals_prefix}churn/x.json", b"{}")
    assert data_in_use(cloud, "pets", ["churn"]) == {"1" * 64, "2" * 64, "4" * 64, "v" * 64}
    assert found.asked == ["churn"], "a model that is not deployed has no group that could be asked"
    assert data_in_use(cloud, "cats", ["churn"]) == set()


def test_a_ledger_that_cannot_be_read_means_that_nothing_is_known(
    cloud: Any, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(monkeypatch)
    names = cloud.names.model("churn")
    release(cloud.store("ledger"), names, "pets", "1" * 64)
    kit.s3.buckets[LEDGER].put(names.ledger_key(1), b"{}")
    with pytest.raises(IntegrityError):
        data_in_use(cloud, "pets", [])
