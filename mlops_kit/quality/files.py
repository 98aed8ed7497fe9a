"""Which files belong to which constraint, and the constraints on files themselves: number, size, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from mlops_kit.config.dataset import Dataset, Files
from mlops_kit.quality.results import EXAMPLES, Example, Result, listed, some


def matching(glob: str, paths: Iterable[str]) -> list[str]:
    """The paths that a glob means, in their order."""
    pattern = _regex(glob)
    return sorted(path for path in paths if pattern.fullmatch(path))


@cache
def _regex(glob: str) -> re.Pattern[str]:
    """``*`` and ``?`` stay inside a directory, ``**/`` is any number of directories; all else is itself."""
    pieces = []
    parts = glob.split("/")
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == "**":
            pieces.append(".+" if last else "(?:[^/]+/)*")
            continue
        one = re.sub(r"\*+", "*", part)
        pieces.append("".join({"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character)) for character in one))
        pieces.append("" if last else "/")
    return re.compile("".join(pieces), re.DOTALL)


def check_files(constraints: Dataset, sizes: Mapping[str, int]) -> list[Result]:
    """Hold files (path -> bytes) against ``files`` and ``other_files``."""
    results = [result for rule in constraints.files for result in _of_rule(rule, sizes)]
    if constraints.other_files == "refuse":
        globs = [*(table.files for table in constraints.tables), *(rule.match for rule in constraints.files)]
        known = {path for glob in globs for path in matching(glob, sizes)}
        others = sorted(set(sizes) - known)
        message = (
            f"{some(len(others), 'file')} no constraint knows: {listed(others)}" if others else "every file is known"
        )
        results.append(_result("other_files", others, len(sizes), message))
    return results


def _of_rule(rule: Files, sizes: Mapping[str, int]) -> list[Result]:
    found = matching(rule.match, sizes)
    wanted = f"at least {rule.min_count:,}" + ("" if rule.max_count is None else f", at most {rule.max_count:,}")
    fits = rule.min_count <= len(found) and (rule.max_count is None or len(found) <= rule.max_count)
    message = f"{rule.match}: {some(len(found), 'file')}; {wanted}"
    results = [Result("count", None, None, fits, 0 if fits else len(found), len(found), (), message)]
    if rule.min_bytes is not None:
        small = [path for path in found if sizes[path] < rule.min_bytes]
        told = f"{rule.match}: {some(len(small), 'file')} under {rule.min_bytes:,} bytes"
        results.append(_result("min_bytes", small, len(found), told, sizes))
    if rule.max_bytes is not None:
        large = [path for path in found if sizes[path] > rule.max_bytes]
        told = f"{rule.match}: {some(len(large), 'file')} over {rule.max_bytes:,} bytes"
        results.append(_result("max_bytes", large, len(found), told, sizes))
    return results


def _result(
    constraint: str, wrong: list[str], examined: int, message: str, sizes: Mapping[str, int] | None = None
) -> Result:
    examples = tuple(Example(f"{sizes[path]} bytes" if sizes else path, path) for path in wrong[:EXAMPLES])
    return Result(constraint, None, None, not wrong, len(wrong), examined, examples, message)
