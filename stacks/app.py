"""The entry of `cdktf synth|deploy`: environments/*.yaml -> one Terraform stack each.

``cdktf`` runs this from the project's root and says in ``CDKTF_OUTDIR`` where it looks for the result. The process
environment is read here and nowhere else in the stacks:

``MLOPS_KIT_LOCAL=1``
    for the local cloud: the state in a file, few retries
``MLOPS_KIT_LOCAL_STATE``
    the directory of those state files, so that `mlops-kit local up` and `cdktf deploy` share them; without it, each
    stack's state lies beside the stack
``MLOPS_KIT_PROJECT``
    the project's root, where it is not the current directory or above it
``MLOPS_KIT_ENVIRONMENTS``
    names, separated by commas: only these stacks, as ``--environment`` does
``MLOPS_KIT_BOOTSTRAP=1``
    the accounts' bootstrap stacks instead of the environments, as ``--bootstrap`` does: whoever prepares an account
    deploys nothing else, and whoever deploys an environment does not wait for them
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlops_kit.config import Project, find_root, load_project
from mlops_kit.errors import MlopsKitError

DEFAULT_OUT = "cdktf.out"


def synthesize(
    project: Project,
    out: Path,
    *,
    environments: Sequence[str] = (),
    local: bool = False,
    local_state: Path | None = None,
    bootstrap: bool = False,
) -> None:
    """Write ``out/stacks/<environment>/cdk.tf.json`` for the named environments, or for all.

    ``bootstrap``: ``out/stacks/<environment>-bootstrap/cdk.tf.json`` instead.

    Raises:
        NotFoundError: an environment that does not exist.
    """
    chosen = [project.environment(name) for name in environments] or list(project.stages)

    # Imported late: a mistake in the configuration is reported without waiting for CDKTF.
    from stacks.bindings import App
    from stacks.bootstrap_stack import BootstrapStack
    from stacks.environment_stack import EnvironmentStack

    app = App(outdir=str(out), stack_traces=False)
    for environment in chosen:
        kind, name = (
            (BootstrapStack, environment.names.bootstrap_stack) if bootstrap else (EnvironmentStack, environment.name)
        )
        kind(app, name, project=project, environment=environment, local=local, local_state=local_state)
    app.synth()


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m stacks.app", description="Synthesize the environments' stacks.")
    parser.add_argument("--environment", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--bootstrap", action="store_true", help="the accounts' bootstrap stacks instead")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where to write (default: {DEFAULT_OUT})")
    arguments = parser.parse_args(argv)
    environments = arguments.environment or [
        name.strip() for name in environ.get("MLOPS_KIT_ENVIRONMENTS", "").split(",") if name.strip()
    ]
    out = arguments.out or Path(environ.get("CDKTF_OUTDIR") or DEFAULT_OUT)
    try:
        project = load_project(find_root(Path(environ.get("MLOPS_KIT_PROJECT") or Path.cwd()).resolve()))
        state = environ.get("MLOPS_KIT_LOCAL_STATE")
        synthesize(
            project,
            out,
            environments=environments,
            local=environ.get("MLOPS_KIT_LOCAL") == "1",
            local_state=Path(state).resolve() if state else None,
            bootstrap=arguments.bootstrap or environ.get("MLOPS_KIT_BOOTSTRAP") == "1",
        )
    except MlopsKitError as exc:
        sys.stderr.write(f"{exc.message}\n" + (f"{exc.hint}\n" if exc.hint else ""))
        return exc.exit_code
    return 0


if __name__ == "__main__":
    gc.disable()  # a process that lives for seconds: looking for garbage costs more than it could free
    exit_code = main(sys.argv[1:], os.environ)
    gc.freeze()  # nor at exit
    sys.exit(exit_code)
