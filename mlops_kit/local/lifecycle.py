"""Start and stop the local cloud: server, synth, then Terraform for every environment side by side.

Each step is skipped or repeated safely: ``up`` on a running cloud only applies again, ``down`` on a stopped one does
nothing. The server is a process of its own session, so that it outlives the command and can be stopped with all its
children.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil

from mlops_kit.config import Environment, Project
from mlops_kit.errors import MlopsKitError, NotFoundError, ServiceError, UsageError
from mlops_kit.local import state
from mlops_kit.local.state import Layout, Running
from mlops_kit.local.terraform import Event, Terraform
from mlops_kit.naming import PersonRole

START_SECONDS = 60.0
STOP_SECONDS = 20.0
RECORD_VARIABLE = "MLOPS_KIT_LOCAL_RECORD"
"""Names a file for the record of all API calls; for tests, which compare it with the policies."""

Tell = Callable[[str], None]


def up(project: Project, port: int | None, tell: Tell, *, apply: bool = True, enforce_iam: bool = False) -> Running:
    """Bring the local cloud up and apply every environment to it.

    With ``enforce_iam``, roles may only do what their policies allow.

    Raises:
        UsageError: the port is taken, Terraform or its provider is missing, or a cloud runs that does not enforce IAM.
        ServiceError: Terraform failed; the server keeps running, so that it can be looked at and tried again.
    """
    layout = Layout(project.root)
    if apply:
        Terraform.find(layout.root)  # missing? say so before anything is started
    running = state.read(layout)
    if running is not None and state.health(running.url) is not None:
        if port not in (None, running.port):
            raise UsageError(
                f"The local cloud already runs on port {running.port}.", hint="Stop it first: `mlops-kit local down`."
            )
        if enforce_iam and not running.enforces_iam:
            raise UsageError(
                "The local cloud already runs, without enforcing IAM.", hint="Stop it first: `mlops-kit local down`."
            )
        tell(f"the local cloud is already running at {running.url}")
    else:
        down(layout, tell=lambda line: None)
        running = _start(layout, port or state.DEFAULT_PORT, tell, enforce_iam=enforce_iam)
    if not apply:
        return running
    tell("synthesizing the stacks")
    synthesize(project.root, layout)
    _apply(project.stages, running, layout, tell)
    running = replace(running, applied=tuple(stage.name for stage in project.stages))
    running.write(layout)
    return running


def _start(layout: Layout, port: int, tell: Tell, *, enforce_iam: bool) -> Running:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise UsageError(
                f"Port {port} is in use.", hint="Choose another one: `mlops-kit local up --port N`."
            ) from exc
    for stale in (layout.server, layout.synthesized, layout.terraform_state):
        shutil.rmtree(stale, ignore_errors=True)  # the cloud they describe is gone
    layout.server.mkdir(parents=True)
    flags = ["--enforce-iam"] if enforce_iam else []
    if record := os.environ.get(RECORD_VARIABLE):
        flags += ["--record", str(Path(record).absolute())]
    with layout.log.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlops_kit.local.server"),
                *("--port", str(port), "--directory", str(layout.server), *flags),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=layout.project,
        )
    running = Running(process.pid, port, enforces_iam=enforce_iam)
    running.write(layout)
    deadline = time.monotonic() + START_SECONDS
    while state.health(running.url) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            _kill(process.pid)
            layout.state_file.unlink(missing_ok=True)
            last = layout.log.read_text(errors="replace").splitlines()[-5:]
            raise ServiceError("The local cloud did not start:\n" + "\n".join(last), hint=f"Its log is {layout.log}.")
        time.sleep(0.1)
    tell(f"the local cloud is running at {running.url}, log {layout.log}")
    return running


def synthesize(root: Path, layout: Layout) -> None:
    """Environment files -> Terraform JSON, in a process of its own: this package never imports the stacks."""
    done = subprocess.run(
        [sys.executable, "-m", "stacks.app", "--out", str(layout.synthesized)],
        cwd=root,
        env={**os.environ, "MLOPS_KIT_LOCAL": "1", "MLOPS_KIT_LOCAL_STATE": str(layout.terraform_state)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()[-15:]
        kind = UsageError if done.returncode == UsageError.exit_code else ServiceError
        raise kind("The stacks could not be synthesized:\n" + "\n".join(lines))


def aws_environment(running: Running, environment: Environment) -> dict[str, str]:
    """The variables with which any AWS tool acts in ``environment`` on the local cloud."""
    direct = ",".join(["127.0.0.1", "localhost", *filter(None, [os.environ.get("NO_PROXY", "")])])
    return {
        "AWS_ENDPOINT_URL": running.url,
        "AWS_ACCESS_KEY_ID": environment.account,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": environment.region,
        "AWS_DEFAULT_REGION": environment.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "MLOPS_KIT_LOCAL": "1",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def tool_environment(layout: Layout, running: Running, environment: Environment) -> dict[str, str]:
    """The same, how Terraform finds its provider, and where cdktf finds the state that `local up` left."""
    wanted = aws_environment(running, environment) | {"MLOPS_KIT_LOCAL_STATE": str(layout.terraform_state)}
    found = Terraform.find(layout.root).environment
    return wanted | {name: found[name] for name in ("TF_CLI_CONFIG_FILE", "CHECKPOINT_DISABLE") if name in found}


def role_environment(environment: Environment, role: PersonRole, session: str, url: str) -> dict[str, str]:
    """What to put over :func:`tool_environment`, so that tools act in ``role``, and mlops-kit with them.

    Raises:
        UsageError: no role session can have this name.
        NotFoundError: the role is not there.
    """
    from botocore.config import Config  # heavy, and no other command here talks to AWS
    from botocore.exceptions import ClientError

    from mlops_kit import aws

    if not re.fullmatch(r"[\w+=,.@-]{2,64}", session, re.ASCII):
        raise UsageError(
            f"{session!r} cannot be the name of a role session.", hint="STS takes 2 to 64 of A-Z a-z 0-9 and =,.@-_+."
        )
    arn = environment.names.role_arn(role)
    sts = aws.local_session(environment).client("sts", endpoint_url=url, config=Config(proxies={}))
    try:
        found = sts.assume_role(RoleArn=arn, RoleSessionName=session)["Credentials"]
    except ClientError as exc:
        raise NotFoundError(
            f"{arn} cannot be assumed on the local cloud ({aws.error_code(exc)}).",
            hint=f"Deploy {environment.name}: `mlops-kit local up`.",
        ) from exc
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
        "MLOPS_KIT_LOCAL": "0",  # or mlops-kit would act as the administrator
    }


def terraform_for(layout: Layout, running: Running, environment: Environment) -> Terraform:
    # No variable of the user's own AWS set-up gets through: a laptop's credentials have no business here.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return Terraform.find(layout.root, kept | aws_environment(running, environment))


def _apply(stages: Sequence[Environment], running: Running, layout: Layout, tell: Tell) -> None:
    layout.terraform_state.mkdir(parents=True, exist_ok=True)

    def apply_one(stage: Environment) -> None:
        terraform = terraform_for(layout, running, stage)
        terraform.init(layout.stack(stage.name))
        terraform.apply(layout.stack(stage.name), _progress(stage.name, tell))

    with ThreadPoolExecutor(len(stages)) as pool:
        jobs = {stage.name: pool.submit(apply_one, stage) for stage in stages}
    failed = {name: error for name, job in jobs.items() if isinstance(error := job.exception(), MlopsKitError)}
    for job in jobs.values():
        if (error := job.exception()) is not None and not isinstance(error, MlopsKitError):
            raise error
    if failed:
        first = next(iter(failed.values()))
        raise type(first)("\n".join(error.message for error in failed.values()), hint=first.hint)


def _progress(name: str, tell: Tell) -> Callable[[Event], None]:
    """Tells how many resources are done, in steps of about an eighth."""
    total = done = told = 0

    def on_event(event: Event) -> None:
        nonlocal total, done, told
        kind = event.get("type")
        if kind == "change_summary" and event["changes"].get("operation") == "plan":
            total = sum(event["changes"].get(action, 0) for action in ("add", "change", "remove"))
            tell(f"  {name}: {total} changes to make" if total else f"  {name}: no changes")
        elif kind == "apply_complete":
            done += 1
            if done == total or done - told >= max(1, total // 8):
                told = done
                tell(f"  {name}: {done} of {total}")

    return on_event


def down(layout: Layout, tell: Tell) -> bool:
    """Stop the server and everything it started; True if something was running."""
    try:
        running = state.read(layout)
    except UsageError:  # an unreadable state file must not keep the cloud from being taken down
        running = None
    stopped = running is not None and _ours(running) and _kill(running.pid)
    layout.state_file.unlink(missing_ok=True)
    tell("the local cloud is down" if stopped else "the local cloud is not running")
    return stopped


def _ours(running: Running) -> bool:
    """Whether the process is still our server: a process id may have been given to somebody else meanwhile."""
    report = state.health(running.url)
    if report is not None:
        return True
    try:
        return "mlops_kit.local.server" in psutil.Process(running.pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _kill(pid: int) -> bool:
    """Stop the process group that ``pid`` leads, first politely; True if it was there."""
    try:
        os.killpg(pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return False
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # reap it if this very process started it
        try:
            os.killpg(pid, 0)
        except (ProcessLookupError, PermissionError):
            return True
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return True
