"""A data commit in a lineage: its header, its parent, its tests, and its files."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Final

from botocore.exceptions import ClientError

from mlops_kit.datasets.read import find_commit, read_files
from mlops_kit.datasets.records import Commit, FileEntry
from mlops_kit.errors import MlopsKitError
from mlops_kit.lineage.graph import Drawing, Node, facts
from mlops_kit.lineage.refusals import refusal
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store
from mlops_kit.quality import record

FIRST_FILES: Final = 5


def draw(drawing: Drawing, lake: Store, dataset: str, commit: str, *, below: Node, files: int | None) -> None:
    """The commit and what there is to say about it. ``files``: how many are named; None: all."""
    try:
        header = find_commit(lake, dataset, commit)
    except ClientError as exc:
        unread = replace(commit_node(lake, dataset, commit, None), note=f"this role may not read it ({refusal(exc)})")
        drawing.add(unread, below=below, relation="trained on")
        return
    node = drawing.add(commit_node(lake, dataset, commit, header), below=below, relation="trained on")
    if header is None:
        return
    if header.parent is not None:
        parent = find_commit(lake, dataset, header.parent)
        drawing.add(commit_node(lake, dataset, header.parent, parent), below=node, relation="after")
    for check in _checks(lake, dataset, commit):
        drawing.add(check, below=node, relation="tested by")
    for file in _files(lake, header, files):
        drawing.add(file, below=node, relation="holds")


def commit_id(dataset: str, commit: str) -> str:
    return f"data:{dataset}@{commit}"


def commit_node(lake: Store, dataset: str, commit: str, header: Commit | None) -> Node:
    id_, label = commit_id(dataset, commit), f"{dataset}@{commit[:12]}"
    known = facts(dataset=dataset, commit=commit, bucket=lake.bucket)
    if header is None:
        return Node(id_, "data", label, known, f"not in {lake.bucket}")
    known |= facts(
        time=header.time,
        author=header.author,
        message=header.message,
        files=header.files,
        bytes=header.size,
        file_list=header.file_list,
    )
    return Node(id_, "data", f"{label} of {header.time} by {header.author}: {header.files} files", known)


def _checks(lake: Store, dataset: str, commit: str) -> list[Node]:
    prefix, found = DatasetKeys(dataset).checks(commit), []
    for key in lake.keys(prefix):
        constraints = key.removeprefix(prefix).removesuffix(".json")
        id_ = f"check:{commit}/{constraints}"
        try:
            result = record.read(lake, dataset, commit, constraints)
        except MlopsKitError as exc:
            found.append(
                Node(id_, "check", f"data test {constraints[:12]}", facts(constraints=constraints), exc.message)
            )
            continue
        if result is None:
            continue
        failed = len(result.report.failed)
        outcome = f"{len(result.results)} passed" if result.passed else f"{failed} of {len(result.results)} failed"
        label = f"data test {constraints[:12]}: {outcome} at {result.time}"
        known = facts(constraints=constraints, passed=result.passed, time=result.time, by=result.actor)
        found.append(Node(id_, "check", label, known))
    return found


def _files(lake: Store, header: Commit, first: int | None) -> list[Node]:
    try:
        entries = read_files(lake, header)
    except MlopsKitError as exc:
        return [Node(f"files:{header.id}", "files", "files", note=exc.message)]
    found = [_file(header, entry) for entry in islice(entries, first)]
    if rest := len(entries) - len(found):
        known = facts(files=rest, bytes=header.size - sum(int(node.facts["bytes"]) for node in found))
        found.append(Node(f"files:{header.id}", "files", f"{rest} more files", known))
    return found


def _file(header: Commit, entry: FileEntry) -> Node:
    key = DatasetKeys(header.dataset).file(entry.path, entry.sha256)
    known = facts(path=entry.path, sha256=entry.sha256, bytes=entry.size, key=key)
    return Node(f"file:{key}@{entry.sha256}", "file", f"{entry.path} ({entry.size} bytes)", known)
