"""``environments/datasets/<name>.yaml``: what a data set is, and the constraints that every commit of it has to keep.

The constraints are data, not code: nothing in this file is executed or becomes part of a query other than as a value
or a quoted name. :mod:`mlops_kit.quality` holds the files of a commit against them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mlops_kit.config.fields import LIST, Email, Frozen
from mlops_kit.naming import NAME_PATTERN

Type = Literal["integer", "number", "boolean", "string", "date", "timestamp"]
Format = Literal["csv", "parquet", "jsonl"]
Others = Literal["allow", "refuse"]

ORDERED = ("integer", "number", "date", "timestamp")
"""Types that ``min`` and ``max`` are for."""

_NO_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:<?[=!]|P=|>|\()|\\[1-9]|\\Z)")


def _glob(value: str) -> str:
    parts = value.split("/")
    if value.startswith("/") or "" in parts or {".", ".."} & set(parts):
        raise ValueError(f"{value!r} is not a path inside the data set, like 'images/**/*.jpg'")
    if any("**" in part and part != "**" for part in parts):
        raise ValueError(f"{value!r}: ** stands for whole directories, between slashes, as in 'images/**/*.jpg'")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as exc:
        raise ValueError(f"{value!r} is not a regular expression: {exc}") from exc
    if _NO_RE2.search(value):
        raise ValueError(f"{value!r} looks around or back, which RE2, that runs it, does not do; and \\Z is \\z there")
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _no_repeats(values: tuple[object, ...]) -> tuple[object, ...]:
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise ValueError(f"{twice[0]!r} is listed twice")
    return values


Glob = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_glob)]
"""Files of the data set: ``*`` and ``?`` stay inside a directory, ``**`` is any number of directories, also none."""
ColumnName = Annotated[str, Field(min_length=1, max_length=1024)]
Pattern = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_pattern)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Key = Annotated[tuple[ColumnName, ...], LIST, Field(min_length=1), AfterValidator(_no_repeats)]


class Column(Frozen):
    """What the values of one column are. A column that is named here has to be there; ``{}`` asks for no more.

    ``min`` and ``max`` are inclusive, and for a date or a timestamp are one in ISO 8601 (UTC unless it says otherwise).
    ``completeness`` is the least share of rows that have a value, ``required: true`` is short for 1.0. ``unique`` is
    about the values that are there. ``pattern`` is searched for: anchor it with ``^`` and ``$``.
    """

    type: Type | None = None
    min: int | float | str | None = None
    max: int | float | str | None = None
    completeness: Share | None = None
    required: bool = False
    allowed: Annotated[tuple[bool | int | float | str, ...], LIST, AfterValidator(_no_repeats)] | None = None
    unique: bool = False
    pattern: Pattern | None = None

    @property
    def least_complete(self) -> float | None:
        return 1.0 if self.required else self.completeness

    @model_validator(mode="after")
    def _bounds_fit_the_type(self) -> Self:
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is None:
                continue
            if self.type not in ORDERED:
                raise ValueError(f"{name} needs a type that has an order: {', '.join(ORDERED)}")
            if self.type in ("date", "timestamp"):
                _check_moment(name, bound, self.type)
            elif not isinstance(bound, int | float) or (self.type == "integer" and not isinstance(bound, int)):
                raise ValueError(f"{name} ({bound!r}) has to be {_an(self.type)}, as the column is")
            elif bound != bound or bound in (float("inf"), float("-inf")):
                raise ValueError(f"{name} has to be a finite number")
        if self.min is not None and self.max is not None and _order(self.min) > _order(self.max):
            raise ValueError(f"min ({self.min}) is larger than max ({self.max})")
        return self

    @model_validator(mode="after")
    def _allowed_fits_the_type(self) -> Self:
        kinds: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}
        for value in self.allowed or ():
            if self.type in ("date", "timestamp"):
                raise ValueError(f"allowed is not for {self.type} columns; use min and max")
            fits = isinstance(value, kinds.get(self.type or "string", (str,)))
            if not fits or (isinstance(value, bool) and self.type != "boolean"):
                raise ValueError(
                    f"allowed: {value!r} is not {_an(self.type or 'string')}, as the column is"
                    + ('; YAML reads no, yes, on, off and numbers as such, so write "…" around it' * (not fits))
                )
        if self.allowed == ():
            raise ValueError("allowed: an empty list allows nothing")
        return self

    @model_validator(mode="after")
    def _pattern_is_for_text(self) -> Self:
        if self.pattern is not None and self.type not in (None, "string"):
            raise ValueError(f"pattern is for text; the column is {_an(self.type)}")
        return self

    @model_validator(mode="after")
    def _one_way_to_say_complete(self) -> Self:
        if self.required and self.completeness is not None:
            raise ValueError("give required or completeness, not both: required means a completeness of 1.0")
        return self


def _check_moment(name: str, bound: object, kind: str) -> None:
    try:
        moment = _moment(str(bound))
    except ValueError:
        raise ValueError(f"{name} ({bound!r}) is not a {kind} like 2024-05-31 (ISO 8601)") from None
    if kind == "date" and len(str(bound)) > len("2024-05-31"):
        raise ValueError(f"{name} ({moment}) has a time of day; the column is a date")


def _order(bound: int | float | str) -> float:
    return _moment(bound).timestamp() if isinstance(bound, str) else bound


def _an(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


class Rows(Frozen):
    """How many rows a table has: bounds, and by which share it may differ from the parent commit's.

    ``shrink: 0.05``: at most 5 % fewer rows than the parent has. ``grow: 1.0``: at most twice as many.
    """

    min: Count = 1
    max: Count | None = None
    shrink: Share | None = None
    grow: Annotated[float, Field(ge=0)] | None = None

    @property
    def compares(self) -> bool:
        """Whether the parent's number of rows is needed."""
        return self.shrink is not None or self.grow is not None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max ({self.max}) is smaller than min ({self.min})")
        return self


class Table(Frozen):
    """Files that are one table together. ``format`` is only needed where the files' suffixes do not tell it."""

    files: Glob
    format: Format | None = None
    columns: dict[ColumnName, Column] = Field(default_factory=dict)
    other_columns: Others = "allow"
    unique: Annotated[tuple[Key, ...], LIST, AfterValidator(_no_repeats)] = ()
    """Columns whose values together are there once; rows that lack one of them are left out."""
    rows: Rows = Rows()

    @property
    def named(self) -> list[str]:
        """Every column that a constraint is about, once."""
        return list(dict.fromkeys([*self.columns, *(name for key in self.unique for name in key)]))

    def column(self, name: str) -> Column:
        return self.columns.get(name, Column())


class Files(Frozen):
    """Files by number and size in bytes, whatever is in them."""

    match: Glob
    min_count: Count = 1
    max_count: Count | None = None
    min_bytes: Count | None = None
    max_bytes: Count | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for least, most, what in (
            (self.min_count, self.max_count, "count"),
            (self.min_bytes, self.max_bytes, "bytes"),
        ):
            if least is not None and most is not None and most < least:
                raise ValueError(f"max_{what} ({most}) is smaller than min_{what} ({least})")
        return self


class Dataset(Frozen):
    """One data set. ``other_files: refuse``: every file has to be one of ``tables`` or ``files``."""

    description: Annotated[str, Field(max_length=4096)] = ""
    owner: Email | None = None
    tables: Annotated[tuple[Table, ...], LIST] = ()
    files: Annotated[tuple[Files, ...], LIST] = ()
    other_files: Others = "allow"

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for what, globs in (
            ("tables", [table.files for table in self.tables]),
            ("files", [rule.match for rule in self.files]),
        ):
            twice = sorted({glob for glob in globs if globs.count(glob) > 1})
            if twice:
                raise ValueError(f"{what}: {twice[0]!r} is there twice; write its constraints in one place")
        return self

    @model_validator(mode="after")
    def _some_file_may_be_there(self) -> Self:
        if self.other_files == "refuse" and not (self.tables or self.files):
            raise ValueError("other_files: refuse, without any tables or files, refuses every file")
        return self


def name_problem(stem: str) -> str | None:
    """What is wrong with a file's name, which is the data set's name; None if nothing is."""
    if NAME_PATTERN.fullmatch(stem):
        return None
    return f"{stem!r} is not a data set's name: lower-case letters, digits and hyphens, as in 'churn-train'"
