"""The rule of a composite alarm, pure: a Boolean expression over the states of other alarms.

``ALARM("name") AND (OK(other) OR NOT INSUFFICIENT_DATA("arn:…"))``, ``TRUE`` and ``FALSE``. NOT binds closer than AND,
AND closer than OR. A name is quoted if it has spaces or parentheses in it, and may be an ARN.
Source: "PutCompositeAlarm", parameter AlarmRule, in the CloudWatch API reference. ``AT_LEAST`` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mlops_kit.local.overlay.alarm_evaluation import State

STATES: tuple[State, ...] = ("ALARM", "OK", "INSUFFICIENT_DATA")
MAXIMUM_CHARACTERS = 10240

_TOKEN = re.compile(r'\s*(?:(?P<name>"[^"]*"|[^\s()"]+)|(?P<mark>[()]))')


class RuleError(ValueError):
    """The text is not a rule; says what is wrong with it."""


States = Mapping[str, str]
Test = Callable[[States], bool]


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """A parsed rule. ``names`` are the alarms it looks at, in order and once each."""

    test: Test
    names: tuple[str, ...]

    def holds(self, states: States) -> bool:
        """Whether the rule is true; an alarm that is not in ``states`` is in none."""
        return self.test(states)


def parse(text: str) -> AlarmRule:
    """Parse a rule.

    Raises:
        RuleError: see there.
    """
    if len(text) > MAXIMUM_CHARACTERS:
        raise RuleError(f"AlarmRule must not be longer than {MAXIMUM_CHARACTERS} characters")
    parser = _Parser(list(_tokens(text)))
    test = parser.either()
    if parser.rest:
        raise RuleError(f"AlarmRule: {parser.rest[0]!r} is not expected there")
    return AlarmRule(test, tuple(dict.fromkeys(parser.names)))


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise RuleError(f"AlarmRule cannot be read from {text[position : position + 20]!r} on")
        yield match["name"] or match["mark"]
        position = match.end()


@dataclass(slots=True)
class _Parser:
    """Recursive descent; each method reads one level of precedence."""

    rest: list[str]
    names: list[str] = field(default_factory=list)

    def either(self) -> Test:
        one = self.both()
        while self._accept("OR"):
            one = _or(one, self.both())
        return one

    def both(self) -> Test:
        one = self.negated()
        while self._accept("AND"):
            one = _and(one, self.negated())
        return one

    def negated(self) -> Test:
        if self._accept("NOT"):
            test = self.negated()
            return lambda states: not test(states)
        return self.single()

    def single(self) -> Test:
        if self._accept("("):
            test = self.either()
            self._expect(")")
            return test
        word = self._next()
        if word in ("TRUE", "FALSE"):
            return lambda states: word == "TRUE"
        if word not in STATES:
            raise RuleError(f"AlarmRule: {word!r} is none of TRUE, FALSE, NOT and {', '.join(STATES)}")
        self._expect("(")
        name = alarm_name(self._next().strip('"'))
        if name in ("", "(", ")"):
            raise RuleError(f"AlarmRule: {word} needs the name of an alarm")
        self._expect(")")
        self.names.append(name)
        return lambda states: states.get(name) == word

    def _accept(self, token: str) -> bool:
        if self.rest[:1] != [token]:
            return False
        self.rest.pop(0)
        return True

    def _next(self) -> str:
        if not self.rest:
            raise RuleError("AlarmRule ends too early")
        return self.rest.pop(0)

    def _expect(self, token: str) -> None:
        if (found := self._next()) != token:
            raise RuleError(f"AlarmRule: {token!r} is expected where {found!r} is")


def _or(one: Test, other: Test) -> Test:
    return lambda states: one(states) or other(states)


def _and(one: Test, other: Test) -> Test:
    return lambda states: one(states) and other(states)


def alarm_name(reference: str) -> str:
    """The name of an alarm that is referred to by its name or by its ARN."""
    return reference.split(":", 6)[6] if reference.startswith("arn:") else reference
