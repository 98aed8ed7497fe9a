"""Data that wants to be more than data: tables that make DuckDB read elsewhere, pickles that run code."""

from __future__ import annotations

import ast
import gzip
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.config import Dataset
from mlops_kit.datasets.records import FileList, parse_commit
from mlops_kit.local.compute import archives
from mlops_kit.objects.strict_json import read_json
from mlops_kit.promotion import ledger
from mlops_kit.promotion.gather import parse_metrics
from mlops_kit.quality.check import check
from mlops_kit.signing import bundle
from tests import hostile
from tests.commits import entries, header

ROOT = Path(__file__).resolve().parents[2]
SECRET = "the secret of another file"


# ---- DuckDB ----

TABLES: dict[str, tuple[str, str]] = {
    "a query": ("t.csv", "a\nread_csv('{out}/secret.csv')\n"),
    "a column that is a query": ("t.csv", "\"(SELECT content FROM read_text('{out}/secret.csv'))\"\n1\n"),
    "a quote in a column": ("t.csv", '"a""; COPY (SELECT 1) TO \'{out}/ran\' --"\n1\n'),
    "an extension": ("t.csv", "a\n1; INSTALL httpfs; LOAD httpfs;\n"),
    "a name that is a pattern": ("*.csv", "a\n1\n"),
    "a name that is an address": ("http:..evil.csv", "a\n1\n"),
    "a name that is a query": ("x' , '{name}.csv", "a\n1\n"),
    "JSON with a query": ("t.jsonl", '{{"a": "FROM read_text(\'{out}/secret.csv\')"}}\n'),
    "JSON with a pointer": ("t.jsonl", '{{"../../secret": 1, "a/~1b": 2}}\n'),
    "no Parquet": ("t.parquet", "PAR1{out}/secret.csvPAR1"),
    "CSV that calls itself Parquet": ("t.parquet", "a\n1\n"),
    "a bomb": ("t.csv.gz", ""),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_cannot_make_duckdb_read_or_write_elsewhere(name: str, tmp_path: Path) -> None:
    inside, out = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    out.mkdir()
    (out / "secret.csv").write_text(f"a\n{SECRET}\n")
    file, text = TABLES[name]
    file = file.replace("{name}", "secret")
    (inside / file).write_bytes(b"" if name == "a bomb" else text.format(out=out).encode())
    if name == "a bomb":
        (inside / file).write_bytes(gzip.compress(b"a\n" + b"\0" * 4_000_000))
    (inside / "secret.csv").write_text(f"a\n{SECRET}\n")
    before = hostile.everything(tmp_path)
    wanted = Dataset.model_validate({"tables": [{"files": "*", "columns": {"a": {"type": "integer"}}}]})
    said = ""
    try:
        said = repr(check({file: inside / file}, wanted))
    except Exception as exc:
        said = str(exc)
    assert SECRET not in said
    assert hostile.everything(tmp_path) == before


# ---- pickles ----


class _Evil:
    def __init__(self, ran: Path) -> None:
        self.ran = str(ran)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.ran,)


def evil(ran: Path) -> bytes:
    return pickle.dumps(_Evil(ran))


def test_the_pickle_of_these_tests_runs_code(tmp_path: Path) -> None:
    pickle.loads(evil(tmp_path / "ran"))  # noqa: S301 - that it does is what is tested
    assert (tmp_path / "ran").exists()


FILES = entries({"a.csv": b"1"})
READERS = {
    "an event": ledger.parse,
    "metrics": lambda body: parse_metrics(body, "s3://bucket/metrics.json"),
    "a record": read_json,
    "a signature": bundle.parse,
    "a header": lambda body: parse_commit(body, "0" * 64),
    "a file list": lambda body: FileList.parse(gzip.compress(body), header(FILES)),
}


@pytest.mark.parametrize("name", READERS)
def test_a_pickle_in_the_place_of_a_record_is_not_run(name: str, tmp_path: Path) -> None:
    body = evil(tmp_path / "ran")
    ended = hostile.run(lambda: 1 / int(READERS[name](body) is not None))
    assert ended.error in ("IntegrityError", "ValueError", "UnicodeDecodeError", "ZeroDivisionError"), ended
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "code/sitecustomize.py", "code/__init__.py"])
def test_unpacking_a_model_runs_nothing_of_it(name: str, tmp_path: Path) -> None:
    plain, body = io.BytesIO(), evil(tmp_path / "ran")
    if name.endswith(".py"):
        body = f"import os; os.mkdir({str(tmp_path / 'ran')!r})".encode()
    with tarfile.open(fileobj=plain, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    archives.unpack(plain.getvalue(), tmp_path / "inside")
    assert (tmp_path / "inside" / name).read_bytes() == body
    assert not (tmp_path / "ran").exists()


RUNS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "torch", "marshal", "shelve", "runpy", "jsonpickle"}
CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
ALLOWED = {
    "local/demo_data.py": {"joblib"},  # looks into the model that it has just trained itself
    "local/compute/container.py": {"runpy"},
    "jobs/training_entry.py": {"runpy"},
}
"""What runs the team's own code in its container, and the demo: nothing that reads what is promoted."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "mlops_kit").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT / "mlops_kit"))
)
def test_the_kit_never_unpickles_and_never_runs_text(path: Path) -> None:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & RUNS
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module.split(".")[0]} & RUNS
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CALLS:
                found.add(called.id)
            if isinstance(called, ast.Attribute) and called.attr in ("unsafe_load", "full_load", "read_pickle"):
                found.add(called.attr)
        for keyword in getattr(node, "keywords", ()):
            if keyword.arg in ("shell", "allow_pickle") and getattr(keyword.value, "value", True):
                found.add(keyword.arg)
    assert found <= ALLOWED.get(path.relative_to(ROOT / "mlops_kit").as_posix(), set())
