"""One server for all tests of the local cloud itself: no Terraform, no stacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local_cloud.support import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server.start(tmp_path_factory.mktemp("local-cloud"))
    yield running
    assert running.stop() == 0
