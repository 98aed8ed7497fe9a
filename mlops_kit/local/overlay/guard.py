"""How the overlay changes moto: by replacing or adding a named attribute, after checking that moto is as expected.

A mend that silently stops applying is worse than none, because the tests would then pass for the wrong reason. So every
change states what it expects of moto (the attribute exists and takes these parameters, or: moto does not have this
operation yet), and anything else stops the server before it answers its first request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import moto

SUPPORTED = "5.2."


class MotoChangedError(RuntimeError):
    """moto is not what the overlay was written for."""


def check_version() -> None:
    """Refuse any moto release line other than the one the mends were written against."""
    version = str(moto.__version__)
    if not version.startswith(SUPPORTED):
        raise MotoChangedError(
            f"the local cloud's overlay is written for moto {SUPPORTED}x, but {version} is installed"
        )


def original(owner: Any, name: str, *parameters: str) -> Callable[..., Any]:
    """The function that is about to be replaced, after checking that it takes exactly ``parameters``.

    Raises:
        MotoChangedError: it is gone or its parameters changed.
    """
    found = inspect.getattr_static(owner, name, None)
    function = getattr(found, "__func__", found)
    if not callable(function):
        raise MotoChangedError(f"moto no longer has {_label(owner)}.{name}, which the overlay mends")
    actual = tuple(inspect.signature(function).parameters)
    if actual != parameters:
        raise MotoChangedError(f"moto changed {_label(owner)}.{name}: expected parameters {parameters}, found {actual}")
    bound: Callable[..., Any] = getattr(owner, name)
    return bound


def original_taking(owner: Any, name: str, *parameters: str) -> Callable[..., Any]:
    """As :func:`original`, for a function with many parameters of which the mend uses only ``parameters``."""
    function = getattr(owner, name, None)
    if not callable(function):
        raise MotoChangedError(f"moto no longer has {_label(owner)}.{name}, which the overlay mends")
    missing = set(parameters) - set(inspect.signature(function).parameters)
    if missing:
        raise MotoChangedError(f"moto changed {_label(owner)}.{name}: it no longer takes {', '.join(sorted(missing))}")
    taking: Callable[..., Any] = function
    return taking


def replace(owner: Any, name: str, function: Callable[..., Any]) -> None:
    """Put ``function`` in place of one that :func:`original` has checked."""
    if inspect.getattr_static(owner, name, None) is None:
        raise MotoChangedError(f"moto no longer has {_label(owner)}.{name}, which the overlay replaces")
    function.__name__ = name
    setattr(owner, name, function)


def add(owner: Any, name: str, function: Callable[..., Any]) -> None:
    """Give moto an operation that it lacks.

    Raises:
        MotoChangedError: moto gained the operation; then ours has to go.
    """
    if inspect.getattr_static(owner, name, None) is not None:
        raise MotoChangedError(f"moto now has {_label(owner)}.{name} itself: remove the overlay's own")
    function.__name__ = name
    setattr(owner, name, function)


def require_attributes(value: Any, *names: str) -> None:
    """Check that an instance of one of moto's classes has the attributes that a mend reads or writes."""
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise MotoChangedError(f"moto's {type(value).__name__} no longer has {', '.join(missing)}")


def _label(owner: Any) -> str:
    return str(getattr(owner, "__qualname__", getattr(owner, "__name__", owner)))
