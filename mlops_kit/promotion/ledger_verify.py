"""Verify a ledger: every object in it is what was recorded, none is missing, and none is there that does not belong.

The ledger bucket keeps every version of everything and, for as long as its object lock lasts, lets nobody remove one.
So the oldest version of an object is what was recorded, and all reading here is of oldest versions; any other version
and any delete marker is a finding. Then the chain of the events is followed, each plan and each approval is held
against the digest in its name, and what the events say of plans and approvals against what is there.

What this cannot find: newest events that somebody with the right to bypass the object lock removed for good. No role of
the kit has that right, and a replica of the bucket (``storage.replicate_to``) keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from mlops_kit.errors import IntegrityError
from mlops_kit.naming import SHORT_HASH, EnvironmentNames, ModelNames
from mlops_kit.objects import Store, Version, each, sha256_bytes
from mlops_kit.promotion import approvals
from mlops_kit.promotion.events import Event
from mlops_kit.promotion.ledger import AT_ONCE, parse, title

S3_CLOCKS_DIFFER = timedelta(minutes=1)
_EVENT = re.compile(r"[0-9]{8}\.json")
_PLAN = re.compile(r"[0-9a-f]{64}\.json")

_FROM_ELSEWHERE = (
    "See who wrote it (CloudTrail), and compare it with the replica of the bucket, if storage.replicate_to is set. "
    "Release nothing before it is clear what happened."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One object that is not what was recorded: which, in which way, and what to do about it."""

    uri: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.uri} {self.problem}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at in one model's ledger, and what is wrong with it.

    ``unused_plans``: of promotions that were cut off or refused before they were recorded, which is no fault.
    """

    model: str
    events: int
    plans: int
    unused_plans: int
    approvals: int
    findings: tuple[Finding, ...]

    @property
    def intact(self) -> bool:
        return not self.findings


def verify(store: Store, names: ModelNames) -> Verification:
    """Everything that the bucket has about one model. Reads every event, plan and approval."""
    versions = [*store.versions(names.ledger_prefix), *store.versions(names.approvals_prefix)]
    return _Check(store, names).run(_stacks(versions))


def verify_all(store: Store, names: EnvironmentNames) -> tuple[list[Verification], list[Finding]]:
    """Every model that has a ledger or approvals, and objects that belong to none."""
    of_model: dict[str, dict[str, list[Version]]] = {}
    strays: list[Finding] = []
    for key, stack in _stacks(store.versions("")).items():
        model, slash, _ = key.removeprefix(names.approvals_prefix).partition("/")
        if slash and model:
            of_model.setdefault(model, {})[key] = stack
        else:
            strays.append(_stray(store, key))
    return [_Check(store, names.model(model)).run(of_model[model]) for model in sorted(of_model)], strays


def _stacks(versions: Iterable[Version]) -> dict[str, list[Version]]:
    """The versions of each key, newest first."""
    return {key: list(stack) for key, stack in groupby(versions, key=lambda version: version.key)}


def _stray(store: Store, key: str) -> Finding:
    return Finding(
        store.uri(key),
        "is no event, plan or approval",
        "See who put it there (CloudTrail), and remove it with an administrator's credentials.",
    )


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The oldest version of an object: what was recorded. ``event``: None if it is none, or none that can be used."""

    key: str
    body: bytes
    modified: datetime
    event: Event | None = None

    @property
    def sha256(self) -> str:
        return sha256_bytes(self.body)


@dataclass(slots=True)
class _Check:
    store: Store
    names: ModelNames
    findings: list[Finding] = field(default_factory=list)

    def run(self, stacks: Mapping[str, Sequence[Version]]) -> Verification:
        recorded = self._recorded(stacks)
        ledger, plans, decisions = self.names.ledger_prefix, self.names.plans_prefix, self.names.approvals_prefix
        events = {
            int(key.removeprefix(ledger).removesuffix(".json")): recorded[key]
            for key in recorded
            if _EVENT.fullmatch(key.removeprefix(ledger))
        }
        kept_plans = {key: recorded[key] for key in recorded if _PLAN.fullmatch(key.removeprefix(plans))}
        said = {key: recorded[key] for key in recorded if key.startswith(decisions)}
        known = {one.key for one in events.values()} | kept_plans.keys() | said.keys()
        for key in stacks:
            if key in recorded and key not in known:
                self.findings.append(_stray(self.store, key))
        chain = self._events(events)
        self._plans(kept_plans)
        self._approvals(said)
        used = self._references(chain, kept_plans, said)
        return Verification(
            model=self.names.model,
            events=len(events),
            plans=len(kept_plans),
            unused_plans=len(kept_plans.keys() - used),
            approvals=len(said),
            findings=tuple(sorted(self.findings, key=lambda finding: finding.uri)),
        )

    def _recorded(self, stacks: Mapping[str, Sequence[Version]]) -> dict[str, _Recorded]:
        """The oldest version of every object; finds what came after it."""
        oldest: list[Version] = []
        for key, stack in stacks.items():
            first = stack[-1]
            later = [version.version for version in stack[:-1]]
            if first.deleted:
                self._find(key, "was deleted for good: only a delete marker is left")
                continue
            oldest.append(first)
            if stack[0].deleted:
                self._find(key, "was deleted: a delete marker hides it", self._take_away(key, later))
            elif later:
                self._find(
                    key,
                    f"was overwritten: it has {len(stack)} versions, and {first.version} is what was recorded",
                    self._take_away(key, later),
                )
        bodies = each(self._body, oldest, at_once=AT_ONCE)
        return {
            first.key: _Recorded(first.key, body, first.modified)
            for first, body in zip(oldest, bodies, strict=True)
            if body is not None
        }

    def _body(self, version: Version) -> bytes | None:
        try:
            body = self.store.get(version.key, version.version)
        except IntegrityError as exc:
            self._find(version.key, f"was edited: {exc.message}")
            return None
        if body is None:
            self._find(version.key, "disappeared while it was being looked at", "Run it again.")
        return body

    def _events(self, events: Mapping[int, _Recorded]) -> dict[int, _Recorded]:
        """Each event by itself, then the chain. Returns those that can be read."""
        read: dict[int, _Recorded] = {}
        for number in range(1, max(events, default=0) + 1):
            if number in events:
                one = events[number]
                read[number] = _Recorded(one.key, one.body, one.modified, self._event(number, one))
            elif not any(self.store.uri(self.names.ledger_key(number)) == finding.uri for finding in self.findings):
                self._find(self.names.ledger_key(number), "is missing")
        for number, one in read.items():
            before, after = read.get(number - 1), read.get(number + 1)
            if number == 1 and one.event is not None and one.event.previous:
                self._find(one.key, "names an event before it, and is the first")
            if before is None or one.event is None:
                continue
            if one.event.previous != before.sha256:
                vouched = after is not None and after.event is not None and after.event.previous == one.sha256
                if vouched or before.event is None:
                    self._find(before.key, f"was edited: event {number} names another digest")
                else:
                    self._find(
                        one.key,
                        f"does not follow event {number - 1}: one of the two was edited, inserted or moved",
                    )
            if before.modified > one.modified + S3_CLOCKS_DIFFER:
                self._find(before.key, f"was written after event {number}, which follows it")
        return read

    def _event(self, number: int, found: _Recorded) -> Event | None:
        event = parse(found.body)
        if event is None:
            self._find(found.key, "is not a ledger event: it was edited or cut off")
            return None
        if event.seq != number:
            self._find(found.key, f"holds event {event.seq}: it was moved or inserted")
        config = re.compile(rf"{re.escape(self.names.prefix)}-[0-9a-f]{{{SHORT_HASH}}}")
        if event.ledger not in ("", title(self.names)) or not config.fullmatch(event.release.config):
            whose = event.ledger or event.release.config
            self._find(found.key, f"is an event of another ledger: {whose}")
        return event

    def _plans(self, plans: Mapping[str, _Recorded]) -> None:
        for key, plan in plans.items():
            if self.names.plan_key(plan.sha256) != key:
                self._find(key, "was edited: it is not the plan with this digest")

    def _approvals(self, said: Mapping[str, _Recorded]) -> None:
        for key, one in said.items():
            if approvals.parse(self.names, key, one.body) is None:
                self._find(key, "was edited: it is not the decision that its name says")

    def _references(
        self, chain: Mapping[int, _Recorded], plans: Mapping[str, _Recorded], said: Mapping[str, _Recorded]
    ) -> set[str]:
        """What the events name is there. Returns the keys of the plans that they name."""
        used = set()
        for number, one in chain.items():
            if one.event is None:
                continue
            if one.event.plan:
                key = self.names.plan_key(one.event.plan)
                used.add(key)
                if key not in plans:
                    self._find(key, f"is missing: it is the plan of event {number}")
            for counted in one.event.approvals:
                there = said.get(counted.key)
                if there is None:
                    self._find(counted.key, f"is missing: event {number} rests on it")
                elif there.sha256 != counted.sha256:
                    self._find(counted.key, f"was edited: event {number} names another digest")
        return used

    def _find(self, key: str, problem: str, remedy: str = _FROM_ELSEWHERE) -> None:
        self.findings.append(Finding(self.store.uri(key), problem, remedy))

    def _take_away(self, key: str, later: Sequence[str]) -> str:
        commands = "; ".join(
            f"aws s3api delete-object --bucket {self.store.bucket} --key '{key}' --version-id {version}"
            for version in later
        )
        return f"What was recorded is still there. Take away what lies on top, as an administrator: {commands}"


def require(found: Sequence[Verification], strays: Sequence[Finding], environment: str) -> None:
    """Raises IntegrityError with every finding."""
    problems: Iterator[Finding] = (finding for one in found for finding in one.findings)
    everything = [*problems, *strays]
    if everything:
        lines = "\n".join(f"  {finding}" for finding in everything)
        raise IntegrityError(
            f"{len(everything)} thing{'s are' if len(everything) > 1 else ' is'} wrong with the ledger of "
            f"{environment}:\n{lines}",
            hint=everything[0].remedy,
        )
