"""Run the team's training script, then pack its code beside the model.

The kit puts this file next to the team's code in ``sourcedir.tar.gz`` and names it as the program of the training job.
SageMaker's training toolkit unpacks the archive and starts it in that directory, with the hyperparameters as arguments.
It starts ``$MLOPS_KIT_TRAIN_PROGRAM`` from the same directory with the same arguments, and ends as that script ends. If
it succeeded, the whole directory is copied to ``$SM_MODEL_DIR/code/``, which is where SageMaker's framework images look
for ``inference.py`` and its ``requirements.txt``; files that the script wrote there itself are kept.

In a job of several instances, only the first host (``$SM_CURRENT_HOST``, ``$SM_HOSTS``) has to write a model and gets
the code: SageMaker merges the model directories of all of them.

Standard library only, Python 3.8: the container brings its own interpreter, and nothing of the kit but this file.
``SM_MODULE_DIR`` is of no use here: in script mode it is the archive's address in S3.

Sources: SageMaker training toolkit, "Environment variables"; SageMaker inference toolkit, "Model directory structure";
SageMaker developer guide, "How Amazon SageMaker AI runs your training image" (SIGTERM, then SIGKILL after 120 s).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

PROGRAM = "MLOPS_KIT_TRAIN_PROGRAM"
SELF = Path(__file__).resolve()
SOURCE = SELF.parent

LEFT_OUT = ("__pycache__", "*.pyc", ".git", ".venv", ".ipynb_checkpoints", ".*_cache")


def main() -> int:
    """The exit code of the team's script, or 1 with one line on stderr if the model cannot be packed."""
    program = os.environ.get(PROGRAM, "")
    if not program or not (SOURCE / program).is_file():
        there = ", ".join(sorted(path.name for path in SOURCE.glob("*.py") if path != SELF)) or "no Python file"
        return fail(f"{PROGRAM} is {program!r}, which is no file in the source directory; it has {there}")
    code = run([sys.executable, "-u", str(SOURCE / program), *sys.argv[1:]])
    if code != 0:
        return code  # without a word: the script's last lines are what SageMaker reports as the reason
    if not is_first_host():
        return 0
    model_dir = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    if not any(path.is_file() for path in model_dir.rglob("*")):
        return fail(f"{program} ended well but wrote no file to SM_MODEL_DIR ({model_dir}): there is no model")
    copy_code(model_dir)
    return 0


def run(command: list[str]) -> int:
    """Run ``command`` in the source directory; its output is ours, and so is its SIGTERM. Returns its exit code.

    A command that a signal ended gives 128 plus the signal's number, as a shell would.
    """
    child: list[subprocess.Popen[bytes]] = []
    terminated: list[int] = []

    def forward(signum: int, frame: FrameType | None) -> None:
        terminated.append(signum)
        for process in child:
            process.send_signal(signum)

    signal.signal(signal.SIGTERM, forward)
    child.append(subprocess.Popen(command, cwd=SOURCE))
    if terminated:
        child[0].send_signal(signal.SIGTERM)
    code = child[0].wait()
    return 128 - code if code < 0 else code


def is_first_host() -> bool:
    """Whether this is the only host, or the first one of several."""
    hosts = json.loads(os.environ.get("SM_HOSTS") or "[]")
    return not hosts or os.environ.get("SM_CURRENT_HOST", hosts[0]) == hosts[0]


def copy_code(model_dir: Path) -> None:
    """Copy the source directory to ``code/`` in ``model_dir``, without this file, caches and version control."""
    patterns = shutil.ignore_patterns(*LEFT_OUT)
    target = model_dir / "code"

    def ignore(directory: str, names: list[str]) -> set[str]:
        left_out = set(patterns(directory, names))
        for name in names:
            path = Path(directory, name)
            relative = path.relative_to(SOURCE)
            if path in (SELF, model_dir.resolve()) or (path.is_file() and (target / relative).exists()):
                left_out.add(name)
        return left_out

    shutil.copytree(SOURCE, target, ignore=ignore, dirs_exist_ok=True)


def fail(message: str) -> int:
    sys.stderr.write(f"mlops-kit: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
