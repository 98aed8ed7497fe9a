"""Branches and tags as they are stored: names that point to commits.

A branch moves by compare-and-set. A tag is written once. Both are a small JSON object, ``{"by", "commit", "time"}``,
below ``refs/`` and ``tags/``. How what a user writes becomes a commit is in ``refs``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Literal

from mlops_kit.datasets.read import exists
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import NAME_PATTERN, DatasetKeys
from mlops_kit.objects import Store, canonical_json, each
from mlops_kit.objects.strict_json import read_json

DEFAULT_REF = "main"
SUFFIX = ".json"
COMMIT_ID = re.compile(r"[0-9a-f]{64}")
TAG_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
MAX_NAME = 128
_MISLEADING = f"it reads like something else (a commit id, HEAD, {DEFAULT_REF}), or is over {MAX_NAME} characters"

Kind = Literal["branch", "tag"]


@dataclass(frozen=True, slots=True)
class Ref:
    """Where a branch or tag points, with the ETag that a later move must still find."""

    name: str
    commit: str
    etag: str
    kind: Kind = "branch"
    by: str = ""
    time: str = ""

    @property
    def full_name(self) -> str:
        """What names it whatever else has the same name: ``refs/main``, ``tags/v1``."""
        return f"{'refs' if self.kind == 'branch' else 'tags'}/{self.name}"


def check_name(name: str, what: str = "data set") -> str:
    """The name, if a data set can have it."""
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} is not a {what} name: lower-case letters, digits and hyphens.")
    return name


def check_branch(name: str) -> str:
    check_name(name, "branch")
    if _misleads(name):
        raise UsageError(f"{name[:MAX_NAME]!r} cannot be a branch: {_MISLEADING}.")
    return name


def check_tag(name: str) -> str:
    if not TAG_PATTERN.fullmatch(name) or ".." in name:
        raise UsageError(
            f"{name!r} is not a tag name: lower-case letters and digits, and between them hyphens, dots, underscores."
        )
    if _misleads(name) or name == DEFAULT_REF:
        raise UsageError(f"{name[:MAX_NAME]!r} cannot be a tag: {_MISLEADING}.")
    return name


def _misleads(name: str) -> bool:
    return name == "head" or COMMIT_ID.fullmatch(name) is not None or len(name) > MAX_NAME


def key(dataset: str, name: str, kind: Kind) -> str:
    keys = DatasetKeys(dataset)
    return keys.ref(name) if kind == "branch" else keys.tag(name)


def read(lake: Store, dataset: str, name: str, kind: Kind = "branch") -> Ref | None:
    """Where a branch (or tag) points, or None if there is none.

    Raises:
        IntegrityError: what is stored under its name is not one.
    """
    where = key(dataset, name, kind)
    found = lake.get_with_etag(where)
    if found is None:
        return None
    body, etag = found
    try:
        data = read_json(body)
        commit = data["commit"]
        if not COMMIT_ID.fullmatch(commit):
            raise ValueError(f"{commit!r} is not a commit id")
    except (ValueError, TypeError, KeyError) as exc:
        raise IntegrityError(
            f"{lake.uri(where)} is not a {kind}: it does not say where it points.",
            hint="Restore its previous version, or delete it (--force) and make it again.",
        ) from exc
    return Ref(name, commit, etag, kind, str(data.get("by", "")), str(data.get("time", "")))


def no_such(lake: Store, dataset: str, name: str, kind: Kind) -> NotFoundError:
    """To be raised; says which ones there are."""
    there = [other for other, its in all_names(lake, dataset) if its == kind]
    close = get_close_matches(name, there, n=1)
    return NotFoundError(
        f"{dataset} has no {kind} {name!r} in {lake.bucket}." + (f" Did you mean {close[0]!r}?" if close else ""),
        hint=f"There are: {', '.join(there[:20]) or 'none'}.",
    )


def move(lake: Store, dataset: str, name: str, commit: str, seen: Ref | None, actor: str, now: datetime) -> None:
    """Point a branch to ``commit``, if it still is where it was ``seen``; None makes it.

    That it points there already is success: then somebody else did the same, or an earlier try of ours.

    Raises:
        UsageError: no branch can have that name.
        ConflictError: another writer moved it, or a tag has that name. The commit is stored and can be built upon.
    """
    if seen is not None and seen.commit == commit:
        return
    if seen is None:
        check_branch(name)
        _refuse_taken(lake, dataset, name, "branch")
    try:
        lake.replace(key(dataset, name, "branch"), _body(commit, actor, now), seen.etag if seen else None)
    except ConflictError as exc:
        there = read(lake, dataset, name)
        if there is not None and there.commit == commit:
            return
        where = f"to {there.commit[:12]} by {there.by or 'somebody else'}" if there else "away by somebody else"
        raise ConflictError(
            f"{dataset}@{name} was moved {where} meanwhile.",
            hint=f"Commit {commit} is stored, and nothing of it has to travel again. See what is new with "
            f"`mlops-kit dataset log {dataset}@{name}`, then run the same command again to build upon it.",
        ) from exc


def create(lake: Store, dataset: str, name: str, commit: str, kind: Kind, *, actor: str, now: datetime) -> bool:
    """Make a branch or a tag; True if this call did, False if it was there and points to the same commit.

    Raises:
        NotFoundError: there is no such commit.
        ConflictError: the name is taken.
    """
    if not exists(lake, dataset, commit):
        raise NotFoundError(f"{dataset} has no commit {commit} in {lake.bucket}.")
    _refuse_taken(lake, dataset, name, kind)
    if not lake.put_new(key(dataset, name, kind), _body(commit, actor, now), "application/json"):
        there = read(lake, dataset, name, kind)
        if there is None or there.commit != commit:
            where = f" and points to {there.commit[:12]}" if there else ""
            raise ConflictError(
                f"{dataset} has a {kind} {name!r} already{where}.",
                hint="A tag does not move: take another name." if kind == "tag" else "Take another name.",
            )
        return False
    _confirm(lake, dataset, name, commit, kind)
    return True


def _confirm(lake: Store, dataset: str, name: str, commit: str, kind: Kind) -> None:
    """Look whether the commit is still there, now that the new name keeps it from being collected as garbage."""
    if exists(lake, dataset, commit):
        return
    there = read(lake, dataset, name, kind)
    if there is not None and there.commit == commit:
        lake.delete(key(dataset, name, kind))
    raise NotFoundError(
        f"Commit {commit} of {dataset} was collected as garbage while {name!r} was made; {name!r} was removed again.",
        hint="See `mlops-kit dataset log` for the commits that are there.",
    )


def branches(lake: Store, dataset: str) -> tuple[Ref, ...]:
    """All branches, by name."""
    return _read_all(lake, dataset, [(name, "branch") for name in _names(lake, DatasetKeys(dataset).refs_prefix)])


def tags(lake: Store, dataset: str) -> tuple[Ref, ...]:
    """All tags, by name."""
    return _read_all(lake, dataset, [(name, "tag") for name in _names(lake, DatasetKeys(dataset).tags_prefix)])


def all_refs(lake: Store, dataset: str) -> tuple[Ref, ...]:
    """All branches, then all tags, each by name."""
    return _read_all(lake, dataset, all_names(lake, dataset))


def all_names(lake: Store, dataset: str) -> list[tuple[str, Kind]]:
    """Names of all branches and tags; not read, so that one which is broken can be named."""
    keys = DatasetKeys(dataset)
    found = each(lambda prefix: _names(lake, prefix), [keys.refs_prefix, keys.tags_prefix])
    return [*((name, "branch") for name in found[0]), *((name, "tag") for name in found[1])]


def _names(lake: Store, prefix: str) -> list[str]:
    return [key.removeprefix(prefix).removesuffix(SUFFIX) for key in lake.keys(prefix) if key.endswith(SUFFIX)]


def _read_all(lake: Store, dataset: str, names: list[tuple[str, Kind]]) -> tuple[Ref, ...]:
    found = each(lambda one: read(lake, dataset, *one), names)
    return tuple(ref for ref in found if ref is not None)  # None: deleted since it was listed


def _refuse_taken(lake: Store, dataset: str, name: str, kind: Kind) -> None:
    other: Kind = "tag" if kind == "branch" else "branch"
    if lake.head(key(dataset, name, other)) is not None:
        raise ConflictError(f"{dataset} has a {other} {name!r}; a {kind} of that name would be taken for it.")


def _body(commit: str, actor: str, now: datetime) -> bytes:
    return canonical_json({"commit": commit, "by": actor, "time": now.isoformat(timespec="seconds")})
