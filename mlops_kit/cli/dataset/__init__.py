"""``mlops-kit dataset``: data versioned like source code. One module a command."""

from __future__ import annotations

from mlops_kit.cli.lazy import LazyGroup

_HERE = "mlops_kit.cli.dataset"

command = LazyGroup(
    name="dataset",
    help="Version data like code: commit, compare, check out, test, repair.",
    lazy={
        "commit": (f"{_HERE}.commit", "Store a file, a directory or an S3 prefix as a new commit."),
        "log": (f"{_HERE}.log", "Show the commits that led somewhere, newest first."),
        "show": (f"{_HERE}.show", "Show one commit: what it holds and what it changed."),
        "diff": (f"{_HERE}.diff", "Compare two commits: files, and rows and schema of tables."),
        "ls": (f"{_HERE}.ls", "List the files of a commit."),
        "cat": (f"{_HERE}.cat", "Write one file of a commit to stdout."),
        "checkout": (f"{_HERE}.checkout", "Write the files of a commit to a directory."),
        "uri": (f"{_HERE}.uri", "Print where SageMaker reads a commit: its ManifestFile."),
        "branch": (f"{_HERE}.branch", "List, create or delete branches."),
        "tag": (f"{_HERE}.tag", "List, create or delete tags."),
        "revert": (f"{_HERE}.revert", "Commit again what an earlier commit held."),
        "check": (f"{_HERE}.check", "Test data against its constraints."),
        "verify": (f"{_HERE}.verify", "Check that a commit can be read bit for bit; repair it."),
        "gc": (f"{_HERE}.gc", "Remove what nothing refers to any more."),
    },
)
