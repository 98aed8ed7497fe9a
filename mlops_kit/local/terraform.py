"""Find Terraform and its provider, and run them.

The AWS provider is looked for in a filesystem mirror before the network is asked, as air-gapped machines need it. When
the user has configured Terraform's provider installation, that configuration is used and nothing is looked for.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_kit.errors import ServiceError, UsageError

PROVIDER = "registry.terraform.io/hashicorp/aws"
PROVIDER_VERSION = "5.100.0"
"""The provider whose schema the stacks are checked against; held equal to theirs by a test."""

MIRROR_PREFIXES = (Path("/opt"), Path("/usr/share"), Path("/usr/local/share"), Path.home() / ".terraform.d")
LAST_LINES = 15

Event = dict[str, Any]


def platform_name() -> str:
    """This machine as Terraform writes it, for example ``linux_amd64``."""
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}_{architecture}"


def find_mirror(prefixes: Iterable[Path] = MIRROR_PREFIXES) -> Path | None:
    """A filesystem mirror that holds the pinned provider: one of the prefixes, or one or two levels below one."""
    wanted = Path(PROVIDER) / PROVIDER_VERSION / platform_name()
    for prefix in prefixes:
        for pattern in (".", "*", "*/*"):
            try:
                candidates = [prefix] if pattern == "." else sorted(prefix.glob(pattern))
                found = next((directory for directory in candidates if (directory / wanted).is_dir()), None)
            except OSError:  # a directory that may not be listed holds no mirror for us
                continue
            if found is not None:
                return found
    return None


def user_configured(environment: Mapping[str, str]) -> bool:
    """Whether the user has a Terraform CLI configuration that exists."""
    named = environment.get("TF_CLI_CONFIG_FILE")
    return Path(named).is_file() if named else (Path.home() / ".terraformrc").is_file()


@dataclass(frozen=True, slots=True)
class Terraform:
    """One Terraform binary with the environment it is run in."""

    binary: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def find(cls, working_directory: Path, environment: Mapping[str, str] | None = None) -> Terraform:
        """Terraform from PATH, or the one that the set-up fetched beside this Python.

        ``working_directory`` receives the CLI configuration when a mirror is found. ``environment`` replaces the
        process environment for every command.

        Raises:
            UsageError: there is no Terraform.
        """
        env = dict(os.environ if environment is None else environment)
        search = os.pathsep.join([env.get("PATH", os.defpath), str(Path(sys.prefix) / "bin")])
        binary = shutil.which("terraform", path=search)
        if binary is None:
            raise UsageError(
                "Terraform is not on PATH.",
                hint="Install Terraform 1.10 or later, or run `python -m mlops_kit.local.terraform_download`.",
            )
        env |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
        if not user_configured(env):
            env.pop("TF_CLI_CONFIG_FILE", None)  # a file that does not exist only makes Terraform warn
            if (mirror := find_mirror()) is not None:
                env["TF_CLI_CONFIG_FILE"] = str(_write_cli_config(working_directory, mirror))
        return cls(Path(binary), env)

    def init(self, stack_dir: Path) -> None:
        """``terraform init``: the back end and the provider.

        Raises:
            UsageError: the provider can be had neither from a mirror nor from its registry.
        """
        try:
            self._run(stack_dir, ["init", "-no-color"])
        except ServiceError as exc:
            raise UsageError(
                f"terraform init failed in {stack_dir.name}: {exc.message}",
                hint=f"The AWS provider {PROVIDER_VERSION} has to come from its registry, or from a filesystem mirror "
                f"below one of {', '.join(str(prefix) for prefix in MIRROR_PREFIXES)}.",
            ) from exc

    def validate(self, stack_dir: Path) -> None:
        """``terraform validate``; raises ServiceError with Terraform's own words."""
        self._run(stack_dir, ["validate", "-no-color"])

    def apply(self, stack_dir: Path, on_event: Callable[[Event], None] = lambda event: None) -> None:
        """``terraform apply`` without asking; ``on_event`` gets each of its machine-readable events.

        Source of the event format: Terraform's "Machine-Readable UI" documentation.
        """
        self._run(stack_dir, ["apply", "-json", "-auto-approve", "-parallelism=20"], on_event)

    def destroy(self, stack_dir: Path) -> None:
        self._run(stack_dir, ["apply", "-destroy", "-json", "-auto-approve", "-parallelism=20"])

    def has_changes(self, stack_dir: Path) -> str | None:
        """What a new plan would change, as Terraform prints it; None when nothing would."""
        done = self._process(stack_dir, ["plan", "-no-color", "-detailed-exitcode"])
        output, _ = done.communicate()
        if done.returncode == 0:
            return None
        if done.returncode == 2:
            return output
        raise ServiceError(f"terraform plan failed in {stack_dir.name}:\n{_tail(output.splitlines())}")

    def _process(self, stack_dir: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.binary), f"-chdir={stack_dir}", *arguments],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _run(
        self, stack_dir: Path, arguments: Sequence[str], on_event: Callable[[Event], None] = lambda event: None
    ) -> None:
        lines: list[str] = []
        errors: list[str] = []
        with self._process(stack_dir, arguments) as process:
            assert process.stdout is not None  # noqa: S101 - for the type checker; Popen was given a pipe
            for line in process.stdout:
                event = _event(line)
                if event is None:
                    lines.append(line.rstrip())
                elif event.get("@level") == "error":
                    errors.append(_diagnostic(event))
                else:
                    on_event(event)
        if process.returncode != 0:
            raise ServiceError(
                f"terraform {arguments[0]} failed in {stack_dir.name}:\n{_tail(errors or lines)}",
                hint="Correct what Terraform names above and run it again; what was made is kept in the state.",
            )


def _write_cli_config(directory: Path, mirror: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = (directory / "terraform.rc").resolve()
    path.write_text(
        "provider_installation {\n"
        f'  filesystem_mirror {{\n    path    = "{mirror}"\n    include = ["{PROVIDER}"]\n  }}\n'
        f'  direct {{\n    exclude = ["{PROVIDER}"]\n  }}\n'
        "}\n"
    )
    return path


def _event(line: str) -> Event | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and "@message" in event else None


def _diagnostic(event: Event) -> str:
    diagnostic = event.get("diagnostic", {})
    parts = [event["@message"], diagnostic.get("address", ""), diagnostic.get("detail", "")]
    return "\n".join(part for part in parts if part)


def _tail(lines: Sequence[str]) -> str:
    return "\n".join([line for line in lines if line.strip()][-LAST_LINES:])
