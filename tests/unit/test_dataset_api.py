"""`from mlops_kit import Dataset`: the verbs for notebooks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import mlops_kit
from mlops_kit import Dataset
from mlops_kit.datasets.user_cache import user_cache
from mlops_kit.errors import ConflictError, GateError, IntegrityError, NotFoundError, UsageError
from mlops_kit.naming import DatasetKeys
from tests.kit import ROOT, Kit
from tests.lakes import write_files
from tests.stores import race

LAKE = "acme-dev-111111111111-lake"
KEYS = DatasetKeys("pets")
CSV = "id,age\n1,40\n2,30\n"


@pytest.fixture
def pets(kit: Kit) -> Dataset:
    return Dataset("pets", project=kit.project)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "data", {"t.csv": CSV, "more/u.csv": "id,age,country\n3,20,DE\n", "x.bin": b"\0\1"})


def test_it_is_loaded_when_it_is_asked_for() -> None:
    program = "import sys, mlops_kit; assert 'botocore' not in sys.modules; from mlops_kit import Dataset; Dataset"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    with pytest.raises(AttributeError, match="no attribute 'Datasets'"):
        _ = mlops_kit.Datasets
    assert repr(Dataset("pets")) == "Dataset('pets')"
    assert repr(Dataset("pets", env="staging")) == "Dataset('pets', env='staging')"
    with pytest.raises(UsageError, match="is not a data set name"):
        Dataset("Pets")


def test_commit_and_what_there_is_to_look_at(pets: Dataset, source: Path) -> None:
    first = pets.commit(source, "one")
    assert (first.uploaded, first.changed, first.commit.author) == (3, True, "arn:aws:iam::111111111111:root")
    assert not pets.commit(source, "again").changed
    (source / "t.csv").write_text(CSV + "4,50\n")
    second = pets.commit(source / "t.csv", "two", add=True, into="", remove=["x.bin"], author="me")
    assert [one.message for one in pets.log()] == ["two", "one"]
    assert [one.message for one in pets.log(number=1)] == ["two"]
    assert [entry.path for entry in pets.files()] == ["more/u.csv", "t.csv"]
    assert repr(pets.files("main~1")) == "<FileList of 3>"
    assert pets.resolve("main^") == first.commit.id
    found = pets.diff("main~1")
    assert ([one.new.path for one in found.changed], [one.path for one in found.removed]) == (["t.csv"], ["x.bin"])
    (table,) = pets.table_diff("main~1", key=["id"])
    assert table.rows is not None
    assert (table.path, table.rows.added, table.rows.changed) == ("t.csv", 1, 0)
    third = pets.commit(None, "less", remove=["more"])
    assert (third.commit.parent, third.uploaded) == (second.commit.id, 0)
    aside = pets.commit(source, "aside", ref=None)
    assert pets.resolve() == third.commit.id
    assert pets.log(aside.commit.id)[0].message == "aside"


def test_names_revert_and_verify(pets: Dataset, source: Path, kit: Kit) -> None:
    first = pets.commit(source, "one").commit.id
    pets.tag("v1")
    pets.branch("side", "v1")
    pets.commit(source / "t.csv", "two", ref="side")
    with pytest.raises(ConflictError, match="has a tag 'v1' already"):
        pets.tag("v1", "side")
    assert pets.revert("v1", "back", ref="side").file_list == pets.log("v1")[0].file_list
    assert pets.verify("v1", deep=True).intact
    assert pets.uri("v1") == f"s3://{LAKE}/{KEYS.manifest(first)}"
    with pytest.raises(NotFoundError, match="no branch, tag or commit 'v2'"):
        pets.uri("v2")
    key = next(key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix + "x"))
    kit.s3.buckets[LAKE].delete(key)
    assert pets.verify("v1").missing == ("x.bin",)
    assert pets.verify("v1", repair=True).intact


def test_another_environment(kit: Kit, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kit.project)  # found from the working directory
    Dataset("pets").commit(source, "one")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "222222222222")
    there = Dataset("pets", env="staging")
    with pytest.raises(NotFoundError, match="no data set 'pets' in acme-staging-222222222222-lake"):
        there.log()
    with pytest.raises(UsageError, match="There is no environment 'qa'"):
        Dataset("pets", env="qa").log()
    with pytest.raises(UsageError, match="The local cloud is not running"):
        Dataset("pets", local=True).log()


def test_checks(pets: Dataset, kit: Kit, source: Path) -> None:
    with pytest.raises(UsageError, match="has no constraints"):
        pets.commit(source, "one", check=True)
    kit.constrain("pets", {"tables": [{"files": "t.csv", "columns": {"age": {"type": "integer", "max": 35}}}]})
    with pytest.raises(GateError, match="1 row"):
        pets.commit(source, "one", check=True)
    assert kit.s3.snapshot(LAKE) == {}
    pets.commit(source, "one")
    report = pets.check()
    assert (report.passed, report.rows) == (False, {"t.csv": 2})
    (source / "t.csv").write_text("id,age\n1,4\n")
    good = pets.commit(source, "two", check=True).commit.id
    assert [key for key in kit.s3.snapshot(LAKE) if key.startswith(f"{KEYS.checks_prefix}{good}/")]


def test_open_reads_a_file_that_was_verified(pets: Dataset, source: Path, kit: Kit) -> None:
    pets.commit(source, "one")
    with pets.open("t.csv") as file:
        assert list(pd.read_csv(file)["age"]) == [40, 30]
    with pets.open("x.bin", "main") as file:
        assert file.read() == b"\0\1"
    with pytest.raises(NotFoundError, match=r"There is no 'y.bin'"):
        pets.open("y.bin")
    key = next(key for key in kit.s3.snapshot(LAKE) if key.startswith(KEYS.files_prefix + "x"))
    kit.s3.buckets[LAKE].overwrite(key, b"!!")
    with pytest.raises(IntegrityError):
        pets.open("x.bin")


def test_checkout_to_a_directory(pets: Dataset, source: Path, tmp_path: Path) -> None:
    pets.commit(source, "one")
    assert pets.checkout(directory=tmp_path / "out") == tmp_path / "out"
    (tmp_path / "out" / "t.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"not as a checkout wrote them: 't.csv'"):
        pets.checkout(directory=tmp_path / "out")
    pets.checkout(directory=tmp_path / "out", force=True)
    pets.checkout("main", tmp_path / "part", paths=["more"])
    assert not (tmp_path / "part" / "t.csv").exists()


def test_checkout_to_the_cache_is_made_once_and_read_only(pets: Dataset, source: Path, kit: Kit) -> None:
    made = pets.commit(source, "one").commit.id
    path = pets.checkout()
    assert path == Path.home() / ".cache" / "mlops-kit" / "checkouts" / "pets" / made
    assert (path / "t.csv").read_text() == CSV
    assert (path / "t.csv").stat().st_mode & 0o222 == 0
    kit.s3.forget()
    assert pets.checkout(made[:8]) == path
    assert not [call for call in kit.s3.calls if call.key.startswith(KEYS.files_prefix)]
    (path / "t.csv").unlink()
    assert (pets.checkout() / "t.csv").read_text() == CSV


def test_a_part_has_a_directory_of_its_own_so_that_none_is_half_there(pets: Dataset, source: Path) -> None:
    pets.commit(source, "one")
    part = pets.checkout(paths=["more"])
    assert [path.name for path in part.rglob("*.csv")] == ["u.csv"]
    whole = pets.checkout()
    assert whole != part
    assert len(list(whole.rglob("*.csv"))) == 2
    assert [path.name for path in part.rglob("*.csv")] == ["u.csv"]
    assert pets.checkout(paths=["more", "t.csv", "x.bin"]) == whole


def test_an_edited_cache_is_noticed_and_force_mends_it(pets: Dataset, source: Path) -> None:
    pets.commit(source, "one")
    path = pets.checkout()
    (path / "t.csv").chmod(0o644)
    (path / "t.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"not as a checkout wrote them: 't.csv'"):
        pets.checkout()
    assert (pets.checkout(force=True) / "t.csv").read_text() == CSV
    (path / "more" / "mine.csv").write_text("1")
    with pytest.raises(UsageError, match=r"put files into a cached checkout.*'more/mine.csv'"):
        pets.checkout()
    assert not (pets.checkout(force=True) / "more" / "mine.csv").exists()


def test_an_edit_that_keeps_size_and_time_is_noticed_by_the_mode(pets: Dataset, source: Path) -> None:
    pets.commit(source, "one")
    path = pets.checkout() / "t.csv"
    before = path.stat()
    path.chmod(0o644)
    path.write_text(CSV.replace("40", "41"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UsageError, match=r"not as a checkout wrote them: 't.csv'"):
        pets.checkout()


def test_threads_share_a_connection_and_wait_for_one_checkout(pets: Dataset, source: Path, kit: Kit) -> None:
    made = pets.commit(source, "one").commit.id
    fresh = Dataset("pets", project=kit.project)
    kit.s3.forget()
    paths = race(8, lambda number: fresh.checkout())
    assert paths == [pets.checkout()] * 8
    operations = [call.operation for call in kit.s3.calls]
    assert operations.count("AssumeRole") == 1
    fetched = [call.key for call in kit.s3.calls if call.key.startswith(KEYS.files_prefix)]
    assert len(fetched) == len(set(fetched)) == 3
    assert made in str(paths[0])


def test_sql_queries_all_tables_as_one(pets: Dataset, source: Path, kit: Kit, tmp_path: Path) -> None:
    pets.commit(source, "one")
    kit.s3.forget()
    query = "select country, count(*) as n, sum(age) as age from data group by country order by country"
    assert pets.sql(query).fetchall() == [("DE", 1, 20), (None, 2, 70)]
    assert not [call for call in kit.s3.calls if call.key.startswith(KEYS.files_prefix + "x")], (
        "only tables are fetched"
    )
    relation = pets.sql("select age from data where age > 25 order by age", files="*.csv")
    gc.collect()
    frame = relation.df()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["age"]) == [30, 40]
    write_files(tmp_path / "lines", {"a.jsonl": '{"id": 1}\n{"id": 2}\n'})
    pets.commit(tmp_path / "lines", "lines", add=True)
    with pytest.raises(UsageError, match="more than one format: csv, jsonl"):
        pets.sql("select 1")
    assert pets.sql("select sum(id) from data", files="*.jsonl").fetchall() == [(3,)]
    assert pets.sql("select count(*) from data", "main~1").fetchall() == [(3,)]
    with pytest.raises(NotFoundError, match=r"matches '\*\.parquet'"):
        pets.sql("select 1", files="*.parquet")


def test_sql_sees_no_variables_and_leaves_nothing_in_the_working_directory(
    pets: Dataset, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb

    pets.commit(source, "one")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    with pytest.raises(duckdb.CatalogException):
        pets.sql("select * from names")
    assert pets.sql("select count(*) from data a, data b").fetchall() == [(9,)]
    assert list(work.iterdir()) == []


def test_the_cache_is_where_xdg_says_and_a_relative_path_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert user_cache() == Path("/elsewhere/mlops-kit")
    for nothing in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", nothing)
        assert user_cache() == Path.home() / ".cache" / "mlops-kit"
