"""Files to measure with: random bytes, the same in every run, so that nothing can be compressed or shared."""

from __future__ import annotations

import random
from pathlib import Path

PER_DIRECTORY = 1000


def files(directory: Path, *, count: int, size: int) -> Path:
    """``count`` files of ``size`` bytes, a thousand a directory; made once."""
    if directory.exists():
        return directory
    generator = random.Random(7)  # noqa: S311 - reproducible, not secret
    for number in range(count):
        path = directory / f"part-{number // PER_DIRECTORY:03d}" / f"{number:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(size))
    return directory
