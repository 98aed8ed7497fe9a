"""Read commits back: header and file list, each checked against its digest, so that what was changed is never used."""

from __future__ import annotations

from mlops_kit.datasets.records import Commit, FileList, parse_commit
from mlops_kit.errors import IntegrityError, NotFoundError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store


def find_commit(lake: Store, dataset: str, commit: str) -> Commit | None:
    """The header of a full commit id, or None if the commit is not in this lake.

    Raises:
        IntegrityError: there is a header, but not the one whose id this is.
    """
    body = lake.get(DatasetKeys(dataset).commit(commit))
    return None if body is None else parse_header(body, dataset, commit)


def parse_header(body: bytes, dataset: str, commit: str) -> Commit:
    """The header, if it is the one of this commit of this data set.

    Raises:
        IntegrityError: it is not.
    """
    header = parse_commit(body, commit)
    if header.dataset != dataset:
        raise IntegrityError(f"Commit {commit} of {dataset} is one of {header.dataset}: it was put there by hand.")
    return header


def read_commit(lake: Store, dataset: str, commit: str) -> Commit:
    """The header of a full commit id.

    Raises:
        NotFoundError: there is no such commit in this lake.
        IntegrityError: there is a header, but not the one whose id this is.
    """
    header = find_commit(lake, dataset, commit)
    if header is None:
        raise NotFoundError(
            f"{dataset} has no commit {commit} in {lake.bucket}.",
            hint="It was made in another environment and never promoted to this one, or was collected as garbage.",
        )
    return header


def exists(lake: Store, dataset: str, commit: str) -> bool:
    return lake.head(DatasetKeys(dataset).commit(commit)) is not None


def read_files(lake: Store, commit: Commit) -> FileList:
    """The files of a commit, in the order of their paths.

    Raises:
        IntegrityError: the list is missing, or not the one whose digest the header names, or out of order.
    """
    body = lake.get(DatasetKeys(commit.dataset).file_list(commit.id))
    if body is None:
        raise IntegrityError(
            f"The file list of commit {commit.id} of {commit.dataset} is missing in {lake.bucket}.",
            hint=f"If S3 still has it: `mlops-kit dataset verify {commit.dataset}@{commit.id[:12]} --repair`.",
        )
    files = FileList.parse(body, commit)
    files.check_order()
    return files
