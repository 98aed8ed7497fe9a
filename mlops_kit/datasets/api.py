"""The verbs for notebooks and scripts: ``from mlops_kit import Dataset``.

    churn = Dataset("churn")
    churn.commit("data", message="March")
    path = churn.checkout("main~1")

One object a data set, in one environment. Nothing is connected to before the first verb is used.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlops_kit.datasets import branch, cat, checkout, commit, diff, history, pointers, refs, revert, tag, verify
from mlops_kit.datasets.checkout import CheckedOut
from mlops_kit.datasets.commit import Committed
from mlops_kit.datasets.diff import Diff
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import Commit, FileList
from mlops_kit.datasets.source import open_source
from mlops_kit.datasets.user_cache import user_cache
from mlops_kit.datasets.verify import Verification
from mlops_kit.naming import DatasetKeys

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from mlops_kit.aws import Cloud
    from mlops_kit.config import Environment
    from mlops_kit.objects import Store

LOCAL = "MLOPS_KIT_LOCAL"
"""Set to anything but 0 or nothing, the local cloud is meant."""
_NO = {"", "0", "false", "no"}


class Dataset:
    """A data set in an environment. Revisions are what the commands take: ``main``, ``v1``, ``1f3a9c``, ``main~2``."""

    def __init__(
        self,
        name: str,
        *,
        env: str | None = None,
        project: str | os.PathLike[str] | None = None,
        local: bool | None = None,
    ) -> None:
        """``env``: the environment, the first stage if None. ``project``: the directory that holds ``environments/``,
        the nearest one upwards from the working directory if None. ``local``: talk to the local cloud; if None, the
        variable ``MLOPS_KIT_LOCAL`` says so.

        Raises:
            UsageError: no data set can have that name.
        """
        self.name = pointers.check_name(name)
        self._env = env
        self._project = project
        self._local = os.environ.get(LOCAL, "").lower() not in _NO if local is None else local

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})" if self._env is None else f"Dataset({self.name!r}, env={self._env!r})"

    def commit(
        self,
        path: str | os.PathLike[str],
        message: str,
        *,
        ref: str | None = refs.DEFAULT_REF,
        author: str | None = None,
        add: bool = False,
        into: str = "",
        remove: Sequence[str] = (),
    ) -> Committed:
        """Store a file, a directory or ``s3://bucket/prefix`` as a new commit on top of the branch ``ref``.

        ``add`` keeps what the branch holds and adds or replaces only what is in ``path``; ``into`` puts it into a
        directory; ``remove`` leaves files out. ``ref`` None moves no branch. For the errors see
        :func:`mlops_kit.datasets.commit.plan` and :func:`~mlops_kit.datasets.commit.execute`.
        """
        return commit.commit(
            self._lake,
            self.name,
            open_source(os.fspath(path), self._lake),
            message=message,
            author=author or self._cloud.actor,
            now=_now(),
            ref=ref,
            add=add,
            into=into,
            remove=remove,
        )

    def resolve(self, revision: str = refs.DEFAULT_REF) -> str:
        """The full id of the commit.

        Raises:
            NotFoundError: there is none.
            UsageError: a short id that fits several commits.
        """
        return refs.resolve(self._lake, self.name, revision)

    def log(self, revision: str = refs.DEFAULT_REF, number: int | None = None) -> tuple[Commit, ...]:
        """The commits that led to ``revision``, newest first, at most ``number``."""
        return history.log(self._lake, self.name, self.resolve(revision), number).commits

    def files(self, revision: str = refs.DEFAULT_REF) -> FileList:
        """The files of a commit, each with path, size in bytes and SHA-256, in the order of their paths."""
        return read_files(self._lake, read_commit(self._lake, self.name, self.resolve(revision)))

    def diff(self, old: str, new: str = refs.DEFAULT_REF, path: str = "") -> Diff:
        """What was added, removed, changed and renamed from ``old`` to ``new``."""
        return diff.diff(self._lake, self.name, self.resolve(old), self.resolve(new), path)

    def checkout(
        self,
        revision: str = refs.DEFAULT_REF,
        directory: str | os.PathLike[str] | None = None,
        *,
        paths: Sequence[str] = (),
        link: bool = False,
        delete: bool = False,
        force: bool = False,
    ) -> Path:
        """Have the files of a commit in ``directory``, each verified, and return it.

        Without ``directory`` it is one of the user's cache that belongs to the commit: the files there are read-only
        links and are fetched once, whoever asks.
        """
        found = self.resolve(revision)
        if directory is None:
            directory = user_cache() / "checkouts" / self.name / found
            directory.parent.mkdir(parents=True, exist_ok=True)
            link = True
        self._check_out(found, Path(directory), paths, link=link, delete=delete, force=force)
        return Path(directory)

    def open(self, path: str, revision: str = refs.DEFAULT_REF) -> BinaryIO:
        """One file of a commit, verified before the first byte can be read; over 64 MiB it waits on the disk."""
        spooled = tempfile.SpooledTemporaryFile(max_size=64 << 20)  # noqa: SIM115 - the caller closes it
        try:
            for chunk in cat.cat(self._lake, self.name, self.resolve(revision), path):
                spooled.write(chunk)
        except BaseException:
            spooled.close()
            raise
        spooled.seek(io.SEEK_SET)
        return spooled  # type: ignore[return-value]  # it has everything that BinaryIO has

    def sql(self, query: str, revision: str = refs.DEFAULT_REF, files: str = "**") -> DuckDBPyRelation:
        """Query the tables of a commit with DuckDB. They are one view, ``data``; ``.df()`` makes a pandas frame of it.

        ``files`` says which: a glob on the path inside the data set. They have to be of one format.

        Raises:
            NotFoundError: no CSV, Parquet or JSON Lines files match.
        """
        from mlops_kit.tabular.query import query as run

        found = self.resolve(revision)
        return run(query, self.checkout(found), [entry.path for entry in self.files(found)], files)

    def uri(self, revision: str = refs.DEFAULT_REF) -> str:
        """The commit's ManifestFile, for ``S3DataSource`` with ``S3DataType: ManifestFile``.

        Raises:
            NotFoundError: there is no such commit.
        """
        found = self.resolve(revision)
        read_commit(self._lake, self.name, found)
        return self._lake.uri(DatasetKeys(self.name).manifest(found))

    def tag(self, name: str, revision: str = refs.DEFAULT_REF) -> None:
        """Name a commit for good. The same tag at the same commit is fine; another commit is a ConflictError."""
        tag.create(self._lake, self.name, name, self.resolve(revision), actor=self._cloud.actor, now=_now())

    def branch(self, name: str, revision: str = refs.DEFAULT_REF) -> None:
        """Start a branch at a commit."""
        branch.create(self._lake, self.name, name, self.resolve(revision), actor=self._cloud.actor, now=_now())

    def revert(self, revision: str, message: str, *, ref: str = refs.DEFAULT_REF) -> Commit:
        """Commit again what an earlier commit held."""
        to = self.resolve(revision)
        return revert.revert(
            self._lake, self.name, ref, to, message=message, author=self._cloud.actor, now=_now()
        ).commit

    def verify(self, revision: str = refs.DEFAULT_REF, *, deep: bool = False, repair: bool = False) -> Verification:
        """Whether the commit can be read bit for bit; ``repair`` mends what older versions of the objects allow."""
        return verify.verify(self._lake, self.name, self.resolve(revision), deep=deep, repair=repair)

    def _check_out(
        self, found: str, directory: Path, paths: Sequence[str], *, link: bool, delete: bool, force: bool
    ) -> CheckedOut:
        return checkout.checkout(
            self._lake, self.name, found, directory, paths=paths, link=link, delete=delete, force=force
        )

    @cached_property
    def _environment(self) -> Environment:
        from mlops_kit.config import find_root, load_project

        root = Path(self._project) if self._project is not None else find_root(Path.cwd())
        project = load_project(root.resolve())
        return project.first_stage if self._env is None else project.environment(self._env)

    @cached_property
    def _cloud(self) -> Cloud:
        from mlops_kit.aws import connect

        environment = self._environment
        endpoint = None
        if self._local:
            from mlops_kit.config import find_root
            from mlops_kit.local.state import Layout, require

            root = Path(self._project) if self._project is not None else find_root(Path.cwd())
            endpoint = require(Layout(root.resolve())).url
        return connect(environment, local_endpoint=endpoint)

    @property
    def _lake(self) -> Store:
        return self._cloud.store("lake")


def _now() -> datetime:
    return datetime.now(UTC)
