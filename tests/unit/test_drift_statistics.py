"""``statistics.json``: the documented format, and what is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from mlops_kit.drift.statistics import Statistics, dump, load_statistics
from mlops_kit.errors import IntegrityError

# As SageMaker's own container writes it: counts as floats, a sketch beside the buckets.
DOCUMENTED: dict[str, Any] = {
    "version": 0.0,
    "dataset": {"item_count": 4},
    "features": [
        {
            "name": "age",
            "inferred_type": "Integral",
            "numerical_statistics": {
                "common": {"num_present": 3, "num_missing": 1},
                "mean": 2.0,
                "sum": 6.0,
                "std_dev": 0.816496580927726,
                "min": 1.0,
                "max": 3.0,
                "distribution": {
                    "kll": {
                        "buckets": [
                            {"lower_bound": 1.0, "upper_bound": 2.0, "count": 1.0},
                            {"lower_bound": 2.0, "upper_bound": 3.0, "count": 2.0},
                        ],
                        "sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": [[1.0, 2.0, 3.0]]},
                    }
                },
            },
        },
        {
            "name": "plan",
            "inferred_type": "String",
            "string_statistics": {
                "common": {"num_present": 4, "num_missing": 0},
                "distinct_count": 2.0,
                "distribution": {"categorical": {"buckets": [{"value": "a", "count": 3}, {"value": "b", "count": 1}]}},
            },
        },
    ],
}


def load(content: Any) -> Statistics:
    return load_statistics(json.dumps(content).encode(), "s3://b/statistics.json")


def test_sagemakers_own_file_can_be_read() -> None:
    statistics = load(DOCUMENTED)
    assert statistics.dataset.item_count == 4
    assert [feature.name for feature in statistics.features] == ["age", "plan"]
    assert statistics.features[0].common.num_missing == 1


def test_the_bytes_have_sorted_keys_and_nothing_that_is_empty() -> None:
    body = dump(load(DOCUMENTED))
    content = json.loads(body)
    assert list(content) == ["dataset", "features", "version"]
    assert "string_statistics" not in content["features"][0]
    assert dump(load_statistics(body, "x")) == body


def damaged(path: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(DOCUMENTED)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    target: Any = content
    for part in parents:
        target = target[part]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return content


NUMBERS = "features/0/numerical_statistics"
BUCKETS = f"{NUMBERS}/distribution/kll/buckets"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("features", KeyError, "features: Field required"),
        ("dataset/item_count", -1, "dataset.item_count: .*greater than or equal to 0"),
        ("dataset/item_count", "4", "dataset.item_count: .*valid integer"),
        ("dataset/item_count", 5, "'age' counts 4 rows, the table has 5"),
        ("features/0/inferred_type", "Text", "features.0.inferred_type"),
        ("features/0/inferred_type", "String", "'age' is String and has no string_statistics"),
        ("features/1/name", "age", "listed twice"),
        (f"{NUMBERS}/mean", None, "mean: .*valid number"),
        (f"{NUMBERS}/mean", float("nan"), "mean: .*finite number"),
        (f"{BUCKETS}", [], "buckets"),
        (f"{BUCKETS}/0/count", 7, "the buckets hold 9 rows, num_present is 3"),
        (f"{BUCKETS}/0/count", 1.5, "count: .*valid integer"),
        (f"{BUCKETS}/1/lower_bound", 1.0, "lower bounds must increase"),
        (f"{BUCKETS}/1/lower_bound", 2.5, "ends at 2.0, the next starts at 2.5"),
        (f"{BUCKETS}/1/upper_bound", 1.0, "ends before it starts"),
        ("features/1/string_statistics/distribution/categorical/buckets/1/value", "a", "two buckets"),
        ("features/1/string_statistics/distribution/categorical/buckets/1/count", 9, "hold 12 rows"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(IntegrityError, match=message) as caught:
        load(damaged(path, value))
    assert "s3://b/statistics.json" in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(IntegrityError, match="not a baseline"):
        load_statistics(body, "statistics.json")
