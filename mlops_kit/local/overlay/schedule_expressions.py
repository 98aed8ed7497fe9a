"""When does a schedule fire? ``cron(…)``, ``rate(…)`` and ``at(…)`` in a time zone, pure.

See "Schedule types in EventBridge Scheduler". Cron has six fields: minutes, hours, day of month, month, day of week
(1 is Sunday), year. Local times that daylight saving time skips do not fire, those that it repeats fire once.
"""

from __future__ import annotations

import calendar
import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_MONTHS = {"JAN": 1, "FEB": 2, "MAR": 3, "APR": 4, "MAY": 5, "JUN": 6}
_MONTHS |= {"JUL": 7, "AUG": 8, "SEP": 9, "OCT": 10, "NOV": 11, "DEC": 12}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_EXPRESSION = re.compile(r"(cron|rate|at)\((.+)\)")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))
LONGEST_SPAN = timedelta(days=2)


class ScheduleError(ValueError):
    """An expression that EventBridge Scheduler would refuse."""


def check(expression: str, zone: str) -> None:
    """Refuse an expression or a time zone that is not valid.

    Raises:
        ScheduleError: see there.
    """
    now = datetime.now(UTC)
    due(expression, zone, created=now, since=now - timedelta(minutes=1), until=now)


def due(expression: str, zone: str, *, created: datetime, since: datetime, until: datetime) -> list[datetime]:
    """The moments with ``since < moment <= until`` at which the schedule fires, in order.

    ``created`` is when a rate begins: its first moment, and the first that fires.

    Raises:
        ScheduleError: not an expression.
    """
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise ScheduleError(f"Invalid Schedule Expression {expression}.")
    kind, text = match[1], match[2].strip()
    if kind == "at":
        moment = _at(text, _zone(zone), expression)
        return [moment] if since < moment <= until else []
    if kind == "rate":
        return _rate(text, created, since, until, expression)
    return _cron(text, _zone(zone), since, until, expression)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ScheduleError(f"Invalid Schedule Expression Timezone {name}.") from exc


def _at(text: str, zone: ZoneInfo, expression: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except ValueError as exc:
        raise ScheduleError(f"Invalid Schedule Expression {expression}.") from exc


def _rate(text: str, created: datetime, since: datetime, until: datetime, expression: str) -> list[datetime]:
    match = re.fullmatch(r"([1-9]\d*)\s+(minute|hour|day)s?", text)
    if match is None:
        raise ScheduleError(f"Invalid Schedule Expression {expression}.")
    step = int(match[1]) * _UNITS[match[2]]
    number = max(0, math.floor((since - created).total_seconds() / step))
    found = []
    while (moment := created + timedelta(seconds=number * step)) <= until:
        if moment > since:
            found.append(moment)
        number += 1
    return found


def _cron(text: str, zone: ZoneInfo, since: datetime, until: datetime, expression: str) -> list[datetime]:
    fields = text.upper().split()
    if len(fields) != 6 or (fields[2] == "?") == (fields[4] == "?"):
        raise ScheduleError(f"Invalid Schedule Expression {expression}.")
    try:
        minutes, hours, months, years = (_values(fields[i], i) for i in (0, 1, 3, 5))
        _day_matches(fields, since)  # only to find mistakes
    except (ValueError, KeyError) as exc:
        raise ScheduleError(f"Invalid Schedule Expression {expression}.") from exc
    found = []
    moment = max(since, until - LONGEST_SPAN).replace(second=0, microsecond=0)
    while moment <= until:
        local = moment.astimezone(zone)
        if (
            moment > since
            and local.fold == 0
            and local.minute in minutes
            and local.hour in hours
            and local.month in months
            and local.year in years
            and _day_matches(fields, local)
        ):
            found.append(moment)
        moment += timedelta(minutes=1)
    return found


def _day_matches(fields: list[str], day: datetime) -> bool:
    of_month, of_week = fields[2], fields[4]
    last = calendar.monthrange(day.year, day.month)[1]
    if of_week == "?":
        return any(_day_of_month(part, day, last) for part in of_month.split(","))
    return any(_day_of_week(part, day, last) for part in of_week.split(","))


def _day_of_month(part: str, day: datetime, last: int) -> bool:
    if part == "L":
        return day.day == last
    if part.endswith("W"):
        wanted = last if part == "LW" else min(int(part[:-1]), last)
        return day.day == _nearest_weekday(day.year, day.month, wanted, last)
    return day.day in _values(part, 2)


def _nearest_weekday(year: int, month: int, wanted: int, last: int) -> int:
    weekday = calendar.weekday(year, month, wanted)
    if weekday == calendar.SATURDAY:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == calendar.SUNDAY:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted


def _day_of_week(part: str, day: datetime, last: int) -> bool:
    number = day.isoweekday() % 7 + 1  # Sunday is 1
    if part == "L":
        return number == 7
    if part.endswith("L"):
        return number == _value(part[:-1], 4) and day.day + 7 > last
    if "#" in part:
        wanted, nth = part.split("#")
        return number == _value(wanted, 4) and (day.day - 1) // 7 + 1 == int(nth)
    return number in _values(part, 4)


@lru_cache(maxsize=1024)
def _values(field: str, position: int) -> frozenset[int]:
    """What a field stands for: ``*``, numbers, names, ranges, steps, and lists of these."""
    low, high = _RANGES[position]
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (_value(end, position) for end in span.split("-"))
        else:
            first = _value(span, position)
            last = high if step else first
        if not (low <= first <= high and low <= last <= high):
            raise ValueError(part)
        if first > last:  # FRI-MON
            found |= {*range(first, high + 1), *range(low, last + 1)}
        else:
            found |= set(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _value(text: str, position: int) -> int:
    names = _MONTHS if position == 3 else _DAYS if position == 4 else {}
    return names[text] if text in names else int(text)
