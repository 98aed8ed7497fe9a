"""mlops-kit: an MLOps platform on AWS as code, and the commands that move models and data through it.

This package knows boto3 and never Terraform; ``stacks/`` knows Terraform and never boto3. They meet in
:mod:`mlops_kit.config` (what exists where) and :mod:`mlops_kit.naming` (what everything is called).

In a notebook: ``from mlops_kit import Dataset``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_kit.datasets.api import Dataset

__all__ = ["Dataset", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded when it is asked for: the command line imports this package first, and has to start fast.
    if name == "Dataset":
        from mlops_kit.datasets.api import Dataset

        return Dataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
