"""A commit's records as they were, where they are not what they have to be any more: from older versions.

Header and file list are known by their digests, so the right version of either can be told from all others.
"""

from __future__ import annotations

import contextlib

from mlops_kit.datasets.read import parse_header
from mlops_kit.datasets.records import Commit, FileList
from mlops_kit.datasets.versions import versions_of
from mlops_kit.errors import IntegrityError
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, Version


def find_header(lake: Store, dataset: str, commit: str) -> tuple[Version, Commit] | None:
    """The newest version of a header that is the right one, and what it says."""
    key = DatasetKeys(dataset).commit(commit)
    for version in versions_of(lake, key):
        body = lake.get(key, version.version)
        header = None if body is None else right_header(body, dataset, commit)
        if header is not None:
            return version, header
    return None


def right_header(body: bytes, dataset: str, commit: str) -> Commit | None:
    with contextlib.suppress(IntegrityError):
        return parse_header(body, dataset, commit)
    return None


def find_file_list(lake: Store, header: Commit) -> tuple[Version, FileList] | None:
    """The newest version of a commit's file list that is the right one, and what it says."""
    key = DatasetKeys(header.dataset).file_list(header.id)
    for version in versions_of(lake, key):
        body = lake.get(key, version.version)
        files = None if body is None else right_file_list(body, header)
        if files is not None:
            return version, files
    return None


def read_file_list(lake: Store, header: Commit) -> tuple[FileList, Version | None] | None:
    """A commit's file list, and which older version it is, if the current one is not right; None: no version is."""
    body = lake.get(DatasetKeys(header.dataset).file_list(header.id))
    files = None if body is None else right_file_list(body, header)
    if files is not None:
        return files, None
    found = find_file_list(lake, header)
    return None if found is None else (found[1], found[0])


def right_file_list(body: bytes, header: Commit) -> FileList | None:
    with contextlib.suppress(IntegrityError):
        files = FileList.parse(body, header)
        files.check_order()
        return files
    return None
