"""SageMaker's manifest names exactly the objects of a commit."""

from __future__ import annotations

import json

from mlops_kit.datasets.manifest import sagemaker_manifest
from mlops_kit.datasets.records import FileEntry, FileList
from mlops_kit.naming import DatasetKeys
from mlops_kit.objects import Store, sha256_bytes

PATHS = ["a", "a.b", "a/b.tar.gz", ".hidden", "dir.d/x", "\u00e9 \U0001f4be.jpg", 'quo"te\\.csv', "x."]


def test_it_is_the_prefix_and_then_the_sorted_keys_below_it(lake: Store) -> None:
    entries = [
        FileEntry(path, 1, sha256_bytes(path.encode()), "c" * 64 + "-2" if number % 2 else None)
        for number, path in enumerate(PATHS)
    ]
    keys = DatasetKeys("pets")
    below = sorted(keys.file(entry.path, entry.sha256).removeprefix(keys.files_prefix) for entry in entries)
    expected = [{"prefix": f"s3://{lake.bucket}/datasets/pets/files/"}, *below]
    body = sagemaker_manifest(lake, "pets", FileList.of(entries))
    assert body == json.dumps(expected, ensure_ascii=False).encode()
    digest = sha256_bytes(b"a/b.tar.gz")[:12]
    assert f"a/b.tar~{digest}.gz" in json.loads(body)


def test_keys_keep_what_other_tools_take_for_the_file_type() -> None:
    keys = DatasetKeys("pets")
    for path, expected in (
        ("a.csv", "a~000000000000.csv"),
        ("a/b.tar.gz", "a/b.tar~000000000000.gz"),
        ("d.ir/x", "d.ir/x~000000000000"),
        ("d/.hidden", "d/.hidden~000000000000"),
        ("x.", "x.~000000000000"),
        ("x..y", "x.~000000000000.y"),
    ):
        assert keys.file(path, "0" * 64) == keys.files_prefix + expected
