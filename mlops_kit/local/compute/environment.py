"""The variables every child gets: enough for Python to run, nothing of the user's own.

A container on AWS never sees the environment of whoever started the job. Neither does one here: above all no AWS
profile, no token, no proxy.
"""

from __future__ import annotations

import os
from pathlib import Path

INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


def base_environment(home: Path) -> dict[str, str]:
    """``home`` becomes HOME and the place for temporary files."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def cloud_environment(endpoint_url: str, region: str, credentials: dict[str, str]) -> dict[str, str]:
    """Makes boto3 in a child talk to this local cloud as the job's or the model's role, and to nothing else."""
    return {
        **credentials,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
    }
