"""``/opt/ml`` of a container, as a directory of this machine.

A job cannot write to ``/opt/ml`` on a laptop, so each has a base directory that stands for it, and every ``/opt/ml`` in
what the job was given (local paths, entry point, arguments, values of its environment) is replaced by that directory.
What a script has written down by itself stays as it is: paths have to come from an argument or a variable.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = "/opt/ml"
_ROOT = re.compile(r"(?:(?<=file://)|(?<![\w./~-]))/opt/ml(?![\w.-])")
"""Only as the beginning of a path: not in ``s3://bucket/opt/ml/x``, ``/srv/opt/ml`` or ``/opt/mlflow``."""


class OutsideError(ValueError):
    """A path that is not below ``/opt/ml``."""


def rewrite(text: str, base: Path) -> str:
    """``text`` with each ``/opt/ml`` in it replaced by ``base``."""
    return _ROOT.sub(lambda _: str(base), text)


def locate(path: str, base: Path) -> Path:
    """The file or directory that stands for the container's ``path``.

    Raises:
        OutsideError: it is not below ``/opt/ml``, or leaves it by ``..``.
    """
    inside = path.removeprefix(ROOT)
    found = (base / inside.lstrip("/")).resolve()
    if inside == path or not inside.startswith("/") or not found.is_relative_to(base.resolve()):
        raise OutsideError(f"{path!r} is not below {ROOT}")
    return found
