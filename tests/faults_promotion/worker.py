"""A process that runs commands of the kit for the harness: by a clock that stands still, and without ever waiting.

Reads a JSON object a line, ``{"arguments": […], "forks": 0}``, and answers with one, ``{"code", "out", "err"}``. With
``forks``, the command runs in so many children at once, so that it can be killed, or be in its own way: the first
answer is ``{"pids"}``, the second, when they have ended, ``{"statuses"}``, negative if a signal ended one.

A command that is not run in a child has a process number of its own all the same, one that no process can have: whoever
looks, after it, for the process that it was, finds that it has ended.

Every command connects anew, as a user's does, but is given the same boto3 clients again: to make them is most of what a
command costs, and they have no state but open connections, and the quota of retries, which is lifted. What is left of
that cost, in making sessions, is the same few questions thousands of times: their answers are kept.
"""

from __future__ import annotations

import time

time.sleep = lambda seconds: None  # before anybody keeps the real one as a default

import functools  # noqa: E402 - as all that follow
import gc  # noqa: E402
import importlib  # noqa: E402
import io  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from contextlib import redirect_stderr, redirect_stdout  # noqa: E402
from functools import partial  # noqa: E402
from typing import Any  # noqa: E402

from botocore import hooks  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.retries.quota import RetryQuota  # noqa: E402
from botocore.session import Session  # noqa: E402

from mlops_kit import aws  # noqa: E402
from mlops_kit.cli import COMMANDS, session  # noqa: E402
from mlops_kit.cli.run import run  # noqa: E402
from mlops_kit.errors import MlopsKitError  # noqa: E402
from tests.aws.world import NOW  # noqa: E402

READ_TIMEOUT = 0.5
"""Seconds; the loopback answers in a hundredth of it, or was told not to."""
NO_PROCESS = 1 << 22
"""Linux numbers its processes below this."""


def main() -> None:
    aws.CLIENT_CONFIG = aws.CLIENT_CONFIG.merge(Config(read_timeout=READ_TIMEOUT))
    RetryQuota.acquire = lambda self, capacity_amount: True  # type: ignore[method-assign]
    hooks.accepts_kwargs = functools.cache(hooks.accepts_kwargs)  # type: ignore[attr-defined]
    aliased = functools.cache(partial(hooks.EventAliaser._alias_event_name, hooks.EventAliaser(None)))
    hooks.EventAliaser._alias_event_name = lambda self, event_name: aliased(event_name)  # type: ignore[method-assign]
    clients = _share_clients()
    session.now = lambda: NOW
    root, answers = sys.argv[1], os.fdopen(os.dup(1), "w")

    def answer(value: Any) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    gc.freeze()  # what is there by now stays
    really, numbers = os.getpid, itertools.count(NO_PROCESS)
    for line in sys.stdin:
        asked = json.loads(line)
        arguments = ["--project", root, *asked["arguments"]]
        importlib.import_module(COMMANDS[asked["arguments"][0]][0])
        if not asked["forks"]:
            os.getpid = partial(int, next(numbers))
            answer(_run(arguments))
            continue
        os.getpid = really
        for client in clients.values():
            client.close()  # a child must not use its parent's connections; it opens others
        children = [_fork(arguments) for _ in range(asked["forks"])]
        answer({"pids": children})
        answer({"statuses": [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]})


def _fork(arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        done = _run(arguments)
        if done["code"] == MlopsKitError.exit_code:  # one that nobody expects
            sys.stderr.write(done["err"])
            sys.stderr.flush()
        os._exit(done["code"])
    return child


def _share_clients() -> dict[Any, Any]:
    """Make each client once for whoever it acts as; the clients that were made."""
    create: Any = Session.create_client
    made: dict[Any, Any] = {}

    def create_client(self: Session, service_name: str, *arguments: Any, **options: Any) -> Any:
        acting = self.get_credentials()
        key = (service_name, acting.access_key, acting.token is None) if acting else (service_name,)
        if key not in made:
            made[key] = create(self, service_name, *arguments, **options)
        return made[key]

    Session.create_client = create_client  # type: ignore[method-assign]
    return made


def _run(arguments: list[str]) -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(arguments)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    main()
