"""The user's cache directory: what can be thrown away at any time, and is made again.

Source: XDG Base Directory Specification, ``XDG_CACHE_HOME``: a relative path counts as not set.
"""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """``$XDG_CACHE_HOME/mlops-kit``, by default ``~/.cache/mlops-kit``.

    Raises:
        RuntimeError: there is no home directory.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "mlops-kit"
