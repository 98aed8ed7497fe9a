"""Keys of a data set in the lake bucket."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_kit.naming.kinds import SHORT_HASH, STAGING_PREFIX


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
        # By hand: a million of these with pathlib take ten seconds, and what is a suffix differs between its versions.
        dot = path.rfind(".")
        stem = dot if path.rfind("/") + 1 < dot < len(path) - 1 else len(path)
        return f"datasets/{self.dataset}/files/{path[:stem]}~{sha256[:SHORT_HASH]}{path[stem:]}"

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

    @property
    def refs_prefix(self) -> str:
        return f"{self.root}refs/"

    def tag(self, tag: str) -> str:
        return f"{self.root}tags/{tag}.json"

    @property
    def tags_prefix(self) -> str:
        return f"{self.root}tags/"

    @property
    def manifests_prefix(self) -> str:
        return f"{self.root}sagemaker/"

    @property
    def staging_prefix(self) -> str:
        """What imports copy to before they know its digest. Outside of ``root``: a lifecycle rule empties it."""
        return f"{STAGING_PREFIX}{self.dataset}/"

    def imported(self, source_sha256: str) -> str:
        """What an earlier import of one source prefix found: lets the next one copy only what is new."""
        return f"{self.root}imports/{source_sha256}.jsonl.gz"

    @property
    def checks_prefix(self) -> str:
        return f"{self.root}checks/"

    def checks(self, commit: str) -> str:
        """Below it, results of one commit's data tests."""
        return f"{self.checks_prefix}{commit}/"

    def check(self, commit: str, constraints_sha256: str) -> str:
        """Result of a data test: of which commit, against which constraints."""
        return f"{self.checks(commit)}{constraints_sha256}.json"
