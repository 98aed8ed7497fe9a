"""Watch a deployment: its phase, its share of the traffic, the alarms that can end it, and the time it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit import serving
from mlops_kit.aws import Cloud, error_code
from mlops_kit.errors import DeploymentError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import codes
from mlops_kit.promotion import ledger, lock
from mlops_kit.promotion.history import duration
from mlops_kit.promotion.holder import Holder
from mlops_kit.promotion.ledger import Ledger
from mlops_kit.serving import EndpointState

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient

QUIET = timedelta(minutes=1)
"""After so long without news, the same is told once more: somebody may wonder."""


@dataclass(slots=True)
class Watch:
    """Is shown every look at an endpoint, looks at the rollback alarms besides, and tells what has changed."""

    cloudwatch: CloudWatchClient
    names: ModelNames
    now: Callable[[], datetime]
    tell: Callable[[str], None]
    fired: set[str] = field(default_factory=set)
    """Every alarm that was seen in ALARM."""
    _begun: datetime | None = None
    _told: datetime | None = None
    _line: str = ""

    def __call__(self, state: EndpointState) -> None:
        now = self.now()
        self._begun = state.begun or self._begun or now
        line = f"  endpoint is {describe(state)}"
        if state.busy:
            line += f"; alarms: {self._alarms()}"
        if line == self._line and self._told is not None and now - self._told < QUIET:
            return
        self._line, self._told = line, now
        seconds = max(0.0, (now - self._begun).total_seconds())
        self.tell(f"{line}; {duration(seconds)}" if state.busy or seconds else line)

    def _alarms(self) -> str:
        try:
            states = read_alarms(self.cloudwatch, self.names.rollback_alarms)
        except (ClientError, BotoCoreError) as exc:
            return f"not known ({error_code(exc) if isinstance(exc, ClientError) else type(exc).__name__})"
        self.fired |= {name for name, state in states.items() if state == "ALARM"}
        shown = [f"{name.removeprefix(self.names.prefix + '-')} {state}" for name, state in states.items()]
        return ", ".join(shown) or "none"

    def verdict(self, state: EndpointState) -> tuple[str, ...]:
        """The rollback alarms that ended the deployment: seen in ALARM, in ALARM now, or named by SageMaker."""
        named = {name for name in self.names.rollback_alarms if name in state.failure}
        self._alarms()
        return tuple(sorted(named | self.fired))


def describe(state: EndpointState) -> str:
    """Like ``Updating, Baking, 10 % of the traffic``."""
    parts = [state.status]
    if state.phase:
        parts.append(state.phase)
    if state.share is not None:
        parts.append(f"{100 * state.share:.0f} % of the traffic")
    return ", ".join(parts)


def read_alarms(cloudwatch: CloudWatchClient, wanted: Sequence[str]) -> dict[str, str]:
    """State of each alarm of these names that exists."""
    answer = cloudwatch.describe_alarms(AlarmNames=list(wanted), AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    states = {alarm["AlarmName"]: str(alarm["StateValue"]) for alarm in answer.get("MetricAlarms", [])}
    states |= {alarm["AlarmName"]: str(alarm["StateValue"]) for alarm in answer.get("CompositeAlarms", [])}
    return dict(sorted(states.items()))


def until_it_runs(
    cloud: Cloud,
    names: ModelNames,
    config: str,
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
    tell: Callable[[str], None],
) -> None:
    """Wait until the endpoint is at rest, telling how it goes, and verify that it runs ``config``.

    Raises:
        DeploymentError: it does not; names the alarms that are to blame, as far as that can be known.
    """
    watch = Watch(cloud.cloudwatch, names, now, tell)
    state = serving.rest(cloud.sagemaker, names, sleep=sleep, on_state=watch)
    try:
        serving.verify(names, state, config)
    except DeploymentError as exc:
        fired = watch.verdict(state)
        if not fired:
            raise
        raise DeploymentError(
            f"{', '.join(fired)} went off: {exc.message}",
            hint=f"{exc.hint} What the alarm saw is in `mlops-kit alarms --in {names.environment.environment}`.",
        ) from exc


def follow(
    cloud: Cloud,
    names: ModelNames,
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
    tell: Callable[[str], None],
) -> tuple[str, Holder | None]:
    """Watch whatever is under way until it is over, and change nothing.

    Returns the config that runs, and the parked lock of the promotion that nobody has finished yet.

    Raises:
        DeploymentError: what was under way, or what the ledger says, is not what runs.
    """
    parked = _parked(cloud, names)
    state = serving.require_endpoint(cloud.sagemaker, names)
    wanted = parked.parked if parked else state.pending
    if not wanted:
        book = Ledger(cloud.store("ledger"), names)
        current = ledger.current(book.recent(lambda events: ledger.current(events) is not None))
        wanted = current.config if current else state.config
    until_it_runs(cloud, names, wanted, now=now, sleep=sleep, tell=tell)
    return wanted, parked


def _parked(cloud: Cloud, names: ModelNames) -> Holder | None:
    try:
        holder = lock.show(cloud.store("artifacts"), names)
    except ClientError as exc:
        if error_code(exc) not in codes.REFUSED:  # who may only look may not see locks
            raise
        return None
    return holder if holder is not None and holder.parked else None
