"""A server of the tests' own, and the small models, scripts and archives that run on it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

DEV, STAGING = "111111111111", "222222222222"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{DEV}:role/any"
"""Exists in every server of these tests and trusts SageMaker."""
T = TypeVar("T")


def eventually(check: Callable[[], T], seconds: float = 60.0) -> T:
    """The first truthy answer of ``check``; fails with the last one when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        time.sleep(0.05)


@dataclass
class Server:
    """A running local cloud."""

    process: subprocess.Popen[bytes]
    url: str
    directory: Path

    @classmethod
    def start(cls, directory: Path, *arguments: str) -> Server:
        log = directory / "server.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlops_kit.local.server"),
                    *("--port", "0", "--directory", str(directory / "files")),
                    *arguments,
                ],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
                | {"SECRET_OF_THE_USER": "must not leak", "AWS_PROFILE": "must-not-leak"},
            )

        def listening() -> str | None:
            assert process.poll() is None, log.read_text()
            match = re.search(r"listens on (http://\S+)", log.read_text())
            return match[1] if match else None

        server = cls(process, eventually(listening), directory)
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        server.client("iam").create_role(
            RoleName=ROLE.rsplit("/", 1)[1], AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )
        return server

    def client(self, service: str, account: str = DEV, **credentials: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=credentials.get("key", account),
            aws_secret_access_key=credentials.get("secret", "x"),
            aws_session_token=credentials.get("token"),
            config=Config(retries={"total_max_attempts": 1}),
        )

    def assume(self, role: str, *, caller: str = DEV) -> dict[str, str]:
        """Credentials of a role, as keyword arguments of :meth:`client`."""
        answer = self.client("sts", caller).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return {"key": answer["AccessKeyId"], "secret": answer["SecretAccessKey"], "token": answer["SessionToken"]}

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_mlops-kit/health") as answer:  # noqa: S310  # our own server
            return dict(json.load(answer))

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def unique(prefix: str = "t") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def new_bucket(server: Server, account: str = DEV, **options: Any) -> str:
    name = unique("bucket")
    server.client("s3", account).create_bucket(Bucket=name, **options)
    return name


def new_role(server: Server, account: str, trust: Mapping[str, Any]) -> str:
    """A role with one trust statement; its ARN."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **trust}]}
    role = server.client("iam", account).create_role(
        RoleName=unique("role"), AssumeRolePolicyDocument=json.dumps(document)
    )
    return str(role["Role"]["Arn"])


def tar_gz(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


INFERENCE = """
from pathlib import Path

def model_fn(model_dir):
    return Path(model_dir, "answer.txt").read_text()

def input_fn(body, content_type):
    if content_type == "text/fails":
        raise ValueError("this input is refused")
    return body

def predict_fn(data, model):
    return model

def output_fn(prediction, accept):
    return prediction, "text/csv"
"""


def model_archive(answer: str, inference: str = INFERENCE) -> bytes:
    """A ``model.tar.gz`` whose every prediction is ``answer``."""
    return tar_gz({"answer.txt": answer, "code/inference.py": inference})
