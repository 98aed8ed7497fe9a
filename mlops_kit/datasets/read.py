"""Read commits back: header, file list, history. Everything is checked against its digest."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_kit.datasets.records import Commit, FileEntry, parse_commit, parse_files
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store


def read_commit(lake: Store, dataset: str, commit: str) -> Commit:
    """The header of a full commit id."""
    body = lake.get(DatasetKeys(dataset).commit(commit))
    if body is None:
        raise NotFoundError(f"{dataset} has no commit {commit} in {lake.bucket}.")
    return parse_commit(body, commit)


def exists(lake: Store, dataset: str, commit: str) -> bool:
    return lake.head(DatasetKeys(dataset).commit(commit)) is not None


def read_files(lake: Store, commit: Commit) -> tuple[FileEntry, ...]:
    """The files of a commit, in the order of their paths."""
    body = lake.get(DatasetKeys(commit.dataset).file_list(commit.id))
    if body is None:
        raise IntegrityError(f"The file list of commit {commit.id} of {commit.dataset} is missing in {lake.bucket}.")
    return parse_files(body, commit)


def log(lake: Store, dataset: str, commit: str) -> Iterator[Commit]:
    """The commit and its ancestors, newest first; ends early where an ancestor was never promoted here."""
    current: str | None = commit
    while current is not None:
        body = lake.get(DatasetKeys(dataset).commit(current))
        if body is None:
            if current == commit:
                raise NotFoundError(f"{dataset} has no commit {commit} in {lake.bucket}.")
            return
        header = parse_commit(body, current)
        yield header
        current = header.parent
