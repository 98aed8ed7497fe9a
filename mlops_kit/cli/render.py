"""Tables and JSON on stdout."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table; as wide as it has to be where nobody looks at it through a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rendered = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        rendered.add_column(column, overflow="fold")
    for row in rows:
        rendered.add_row(*(Text(str(cell), style=_style(str(cell))) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 240)
    with console.capture() as capture:
        console.print(rendered)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def _style(cell: str) -> str:
    if cell in {"ALARM", "refused", "failed", "Failed"}:
        return "red"
    return "green" if cell in {"OK", "passed", "InService"} else ""


def as_json(value: object) -> None:
    click.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot be printed as JSON: {type(value).__name__}")


def some(number: int, what: str) -> str:
    """``1 file``, ``2,000 files``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def first_line(message: str) -> str:
    """What a message begins with, where there is room for one line."""
    line, more, _ = message.strip().partition("\n")
    return f"{line} …" if more else line


def who(actor: str) -> str:
    """Of an ARN only the end, which is the user, or the session of a role."""
    return re.split("[:/]", actor)[-1] if actor.startswith("arn:") else actor


def size(count: int) -> str:
    """Bytes for people: 1 kB is 1000 bytes."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
