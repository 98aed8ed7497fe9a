"""The loopback S3 of the test suite as a process of its own, so that its CPU time is not the client's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def serving(buckets: Mapping[str, str], latency: float = 0.0) -> Iterator[str]:
    """URL of a server with these buckets (name -> owner's account), each request taking ``latency`` seconds longer."""
    named = [word for name, owner in buckets.items() for word in ("--bucket", f"{name}:{owner}")]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.s3", *named, "--latency", str(latency)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit("the loopback S3 did not start")
        yield url
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
