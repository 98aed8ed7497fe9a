"""Make and delete branches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlops_kit.datasets import pointers
from mlops_kit.datasets.ancestry import reachable, walk
from mlops_kit.datasets.pointers import DEFAULT_REF, Ref
from mlops_kit.datasets.records import Commit
from mlops_kit.errors import ConflictError, IntegrityError, NotFoundError, UsageError
from mlops_kit.objects import Store


@dataclass(frozen=True, slots=True)
class Deleted:
    """What deleting a branch did."""

    name: str
    commit: str | None
    """Where it pointed; None if what was stored did not say so."""
    lost: tuple[Commit, ...]
    """Commits that no branch or tag reaches any more, newest first: ``gc`` removes them after its grace period."""


def create(lake: Store, dataset: str, name: str, commit: str, *, actor: str, now: datetime) -> bool:
    """Make a branch at a commit; True if this call did, False if it is there and points to the same commit.

    Raises:
        NotFoundError: there is no such commit.
        ConflictError: the name is taken by another branch, or by a tag.
    """
    return pointers.create(lake, dataset, pointers.check_branch(name), commit, "branch", actor=actor, now=now)


def delete(lake: Store, dataset: str, name: str, *, force: bool = False) -> Deleted:
    """Delete a branch. Its object keeps its older versions, as all objects do.

    ``force`` also deletes a branch that is the only way to some commits, or one that cannot be read.

    Raises:
        UsageError: it is the default branch, or commits would be lost (the message lists them).
        NotFoundError: there is no such branch.
        ConflictError: it was moved meanwhile.
    """
    if name == DEFAULT_REF:
        raise UsageError(f"{name!r} is the default branch of {dataset} and stays.")
    try:
        branch = pointers.read(lake, dataset, name)
    except IntegrityError:
        if not force:
            raise
        lake.delete(pointers.key(dataset, name, "branch"))
        return Deleted(name, None, ())
    if branch is None:
        raise pointers.no_such(lake, dataset, name, "branch")
    lost = _only_reached_by(lake, dataset, branch, force=force)
    if lost and not force:
        lines = [f"  {one.id[:12]}  {one.time}  {one.message.partition(chr(10))[0]}" for one in lost[:20]]
        if len(lost) > 20:
            lines.append(f"  and {len(lost) - 20} more")
        count = "1 commit" if len(lost) == 1 else f"{len(lost)} commits"
        raise UsageError(
            "\n".join([f"No other branch or tag reaches {count} of {dataset}@{name}:", *lines]),
            hint=f"Keep them by a tag (`mlops-kit dataset tag {dataset} TAG {name}`), or give them up with --force.",
        )
    still = pointers.read(lake, dataset, name)
    if still is not None and still.etag != branch.etag:
        raise ConflictError(f"{dataset}@{name} was moved meanwhile, to {still.commit[:12]}; it was not deleted.")
    lake.delete(pointers.key(dataset, name, "branch"))
    return Deleted(name, branch.commit, lost)


def _only_reached_by(lake: Store, dataset: str, branch: Ref, *, force: bool) -> tuple[Commit, ...]:
    """The commits that nothing reaches but this branch, newest first."""
    try:
        others = [ref.commit for ref in pointers.all_refs(lake, dataset) if ref.full_name != branch.full_name]
        if branch.commit in others:
            return ()
        kept = reachable(lake, dataset, others)
        lost: list[Commit] = []
        for header in walk(lake, dataset, branch.commit):
            if header.id in kept:
                break
            lost.append(header)
    except (NotFoundError, IntegrityError):
        if not force:
            raise
        return ()
    return tuple(lost)
