"""Files to measure with: random bytes, the same in every run, so that nothing can be compressed or shared.

python -m benchmarks.generated_data DIRECTORY COUNT SIZE
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

PER_DIRECTORY = 1000
ROOT = Path(__file__).resolve().parents[1]


def files(directory: Path, *, count: int, size: int) -> Path:
    """``count`` files of ``size`` bytes, a thousand a directory; made once."""
    if not directory.exists():
        # By a process of its own: what a process has held counts into the peak memory of those that it starts.
        subprocess.run(
            [sys.executable, "-m", "benchmarks.generated_data", str(directory), str(count), str(size)],
            cwd=ROOT,
            check=True,
        )
    return directory


def _write(directory: Path, count: int, size: int) -> None:
    generator = random.Random(7)  # noqa: S311 - reproducible, not secret
    for number in range(count):
        path = directory / f"part-{number // PER_DIRECTORY:03d}" / f"{number:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(size))


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
