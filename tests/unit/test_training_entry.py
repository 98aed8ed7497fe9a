"""The entry point in training containers, run as SageMaker runs it: as a program, with variables and arguments."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from importlib import resources
from pathlib import Path

import pytest

ENTRY = "mlops_kit_training_entry.py"
SAVE = """
import os, pathlib
(pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.bin").write_text("weights")
"""


class Container:
    """A source directory with the entry point in it, and an empty model directory."""

    def __init__(self, root: Path) -> None:
        self.code = root / "code"
        self.model = root / "model"
        self.code.mkdir()
        self.model.mkdir()
        self.environment = {"SM_MODEL_DIR": str(self.model), "MLOPS_KIT_TRAIN_PROGRAM": "train.py"}
        with resources.as_file(resources.files("mlops_kit.jobs").joinpath("training_entry.py")) as source:
            shutil.copy(source, self.code / ENTRY)

    def write(self, name: str, text: str) -> None:
        path = self.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, ENTRY, *arguments],
            cwd=self.code,
            env={"PATH": os.environ["PATH"], **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def packed(self) -> list[str]:
        return sorted(path.relative_to(self.model).as_posix() for path in self.model.rglob("*") if path.is_file())


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_it_is_python_3_8_and_the_standard_library() -> None:
    text = resources.files("mlops_kit.jobs").joinpath("training_entry.py").read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_the_code_travels_beside_the_model(container: Container) -> None:
    container.write("train.py", SAVE)
    container.write("inference.py", "def model_fn(model_dir): ...\n")
    container.write("requirements.txt", "")
    container.write("features/__init__.py", "")
    container.write("features/__pycache__/x.cpython-38.pyc", "")
    container.write(".git/config", "")
    container.write(".mypy_cache/x", "")
    code, _, err = container.run()
    assert (code, err) == (0, "")
    assert container.packed() == [
        "code/features/__init__.py",
        "code/inference.py",
        "code/requirements.txt",
        "code/train.py",
        "model.bin",
    ]


def test_arguments_directory_and_output_are_handed_on(container: Container) -> None:
    container.write("helper.py", "WORD = 'imported'\n")
    container.write(
        "train.py",
        f"""
        import helper, os, pathlib, sys
        print(helper.WORD, sys.argv[1:], os.getcwd() == {str(container.code)!r})
        print("to stderr", file=sys.stderr)
        (pathlib.Path(os.environ["SM_MODEL_DIR"]) / "m").write_text("x")
        """,
    )
    code, out, err = container.run("--label", "y", "--name", "two words; $HOME")
    assert code == 0
    assert out == "imported ['--label', 'y', '--name', 'two words; $HOME'] True\n"
    assert err == "to stderr\n"


def test_output_is_not_held_back(container: Container) -> None:
    container.write("train.py", "import sys\nprint('first')\nsys.stdin.read()\n" + SAVE)
    process = subprocess.Popen(
        [sys.executable, ENTRY],
        cwd=container.code,
        env={"PATH": os.environ["PATH"], **container.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "first\n", "while the script is still waiting for its input"
    process.communicate("", timeout=60)
    assert process.returncode == 0


def test_a_failing_script_has_the_last_word(container: Container) -> None:
    container.write("train.py", SAVE + "\nimport sys\nprint('no rows', file=sys.stderr)\nsys.exit(3)\n")
    code, _, err = container.run()
    assert (code, err) == (3, "no rows\n")
    assert container.packed() == ["model.bin"], "the code of a failed training is not packed"


def test_a_traceback_ends_the_output(container: Container) -> None:
    container.write("train.py", "raise ValueError('bad data')\n")
    code, _, err = container.run()
    assert code == 1
    assert err.splitlines()[-1] == "ValueError: bad data"


def test_a_script_that_saves_nothing_is_a_failure(container: Container) -> None:
    container.write("train.py", "")
    (container.model / "empty").mkdir()
    code, _, err = container.run()
    assert code == 1
    assert err == (
        f"mlops-kit: train.py ended well but wrote no file to SM_MODEL_DIR ({container.model}): there is no model\n"
    )


@pytest.mark.parametrize("program", ["", "missing.py", "."])
def test_a_program_that_is_not_there(container: Container, program: str) -> None:
    container.write("fit.py", "")
    container.environment["MLOPS_KIT_TRAIN_PROGRAM"] = program
    code, _, err = container.run()
    assert code == 1
    assert f"MLOPS_KIT_TRAIN_PROGRAM is {program!r}" in err
    assert "it has fit.py" in err


def test_what_the_script_wrote_to_code_is_kept(container: Container) -> None:
    container.write("inference.py", "original")
    container.write(
        "train.py",
        """
        import os, pathlib
        code = pathlib.Path(os.environ["SM_MODEL_DIR"]) / "code"
        code.mkdir()
        (code / "inference.py").write_text("generated")
        """,
    )
    assert container.run()[0] == 0
    assert (container.model / "code" / "inference.py").read_text() == "generated"
    assert "code/train.py" in container.packed()


def test_a_model_directory_inside_the_source_directory(container: Container) -> None:
    container.model = container.code / "model"
    container.model.mkdir()
    container.environment["SM_MODEL_DIR"] = str(container.model)
    container.write("train.py", SAVE)
    assert container.run()[0] == 0
    assert container.packed() == ["code/train.py", "model.bin"]


def test_only_the_first_host_has_to_have_a_model(container: Container) -> None:
    container.write("train.py", "")
    container.environment |= {"SM_HOSTS": json.dumps(["algo-1", "algo-2"]), "SM_CURRENT_HOST": "algo-2"}
    assert container.run() == (0, "", "")
    assert container.packed() == []
    container.environment["SM_CURRENT_HOST"] = "algo-1"
    assert container.run()[0] == 1


def test_sigterm_reaches_the_script_which_may_still_save(container: Container) -> None:
    container.write(
        "train.py",
        """
        import os, pathlib, signal, sys
        def stop(*_):
            (pathlib.Path(os.environ["SM_MODEL_DIR"]) / "checkpoint").write_text("x")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready")
        while True:
            signal.pause()
        """,
    )
    process = container.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert container.packed() == ["checkpoint", "code/train.py"]


def test_a_script_that_a_signal_ended(container: Container) -> None:
    container.write("train.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    code, _, err = container.run()
    assert (code, err) == (128 + signal.SIGKILL, "")
