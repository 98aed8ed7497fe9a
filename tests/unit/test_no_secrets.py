"""No secret comes out of the kit: not in what it prints, nor logs at any level, nor stores, nor says of a failure."""

from __future__ import annotations

import io
import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from mlops_kit import redaction
from mlops_kit.aws import Cloud, connect
from mlops_kit.naming import BUCKET_KINDS
from mlops_kit.wire import Wire
from mlops_kit.wire.connection import Connection
from mlops_kit.wire.route import Route
from tests.aws import Fault
from tests.aws.project import MODEL
from tests.aws.world import World
from tests.cloud import Done
from tests.s3 import sts

SECRET_KEY = "canary/secret+key/of/the/caller0000000001"
TOKEN = "canary+session/token+of/the/caller==0002"
ROLE_KEY = "canary/secret+key/of/the/role00000000003"
ROLE_TOKEN = "canary+session/token+of/the/role0000004=="
PROXY_PASSWORD = "canary-proxy-password-0005"
PROFILE_KEY = "canary/secret+key/of/the/profile00000006"
QUERY = "canary0007" * 4
WEB_TOKEN = "canary.web.identity.token.0008"
CANARY = re.compile(r"canary.{0,20}", re.IGNORECASE)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Every place that secrets come from has a canary in it."""
    tags, instead = sts.tag, {"SecretAccessKey": ROLE_KEY, "RequestId": "1"}
    monkeypatch.setattr(sts, "tag", lambda name, value: tags(name, instead.get(name, value)))
    numbers = iter(range(10**6))
    monkeypatch.setattr(sts, "new_id", lambda: f"{ROLE_TOKEN}{next(numbers)}")
    profile = tmp_path / "credentials"
    profile.write_text(f"[default]\naws_access_key_id = 1\naws_secret_access_key = {PROFILE_KEY}\n")
    with World(tmp_path / "project", environments={"staging": {"approvals": {"required": 1}}}) as made:
        made.aws.storage.sessions[TOKEN] = made.person
        variables = made.variables | {
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_SHARED_CREDENTIALS_FILE": str(profile),
            "AWS_BEARER_TOKEN": WEB_TOKEN,
            "http_proxy": f"http://user:{PROXY_PASSWORD}@127.0.0.1:9",
            "HTTPS_PROXY": f"http://user:{PROXY_PASSWORD}@127.0.0.1:9",
            "no_proxy": "127.0.0.1",
            "GITHUB_TOKEN": "canary-github-0009",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-oidc-0010",
        }
        monkeypatch.setattr(World, "variables", property(lambda self: variables))
        made.train(made.commit("dev", {"a.csv": b"1"}))
        yield made


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that anybody logs, at every level."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    before = logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(1)
    yield written
    logging.root.removeHandler(handler)
    logging.root.setLevel(before)


def found(text: str) -> list[str]:
    """Canaries in ``text``, also as base64 and in addresses has them."""
    encoded = [part for part in ("dXNlcjpjYW5hcn", "canary%2F", "canary%2B") if part in text]
    return CANARY.findall(text) + encoded


def stored(world: World) -> str:
    """Every object there is."""
    texts = []
    for stage in world.project.stages:
        for kind in BUCKET_KINDS:
            bucket = world.aws.buckets[stage.names.bucket(kind)]
            for key in list(bucket.snapshot_versions()):
                newest = bucket.newest(key)
                if newest is not None and newest.content is not None:
                    texts += [key, bytes(newest.content).decode("latin-1")]
    return "\n".join(texts)


PROMOTE = ("promote", "model", f"{MODEL}@1", "--to", "staging", "--yes")
BOB = "arn:aws:sts::222222222222:assumed-role/acme-staging-approver/bob@example.com"


def _approve(world: World) -> None:
    world.aws.storage.sessions[TOKEN] = BOB
    with patch("mlops_kit.cli.deciding.now", lambda: world.clock):
        approved = world.cli("approve", f"{MODEL}@1", "--to", "staging", "--reason", "good", fresh=True)
    world.aws.storage.sessions[TOKEN] = world.person
    assert approved.code == 0, approved.err


def _released(world: World) -> Done:
    _approve(world)
    return world.cli(*PROMOTE, "--json", fresh=True)


def _failing(kind: Any, operation: str, times: int | None = None) -> Callable[[World], Done]:
    def act(world: World) -> Done:
        world.aws.faults.append(Fault(kind, operation=operation, times=times))
        return world.cli(*PROMOTE, fresh=True)

    return act


def _unreachable(world: World) -> Done:
    """Through the proxy, which is not there."""
    variables = {**world.variables, "no_proxy": ""}
    with patch.object(World, "variables", property(lambda self: variables)), patch("time.sleep"):
        return world.cli(*PROMOTE, fresh=True)


def _strange_endpoint(world: World) -> Done:
    """A presigned address where an endpoint belongs."""
    address = f"http://user:{PROXY_PASSWORD}@127.0.0.1:9/?X-Amz-Signature={QUERY}&X-Amz-Security-Token={TOKEN}"
    variables = {**world.variables, "AWS_ENDPOINT_URL_S3": address}
    with patch.object(World, "variables", property(lambda self: variables)), patch("time.sleep"):
        return world.cli(*PROMOTE, fresh=True)


RUNS: dict[str, tuple[Callable[[World], Done], int]] = {
    "a release": (_released, 0),
    "a plan": (lambda w: (_approve(w), w.cli(*PROMOTE[:-1], "--dry-run", "--json", fresh=True))[1], 0),
    "a refusal by a gate": (lambda w: w.cli(*PROMOTE, fresh=True), 3),
    "a history": (lambda w: w.cli("history", MODEL, "--in", "staging", "--json", fresh=True), 0),
    "a status": (lambda w: w.cli("status", "--json", fresh=True), 0),
    "a rollback of nothing": (lambda w: w.cli("rollback", MODEL, "--in", "staging", fresh=True), 2),
    "a role that cannot be assumed": (_failing("denied", "AssumeRole"), 6),
    "credentials that expired": (_failing("expired", "GetCallerIdentity"), 6),
    "an expired token in the middle": (_failing("expired", "ListObjectVersions"), 6),
    "an answer of the wrong kind": (_failing("denied", "DescribeModelPackage"), 6),
    "no way there": (_unreachable, 1),
    "a strange endpoint": (_strange_endpoint, 1),
}


@pytest.mark.parametrize("name", RUNS)
def test_nothing_that_is_printed_logged_or_stored_has_a_secret(world: World, log: io.StringIO, name: str) -> None:
    act, code = RUNS[name]
    done = act(world)
    assert done.code == code, done.err
    assert found(done.out + done.err) == []
    assert found(log.getvalue()) == []
    assert len(log.getvalue()) > 1000, "botocore was heard"
    assert found(stored(world)) == []


@pytest.mark.parametrize("expected", [RuntimeError("a bug"), KeyError("arn")], ids=["RuntimeError", "KeyError"])
def test_a_crash_with_a_traceback_tells_no_secret(world: World, log: io.StringIO, expected: Exception) -> None:
    from mlops_kit.cli.run import run

    with (
        world.acting(),
        patch("mlops_kit.promotion.plan.gather", side_effect=expected),
        pytest.raises(type(expected)) as caught,
    ):
        run(["--traceback", "--project", str(world.root), *PROMOTE])
    text = "".join(traceback.format_exception(caught.value))
    assert "in plan" in text
    assert found(text) == []
    assert found(log.getvalue()) == []


def test_no_exception_carries_a_secret(world: World) -> None:
    """Also not in its arguments, its cause, or what botocore keeps of the answer."""
    with world.acting():
        cloud = connect(world.stage("staging"))
        world.aws.faults.append(Fault("expired", times=None))
        for act in (lambda: cloud.store("ledger").head("x"), lambda: cloud.sagemaker.describe_model(ModelName="x")):
            with pytest.raises(ClientError) as caught:
                act()
            exc: BaseException | None = caught.value
            while exc is not None:
                assert found(f"{exc!r} {exc} {exc.args!r} {vars(exc)!r}") == []
                exc = exc.__cause__ or exc.__context__


def test_no_object_shows_a_secret(world: World) -> None:
    with world.acting():
        cloud: Cloud = connect(world.stage("staging"))
        store = cloud.store("ledger")
        store.head("x")
        proxied = Route(None, 80, f"http://user:{PROXY_PASSWORD}@proxy:3128")
        wire: Wire = store.wire
        idle = next(iter(wire._idle.values()))[0]
        assert isinstance(idle, Connection)
        for thing in (cloud, store, wire, idle, proxied, wire._signer, cloud._session, cloud.s3, cloud.environment):
            assert found(f"{thing!r} {thing}") == []
        assert "proxy" not in repr(proxied)
        assert found(json.dumps(cloud.environment.model_dump(mode="json"))) == []


def test_what_is_not_an_endpoint_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="is not an endpoint") as caught:
        Wire(f"ftp://user:{PROXY_PASSWORD}@host/?X-Amz-Signature={QUERY}", "us-east-1", None)
    assert found(str(caught.value)) == []


@pytest.mark.parametrize(
    "text",
    [
        f"headers={{'X-Amz-Security-Token': b'{TOKEN}', 'Authorization': b'...'}}",
        f"x-amz-security-token:{TOKEN}\n\nhost;x-amz-date",
        f"GET /key?X-Amz-Algorithm=x&X-Amz-Security-Token={TOKEN}&X-Amz-Signature={QUERY}",
        f"<SecretAccessKey>{ROLE_KEY}</SecretAccessKey><SessionToken>{ROLE_TOKEN}</SessionToken>",
        f"{{'Credentials': {{'SecretAccessKey': '{ROLE_KEY}', 'SessionToken': '{ROLE_TOKEN}'}}}}",
        f'{{"accessToken": "{WEB_TOKEN}", "refreshToken":"{WEB_TOKEN}"}}',
        f"{{'Action': 'AssumeRoleWithWebIdentity', 'WebIdentityToken': '{WEB_TOKEN}'}}",
        f"connecting to http://user:{PROXY_PASSWORD}@proxy:3128",
        "Proxy-Authorization: Basic dXNlcjpjYW5hcnk=",
    ],
)
def test_what_is_taken_out(text: str) -> None:
    clean = redaction.redact(text)
    assert found(clean) == []
    assert redaction.HIDDEN in clean


@pytest.mark.parametrize(
    "text", ["s3://bucket/key:with:colons@v", "arn:aws:iam::1:role/x", "a token that expired", "user:name@example.com"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redaction.redact(text) == text


def test_a_record_that_cannot_be_formatted_is_left_to_logging() -> None:
    record = logging.LogRecord("botocore", logging.DEBUG, "", 1, "%d", ("x",), None)
    assert redaction._Redacting().filter(record)
