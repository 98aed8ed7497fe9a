"""Keys of a data set in the lake bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from mlops_kit.naming.kinds import SHORT_HASH


@dataclass(frozen=True, slots=True)
class DatasetKeys:
    """Keys of one data set in the lake bucket; the same in every environment."""

    dataset: str

    @property
    def root(self) -> str:
        return f"datasets/{self.dataset}/"

    @property
    def files_prefix(self) -> str:
        return f"{self.root}files/"

    def file(self, path: str, sha256: str) -> str:
        """Key of one file: its own path with the start of its digest before the extension.

        ``cats/001.jpg`` becomes ``datasets/<name>/files/cats/001~1f3a9c02b7de.jpg``: other tools still see a path and a
        file type, and two contents of the same path never share a key.
        """
        pure = PurePosixPath(path)
        name = f"{pure.stem}~{sha256[:SHORT_HASH]}{pure.suffix}"
        return self.files_prefix + str(pure.with_name(name))

    def commit(self, commit: str) -> str:
        return f"{self.root}commits/{commit}.json"

    def file_list(self, commit: str) -> str:
        return f"{self.root}commits/{commit}.files.jsonl.gz"

    @property
    def commits_prefix(self) -> str:
        return f"{self.root}commits/"

    def ref(self, ref: str) -> str:
        return f"{self.root}refs/{ref}.json"

    def manifest(self, commit: str) -> str:
        return f"{self.root}sagemaker/{commit}.manifest"
