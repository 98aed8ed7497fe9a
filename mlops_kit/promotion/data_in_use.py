"""Which data commits an environment's releases and registered versions were made from: what ``gc`` must not touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlops_kit import registry
from mlops_kit.aws import Cloud
from mlops_kit.promotion.ledger import Ledger


def data_in_use(cloud: Cloud, dataset: str, models: Iterable[str]) -> set[str]:
    """Ids of commits of ``dataset`` that any release, current or past, or any registered version names.

    Looked at are ``models``, and every other model that has a ledger: one that is no longer deployed keeps its history.

    Raises:
        IntegrityError: a ledger cannot be read. What it names is unknown then, so nothing may be removed.
    """
    ledger = cloud.store("ledger")
    named: set[str] = set()
    for model in sorted({*models, *with_ledger(ledger.keys(""), cloud.names.approvals_prefix)}):
        names = cloud.names.model(model)
        for event in Ledger(ledger, names).events():
            if event.release.dataset == dataset:
                named.add(event.release.dataset_commit)
        if model in models:
            for version in registry.list_versions(cloud.sagemaker, names):
                if version.lineage.dataset == dataset:
                    named.add(version.lineage.dataset_commit)
    return named - {""}


def with_ledger(keys: Iterable[str], not_a_model: str) -> Iterator[str]:
    """The model of each key of the ledger bucket, but for keys below ``not_a_model``: the approvals."""
    for key in keys:
        model, slash, _ = key.partition("/")
        if slash and not key.startswith(not_a_model):
            yield model
