"""Counts what was injected; a run in one process says so at its end, and any run in its reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

SAMPLE = 7
"""One injection in so many; `make test-faults` makes all of them."""


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a scenario's summary line."""

    # Not record_property: it warns where a JUnit report is written, and a warning is an error here.
    def keep(line: str) -> None:
        request.node.user_properties.append(("injected", line))

    return keep


@pytest.fixture
def one_in(request: pytest.FixtureRequest) -> int:
    """How many of a sweep's injections there are for each that is made: a sample, unless all are asked for."""
    return 1 if request.config.getoption("--every-fault") else SAMPLE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        f"{report.nodeid.rpartition('/')[2].partition('.')[0]}: {report.nodeid.partition('[')[2][:-1]}: {value}"
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "injected"
    ]
    if lines:
        terminalreporter.section("faults")
        for line in sorted(lines):
            terminalreporter.line(line)
