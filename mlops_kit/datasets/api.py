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
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlops_kit.datasets import branch, cat, checkout, diff, history, pointers, refs, revert, tag, verify
from mlops_kit.datasets.cached_checkout import cached_checkout
from mlops_kit.datasets.commit import CommitRequest, Committed, execute, plan
from mlops_kit.datasets.diff import Diff
from mlops_kit.datasets.read import read_commit, read_files
from mlops_kit.datasets.records import Commit, FileList
from mlops_kit.datasets.source import Nothing, open_source
from mlops_kit.datasets.verify import Verification
from mlops_kit.naming import DatasetKeys

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from mlops_kit.aws import Cloud
    from mlops_kit.config import Dataset as Constraints
    from mlops_kit.config import Project
    from mlops_kit.datasets.table_diff import TableDiff
    from mlops_kit.objects import Store
    from mlops_kit.quality.results import Report

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
        self._lock = threading.Lock()
        self._connected: Cloud | None = None
        self._local = os.environ.get(LOCAL, "").lower() not in _NO if local is None else local

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})" if self._env is None else f"Dataset({self.name!r}, env={self._env!r})"

    def commit(
        self,
        path: str | os.PathLike[str] | None,
        message: str,
        *,
        ref: str | None = refs.DEFAULT_REF,
        author: str | None = None,
        add: bool = False,
        into: str = "",
        remove: Sequence[str] = (),
        check: bool = False,
    ) -> Committed:
        """Store a file, a directory or ``s3://bucket/prefix`` as a new commit on top of the branch ``ref``.

        ``add`` keeps what the branch holds and adds or replaces only what is in ``path``; ``into`` puts it into a
        directory; ``remove`` leaves files of the branch out, and without a ``path`` (None) nothing else is changed.
        ``ref`` None builds on the default branch and moves none. ``check`` tests the data first.

        Raises:
            UsageError: nothing there, or something that a data set cannot hold.
            GateError: with ``check``: a constraint does not hold. Nothing was stored.
            ConflictError: somebody else moved the branch meanwhile. The commit is stored; commit again to build on
                theirs.
            IntegrityError: a file changed while it was read.
        """
        lake = self._lake
        asked = CommitRequest(
            dataset=self.name,
            source=Nothing() if path is None else open_source(os.fspath(path), lake),
            message=message,
            author=author or self._cloud.actor,
            ref=ref or refs.DEFAULT_REF,
            move_ref=ref is not None,
            add=add or path is None,
            into=into,
            remove=tuple(remove),
        )
        if not check:
            return execute(lake, plan(lake, asked, _now()))
        from mlops_kit.quality.commits import require_plan

        constraints = self._loaded.constraints(self.name)
        planned = plan(lake, asked, _now())
        report = require_plan(lake, planned, constraints)
        done = execute(lake, planned)
        self._record(done.commit.id, constraints, report)
        return done

    def check(self, revision: str = refs.DEFAULT_REF) -> Report:
        """Hold a commit against its constraints, ``environments/datasets/<name>.yaml``, and keep the result beside it.

        Raises:
            UsageError: the data set has no constraints.
        """
        from mlops_kit.quality.commits import check_commit

        constraints, found = self._loaded.constraints(self.name), self.resolve(revision)
        report = check_commit(self._lake, self.name, found, constraints)
        self._record(found, constraints, report)
        return report

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

    def table_diff(
        self, old: str, new: str = refs.DEFAULT_REF, path: str = "", key: Sequence[str] | None = None
    ) -> list[TableDiff]:
        """Columns and rows of the CSV, Parquet and JSON Lines files that differ; ``key``: columns that name a row."""
        from mlops_kit.datasets.table_diff import table_diffs

        return list(table_diffs(self._lake, self.name, self.diff(old, new, path), key=key))

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

        With ``paths`` only those files and directories. ``link`` makes read-only hard links to a cache; ``delete``
        removes what an earlier checkout wrote and this commit lacks; ``force`` overwrites what somebody edited.

        Without ``directory`` it is one of the user's cache that belongs to the commit (and to ``paths``): the files
        there are read-only links and are fetched once, whoever asks.

        Raises:
            NotFoundError: no such commit, or nothing in it at one of ``paths``.
            UsageError: the directory holds edited files; in the cache, also files that are none of the commit's.
            ConflictError: another checkout into ``directory`` is running.
            IntegrityError: no version of an object has the bytes any more.
        """
        found = self.resolve(revision)
        if directory is None:
            return cached_checkout(self._lake, self.name, found, paths=paths, force=force)
        checkout.checkout(
            self._lake, self.name, found, Path(directory), paths=paths, link=link, delete=delete, force=force
        )
        return Path(directory)

    def open(self, path: str, revision: str = refs.DEFAULT_REF) -> BinaryIO:
        """One file of a commit, verified before the first byte can be read; over 64 MiB it waits on the disk.

        Raises:
            NotFoundError: there is no such file in it.
            IntegrityError: no version of the object has the bytes any more.
        """
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

        ``files`` says which: a glob on the path inside the data set. They have to be of one format, and only they are
        fetched, into the cache.

        Raises:
            NotFoundError: no CSV, Parquet or JSON Lines files match.
            UsageError: files of several formats match.
            duckdb.Error: the query is none, or the files are no tables.
        """
        from mlops_kit.tabular import query as tables

        found = self.resolve(revision)
        paths, kind = tables.tables((entry.path for entry in self.files(found)), files)
        return tables.query(query, self.checkout(found, paths=paths), paths, kind)

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

    def _record(self, found: str, constraints: Constraints, report: Report) -> None:
        from mlops_kit.quality.record import record

        record(self._lake, self.name, found, constraints, report, actor=self._cloud.actor, now=_now())

    @property
    def _loaded(self) -> Project:
        from mlops_kit.config import find_root, load_project

        root = Path(self._project) if self._project is not None else find_root(Path.cwd())
        return load_project(root.resolve())

    @property
    def _cloud(self) -> Cloud:
        with self._lock:  # threads of a notebook share one connection pool
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    def _connect(self) -> Cloud:
        from mlops_kit.aws import connect

        project = self._loaded
        endpoint = None
        if self._local:
            from mlops_kit.local.state import Layout, require

            endpoint = require(Layout(project.root)).url
        environment = project.first_stage if self._env is None else project.environment(self._env)
        return connect(environment, local_endpoint=endpoint)

    @property
    def _lake(self) -> Store:
        return self._cloud.store("lake")


def _now() -> datetime:
    return datetime.now(UTC)
