"""Make and delete tags: names that never move."""

from __future__ import annotations

from datetime import datetime

from mlops_kit.datasets import pointers
from mlops_kit.errors import IntegrityError
from mlops_kit.objects import Store


def create(lake: Store, dataset: str, name: str, commit: str, *, actor: str, now: datetime) -> bool:
    """Tag a commit; True if this call did, False if it has that tag already.

    Raises:
        NotFoundError: there is no such commit.
        ConflictError: the name is taken by a tag of another commit, or by a branch.
    """
    return pointers.create(lake, dataset, pointers.check_tag(name), commit, "tag", actor=actor, now=now)


def delete(lake: Store, dataset: str, name: str, *, force: bool = False) -> str | None:
    """Delete a tag; the commit that it named, which stays. ``force`` also deletes one that cannot be read (None).

    Raises:
        NotFoundError: there is no such tag.
    """
    try:
        tag = pointers.read(lake, dataset, name, "tag")
    except IntegrityError:
        if not force:
            raise
        lake.delete(pointers.key(dataset, name, "tag"))
        return None
    if tag is None:
        raise pointers.no_such(lake, dataset, name, "tag")
    lake.delete(pointers.key(dataset, name, "tag"))
    return tag.commit
