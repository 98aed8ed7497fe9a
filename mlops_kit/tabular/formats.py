"""The format of a table by the name of its file."""

from __future__ import annotations

from pathlib import PurePosixPath

COMPRESSED = (".gz", ".zst")
SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def compression(path: str) -> str:
    """``.gz``, ``.zst`` or nothing."""
    suffix = PurePosixPath(path).suffix.lower()
    return suffix if suffix in COMPRESSED else ""


def format_of(path: str) -> str | None:
    """``csv``, ``parquet`` or ``jsonl`` (also compressed as a whole); None if the name does not tell."""
    pure = PurePosixPath(path)
    if compression(path):
        return found if (found := SUFFIXES.get(PurePosixPath(pure.stem).suffix.lower())) != "parquet" else None
    return SUFFIXES.get(pure.suffix.lower())
