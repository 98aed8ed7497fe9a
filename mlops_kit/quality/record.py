"""A data test's result, stored beside the commit: of which commit, against which constraints, once and for all.

The commit and the constraints name the object, and both are known by their digests: the same test has one result.
Whoever reads it later, a gate for example, knows that it is about exactly these bytes and exactly these constraints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_kit.config.dataset import Dataset
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects.digests import canonical_json, sha256_bytes
from mlops_kit.objects.strict_json import read_json
from mlops_kit.quality.results import Example, Report, Result

if TYPE_CHECKING:
    from mlops_kit.objects import Store

FORMAT = 1


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """``constraints``: their SHA-256, see :func:`constraints_sha256`. ``rows``: of each table, by its glob.

    ``time`` is UTC in ISO 8601, ``actor`` who ran the test.
    """

    dataset: str
    commit: str
    constraints: str
    passed: bool
    rows: Mapping[str, int]
    results: tuple[Result, ...]
    time: str
    actor: str
    format: int = FORMAT

    @property
    def report(self) -> Report:
        return Report(self.results, self.rows)

    def to_json(self) -> bytes:
        return canonical_json(asdict(self))


def constraints_sha256(constraints: Dataset) -> str:
    """The digest of what is tested: all but description and owner, and but what is left at its default."""
    return sha256_bytes(
        canonical_json(constraints.model_dump(mode="json", exclude={"description", "owner"}, exclude_defaults=True))
    )


def parse(body: bytes, dataset: str, commit: str, constraints: str) -> CheckRecord:
    """Read a result back.

    Raises:
        IntegrityError: it is none, or one of another commit, other constraints, or a later format.
    """
    what = f"The result of the data test of commit {commit} of {dataset}"
    try:
        data = read_json(body)
        if data["format"] != FORMAT:
            raise IntegrityError(
                f"{what} has format {data['format']}; this version reads format {FORMAT}.", hint="Upgrade mlops-kit."
            )
        results = tuple(
            Result(**{**one, "examples": tuple(Example(**example) for example in one["examples"])})
            for one in data.pop("results")
        )
        found = CheckRecord(**data, results=results)
    except (ValueError, TypeError, KeyError) as exc:
        raise IntegrityError(f"{what} cannot be read: {exc}") from exc
    if (found.dataset, found.commit, found.constraints) != (dataset, commit, constraints):
        raise IntegrityError(f"{what} is about {found.dataset}@{found.commit[:12]} and other constraints.")
    if found.passed != found.report.passed:
        raise IntegrityError(f"{what} contradicts itself: its results do not say passed = {found.passed}.")
    return found


def record(
    lake: Store, dataset: str, commit: str, constraints: Dataset, report: Report, *, actor: str, now: datetime
) -> CheckRecord:
    """Store a report, unless the same test has a result already: that one stands, and is returned."""
    digest = constraints_sha256(constraints)
    made = CheckRecord(
        dataset,
        commit,
        digest,
        report.passed,
        dict(report.rows),
        report.results,
        now.isoformat(timespec="seconds"),
        actor,
    )
    if lake.put_new(DatasetKeys(dataset).check(commit, digest), made.to_json(), "application/json"):
        return made
    return read(lake, dataset, commit, digest) or made


def read(lake: Store, dataset: str, commit: str, constraints: str) -> CheckRecord | None:
    """The stored result of a commit against the constraints of this digest; None if nobody tested that."""
    body = lake.get(DatasetKeys(dataset).check(commit, constraints))
    return None if body is None else parse(body, dataset, commit, constraints)
