"""How what people write becomes a commit: ``NAME@REVISION``, by the rules of git.

A revision is a branch, a tag, a commit id or the unambiguous start of one (four digits or more; a name wins over the
start of an id), and after it any number of ``^`` (the parent) and ``~N`` (N generations back). ``refs/main`` and
``tags/v1`` are only ever the branch and the tag.
"""

from __future__ import annotations

import re
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice, pairwise

from botocore.exceptions import ClientError

from mlops_kit.datasets.ancestry import ancestor, commit_ids
from mlops_kit.datasets.listing import datasets
from mlops_kit.datasets.pointers import (
    COMMIT_ID,
    DEFAULT_REF,
    TAG_PATTERN,
    Kind,
    Ref,
    all_names,
    all_refs,
    branches,
    check_branch,
    check_name,
    check_tag,
    key,
    move,
    read,
    tags,
)
from mlops_kit.datasets.read import exists, find_commit
from mlops_kit.errors import IntegrityError, NotFoundError, UsageError
from mlops_kit.objects import Store, codes, each

__all__ = [
    "DEFAULT_REF",
    "Ref",
    "all_refs",
    "branches",
    "check_branch",
    "check_name",
    "check_tag",
    "move",
    "no_such_dataset",
    "parse",
    "read",
    "resolve",
    "tags",
]

_REVISION = re.compile(r"(?P<base>[^~^]+)(?P<steps>(?:~[0-9]{0,9}|\^)*)")
_SHORT_ID = re.compile(r"[0-9a-fA-F]{4,63}")
_PREFIXES: dict[str, Kind] = {"refs/": "branch", "tags/": "tag"}
_SHOWN = 8


def parse(text: str) -> tuple[str, str]:
    """``NAME[@REVISION]`` -> (name, revision); without ``@`` it is the default branch.

    Raises:
        UsageError: not a data set's name, or nothing behind the ``@``: a variable that is not set must not mean main.
    """
    name, at, revision = text.partition("@")
    if at and not revision:
        raise UsageError(
            f"{text!r} has no revision behind the @.", hint=f"Write {name} or {name}@{DEFAULT_REF} for the newest data."
        )
    return check_name(name), revision or DEFAULT_REF


def resolve(lake: Store, dataset: str, revision: str) -> str:
    """A revision -> the full id of the commit.

    Raises:
        NotFoundError: no such branch, tag or commit (the message lists those that there are), or no such ancestor.
        UsageError: it can mean several commits (the message lists them), or is not a revision at all.
    """
    written = _REVISION.fullmatch(revision)
    if written is None:
        raise UsageError(
            f"{revision!r} is not a revision.",
            hint="A branch, a tag or a commit id (or its start), and behind it any of ^ (parent) and ~N (N back).",
        )
    commit = _base(lake, dataset, written["base"])
    # "~" alone is one generation, as "^" is.
    steps = sum(1 if step in "~^" else int(step[1:]) for step in re.findall(r"\^|~[0-9]*", written["steps"]))
    return ancestor(lake, dataset, commit, steps) if steps else commit


def _base(lake: Store, dataset: str, base: str) -> str:
    if COMMIT_ID.fullmatch(base):
        if exists(lake, dataset, base):
            return base
        raise _not_found(lake, dataset, base)
    for prefix, kind in _PREFIXES.items():
        if base.startswith(prefix) and TAG_PATTERN.fullmatch(base.removeprefix(prefix)):
            ref = read(lake, dataset, base.removeprefix(prefix), kind)
            if ref is None:
                raise _not_found(lake, dataset, base)
            return ref.commit
    if TAG_PATTERN.fullmatch(base):
        kinds: list[Kind] = ["branch", "tag"]
        named = [ref for ref in each(lambda kind: _named(lake, dataset, base, kind), kinds) if ref is not None]
        if len(named) > 1:
            raise UsageError(
                f"{base!r} is both a branch and a tag of {dataset}: "
                + ", ".join(f"{ref.full_name} is {ref.commit[:12]}" for ref in named)
                + ".",
                hint=f"Write {dataset}@{named[0].full_name} or {dataset}@{named[1].full_name}, and delete one of them.",
            )
        if named:
            return named[0].commit
    if _SHORT_ID.fullmatch(base):
        found = commit_ids(lake, dataset, base.lower())
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(lake, dataset, base, found)
    raise _not_found(lake, dataset, base)


def _named(lake: Store, dataset: str, name: str, kind: Kind) -> Ref | None:
    """As ``read``, of what may well be absent, which a listing tells everybody.

    Asked for the object itself, S3 refuses a caller who may list only a part of the bucket, as a promoter its source.
    """
    where = key(dataset, name, kind)
    try:
        if all(item.key != where for item in lake.listing(where)):
            return None
    except ClientError as exc:
        if codes.of(exc) not in codes.REFUSED:
            raise
        # Who may list nothing at all may still read.
    return read(lake, dataset, name, kind)


def _ambiguous(lake: Store, dataset: str, start: str, found: list[str]) -> UsageError:
    digits = max(12, *(_shared(one, other) + 1 for one, other in pairwise(sorted(found))))

    def line(commit: str) -> str:
        try:
            header = find_commit(lake, dataset, commit)
        except IntegrityError:
            return f"  {commit[:digits]}  its header was changed"
        about = f"{header.time}  {header.message.partition(chr(10))[0]}" if header else "deleted just now"
        return f"  {commit[:digits]}  {about}"

    lines = each(line, found[:_SHOWN])
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN} more")
    return UsageError(
        "\n".join([f"{start!r} is the start of {len(found)} commits of {dataset}:", *lines]), hint="Give more digits."
    )


def _shared(one: str, other: str) -> int:
    """How many characters two ids begin with alike."""
    return next(at for at, (left, right) in enumerate(zip(one, other, strict=True)) if left != right)


def _not_found(lake: Store, dataset: str, revision: str) -> NotFoundError:
    """Says what there is instead, as far as the caller may know."""
    names: list[tuple[str, Kind]] = []
    with suppress(ClientError):
        names = all_names(lake, dataset)
        if not names and not commit_ids(lake, dataset):
            return no_such_dataset(lake, dataset)
    if revision.lower() == "head":
        hint = f"A data set in a bucket has no HEAD; its default branch is {DEFAULT_REF}."
    else:
        listed = {kind: [name for name, its in names if its == kind] for kind in _PREFIXES.values()}
        hint = f"Branches: {_some(listed['branch'])}. Tags: {_some(listed['tag'])}."
        hint += f" Commits: `mlops-kit dataset log {dataset}`."
    close = _did_you_mean(revision, [name for name, _ in names])
    return NotFoundError(f"{dataset} has no branch, tag or commit {revision!r} in {lake.bucket}{close}", hint=hint)


def no_such_dataset(lake: Store, dataset: str) -> NotFoundError:
    """To be raised; says which ones there are."""
    known = list(islice(datasets(lake), 200))
    return NotFoundError(
        f"There is no data set {dataset!r} in {lake.bucket}{_did_you_mean(dataset, known)}",
        hint=f"Data sets: {_some(known)}."
        if known
        else f"There is none at all yet. Make one: `mlops-kit dataset commit {dataset} PATH -m …`.",
    )


def _did_you_mean(what: str, names: list[str]) -> str:
    close = get_close_matches(what.lower(), names, n=1)
    return f". Did you mean {close[0]!r}?" if close else "."


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:20]) or "none"
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
