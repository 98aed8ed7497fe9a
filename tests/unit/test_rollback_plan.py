"""A rollback is planned from the ledger alone."""

from __future__ import annotations

import pytest

from mlops_kit.errors import UsageError
from mlops_kit.promotion import rollback
from tests.ledgers import event, release, world


def test_a_rollback_does_not_turn_an_endpoint_into_something_else() -> None:
    batch = release(1).model_copy(update={"spec": release(1).spec.model_copy(update={"kind": "batch"})})
    with world() as here:
        here.write(event(1, release=batch), event(2), event(3))
        assert rollback.plan(here.book).target.id == "r2"
        with pytest.raises(UsageError, match="r1 was served as 'batch', and r3 is served as 'realtime'"):
            rollback.plan(here.book, "r1")
