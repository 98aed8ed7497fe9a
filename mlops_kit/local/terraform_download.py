"""Fetch the pinned Terraform release into this Python's ``bin``, if there is none on PATH.

Run by the set-up as ``python -m mlops_kit.local.terraform_download``. The SHA-256 digests are those of HashiCorp's
``terraform_1.11.4_SHA256SUMS``; an archive with another digest is not unpacked.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from mlops_kit.errors import IntegrityError, MlopsKitError, UsageError
from mlops_kit.local.terraform import platform_name

VERSION = "1.11.4"
SHA256 = {
    "darwin_amd64": "a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b",
    "darwin_arm64": "867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18",
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
}


def url_of(machine: str) -> str:
    return f"https://releases.hashicorp.com/terraform/{VERSION}/terraform_{VERSION}_{machine}.zip"


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - a constant https address
        body: bytes = response.read()
        return body


def download(
    directory: Path, machine: str, *, digests: dict[str, str] = SHA256, get: Callable[[str], bytes] = _get
) -> Path:
    """Fetch, check and unpack; returns the binary's path.

    Raises:
        UsageError: no release for this machine, or the download failed.
        IntegrityError: the archive is not the pinned one.
    """
    if machine not in digests:
        raise UsageError(f"No pinned Terraform for {machine}.", hint=f"Install Terraform {VERSION} by hand.")
    url = url_of(machine)
    try:
        archive = get(url)
    except (urllib.error.URLError, OSError) as exc:
        raise UsageError(
            f"Could not download {url}: {exc}", hint=f"Put Terraform {VERSION} on PATH and run this again."
        ) from exc
    found = hashlib.sha256(archive).hexdigest()
    if found != digests[machine]:
        raise IntegrityError(f"{url} has SHA-256 {found}, expected {digests[machine]}. It was not unpacked.")
    directory.mkdir(parents=True, exist_ok=True)
    binary = directory / "terraform"
    unfinished = directory / f".terraform.{os.getpid()}"
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        unfinished.write_bytes(content.read("terraform"))
    unfinished.chmod(0o755)
    unfinished.replace(binary)
    return binary


def main() -> int:
    if shutil.which("terraform"):
        return 0
    directory = Path(sys.prefix) / "bin"
    if (directory / "terraform").exists():
        return 0
    machine = platform_name()
    sys.stderr.write(f"Terraform is not on PATH: fetching {url_of(machine)}\n")
    try:
        binary = download(directory, machine)
    except MlopsKitError as exc:
        sys.stderr.write(f"{exc.message}\n{exc.hint or ''}\n")
        return exc.exit_code
    sys.stderr.write(f"SHA-256 checked; Terraform {VERSION} is now {binary}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
