"""Refs: names that point to a commit and move by compare-and-set, and how a name or short id becomes a commit."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime

from mlops_kit.errors import ConflictError, NotFoundError, UsageError
from mlops_kit.naming import NAME_PATTERN, DatasetKeys
from mlops_kit.objects import Store, canonical_json

DEFAULT_REF = "main"
_COMMIT_ID = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class Ref:
    """Where a ref points, with the ETag that a later move must still find."""

    name: str
    commit: str
    etag: str


def check_name(name: str, what: str = "data set") -> str:
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} is not a {what} name: lower-case letters, digits and hyphens.")
    return name


def parse(text: str) -> tuple[str, str]:
    """``NAME[@REF-or-commit]`` -> (name, ref or commit); without ``@`` it is the default ref."""
    name, _, revision = text.partition("@")
    return check_name(name), revision or DEFAULT_REF


def read(lake: Store, dataset: str, name: str) -> Ref | None:
    found = lake.get_with_etag(DatasetKeys(dataset).ref(name))
    if found is None:
        return None
    body, etag = found
    return Ref(name, json.loads(body)["commit"], etag)


def move(lake: Store, dataset: str, name: str, commit: str, seen: Ref | None, actor: str, now: datetime) -> None:
    """Point the ref to ``commit``, if it still is where it was ``seen``.

    Raises:
        ConflictError: another writer moved it; the commit itself is stored and can be built upon.
    """
    body = canonical_json({"commit": commit, "by": actor, "time": now.isoformat(timespec="seconds")})
    try:
        lake.replace(DatasetKeys(dataset).ref(name), body, seen.etag if seen else None)
    except ConflictError as exc:
        raise ConflictError(
            f"{dataset}@{name} was moved by somebody else while this commit was made.",
            hint=f"See `mlops-kit dataset log {dataset}@{name}`, then commit again on top of it.",
        ) from exc


def resolve(lake: Store, dataset: str, revision: str) -> str:
    """A ref's name, a commit id, or the unambiguous start of one -> the full commit id.

    Raises:
        NotFoundError: no such ref or commit.
        UsageError: a short id that fits several commits.
    """
    if NAME_PATTERN.fullmatch(revision) and (ref := read(lake, dataset, revision)) is not None:
        return ref.commit
    keys = DatasetKeys(dataset)
    if _COMMIT_ID.fullmatch(revision):
        found = sorted(
            key.removeprefix(keys.commits_prefix).removesuffix(".json")
            for key in lake.keys(keys.commits_prefix + revision)
            if key.endswith(".json")
        )
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{revision!r} is the start of {len(found)} commits of {dataset}: "
                + ", ".join(commit[:16] for commit in found[:5]),
                hint="Give more digits.",
            )
    raise NotFoundError(
        f"{dataset} has no ref or commit {revision!r} in {lake.bucket}.",
        hint=f"See `mlops-kit dataset log {dataset}`, or make one: `mlops-kit dataset commit {dataset} PATH -m …`.",
    )
