"""YAML, JSON and XML that is made to be read wrongly, or to exhaust whoever reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops_kit.config import source
from mlops_kit.config.release_gates import Approvals
from mlops_kit.datasets import checkout_state, pointers
from mlops_kit.datasets.records import entry_of, parse_commit
from mlops_kit.naming import EnvironmentNames
from mlops_kit.network import read_network
from mlops_kit.objects import canonical_json, sha256_bytes
from mlops_kit.objects.strict_json import MAX_BYTES, read_json
from mlops_kit.promotion import approvals, ledger
from mlops_kit.promotion.events import Event
from mlops_kit.promotion.gather import parse_metrics
from mlops_kit.promotion.holder import Holder
from mlops_kit.promotion.place import Place
from mlops_kit.quality import record
from mlops_kit.quality.record import CheckRecord
from mlops_kit.signing import bundle
from mlops_kit.wire.answers import parse_xml
from tests import hostile
from tests.commits import entries, header
from tests.unit.test_gates import release

# ---- YAML ----

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML: dict[str, str] = {
    "python object": "a: !!python/object/apply:os.system ['touch outside/ran']\n",
    "python name": "a: !!python/name:os.system\n",
    "python module": "a: !!python/module:antigravity\n",
    "a tag of its own": "a: !Ref x\n",
    "binary": "a: !!binary aGVsbG8=\n",
    "set": "a: !!set {x, y}\n",
    "a tag behind a handle": "%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system\n",
    "laughs": LAUGHS,
    "anchor": "a: &x 1\n",
    "alias": "a: &x 1\nb: *x\n",
    "an alias to itself": "a: &x [*x]\n",
    "merge": "a: &x {b: 1}\nc:\n  <<: *x\n",
    "key twice": "name: a\nname: b\n",
    "key twice below": "a:\n  b: 1\n  b: 2\n",
    "key twice, quoted": "a: 1\n'a': 2\n",
    "nested lists": "a: " + "[" * 100_000 + "]" * 100_000,
    "nested lists without end": "[" * 200_000,
    "nested mappings": "a: " + "{a: " * 50_000,
    "nested blocks": "".join(" " * level + "a:\n" for level in range(500)),
    "nested list items": "a:\n " + "- " * 100_000,
    "complex keys": "? " * 100_000,
    "key that is a list": "[a, b]: 1\n",
    "too large": "a: " + "x" * 300_000,
    "huge number": "a: " + "9" * 200_000,
    "huge sexagesimal": "a: " + "59:" * 60_000 + "59",
    "several documents": "a: 1\n---\nb: 2\n",
    "not UTF-8": "a: \udcff",
    "null bytes": "a: \0",
    "a list": "- a\n",
    "nothing": "",
}


@pytest.mark.parametrize("name", YAML)
def test_hostile_yaml_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside").mkdir()
    raw = YAML[name].encode(errors="surrogateescape")
    ended = hostile.run(lambda: source.parse(raw, "environments/dev.yaml"))
    assert ended.error == "ConfigError", ended
    assert "environments/dev.yaml:" in ended.message
    assert len(ended.message) < 2000, "what was found is told, not shown"
    assert list((tmp_path / "outside").iterdir()) == []


# ---- JSON ----

FILES = entries({"a.csv": b"1"})
COMMIT = header(FILES)
NAMES = EnvironmentNames("acme", "staging", "222222222222", "us-east-1").model("churn")
DIGEST = "d" * 64


def _event() -> bytes:
    return Event(
        seq=1,
        previous="",
        time="2026-01-02T03:04:05+00:00",
        actor="arn",
        action="promotion",
        outcome="succeeded",
        release=release("r1", "a" * 64),
        duration_seconds=1.5,
    ).to_json()


def _decision() -> bytes:
    return approvals.decide(
        "approve",
        NAMES,
        version=1,
        artifact_sha256="a" * 64,
        by="arn:aws:sts::222222222222:assumed-role/approver/bob",
        reason="good",
        policy=Approvals(),
        now=datetime(2026, 1, 2, tzinfo=UTC),
    ).to_json()


def _read_decision(body: bytes) -> object:
    time = datetime(2026, 1, 2, tzinfo=UTC)
    return approvals.parse(NAMES, NAMES.approval_key("a" * 64, time, sha256_bytes(body)), body)


class _Holding:
    """As much of a Store as is read here."""

    bucket = "lake"

    def __init__(self, body: bytes) -> None:
        self.body = body

    def get(self, key: str) -> bytes:
        return self.body

    def get_with_etag(self, key: str) -> tuple[bytes, str]:
        return self.body, '"etag"'

    def uri(self, key: str) -> str:
        return f"s3://lake/{key}"


def _held(body: bytes) -> Any:
    return _Holding(body)


CHECKED = CheckRecord("pets", "c" * 64, DIGEST, True, {}, (), "2026-01-02T03:04:05+00:00", "arn")
SINCE = "2026-01-02T03:04:05+00:00"
LOCKED = Holder("id", "arn", Place("host", 1), SINCE, SINCE, "promote")
SIGNED = bundle.dump(bundle.Bundle("hint", bundle.statement("churn", DIGEST), b"signature"))
PLAIN_NETWORK = canonical_json({"subnets": [], "security_groups": [], "isolated": False})

Reader = Callable[[bytes], object]
RECORDS: dict[str, tuple[bytes, Reader]] = {
    "event": (_event(), ledger.parse),
    "approval": (_decision(), _read_decision),
    "ref": (
        canonical_json({"commit": COMMIT.id, "by": "arn", "time": "2026"}),
        lambda body: pointers.read(_held(body), "pets", "main"),
    ),
    "commit": (COMMIT.to_json(), lambda body: parse_commit(body, sha256_bytes(body))),
    "file list entry": (FILES.lines[0], entry_of),
    "data test": (CHECKED.to_json(), lambda body: record.parse(body, "pets", "c" * 64, DIGEST)),
    "metrics": (b'{"accuracy":0.9}', lambda body: parse_metrics(body, "s3://bucket/metrics.json")),
    "package pointer": (b'{"arn":"arn","version":1}', read_json),
    "signature": (SIGNED, bundle.parse),
    "signed statement": (
        bundle.statement("churn", DIGEST),
        lambda body: bundle.check_statement(body, "churn", DIGEST),
    ),
    "lock": (LOCKED.to_json(), Holder.parse),
    "network": (PLAIN_NETWORK, lambda body: read_network(_held(body))),
}
"""A good one of each, and who reads it. ``None`` is how some refuse."""


def _twice(good: bytes) -> bytes:
    """The first key once more, with something else."""
    first = next(iter(json.loads(good)))
    return b'{"%b":"x",' % first.encode() + good[1:]


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "nested": lambda good: b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"," + good[1:],
    "nested objects": lambda good: b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    "nested without end": lambda good: b"[" * 1_000_000,
    "key twice": _twice,
    "NaN": lambda good: b'{"x":NaN,' + good[1:],
    "infinity": lambda good: b'{"x":-Infinity,' + good[1:],
    "huge number": lambda good: b'{"x":' + b"9" * 1_000_000 + b"," + good[1:],
    "another field": lambda good: b'{"x":1,' + good[1:],
    "a list": lambda good: b"[" + good + b"]",
    "a number": lambda good: b"1",
    "not UTF-8": lambda good: good[:-1] + b',"x":"\xff"}',
    "half": lambda good: good[: len(good) // 2],
    "more behind it": lambda good: good + good,
    "nothing": lambda good: b"",
}
TOLERATED = {("another field", name) for name in ("ref", "package pointer", "signature", "network", "signed statement")}
TOLERATED |= {("another field", "metrics"), ("another field", "data test")}
"""Where later versions may add fields, or what is there is somebody else's format."""
ANY_JSON = {(change, "package pointer") for change in ("a list", "a number")}


def _refuses(read: Reader, body: bytes) -> None:
    """One error for both ways to refuse."""
    if read(body) is None and read is not RECORDS["signed statement"][1]:
        raise ValueError("refused")


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_good_is_read(name: str) -> None:
    good, read = RECORDS[name]
    _refuses(read, good)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", RECORDS)
def test_hostile_json_is_refused(name: str, change: str) -> None:
    good, read = RECORDS[name]
    body = CHANGES[change](good)
    ended = hostile.run(lambda: _refuses(read, body))
    if (change, name) in TOLERATED | ANY_JSON:
        assert ended.error in ("", "IntegrityError"), ended
        return
    assert ended.error in ("IntegrityError", "ValueError", "JSONDecodeError", "UnicodeDecodeError"), ended
    assert len(ended.message) < 1000, "what was found is told, not shown"


@pytest.mark.parametrize(
    "body",
    [
        b'{"accuracy":1e999}',
        b'{"accuracy":Infinity}',
        b'{"accuracy":NaN}',
        b'{"accuracy":"0.99"}',
        b'{"accuracy":"inf"}',
        b'{"accuracy":true}',
        b'{"accuracy":null}',
        b'{"accuracy":[1]}',
        b'{"accuracy":' + b"9" * 400 + b"}",
        b'{"accuracy":0.1,"accuracy":0.99}',
    ],
)
def test_a_metric_that_is_no_number_passes_no_gate(body: bytes) -> None:
    """Infinity is at least anything."""
    ended = hostile.run(lambda: parse_metrics(body, "s3://bucket/metrics.json"))
    assert ended.error == "IntegrityError", ended


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("files", "1"),
        ("files", -1),
        ("files", True),
        ("files", 1.5),
        ("size", None),
        ("dataset", ["pets"]),
        ("parent", 1),
        ("message", {"a": 1}),
        ("file_list", 1),
    ],
)
def test_a_header_with_fields_of_another_kind_is_refused_although_its_digest_is_right(field: str, value: Any) -> None:
    body = canonical_json({**asdict(COMMIT), field: value})
    ended = hostile.run(lambda: parse_commit(body, sha256_bytes(body)))
    assert ended.error == "IntegrityError", ended


def test_a_record_of_many_megabytes_is_not_parsed() -> None:
    body = b'"' + b"x" * MAX_BYTES + b'"'
    ended = hostile.run(lambda: read_json(body))
    assert ended.error == "ValueError"
    assert f"at most {MAX_BYTES} are read" in ended.message


def test_the_state_of_a_checkout_that_is_hostile_counts_as_none(tmp_path: Path) -> None:
    """It lies in a directory that others may write to, and is only there to save time."""
    (tmp_path / checkout_state.STATE_NAME).write_bytes(b"[" * 1_000_000)
    ended = hostile.run(lambda: 1 / len(checkout_state.load(tmp_path, "pets").files))
    assert ended.error == "ZeroDivisionError", ended


# ---- XML ----

XML: dict[str, bytes] = {
    "laughs": b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "xxxxxxxxxx">'
    + b"".join(b'<!ENTITY %c "%b">' % (b, b"&%c;" % a * 10) for a, b in zip(b"abcdefgh", b"bcdefghi", strict=True))
    + b"]><r>&i;</r>",
    "one large entity": b'<!DOCTYPE r [<!ENTITY a "' + b"x" * 100_000 + b'">]><r>' + b"&a;" * 100_000 + b"</r>",
    "a file": b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>',
    "an address": b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/evil.dtd"><r/>',
    "a parameter entity": b'<!DOCTYPE r [<!ENTITY % a SYSTEM "file:///etc/passwd">%a;]><r/>',
    "in UTF-16": '<!DOCTYPE r [<!ENTITY a "x">]><r>&a;</r>'.encode("utf-16"),
    "in UTF-16 without saying so": '<!DOCTYPE r [<!ENTITY a "x">]><r>&a;</r>'.encode("utf-16-le"),
    "in lower case": b'<!doctype r [<!ENTITY a "x">]><r>&a;</r>',
    "an entity that nobody declared": b"<r>&a;</r>",
    "a codec of Python's": b'<?xml version="1.0" encoding="rot13"?><!QBPGLCR e><r/>',
    "a codec that is not ASCII": b'<?xml version="1.0" encoding="cp037"?><r/>',
    "cut off": b"<r><a>" * 10,
    "nothing": b"",
}


@pytest.mark.parametrize("name", XML)
def test_hostile_xml_is_refused(name: str) -> None:
    ended = hostile.run(lambda: parse_xml(XML[name]))
    assert ended.error in ("ParseError", "ValueError", "LookupError"), ended
    assert "root:" not in ended.message


def test_nested_xml_is_survived() -> None:
    body = b"<a>" * 200_000 + b"</a>" * 200_000
    ended = hostile.run(lambda: 1 / (len(parse_xml(body)) - 1))
    assert ended.error in ("ZeroDivisionError", "ParseError"), ended
