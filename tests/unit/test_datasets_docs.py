"""docs/datasets.md: its Python runs, and its format section is enough to write and read commits without the kit."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlops_kit.datasets.records import FileEntry, FileList
from mlops_kit.naming import DatasetKeys
from tests.kit import ROOT, Kit
from tests.lakes import assert_whole, write_files

PAGE = (ROOT / "docs" / "datasets.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
LAKE = "acme-dev-111111111111-lake"
FILES = {
    "cats/001.jpg": b"\xff\xd8",
    "a.tar.gz": b"archive",
    ".hidden": b"h",
    "odd.": b"o",
    "d.d/no-suffix": b"n",
    '\u00e9\u4e2d\U0001f600 \\quoted\\ ".csv': b"x,y\n1,2\n",
    "\uffdd": b"sorted before the one above the BMP",
    "\U00010000": b"by code point, not as UTF-16",
    "empty": b"",
}


def test_the_examples_run_in_their_order(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "customer_id,country,age\n1,DE,40\n2,FR,30\n3,DE,50\n"
    write_files(kit.project / "data", {"customers.csv": rows})
    monkeypatch.chdir(kit.project)
    names: dict[str, Any] = {}
    results = []
    for block in BLOCKS:
        *statements, last = block.strip().split("\n")
        try:
            code = compile(last, "docs/datasets.md", "eval")
        except SyntaxError:  # it ends in a statement
            exec(compile(block, "docs/datasets.md", "exec"), names)  # noqa: S102 - our own page
        else:
            exec(compile("\n".join(statements), "docs/datasets.md", "exec"), names)  # noqa: S102
            results.append(eval(code, names))  # noqa: S307
    listed, mean, changed = results
    assert listed == ["March"]
    assert list(mean.iloc[0]) == [40.0]
    assert changed == [3]
    assert names["made"].commit.message == "March"
    assert list(names["frame"]["age"]) == [40, 30, 50]
    assert list(names["first"]["country"]) == ["DE"]
    source = names["training_input"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == f"s3://{LAKE}/{DatasetKeys('churn').manifest(names['made'].commit.id)}"
    assert kit.json("dataset", "tag", "churn")[0]["name"] == "march"


# What follows to the next line of hyphens is written from the page alone, without the kit.
def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def file_key(path: str, digest: str) -> str:
    directory, slash, name = path.rpartition("/")
    dot = name.rfind(".")
    cut = dot if 0 < dot < len(name) - 1 else len(name)
    return f"files/{directory}{slash}{name[:cut]}~{digest[:12]}{name[cut:]}"


class Other:
    """Another implementation of the format."""

    def __init__(self, url: str, bucket: str, name: str) -> None:
        self.s3 = boto3.client("s3", endpoint_url=url)
        self.bucket, self.name, self.root = bucket, name, f"datasets/{name}/"

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(
            Bucket=self.bucket, Key=self.root + key, Body=body, IfNoneMatch="*", ChecksumAlgorithm="SHA256"
        )

    def get(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=self.root + key)["Body"].read())

    def commit(self, files: dict[str, bytes], message: str, parent: str | None = None) -> str:
        entries = [{"path": path, "sha256": sha256(data), "size": len(data)} for path, data in sorted(files.items())]
        lines = b"".join(canonical(entry) + b"\n" for entry in entries)
        header = canonical(
            {"author": "other", "dataset": self.name, "file_list": sha256(lines), "files": len(files), "format": 1}
            | {"message": message, "parent": parent, "size": sum(map(len, files.values()))}
            | {"time": "2026-04-01T08:00:00+00:00"}
        )
        commit = sha256(header)
        self.put(f"commits/{commit}.files.jsonl.gz", gzip.compress(lines))
        keys = {path: file_key(path, sha256(data)) for path, data in files.items()}
        for path, data in files.items():
            self.put(keys[path], data)
        prefix = {"prefix": f"s3://{self.bucket}/{self.root}files/"}
        below = [key.removeprefix("files/") for key in keys.values()]
        self.put(f"sagemaker/{commit}.manifest", json.dumps([prefix, *below]).encode())
        self.put(f"commits/{commit}.json", header)
        self.put("refs/main.json", canonical({"by": "other", "commit": commit, "time": "2026-04-01T08:00:00+00:00"}))
        return commit

    def read(self, ref: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        commit = json.loads(self.get(ref))["commit"]
        body = self.get(f"commits/{commit}.json")
        header = json.loads(body)
        assert sha256(body) == commit
        assert canonical(header) == body
        lines = gzip.decompress(self.get(f"commits/{commit}.files.jsonl.gz"))
        assert sha256(lines) == header["file_list"]
        assert lines.endswith(b"\n")
        entries = [json.loads(line) for line in lines.splitlines()]
        paths = [entry["path"] for entry in entries]
        assert paths == sorted(set(paths))
        return header, {entry["path"]: self.get(file_key(entry["path"], entry["sha256"])) for entry in entries}


# --------------------------------------------------------------------------------------------------------------------


def test_the_kit_reads_what_another_implementation_wrote(kit: Kit, tmp_path: Path) -> None:
    commit = Other(kit.s3.url, LAKE, "pets").commit(FILES, 'from "elsewhere"\n\x01\x7f\u00fc/')
    (logged,) = kit.json("dataset", "log", "pets")
    assert (logged["commit"], logged["author"], logged["files"]) == (commit, "other", len(FILES))
    assert logged["message"] == 'from "elsewhere"\n\x01\x7f\u00fc/'
    assert kit.ok("dataset", "verify", "pets", "--deep").out.startswith(f"pets@{commit[:12]}  intact")
    assert assert_whole(kit.s3, LAKE, "pets") == [commit]
    kit.ok("dataset", "checkout", "pets", tmp_path / "out")
    for path, data in FILES.items():
        assert (tmp_path / "out" / path).read_bytes() == data
    again = kit.ok("dataset", "commit", "pets", tmp_path / "out", "-m", "the same")
    assert "nothing changed" in again.err
    (tmp_path / "out" / "more").write_bytes(b"more")
    child = kit.json("dataset", "commit", "pets", tmp_path / "out", "-m", "one more")
    assert (child["parent"], child["uploaded"]) == (commit, 1)


def test_another_implementation_reads_what_the_kit_wrote(kit: Kit, tmp_path: Path) -> None:
    source = tmp_path / "data"
    write_files(source, FILES)
    commit = kit.commit("pets", source, 'm "\\\n\u00fc')
    kit.ok("dataset", "tag", "pets", "v1")
    other = Other(kit.s3.url, LAKE, "pets")
    for ref in ("refs/main.json", "tags/v1.json"):
        header, files = other.read(ref)
        assert files == FILES
        assert set(header) == {
            *("author", "dataset", "file_list", "files", "format", "message", "parent", "size", "time")
        }
        assert (header["message"], header["parent"]) == ('m "\\\n\u00fc', None)
    prefix, *below = json.loads(other.get(f"sagemaker/{commit}.manifest"))
    assert prefix == {"prefix": f"s3://{LAKE}/datasets/pets/files/"}
    assert sorted(f"files/{key}" for key in below) == sorted(
        file_key(path, sha256(data)) for path, data in FILES.items()
    )


def tampered(kit: Kit, change: str) -> str:
    """The id of a commit that no honest writer made: header and list agree, and what is wrong is in their form."""
    other = Other(kit.s3.url, LAKE, "pets")
    entries = [{"path": path, "sha256": sha256(path.encode()), "size": 1} for path in ("a", "b")]
    lines = b"".join(canonical(entry) + b"\n" for entry in (entries if change != "order" else entries[::-1]))
    if change == "line feed":
        lines = lines[:-1]
    value: dict[str, Any] = {"author": "x", "dataset": "pets", "file_list": sha256(lines), "files": 2, "format": 1}
    value |= {"message": "m", "parent": None, "size": 2, "time": "2026-04-01T08:00:00+00:00"}
    value |= {"format": 2} if change == "format" else {"dataset": "dogs"} if change == "data set" else {}
    value |= {"extra": 1} if change == "key" else {}
    header = canonical(value) if change != "canonical" else json.dumps(value).encode()
    commit = sha256(header)
    other.put(f"commits/{commit}.files.jsonl.gz", gzip.compress(lines if change != "list" else lines + b"\n"))
    for path in ("a", "b"):
        other.put(file_key(path, sha256(path.encode())), path.encode())
    other.put(f"commits/{commit}.json", header if change != "id" else header.replace(b"m", b"n"))
    return commit


@pytest.mark.parametrize(
    "change", ["none", "order", "line feed", "list", "format", "data set", "key", "canonical", "id"]
)
def test_readers_refuse_what_the_page_says_they_refuse(kit: Kit, change: str) -> None:
    commit = tampered(kit, change)
    done = kit("dataset", "ls", f"pets@{commit}")
    assert done.code == (0 if change == "none" else 7), done.err
    assert (done.out == "") == (change != "none")


@pytest.mark.parametrize("path", list(FILES))
def test_the_shown_key_rule_is_the_kit_s(path: str) -> None:
    digest = sha256(path.encode())
    assert DatasetKeys("pets").file(path, digest) == f"datasets/pets/{file_key(path, digest)}"


def test_the_shown_line_and_the_room_for_paths_are_true() -> None:
    (shown,) = re.findall(r"```json\n(.*)\n```", PAGE)
    entry = FileEntry("cats/001.jpg", 10240, "1f3a9c02b7de…64 digits")
    assert FileList.of([entry]).dump().decode() == shown + "\n"
    (room,) = re.findall(r"which leaves (\d+) for the path and the name", PAGE)
    assert len(DatasetKeys("pets").file("x" * (int(room) - 4), "0" * 64)) == 1024
